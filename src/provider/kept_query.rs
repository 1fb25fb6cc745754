//! What of a URL's query is kept with an event: all of it but what may be a credential.
//!
//! A token in a URL is all that somebody needs to send in the sender's name. Headers with one are kept, because handlers get
//! them as they came; a query goes to no handler, so nothing is lost with it.

use url::form_urlencoded;

use crate::provider::{
    Provider,
    handshake::Proof,
    place::{Place, Reading},
    scheme::Scheme,
};

/// Names of fields that carry a credential by custom, whoever sends: in lower case, letters and digits alone.
const CUSTOMARY: [&str; 9] = [
    "auth",
    "authorization",
    "code",
    "jwt",
    "key",
    "pass",
    "pwd",
    "sig",
    "hmac",
];
/// And whatever ends with one of these: `access_token`, `client-secret`, `X-Amz-Signature`, `apiKey`.
const ENDINGS: [&str; 9] = [
    "token",
    "secret",
    "password",
    "passwd",
    "signature",
    "apikey",
    "accesskey",
    "secretkey",
    "credential",
];

impl Provider {
    /// The query of a request's target, its fields as they are written, without those that may hold a credential: where this
    /// sender proves who it is, and what a name says so of, unless the row reads a name of the event there.
    pub fn kept_query(&self, target: &str) -> String {
        let Some((_, query)) = target.split_once('?') else {
            return String::new();
        };
        let fields = query.split('&').filter(|it| !it.is_empty());
        let kept = fields.filter(|it| !self.may_hold_credential(it));
        kept.collect::<Vec<_>>().join("&")
    }

    /// Whether a field of a query, as it is written, may hold a credential. Some take `;` for a `&`.
    pub fn may_hold_credential(&self, field: &str) -> bool {
        field.split(';').any(|it| self.may_prove(it))
    }

    fn may_prove(&self, field: &str) -> bool {
        let Some((name, _)) = form_urlencoded::parse(field.as_bytes()).next() else {
            return false;
        };
        let is_it = |place: &Place| query_name(place) == Some(&*name);
        self.proofs().any(is_it) || (is_customary(&name) && !self.places_of_names().any(is_it))
    }

    /// Where a request shows who sent it.
    fn proofs(&self) -> impl Iterator<Item = &Place> {
        let of_schemes = self.schemes.iter().flat_map(|it| match it {
            Scheme::Signature(it) => it.families.iter().flat_map(|it| it.signatures.iter()).collect(),
            Scheme::Token(it) => vec![&it.place],
            Scheme::Jwt(it) => vec![&it.place],
            Scheme::Basic | Scheme::Unverified => Vec::new(),
        });
        let of_handshakes = self.handshakes.iter().filter_map(|it| match &it.proof {
            Proof::VerifyToken(place) => Some(place),
            Proof::Nobody | Proof::Signed | Proof::Handover => None,
        });
        of_schemes.chain(of_handshakes)
    }

    fn places_of_names(&self) -> impl Iterator<Item = &Place> {
        [&self.event_id, &self.event_type, &self.event_time, &self.resource]
            .into_iter()
            .flat_map(|it| it.iter().flat_map(Reading::places))
    }
}

fn query_name(place: &Place) -> Option<&str> {
    match place {
        Place::Query(name) => Some(name),
        Place::Claim { token, .. } => query_name(token),
        _ => None,
    }
}

fn is_customary(name: &str) -> bool {
    let mut plain: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
    plain.make_ascii_lowercase();
    let one = plain.strip_suffix('s').unwrap_or(&plain);
    [plain.as_str(), one]
        .iter()
        .any(|it| CUSTOMARY.contains(it) || ENDINGS.iter().any(|ending| it.ends_with(ending)))
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;
    use crate::provider::{all, find};

    #[track_caller]
    fn check(provider: &str, target: &str, kept: &str) {
        assert_eq!(find(provider).unwrap().kept_query(target), kept, "{target}");
    }

    #[test]
    fn a_query_is_kept_as_it_is_written() {
        check("github", "/webhooks/x", "");
        check("github", "/webhooks/x?", "");
        check(
            "github",
            "/webhooks/x?a=1&b=%20%2B+&&c&=d&a=2",
            "a=1&b=%20%2B+&c&=d&a=2",
        );
        check("github", "/webhooks/x?q=a?b", "q=a?b");
        check("github", "http://host/webhooks/x?shop=1", "shop=1");
    }

    #[test]
    fn what_a_row_reads_as_a_proof_is_not_kept() {
        let mut n_rows = 0;
        for row in all() {
            let names: Vec<_> = row.proofs().filter_map(query_name).collect();
            for name in names {
                n_rows += 1;
                let target = format!("/webhooks/x?a=1&{name}=hunter2&b=2");
                assert_eq!(row.kept_query(&target), "a=1&b=2", "{}", row.name);
                // However it is written.
                let first = format!("%{:02x}", name.as_bytes()[0]);
                let target = format!("/webhooks/x?{first}{}=hunter2", &name[1..]);
                assert_eq!(row.kept_query(&target), "", "{}", row.name);
            }
        }
        assert!(n_rows >= 5, "{n_rows}");
    }

    #[test]
    fn what_is_signed_and_what_names_the_event_is_kept() {
        check(
            "mercado-pago",
            "/x?data.id=123&type=payment",
            "data.id=123&type=payment",
        );
        check(
            "twilio",
            "/x?bodySHA256=ab&CallSid=CA1",
            "bodySHA256=ab&CallSid=CA1",
        );
        let row = Provider {
            resource: Cow::Owned(vec![Reading::At(Place::Query("key".into()))]),
            ..find("github").unwrap().clone()
        };
        assert_eq!(row.kept_query("/x?key=ABC-1&token=t"), "key=ABC-1");
        check("github", "/x?key=ABC-1", "");
    }

    #[test]
    fn what_is_called_a_credential_is_not_kept_of_any_sender() {
        for name in [
            "token",
            "TOKEN",
            "access_token",
            "accessToken",
            "tokens",
            "client-secret",
            "X-Amz-Signature",
            "X-Amz-Credential",
            "X-Amz-Security-Token",
            "api_key",
            "apikey",
            "sig",
            "code",
            "key",
            "password",
            "auth",
            "to%6ben",
        ] {
            check("unverified", &format!("/x?a=1&{name}=hunter2"), "a=1");
            check("unverified", &format!("/x?a=1;{name}=hunter2&b=2"), "b=2");
        }
        for name in [
            "keyword",
            "author",
            "tokenize",
            "codec",
            "signed_at",
            "shop",
            "monkey",
        ] {
            check("unverified", &format!("/x?{name}=1"), &format!("{name}=1"));
        }
    }
}
