//! Who may use the admin side.
//!
//! A bearer token, of the config or of the store, or the session of a browser that logged in with one: `known` and `session`
//! tell them, `role` says what each may do, `origin` keeps other sites' pages out. Without any token the side is open on loopback, where
//! a browser's other pages are the danger (DNS rebinding, cross-site posts), and closed elsewhere.
//!
//! A token and a session are looked up for each request, so that what is revoked opens nothing from that moment on, on any
//! replica. The admin side is not hot.

pub(crate) mod attempts;
pub(crate) mod known;
pub(crate) mod origin;
pub(crate) mod role;
pub(crate) mod session;

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use http::{HeaderMap, HeaderValue, StatusCode, header};
use ipnet::IpNet;
use sha2::{Digest as _, Sha256};
use tokio::{sync::Mutex, time::Instant};
use tokio_util::task::TaskTracker;

use crate::{
    base::{clock::Timestamp, ids::TokenId, secret::Secret},
    store::{
        Store,
        access::{Digest, NewSession, Person, StoredToken, USE_STEP},
        clock::StoreClock,
        error::StoreError,
    },
    web::{
        AdminSettings, Role,
        auth::{
            attempts::{Attempt, Attempts},
            known::{KnownTokens, SetupToken},
            session::Cookie,
        },
        client,
        error::Problem,
        oidc,
    },
};

/// What every token that gatepost makes begins with, so that scanners of secrets know it.
const PREFIX: &str = "gp_";

/// The name of who asks without a token, on a loopback side that has none.
pub(crate) const NOBODY: &str = "local";
/// The name of who makes the first token, on a side that has none.
pub(crate) const SETUP: &str = "setup";
/// How long there is for it.
const SETUP_FOR: Duration = Duration::from_hours(1);
/// For how long it is not asked again whether there is no admin yet, and how long the answer may take.
const ASK_EVERY: Duration = Duration::from_secs(1);

/// The rule of one admin side.
#[derive(Debug)]
pub(crate) struct Auth {
    known: KnownTokens,
    /// The rules of single sign-on, where there is one.
    sign_on: Option<[u8; 32]>,
    setup: Option<SetupToken>,
    listen: IpAddr,
    trusted_proxies: Vec<IpNet>,
    store: Store,
    clock: StoreClock,
    attempts: Attempts,
    /// Whether the store has no token of an admin, as it was found last.
    has_no_admin: Mutex<Option<(Instant, bool)>>,
    /// What is written down of a use, off its request's way.
    notes: TaskTracker,
}

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Caller {
    /// Of the token.
    pub(crate) name: Arc<str>,
    pub(crate) role: Role,
    pub(crate) pass: Pass,
}

/// What a caller showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pass {
    /// Nothing, where nothing is asked for.
    Open,
    Token,
    /// A session's cookie, which a browser sends by itself: see `origin`.
    Cookie,
}

/// Whether a look counts as a use: a page that is left open must not keep its session alive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Use {
    Noted,
    None,
}

/// Whose a token is.
#[derive(Debug, Clone)]
pub(crate) struct Holder {
    pub(crate) name: Arc<str>,
    pub(crate) role: Role,
    /// `None`: it stands in the config.
    id: Option<TokenId>,
}

impl Auth {
    /// `setup`: what may make the first token of an admin, within an hour.
    pub(crate) fn new(
        settings: &AdminSettings,
        setup: Option<&Secret>,
        trusted_proxies: &[IpNet],
        store: Store,
        clock: StoreClock,
    ) -> Self {
        let until = clock.now().plus(SETUP_FOR);
        Self {
            known: KnownTokens::new(&settings.tokens),
            sign_on: settings.oidc.as_ref().map(oidc::Settings::fingerprint),
            setup: setup.map(|it| SetupToken::new(it, until)),
            listen: settings.listen.ip().to_canonical(),
            trusted_proxies: trusted_proxies.to_vec(),
            store,
            clock,
            attempts: Attempts::default(),
            has_no_admin: Mutex::new(None),
            notes: TaskTracker::new(),
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Whether a token of the config has this name.
    pub(crate) fn is_configured(&self, name: &str) -> bool {
        self.known.has_name(name)
    }

    /// Names and roles of the tokens of the config.
    pub(crate) fn configured(&self) -> impl Iterator<Item = (&Arc<str>, Role)> {
        self.known.names()
    }

    /// Who asks, or why nobody may.
    pub(crate) async fn caller(&self, headers: &HeaderMap) -> Result<Caller, Problem> {
        self.look(headers, Use::Noted).await
    }

    /// Whether who was let in with these headers would be no more: for answers that stay open.
    pub(crate) async fn is_over(&self, headers: &HeaderMap) -> bool {
        let found = self.look(headers, Use::None).await;
        found.is_err_and(|it| it.status.is_client_error())
    }

    async fn look(&self, headers: &HeaderMap, counts: Use) -> Result<Caller, Problem> {
        let given = headers.get(header::AUTHORIZATION).map(HeaderValue::as_bytes);
        let token = given.and_then(bearer);
        if let Some(token) = token
            && let Some(holder) = self.holder(token, counts).await?
        {
            return Ok(holder.into_caller(Pass::Token));
        }
        // Who shows a token means that token, not whatever its browser holds.
        if given.is_none()
            && let Some(cookie) = Cookie::of(headers)
            && let Some(holder) = self.session_holder(&cookie, counts).await?
        {
            return Ok(holder.into_caller(Pass::Cookie));
        }
        self.check_open(headers, token.is_some()).await?;
        Ok(Caller {
            name: NOBODY.into(),
            role: Role::Admin,
            pass: Pass::Open,
        })
    }

    /// Whose this token is, if it opens anything.
    async fn holder(&self, token: &[u8], counts: Use) -> Result<Option<Holder>, StoreError> {
        let hash: [u8; 32] = Sha256::digest(token).into();
        if let Some(holder) = self.known.find(&hash) {
            return Ok(Some(holder));
        }
        if let Some(setup) = self.setup.as_ref().filter(|it| it.is(&hash)) {
            // Good until there is an admin who can make others.
            let is_good = self.now() < setup.until && self.has_no_admin().await?;
            return Ok(is_good.then(|| Holder {
                name: SETUP.into(),
                role: Role::Admin,
                id: None,
            }));
        }
        if !token.starts_with(PREFIX.as_bytes()) {
            return Ok(None);
        }
        let stored = self.store.token_of(Digest(hash)).await?;
        Ok(stored.and_then(|it| self.live_holder(it, counts)))
    }

    async fn session_holder(&self, cookie: &Cookie, counts: Use) -> Result<Option<Holder>, StoreError> {
        let Some(session) = self.store.session(cookie.digest()).await? else {
            return Ok(None);
        };
        let now = self.now();
        if !session::is_live(session.created_at, session.seen_at, now) {
            return Ok(None);
        }
        let holder = match session.token_id {
            // Gone with its token, whatever became of that.
            Some(_) => session.token.and_then(|it| self.live_holder(it, counts)),
            None => match session.person {
                Some(person) => self.live_person(cookie, &session.proof, person),
                None => self.known.find_by_proof(cookie, &session.proof),
            },
        };
        if holder.is_some() && counts == Use::Noted && now.since(session.seen_at) >= USE_STEP {
            let (store, hash) = (self.store.clone(), cookie.digest());
            self.note(async move { store.use_session(hash, now).await });
        }
        Ok(holder)
    }

    fn live_holder(&self, token: StoredToken, counts: Use) -> Option<Holder> {
        let now = self.now();
        // A role of a later gatepost opens nothing here.
        let role = Role::parse(&token.role).filter(|_| token.is_live(now))?;
        if counts == Use::Noted && token.used_at.is_none_or(|it| now.since(it) >= USE_STEP) {
            let (store, id) = (self.store.clone(), token.id);
            self.note(async move { store.use_token(id, now).await });
        }
        Some(Holder {
            name: token.name.into(),
            role,
            id: Some(token.id),
        })
    }

    /// Gone with the rules by which the session was opened.
    fn live_person(&self, cookie: &Cookie, proof: &[u8], person: Person) -> Option<Holder> {
        let rules = self.sign_on.as_ref()?;
        Some(Holder {
            role: Role::parse(&person.role).filter(|_| known::is_proof(cookie, rules, proof))?,
            name: person.name.into(),
            id: None,
        })
    }

    fn note(&self, work: impl Future<Output = Result<(), StoreError>> + Send + 'static) {
        self.notes.spawn(async move {
            if let Err(error) = work.await {
                tracing::warn!("could not write down the use of a token: {error}");
            }
        });
    }

    /// Whether who shows nothing is let in.
    async fn check_open(&self, headers: &HeaderMap, has_token: bool) -> Result<(), Problem> {
        let unknown = || {
            unauthorized(if has_token {
                "this token is not known"
            } else {
                "this needs `authorization: Bearer TOKEN`, or a login at `/login`"
            })
        };
        if !self.known.is_empty() || self.sign_on.is_some() {
            return Err(unknown());
        }
        if !self.listen.is_loopback() || !self.has_no_admin().await? {
            return Err(unknown());
        }
        if origin::is_own_host(headers, self.listen) {
            return Ok(());
        }
        Err(Problem::forbidden(
            "without a token the `host` must be `localhost` or a loopback address",
        ))
    }

    /// The first token of an admin closes an open side for good, also where it was revoked or has expired since: an end of access must
    /// never give more of it. A token of the config is the way back in.
    async fn has_no_admin(&self) -> Result<bool, StoreError> {
        // Held while the store answers: who asks meanwhile shares the answer.
        let mut found = self.has_no_admin.lock().await;
        if let Some((at, has_none)) = *found
            && (!has_none || at.elapsed() < ASK_EVERY)
        {
            return Ok(has_none);
        }
        let asked = tokio::time::timeout(ASK_EVERY, self.store.had_token(Role::Admin.as_str())).await;
        let has_none = match (asked, *found) {
            (Ok(Ok(had_one)), _) => !had_one,
            // A store that is away must not close the view of what is wrong.
            (_, Some((_, has_none))) => has_none,
            (Ok(Err(error)), None) => return Err(error),
            (Err(_), None) => {
                return Err(StoreError::Unavailable {
                    reason: format!("no answer within {ASK_EVERY:?}"),
                    source: None,
                });
            }
        };
        *found = Some((Instant::now(), has_none));
        Ok(has_none)
    }

    /// A token was made: the next request looks anew.
    pub(crate) async fn look_anew(&self) {
        *self.has_no_admin.lock().await = None;
    }

    /// Opens a session for whoever has this token, and ends the one that the browser had: each login has an id of its own.
    pub(crate) async fn log_in(
        &self,
        token: &[u8],
        from: IpAddr,
        old: Option<Cookie>,
    ) -> Result<(Holder, Cookie), Problem> {
        let attempt = self.begin_attempt(from)?;
        let hash: [u8; 32] = Sha256::digest(token).into();
        let Some(holder) = self
            .holder(token, Use::Noted)
            .await
            .inspect_err(|_| attempt.forgive())?
        else {
            return Err(unauthorized("this token is not known"));
        };
        attempt.forgive();
        if holder.role == Role::Consumer {
            return Err(Problem::forbidden(
                "a token with the role `consumer` is for queues alone",
            ));
        }
        if holder.id.is_none() && &*holder.name == SETUP {
            return Err(Problem::forbidden(
                "this token is there to make the first one with: `gatepost tokens create`",
            ));
        }
        if let Some(old) = old {
            self.log_out(&old).await?;
        }
        let (cookie, now) = (Cookie::new(), self.now());
        let new = NewSession {
            hash: cookie.digest(),
            token_id: holder.id,
            person: None,
            proof: cookie.proof(&hash),
        };
        self.store.open_session(new, session::over(now), now).await?;
        Ok((holder, cookie))
    }

    /// A login that counts as failed unless it is forgiven.
    pub(crate) fn begin_attempt(&self, from: IpAddr) -> Result<Attempt<'_>, Problem> {
        self.attempts.begin(from, Instant::now()).map_err(too_many)
    }

    /// Opens a session for somebody whom the provider of single sign-on knows.
    pub(crate) async fn open_for(&self, person: Person) -> Result<Cookie, Problem> {
        let rules = self.sign_on.as_ref();
        let rules = rules.ok_or_else(|| Problem::forbidden("single sign-on is not configured"))?;
        let (cookie, now) = (Cookie::new(), self.now());
        let new = NewSession {
            hash: cookie.digest(),
            token_id: None,
            person: Some(person),
            proof: cookie.proof(rules),
        };
        self.store.open_session(new, session::over(now), now).await?;
        Ok(cookie)
    }

    pub(crate) async fn log_out(&self, cookie: &Cookie) -> Result<(), StoreError> {
        self.store.end_session(cookie.digest()).await.map(drop)
    }

    /// The client's address, as far as the proxies that are trusted say it.
    pub(crate) fn client(&self, peer: SocketAddr, headers: &HeaderMap) -> IpAddr {
        client::address(peer, headers, &self.trusted_proxies)
    }

    /// Whether the browser reaches this side over HTTPS, as far as that can be known: its own word (a page cannot forge
    /// `Origin`), or a trusted proxy's. This listener itself speaks plain HTTP.
    pub(crate) fn is_https(&self, peer: SocketAddr, headers: &HeaderMap) -> bool {
        let peer = peer.ip().to_canonical();
        let is_proxy = self.trusted_proxies.iter().any(|it| it.contains(&peer));
        let proto = headers.get("x-forwarded-proto").filter(|_| is_proxy);
        proto.is_some_and(|it| it.as_bytes().eq_ignore_ascii_case(b"https"))
            || headers
                .get(header::ORIGIN)
                .is_some_and(|it| it.as_bytes().starts_with(b"https://"))
    }
}

impl Holder {
    fn into_caller(self, pass: Pass) -> Caller {
        Caller {
            name: self.name,
            role: self.role,
            pass,
        }
    }
}

/// A new token: 256 random bits.
pub(crate) fn mint() -> Secret {
    let bits: [u8; 32] = rand::random();
    Secret::new(format!("{PREFIX}{}", hex::encode(bits)))
}

fn unauthorized(detail: &'static str) -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", detail)
}

fn too_many(wait: Duration) -> Problem {
    Problem::new(
        StatusCode::TOO_MANY_REQUESTS,
        "too_many_attempts",
        "too many logins failed within a minute; wait, then try again",
    )
    .retry_after(wait)
}

fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = value.split_at_checked(7)?;
    let token = token.trim_ascii();
    (scheme.eq_ignore_ascii_case(b"bearer ") && !token.is_empty()).then_some(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_long_random_and_fits_into_a_header() {
        let (one, two) = (mint(), mint());
        let text = one.expose_str().unwrap();
        assert_ne!(text, two.expose_str().unwrap());
        assert_eq!(text.len(), 3 + 64);
        assert!(text.starts_with("gp_") && text.bytes().all(|it| it.is_ascii_graphic()));
    }

    #[test]
    fn a_bearer_token_is_what_stands_after_its_scheme() {
        let check = |value: &str, expected: Option<&str>| {
            assert_eq!(bearer(value.as_bytes()), expected.map(str::as_bytes), "{value}");
        };
        check("Bearer abc", Some("abc"));
        check("bearer  abc ", Some("abc"));
        for wrong in [
            "",
            "Bearer",
            "Bearer ",
            "Bearer  ",
            "Basic abc",
            "abc",
            "Bearerabc",
        ] {
            check(wrong, None);
        }
    }
}
