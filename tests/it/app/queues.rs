//! Consumers that fetch: receive, ack, nack, extend, and what becomes of a consumer that says nothing.

use serde_json::{Value, json};

use crate::app::{
    api::{Answer, Api},
    app_case,
    destinations::configure,
    process::Process,
    sender::event,
    site::Site,
    soon,
};

async fn call(app: &Api, verb: &str, body: Value) -> Answer {
    app.command(&format!("/v1/queues/billing/{verb}"), &body.to_string())
        .await
}

async fn receive(app: &Api, more: Value) -> Vec<Value> {
    let mut body = json!({ "max": 10, "wait_s": 20 });
    body.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    let answer = call(app, "receive", body).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["data"].as_array().unwrap().clone()
}

async fn one(app: &Api, more: Value) -> Value {
    let mut received = receive(app, more).await;
    assert_eq!(received.len(), 1, "{received:?}");
    received.remove(0)
}

app_case!(a_consumer_receives_and_acknowledges, |site| {
    configure(&site, "queue = {}");
    let app = site.start().await;
    let signed = event("evt_1");
    let waiting = async { one(&app, json!({})).await };
    let (handed, id) = soon("it is received", async {
        tokio::join!(waiting, app.accept(&signed))
    })
    .await;
    assert_eq!(handed["event_id"], id);
    assert_eq!(
        (&handed["source"], &handed["attempt"]),
        (&"stripe".into(), &1.into())
    );
    assert_eq!(handed["body"].as_str().unwrap().as_bytes(), signed.body);
    assert_eq!(handed["headers"]["webhook-id"], id);
    assert!(
        handed["headers"]["webhook-signature"]
            .as_str()
            .unwrap()
            .starts_with("v1,")
    );
    // It is in somebody's hands: nobody else gets it.
    assert!(receive(&app, json!({ "wait_s": 0 })).await.is_empty());
    let receipt = json!({ "receipt": handed["receipt"] });
    // Twice: the first answer may have been lost.
    for _ in 0..2 {
        let answer = call(&app, "ack", receipt.clone()).await;
        assert_eq!(
            (answer.status, &answer.json()["status"]),
            (200, &"delivered".into())
        );
    }
    assert_eq!(app.delivery_of(&id).await["status"], "delivered");
    assert_eq!(app.attempts_of(&id).await.len(), 1);
    assert!(site.receiver.all_hits().is_empty());
    app.finish().await;
});

app_case!(what_is_refused_comes_again_or_is_a_dead_letter, |site| {
    configure(&site, "queue = {}");
    let app = site.start().await;
    let id = app.accept(&event("evt_1")).await;
    let handed = one(&app, json!({})).await;
    let body = json!({ "receipt": handed["receipt"], "delay_s": 0, "reason": "the disk is full" });
    let answer = call(&app, "nack", body).await;
    assert_eq!(
        (answer.status, &answer.json()["status"]),
        (200, &"retrying".into())
    );
    let again = one(&app, json!({})).await;
    assert_eq!(again["attempt"], 2);
    let body = json!({ "receipt": again["receipt"], "never": true });
    let answer = call(&app, "nack", body).await;
    assert_eq!((answer.status, &answer.json()["status"]), (200, &"dead".into()));
    assert_eq!(app.delivery_of(&id).await["status"], "dead");
    assert_eq!(app.attempts_of(&id).await[0]["error"], "the disk is full");
    app.finish().await;
});

app_case!(what_a_dead_consumer_had_goes_to_the_next, |site| {
    configure(&site, "queue = {}");
    let app = site.start().await;
    let id = app.accept(&event("evt_1")).await;
    let first = one(&app, json!({ "lease_s": 1 })).await;
    // Its lease ends, the rescue frees it, and the next one has it: the first one's word counts no more.
    let second = one(&app, json!({})).await;
    assert_eq!((&second["event_id"], &second["attempt"]), (&id.into(), &1.into()));
    for (verb, more) in [
        ("ack", json!({})),
        ("nack", json!({})),
        ("extend", json!({ "lease_s": 60 })),
    ] {
        let mut body = json!({ "receipt": first["receipt"] });
        body.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        let answer = call(&app, verb, body).await;
        assert_eq!(
            (answer.status, &answer.json()["code"]),
            (409, &"lease_lost".into()),
            "{verb}"
        );
    }
    assert_eq!(
        call(&app, "ack", json!({ "receipt": second["receipt"] }))
            .await
            .status,
        200
    );
    app.finish().await;
});

app_case!(an_extended_lease_is_kept, |site| {
    configure(&site, "queue = {}");
    let app = site.start().await;
    app.accept(&event("evt_1")).await;
    let handed = one(&app, json!({ "lease_s": 1 })).await;
    let body = json!({ "receipt": handed["receipt"], "lease_s": 600 });
    assert_eq!(call(&app, "extend", body).await.status, 200);
    // Longer than the first lease and a look of the rescue.
    assert!(receive(&app, json!({ "wait_s": 3 })).await.is_empty());
    assert_eq!(
        call(&app, "ack", json!({ "receipt": handed["receipt"] }))
            .await
            .status,
        200
    );
    app.finish().await;
});

app_case!(what_is_no_queue_or_no_receipt_of_it_is_refused, |site| {
    let text = "[sources.stripe]\nprovider = \"stripe\"\nsecrets = [{ file = \"stripe.secret\" }]\n\
                [destinations.billing]\nqueue = {}\n[destinations.other]\nqueue = {}\n\
                [destinations.http]\nurl = \"http://{}/x\"\n\
                [[routes]]\nsource = \"stripe\"\ndestination = \"billing\"\n";
    site.configure(text);
    let app = site.start().await;
    app.accept(&event("evt_1")).await;
    let handed = one(&app, json!({})).await;
    let receipt = json!({ "receipt": handed["receipt"] }).to_string();
    for path in ["/v1/queues/http/receive", "/v1/queues/nobody/receive"] {
        assert_eq!(app.command(path, "{}").await.status, 404, "{path}");
    }
    // Another queue's delivery is out of its reach.
    for verb in ["ack", "nack", "extend"] {
        let path = format!("/v1/queues/other/{verb}");
        assert_eq!(app.command(&path, &receipt).await.status, 404, "{verb}");
        let answer = call(&app, verb, json!({ "receipt": "bm90aGluZw" })).await;
        assert_eq!(answer.status, 404, "{verb}");
    }
    for bad in [
        json!({ "max": 33 }),
        json!({ "wait_s": 61 }),
        json!({ "lease_s": 0 }),
        json!({ "mx": 1 }),
    ] {
        assert_eq!(call(&app, "receive", bad.clone()).await.status, 400, "{bad}");
    }
    assert_eq!(app.command("/v1/queues/billing/ack", &receipt).await.status, 200);
    app.finish().await;
});

/// `gatepost queue ...` against a running gatepost.
async fn queue(site: &Site, app: &Process, arguments: &[&str]) -> String {
    let done = tokio::process::Command::new(env!("CARGO_BIN_EXE_gatepost"))
        .arg("queue")
        .args(arguments)
        .current_dir(site.directory.path())
        .env("GATEPOST_ADMIN_URL", format!("http://{}", app.admin))
        .kill_on_drop(true)
        .output();
    let done = soon("the command ends", done).await.unwrap();
    let text = String::from_utf8(done.stdout).unwrap();
    assert!(
        done.status.success(),
        "{text}{}",
        String::from_utf8_lossy(&done.stderr)
    );
    text
}

app_case!(a_command_for_each_delivery_of_a_queue, |site| {
    configure(&site, "queue = {}");
    let app = Process::start(&site, "all").await;
    let signed = event("evt_1");
    let id = app.accept(&signed).await;
    let script = "cat > body; echo \"$GATEPOST_EVENT_ID\" > id";
    let said = queue(
        &site,
        &app,
        &["run", "billing", "--once", "--", "/bin/sh", "-c", script],
    )
    .await;
    assert_eq!(said, format!("{id} delivered\n"));
    let read = |name: &str| std::fs::read(site.directory.path().join(name)).unwrap();
    assert_eq!(
        (read("body"), read("id")),
        (signed.body, format!("{id}\n").into_bytes())
    );
    let refused = app.accept(&event("evt_2")).await;
    let said = queue(
        &site,
        &app,
        &["run", "billing", "--once", "--", "/bin/sh", "-c", "exit 65"],
    )
    .await;
    assert_eq!(said, format!("{refused} dead\n"));
    app.until_status(&refused, "dead").await;
});
