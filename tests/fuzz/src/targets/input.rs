//! An input, cut into the parts that a target needs.

/// Numbers stand in front, then texts that end in a NUL, which no header can hold. What is missing is zero or empty, so
/// that every input means something.
pub(super) struct Input<'a> {
    rest: &'a [u8],
}

impl<'a> Input<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(super) fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.rest.split_first() else {
            return 0;
        };
        self.rest = rest;
        *first
    }

    pub(super) fn array<const N: usize>(&mut self) -> [u8; N] {
        std::array::from_fn(|_| self.byte())
    }

    /// One of some things.
    pub(super) fn pick<'t, T>(&mut self, things: &'t [T]) -> &'t T {
        &things[usize::from(self.byte()) % things.len()]
    }

    /// What stands before the next NUL.
    pub(super) fn text(&mut self) -> &'a [u8] {
        let end = self.rest.iter().position(|it| *it == 0);
        let (text, rest) = match end {
            Some(end) => (&self.rest[..end], &self.rest[end + 1..]),
            None => (self.rest, &b""[..]),
        };
        self.rest = rest;
        text
    }

    /// The same where it is UTF-8, else nothing.
    pub(super) fn utf8(&mut self) -> &'a str {
        std::str::from_utf8(self.text()).unwrap_or_default()
    }

    pub(super) fn rest(self) -> &'a [u8] {
        self.rest
    }
}

/// An input made of parts, for seeds.
pub(super) fn joined(numbers: &[u8], texts: &[&[u8]]) -> Vec<u8> {
    let mut bytes = numbers.to_vec();
    bytes.extend(texts.join(&0));
    bytes
}
