//! What a server says.

use std::fmt;

/// Of an answer, as many characters are shown.
const MAX_SHOWN: usize = 300;

/// What a server answered.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) code: u16,
    /// At least one, without code and line break.
    pub(super) lines: Vec<String>,
}

impl Reply {
    pub(super) fn repeats(&self, secrets: &[&str]) -> bool {
        let text = self.lines.concat();
        secrets.iter().any(|it| !it.is_empty() && text.contains(it))
    }
}

/// On one line.
impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.lines.join(" ");
        let text: String = text
            .chars()
            .map(|it| if it.is_control() { ' ' } else { it })
            .take(MAX_SHOWN)
            .collect();
        write!(f, "{} {}", self.code, text.trim())
    }
}

/// A line of an answer: its code, whether it is the last one, its text. `None`: it is none.
pub(super) fn read_line(line: &[u8]) -> Option<(u16, bool, String)> {
    let line = line.strip_suffix(b"\n")?;
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let (code, rest) = line.split_at_checked(3)?;
    if !code.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let code = std::str::from_utf8(code).ok()?.parse().ok()?;
    let (is_last, text) = match rest.split_first() {
        None => (true, rest),
        Some((b' ', text)) => (true, text),
        Some((b'-', text)) => (false, text),
        Some(_) => return None,
    };
    Some((code, is_last, String::from_utf8_lossy(text).into_owned()))
}

/// What a server can do, as far as it matters here.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Offer {
    pub(super) starttls: bool,
    pub(super) plain: bool,
    pub(super) login: bool,
}

impl Offer {
    pub(super) fn of(reply: &Reply) -> Self {
        let mut offer = Self::default();
        // The first line is a greeting.
        for line in reply.lines.iter().skip(1) {
            let line = line.to_ascii_uppercase();
            let mut words = line.split_ascii_whitespace();
            match words.next() {
                Some("STARTTLS") => offer.starttls = true,
                Some("AUTH") => {
                    for it in words {
                        offer.plain |= it == "PLAIN";
                        offer.login |= it == "LOGIN";
                    }
                }
                _ => (),
            }
        }
        offer
    }
}
