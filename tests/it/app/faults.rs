//! A store that is away, locked, read-only, or holds a row that it cannot take: always 503, never a loss, no restart.

use std::time::Duration;

use futures_util::future::join_all;
use gatepost::app::Role;
use sqlx::{Connection, Executor};
use tokio::time::Instant;

use crate::{
    app::{
        app_case, eventually,
        sender::{Signed, event},
        site::{STRIPE_TO_BILLING, Site, TestApp},
    },
    matrix::observed,
};

app_case!(e02_a_poison_rows_neighbours_get_200, |site| {
    if site.is_postgres() {
        site.raw(
            "create function poison() returns trigger language plpgsql as $$ begin \
             raise exception using errcode = '22000', message = 'poison'; end $$",
        )
        .await;
    }
    let app = site.start().await;
    let trigger = if site.is_postgres() {
        "create trigger poison before insert on event for each row when (new.external_id like 'poison_%') \
         execute function poison()"
    } else {
        "create trigger poison before insert on event when new.external_id like 'poison_%' \
         begin select raise(abort, 'poison'); end"
    };
    site.raw(trigger).await;
    let name = |n: usize| {
        if n.is_multiple_of(9) {
            format!("poison_{n}")
        } else {
            format!("evt_{n}")
        }
    };
    let all: Vec<_> = (0..96).map(|n| (name(n), event(&name(n)))).collect();
    let answers = join_all(all.iter().map(|(_, signed)| app.post(signed))).await;
    for ((id, _), answer) in all.iter().zip(&answers) {
        if id.starts_with("poison") {
            assert!(answer.is_own_fault(), "{id}: {answer:?}");
        } else {
            answer.accepted();
        }
    }
    let n_good = all.iter().filter(|(id, _)| id.starts_with("evt")).count();
    site.receiver.arrived("/billing", n_good).await;
    // The sender's retry, once the cause is gone.
    site.raw(if site.is_postgres() {
        "drop trigger poison on event"
    } else {
        "drop trigger poison"
    })
    .await;
    let again = join_all(all.iter().map(|(_, signed)| app.post(signed))).await;
    for ((id, _), answer) in all.iter().zip(&again) {
        let (status, _) = answer.taken();
        assert_eq!(status == "accepted", id.starts_with("poison"), "{id}");
    }
    site.receiver.arrived("/billing", all.len()).await;
    let ledger = app.until_open(0).await;
    assert_eq!(ledger["stored"], 96);
    assert_eq!(site.receiver.hits("/billing").len(), all.len());
    app.finish().await;
});

app_case!(a_result_that_the_store_refuses_holds_up_no_other, |site| {
    site.configure(&format!("[delivery]\nlease = \"5s\"\n{STRIPE_TO_BILLING}"));
    let app = site.start().await;
    let of_poison = "select 1 from delivery join event on event.id = delivery.event_id \
                     where delivery.id = new.delivery_id and event.external_id = 'poison'";
    site.raw(&if site.is_postgres() {
        format!(
            "create function poison() returns trigger language plpgsql as $$ begin if exists ({of_poison}) then \
             raise exception using errcode = '22000', message = 'poison'; end if; return new; end $$"
        )
    } else {
        format!(
            "create trigger poison before insert on attempt when exists ({of_poison}) \
             begin select raise(abort, 'poison'); end"
        )
    })
    .await;
    if site.is_postgres() {
        site.raw("create trigger poison before insert on attempt for each row execute function poison()")
            .await;
    }
    let name = |n: usize| {
        if n == 13 {
            "poison".to_owned()
        } else {
            format!("evt_{n}")
        }
    };
    let all: Vec<_> = (0..40).map(|n| event(&name(n))).collect();
    for answer in join_all(all.iter().map(|signed| app.post(signed))).await {
        answer.accepted();
    }
    let ledger = app.until_open(1).await;
    assert_eq!(ledger["delivered"], 39, "{ledger}");
    site.raw(if site.is_postgres() {
        "drop trigger poison on attempt"
    } else {
        "drop trigger poison"
    })
    .await;
    // Its lease ends, and it is sent again.
    let ledger = app.until_open(0).await;
    assert_eq!(ledger["delivered"], 40, "{ledger}");
    app.finish().await;
});

/// Posts until it is taken; what comes before that is our own fault and says so.
async fn until_taken(app: &TestApp, signed: &Signed) {
    eventually("the store is back", || async {
        let answer = app.post(signed).await;
        assert!(answer.status == 200 || answer.is_own_fault(), "{answer:?}");
        (answer.status == 200).then_some(())
    })
    .await;
}

/// After a fault: all that was sent is there once, and was delivered once.
async fn all_is_well(site: &Site, app: TestApp, ids: &[&str]) {
    site.receiver
        .until("all of them are delivered", |hits| {
            let has = |id: &&str| hits.iter().any(|it| it.header("gatepost-external-id") == *id);
            ids.iter().all(has).then_some(())
        })
        .await;
    app.until_open(0).await;
    let mut stored: Vec<_> = site
        .events()
        .await
        .into_iter()
        .filter_map(|it| it.external_id)
        .collect();
    stored.sort_unstable();
    assert_eq!(stored, ids);
    assert_eq!(site.receiver.all_hits().len(), ids.len());
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f62_a_locked_sqlite_file_is_503_and_recovers() {
    let mut site = Site::sqlite().await;
    site.set("GATEPOST__INGEST__ACK_TIMEOUT", "500ms");
    let app = site.start().await;
    app.accept(&event("evt_1")).await;
    let lock = Lock::take(&site).await;
    let answer = app.post(&event("evt_2")).await;
    assert!(answer.is_own_fault(), "{answer:?}");
    // Refused by the store itself this time: the wait for the lock is over before the test's patience is.
    not_ready(&app).await;
    assert_eq!(app.ask("/livez").await.status, 200);
    lock.release().await;
    let released_at = Instant::now();
    until_taken(&app, &event("evt_2")).await;
    let recovery = released_at.elapsed();
    eventually("readiness says yes", || async {
        (app.ask("/readyz").await.status == 200).then_some(())
    })
    .await;
    all_is_well(&site, app, &["evt_1", "evt_2"]).await;
    observed("F62", &site, "503, 200", Some(recovery));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn results_of_attempts_wait_for_a_locked_store() {
    let site = Site::sqlite().await;
    site.receiver
        .always("/billing", crate::app::receiver::Reply::Gate);
    let app = site.start().await;
    let id = app.accept(&event("evt_1")).await;
    site.receiver.arrived("/billing", 1).await;
    let lock = Lock::take(&site).await;
    site.receiver.open();
    not_ready(&app).await;
    lock.release().await;
    app.until_status(&id, "delivered").await;
    assert_eq!(site.receiver.all_hits().len(), 1);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f50_terminated_sessions_lose_nothing() {
    let site = Site::postgres().await;
    let app = site.start().await;
    let ids: Vec<_> = (0..40).map(|n| format!("evt_{n:02}")).collect();
    for (n, id) in ids.iter().enumerate() {
        if n % 10 == 5 {
            site.terminate_sessions().await;
        }
        until_taken(&app, &event(id)).await;
    }
    all_is_well(&site, app, &ids.iter().map(String::as_str).collect::<Vec<_>>()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f49_a_read_only_postgres_is_503_and_recovers() {
    let site = Site::postgres().await;
    let app = site.start().await;
    app.accept(&event("evt_1")).await;
    site.receiver.arrived("/billing", 1).await;
    app.until_open(0).await;
    site.alter_database("set default_transaction_read_only = on")
        .await;
    let answer = app.post(&event("evt_2")).await;
    assert!(answer.is_own_fault(), "{answer:?}");
    not_ready(&app).await;
    site.alter_database("reset default_transaction_read_only").await;
    until_taken(&app, &event("evt_2")).await;
    all_is_well(&site, app, &["evt_1", "evt_2"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f02_a_postgres_that_is_away_is_503_and_recovers() {
    let site = Site::postgres().await;
    let app = site.start().await;
    app.accept(&event("evt_1")).await;
    site.receiver.arrived("/billing", 1).await;
    app.until_open(0).await;
    site.alter_database("allow_connections false").await;
    for _ in 0..3 {
        let answer = app.post(&event("evt_2")).await;
        assert!(answer.is_own_fault(), "{answer:?}");
    }
    not_ready(&app).await;
    // The admin side has the same fault, and says so as well.
    assert_eq!(app.ask("/v1/events").await.status, 503);
    site.alter_database("allow_connections true").await;
    until_taken(&app, &event("evt_2")).await;
    all_is_well(&site, app, &["evt_1", "evt_2"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f53_a_lock_on_the_events_is_503_and_recovers() {
    let mut site = Site::postgres().await;
    site.set("GATEPOST__INGEST__ACK_TIMEOUT", "500ms");
    let app = site.start().await;
    app.accept(&event("evt_1")).await;
    let lock = Lock::take(&site).await;
    let answer = app.post(&event("evt_2")).await;
    assert!(answer.is_own_fault(), "{answer:?}");
    lock.release().await;
    let released_at = Instant::now();
    until_taken(&app, &event("evt_2")).await;
    let recovery = released_at.elapsed();
    all_is_well(&site, app, &["evt_1", "evt_2"]).await;
    observed("F53", &site, "503, 200", Some(recovery));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e19_an_admin_side_that_hangs_holds_up_no_acknowledgement() {
    let site = Site::postgres().await;
    let app = site.start().await;
    app.accept(&event("evt_00")).await;
    let mut conn = site.postgres_connection().await;
    conn.execute("begin").await.unwrap();
    conn.execute("lock table rejected_request in access exclusive mode")
        .await
        .unwrap();
    let ids: Vec<_> = (0..40).map(|n| format!("evt_{n:02}")).collect();
    // Many times as many as the admin side has connections, again and again.
    let asking = async {
        loop {
            join_all((0..40).map(|_| app.ask("/v1/requests"))).await;
        }
    };
    let accepted = async {
        eventually("the admin side hangs", || async {
            let waiting = "select count(*) from pg_locks \
                           where not granted and relation = 'rejected_request'::regclass";
            (site.count(waiting).await >= 4).then_some(())
        })
        .await;
        for id in &ids[1..] {
            app.accept(&event(id)).await;
        }
        site.receiver.arrived("/billing", ids.len()).await;
    };
    tokio::select! {
        () = asking => (),
        () = accepted => (),
    }
    conn.execute("rollback").await.unwrap();
    // Nor does it give more than a page to whoever asks for all.
    let answer = app.ask("/v1/events?limit=2000000000").await;
    let n_rows = |it: &serde_json::Value| it["data"].as_array().map_or(0, Vec::len);
    assert!(
        answer.status == 400 || n_rows(&answer.json()) <= 200,
        "{answer:?}"
    );
    all_is_well(&site, app, &ids.iter().map(String::as_str).collect::<Vec<_>>()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b01_a_forgery_asks_the_store_for_nothing() {
    let mut site = Site::postgres().await;
    site.set("GATEPOST__INGEST__ACK_TIMEOUT", "500ms");
    // Alone, for whoever delivers looks at the events on its own account.
    let app = site.start_as(Role::Ingest).await;
    app.accept(&event("evt_1")).await;
    app.until_open(1).await;
    // Whoever so much as reads an event waits, and is seen waiting.
    let mut conn = site.postgres_connection().await;
    conn.execute("begin").await.unwrap();
    conn.execute("lock table event, delivery, tally in access exclusive mode")
        .await
        .unwrap();
    let n_waiting = "select count(*) from pg_locks where not granted and relation = 'event'::regclass";
    for id in ["evt_1", "evt_2"] {
        let mut forged = event(id);
        forged.body.push(b' ');
        for forged in [Signed::new("stripe", forged.body.clone()), forged] {
            assert_eq!(app.post(&forged).await.status, 401);
        }
    }
    assert_eq!(site.count(n_waiting).await, 0);
    assert!(app.post(&event("evt_2")).await.is_own_fault());
    assert!(site.count(n_waiting).await > 0, "the genuine one waits");
    conn.execute("rollback").await.unwrap();
    until_taken(&app, &event("evt_2")).await;
    app.stop().await;
    let app = site.start_as(Role::Deliver).await;
    all_is_well(&site, app, &["evt_1", "evt_2"]).await;
}

async fn not_ready(app: &TestApp) {
    eventually("readiness says no", || async {
        (app.ask("/readyz").await.status == 503).then_some(())
    })
    .await;
}

app_case!(f52_senders_that_leave_during_a_commit_poison_nothing, |site| {
    let app = site.start().await;
    app.accept(&event("evt_00")).await;
    let ids: Vec<_> = (0..30).map(|n| format!("evt_{n:02}")).collect();
    for round in ids[1..].chunks(10) {
        let lock = Lock::take(&site).await;
        let leave = round.iter().map(|id| {
            let (app, signed) = (&app, event(id));
            async move { tokio::time::timeout(Duration::from_millis(100), app.post(&signed)).await }
        });
        assert!(
            join_all(leave).await.iter().all(Result::is_err),
            "somebody was answered under the lock"
        );
        lock.release().await;
    }
    // Their retries: taken the first time or now, and either way once.
    for id in &ids {
        until_taken(&app, &event(id)).await;
    }
    let ids: Vec<_> = ids.iter().map(String::as_str).collect();
    all_is_well(&site, app, &ids).await;
    observed("F52", &site, "left", Some(Duration::ZERO));
});

/// Keeps gatepost from writing events, as another process might.
pub(crate) enum Lock {
    Sqlite(sqlx::SqliteConnection),
    Postgres(sqlx::PgConnection),
}

impl Lock {
    pub(crate) async fn take(site: &Site) -> Self {
        if site.is_postgres() {
            let mut conn = site.postgres_connection().await;
            conn.execute("begin").await.unwrap();
            conn.execute("lock table event in exclusive mode").await.unwrap();
            Self::Postgres(conn)
        } else {
            let mut conn = site.sqlite_connection().await;
            conn.execute("begin immediate").await.unwrap();
            Self::Sqlite(conn)
        }
    }

    pub(crate) async fn release(self) {
        match self {
            Self::Sqlite(mut conn) => {
                conn.execute("rollback").await.unwrap();
                conn.close().await.unwrap();
            }
            Self::Postgres(mut conn) => {
                conn.execute("rollback").await.unwrap();
                conn.close().await.unwrap();
            }
        }
    }
}
