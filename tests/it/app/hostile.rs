//! Bodies and names that are made to cost: they are stored as they came, and nothing is unpacked, parsed or counted by them.

use std::time::Duration;

use tokio::time::Instant;

use crate::app::{
    app_case,
    process::Process,
    sender::{OTHER_SECRET, Signed, event_body, stripe, stripe_with},
    site::STRIPE_TO_BILLING,
};

/// From a request to its answer, however hostile the body. Whoever parses it takes minutes.
const PROMPT: Duration = Duration::from_secs(10);

/// A gzip stream of so many bytes that holds 159 times as many zeros.
fn bomb(n_bytes: usize) -> Vec<u8> {
    let mut bytes = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\xff".to_vec();
    let (mut buffer, mut n_bits) = (0_u64, 0);
    let mut put = |bytes: &mut Vec<u8>, code: u64, len: u32| {
        // Codes go in from their highest bit, into bytes from their lowest.
        for at in (0..len).rev() {
            buffer |= (code >> at & 1) << n_bits;
            n_bits += 1;
            if n_bits == 8 {
                bytes.push(u8::try_from(buffer).unwrap());
                (buffer, n_bits) = (0, 0);
            }
        }
    };
    // The last block, with the fixed codes; a zero; and again and again 258 more of what came last.
    put(&mut bytes, 0b110, 3);
    put(&mut bytes, 0b0011_0000, 8);
    while bytes.len() < n_bytes - 16 {
        put(&mut bytes, 0b1100_0101, 8);
        put(&mut bytes, 0, 5);
    }
    put(&mut bytes, 0, 14);
    bytes.resize(n_bytes, 0);
    bytes
}

/// The most memory that it ever had, in bytes.
fn peak_memory(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find(|it| it.starts_with("VmHWM:")).unwrap();
    let kib: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kib * 1024
}

app_case!(d06_a_packed_body_stays_packed, |site| {
    let process = Process::start(&site, "all").await;
    // A gibibyte, for whoever unpacks it.
    let body = bomb(7 << 20);
    let before = peak_memory(process.id());
    for encoding in ["gzip", "deflate, gzip"] {
        let mut signed = stripe(body.clone()).header("content-encoding", encoding);
        signed.headers.retain(|(name, _)| name != "content-type");
        let taken = process
            .post(&signed.header("content-type", "application/json"))
            .await
            .taken();
        let stored = process.ask(&format!("/v1/events/{}/body", taken.1)).await;
        assert!(stored.body == body, "{} bytes were stored", stored.body.len());
    }
    let hit = site.receiver.arrived("/billing", 1).await.remove(0);
    assert!(hit.body == body, "{} bytes were delivered", hit.body.len());
    assert_eq!(hit.header("content-encoding"), "gzip");
    process.until_open(0).await;
    let grown = peak_memory(process.id()) - before;
    assert!(grown < 400 << 20, "it grew by {grown} bytes");
    process.terminate().await;
});

app_case!(d09_xml_is_bytes_like_any_other, |site| {
    let app = site.start().await;
    let attributes: Vec<_> = (0..600_000).map(|n| format!(" a{n}=\"\"")).collect();
    let entities = "<!DOCTYPE x [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;\">]>";
    let bodies = [
        format!("<x{}/>", attributes.concat()),
        "<x>".repeat(1_000_000),
        format!("{entities}<x>{}</x>", "&b;".repeat(100_000)),
    ];
    for body in &bodies {
        let mut signed = stripe(body.as_str());
        "application/xml".clone_into(&mut signed.headers[0].1);
        let started_at = Instant::now();
        app.accept(&signed).await;
        assert!(started_at.elapsed() < PROMPT, "{:?}", started_at.elapsed());
    }
    for hit in site.receiver.arrived("/billing", bodies.len()).await {
        assert!(bodies.iter().any(|it| hit.body == it.as_bytes()));
        assert!(!hit.headers.contains_key("gatepost-event-type"));
    }
    app.finish().await;
});

app_case!(d10_json_without_end_is_stored_all_the_same, |site| {
    let app = site.start().await;
    let (deep, long) = (1_000_000, 200_000);
    let bodies = [
        "[".repeat(deep),
        format!("{}{}", "[".repeat(deep), "]".repeat(deep)),
        format!("{{\"data\":{}1{}}}", "[".repeat(deep), "]".repeat(deep)),
        "{\"a\":".repeat(long),
        format!("{{\"data\":{}1{}}}", "{\"a\":".repeat(long), "}".repeat(long)),
        format!("{{\"n\":{}}}", "9".repeat(deep)),
        format!("{{\"n\":1e{}}}", "9".repeat(deep)),
        format!("{{\"n\":0.{}}}", "0".repeat(deep)),
        format!("{{\"id\":[{}]}}", "0,".repeat(long)),
        format!("{{{}\"a\":1}}", "\"a\":1,".repeat(long)),
    ];
    for body in &bodies {
        let started_at = Instant::now();
        let id = app.accept(&stripe(body.as_str())).await;
        assert!(started_at.elapsed() < PROMPT, "{:?}", started_at.elapsed());
        // An operator may look at it as well.
        assert_eq!(app.ask(&format!("/v1/events/{id}")).await.status, 200);
    }
    // What stands before the depth is read as in any other body, or not at all.
    let named = format!(
        "{{\"id\":\"evt_deep\",\"type\":\"invoice.paid\",\"data\":{}",
        "[".repeat(deep)
    );
    app.accept(&stripe(named)).await;
    let hits = site.receiver.arrived("/billing", bodies.len() + 1).await;
    for body in &bodies {
        assert_eq!(hits.iter().filter(|it| it.body == body.as_bytes()).count(), 1);
    }
    app.finish().await;
});

app_case!(g09_a_refusal_tells_nothing_of_the_source, |site| {
    let second = r#"
[sources.second]
provider = "stripe"
secrets = [{ file = "other.secret" }, { file = "signing.secret" }]
tolerance = "1m"
"#;
    site.configure(&format!("{STRIPE_TO_BILLING}{second}"));
    let app = site.start().await;
    let body = || event_body("evt_1", "invoice.paid");
    let known = stripe(body());
    app.accept(&known).await;
    let with = |value: &str| Signed::new("stripe", body()).header("stripe-signature", value);
    let mut tampered = known.clone();
    tampered.body.push(b' ');
    let refused = [
        Signed::new("stripe", body()),
        with(""),
        with("t=1,v1=00"),
        with("t=1,v0=00"),
        with(&format!("t=1,v1={}", "0".repeat(64))),
        with(&format!("t={},v1={}", i64::MAX, "0".repeat(64))),
        tampered,
        stripe_with("whsec_of_nobody_at_all_0003", body()),
        // An id that is known, and one that is not.
        stripe_with("whsec_of_nobody_at_all_0003", event_body("evt_2", "x")),
        // Right for the other source.
        stripe_with(OTHER_SECRET, body()),
    ];
    let mut answers = Vec::new();
    for signed in refused {
        answers.push(app.post(&signed).await);
        if !signed.headers.iter().any(|(_, value)| value.is_empty()) {
            let signed = if signed.headers.len() > 1 {
                known.clone()
            } else {
                signed
            };
            answers.push(app.post(&signed.to("second")).await);
        }
    }
    for answer in &mut answers {
        answer.headers.remove("date");
        assert_eq!(answer.status, 401);
    }
    for answer in &answers {
        assert_eq!(answer.body, answers[0].body);
        assert_eq!(answer.headers, answers[0].headers);
    }
    app.finish().await;
});

/// How many lines of `/metrics` are values.
async fn n_series(app: &crate::app::site::TestApp) -> usize {
    let text = String::from_utf8(app.ask("/metrics").await.body.to_vec()).unwrap();
    text.lines().filter(|it| !it.starts_with('#')).count()
}

app_case!(g11_what_senders_write_makes_no_series, |site| {
    let app = site.start().await;
    let round = async |from: u32, to: u32| {
        for n in from..to {
            let id = format!("evt_marked_{n}");
            app.accept(&stripe(event_body(&id, &format!("marked.type.{n}"))))
                .await;
            let forged = stripe_with(OTHER_SECRET, event_body(&id, &format!("marked.{n}")));
            assert_eq!(app.post(&forged).await.status, 401);
            let unknown = Signed::new(&format!("marked-source-{n}?marked={n}"), "x")
                .header("user-agent", format!("marked/{n}"));
            assert_eq!(app.post(&unknown).await.status, 404);
            let url = format!("http://{}/marked/{n}", app.public.unwrap());
            assert_eq!(app.client.get(url).send().await.unwrap().status(), 404);
            assert_eq!(app.ask(&format!("/v1/marked-{n}")).await.status, 404);
        }
        app.until_open(0).await;
    };
    round(0, 3).await;
    let before = n_series(&app).await;
    round(3, 150).await;
    assert_eq!(n_series(&app).await, before);
    let text = String::from_utf8(app.ask("/metrics").await.body.to_vec()).unwrap();
    assert!(!text.contains("marked"), "{text}");
    app.finish().await;
});
