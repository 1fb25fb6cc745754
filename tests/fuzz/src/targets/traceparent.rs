//! The sender's `traceparent`.

use std::path::Path;

use gatepost::{
    base::ids::EventId,
    event::{
        headers::Headers,
        trace::{Trace, Traceparent},
    },
};
use uuid::Uuid;

use super::{Target, Verdict};

pub const TARGET: Target = Target {
    name: "traceparent",
    run: |bytes| compare(read, bytes),
    seeds,
};

const ID: u128 = 0x0190_0000_0000_7000_8000_0000_0000_0001;

/// Lines are headers of that name.
pub(crate) fn compare(reference: fn(&[u8]) -> Option<(String, u8)>, bytes: &[u8]) -> Verdict {
    let lines: Vec<_> = bytes.split(|it| *it == b'\n').collect();
    let headers = Headers::from_pairs(lines.iter().map(|it| ("traceparent", *it)));
    let trace = Trace::of(&headers, EventId::from_uuid(Uuid::from_u128(ID)));
    let expected = match lines[..] {
        [line] => reference(line),
        _ => None,
    };
    let found = trace
        .is_continued()
        .then(|| (format!("{:032x}", trace.trace_id), trace.flags));
    ensure!(
        found == expected,
        "{} goes on as {found:?}, expected {expected:?}",
        bytes.escape_ascii()
    );
    // Ours is one that everybody can read.
    let ours = Traceparent { trace, span_id: 1 }.to_string();
    ensure!(
        read(ours.as_bytes()).is_some(),
        "{} became `{ours}`",
        bytes.escape_ascii()
    );
    Ok(())
}

/// Trace id and flags, character by character.
pub(crate) fn read(line: &[u8]) -> Option<(String, u8)> {
    let text = std::str::from_utf8(line).ok()?.trim_matches([' ', '\t']);
    // `0` stands for a hex digit.
    let shape = "00-00000000000000000000000000000000-0000000000000000-00";
    let is_hex = |c: char| matches!(c, '0'..='9' | 'a'..='f');
    let fits = |(wanted, c): (char, char)| if wanted == '-' { c == '-' } else { is_hex(c) };
    let head: String = text.chars().take(55).collect();
    if head.len() != 55 || !shape.chars().zip(head.chars()).all(fits) {
        return None;
    }
    let is_longer = text.len() > 55;
    let is_zero = |it: &str| it.chars().all(|c| c == '0');
    let (version, trace_id, parent_id) = (&text[..2], &text[3..35], &text[36..52]);
    if version == "ff" || is_zero(trace_id) || is_zero(parent_id) {
        return None;
    }
    if is_longer && (version == "00" || text.as_bytes()[55] != b'-') {
        return None;
    }
    Some((
        trace_id.to_owned(),
        u8::from_str_radix(&text[53..55], 16).ok()? & 3,
    ))
}

fn seeds(_: &Path) -> Vec<Vec<u8>> {
    [
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-ff-more",
        "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        " 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00\n",
        "00-+bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "",
    ]
    .into_iter()
    .map(|it| it.as_bytes().to_vec())
    .collect()
}
