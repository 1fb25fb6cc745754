//! Faulty destinations beside a good one, which must not notice.

use std::{
    collections::HashSet,
    fmt::Write,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::{io::AsyncWriteExt, net::TcpStream, time::Instant};

use crate::{
    app::{api::Api, eventually, sender::event, site::Site},
    handler::{Handler, read_request},
    matrix::observed,
};

pub(crate) const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
const QUICK: &str = r#"{ max_attempts = 500, max_age = "1h", first = "20ms", cap = "100ms" }"#;

/// Probes soon, so that the mended are found to be mended.
pub(crate) const BREAKER: &str =
    r#"breaker = { failures = 20, pause = "50ms", max_pause = "200ms", ramp = "200ms" }"#;

/// Reads each request whole, then does something wrong, until it is mended.
pub(crate) struct Faulty {
    handler: Handler,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    is_mended: AtomicBool,
    /// The ids of all that it took.
    taken: Mutex<HashSet<String>>,
}

impl Faulty {
    pub(crate) async fn start<S, F>(fault: S) -> Self
    where
        S: Fn(TcpStream) -> F + Send + Sync + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        Self::start_at("127.0.0.1:0".parse().unwrap(), fault).await
    }

    pub(crate) async fn start_at<S, F>(address: SocketAddr, fault: S) -> Self
    where
        S: Fn(TcpStream) -> F + Send + Sync + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let (state, fault) = (Arc::<State>::default(), Arc::new(fault));
        let shared = state.clone();
        let handler = Handler::start_at(address, move |mut stream, _| {
            let (state, fault) = (shared.clone(), fault.clone());
            async move {
                while let Some(received) = read_request(&mut stream).await {
                    if !state.is_mended.load(Ordering::SeqCst) {
                        return fault(stream).await;
                    }
                    let ids = received.header("gatepost-external-id");
                    state.taken.lock().unwrap().extend(ids);
                    if stream.write_all(OK).await.is_err() {
                        return;
                    }
                }
            }
        })
        .await;
        Self { handler, state }
    }

    pub(crate) fn url(&self) -> String {
        self.handler.url("/")
    }

    pub(crate) fn mend(&self) {
        self.state.is_mended.store(true, Ordering::SeqCst);
    }

    pub(crate) fn n_taken(&self) -> usize {
        self.state.taken.lock().unwrap().len()
    }
}

/// Stripe to `billing`, and to each of these: a name and a URL.
pub(crate) fn config<'a>(faulty: impl IntoIterator<Item = (&'a str, String)>, retry: &str) -> String {
    let mut text = r#"
[sources.stripe]
provider = "stripe"
secrets = [{ file = "stripe.secret" }]
[destinations.billing]
url = "http://{}/billing"
[[routes]]
name = "to-billing"
source = "stripe"
destination = "billing"
"#
    .to_owned();
    for (name, url) in faulty {
        let _ = write!(
            text,
            "[destinations.{name}]\nurl = \"{url}\"\ntimeout = \"10s\"\nconcurrency = 2\nretry = {retry}\n{BREAKER}\n\
             [[routes]]\nname = \"to-{name}\"\nsource = \"stripe\"\ndestination = \"{name}\"\n"
        );
    }
    text
}

/// Posts `n` events, each of which is taken at once, and waits until the good destination has them all.
pub(crate) async fn post_past(site: &Site, app: &Api, n: usize) -> Vec<String> {
    let mut ids = Vec::new();
    for n in 0..n {
        ids.push(app.accept(&event(&format!("evt_{n}"))).await);
    }
    site.receiver.arrived("/billing", n).await;
    ids
}

/// Waits until some delivery to this destination says this of its last attempt.
pub(crate) async fn until_said(app: &Api, destination: &str, text: &str) {
    eventually(&format!("`{destination}` fails with `{text}`"), || async {
        let rows = app
            .list(&format!("/v1/deliveries?destination={destination}"))
            .await;
        let says = |it: &serde_json::Value| it["last_error"].as_str().is_some_and(|it| it.contains(text));
        rows.iter().any(says).then_some(())
    })
    .await;
}

/// The whole row: faulty ones with what is to be kept of their attempts. Mended, they get all that they missed.
pub(crate) async fn play(site: &Site, row: &str, faulty: &[(&str, &str, &Faulty)]) {
    const N: usize = 6;
    let text = config(faulty.iter().map(|(name, _, it)| (*name, it.url())), QUICK);
    // The others have time enough: none of them is to fail by it.
    site.configure(&if row == "F66" {
        text.replace("\"10s\"", "\"400ms\"")
    } else {
        text
    });
    let app = site.start().await;
    post_past(site, &app, N).await;
    for (name, text, _) in faulty {
        until_said(&app, name, text).await;
    }
    for (_, _, it) in faulty {
        assert_eq!(it.n_taken(), 0);
        it.mend();
    }
    let mended_at = Instant::now();
    let ledger = app.until_open(0).await;
    let took = mended_at.elapsed();
    assert_eq!(ledger["delivered"], N * (1 + faulty.len()), "{ledger}");
    assert_eq!(ledger["dead"], 0, "{ledger}");
    for (name, _, it) in faulty {
        assert_eq!(it.n_taken(), N, "{name}");
    }
    assert_eq!(
        site.receiver.hits("/billing").len(),
        N,
        "the good one got each once"
    );
    observed(row, site, "200", Some(took));
    app.finish().await;
}

/// Retries every dead letter, as an operator does.
pub(crate) async fn retry_dead(app: &Api) -> usize {
    let dead = app.list("/v1/deliveries?status=dead&limit=200").await;
    for it in &dead {
        let path = format!("/v1/deliveries/{}/retry", it["id"].as_str().unwrap());
        let answer = app.command(&path, "").await;
        assert!((200..300).contains(&answer.status), "{answer:?}");
    }
    dead.len()
}
