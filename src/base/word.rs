//! Words that a newer version wrote into the store that this one shares with it.
//!
//! While replicas are brought up to date one after the other, the old ones read what the new ones write. A word that they do not
//! know (an origin, a status) is carried along and shown as it is; only what is no word at all is damage.

use std::{
    fmt,
    sync::{Mutex, PoisonError},
};

/// One of them: of lower-case letters, digits, `-` and `_`, no longer than 32. Copied like those that are known.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Word(&'static str);

/// A version knows a handful more than the one before. Past so many it is no version that speaks.
const MAX_WORDS: usize = 64;
const MAX_LEN: usize = 32;

/// Those that were met, kept while the process lives.
static MET: Words = Words(Mutex::new(Vec::new()));

struct Words(Mutex<Vec<&'static str>>);

impl Words {
    /// `None`: there are enough.
    fn keep(&self, text: &str) -> Option<Word> {
        let mut words = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = words.iter().find(|it| **it == text) {
            return Some(Word(known));
        }
        if words.len() >= MAX_WORDS {
            return None;
        }
        let kept: &'static str = Box::leak(text.into());
        words.push(kept);
        Some(Word(kept))
    }
}

impl Word {
    /// `None`: it is no word, or too many were met.
    pub fn new(text: &str) -> Option<Self> {
        is_word(text).then(|| MET.keep(text)).flatten()
    }

    pub const fn as_str(self) -> &'static str {
        self.0
    }
}

fn is_word(text: &str) -> bool {
    let is_of_word = |it: u8| it.is_ascii_lowercase() || it.is_ascii_digit() || matches!(it, b'-' | b'_');
    text.len() <= MAX_LEN
        && text.starts_with(|it: char| it.is_ascii_lowercase())
        && text.bytes().all(is_of_word)
}

impl fmt::Debug for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_what_a_version_would_write() {
        for text in ["parked", "strict-hold", "a", "v2_b"] {
            assert_eq!(Word::new(text).map(Word::as_str), Some(text));
        }
        let long = "x".repeat(MAX_LEN + 1);
        for text in ["", "Parked", "two words", "é", "-a", "2", "a\n", "a\0", &long] {
            assert_eq!(Word::new(text), None, "{text:?}");
        }
    }

    #[test]
    fn they_are_kept_once_and_not_without_end() {
        let words = Words(Mutex::new(Vec::new()));
        for round in 0..2 {
            for n in 0..MAX_WORDS {
                assert!(words.keep(&format!("w{n}")).is_some(), "{round}");
            }
        }
        assert_eq!(words.keep("one-more"), None);
        assert_eq!(words.0.lock().unwrap().len(), MAX_WORDS);
    }
}
