//! Secret bytes that no log, error or debug print can show.

use std::fmt;

use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// Bytes that are wiped from memory when dropped and never printed.
///
/// It has no `==`: secrets are compared in constant time, in `provider` alone.
#[derive(Clone)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(Zeroizing::new(bytes.into()))
    }

    /// The bytes themselves. Whoever calls this answers for where they go.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// The bytes as text, where they are UTF-8.
    pub fn expose_str(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }

    /// The first eight hexadecimal digits of its SHA-256: tells two secrets apart, and is too little to guess one by.
    /// `printf %s "$SECRET" | sha256sum | cut -c1-8` says the same.
    pub fn fingerprint(&self) -> String {
        hex::encode(&Sha256::digest(&*self.0)[..4])
    }

    pub fn is_blank(&self) -> bool {
        self.0.iter().all(u8::is_ascii_whitespace)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_what_a_shell_says() {
        // printf %s whsec_0123456789abcdef0123 | sha256sum | cut -c1-8
        assert_eq!(
            Secret::new(&b"whsec_0123456789abcdef0123"[..]).fingerprint(),
            "c8db06a9"
        );
    }
}
