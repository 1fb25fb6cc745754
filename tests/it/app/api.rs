//! What a sender and an operator do to a running gatepost.

use std::{net::SocketAddr, time::Duration};

use bytes::Bytes;
use gatepost::egress;
use http::HeaderMap;
use serde_json::Value;

use crate::app::{PATIENCE, eventually, sender::Signed};

/// The two addresses of a gatepost, and a client for them.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    pub(crate) client: reqwest::Client,
    pub(crate) public: Option<SocketAddr>,
    pub(crate) admin: SocketAddr,
}

/// An answer, whole.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// `accepted` or `duplicate`, and the event's id.
    pub(crate) fn taken(&self) -> (String, String) {
        assert_eq!(self.status, 200, "{self:?}");
        let json = self.json();
        let text = |name: &str| json[name].as_str().unwrap_or_else(|| panic!("{json}")).to_owned();
        (text("status"), text("id"))
    }

    pub(crate) fn accepted(&self) -> String {
        let (status, id) = self.taken();
        assert_eq!(status, "accepted");
        id
    }

    pub(crate) fn duplicate(&self) -> String {
        let (status, id) = self.taken();
        assert_eq!(status, "duplicate");
        id
    }

    /// 503 with a time to come back.
    pub(crate) fn is_own_fault(&self) -> bool {
        let seconds = self.headers.get("retry-after").and_then(|it| it.to_str().ok());
        self.status == 503
            && seconds.is_some_and(|it| it.parse::<u32>().is_ok_and(|it| (1..=60).contains(&it)))
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "this client plays the sender; it guards nothing"
)]
pub(crate) fn client() -> reqwest::Client {
    egress::tls::install_crypto();
    reqwest::Client::builder()
        .timeout(PATIENCE)
        .pool_idle_timeout(Duration::from_secs(5))
        .no_proxy()
        .build()
        .unwrap()
}

impl Api {
    pub(crate) fn webhook_url(&self, source: &str) -> String {
        let public = self.public.expect("this one takes no webhooks");
        format!("http://{public}/webhooks/{source}")
    }

    pub(crate) async fn try_post(&self, signed: &Signed) -> Result<Answer, reqwest::Error> {
        let mut request = self.client.post(self.webhook_url(&signed.source));
        for (name, value) in &signed.headers {
            request = request.header(name, value);
        }
        whole(request.body(signed.body.clone()).send().await?).await
    }

    pub(crate) async fn post(&self, signed: &Signed) -> Answer {
        self.try_post(signed).await.unwrap()
    }

    pub(crate) async fn accept(&self, signed: &Signed) -> String {
        self.post(signed).await.accepted()
    }

    pub(crate) async fn ask(&self, path: &str) -> Answer {
        let response = self
            .client
            .get(format!("http://{}{path}", self.admin))
            .send()
            .await;
        whole(response.unwrap()).await.unwrap()
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        let answer = self.ask(path).await;
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        answer.json()
    }

    /// An operator's command; the body may be empty.
    pub(crate) async fn command(&self, path: &str, body: &str) -> Answer {
        let mut request = self.client.post(format!("http://{}{path}", self.admin));
        if !body.is_empty() {
            request = request
                .header("content-type", "application/json")
                .body(body.to_owned());
        }
        whole(request.send().await.unwrap()).await.unwrap()
    }

    pub(crate) async fn list(&self, path: &str) -> Vec<Value> {
        self.get(path).await["data"].as_array().unwrap().clone()
    }

    pub(crate) async fn delivery_of(&self, event: &str) -> Value {
        let all = self.deliveries_of(event).await;
        assert_eq!(all.len(), 1, "{all:?}");
        all[0].clone()
    }

    pub(crate) async fn deliveries_of(&self, event: &str) -> Vec<Value> {
        let event = self.get(&format!("/v1/events/{event}")).await;
        event["deliveries"].as_array().unwrap().clone()
    }

    /// Waits until every delivery of the event has this status.
    pub(crate) async fn until_status(&self, event: &str, status: &str) -> Vec<Value> {
        eventually(&format!("{event} is {status}"), || async {
            let all = self.deliveries_of(event).await;
            (!all.is_empty() && all.iter().all(|it| it["status"] == status)).then_some(all)
        })
        .await
    }

    /// Waits until the event's delivery to this destination has this status.
    pub(crate) async fn until_status_at(&self, event: &str, destination: &str, status: &str) {
        eventually(&format!("{event} is {status} at {destination}"), || async {
            let all = self.deliveries_of(event).await;
            all.iter()
                .any(|it| it["destination"] == destination && it["status"] == status)
                .then_some(())
        })
        .await;
    }

    /// The attempts of an event's only delivery.
    pub(crate) async fn attempts_of(&self, event: &str) -> Vec<Value> {
        let delivery = self.delivery_of(event).await;
        let detail = self
            .get(&format!("/v1/deliveries/{}", delivery["id"].as_str().unwrap()))
            .await;
        detail["attempts"].as_array().unwrap().clone()
    }

    /// Waits until so many deliveries are open; a store that is only just back may say no for a moment.
    pub(crate) async fn until_open(&self, n: u64) -> Value {
        eventually(&format!("{n} deliveries are open"), || async {
            let answer = self.ask("/v1/ledger").await;
            if answer.is_own_fault() {
                return None;
            }
            assert_eq!(answer.status, 200, "{answer:?}");
            let ledger = answer.json();
            (ledger["open"] == n).then_some(ledger)
        })
        .await
    }

    /// Rejected requests of this cause, once there are so many.
    pub(crate) async fn until_rejected(&self, cause: &str, n: usize) -> Vec<Value> {
        eventually(&format!("{n} requests are rejected as {cause}"), || async {
            let rows = self.list(&format!("/v1/requests?cause={cause}")).await;
            (rows.len() == n).then_some(rows)
        })
        .await
    }
}

async fn whole(response: reqwest::Response) -> Result<Answer, reqwest::Error> {
    Ok(Answer {
        status: response.status().as_u16(),
        headers: response.headers().clone(),
        body: response.bytes().await?,
    })
}
