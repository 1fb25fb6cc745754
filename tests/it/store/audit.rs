use gatepost::{
    base::ids::AuditId,
    store::audit::{AuditQuery, Deed, Verdict},
};
use tokio::task::JoinSet;

use crate::store::*;

fn deed(action: &str, actor: &str) -> Deed {
    Deed {
        id: AuditId::new(),
        actor: Some(actor.to_owned()),
        role: Some("operator".to_owned()),
        action: action.to_owned(),
        target: Some("dlv_1".to_owned()),
        status: 200,
        detail: None,
        client: Some("192.0.2.1".to_owned()),
    }
}

fn all() -> AuditQuery {
    AuditQuery {
        limit: 200,
        ..AuditQuery::default()
    }
}

async fn seqs(store: &Store, query: AuditQuery) -> Vec<u64> {
    let page = store.audit(&query).await.unwrap();
    page.rows.iter().map(|it| it.seq).collect()
}

impl TestStore {
    /// As somebody does who owns the database.
    async fn tamper(&self, sql: &str) {
        if self.is_postgres() {
            self.raw("drop trigger if exists audit_stays on audit").await;
        } else {
            self.raw("drop trigger if exists audit_stays_as_it_is").await;
            self.raw("drop trigger if exists audit_stays").await;
        }
        assert!(self.raw(sql).await > 0, "{sql}");
    }

    /// Where the chain is broken.
    async fn broken_at(&self) -> Option<u64> {
        self.verify_audit().await.unwrap().broken.map(|it| it.seq)
    }
}

store_case!(g10_what_was_done_is_listed_newest_first, |store| {
    let nobody = Deed {
        actor: None,
        role: None,
        target: None,
        status: 401,
        detail: Some("x\0y".to_owned()),
        client: None,
        ..deed("login", "")
    };
    let mut hashes = Vec::new();
    for (n, deed) in [
        deed("retry_delivery", "ops"),
        nobody.clone(),
        deed("pause_job", "eve"),
    ]
    .into_iter()
    .enumerate()
    {
        let entry = store
            .append_audit(deed, at(i64::try_from(n).unwrap()))
            .await
            .unwrap();
        assert_eq!(entry.seq, n as u64 + 1);
        hashes.push(entry.hash);
    }
    let page = store.audit(&all()).await.unwrap();
    assert!(page.next.is_none());
    assert_eq!(
        page.rows.iter().map(|it| it.hash).rev().collect::<Vec<_>>(),
        hashes
    );
    let read = &page.rows[1];
    assert_eq!((read.seq, read.at), (2, at(1)));
    let expected = Deed {
        detail: Some("x\u{fffd}y".to_owned()),
        ..nobody
    };
    assert_eq!(read.deed, expected);

    let with = |change: fn(&mut AuditQuery)| {
        let mut query = all();
        change(&mut query);
        query
    };
    for (query, expected) in [
        (with(|it| it.actor = Some("ops".to_owned())), vec![1]),
        (with(|it| it.action = Some("pause_job".to_owned())), vec![3]),
        (with(|it| it.target = Some("dlv_1".to_owned())), vec![3, 1]),
        (with(|it| it.after = Some(at(1))), vec![3, 2]),
        (with(|it| it.before = Some(at(1))), vec![1]),
        (with(|it| it.cursor = Some(3)), vec![2, 1]),
        (with(|it| it.actor = Some("o'ps\0".to_owned())), vec![]),
    ] {
        assert_eq!(seqs(store, query.clone()).await, expected, "{query:?}");
    }
    let first = store.audit(&with(|it| it.limit = 2)).await.unwrap();
    assert_eq!((first.rows.len(), first.next), (2, Some(2)));
    assert_eq!(store.broken_at().await, None);
});

store_case!(g10_an_entry_that_is_given_twice_is_one, |store| {
    let deed = deed("retry_delivery", "ops");
    let first = store.append_audit(deed.clone(), at(0)).await.unwrap();
    let second = store.append_audit(deed, at(9)).await.unwrap();
    assert_eq!(first, second);
    assert_eq!(seqs(store, all()).await, [1]);
});

store_case!(g10_an_empty_log_is_whole, |store| {
    let verdict = store.verify_audit().await.unwrap();
    assert_eq!((verdict.n_entries, verdict.broken), (0, None));
});

store_case!(g10_the_log_is_appended_to_and_nothing_else, |store| {
    store
        .append_audit(deed("retry_delivery", "ops"), at(0))
        .await
        .unwrap();
    let url = store.url();
    for sql in ["update audit set actor = 'eve'", "delete from audit"] {
        let error = if store.is_postgres() {
            let mut conn = PgConnection::connect(url).await.unwrap();
            QueryBuilder::new(sql)
                .build()
                .execute(&mut conn)
                .await
                .unwrap_err()
        } else {
            let mut conn = SqliteConnection::connect(url).await.unwrap();
            QueryBuilder::new(sql)
                .build()
                .execute(&mut conn)
                .await
                .unwrap_err()
        };
        assert!(error.to_string().contains("never changed"), "{error}");
    }
});

store_case!(
    g10_whoever_changes_the_log_behind_its_back_is_found_out,
    |store| {
        for n in 0..6 {
            store
                .append_audit(deed("retry_delivery", "ops"), at(n))
                .await
                .unwrap();
        }
        assert_eq!(store.broken_at().await, None);
        // The last of them first, so that each is the first that is broken.
        store.tamper("update audit_head set seq = 5").await;
        assert_eq!(store.broken_at().await, Some(5));
        store.tamper("update audit_head set seq = 6").await;
        assert_eq!(store.broken_at().await, None);
        store.tamper("delete from audit where seq = 6").await;
        assert_eq!(store.broken_at().await, Some(6));
        store
            .tamper("update audit set hash = (select hash from audit where seq = 1) where seq = 5")
            .await;
        assert_eq!(store.broken_at().await, Some(5));
        store.tamper("update audit set status = 403 where seq = 4").await;
        assert_eq!(store.broken_at().await, Some(4));
        store.tamper("update audit set seq = 30 where seq = 3").await;
        assert_eq!(store.broken_at().await, Some(3));
        store.tamper("update audit set actor = 'eve' where seq = 2").await;
        let Verdict {
            n_entries, broken, ..
        } = store.verify_audit().await.unwrap();
        assert_eq!((n_entries, broken.unwrap().seq), (1, 2));
    }
);

store_case!(g10_replicas_that_append_at_once_make_one_chain, |store| {
    let mut tasks = JoinSet::new();
    for n in 0..4 {
        let replica = store.replica().await;
        tasks.spawn(async move {
            for _ in 0..25 {
                let deed = deed("retry_delivery", &format!("replica-{n}"));
                replica.append_audit(deed, at(n)).await.unwrap();
            }
            replica
        });
    }
    let replicas = tasks.join_all().await;
    let verdict = store.verify_audit().await.unwrap();
    assert_eq!((verdict.n_entries, verdict.broken), (100, None));
    let last = AuditQuery { limit: 1, ..all() };
    assert_eq!(store.audit(&last).await.unwrap().rows[0].hash, verdict.last.hash);
    if store.is_postgres() {
        for replica in replicas {
            replica.close().await;
        }
    }
});
