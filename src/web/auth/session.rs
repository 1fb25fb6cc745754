//! The cookie of a browser that logged in, and how long it is good for.
//!
//! It holds 256 random bits and nothing else. The store has their hash, so that whoever reads the store cannot log in; and where the token
//! is one of the config, an HMAC of that token's hash under the cookie, so that a session dies with its token, and whoever reads
//! the store has nothing to guess the token by.

use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderMap, HeaderValue, header};
use sha2::{Digest as _, Sha256};

use crate::{
    base::clock::Timestamp,
    store::access::{Digest, Over},
};

/// From the login on, whatever happens.
const LIFETIME: Duration = Duration::from_hours(12);
/// From the last request on.
const IDLE: Duration = Duration::from_hours(1);

/// Over HTTPS: the prefix makes browsers refuse it from anywhere but this very host, over anything but TLS.
const NAME: &str = "__Host-gatepost";
/// Over plain HTTP, where browsers would drop a cookie that says `Secure`.
const PLAIN_NAME: &str = "gatepost";

/// What a browser shows of its session.
#[derive(Clone)]
pub(crate) struct Cookie([u8; 32]);

impl std::fmt::Debug for Cookie {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Cookie(…)")
    }
}

impl Cookie {
    pub(crate) fn new() -> Self {
        Self(rand::random())
    }

    /// The session's, of all cookies that came. Where both names came, the one counts that no other host could have set.
    pub(crate) fn of(headers: &HeaderMap) -> Option<Self> {
        let find = |name: &str| {
            let lines = headers.get_all(header::COOKIE).iter();
            let mut pairs = lines.flat_map(|it| it.as_bytes().split(|c| *c == b';'));
            pairs.find_map(|pair| {
                pair.trim_ascii()
                    .strip_prefix(name.as_bytes())?
                    .strip_prefix(b"=")
            })
        };
        let value = find(NAME).or_else(|| find(PLAIN_NAME))?;
        let mut bytes = [0; 32];
        hex::decode_to_slice(value, &mut bytes).ok()?;
        Some(Self(bytes))
    }

    pub(crate) fn digest(&self) -> Digest {
        Digest(Sha256::digest(self.0).into())
    }

    /// What tells with which token the session was opened, to whoever has both.
    pub(super) fn proof(&self, token_hash: &[u8; 32]) -> [u8; 32] {
        let mut mac: Hmac<Sha256> = Hmac::new_from_slice(&self.0).expect("HMAC takes keys of every length");
        mac.update(token_hash);
        mac.finalize().into_bytes().into()
    }

    /// `Set-Cookie`. It ends with the browser; the store ends it sooner.
    pub(crate) fn set(&self, is_https: bool) -> HeaderValue {
        let line = line(is_https, &hex::encode(self.0), "");
        let mut value = HeaderValue::try_from(line).expect("a name, digits and attributes are ASCII");
        value.set_sensitive(true);
        value
    }
}

/// `Set-Cookie` lines that make a browser forget its session, by either name.
pub(crate) fn forget() -> [HeaderValue; 2] {
    [true, false].map(|is_https| {
        HeaderValue::try_from(line(is_https, "", "; Max-Age=0")).expect("names and attributes are ASCII")
    })
}

fn line(is_https: bool, value: &str, more: &str) -> String {
    let (name, secure) = if is_https {
        (NAME, "; Secure")
    } else {
        (PLAIN_NAME, "")
    };
    format!("{name}={value}; Path=/; HttpOnly; SameSite=Strict{secure}{more}")
}

/// Whether a session is still good.
pub(crate) fn is_live(created_at: Timestamp, seen_at: Timestamp, now: Timestamp) -> bool {
    let over = over(now);
    over.created_before <= created_at && over.seen_before <= seen_at
}

/// Which sessions are over.
pub(crate) fn over(now: Timestamp) -> Over {
    Over {
        created_before: now.minus(LIFETIME),
        seen_before: now.minus(IDLE),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(header::COOKIE, line.parse().unwrap());
        }
        headers
    }

    #[test]
    fn a_cookie_is_found_among_others() {
        let (one, two) = ("1a".repeat(32), "2b".repeat(32));
        let check = |lines: &[String], expected: Option<&str>| {
            let lines: Vec<_> = lines.iter().map(String::as_str).collect();
            let found = Cookie::of(&headers(&lines)).map(|it| hex::encode(it.0));
            assert_eq!(found.as_deref(), expected, "{lines:?}");
        };
        check(&[], None);
        check(&[format!("a=b; gatepost={one}; c=d")], Some(&one));
        check(&["a=b".to_owned(), format!("__Host-gatepost={one}")], Some(&one));
        check(&[format!("gatepost={two}; __Host-gatepost={one}")], Some(&one));
        check(&[format!("xgatepost={one}")], None);
        check(&[format!("gatepost2={one}")], None);
        check(&[format!("gatepost={one}00")], None);
        check(&["gatepost=".to_owned()], None);
        check(&[format!("gatepost={}", "zz".repeat(32))], None);
    }

    #[test]
    fn browsers_are_told_to_keep_it_close() {
        let cookie = Cookie::new();
        let over_tls = cookie.set(true).to_str().unwrap().to_owned();
        assert!(over_tls.starts_with("__Host-gatepost="), "{over_tls}");
        for attribute in ["Path=/", "Secure", "HttpOnly", "SameSite=Strict"] {
            assert!(over_tls.split("; ").any(|it| it == attribute), "{over_tls}");
        }
        assert!(!over_tls.contains("Domain"), "{over_tls}");
        let plain = cookie.set(false).to_str().unwrap().to_owned();
        assert!(
            plain.starts_with("gatepost=") && !plain.contains("Secure"),
            "{plain}"
        );
        assert!(plain.contains("; HttpOnly; SameSite=Strict"), "{plain}");
        let read = plain.split(';').next().unwrap().to_owned();
        assert_eq!(Cookie::of(&headers(&[&read])).unwrap().0, cookie.0);
        assert_eq!(format!("{cookie:?}"), "Cookie(…)");
    }

    #[test]
    fn a_session_ends_an_hour_after_its_last_use_and_half_a_day_after_its_first() {
        let at = |minutes: i64| Timestamp::from_unix_seconds(minutes * 60);
        let check = |created, seen, now, expected| {
            assert_eq!(
                is_live(at(created), at(seen), at(now)),
                expected,
                "{created} {seen} {now}"
            );
        };
        check(0, 0, 0, true);
        check(0, 0, 60, true);
        check(0, 0, 61, false);
        check(0, 700, 720, true);
        check(0, 720, 721, false);
    }
}
