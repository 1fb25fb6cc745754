//! Kafka: no server of it can be installed, so it is the cluster that its own client library brings for tests, with real connections.

use std::{collections::BTreeSet, time::Duration};

use rdkafka::{
    ClientConfig, Message as _, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _},
    message::{Headers as _, OwnedMessage},
    mocking::MockCluster,
    producer::DefaultProducerContext,
    types::{RDKafkaApiKey, RDKafkaRespErr},
};
use tokio::time::Instant;

use crate::{
    app::{
        PATIENCE, app_case, eventually,
        sender::event,
        site::{Site, TestApp},
    },
    matrix::{
        beside::{BREAKER, until_said},
        observed,
    },
};

const TOPIC: &str = "webhooks";
const N_PARTITIONS: i32 = 4;
const ALL: i32 = -1;

struct Cluster(MockCluster<'static, DefaultProducerContext>);

impl Cluster {
    fn start() -> Self {
        Self(MockCluster::new(3).unwrap())
    }

    fn create_topic(&self) {
        self.0.create_topic(TOPIC, N_PARTITIONS, 3).unwrap();
    }

    /// Stripe to the topic, tried again for as long as the test lasts.
    fn configure(&self, site: &Site, order: &str) {
        let brokers: Vec<_> = self
            .0
            .bootstrap_servers()
            .split(',')
            .map(|it| format!("\"{it}\""))
            .collect();
        site.configure(&format!(
            "[sources.stripe]\nprovider = \"stripe\"\nsecrets = [{{ file = \"stripe.secret\" }}]\n\
             [destinations.kafka]\nkafka = {{ brokers = [{}], topic = \"{TOPIC}\" }}\n\
             signing_secret = {{ file = \"signing.secret\" }}\ntimeout = \"2s\"\n{BREAKER}\n\
             retry = {{ max_attempts = 1000, max_age = \"1h\", first = \"20ms\", cap = \"100ms\" }}\n\
             [[routes]]\nsource = \"stripe\"\ndestination = \"kafka\"\n{order}\n",
            brokers.join(", ")
        ));
    }

    /// All that is there, of each partition in its order.
    async fn records(&self) -> Vec<OwnedMessage> {
        let servers = self.0.bootstrap_servers();
        let read = tokio::task::spawn_blocking(move || {
            let consumer: BaseConsumer = ClientConfig::new()
                .set("bootstrap.servers", servers)
                .set("group.id", "reader")
                .create()
                .unwrap();
            let mut places = TopicPartitionList::new();
            let mut n_records = 0;
            for partition in 0..N_PARTITIONS {
                let (first, end) = consumer.fetch_watermarks(TOPIC, partition, PATIENCE).unwrap();
                n_records += end - first;
                places
                    .add_partition_offset(TOPIC, partition, Offset::Beginning)
                    .unwrap();
            }
            consumer.assign(&places).unwrap();
            let next = |_| consumer.poll(PATIENCE).expect("it is there").unwrap().detach();
            (0..n_records).map(next).collect()
        });
        read.await.unwrap()
    }
}

fn header(record: &OwnedMessage, name: &str) -> String {
    let headers = record.headers().unwrap();
    let found = headers.iter().find(|it| it.key == name).and_then(|it| it.value);
    String::from_utf8(found.unwrap_or_default().to_vec()).unwrap()
}

fn ids(records: &[OwnedMessage]) -> BTreeSet<String> {
    records.iter().map(|it| header(it, "webhook-id")).collect()
}

async fn until_one_says(app: &TestApp, id: &str, text: &str) {
    eventually(&format!("`{id}` fails with `{text}`"), || async {
        let delivery = app.delivery_of(id).await;
        let error = delivery["last_error"].as_str().unwrap_or_default();
        error.contains(text).then_some(())
    })
    .await;
}

app_case!(f76_kafka_down_slow_and_up_again, |site| {
    let cluster = Cluster::start();
    cluster.create_topic();
    cluster.configure(&site, "");
    cluster.0.broker_down(ALL).unwrap();
    let app = site.start().await;
    let signed = event("evt_down");
    let mut sent = vec![app.accept(&signed).await];
    until_said(&app, "kafka", "no connection to Kafka").await;
    cluster.0.broker_up(ALL).unwrap();
    let started_at = Instant::now();
    app.until_status(&sent[0], "delivered").await;
    let took = started_at.elapsed();

    cluster.0.broker_round_trip_time(ALL, PATIENCE).unwrap();
    sent.push(app.accept(&event("evt_slow")).await);
    until_one_says(&app, &sent[1], "did not confirm").await;
    cluster.0.broker_round_trip_time(ALL, Duration::ZERO).unwrap();
    app.until_status(&sent[1], "delivered").await;

    cluster.0.broker_down(ALL).unwrap();
    sent.push(app.accept(&event("evt_down_again")).await);
    until_one_says(&app, &sent[2], "Kafka").await;
    cluster.0.broker_up(ALL).unwrap();
    app.until_status(&sent[2], "delivered").await;

    let records = cluster.records().await;
    assert_eq!(ids(&records), sent.iter().cloned().collect(), "{records:?}");
    let first = records
        .iter()
        .find(|it| header(it, "webhook-id") == sent[0])
        .unwrap();
    assert_eq!(first.payload(), Some(&signed.body[..]));
    assert_eq!(first.key(), Some(sent[0].as_bytes()));
    assert_eq!(header(first, "gatepost-source"), "stripe");
    assert_eq!(header(first, "gatepost-verified"), "body");
    assert!(header(first, "webhook-signature").starts_with("v1,"));
    observed("F76", &site, "200", Some(took));
    app.finish().await;
});

app_case!(
    f76_h04_what_the_replicas_of_kafka_have_not_is_not_delivered,
    |site| {
        let cluster = Cluster::start();
        cluster.create_topic();
        cluster.configure(&site, "");
        let app = site.start().await;
        // More than one attempt repeats in its time.
        let few = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS; 1000];
        cluster.0.request_errors(RDKafkaApiKey::Produce, &few);
        let id = app.accept(&event("evt_1")).await;
        until_one_says(&app, &id, "did not confirm").await;
        assert_eq!(cluster.records().await.len(), 0);
        cluster.0.clear_request_errors(RDKafkaApiKey::Produce);
        app.until_status(&id, "delivered").await;
        assert_eq!(ids(&cluster.records().await), BTreeSet::from([id]));
        app.finish().await;
    }
);

app_case!(f76_what_kafka_repeats_within_an_attempt_is_there_once, |site| {
    let cluster = Cluster::start();
    cluster.create_topic();
    cluster.configure(&site, "");
    let app = site.start().await;
    // The connection breaks instead of an answer, again and again.
    let cut = [RDKafkaRespErr::RD_KAFKA_RESP_ERR__TRANSPORT; 2];
    cluster.0.request_errors(RDKafkaApiKey::Produce, &cut);
    let id = app.accept(&event("evt_1")).await;
    app.until_status(&id, "delivered").await;
    assert_eq!(cluster.records().await.len(), 1);
    app.finish().await;
});

app_case!(f76_a_topic_that_kafka_has_not_is_waited_for, |site| {
    let cluster = Cluster::start();
    let unknown = RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
    cluster.create_topic();
    cluster.0.topic_error(TOPIC, unknown).unwrap();
    cluster.configure(&site, "");
    let app = site.start().await;
    let id = app.accept(&event("evt_1")).await;
    until_one_says(&app, &id, "Kafka has no topic `webhooks`").await;
    let none = RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR;
    cluster.0.topic_error(TOPIC, none).unwrap();
    app.until_status(&id, "delivered").await;
    app.finish().await;
});

app_case!(h06_what_is_too_large_for_kafka_is_a_dead_letter, |site| {
    let cluster = Cluster::start();
    cluster.create_topic();
    cluster.configure(&site, "");
    let app = site.start().await;
    let too_large = RDKafkaRespErr::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE;
    cluster.0.request_errors(RDKafkaApiKey::Produce, &[too_large]);
    let id = app.accept(&event("evt_1")).await;
    app.until_status(&id, "dead").await;
    let delivery = app.delivery_of(&id).await;
    assert_eq!(
        delivery["attempts"].as_array().map_or(1, Vec::len),
        1,
        "{delivery}"
    );
    app.finish().await;
});

app_case!(kafka_gets_what_a_route_orders_by_as_the_key, |site| {
    let cluster = Cluster::start();
    cluster.create_topic();
    cluster.configure(
        &site,
        "order = { by = \"body:/data/object/id\", mode = \"strict\" }",
    );
    let app = site.start().await;
    let mut sent = Vec::new();
    for n in 0..6 {
        let id = app.accept(&event(&format!("evt_{n}"))).await;
        app.until_status(&id, "delivered").await;
        sent.push(id);
    }
    let records = cluster.records().await;
    let keys: BTreeSet<_> = records.iter().map(|it| it.key().unwrap().to_vec()).collect();
    assert_eq!(keys.len(), 1, "the events are about one thing");
    let partitions: BTreeSet<_> = records.iter().map(rdkafka::Message::partition).collect();
    assert_eq!(partitions.len(), 1);
    let arrived: Vec<_> = records.iter().map(|it| header(it, "webhook-id")).collect();
    assert_eq!(arrived, sent);
    app.finish().await;
});
