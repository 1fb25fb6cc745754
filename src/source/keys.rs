//! The keys that senders publish, fetched when a request names one that is not at hand, and kept.
//!
//! However many requests name a key, its address is called by one of them at a time, and not again before a while has passed: a
//! stranger who makes up names of keys cannot make us call more often. What is at an address is kept for as long as the sender
//! says, within bounds; a day at most where its address answers no more, for some senders give an event up after a minute. Where
//! there is no key at all the fault is ours, and the sender is told to try again.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use futures_util::{
    FutureExt,
    future::{BoxFuture, Shared},
};
use http::{HeaderMap, header};

use crate::{
    base::clock::{Timestamp, wall_now},
    provider::{
        Key, Refusal,
        published::{Address as At, Form, Found, KeyName},
    },
    source::{
        Received, Request, Source,
        asking::{Asking, NoAnswer, Purpose, too_many},
        receive, receive_with,
    },
};

/// How long keys are kept where their sender says nothing of it, and the bounds of what it may say.
const LIFETIME: Duration = Duration::from_hours(1);
const MIN_LIFETIME: Duration = Duration::from_mins(5);
const MAX_LIFETIME: Duration = Duration::from_hours(24);
/// Between two calls of one address, though a request names a key that was not there.
const PAUSE: Duration = Duration::from_secs(30);
/// The same after a call that failed.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(5);
/// Addresses that are remembered. Those that gave nothing are forgotten first.
const MAX_ADDRESSES: usize = 256;

/// Nothing can be said of a request, because its key cannot be had: our fault, or the publisher's, and never the request's.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the key cannot be had: {0}")]
pub struct Unavailable(String);

/// Why there is no key to verify with.
enum NoKey {
    Unavailable(String),
    /// It was asked for, and there is none of that name.
    Unknown(Refusal),
}

/// A moment by the clock that never jumps, for how long a thing is kept, and by the wall's, for certificates.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    pub instant: Instant,
    pub wall: Timestamp,
}

impl Moment {
    pub fn now() -> Self {
        Self {
            instant: Instant::now(),
            wall: wall_now(),
        }
    }
}

/// The keys at hand. Clones share them.
#[derive(Debug, Clone)]
pub struct Keys {
    asking: Asking,
    /// By the provider and the address.
    addresses: Arc<Mutex<HashMap<String, Address>>>,
}

/// What is known of one address.
#[derive(Debug)]
struct Address {
    kept: Option<Kept>,
    called_at: Instant,
    /// What came of that call, where it was in vain.
    failure: Option<NoAnswer>,
    /// Under way, for everybody who waits for it: it goes on when one of them goes away.
    call: Option<Fetching>,
    used_at: Instant,
}

#[derive(Debug, Clone)]
struct Kept {
    found: Arc<Found>,
    /// When its address is called again.
    fresh_until: Instant,
    /// Until when it serves if that call is in vain.
    usable_until: Instant,
}

type Fetched = Result<Kept, NoAnswer>;
type Fetching = Shared<BoxFuture<'static, Fetched>>;

/// What to do for a request, as things stand.
enum Next {
    Verify(Vec<Key>),
    Wait(Fetching),
    GiveUp(NoKey),
}

impl Keys {
    pub fn new(asking: Asking) -> Self {
        Self {
            asking,
            addresses: Arc::default(),
        }
    }

    pub const fn asking(&self) -> &Asking {
        &self.asking
    }

    /// `source::receive`, with the key that the request names where it needs one. `at` is the time of the check.
    pub async fn receive(
        &self,
        source: &Arc<Source>,
        request: &Request,
        at: Timestamp,
        now: Moment,
    ) -> Result<Received, Unavailable> {
        match receive(source, request, at) {
            Received::NeedsKey(name) => self.receive_named(source, &name, request, at, now).await,
            received => Ok(received),
        }
    }

    /// What becomes of a request that named this key.
    pub async fn receive_named(
        &self,
        source: &Arc<Source>,
        name: &KeyName,
        request: &Request,
        at: Timestamp,
        now: Moment,
    ) -> Result<Received, Unavailable> {
        let place = place_of(source, name);
        let keys = match self.get(&place, source, name, now).await {
            Ok(keys) => keys,
            Err(NoKey::Unknown(refusal)) => return Ok(Received::Rejected(refusal.into())),
            Err(NoKey::Unavailable(problem)) => return Err(Unavailable(problem)),
        };
        let received = receive_with(source, &keys, request, at);
        let is_mismatch = matches!(&received, Received::Rejected(it) if it.code == "signature_mismatch");
        let is_of_any_key = name.id.is_none() && matches!(form_of(source), Some(Form::Jwks { .. }));
        if !is_mismatch || !is_of_any_key {
            return Ok(received);
        }
        // The set may have changed since: where a request does not say which key it is, only this tells.
        match self.renewed(&place, source, name, now).await {
            Some(keys) => Ok(receive_with(source, &keys, request, at)),
            None => Ok(received),
        }
    }

    /// How many keys are where this source's always are; `None` where requests say where that is, or nothing is fetched.
    pub async fn count(&self, source: &Arc<Source>, now: Moment) -> Option<Result<usize, Unavailable>> {
        let (At::Fixed(url) | At::Own(url)) = address_of(source)? else {
            return None;
        };
        let name = KeyName {
            url: url.clone().into_owned(),
            id: None,
        };
        let place = place_of(source, &name);
        Some(match self.get(&place, source, &name, now).await {
            Ok(keys) => Ok(keys.len()),
            Err(NoKey::Unknown(refusal)) => Err(Unavailable(refusal.to_string())),
            Err(NoKey::Unavailable(problem)) => Err(Unavailable(problem)),
        })
    }

    /// The keys that a request of this source names; fetched if they must be.
    async fn get(
        &self,
        place: &str,
        source: &Arc<Source>,
        name: &KeyName,
        now: Moment,
    ) -> Result<Vec<Key>, NoKey> {
        let call = match self.next(place, source, name, now, true) {
            Next::Verify(keys) => return Ok(keys),
            Next::GiveUp(no_key) => return Err(no_key),
            Next::Wait(call) => call,
        };
        self.settle(place, &call, call.clone().await);
        match self.next(place, source, name, now, false) {
            Next::Verify(keys) => Ok(keys),
            Next::GiveUp(no_key) => Err(no_key),
            // Somebody else's call, which began meanwhile: this request has waited for one already.
            Next::Wait(_) => Err(NoKey::Unavailable("it is being asked for again".to_owned())),
        }
    }

    /// The keys at an address once more; `None` where they are as fresh as may be.
    async fn renewed(
        &self,
        place: &str,
        source: &Arc<Source>,
        name: &KeyName,
        now: Moment,
    ) -> Option<Vec<Key>> {
        let call = {
            let mut addresses = self.lock();
            let address = addresses.get_mut(place)?;
            match &address.call {
                Some(call) => call.clone(),
                None if address.is_paused(now.instant) => return None,
                None => address.call(fetch(self.asking.clone(), source, &name.url, now), now.instant),
            }
        };
        let fetched = call.clone().await;
        self.settle(place, &call, fetched.clone());
        Some(fetched.ok()?.found.named(name.id.as_deref()))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Address>> {
        self.addresses.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next(&self, place: &str, source: &Arc<Source>, name: &KeyName, now: Moment, may_call: bool) -> Next {
        let mut addresses = self.lock();
        let is_known = match addresses.get_mut(place) {
            Some(address) => {
                if let Some(next) = address.next(name, now.instant, may_call) {
                    return next;
                }
                address.kept.is_some()
            }
            None => false,
        };
        if !may_call {
            return Next::GiveUp(NoKey::Unavailable("what was fetched is out of date".to_owned()));
        }
        // A row's own address, and one that had keys before, is called as seldom as it may be anyhow.
        let is_strangers = !is_known && matches!(address_of(source), Some(At::Named { .. }));
        if is_strangers && !self.asking.may_call(source.name(), Purpose::Keys, now.instant) {
            return Next::GiveUp(NoKey::Unavailable(too_many().to_string()));
        }
        if !addresses.contains_key(place) {
            make_room(&mut addresses);
        }
        let address = addresses.entry(place.to_owned()).or_insert(Address {
            kept: None,
            called_at: now.instant,
            failure: None,
            call: None,
            used_at: now.instant,
        });
        Next::Wait(address.call(fetch(self.asking.clone(), source, &name.url, now), now.instant))
    }

    /// Keeps what a call brought: by the first of those who waited for it.
    fn settle(&self, place: &str, call: &Fetching, fetched: Fetched) {
        let mut addresses = self.lock();
        let Some(address) = addresses.get_mut(place) else {
            return;
        };
        if address.call.as_ref().is_some_and(|it| it.ptr_eq(call)) {
            address.call = None;
            match fetched {
                Ok(kept) => (address.kept, address.failure) = (Some(kept), None),
                Err(no_answer) => address.failure = Some(no_answer),
            }
        }
    }
}

impl Address {
    /// Whether it was called too short a while ago.
    fn is_paused(&self, now: Instant) -> bool {
        let pause = if self.failure.is_some() {
            PAUSE_AFTER_FAILURE
        } else {
            PAUSE
        };
        now.saturating_duration_since(self.called_at) < pause
    }

    fn call(&mut self, fetching: BoxFuture<'static, Fetched>, now: Instant) -> Fetching {
        let call = fetching.shared();
        self.called_at = now;
        self.call = Some(call.clone());
        call
    }

    /// `None` where it has to be called first.
    fn next(&mut self, name: &KeyName, now: Instant, may_call: bool) -> Option<Next> {
        self.used_at = now;
        let is_fresh = self.kept.as_ref().is_some_and(|it| now < it.fresh_until);
        let is_paused = !may_call || self.is_paused(now);
        let is_all_there_is = is_paused && self.failure.is_some() && self.call.is_none();
        if let Some(kept) = &self.kept
            && (is_fresh || (is_all_there_is && now < kept.usable_until))
        {
            let keys = kept.found.named(name.id.as_deref());
            if !keys.is_empty() {
                return Some(Next::Verify(keys));
            }
        }
        if let Some(call) = &self.call {
            return Some(Next::Wait(call.clone()));
        }
        if is_paused && let Some(failure) = &self.failure {
            return Some(Next::GiveUp(NoKey::Unavailable(failure.to_string())));
        }
        (is_paused && is_fresh).then(|| Next::GiveUp(NoKey::Unknown(unknown(name))))
    }
}

/// Forgets an address where there are too many: of those that nobody waits for, one without keys, else the one that was longest
/// of no use.
fn make_room(addresses: &mut HashMap<String, Address>) {
    if addresses.len() < MAX_ADDRESSES {
        return;
    }
    let idle = addresses.iter().filter(|(_, it)| it.call.is_none());
    let oldest = idle.min_by_key(|(_, it)| (it.kept.is_some(), it.used_at));
    if let Some(place) = oldest.map(|(place, _)| place.clone()) {
        addresses.remove(&place);
    }
}

fn unknown(name: &KeyName) -> Refusal {
    Refusal::UnknownKey {
        id: name.id.as_deref().unwrap_or_default().escape_debug().to_string(),
        url: name.url.clone(),
    }
}

/// One call of an address, and what was there made into keys.
fn fetch(asking: Asking, source: &Arc<Source>, url: &str, now: Moment) -> BoxFuture<'static, Fetched> {
    let (source, url) = (Arc::clone(source), url.to_owned());
    let fetch = async move {
        let fetched = load(&asking, &source, &url, now).await;
        let source = source.name();
        match &fetched {
            Ok(_) => tracing::info!(%source, url, "fetched the keys of `{source}` from {url}"),
            Err(no_answer) => {
                tracing::warn!(%source, url, "the keys of `{source}` cannot be fetched from {url}: {no_answer}");
            }
        }
        fetched
    };
    fetch.boxed()
}

/// Two kinds of senders make two things of one address.
fn place_of(source: &Source, name: &KeyName) -> String {
    format!("{} {}", source.provider().name, name.url)
}

fn form_of(source: &Source) -> Option<&Form> {
    source.provider().published.as_ref().map(|it| &it.form)
}

fn address_of(source: &Source) -> Option<&At> {
    source.provider().published.as_ref().map(|it| &it.at)
}

async fn load(asking: &Asking, source: &Source, url: &str, now: Moment) -> Fetched {
    let provider = source.provider();
    let is_own = matches!(address_of(source), Some(At::Own(_)));
    let answer = asking.get(source.name(), Purpose::Keys, url, is_own).await?;
    let found = provider
        .published_keys(&answer.body, now.wall)
        .map_err(|explanation| NoAnswer { explanation })?;
    if let Some(chain) = &found.chain {
        asking.check_chain(chain, now.wall)?;
    }
    let lifetime = lifetime(&answer.headers);
    let rest = found.until.map_or(MAX_LIFETIME, |it| it.since(now.wall));
    Ok(Kept {
        found: Arc::new(found),
        fresh_until: now.instant + lifetime.min(rest),
        usable_until: now.instant + MAX_LIFETIME.min(rest),
    })
}

/// How long the answer may be kept, within our bounds.
fn lifetime(headers: &HeaderMap) -> Duration {
    let words = headers
        .get_all(header::CACHE_CONTROL)
        .iter()
        .filter_map(|it| it.to_str().ok())
        .flat_map(|it| it.split(','));
    let seconds = words.map(str::trim).find_map(|it| {
        let (name, value) = it.split_once('=')?;
        let is_age = name.trim().eq_ignore_ascii_case("max-age");
        is_age.then(|| value.trim().trim_matches('"').parse::<u64>().ok())?
    });
    let said = seconds.map_or(LIFETIME, Duration::from_secs);
    said.clamp(MIN_LIFETIME, MAX_LIFETIME)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn keys_are_kept_as_long_as_their_sender_says_within_bounds() {
        let lifetime_of = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(text));
            lifetime(&headers)
        };
        assert_eq!(lifetime(&HeaderMap::new()), LIFETIME);
        for (text, expected) in [
            (
                "public, max-age=19000, must-revalidate",
                Duration::from_secs(19_000),
            ),
            ("MAX-AGE = \"600\"", Duration::from_mins(10)),
            ("s-maxage=7200, max-age=900", Duration::from_mins(15)),
            ("max-age=0", MIN_LIFETIME),
            ("max-age=31536000", MAX_LIFETIME),
            ("max-age=18446744073709551616", LIFETIME),
            ("max-age=-1", LIFETIME),
            ("no-store", LIFETIME),
        ] {
            assert_eq!(lifetime_of(text), expected, "{text}");
        }
    }
}
