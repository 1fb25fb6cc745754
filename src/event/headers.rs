//! HTTP headers as they arrived: order, duplicates and bytes kept.

use std::fmt;

use bytes::{BufMut, Bytes, BytesMut};

/// A list of headers in one buffer, so that keeping them costs one allocation and storing them costs none.
///
/// The encoding, which is also what the store keeps: for each header the length of its name (2 bytes, big-endian), the
/// length of its value (4 bytes), the name in lower case, the value.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Headers(Bytes);

/// The stored bytes are not a list of headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("stored headers are damaged at byte {at}")]
pub struct Damaged {
    pub at: usize,
}

const PREFIX: usize = 6;

impl Headers {
    /// Names are put in lower case. Names over 64 KiB and values over 4 GiB are cut: no limit of ours lets them in.
    pub fn from_pairs<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Self {
        let mut buffer = BytesMut::with_capacity(1024);
        for (name, value) in pairs {
            let name_len = u16::try_from(name.len()).unwrap_or(u16::MAX);
            let value_len = u32::try_from(value.len()).unwrap_or(u32::MAX);
            buffer.put_u16(name_len);
            buffer.put_u32(value_len);
            buffer.extend(
                name.as_bytes()[..usize::from(name_len)]
                    .iter()
                    .map(u8::to_ascii_lowercase),
            );
            buffer.put_slice(&value[..value_len as usize]);
        }
        Self(buffer.freeze())
    }

    /// Reads what `as_encoded` gave. Checks the whole of it, so that `iter` cannot fail.
    pub fn from_encoded(encoded: Bytes) -> Result<Self, Damaged> {
        let mut at = 0;
        while at < encoded.len() {
            let (name, value) = split(&encoded, at).ok_or(Damaged { at })?;
            if std::str::from_utf8(name).is_err() {
                return Err(Damaged { at });
            }
            at += PREFIX + name.len() + value.len();
        }
        Ok(Self(encoded))
    }

    pub const fn as_encoded(&self) -> &Bytes {
        &self.0
    }

    /// Names in lower case with their values, in the order of arrival.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.pairs()
            .map(|(name, value)| (std::str::from_utf8(name).unwrap_or_default(), value))
    }

    /// All values of one header; `name` in lower case.
    pub fn all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        self.pairs()
            .filter(move |(it, _)| *it == name.as_bytes())
            .map(|(_, value)| value)
    }

    /// The first value of one header; `name` in lower case.
    pub fn first(&self, name: &str) -> Option<&[u8]> {
        self.all(name).next()
    }

    /// Names as bytes: whoever looks for one of them need not know that they are text.
    fn pairs(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let mut at = 0;
        std::iter::from_fn(move || {
            let (name, value) = split(&self.0, at)?;
            at += PREFIX + name.len() + value.len();
            Some((name, value))
        })
    }

    /// The first value of one header where it is UTF-8.
    pub fn first_str(&self, name: &str) -> Option<&str> {
        std::str::from_utf8(self.first(name)?).ok()
    }

    pub fn len(&self) -> usize {
        self.iter().count()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn split(encoded: &[u8], at: usize) -> Option<(&[u8], &[u8])> {
    let prefix = encoded.get(at..at + PREFIX)?;
    let name_len = usize::from(u16::from_be_bytes([prefix[0], prefix[1]]));
    let value_len = u32::from_be_bytes([prefix[2], prefix[3], prefix[4], prefix[5]]) as usize;
    let name_at = at + PREFIX;
    let value_at = name_at + name_len;
    Some((
        encoded.get(name_at..value_at)?,
        encoded.get(value_at..value_at.checked_add(value_len)?)?,
    ))
}

/// Names only: values hold signatures and tokens.
impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter().map(|(name, _)| name)).finish()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn order_duplicates_and_bytes_are_kept() {
        let pairs: &[(&str, &[u8])] = &[("x-b", b"1"), ("X-A", b""), ("x-b", b"\xff\x00")];
        let headers = Headers::from_pairs(pairs.iter().copied());
        let read = Headers::from_encoded(headers.as_encoded().clone()).unwrap();
        let back: Vec<_> = read.iter().collect();
        assert_eq!(back, [("x-b", &b"1"[..]), ("x-a", b""), ("x-b", b"\xff\x00")]);
        assert_eq!(read.all("x-b").count(), 2);
    }

    #[test]
    fn every_damaged_prefix_is_noticed() {
        let whole = Headers::from_pairs([("name", &b"value"[..])])
            .as_encoded()
            .clone();
        for len in 1..whole.len() {
            assert_eq!(
                Headers::from_encoded(whole.slice(..len)),
                Err(Damaged { at: 0 }),
                "{len}"
            );
        }
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_read_back(pairs: Vec<(String, Vec<u8>)>) {
            let headers = Headers::from_pairs(pairs.iter().map(|(name, value)| (name.as_str(), &value[..])));
            let read = Headers::from_encoded(headers.as_encoded().clone()).unwrap();
            let back: Vec<_> = read
                .iter()
                .map(|(name, value)| (name.to_owned(), value.to_vec()))
                .collect();
            let wanted: Vec<_> = pairs
                .into_iter()
                .map(|(name, value)| (name.to_ascii_lowercase(), value))
                .collect();
            prop_assert_eq!(back, wanted);
        }

        #[test]
        fn e21_no_bytes_panic_and_what_is_taken_is_kept(bytes: Vec<u8>) {
            if let Ok(read) = Headers::from_encoded(bytes.clone().into()) {
                let lens = read.iter().map(|(name, value)| PREFIX + name.len() + value.len());
                prop_assert_eq!(lens.sum::<usize>(), bytes.len());
                prop_assert_eq!(&read.as_encoded()[..], &bytes[..]);
            }
        }
    }
}
