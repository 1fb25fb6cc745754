//! A body as a page shows it: cut, as it came, and indented where it is JSON.

use std::borrow::Cow;

use serde::de::IgnoredAny;

use crate::web::{
    dashboard::{room::Room, text},
    error::Problem,
    view::Withheld,
};

/// Bytes of a body that are looked at; all of it is behind the link.
const READ: usize = 64 * 1024;
/// What it takes of a page at most, as it came and indented.
const RAW: usize = 40_000;
const PRETTY: usize = 60_000;
/// Deeper levels stay on one line: indenting them would make a page of blanks.
const MAX_DEPTH: usize = 24;

#[derive(Debug)]
pub(super) struct BodyView {
    pub(super) raw: String,
    /// Indented; absent where it is no JSON, or takes too much of the page.
    pub(super) pretty: Option<String>,
    /// What is not shown, or what it is.
    pub(super) remark: String,
    /// Nothing of it is shown, whatever is in it.
    pub(super) is_withheld: bool,
}

impl BodyView {
    /// What the caller may see of it, and what there is room for.
    pub(super) fn shown(bytes: Result<Cow<'_, [u8]>, Withheld>, room: &mut Room) -> Self {
        match bytes {
            Ok(bytes) => Self::new(&bytes, room),
            Err(why) => Self {
                raw: String::new(),
                pretty: None,
                remark: Problem::from(why).detail.into_owned(),
                is_withheld: true,
            },
        }
    }

    fn new(bytes: &[u8], room: &mut Room) -> Self {
        let read = &bytes[..bytes.len().min(READ)];
        let is_whole = read.len() == bytes.len();
        let text = match std::str::from_utf8(read) {
            Ok(text) => text,
            // The cut may go through a character.
            Err(at) if !is_whole && read.len() - at.valid_up_to() < 4 => {
                std::str::from_utf8(&read[..at.valid_up_to()]).unwrap_or_default()
            }
            Err(_) => {
                let (raw, _) = room.fit(&dump(&read[..read.len().min(4096)]), RAW);
                return Self {
                    raw,
                    pretty: None,
                    remark: "Not text: its first bytes, in hexadecimal and as letters.".to_owned(),
                    is_withheld: false,
                };
            }
        };
        let is_json = is_whole && is_json(text);
        let pretty = is_json.then(|| room.whole(&indented(text), PRETTY)).flatten();
        let (raw, n_shown) = room.fit(text, RAW);
        let remark = match () {
            () if n_shown < bytes.len() => {
                let shown = text::size(&(n_shown as u64));
                format!("The first {shown} as it came; the rest is not shown here.")
            }
            () if is_json => "JSON".to_owned(),
            () => "Text".to_owned(),
        };
        Self {
            raw,
            pretty,
            remark,
            is_withheld: false,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.raw.is_empty() && self.pretty.is_none()
    }
}

fn is_json(text: &str) -> bool {
    let text = text.trim_start();
    text.starts_with(['{', '[']) && serde_json::from_str::<IgnoredAny>(text).is_ok()
}

/// JSON with a line for each value. Only blanks between the tokens change: numbers, order and repeated keys stay as they came.
fn indented(json: &str) -> String {
    let mut res = String::with_capacity(json.len() * 2);
    let mut depth = 0_usize;
    let mut is_in_string = false;
    let mut is_escaped = false;
    let mut chars = json.chars().peekable();
    while let Some(c) = chars.next() {
        if is_in_string {
            res.push(c);
            is_in_string = is_escaped || c != '"';
            is_escaped = !is_escaped && c == '\\';
            continue;
        }
        match c {
            '{' | '[' => {
                res.push(c);
                while chars.next_if(char::is_ascii_whitespace).is_some() {}
                if let Some(end) = chars.next_if(|it| matches!(it, '}' | ']')) {
                    res.push(end);
                } else {
                    depth += 1;
                    break_line(&mut res, depth);
                }
            }
            '}' | ']' => {
                break_line(&mut res, depth.saturating_sub(1));
                depth = depth.saturating_sub(1);
                res.push(c);
            }
            ',' => {
                res.push(c);
                break_line(&mut res, depth);
            }
            ':' => res.push_str(": "),
            '"' => {
                res.push(c);
                is_in_string = true;
            }
            _ if c.is_ascii_whitespace() => (),
            _ => res.push(c),
        }
    }
    res
}

fn break_line(res: &mut String, depth: usize) {
    if depth > MAX_DEPTH {
        return;
    }
    res.push('\n');
    res.extend(std::iter::repeat_n("  ", depth));
}

/// Sixteen bytes a line.
fn dump(bytes: &[u8]) -> String {
    let letter = |it: &u8| {
        if it.is_ascii_graphic() || *it == b' ' {
            char::from(*it)
        } else {
            '.'
        }
    };
    let line = |(idx, bytes): (usize, &[u8])| {
        let pairs: Vec<_> = bytes.iter().map(|it| format!("{it:02x}")).collect();
        let letters: String = bytes.iter().map(letter).collect();
        format!("{:08x}  {:<47}  {letters}", idx * 16, pairs.join(" "))
    };
    let lines: Vec<_> = bytes.chunks(16).enumerate().map(line).collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    #[test]
    fn json_is_indented_and_nothing_else_changes() {
        let check = |json, expected| assert_eq!(indented(json), expected);
        check(r#"{"a":1.10,"a":[]}"#, "{\n  \"a\": 1.10,\n  \"a\": []\n}");
        check("[ { } , 1e400 ]", "[\n  {},\n  1e400\n]");
        check(r#"["a\"{,:[","\\"]"#, "[\n  \"a\\\"{,:[\",\n  \"\\\\\"\n]");
    }

    proptest! {
        #[test]
        fn what_is_indented_is_the_same_json(value in proptest::collection::vec(any::<(String, i64)>(), 0..8)) {
            let json = serde_json::to_string(&value).unwrap();
            let before: Value = serde_json::from_str(&json).unwrap();
            let after: Value = serde_json::from_str(&indented(&json)).unwrap();
            prop_assert_eq!(before, after);
        }
    }

    fn view(bytes: &[u8]) -> BodyView {
        BodyView::new(bytes, &mut Room::new(100_000))
    }

    #[test]
    fn deep_json_does_not_become_a_page_of_blanks() {
        let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
        assert!(view(deep.as_bytes()).pretty.unwrap().len() < 30_000);
        // Many lines far to the right: as it came, and no more.
        let wide = format!("{}{}0{}", "[".repeat(24), "0,".repeat(20_000), "]".repeat(24));
        let wide = view(wide.as_bytes());
        assert_eq!((wide.pretty, wide.raw.len()), (None, 40_000));
    }

    #[test]
    fn large_and_binary_bodies_are_cut_and_said_to_be() {
        // The cut goes through a character.
        let large = format!("a{}", "ä".repeat(5 << 20));
        let large = view(large.as_bytes());
        assert!(large.raw.len() <= RAW && large.pretty.is_none());
        assert!(large.remark.starts_with("The first 39.0 KiB"), "{}", large.remark);
        let binary = view(b"\xff\x00ab");
        assert_eq!(binary.raw, format!("00000000  {:<47}  ..ab", "ff 00 61 62"));
        assert!(view(b"").is_empty());
        // Markup is heavy.
        assert_eq!(view("<".repeat(10_000).as_bytes()).raw.len(), RAW / 5);
    }
}
