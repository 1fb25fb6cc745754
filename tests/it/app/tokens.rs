//! Handlers that want a token of OAuth 2.0, and the server that makes them: good, slow to mend, refusing.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};

use tokio::io::AsyncWriteExt;

use crate::{
    app::{app_case, destinations::configure, receiver::Reply, sender::event, site::Site},
    handler::{Handler, Received, read_request},
    matrix::beside::until_said,
};

/// Gives the tokens `t1`, `t2`, ... that live for so many seconds.
struct TokenServer {
    handler: Handler,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    refuses: AtomicBool,
    requests: Mutex<Vec<Received>>,
}

impl TokenServer {
    async fn start(expires_in: u32) -> Self {
        let state = Arc::<State>::default();
        let shared = Arc::clone(&state);
        let handler = Handler::start(move |mut stream, _| {
            let state = Arc::clone(&shared);
            async move {
                while let Some(received) = read_request(&mut stream).await {
                    let answer = state.answer(received, expires_in);
                    if stream.write_all(answer.as_bytes()).await.is_err() {
                        return;
                    }
                }
            }
        })
        .await;
        Self { handler, state }
    }

    fn refuse(&self, does_refuse: bool) {
        self.state.refuses.store(does_refuse, Ordering::SeqCst);
    }

    fn requests(&self) -> Vec<Received> {
        self.state.requests.lock().unwrap().clone()
    }

    /// Its tokens go along with what is sent to `billing`.
    fn configure(&self, site: &Site) {
        let token_url = self.handler.url("/token");
        site.write("client.secret", "of-the-client");
        configure(
            site,
            &format!(
                "url = \"http://{{}}/billing\"\noauth2 = {{ token_url = \"{token_url}\", client_id = \"gatepost\", \
                 client_secret = {{ file = \"client.secret\" }}, scopes = [\"write\"] }}"
            ),
        );
    }
}

impl State {
    fn answer(&self, received: Received, expires_in: u32) -> String {
        let mut requests = self.requests.lock().unwrap();
        requests.push(received);
        let (status, body) = if self.refuses.load(Ordering::SeqCst) {
            ("401 Unauthorized", r#"{"error":"invalid_client"}"#.to_owned())
        } else {
            let token = format!("t{}", requests.len());
            let body =
                format!(r#"{{"access_token":"{token}","token_type":"Bearer","expires_in":{expires_in}}}"#);
            ("200 OK", body)
        };
        format!(
            "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
    }
}

fn tokens(site: &Site) -> Vec<String> {
    let hits = site.receiver.hits("/billing");
    hits.iter()
        .map(|it| it.header("authorization").to_owned())
        .collect()
}

app_case!(a_token_goes_along_and_is_asked_for_once, |site| {
    let server = TokenServer::start(3600).await;
    server.configure(&site);
    let app = site.start().await;
    let events: Vec<_> = (0..8).map(|n| event(&format!("evt_{n}"))).collect();
    futures_util::future::join_all(events.iter().map(|it| app.accept(it))).await;
    site.receiver.arrived("/billing", 8).await;
    assert_eq!(tokens(&site), ["Bearer t1"; 8]);
    let requests = server.requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].body, b"grant_type=client_credentials&scope=write");
    // `gatepost:of-the-client`
    assert_eq!(
        requests[0].header("authorization"),
        ["Basic Z2F0ZXBvc3Q6b2YtdGhlLWNsaWVudA=="]
    );
    app.finish().await;
});

app_case!(a_token_that_has_ended_is_not_used_again, |site| {
    let server = TokenServer::start(0).await;
    server.configure(&site);
    let app = site.start().await;
    for n in 0..3 {
        let id = app.accept(&event(&format!("evt_{n}"))).await;
        app.until_status(&id, "delivered").await;
    }
    assert_eq!(tokens(&site), ["Bearer t1", "Bearer t2", "Bearer t3"]);
    app.finish().await;
});

app_case!(a_token_that_the_handler_refuses_is_exchanged_once, |site| {
    let server = TokenServer::start(3600).await;
    server.configure(&site);
    let app = site.start().await;
    let first = app.accept(&event("evt_1")).await;
    app.until_status(&first, "delivered").await;
    site.receiver.script("/billing", [Reply::Status(401)]);
    let second = app.accept(&event("evt_2")).await;
    app.until_status(&second, "delivered").await;
    assert_eq!(app.attempts_of(&second).await.len(), 1);
    assert_eq!(tokens(&site), ["Bearer t1", "Bearer t1", "Bearer t2"]);
    // One that no token is good enough for.
    site.receiver
        .script("/billing", [Reply::Status(401), Reply::Status(401)]);
    let third = app.accept(&event("evt_3")).await;
    app.until_status(&third, "delivered").await;
    let attempts = app.attempts_of(&third).await;
    assert_eq!(attempts.len(), 2);
    assert_eq!(attempts[0]["status_code"], 401);
    assert_eq!(server.requests().len(), 3);
    app.finish().await;
});

app_case!(
    a_token_server_that_gives_none_is_no_answer_of_the_handler,
    |site| {
        let server = TokenServer::start(3600).await;
        server.refuse(true);
        server.configure(&site);
        let text = std::fs::read_to_string(site.config_file()).unwrap();
        site.configure(&text.replace("max_attempts = 4", "max_attempts = 1000"));
        let app = site.start().await;
        let id = app.accept(&event("evt_1")).await;
        until_said(&app, "billing", "it answered 401, `invalid_client`").await;
        let attempt = &app.attempts_of(&id).await[0];
        assert!(attempt["status_code"].is_null(), "{attempt}");
        assert!(site.receiver.hits("/billing").is_empty());
        server.refuse(false);
        app.until_status(&id, "delivered").await;
        app.finish().await;
    }
);
