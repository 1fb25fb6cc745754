//! Handlers that are not there, hang, break off, flood, point elsewhere.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use gatepost::egress::{
    client::{Call, Client, Settings},
    error::Cause,
    guard::Reach,
    resolver::Lookup,
    target::Target,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::Instant,
};

use crate::{
    app::{app_case, eventually, receiver::Reply},
    handler::{Handler, read_request},
    matrix::{
        beside::{Faulty, config, play, post_past, retry_dead, until_said},
        observed,
    },
};

const FEW: &str = r#"{ max_attempts = 3, max_age = "1h", first = "20ms", cap = "100ms" }"#;

/// Waits for the other side to give up.
async fn until_closed(mut stream: TcpStream) {
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest).await;
}

app_case!(f65_refused_and_without_a_name, |site| {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let many = FEW.replace("= 3", "= 500");
    let refused = config([("refused", format!("http://{address}/"))], &many);
    let nameless = config([("nameless", "http://gatepost.invalid/".to_owned())], FEW);
    let (_, nameless) = nameless.split_once("[destinations.nameless]").unwrap();
    site.configure(&format!("{refused}[destinations.nameless]{nameless}"));
    let app = site.start().await;
    post_past(&site, &app, 5).await;
    until_said(&app, "refused", "refused the connection").await;
    until_said(&app, "nameless", "gatepost.invalid").await;
    eventually("what has no name ends as dead letters", || async {
        let dead = app.list("/v1/deliveries?status=dead").await;
        (dead.len() == 5).then_some(())
    })
    .await;
    // Both are there after all: one starts to listen, the other's name is put right.
    let late = Faulty::start_at(address, until_closed).await;
    late.mend();
    let listens_at = Instant::now();
    app.until_open(0).await;
    let took = listens_at.elapsed();
    assert_eq!(late.n_taken(), 5);
    let named = config(
        [("nameless", format!("http://{}/named", site.receiver.address))],
        FEW,
    );
    let (_, named) = named.split_once("[destinations.nameless]").unwrap();
    site.configure(&format!("{refused}[destinations.nameless]{named}"));
    app.running.reload();
    eventually("the name is right", || async {
        let rows = app.list("/v1/destinations").await;
        let is_swapped = |it: &serde_json::Value| it.to_string().contains(&site.receiver.address.to_string());
        rows.iter()
            .any(|it| it["name"] == "nameless" && is_swapped(it))
            .then_some(())
    })
    .await;
    assert_eq!(retry_dead(&app).await, 5);
    let ledger = app.until_open(0).await;
    assert_eq!(ledger["delivered"], 15, "{ledger}");
    assert_eq!(site.receiver.hits("/named").len(), 5);
    observed("F65", &site, "200", Some(took));
    app.finish().await;
});

#[tokio::test]
async fn f65_a_name_server_that_hangs_costs_only_the_time_to_connect() {
    let never: Lookup = Arc::new(|_| Box::pin(std::future::pending()));
    let settings = Settings {
        connect_timeout: Duration::from_millis(200),
        reach: Reach::Private,
        max_idle: 4,
        proxy: None,
        extra_roots: Vec::new(),
        identity: None,
    };
    let client = Client::with_lookup(&settings, never).unwrap();
    let target = Target::new(&"http://slow.example/".parse().unwrap(), Reach::Private).unwrap();
    let call = Call {
        method: http::Method::POST,
        target: &target,
        headers: http::HeaderMap::new(),
        body: bytes::Bytes::new(),
        timeout: Duration::from_mins(1),
        max_body: 1024,
    };
    let failure = client.send(call).await.unwrap_err();
    assert_eq!(failure.cause, Cause::ConnectTimeout);
}

app_case!(f66_handlers_that_hang_or_drip_hold_up_nobody, |site| {
    let silent = Faulty::start(until_closed).await;
    let stopped = Faulty::start(async |mut stream: TcpStream| {
        let head = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\npart";
        let _ = stream.write_all(head).await;
        until_closed(stream).await;
    })
    .await;
    let dripping = Faulty::start(async |mut stream: TcpStream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
        let mut pace = tokio::time::interval(Duration::from_millis(20));
        while stream.write_all(b".").await.is_ok() {
            pace.tick().await;
        }
    })
    .await;
    let faulty = [
        ("silent", "did not answer within 400ms", &silent),
        ("stopped", "began to answer 200", &stopped),
        ("dripping", "began to answer 200", &dripping),
    ];
    play(&site, "F66", &faulty).await;
});

app_case!(f67_broken_connections_are_tried_again, |site| {
    const BROKEN: &str = "closed the connection before its answer was complete";
    let mid_answer = Faulty::start(async |mut stream: TcpStream| {
        let _ = stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\npart")
            .await;
        stream.set_zero_linger().unwrap();
    })
    .await;
    let after_body = Faulty::start(async |stream: TcpStream| stream.set_zero_linger().unwrap()).await;
    let closed = Faulty::start(async |stream: TcpStream| drop(stream)).await;
    let faulty = [
        ("middle", BROKEN, &mid_answer),
        ("after", BROKEN, &after_body),
        ("closed", BROKEN, &closed),
    ];
    play(&site, "F67", &faulty).await;
});

/// Answers 200 with this head, then sends as many blocks as are taken, and counts them.
async fn flood(head: &'static str, block: &'static [u8]) -> (Handler, Arc<AtomicUsize>) {
    let n_bytes = Arc::new(AtomicUsize::new(0));
    let counted = n_bytes.clone();
    let handler = Handler::start(move |mut stream, _| {
        let counted = counted.clone();
        async move {
            read_request(&mut stream).await;
            let _ = stream.write_all(head.as_bytes()).await;
            while stream.write_all(block).await.is_ok() {
                counted.fetch_add(block.len(), Ordering::SeqCst);
            }
        }
    })
    .await;
    (handler, n_bytes)
}

app_case!(f69_endless_answers_are_cut_and_bombs_stay_packed, |site| {
    const BLOCK: &[u8] = &[b'x'; 16 << 10];
    /// The head of a gzip member and a stored block of nothing, over and over: it unpacks to no end.
    const PACKED: &[u8] = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\xff\x00\x00\x00\xff\xff\x00\x00\x00\xff\xff";
    let (huge, n_huge) = flood("HTTP/1.1 200 OK\r\ncontent-length: 1073741824\r\n\r\n", BLOCK).await;
    let (endless, n_endless) = flood("HTTP/1.1 200 OK\r\n\r\n", BLOCK).await;
    let (bomb, n_bomb) = flood("HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\n\r\n", PACKED).await;
    let floods = [("huge", &huge), ("endless", &endless), ("bomb", &bomb)];
    site.configure(&config(floods.map(|(name, it)| (name, it.url("/"))), FEW));
    let app = site.start().await;
    let ids = post_past(&site, &app, 4).await;
    let ledger = app.until_open(0).await;
    // It said 200 at the start, and that is all that counts.
    assert_eq!(ledger["delivered"], 16, "{ledger}");
    for delivery in app.deliveries_of(&ids[0]).await {
        let path = format!("/v1/deliveries/{}", delivery["id"].as_str().unwrap());
        let attempts = app.get(&path).await["attempts"].clone();
        let kept = attempts[0]["response_body"].as_str().unwrap();
        assert!(kept.len() <= 8 << 10, "{} characters are kept", kept.len());
    }
    for n_bytes in [n_huge, n_endless, n_bomb] {
        let n_bytes = n_bytes.load(Ordering::SeqCst);
        assert!(n_bytes < 64 << 20, "{n_bytes} bytes were taken of four answers");
    }
    observed("F69", &site, "200", None);
    app.finish().await;
});

app_case!(f70_redirects_are_failures_wherever_they_lead, |site| {
    let here = site.receiver.address;
    let urls = ["loop", "inside", "metadata"].map(|it| (it, format!("http://{here}/{it}")));
    site.configure(&config(urls, FEW));
    for (path, status, location) in [
        ("/loop", 302, format!("http://{here}/loop")),
        ("/inside", 307, format!("http://{here}/secret")),
        (
            "/metadata",
            308,
            "http://169.254.169.254/latest/meta-data/".to_owned(),
        ),
    ] {
        site.receiver
            .always(path, Reply::With(status, "location", location));
    }
    let app = site.start().await;
    post_past(&site, &app, 2).await;
    let ledger = app.until_open(0).await;
    assert_eq!(ledger["dead"], 6, "{ledger}");
    for name in ["loop", "inside", "metadata"] {
        until_said(&app, name, "redirects are never followed").await;
        let n_hits = site.receiver.hits(&format!("/{name}")).len();
        assert_eq!(n_hits, 6, "each attempt is one request");
        site.receiver.always(&format!("/{name}"), Reply::Status(200));
    }
    assert!(site.receiver.hits("/secret").is_empty());
    assert_eq!(retry_dead(&app).await, 6);
    assert_eq!(app.until_open(0).await["delivered"], 8);
    observed("F70", &site, "200", None);
    app.finish().await;
});
