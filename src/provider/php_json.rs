//! JSON as PHP's `json_encode` writes it: no white space, `/` as `\/`, and nothing but ASCII.

use std::fmt::Write as _;

/// Of a text that is JSON. Numbers and escapes stay as they are written.
pub(super) fn write(json: &str) -> String {
    let mut written = String::with_capacity(json.len());
    let mut is_in_string = false;
    let mut chars = json.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => {
                written.push(c);
                written.extend(chars.next());
                continue;
            }
            '"' => is_in_string = !is_in_string,
            _ if !is_in_string && c.is_ascii_whitespace() => continue,
            '/' => written.push('\\'),
            _ => {}
        }
        if c.is_ascii() {
            written.push(c);
        } else {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                // A text takes whatever is written to it.
                let _ = write!(written, "\\u{unit:04x}");
            }
        }
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_what_php_makes_of_it() {
        for (json, expected) in [
            (
                r#"{ "url" : "https://x/é" , "n":[1.0, null] }"#,
                r#"{"url":"https:\/\/x\/\u00e9","n":[1.0,null]}"#,
            ),
            (r#""a b\"/ \\""#, r#""a b\"\/ \\""#),
            (r#""\/\u00e9😀""#, r#""\/\u00e9\ud83d\ude00""#),
        ] {
            let written = write(json);
            assert_eq!(written, expected);
            assert_eq!(write(&written), written, "it is written so already");
        }
    }
}
