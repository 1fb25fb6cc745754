use gatepost::{
    base::ids::RequestId,
    store::{
        error::StoreError,
        query::RequestQuery,
        record::Recorded,
        rejected::{RejectedCount, RejectedRequest},
    },
};

use crate::store::*;

pub(super) fn request(cause: &str, received_at: Timestamp) -> RejectedRequest {
    RejectedRequest {
        id: RequestId::new(),
        source: "stripe".into(),
        cause: cause.to_owned(),
        explanation: "the signature does not match\0".to_owned(),
        received_at,
        method: "POST".to_owned(),
        target: "/webhooks/stripe?a=%00".to_owned(),
        client: Some("192.0.2.1".to_owned()),
        headers: Headers::from_pairs([("x-sig", &b"\xff\x00"[..])]),
        body: Some(Bytes::from_static(b"\x00\xff")),
        size: 2,
        accepted_as: None,
    }
}

store_case!(b09_rejected_requests_are_kept_and_counted, |store| {
    let kept = request("signature_mismatch", at(1));
    let mut large = request("unsigned", at(2));
    large.body = None;
    large.size = 1 << 40;
    let counted = RejectedCount {
        source: "stripe".into(),
        n_requests: 1_000,
    };
    store
        .reject(vec![kept.clone(), large.clone()], vec![counted])
        .await
        .unwrap();

    let read = store.request(kept.id).await.unwrap();
    assert_eq!(read.explanation, "the signature does not match\u{fffd}");
    assert_eq!(
        (&read.body, &read.headers, read.size),
        (&kept.body, &kept.headers, 2)
    );
    let read = store.request(large.id).await.unwrap();
    assert_eq!((read.body, read.size), (None, 1 << 40));
    let ledger = store.ledger(at(0)).await.unwrap();
    assert_eq!(
        (ledger.received, ledger.rejected, ledger.duplicates),
        (1_002, 1_002, 0)
    );
    let page = store
        .requests(&RequestQuery {
            limit: 9,
            ..Default::default()
        })
        .await
        .unwrap();
    assert_eq!(
        page.rows.iter().map(|it| it.has_body).collect::<Vec<_>>(),
        [false, true]
    );
    store.reject(Vec::new(), Vec::new()).await.unwrap();
    assert!(matches!(
        store.request(RequestId::new()).await,
        Err(StoreError::NotFound { what: "request", .. })
    ));
});

store_case!(an_accepted_request_becomes_an_event_once, |store| {
    let rejected = request("signature_mismatch", at(1));
    store.reject(vec![rejected.clone()], Vec::new()).await.unwrap();
    let mut new = event("stripe", "1");
    std::sync::Arc::make_mut(&mut new.event).origin = Origin::Recovered;

    let answer = store
        .accept_rejected(rejected.id, new.clone(), at(5))
        .await
        .unwrap();

    assert_eq!(answer, Recorded::Accepted);
    assert_eq!(
        store.request(rejected.id).await.unwrap().accepted_as,
        Some(new.event.id)
    );
    let ledger = store.ledger(at(0)).await.unwrap();
    assert_eq!((ledger.received, ledger.rejected, ledger.stored), (2, 1, 1));
    // A second click makes no second event, even where nothing was verified.
    let mut again = event("stripe", "1");
    again.key = None;
    let answer = store.accept_rejected(rejected.id, again, at(6)).await.unwrap();
    assert_eq!(answer, Recorded::Duplicate(new.event.id));
    assert_eq!(store.ledger(at(0)).await.unwrap(), ledger);
});

store_case!(
    an_accepted_request_may_repeat_or_contradict_a_stored_event,
    |store| {
        let (stored, _) = store.one("1").await;
        let (first, second) = (request("stale", at(1)), request("stale", at(1)));
        store
            .reject(vec![first.clone(), second.clone()], Vec::new())
            .await
            .unwrap();
        let answer = store
            .accept_rejected(first.id, event("stripe", "1"), at(5))
            .await
            .unwrap();
        assert_eq!(answer, Recorded::Duplicate(stored));
        assert_eq!(store.request(first.id).await.unwrap().accepted_as, Some(stored));
        let mut other = event("stripe", "1");
        other.body_hash = gatepost::event::body_hash(b"other");
        let answer = store.accept_rejected(second.id, other, at(5)).await.unwrap();
        assert_eq!(answer, Recorded::Conflict(stored));
        assert_eq!(store.request(second.id).await.unwrap().accepted_as, None);
        let page = store
            .requests(&RequestQuery {
                limit: 9,
                ..Default::default()
            })
            .await
            .unwrap();
        assert_eq!(
            page.rows.len(),
            2,
            "the request itself is what is kept of the conflict"
        );
        let error = store
            .accept_rejected(RequestId::new(), event("stripe", "9"), at(5))
            .await
            .unwrap_err();
        assert!(matches!(error, StoreError::NotFound { what: "request", .. }));
        assert_eq!(store.ledger(at(0)).await.unwrap().conflicts, 1);
    }
);

store_case!(requests_are_listed_by_every_filter, |store| {
    let mut all = vec![
        request("unsigned", at(1)),
        request("stale", at(2)),
        request("stale", at(3)),
    ];
    all[2].source = "github".into();
    "100% odd_".clone_into(&mut all[2].explanation);
    store.reject(all.clone(), Vec::new()).await.unwrap();
    let base = RequestQuery {
        limit: 9,
        ..Default::default()
    };
    let text = |it: &str| Some(it.to_owned());
    for (query, expected) in [
        (base.clone(), vec![2, 1, 0]),
        (
            RequestQuery {
                source: text("github"),
                ..base.clone()
            },
            vec![2],
        ),
        (
            RequestQuery {
                cause: text("stale"),
                ..base.clone()
            },
            vec![2, 1],
        ),
        (
            RequestQuery {
                after: Some(at(2)),
                ..base.clone()
            },
            vec![2, 1],
        ),
        (
            RequestQuery {
                before: Some(at(2)),
                ..base.clone()
            },
            vec![0],
        ),
        (
            RequestQuery {
                q: text("0% ODD_"),
                ..base.clone()
            },
            vec![2],
        ),
        (
            RequestQuery {
                q: text("%_%"),
                ..base.clone()
            },
            vec![],
        ),
        (
            RequestQuery {
                cursor: Some(all[1].id),
                ..base.clone()
            },
            vec![0],
        ),
    ] {
        let page = store.requests(&query).await.unwrap();
        let found: Vec<_> = page.rows.iter().map(|it| it.id).collect();
        let expected: Vec<_> = expected.into_iter().map(|idx: usize| all[idx].id).collect();
        assert_eq!(found, expected, "{query:?}");
    }
});

store_case!(old_and_surplus_requests_are_removed, |store| {
    let all: Vec<_> = (0..10).map(|n| request("x", at(n))).collect();
    store.reject(all.clone(), Vec::new()).await.unwrap();
    assert_eq!(store.prune_requests(at(3), 100, 2).await.unwrap(), 2);
    assert_eq!(store.prune_requests(at(3), 100, 9).await.unwrap(), 1);
    assert_eq!(store.prune_requests(at(3), 4, 9).await.unwrap(), 3);
    let page = store
        .requests(&RequestQuery {
            limit: 99,
            ..Default::default()
        })
        .await
        .unwrap();
    assert_eq!(page.rows.last().unwrap().id, all[6].id);
    assert_eq!(store.ledger(at(0)).await.unwrap().rejected, 10);
    assert_eq!(store.prune_requests(at(0), 0, 9).await.unwrap(), 4);
});
