//! What ties a login's way out to its way back: one random value in a cookie of the browser, and what is derived from it.
//!
//! Nothing is kept here, so the way back may end at another replica. `state` ties the answer to this browser (no page can log somebody in
//! as somebody else), `nonce` the token to this login, and the verifier of PKCE the code to it.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderMap, HeaderValue, header};
use sha2::{Digest as _, Sha256};

use crate::web::auth::{known, origin};

/// As the session's cookie: over HTTPS no other host can set one of that name.
const NAME: &str = "__Host-gatepost-login";
const PLAIN_NAME: &str = "gatepost-login";
/// As long as somebody may take at the provider.
const LIFETIME_S: u32 = 600;

/// One login under way.
pub(super) struct Flow([u8; 32]);

impl Flow {
    pub(super) fn new() -> Self {
        Self(rand::random())
    }

    /// The one that this browser began last.
    pub(super) fn of(headers: &HeaderMap, is_https: bool) -> Option<Self> {
        let lines = headers.get_all(header::COOKIE).iter();
        let mut pairs = lines.flat_map(|it| it.as_bytes().split(|c| *c == b';'));
        let value = pairs.find_map(|pair| {
            pair.trim_ascii()
                .strip_prefix(name(is_https).as_bytes())?
                .strip_prefix(b"=")
        })?;
        let mut bytes = [0; 32];
        hex::decode_to_slice(value, &mut bytes).ok()?;
        Some(Self(bytes))
    }

    /// `Set-Cookie`. `Lax`, because the provider's page leads back here.
    pub(super) fn cookie(&self, is_https: bool) -> HeaderValue {
        let line = line(is_https, &hex::encode(self.0), LIFETIME_S);
        let mut value = HeaderValue::try_from(line).expect("a name, digits and attributes are ASCII");
        value.set_sensitive(true);
        value
    }

    /// What the provider gives back as it is. It holds where to go after the login.
    pub(super) fn state(&self, next: &str) -> String {
        let next = URL_SAFE_NO_PAD.encode(next);
        format!("{}.{next}", self.derived("state", &next))
    }

    /// Where to go, if this browser began it.
    pub(super) fn next(&self, state: &str) -> Option<String> {
        let (proof, next) = state.split_once('.')?;
        let expected = self.derived("state", next);
        if !known::is_same(expected.as_bytes(), proof.as_bytes()) {
            return None;
        }
        let next = String::from_utf8(URL_SAFE_NO_PAD.decode(next).ok()?).ok()?;
        origin::local_path(&next).map(str::to_owned)
    }

    pub(super) fn nonce(&self) -> String {
        self.derived("nonce", "")
    }

    /// Of PKCE (RFC 7636): shown to the provider with the code.
    pub(super) fn verifier(&self) -> String {
        self.derived("verifier", "")
    }

    /// Its hash, shown before.
    pub(super) fn challenge(&self) -> String {
        URL_SAFE_NO_PAD.encode(Sha256::digest(self.verifier()))
    }

    fn derived(&self, what: &str, more: &str) -> String {
        let mut mac: Hmac<Sha256> = Hmac::new_from_slice(&self.0).expect("HMAC takes keys of every length");
        mac.update(what.as_bytes());
        mac.update(b"\0");
        mac.update(more.as_bytes());
        URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes())
    }
}

/// `Set-Cookie` for a login that is over.
pub(super) fn forget(is_https: bool) -> HeaderValue {
    HeaderValue::try_from(line(is_https, "", 0)).expect("names and attributes are ASCII")
}

const fn name(is_https: bool) -> &'static str {
    if is_https { NAME } else { PLAIN_NAME }
}

fn line(is_https: bool, value: &str, max_age_s: u32) -> String {
    let secure = if is_https { "; Secure" } else { "" };
    format!(
        "{}={value}; Path=/; HttpOnly; SameSite=Lax; Max-Age={max_age_s}{secure}",
        name(is_https)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent_back(cookie: &HeaderValue, is_https: bool) -> Option<Flow> {
        let pair = cookie.to_str().unwrap().split(';').next().unwrap().to_owned();
        let mut headers = HeaderMap::new();
        headers.insert(header::COOKIE, format!("gatepost=ab; {pair}").parse().unwrap());
        Flow::of(&headers, is_https)
    }

    #[test]
    fn the_way_back_is_the_one_that_began_in_this_browser() {
        let (flow, other) = (Flow::new(), Flow::new());
        for is_https in [true, false] {
            let cookie = flow.cookie(is_https);
            let text = cookie.to_str().unwrap();
            assert!(text.contains("; HttpOnly; SameSite=Lax; Max-Age=600"), "{text}");
            assert_eq!(text.contains("; Secure"), is_https);
            let back = sent_back(&cookie, is_https).unwrap();
            let state = flow.state("/events?status=dead");
            assert_eq!(back.next(&state).as_deref(), Some("/events?status=dead"));
            assert_eq!((back.nonce(), back.verifier()), (flow.nonce(), flow.verifier()));
            assert_eq!(other.next(&state), None);
            assert!(sent_back(&forget(is_https), is_https).is_none());
        }
        assert!(sent_back(&flow.cookie(false), true).is_none());
    }

    #[test]
    fn what_was_changed_on_the_way_leads_nowhere() {
        let flow = Flow::new();
        let state = flow.state("/events");
        let (proof, _) = state.split_once('.').unwrap();
        let elsewhere = URL_SAFE_NO_PAD.encode("/jobs");
        for bad in [
            "",
            ".",
            proof,
            &format!("{proof}."),
            &format!("{proof}.{elsewhere}"),
            &state[1..],
        ] {
            assert_eq!(flow.next(bad), None, "{bad}");
        }
        assert_eq!(flow.next(&flow.state("//evil.example")), None);
    }

    #[test]
    fn what_is_derived_differs_and_is_what_the_standard_wants() {
        let flow = Flow(std::array::from_fn(|n| u8::try_from(n).unwrap()));
        assert_ne!(flow.nonce(), flow.verifier());
        let (verifier, challenge) = (flow.verifier(), flow.challenge());
        for it in [&verifier, &challenge] {
            let is_fine = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
            assert!(it.len() == 43 && it.chars().all(is_fine), "{it}");
        }
        assert_eq!(
            challenge,
            URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes()))
        );
    }
}
