//! Fields of a `multipart/form-data` body (RFC 7578), for senders that post an event as one.

use std::borrow::Cow;

/// More parts are read by nobody.
const MAX_PARTS: usize = 64;

/// What stands between two parts, out of a `content-type`; `None` where the body is of another kind.
pub(super) fn boundary(content_type: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(content_type).ok()?;
    let (kind, parameters) = text.split_once(';')?;
    if !kind.trim().eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    let boundary = parameter(parameters, "boundary")?;
    (1..=70).contains(&boundary.len()).then_some(boundary)
}

/// The values of the fields of this name, as they are; none of a body that is not well-formed up to there.
pub(super) fn values<'b>(body: &'b [u8], boundary: &str, name: &str) -> impl Iterator<Item = Cow<'b, [u8]>> {
    let delimiter = format!("--{boundary}");
    let mut parts = Vec::new();
    let mut rest = body.strip_prefix(delimiter.as_bytes());
    let between = format!("\r\n{delimiter}");
    for _ in 0..MAX_PARTS {
        let Some((part, after)) = rest
            .and_then(|it| it.strip_prefix(b"\r\n"))
            .and_then(|it| split_at(it, between.as_bytes()))
        else {
            break;
        };
        parts.extend(value_of(part, name).map(Cow::Borrowed));
        rest = Some(after);
    }
    parts.into_iter()
}

fn value_of<'b>(part: &'b [u8], wanted: &str) -> Option<&'b [u8]> {
    let (head, value) = split_at(part, b"\r\n\r\n")?;
    let head = std::str::from_utf8(head).ok()?;
    let disposition = head.split("\r\n").find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-disposition").then_some(value)
    })?;
    let (kind, parameters) = disposition.split_once(';')?;
    let is_wanted = kind.trim() == "form-data" && parameter(parameters, "name") == Some(wanted);
    is_wanted.then_some(value)
}

/// The value of `name=value` or `name="value"` between semicolons.
fn parameter<'t>(parameters: &'t str, wanted: &str) -> Option<&'t str> {
    parameters.split(';').find_map(|it| {
        let (name, value) = it.trim().split_once('=')?;
        let inner = value.strip_prefix('"').and_then(|it| it.strip_suffix('"'));
        name.eq_ignore_ascii_case(wanted)
            .then_some(inner.unwrap_or(value))
    })
}

fn split_at<'b>(bytes: &'b [u8], between: &[u8]) -> Option<(&'b [u8], &'b [u8])> {
    let at = bytes.windows(between.len()).position(|it| it == between)?;
    Some((&bytes[..at], &bytes[at + between.len()..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str, name: &str) -> Vec<String> {
        let text = |it: Cow<'_, [u8]>| String::from_utf8(it.into_owned()).unwrap();
        values(body.as_bytes(), "xyz", name).map(text).collect()
    }

    #[test]
    fn fields_are_found_by_name() {
        let body = "--xyz\r\nContent-Disposition: form-data; name=\"json\"\r\n\r\n{\"a\":\r\n1}\r\n--xyz\r\n\
                    content-disposition: form-data; filename=\"json\"; name=other\r\nContent-Type: text/plain\r\n\r\n\r\n--xyz--\r\n";
        assert_eq!(read(body, "json"), ["{\"a\":\r\n1}"]);
        assert_eq!(read(body, "other"), [""]);
        assert!(read(body, "name").is_empty());
        assert_eq!(read(&body.replace("name=other", "name=json"), "json").len(), 2);
    }

    #[test]
    fn what_is_not_well_formed_has_no_fields() {
        let part = "\r\nContent-Disposition: form-data; name=\"json\"\r\n\r\n1";
        for body in [
            String::new(),
            "--xyz".to_owned(),
            format!("--xyz{part}"),
            format!("--xy{part}\r\n--xyz--"),
            "--xyz\r\nno head\r\n--xyz--".to_owned(),
            "--xyz\r\nContent-Disposition: attachment; name=\"json\"\r\n\r\n1\r\n--xyz--".to_owned(),
        ] {
            assert!(read(&body, "json").is_empty(), "{body}");
        }
        let many = format!("{}--", format!("--xyz{part}\r\n").repeat(10_000));
        assert_eq!(read(&many, "json").len(), MAX_PARTS);
    }

    #[test]
    fn the_boundary_is_in_the_content_type() {
        assert_eq!(boundary(b"multipart/form-data; boundary=xyz"), Some("xyz"));
        assert_eq!(
            boundary(b"Multipart/Form-Data;charset=utf-8; boundary=\"x y\""),
            Some("x y")
        );
        for other in [
            &b"multipart/form-data"[..],
            b"multipart/form-data; boundary=",
            b"multipart/mixed; boundary=xyz",
            b"application/json",
            b"\xff",
        ] {
            assert_eq!(boundary(other), None);
        }
    }
}
