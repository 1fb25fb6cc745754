//! SQS, SNS, EventBridge and S3 as destinations: down, without a place for what comes, slow, throttled, killed, and too small.
//!
//! moto plays them, in memory: what was in it is gone when it is killed.

use std::{collections::BTreeSet, fmt::Write as _};

use serde_json::Value;
use tokio::time::Instant;

use crate::{
    app::{
        api::Api,
        app_case,
        bulk::import,
        eventually,
        process::Process,
        receiver::Reply,
        sender::{event, stripe},
        site::Site,
    },
    matrix::{
        beside::{BREAKER, until_said},
        brokers::server::{Broker, Software},
        clouds::moto::{Moto, REGION, Received, TOPIC},
        observed,
    },
};

/// All that goes along with a table of these.
const ACCOUNT: &str = "access_key_id = { file = \"aws.id\" }, secret_access_key = { file = \"aws.key\" }";
const ALL: [&str; 4] = ["archive", "bus", "queue", "topic"];

/// Stripe to each of these, tried again for as long as the test lasts.
fn configure(site: &Site, destinations: &[(&str, String)]) {
    site.write("aws.id", "AKIAIOSFODNN7EXAMPLE");
    site.write("aws.key", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY");
    let mut text =
        "[sources.stripe]\nprovider = \"stripe\"\nsecrets = [{ file = \"stripe.secret\" }]\n".to_owned();
    for (name, table) in destinations {
        let signing = if *name == "archive" {
            ""
        } else {
            "signing_secret = { file = \"signing.secret\" }\n"
        };
        write!(
            text,
            "[destinations.{name}]\n{table}\n{signing}timeout = \"2s\"\n{BREAKER}\n\
             retry = {{ max_attempts = 1000, max_age = \"1h\", first = \"20ms\", cap = \"100ms\" }}\n\
             [[routes]]\nname = \"to-{name}\"\nsource = \"stripe\"\ndestination = \"{name}\"\n"
        )
        .unwrap();
    }
    site.configure(&text);
}

fn queue(broker: &Broker, name: &str) -> String {
    let url = Moto::at(broker.address).queue_url(name);
    format!("sqs = {{ queue_url = \"{url}\", region = \"{REGION}\", {ACCOUNT} }}")
}

/// One of each kind.
fn all(broker: &Broker) -> Vec<(&'static str, String)> {
    let more = format!("endpoint = \"http://{}\", {ACCOUNT}", broker.address);
    vec![
        (
            "archive",
            format!(
                "s3 = {{ bucket = \"archive\", prefix = \"from=gatepost\", gather = \"50ms\", region = \"{REGION}\", {more} }}"
            ),
        ),
        (
            "bus",
            format!("eventbridge = {{ bus = \"webhooks\", region = \"{REGION}\", {more} }}"),
        ),
        ("queue", queue(broker, "webhooks")),
        ("topic", format!("sns = {{ topic_arn = \"{TOPIC}\", {more} }}")),
    ]
}

async fn make_all(moto: &Moto) {
    moto.make_queue("webhooks").await;
    moto.make_topic("from-topic").await;
    moto.make_bus("from-bus").await;
    moto.make_bucket("archive").await;
}

async fn all_say(app: &Api, text: &str) {
    for name in ALL {
        until_said(app, name, text).await;
    }
}

fn ids(messages: &[Received]) -> BTreeSet<String> {
    messages.iter().map(|it| it.attribute("webhook-id")).collect()
}

/// The lines of the archive.
async fn archived(moto: &Moto) -> Vec<Value> {
    let objects = moto.objects("archive").await;
    for (key, _) in &objects {
        let parts: Vec<_> = key.split('/').collect();
        let is_day = |it: &str| it.len() == 10 && it.starts_with("20");
        assert!(
            matches!(parts[..], ["from=gatepost", day, _] if is_day(day)),
            "{key}"
        );
    }
    let lines = objects.iter().flat_map(|(_, text)| text.lines());
    lines.map(|it| serde_json::from_str(it).unwrap()).collect()
}

/// On one store alone, as that which plays AWS takes its time to start, and which store it is makes no difference to it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f76_aws_down_unroutable_slow_and_killed() {
    let site = Site::sqlite().await;
    let mut broker = Broker::new(Software::Moto);
    let moto = Moto::at(broker.address);
    configure(&site, &all(&broker));
    let app = site.start().await;
    let first = app.accept(&event("evt_down")).await;
    all_say(&app, "refused the connection").await;
    broker.start().await;
    let started_at = Instant::now();
    until_said(&app, "queue", "SQS did not take it: QueueDoesNotExist").await;
    until_said(&app, "topic", "SNS did not take it: NotFound").await;
    until_said(&app, "archive", "S3 did not take it: NoSuchBucket").await;
    make_all(&moto).await;
    app.until_status(&first, "delivered").await;
    let took = started_at.elapsed();

    broker.hang();
    let signed = event("evt_slow");
    let slow = app.accept(&signed).await;
    all_say(&app, "within 2s").await;
    broker.go_on();
    app.until_status(&slow, "delivered").await;

    // What was sent and not answered may be there twice, under the same id.
    let messages = moto.receive("webhooks").await;
    assert_eq!(ids(&messages), BTreeSet::from([first.clone(), slow.clone()]));
    let published = moto.receive("from-topic").await;
    assert!(ids(&published).contains(&slow), "{published:?}");
    for it in [&messages, &published] {
        let message = it.iter().find(|it| it.attribute("webhook-id") == slow).unwrap();
        assert_eq!(message.body.as_bytes(), signed.body);
        assert_eq!(message.attribute("gatepost-source"), "stripe");
        assert_eq!(message.attribute("gatepost-verified"), "body");
        assert!(
            message.attribute("webhook-signature").starts_with("v1,"),
            "{message:?}"
        );
        let headers: Value = serde_json::from_str(&message.attribute("gatepost-headers")).unwrap();
        assert_eq!(headers["content-type"], "application/json; charset=utf-8");
    }
    let put: Vec<Value> = moto
        .receive("from-bus")
        .await
        .iter()
        .map(|it| serde_json::from_str(&it.body).unwrap())
        .collect();
    let put = put.iter().find(|it| it["detail"]["id"] == slow.as_str()).unwrap();
    assert_eq!(put["detail-type"], "invoice.paid");
    assert_eq!(
        put["detail"]["body"],
        serde_json::from_slice::<Value>(&signed.body).unwrap()
    );
    assert_eq!(put["detail"]["headers"]["gatepost-verified"], "body");
    let lines = archived(&moto).await;
    let kept: BTreeSet<_> = lines
        .iter()
        .map(|it| it["id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(kept, BTreeSet::from([first, slow]));
    can_be_imported(&lines).await;

    broker.kill();
    let killed = app.accept(&event("evt_killed")).await;
    app.until_status(&killed, "retrying").await;
    broker.start().await;
    make_all(&moto).await;
    app.until_status(&killed, "delivered").await;
    assert!(ids(&moto.receive("webhooks").await).contains(&killed));
    observed("F76", &site, "200", Some(took));
    app.finish().await;
}

/// A line of an archive is what an export writes.
async fn can_be_imported(lines: &[Value]) {
    let other = Site::sqlite().await;
    let app = other.start().await;
    let lines: Vec<_> = lines.iter().map(ToString::to_string).collect();
    for row in import(&app, &lines.join("\n"), "").await {
        assert!(
            ["accepted", "duplicate"].contains(&row["result"].as_str().unwrap()),
            "{row}"
        );
    }
    assert_eq!(other.events().await.len(), 2);
    app.finish().await;
}

// moto asks AWS's own library for Python what each signature has to be. Not for SNS: of a form it hashes what it makes of it, and not what
// came.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f76_aws_takes_what_fits_and_what_is_signed() {
    let site = Site::sqlite().await;
    let mut broker = Broker::new(Software::Moto);
    broker.start().await;
    let moto = Moto::at(broker.address);
    make_all(&moto).await;
    moto.make_queue("ordered.fifo").await;
    let mut destinations = all(&broker);
    destinations.retain(|it| it.0 != "topic");
    destinations.push(("ordered", queue(&broker, "ordered.fifo")));
    configure(&site, &destinations);
    let (id, key) = moto.make_user().await;
    moto.check_signatures(true).await;
    let app = site.start().await;
    let wrong = app.accept(&event("evt_wrong")).await;
    until_said(&app, "queue", "InvalidClientTokenId").await;
    // As an operator mends it.
    site.write("aws.id", &id);
    site.write("aws.key", &key);
    app.until_status(&wrong, "delivered").await;

    // Larger than any of them takes but the archive.
    let large = stripe(format!(
        "{{\"id\":\"evt_large\",\"type\":\"invoice.paid\",\"x\":\"{}\"}}",
        "x".repeat(2 << 20)
    ));
    let large = app.accept(&large).await;
    for name in ["bus", "queue", "ordered"] {
        app.until_status_at(&large, name, "dead").await;
    }
    app.until_status_at(&large, "archive", "delivered").await;
    for delivery in app.deliveries_of(&large).await {
        assert_eq!(delivery["attempts"], 1, "{delivery}");
    }
    moto.check_signatures(false).await;
    let ordered = moto.receive("ordered.fifo").await;
    assert_eq!(ids(&ordered), BTreeSet::from([wrong]));
    assert_eq!(ordered[0].system("MessageGroupId"), "ordered");
    assert!(ordered[0].system("MessageDeduplicationId").starts_with("dlv_"));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f76_a_message_that_was_sent_when_gatepost_died_comes_twice_under_one_id() {
    let mut site = Site::sqlite().await;
    site.set("GATEPOST__DELIVERY__LEASE", "5s");
    let mut broker = Broker::new(Software::Moto);
    broker.start().await;
    let moto = Moto::at(broker.address);
    moto.make_queue("webhooks").await;
    configure(&site, &[("queue", queue(&broker, "webhooks"))]);
    let near = Process::start(&site, "all").await;
    // It takes the request, and answers when nobody waits for it any more.
    broker.hang();
    let id = near.accept(&event("evt_1")).await;
    eventually("it is on its way", || async {
        (near.delivery_of(&id).await["status"] == "delivering").then_some(())
    })
    .await;
    near.kill();
    broker.go_on();
    let again = Process::start(&site, "all").await;
    again.until_status(&id, "delivered").await;
    let messages = moto.receive("webhooks").await;
    assert_eq!(ids(&messages), BTreeSet::from([id]));
    assert!(messages.len() <= 2, "{messages:?}");
}

app_case!(f76_aws_throttles, |site| {
    let reply = Reply::With(400, "x-amzn-errortype", "ThrottlingException:".to_owned());
    site.receiver.always("/", reply);
    let url = format!("http://{}/123456789012/webhooks", site.receiver.address);
    let table = format!("sqs = {{ queue_url = \"{url}\", region = \"{REGION}\", {ACCOUNT} }}");
    configure(&site, &[("queue", table)]);
    let app = site.start().await;
    app.accept(&event("evt_1")).await;
    until_said(&app, "queue", "SQS did not take it: ThrottlingException").await;
    // Three times in a row, and it is left alone for a while.
    eventually("its breaker opens", || async {
        let destinations = app.list("/v1/destinations").await;
        (destinations[0]["breaker"]["state"] != "closed").then_some(())
    })
    .await;
    let hits = site.receiver.arrived("/", 3).await;
    let authorization = hits[0].header("authorization");
    assert!(
        authorization.starts_with("AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/"),
        "{authorization}"
    );
    app.finish_with_open(1).await;
});
