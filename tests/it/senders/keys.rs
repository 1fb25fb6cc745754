//! Sets of keys: fetched once, kept, fetched anew, and never oftener than a stranger should be able to make us.

use std::sync::Arc;

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use futures_util::{FutureExt, future::join_all};
use gatepost::{
    base::clock::Timestamp,
    egress::guard::Reach,
    source::{
        Received, Request, Source,
        keys::{Keys, Moment},
        receive,
    },
};
use http::header;
use serde_json::json;

use super::{Day, GOOGLE, NOW, Signer, StandIn, answer_of, pubsub, pushed, set_of, source_of, vector};

/// What becomes of a request: its cause where it is refused, `unavailable` where that is our fault.
async fn outcome(keys: &Keys, source: &Arc<Source>, request: &Request, now: Moment) -> &'static str {
    match keys.receive(source, request, now.wall, now).await {
        Ok(Received::Verified(_)) => "verified",
        Ok(Received::Rejected(rejection)) => rejection.code,
        Ok(other) => panic!("{other:?}"),
        Err(_) => "unavailable",
    }
}

async fn pushed_by(keys: &Keys, source: &Arc<Source>, signer: &Signer, now: Moment) -> &'static str {
    let request = pushed(&signer.token(now.wall.as_unix_seconds()));
    outcome(keys, source, &request, now).await
}

#[tokio::test]
async fn a_hundred_requests_fetch_once_and_an_hours_requests_too() {
    let stand_in = StandIn::start().await;
    let (signer, source, day) = (Signer::new("a"), pubsub(), Day::begin());
    stand_in.serve(GOOGLE, set_of(&[&signer]));
    let (asking, metrics) = stand_in.asking_within(Reach::Private);
    let keys = Keys::new(asking);
    let at_once = (0..100).map(|_| pushed_by(&keys, &source, &signer, day.after(0)));
    assert!(join_all(at_once).await.iter().all(|it| *it == "verified"));
    assert_eq!(stand_in.asked(), [GOOGLE]);
    for minutes in 1..60 {
        let now = day.after(60 * minutes - 1);
        assert_eq!(pushed_by(&keys, &source, &signer, now).await, "verified");
    }
    assert_eq!(stand_in.asked().len(), 1);
    assert_eq!(
        pushed_by(&keys, &source, &signer, day.after(3601)).await,
        "verified"
    );
    assert_eq!(stand_in.asked().len(), 2);
    let line = r#"gatepost_sender_calls_total{source="pubsub",call="keys",outcome="ok"} 2"#;
    assert!(metrics.encode().contains(line), "{}", metrics.encode());
}

#[tokio::test]
async fn keys_are_kept_as_long_as_their_sender_says() {
    let stand_in = StandIn::start().await;
    let (signer, source, day) = (Signer::new("a"), pubsub(), Day::begin());
    let kept = "cache-control: public, max-age=19000\r\n";
    stand_in.answer(GOOGLE, answer_of("200 OK", kept, set_of(&[&signer])));
    let keys = Keys::new(stand_in.asking());
    for (seconds, n_asked) in [(0, 1), (18_999, 1), (19_001, 2)] {
        assert_eq!(
            pushed_by(&keys, &source, &signer, day.after(seconds)).await,
            "verified"
        );
        assert_eq!(stand_in.asked().len(), n_asked, "{seconds}");
    }
}

#[tokio::test]
async fn a22_a_changed_set_is_seen_and_a_withdrawn_key_is_none() {
    let stand_in = StandIn::start().await;
    let (old, new, source, day) = (Signer::new("old"), Signer::new("new"), pubsub(), Day::begin());
    stand_in.serve(GOOGLE, set_of(&[&old]));
    let keys = Keys::new(stand_in.asking());
    assert_eq!(pushed_by(&keys, &source, &old, day.after(0)).await, "verified");
    stand_in.serve(GOOGLE, set_of(&[&new]));
    // The set is fresh: who names another key is refused without a call.
    assert_eq!(
        pushed_by(&keys, &source, &new, day.after(10)).await,
        "unknown_key"
    );
    assert_eq!(stand_in.asked().len(), 1);
    assert_eq!(pushed_by(&keys, &source, &new, day.after(31)).await, "verified");
    assert_eq!(stand_in.asked().len(), 2);
    assert_eq!(
        pushed_by(&keys, &source, &old, day.after(40)).await,
        "unknown_key"
    );
    assert_eq!(
        pushed_by(&keys, &source, &old, day.after(62)).await,
        "unknown_key"
    );
    assert_eq!(stand_in.asked().len(), 3);
    // Its own id over another's key.
    let mut forger = Signer::new("new");
    forger.id = "new".to_owned();
    assert_eq!(
        pushed_by(&keys, &source, &forger, day.after(63)).await,
        "signature_mismatch"
    );
}

#[tokio::test]
async fn made_up_ids_do_not_make_us_call() {
    let stand_in = StandIn::start().await;
    let (signer, source, day) = (Signer::new("a"), pubsub(), Day::begin());
    stand_in.serve(GOOGLE, set_of(&[&signer]));
    let keys = Keys::new(stand_in.asking());
    for idx in 0..300 {
        let now = day.after(idx / 3);
        let header = json!({ "alg": "RS256", "kid": format!("made-up-{idx}") });
        let request = pushed(&signer.token_with(&header, now.wall.as_unix_seconds()));
        let outcome = outcome(&keys, &source, &request, now).await;
        assert_eq!(outcome, "unknown_key");
        assert_eq!(pushed_by(&keys, &source, &signer, now).await, "verified");
    }
    // A hundred seconds: at the first, and after 30, 60 and 90.
    assert_eq!(stand_in.asked().len(), 4);
}

#[tokio::test]
async fn where_no_key_can_be_had_the_fault_is_ours_until_it_can() {
    let stand_in = StandIn::start().await;
    let (signer, source, day) = (Signer::new("a"), pubsub(), Day::begin());
    stand_in.serve(GOOGLE, set_of(&[&signer]));
    stand_in.set_down(true);
    let (asking, metrics) = stand_in.asking_within(Reach::Private);
    let keys = Keys::new(asking);
    let at_once = (0..20).map(|_| pushed_by(&keys, &source, &signer, day.after(0)));
    assert!(join_all(at_once).await.iter().all(|it| *it == "unavailable"));
    assert_eq!(stand_in.handler.n_connections(), 1);
    stand_in.set_down(false);
    assert_eq!(
        pushed_by(&keys, &source, &signer, day.after(4)).await,
        "unavailable"
    );
    assert_eq!(stand_in.handler.n_connections(), 1);
    assert_eq!(pushed_by(&keys, &source, &signer, day.after(6)).await, "verified");
    // Down again: what is kept serves for a day, and its address is called now and then.
    stand_in.set_down(true);
    for (seconds, expected, n_calls) in [
        (3000, "verified", 2),
        (3700, "verified", 3),
        (3704, "verified", 3),
        (3706, "verified", 4),
        (86_400, "verified", 5),
        (86_407, "unavailable", 6),
    ] {
        let outcome = pushed_by(&keys, &source, &signer, day.after(seconds)).await;
        assert_eq!(outcome, expected, "{seconds}");
        assert_eq!(stand_in.handler.n_connections(), n_calls, "{seconds}");
    }
    // What it never had is our fault as well.
    let stranger = pushed_by(&keys, &source, &Signer::new("b"), day.after(86_420)).await;
    assert_eq!(stranger, "unavailable");
    let text = metrics.encode();
    assert!(
        text.contains(r#"gatepost_sender_calls_total{source="pubsub",call="keys",outcome="#),
        "{text}"
    );
}

#[tokio::test]
async fn who_goes_away_does_not_end_the_call_for_others() {
    let stand_in = StandIn::start().await;
    let (signer, source, day) = (Signer::new("a"), pubsub(), Day::begin());
    stand_in.serve(GOOGLE, set_of(&[&signer]));
    let keys = Keys::new(stand_in.asking());
    let gone = pushed_by(&keys, &source, &signer, day.after(0)).now_or_never();
    assert!(gone.is_none(), "it was answered at once: {gone:?}");
    assert_eq!(pushed_by(&keys, &source, &signer, day.after(1)).await, "verified");
    assert_eq!(stand_in.asked().len(), 1);
}

#[tokio::test]
async fn c03_what_is_no_set_of_keys_is_of_no_use() {
    let stand_in = StandIn::start().await;
    let (signer, source) = (Signer::new("a"), pubsub());
    let elsewhere = "www.googleapis.com/elsewhere";
    stand_in.serve(elsewhere, set_of(&[&signer]));
    let too_long = format!("{}{}", set_of(&[&signer]), " ".repeat(64 << 10));
    let of_another_kind = json!({ "keys": [
        { "kty": "oct", "kid": "a", "alg": "HS256", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQ" },
        { "kty": "EC", "crv": "P-256", "kid": "a", "x": "AA", "y": "AA" },
    ] });
    let many = json!({ "keys": vec![signer.jwk(); 65] });
    let redirect = format!("{}: https://{elsewhere}\r\n", header::LOCATION);
    let bad = [
        ("moved", answer_of("302 Found", &redirect, "")),
        (
            "moved for good",
            answer_of("308 Permanent Redirect", &redirect, ""),
        ),
        ("too long", answer_of("200 OK", "", too_long)),
        (
            "of another kind",
            answer_of("200 OK", "", of_another_kind.to_string()),
        ),
        ("many", answer_of("200 OK", "", many.to_string())),
        ("no JSON", answer_of("200 OK", "", "<html></html>")),
        ("no set", answer_of("200 OK", "", signer.jwk().to_string())),
        ("empty", answer_of("200 OK", "", "")),
        (
            "an error",
            answer_of("500 Internal Server Error", "", set_of(&[&signer])),
        ),
        (
            "in part",
            answer_of("206 Partial Content", "", set_of(&[&signer])),
        ),
        ("no HTTP", b"SSH-2.0-OpenSSH_9.6\r\n".to_vec()),
    ];
    for (what, answer) in bad {
        stand_in.answer(GOOGLE, answer);
        let keys = Keys::new(stand_in.asking());
        let outcome = pushed_by(&keys, &source, &signer, Day::begin().after(0)).await;
        assert_eq!(outcome, "unavailable", "{what}");
    }
    assert!(!stand_in.asked().contains(&elsewhere.to_owned()));
}

#[tokio::test]
async fn c01_a_name_that_leads_inside_is_not_followed() {
    let stand_in = StandIn::start().await;
    let (signer, source) = (Signer::new("a"), pubsub());
    stand_in.serve(GOOGLE, set_of(&[&signer]));
    let keys = Keys::new(stand_in.asking_within(Reach::Public).0);
    assert_eq!(
        pushed_by(&keys, &source, &signer, Day::begin().after(0)).await,
        "unavailable"
    );
    assert_eq!(stand_in.looked_up(), ["www.googleapis.com"]);
    assert_eq!(stand_in.handler.n_connections(), 0);
}

#[tokio::test]
async fn a10_a_token_of_another_kind_is_refused_before_any_call() {
    let stand_in = StandIn::start().await;
    let (signer, source, day) = (Signer::new("a"), pubsub(), Day::begin());
    stand_in.serve(GOOGLE, set_of(&[&signer]));
    let keys = Keys::new(stand_in.asking());
    let long = "a".repeat(257);
    for header in [
        json!({ "alg": "none", "kid": "a" }),
        json!({ "alg": "HS256", "kid": "a" }),
        json!({ "alg": "ES256", "kid": "a" }),
        json!({ "alg": "RS512", "kid": "a" }),
        json!({ "alg": "rs256", "kid": "a" }),
        json!({ "alg": "RS256", "kid": "a", "crit": ["b64"], "b64": false }),
        json!({ "kid": "a" }),
        json!({ "alg": "RS256", "kid": long }),
    ] {
        let request = pushed(&signer.token_with(&header, NOW));
        let received = receive(&source, &request, Timestamp::from_unix_seconds(NOW));
        assert!(
            matches!(received, Received::Rejected(_)),
            "{header}: {received:?}"
        );
    }
    assert!(stand_in.looked_up().is_empty());
    // Where the key is to be had is never the token's to say.
    for header in [
        json!({ "alg": "RS256", "kid": "a", "jku": "https://evil.example/keys" }),
        json!({ "alg": "RS256", "kid": "../../../evil", "x5u": "https://evil.example/a.pem" }),
        json!({ "alg": "RS256", "kid": "a", "jwk": Signer::new("a").jwk() }),
    ] {
        let forger = Signer::new("a");
        let request = pushed(&forger.token_with(&header, NOW));
        let outcome = outcome(&keys, &source, &request, day.after(0)).await;
        assert!(
            matches!(outcome, "signature_mismatch" | "unknown_key"),
            "{header}: {outcome}"
        );
    }
    assert_eq!(stand_in.asked(), [GOOGLE]);
}

#[tokio::test]
async fn a_set_without_ids_is_tried_whole() {
    let stand_in = StandIn::start().await;
    let (left, right, source, day) = (Signer::new("a"), Signer::new("b"), pubsub(), Day::begin());
    let without_id = |signer: &Signer| {
        let mut key = signer.jwk();
        key.as_object_mut().unwrap().remove("kid");
        key
    };
    let set = json!({ "keys": [without_id(&left), without_id(&right)] });
    stand_in.serve(GOOGLE, set.to_string());
    let keys = Keys::new(stand_in.asking());
    for signer in [&left, &right] {
        assert_eq!(pushed_by(&keys, &source, signer, day.after(0)).await, "verified");
    }
    let stranger = Signer::new("a");
    assert_eq!(
        pushed_by(&keys, &source, &stranger, day.after(0)).await,
        "signature_mismatch"
    );
    assert_eq!(stand_in.asked().len(), 1);
}

#[tokio::test]
async fn a22_a_changed_set_is_seen_where_requests_name_no_key() {
    let stand_in = StandIn::start().await;
    let (old, new, source, day) = (Signer::new("old"), Signer::new("new"), pubsub(), Day::begin());
    stand_in.serve(GOOGLE, set_of(&[&old]));
    let keys = Keys::new(stand_in.asking());
    let nameless = json!({ "alg": "RS256" });
    let pushed_by = async |signer: &Signer, seconds| {
        let now = day.after(seconds);
        let token = signer.token_with(&nameless, now.wall.as_unix_seconds());
        outcome(&keys, &source, &pushed(&token), now).await
    };
    assert_eq!(pushed_by(&old, 0).await, "verified");
    stand_in.serve(GOOGLE, set_of(&[&new]));
    assert_eq!(pushed_by(&new, 10).await, "signature_mismatch");
    assert_eq!(pushed_by(&new, 31).await, "verified");
    assert_eq!(pushed_by(&old, 32).await, "signature_mismatch");
    // However many forgeries there are.
    for seconds in 33..93 {
        assert_eq!(pushed_by(&old, seconds).await, "signature_mismatch");
    }
    assert_eq!(stand_in.asked().len(), 4);
}

/// By TrueLayer's own test resources: the id of the key is in the header of a signature that is no token.
#[tokio::test]
async fn the_key_of_a_detached_signature_is_found_by_its_id() {
    const KEYS: &str = "webhooks.truelayer.com/.well-known/jwks";
    const ID: &str = "45fc75cf-5649-4134-84b3-192c2c78e990";
    let stand_in = StandIn::start().await;
    let (source, day) = (source_of("truelayer", "truelayer", &[]), Day::begin());
    let (request, public_key) = vector("truelayer", "truelayer-n01");
    let lines: Vec<_> = public_key.lines().filter(|it| !it.starts_with('-')).collect();
    let der = STANDARD.decode(lines.concat()).unwrap();
    // A point on P-521 is at the end of it: a mark and two coordinates.
    let (x, y) = der[der.len() - 132..].split_at(66);
    let set_with = |id: &str| {
        let [x, y] = [x, y].map(|it| URL_SAFE_NO_PAD.encode(it));
        json!({ "keys": [{ "kty": "EC", "crv": "P-521", "alg": "ES512", "kid": id, "x": x, "y": y }] })
            .to_string()
    };
    stand_in.serve(KEYS, set_with("another"));
    let keys = Keys::new(stand_in.asking());
    assert_eq!(
        outcome(&keys, &source, &request, day.after(0)).await,
        "unknown_key"
    );
    stand_in.serve(KEYS, set_with(ID));
    assert_eq!(outcome(&keys, &source, &request, day.after(31)).await, "verified");
    let mut bent = request.clone();
    bent.body = [&request.body[..], b" "].concat().into();
    assert_eq!(
        outcome(&keys, &source, &bent, day.after(32)).await,
        "signature_mismatch"
    );
    assert_eq!(stand_in.asked(), [KEYS, KEYS]);
}
