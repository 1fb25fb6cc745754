//! Patterns of event types: literal text, and `*` for any run of characters.

/// A compiled pattern. Matching looks at each piece of text at most once per literal part, so no pattern is slow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Glob {
    /// `*` alone: every event, also one without a type.
    Everything,
    Exact(Box<str>),
    /// The literal parts around the stars. The first is where the text starts, the last where it ends.
    Parts {
        first: Box<str>,
        middle: Box<[Box<str>]>,
        last: Box<str>,
    },
}

impl Glob {
    /// A run of stars is one star.
    pub fn new(pattern: &str) -> Self {
        let Some((first, rest)) = pattern.split_once('*') else {
            return Self::Exact(pattern.into());
        };
        let (middle, last) = rest.rsplit_once('*').unwrap_or(("", rest));
        let middle: Box<[Box<str>]> = middle
            .split('*')
            .filter(|it| !it.is_empty())
            .map(Into::into)
            .collect();
        if first.is_empty() && middle.is_empty() && last.is_empty() {
            return Self::Everything;
        }
        Self::Parts {
            first: first.into(),
            middle,
            last: last.into(),
        }
    }

    pub fn matches(&self, text: &str) -> bool {
        match self {
            Self::Everything => true,
            Self::Exact(literal) => &**literal == text,
            Self::Parts { first, middle, last } => {
                let inner = text
                    .strip_prefix(&**first)
                    .and_then(|rest| rest.strip_suffix(&**last));
                let Some(mut rest) = inner else {
                    return false;
                };
                // The leftmost place of each part leaves the most room for those after it, so there is nothing to go
                // back to.
                for part in middle {
                    let Some(at) = rest.find(&**part) else {
                        return false;
                    };
                    rest = &rest[at + part.len()..];
                }
                true
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_star_stands_for_any_run_of_characters() {
        let cases = [
            ("payment_intent.*", "payment_intent.succeeded", true),
            ("payment_intent.*", "payment_intent.", true),
            ("payment_intent.*", "payment_intent", false),
            ("*.created", "customer.created", true),
            ("*.created", "customer.created.v2", false),
            ("a*a", "a", false),
            ("a*a", "aa", true),
            ("a*b*a", "aba", true),
            ("a*b*a", "aa", false),
            ("*ab*ab*", "abab", true),
            ("*ab*ab*", "aba", false),
            ("push", "push", true),
            ("push", "Push", false),
            ("push", "push.extra", false),
            ("é*ü", "éöü", true),
            ("**", "", true),
            ("*", "anything", true),
        ];
        for (pattern, text, expected) in cases {
            assert_eq!(
                Glob::new(pattern).matches(text),
                expected,
                "`{pattern}` on `{text}`"
            );
        }
    }

    #[test]
    fn a_hostile_pattern_is_not_slow() {
        // A matcher that goes back for every star would take 2^n steps here.
        let pattern = format!("{}b", "a*".repeat(2_000));
        let text = "a".repeat(20_000);
        assert!(!Glob::new(&pattern).matches(&text));
    }

    /// The definition, word for word: exponential, and plainly right.
    fn reference(pattern: &[char], text: &[char]) -> bool {
        match (pattern.first(), text.first()) {
            (None, None) => true,
            (Some('*'), _) => {
                reference(&pattern[1..], text) || (!text.is_empty() && reference(pattern, &text[1..]))
            }
            (Some(wanted), Some(found)) => wanted == found && reference(&pattern[1..], &text[1..]),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn agrees_with_the_definition(pattern in "[ab*é]{0,8}", text in "[abé]{0,10}") {
            let wanted = reference(&pattern.chars().collect::<Vec<_>>(), &text.chars().collect::<Vec<_>>());
            prop_assert_eq!(Glob::new(&pattern).matches(&text), wanted);
        }

        #[test]
        fn no_text_or_pattern_panics(pattern: String, text: String) {
            let _ = Glob::new(&pattern).matches(&text);
        }
    }
}
