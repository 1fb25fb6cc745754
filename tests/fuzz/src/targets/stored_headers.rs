//! Headers as the store keeps them: whatever is read is read whole, or said to be damaged.

use std::path::Path;

use bytes::Bytes;
use gatepost::event::headers::Headers;

use super::{Target, Verdict, input::Input};

pub const TARGET: Target = Target {
    name: "stored_headers",
    run: |bytes| compare(read, bytes),
    seeds,
};

type Pairs = Vec<(String, Vec<u8>)>;

pub(crate) fn compare(reference: fn(&[u8]) -> Option<Pairs>, bytes: &[u8]) -> Verdict {
    let found = Headers::from_encoded(Bytes::copy_from_slice(bytes));
    let expected = reference(bytes);
    let pairs = found.as_ref().ok().map(pairs_of);
    ensure!(
        pairs == expected,
        "{} is read as {pairs:?}, expected {expected:?}",
        bytes.escape_ascii()
    );

    // The other way, with the same bytes as names and values.
    let mut input = Input::new(bytes);
    let written: Pairs = (0..4)
        .map(|_| (input.utf8().to_owned(), input.text().to_vec()))
        .collect();
    let headers = Headers::from_pairs(written.iter().map(|(name, value)| (name.as_str(), &value[..])));
    let lower = |(name, value): (String, Vec<u8>)| (name.to_ascii_lowercase(), value);
    let written: Pairs = written.into_iter().map(lower).collect();
    ensure!(
        pairs_of(&headers) == written,
        "{written:?} became {:?}",
        pairs_of(&headers)
    );
    let again = Headers::from_encoded(headers.as_encoded().clone());
    ensure!(again == Ok(headers), "{written:?} cannot be read again");
    Ok(())
}

fn pairs_of(headers: &Headers) -> Pairs {
    headers
        .iter()
        .map(|(name, value)| (name.to_owned(), value.to_vec()))
        .collect()
}

pub(crate) fn read(mut rest: &[u8]) -> Option<Pairs> {
    let mut pairs = Vec::new();
    while !rest.is_empty() {
        let (name_len, after) = rest.split_first_chunk::<2>()?;
        let (value_len, after) = after.split_first_chunk::<4>()?;
        let (name, after) = after.split_at_checked(u16::from_be_bytes(*name_len).into())?;
        let (value, after) = after.split_at_checked(u32::from_be_bytes(*value_len) as usize)?;
        pairs.push((String::from_utf8(name.to_vec()).ok()?, value.to_vec()));
        rest = after;
    }
    Some(pairs)
}

fn seeds(_: &Path) -> Vec<Vec<u8>> {
    let headers = Headers::from_pairs([("x-a", &b"1"[..]), ("x-b", b""), ("x-a", b"\xff")]);
    vec![
        headers.as_encoded().to_vec(),
        headers.as_encoded()[..20].to_vec(),
        b"X-A\x00value\x00x-b\x00\xff".to_vec(),
    ]
}
