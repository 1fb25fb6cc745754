//! Google Pub/Sub as a destination: down, without the topic, throttling, slow, and too small.
//!
//! Google gives its emulator away only with a program that no package registry has, so a small server of the test's own plays it, as
//! the documentation of its REST API says; it makes the tokens of its service account too.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    sync::{Arc, Mutex},
};

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::{io::AsyncWriteExt, time::Instant};

use crate::{
    app::{
        app_case,
        sender::{event, stripe},
        site::Site,
    },
    handler::{Handler, Received, read_request},
    matrix::{
        beside::{BREAKER, until_said},
        observed,
    },
};

const KEY: &str = include_str!("../../../vectors/rsa-2048.pem");
const TOPIC: &str = "projects/p/topics/webhooks";

/// How it answers what is published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mood {
    NoTopic,
    Busy,
    Slow,
    Good,
}

/// The service, and what it was given.
struct Google {
    address: SocketAddr,
    mood: Arc<Mutex<Mood>>,
    messages: Arc<Mutex<Vec<Value>>>,
    assertions: Arc<Mutex<Vec<String>>>,
}

impl Google {
    fn new() -> Self {
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        Self {
            address: free.local_addr().unwrap(),
            mood: Arc::new(Mutex::new(Mood::NoTopic)),
            messages: Arc::default(),
            assertions: Arc::default(),
        }
    }

    fn turn(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    async fn start(&self) -> Handler {
        let (mood, messages, assertions) =
            (self.mood.clone(), self.messages.clone(), self.assertions.clone());
        Handler::start_at(self.address, move |mut stream, _| {
            let (mood, messages, assertions) = (mood.clone(), messages.clone(), assertions.clone());
            async move {
                while let Some(received) = read_request(&mut stream).await {
                    let answer = if received.lines()[0].starts_with("POST /token ") {
                        assertions
                            .lock()
                            .unwrap()
                            .push(String::from_utf8(received.body).unwrap());
                        (
                            200,
                            json!({ "access_token": "ya29.x", "token_type": "Bearer", "expires_in": 3599 }),
                        )
                    } else {
                        let mood = *mood.lock().unwrap();
                        if mood == Mood::Slow {
                            std::future::pending::<()>().await;
                        }
                        publish(&received, mood, &messages)
                    };
                    let body = answer.1.to_string();
                    let head = format!(
                        "HTTP/1.1 {} X\r\ncontent-length: {}\r\n\r\n",
                        answer.0,
                        body.len()
                    );
                    if stream
                        .write_all(format!("{head}{body}").as_bytes())
                        .await
                        .is_err()
                    {
                        return;
                    }
                }
            }
        })
        .await
    }
}

fn publish(received: &Received, mood: Mood, messages: &Mutex<Vec<Value>>) -> (u16, Value) {
    let refused = |code: u16, status: &str| {
        (
            code,
            json!({ "error": { "code": code, "status": status, "message": "no" } }),
        )
    };
    assert!(received.lines()[0].starts_with(&format!("POST /v1/{TOPIC}:publish ")));
    if received.header("authorization") != ["Bearer ya29.x"] {
        return refused(401, "UNAUTHENTICATED");
    }
    match mood {
        Mood::NoTopic => refused(404, "NOT_FOUND"),
        Mood::Busy => refused(429, "RESOURCE_EXHAUSTED"),
        Mood::Slow | Mood::Good => {
            let input: Value = serde_json::from_slice(&received.body).unwrap();
            let mut messages = messages.lock().unwrap();
            messages.push(input["messages"][0].clone());
            (200, json!({ "messageIds": [messages.len().to_string()] }))
        }
    }
}

fn configure(site: &Site, google: &Google) {
    let credentials = json!({
        "type": "service_account",
        "client_email": "gatepost@p.iam.gserviceaccount.com",
        "private_key_id": "k1",
        "private_key": KEY,
        "token_uri": format!("http://{}/token", google.address),
    });
    site.write("google.json", &credentials.to_string());
    site.configure(&format!(
        "[sources.stripe]\nprovider = \"stripe\"\nsecrets = [{{ file = \"stripe.secret\" }}]\n\
         [destinations.topic]\npubsub = {{ topic = \"{TOPIC}\", endpoint = \"http://{}\", credentials = {{ file = \"google.json\" }} }}\n\
         signing_secret = {{ file = \"signing.secret\" }}\ntimeout = \"2s\"\n{BREAKER}\n\
         retry = {{ max_attempts = 1000, max_age = \"1h\", first = \"20ms\", cap = \"100ms\" }}\n\
         [[routes]]\nsource = \"stripe\"\ndestination = \"topic\"\n\
         order = {{ by = \"body:/data/object/id\", mode = \"flag\" }}\n",
        google.address
    ));
}

app_case!(f76_pubsub_down_unroutable_throttled_and_slow, |site| {
    let google = Google::new();
    configure(&site, &google);
    let app = site.start().await;
    let signed = event("evt_down");
    let id = app.accept(&signed).await;
    until_said(&app, "topic", "no token from").await;
    let _running = google.start().await;
    until_said(&app, "topic", "NOT_FOUND").await;
    google.turn(Mood::Busy);
    until_said(&app, "topic", "RESOURCE_EXHAUSTED").await;
    google.turn(Mood::Slow);
    until_said(&app, "topic", "within").await;
    google.turn(Mood::Good);
    let started_at = Instant::now();
    app.until_status(&id, "delivered").await;
    let took = started_at.elapsed();

    let message = google.messages.lock().unwrap()[0].clone();
    assert_eq!(
        STANDARD.decode(message["data"].as_str().unwrap()).unwrap(),
        signed.body
    );
    assert_eq!(message["attributes"]["webhook-id"], id.as_str());
    assert_eq!(message["attributes"]["gatepost-verified"], "body");
    assert_eq!(message["orderingKey"], hex::encode(Sha256::digest(b"in_1")));
    let form = google.assertions.lock().unwrap()[0].clone();
    let (_, assertion) = form.split_once("assertion=").unwrap();
    let claims = URL_SAFE_NO_PAD
        .decode(assertion.split('.').nth(1).unwrap())
        .unwrap();
    let claims: Value = serde_json::from_slice(&claims).unwrap();
    assert_eq!(claims["iss"], "gatepost@p.iam.gserviceaccount.com");
    assert_eq!(claims["scope"], "https://www.googleapis.com/auth/pubsub");

    let large = stripe(format!(
        "{{\"id\":\"evt_large\",\"x\":\"{}\"}}",
        "x".repeat(8_000_000)
    ));
    let large = app.accept(&large).await;
    app.until_status(&large, "dead").await;
    assert_eq!(app.attempts_of(&large).await.len(), 1);
    observed("F76", &site, "200", Some(took));
    app.finish().await;
});
