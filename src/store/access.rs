//! Who may use the admin side, as far as the store knows: tokens that were made there, and the sessions of browsers.
//!
//! It holds hashes alone. What a role allows is `web`'s to say, in whose words it stands here.

use std::{sync::Arc, time::Duration};

use crate::{
    base::{clock::Timestamp, ids::TokenId},
    store::{Engine, Store, detached, error::StoreError, run},
};

/// SHA-256 of a token, or of what is in a session's cookie.
#[derive(Debug, Clone, Copy)]
pub struct Digest(pub [u8; 32]);

/// The last use is written down to the minute: a write for each would cost more than it tells.
pub const USE_STEP: Duration = Duration::from_mins(1);

/// The most tokens that are listed.
pub const MAX_TOKENS: u32 = 1_000;

/// A token to keep.
#[derive(Debug, Clone)]
pub struct NewToken {
    pub id: TokenId,
    pub name: String,
    pub hash: Digest,
    pub role: String,
    /// The name of the token that asked for it.
    pub made_by: String,
    pub expires_at: Option<Timestamp>,
}

/// A token that was made while gatepost ran.
#[derive(Debug, Clone)]
pub struct StoredToken {
    pub id: TokenId,
    pub name: String,
    pub role: String,
    pub made_by: String,
    pub created_at: Timestamp,
    pub expires_at: Option<Timestamp>,
    /// To the minute.
    pub used_at: Option<Timestamp>,
    pub revoked_at: Option<Timestamp>,
}

impl StoredToken {
    /// Whether it opens anything now.
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|it| now < it)
    }
}

/// A session to keep.
#[derive(Debug, Clone)]
pub struct NewSession {
    pub hash: Digest,
    /// `None`: it was opened with a token of the config, and `proof` tells with which one, or by `person`.
    pub token_id: Option<TokenId>,
    /// Who logged in by single sign-on, and `proof` tells by which rules.
    pub person: Option<Person>,
    pub proof: [u8; 32],
}

/// Somebody whom an OpenID provider knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    pub name: String,
    /// As it was at the login.
    pub role: String,
}

/// A browser that logged in.
#[derive(Debug, Clone)]
pub struct Session {
    pub token_id: Option<TokenId>,
    /// The token of that id, as it is today.
    pub token: Option<StoredToken>,
    pub person: Option<Person>,
    pub proof: Vec<u8>,
    pub created_at: Timestamp,
    /// To the minute.
    pub seen_at: Timestamp,
}

/// Sessions that are over: opened, or last used, before these times.
#[derive(Debug, Clone, Copy)]
pub struct Over {
    pub created_before: Timestamp,
    pub seen_before: Timestamp,
}

impl Store {
    /// Keeps a token. `Conflict` where another that is not revoked has the name.
    pub async fn create_token(&self, new: NewToken, now: Timestamp) -> Result<StoredToken, StoreError> {
        let name = new.name.clone();
        let made = run!(self, create_token(new, now))?;
        made.ok_or_else(|| StoreError::Conflict {
            what: "a token named",
            id: name,
            status: "there already".to_owned(),
            wanted: "made",
        })
    }

    /// Newest first, the revoked ones too; at most `MAX_TOKENS`.
    pub async fn tokens(&self) -> Result<Vec<StoredToken>, StoreError> {
        run!(self, tokens())
    }

    /// The token of this hash, whether it is live or not.
    pub async fn token_of(&self, hash: Digest) -> Result<Option<StoredToken>, StoreError> {
        run!(self, token_of(hash))
    }

    /// Whether a token of this role was ever made here.
    pub async fn had_token(&self, role: &'static str) -> Result<bool, StoreError> {
        run!(self, had_token(role))
    }

    /// From its answer on the token opens nothing, anywhere. One that was revoked before stays as it is.
    pub async fn revoke_token(&self, id: TokenId, now: Timestamp) -> Result<StoredToken, StoreError> {
        let revoked = run!(self, revoke_token(id, now))?;
        revoked.ok_or_else(|| StoreError::NotFound {
            what: "token",
            id: id.to_string(),
        })
    }

    /// Notes that a token was used, unless that was noted within `USE_STEP`.
    pub async fn use_token(&self, id: TokenId, now: Timestamp) -> Result<(), StoreError> {
        run!(self, use_token(id, now))
    }

    /// Keeps a session, and forgets those that are over.
    pub async fn open_session(&self, new: NewSession, over: Over, now: Timestamp) -> Result<(), StoreError> {
        run!(self, open_session(new, over, now))
    }

    /// The session of this hash, whether it is over or not.
    pub async fn session(&self, hash: Digest) -> Result<Option<Session>, StoreError> {
        run!(self, session(hash))
    }

    /// Notes that a session was used, unless that was noted within `USE_STEP`.
    pub async fn use_session(&self, hash: Digest, now: Timestamp) -> Result<(), StoreError> {
        run!(self, use_session(hash, now))
    }

    /// Forgets a session. Whether it was there.
    pub async fn end_session(&self, hash: Digest) -> Result<bool, StoreError> {
        run!(self, end_session(hash))
    }
}
