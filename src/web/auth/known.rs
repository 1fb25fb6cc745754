//! The tokens of the config. The one place of this room that compares secrets.

use std::sync::Arc;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::{
    base::{clock::Timestamp, secret::Secret},
    web::{
        Role, Token,
        auth::{Holder, session::Cookie},
    },
};

#[derive(Debug)]
pub(super) struct KnownTokens(Vec<Known>);

/// A token as it is compared: by hash, so that neither its length nor its bytes show in the time that it takes.
#[derive(Debug)]
struct Known {
    name: Arc<str>,
    hash: [u8; 32],
    role: Role,
}

/// What opens a side that has no token yet, to make the first one with. Held in memory alone.
#[derive(Debug)]
pub(super) struct SetupToken {
    hash: [u8; 32],
    pub(super) until: Timestamp,
}

impl SetupToken {
    pub(super) fn new(token: &Secret, until: Timestamp) -> Self {
        Self {
            hash: Sha256::digest(token.expose()).into(),
            until,
        }
    }

    pub(super) fn is(&self, hash: &[u8; 32]) -> bool {
        self.hash.ct_eq(hash).into()
    }
}

impl KnownTokens {
    pub(super) fn new(tokens: &[Token]) -> Self {
        let known = |token: &Token| Known {
            name: token.name.as_str().into(),
            hash: Sha256::digest(token.token.expose()).into(),
            role: token.role,
        };
        // An empty token would let in whoever sends none.
        Self(
            tokens
                .iter()
                .filter(|it| !it.token.is_blank())
                .map(known)
                .collect(),
        )
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn has_name(&self, name: &str) -> bool {
        self.0.iter().any(|it| &*it.name == name)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = (&Arc<str>, Role)> {
        self.0.iter().map(|it| (&it.name, it.role))
    }

    /// The token of this hash; of two names for one token, the one with the higher role.
    pub(super) fn find(&self, hash: &[u8; 32]) -> Option<Holder> {
        self.best(|known| known.hash.ct_eq(hash).into())
    }

    /// The token that a session was opened with.
    pub(super) fn find_by_proof(&self, cookie: &Cookie, proof: &[u8]) -> Option<Holder> {
        self.best(|known| is_proof(cookie, &known.hash, proof))
    }

    fn best(&self, is_it: impl Fn(&Known) -> bool) -> Option<Holder> {
        let mut best: Option<&Known> = None;
        // All of them, so that the time does not tell which one matched.
        for known in &self.0 {
            if is_it(known) && best.is_none_or(|it| it.role < known.role) {
                best = Some(known);
            }
        }
        best.map(|it| Holder {
            name: Arc::clone(&it.name),
            role: it.role,
            id: None,
        })
    }
}

/// Whether a session was opened by what has this hash.
pub(super) fn is_proof(cookie: &Cookie, hash: &[u8; 32], proof: &[u8]) -> bool {
    is_same(&cookie.proof(hash), proof)
}

/// Whether two secrets are one, in a time that does not tell how far.
pub(crate) fn is_same(one: &[u8], other: &[u8]) -> bool {
    one.ct_eq(other).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens() -> KnownTokens {
        let token = |name: &str, token: &str, role| Token {
            name: name.to_owned(),
            token: Secret::new(token),
            role,
        };
        KnownTokens::new(&[
            token("looks", "token-of-viewer", Role::Viewer),
            token("blank", " ", Role::Admin),
            token("ops", "token-of-operator", Role::Operator),
            token("twice", "token-of-viewer", Role::Operator),
        ])
    }

    fn hash(token: &str) -> [u8; 32] {
        Sha256::digest(token).into()
    }

    #[test]
    fn a_token_is_found_with_the_most_that_it_may() {
        let check = |token: &str, expected: Option<(&str, Role)>| {
            let found = tokens()
                .find(&hash(token))
                .map(|it| (it.name.to_string(), it.role));
            assert_eq!(
                found,
                expected.map(|(name, role)| (name.to_owned(), role)),
                "{token}"
            );
        };
        check("token-of-operator", Some(("ops", Role::Operator)));
        check("token-of-viewer", Some(("twice", Role::Operator)));
        for wrong in ["", " ", "token-of-", "token-of-viewer ", "TOKEN-OF-VIEWER"] {
            check(wrong, None);
        }
    }

    #[test]
    fn a_session_is_of_the_token_that_opened_it() {
        let (cookie, other) = (Cookie::new(), Cookie::new());
        let proof = cookie.proof(&hash("token-of-operator"));
        let name = |cookie: &Cookie, proof: &[u8]| tokens().find_by_proof(cookie, proof).map(|it| it.name);
        assert_eq!(name(&cookie, &proof).as_deref(), Some("ops"));
        assert_eq!(name(&other, &proof), None);
        assert_eq!(name(&cookie, &proof[..31]), None);
        assert_eq!(name(&cookie, &cookie.proof(&hash("gone"))), None);
    }
}
