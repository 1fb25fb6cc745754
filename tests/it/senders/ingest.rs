//! Requests that need a key or a confirmation, from their bytes to what their sender is told.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use gatepost::{
    base::{metrics::Metrics, secret::Secret},
    ingest::{Ingest, Parts, Reply, Settings},
    registry::{self, Registry, Snapshot},
    source::{Request, Source},
    store::{self, Store, clock::StoreClock, query::EventQuery},
};
use serde_json::Value;
use tempfile::TempDir;
use tokio::task::JoinSet;

use super::{SNS_CERTIFICATE, StandIn, sns, source_of, vector};
use crate::app::soon;

/// The real way in, over a store of its own.
struct Way {
    ingest: Ingest,
    store: Store,
    _tasks: JoinSet<()>,
    _directory: TempDir,
}

impl Way {
    async fn to(stand_in: &StandIn) -> Self {
        let directory = TempDir::new().unwrap();
        let url = format!("sqlite:{}", directory.path().join("gatepost.db").display());
        let store = Store::open(&store::Settings {
            url: Secret::new(url),
            max_connections: 4,
            pool_mode: store::PoolMode::Session,
        })
        .await
        .unwrap();
        store.migrate().await.unwrap();
        let settings = Settings {
            max_batch: 16,
            max_bytes_in_flight: 1 << 20,
            ack_timeout: Duration::from_secs(20),
            max_rejected_body: 1 << 10,
        };
        let parts = Parts {
            store: store.clone(),
            registry: Registry::new(Snapshot::build(&registry::Settings::default()).unwrap()),
            asking: stand_in.asking(),
            metrics: Metrics::new(),
            clock: StoreClock::new(),
            handover: None,
            wake: gatepost::store::wake::Wake::default(),
            tracer: gatepost::telemetry::Tracer::OFF,
            lease: Duration::from_secs(15),
        };
        let ingest = Ingest::new(&settings, parts);
        let mut tasks = JoinSet::new();
        tasks.spawn(ingest.batcher().clone().run());
        tasks.spawn(ingest.rejections().clone().run());
        Self {
            ingest,
            store,
            _tasks: tasks,
            _directory: directory,
        }
    }

    async fn accept(&self, source: &Arc<Source>, request: Request) -> Reply {
        let room = self.ingest.admit(1024).unwrap();
        let mut arrival = self.ingest.arrival(std::time::Instant::now());
        let accepted = self.ingest.accept(source, request, room, &mut arrival);
        soon("the reply", accepted).await
    }

    async fn n_events(&self) -> usize {
        let query = EventQuery {
            limit: 10,
            ..EventQuery::default()
        };
        self.store.events(&query).await.unwrap().rows.len()
    }
}

fn confirmations(stand_in: &StandIn) -> Vec<String> {
    let mut asked = stand_in.asked();
    asked.retain(|it| it.contains("Action="));
    asked
}

const CALL: &str = "sns.us-east-1.amazonaws.com/?Action=ConfirmSubscription&\
                    TopicArn=arn%3Aaws%3Asns%3Aus-east-1%3A123456789012%3AMyTopic&Token=2336412f37";

#[tokio::test]
async fn a_subscription_is_confirmed_by_a_call_of_our_own_and_is_no_event() {
    let stand_in = StandIn::start().await;
    let way = Way::to(&stand_in).await;
    let (mut request, certificate) = vector("aws-sns", "aws_sns-n06");
    stand_in.serve(SNS_CERTIFICATE, certificate);
    stand_in.serve("sns.us-east-1.amazonaws.com/", "<ConfirmSubscriptionResponse/>");
    let reply = way.accept(&sns(), request.clone()).await;
    assert!(
        matches!(&reply, Reply::Answer(answer) if answer.status == 200 && answer.body.is_empty()),
        "{reply:?}"
    );
    assert_eq!(confirmations(&stand_in), [CALL]);
    // The address that a request holds for this is signed, and still nobody's to visit: only its own token is.
    let mut body: Value = serde_json::from_slice(&request.body).unwrap();
    body["SubscribeURL"] = "https://evil.example/".into();
    request.body = Bytes::from(body.to_string());
    let reply = way.accept(&sns(), request).await;
    assert!(
        matches!(
            reply,
            Reply::Rejected {
                cause: "signature_mismatch"
            }
        ),
        "{reply:?}"
    );
    assert_eq!(confirmations(&stand_in).len(), 1);
    assert!(!stand_in.looked_up().contains(&"evil.example".to_owned()));
    assert_eq!(way.n_events().await, 0);
}

#[tokio::test]
async fn the_subscription_of_another_topic_is_never_confirmed() {
    let stand_in = StandIn::start().await;
    let way = Way::to(&stand_in).await;
    let (request, certificate) = vector("aws-sns", "aws_sns-n06");
    stand_in.serve(SNS_CERTIFICATE, certificate);
    stand_in.serve("sns.us-east-1.amazonaws.com/", "<ConfirmSubscriptionResponse/>");
    for topic in [
        "arn:aws:sns:us-east-1:123456789012:Other",
        "arn:aws:sns:us-east-1:999999999999:MyTopic",
    ] {
        let source = source_of("sns", "aws-sns", &[("topic_arn", topic)]);
        let reply = way.accept(&source, request.clone()).await;
        assert!(matches!(reply, Reply::Rejected { .. }), "{reply:?}");
    }
    assert!(stand_in.asked().is_empty());
    assert!(stand_in.looked_up().is_empty());
}

#[tokio::test]
async fn a_confirmation_that_fails_is_our_fault_and_sns_tries_again() {
    let stand_in = StandIn::start().await;
    let way = Way::to(&stand_in).await;
    let (request, certificate) = vector("aws-sns", "aws_sns-n03");
    stand_in.serve(SNS_CERTIFICATE, certificate);
    let reply = way.accept(&sns(), request.clone()).await;
    assert!(matches!(reply, Reply::Unavailable { .. }), "{reply:?}");
    stand_in.serve("sns.us-east-1.amazonaws.com/", "<ConfirmSubscriptionResponse/>");
    let reply = way.accept(&sns(), request.clone()).await;
    assert!(matches!(reply, Reply::Answer(_)), "{reply:?}");
    assert_eq!(confirmations(&stand_in), [CALL, CALL]);
    // A captured one, sent again and again, is not confirmed as often.
    for _ in 0..30 {
        way.accept(&sns(), request.clone()).await;
    }
    assert_eq!(confirmations(&stand_in).len(), 10);
}

#[tokio::test]
async fn notifications_are_events_once_their_certificate_is_there() {
    let stand_in = StandIn::start().await;
    let way = Way::to(&stand_in).await;
    let source = sns();
    let (request, certificate) = vector("aws-sns", "aws_sns-n01");
    let reply = way.accept(&source, request.clone()).await;
    assert!(matches!(reply, Reply::Unavailable { .. }), "{reply:?}");
    stand_in.serve(SNS_CERTIFICATE, certificate);
    // Another way in has not called in vain.
    let way = Way::to(&stand_in).await;
    let reply = way.accept(&source, request.clone()).await;
    assert!(matches!(reply, Reply::Accepted(_)), "{reply:?}");
    let reply = way.accept(&source, request).await;
    assert!(matches!(reply, Reply::Duplicate(_)), "{reply:?}");
    assert_eq!(way.n_events().await, 1);
}
