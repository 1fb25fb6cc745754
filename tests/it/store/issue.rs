use gatepost::{
    base::ids::{IssueId, RequestId},
    store::{
        claim::{HeldBy, HoldTarget},
        error::StoreError,
        issue::{
            Change, DeadLetters, Finding, Issue, IssueQuery, Move, NotTaken, Notice, Place, Severity, State,
        },
        rejected::RejectedRequest,
    },
};

use crate::store::*;

fn finding(destination: &str, count: u64, tell: &[&str]) -> Finding {
    Finding {
        key: format!("dead_letters:destination:{destination}"),
        rule: "dead_letters",
        severity: Severity::Warning,
        place: Place {
            destination: Some(destination.to_owned()),
            ..Place::default()
        },
        summary: format!("{count} dead letters to `{destination}`\0"),
        count,
        seen_at: None,
        tell: tell.iter().map(|it| Arc::from(*it)).collect(),
    }
}

fn to(state: State, tell: &[&str]) -> Move {
    Move {
        to: state,
        by: "ops".to_owned(),
        reason: Some("on it".to_owned()),
        tell: tell.iter().map(|it| Arc::from(*it)).collect(),
    }
}

async fn all(store: &TestStore) -> Vec<Issue> {
    let query = IssueQuery {
        limit: 50,
        ..IssueQuery::default()
    };
    store.issues(&query).await.unwrap().rows
}

async fn due(store: &TestStore, name: &str, now: i64) -> Vec<(Notice, Issue)> {
    store.due_notices(name, at(now), 50).await.unwrap()
}

store_case!(
    a_change_of_an_issue_leaves_a_notice_for_each_who_wants_it,
    |store| {
        let seen = |count, tell, now| store.see_issue(finding("billing", count, tell), at(now));
        assert_eq!(seen(1, &["ops", "chat"], 0).await.unwrap(), Some(Change::Opened));
        assert_eq!(seen(2, &["ops", "chat"], 5).await.unwrap(), None);
        let [issue] = &all(store).await[..] else {
            panic!("one key is one issue")
        };
        assert_eq!(issue.summary, "2 dead letters to `billing`\u{fffd}");
        assert_eq!((issue.count, issue.state, issue.n_opened), (2, State::Open, 1));
        assert_eq!(
            (issue.first_seen_at, issue.last_seen_at, issue.holds_at),
            (at(0), at(5), at(5))
        );

        let [(notice, of)] = &due(store, "ops", 0).await[..] else {
            panic!("it is due at once")
        };
        assert_eq!(
            (notice.change, notice.created_at, of.id),
            (Change::Opened, at(0), issue.id)
        );
        assert_eq!(due(store, "chat", 0).await.len(), 1);
        assert!(due(store, "somebody", 0).await.is_empty());

        store.notices_taken(vec![notice.id], at(6)).await.unwrap();
        assert!(due(store, "ops", 9).await.is_empty());
        let told = store.notices(issue.id).await.unwrap();
        let sent: Vec<_> = told.iter().map(|it| (&*it.notification, it.sent_at)).collect();
        assert_eq!(sent, [("chat", None), ("ops", Some(at(6)))]);
    }
);

store_case!(what_is_not_taken_is_due_later_or_given_up, |store| {
    store
        .see_issue(finding("billing", 1, &["ops"]), at(0))
        .await
        .unwrap();
    let id = due(store, "ops", 0).await[0].0.id;
    let not_taken = |due_at| {
        let why = NotTaken {
            reason: "it answered 500\0".to_owned(),
            due_at,
        };
        store.notices_not_taken(vec![id], why)
    };
    not_taken(Some(at(10))).await.unwrap();
    assert!(due(store, "ops", 9).await.is_empty());
    let [(notice, _)] = &due(store, "ops", 10).await[..] else {
        panic!("its time has come")
    };
    assert_eq!(
        (notice.n_tries, notice.last_error.as_deref()),
        (1, Some("it answered 500\u{fffd}"))
    );
    not_taken(None).await.unwrap();
    assert!(due(store, "ops", 1_000).await.is_empty());
    // What was taken after all stays so, whatever a process that was slow says of it.
    store.notices_taken(vec![id], at(11)).await.unwrap();
    not_taken(Some(at(12))).await.unwrap();
    let told = store.notices(due_issue(store).await).await.unwrap();
    assert_eq!((told[0].sent_at, told[0].n_tries), (Some(at(11)), 3));
});

store_case!(what_came_later_waits_behind_what_was_not_taken, |store| {
    for destination in ["a", "b"] {
        store
            .see_issue(finding(destination, 1, &["ops"]), at(0))
            .await
            .unwrap();
    }
    let first = due(store, "ops", 0).await[0].0.id;
    for n_tries in 1..=4 {
        let why = NotTaken {
            reason: "it answered 500".to_owned(),
            due_at: Some(at(10)),
        };
        store.notices_not_taken(vec![first], why).await.unwrap();
        let n_due = due(store, "ops", 9).await.len();
        assert_eq!(n_due, usize::from(n_tries > 3), "after {n_tries} tries");
    }
    let ids: Vec<_> = due(store, "ops", 10).await.iter().map(|it| it.0.id).collect();
    assert_eq!((ids.len(), ids[0]), (2, first));
});

async fn due_issue(store: &TestStore) -> IssueId {
    all(store).await[0].id
}

store_case!(what_went_in_one_message_is_one_message, |store| {
    for destination in ["a", "b", "c"] {
        store
            .see_issue(finding(destination, 1, &["chat"]), at(0))
            .await
            .unwrap();
    }
    let ids: Vec<_> = due(store, "chat", 0).await.iter().map(|it| it.0.id).collect();
    store.notices_taken(ids[..2].to_vec(), at(1)).await.unwrap();
    store.notices_taken(ids[2..].to_vec(), at(2)).await.unwrap();
    assert_eq!(store.n_messages("chat", at(0)).await.unwrap(), 2);
    assert_eq!(store.n_messages("chat", at(1)).await.unwrap(), 1);
    assert_eq!(store.n_messages("ops", at(0)).await.unwrap(), 0);
});

store_case!(an_issue_ends_when_it_was_not_found_for_a_while, |store| {
    let seen = |now| store.see_issue(finding("billing", 1, &["ops"]), at(now));
    seen(0).await.unwrap();
    seen(10).await.unwrap();
    let id = store.live_issues().await.unwrap()[0].id;
    let end = |not_since, now| store.end_issue(id, at(not_since), vec!["ops".into()], at(now));
    assert!(!end(10, 20).await.unwrap(), "it was there at that time");
    assert!(end(11, 20).await.unwrap());
    assert!(!end(11, 21).await.unwrap(), "once");
    assert!(store.live_issues().await.unwrap().is_empty());
    let changes: Vec<_> = due(store, "ops", 99).await.iter().map(|it| it.0.change).collect();
    assert_eq!(changes, [Change::Opened, Change::Resolved]);
    assert_eq!(seen(30).await.unwrap(), Some(Change::Reopened));
    let issue = store.issue(id).await.unwrap();
    assert_eq!((issue.n_opened, issue.changed_at), (2, at(30)));
});

store_case!(an_operator_moves_an_issue, |store| {
    store.see_issue(finding("billing", 1, &[]), at(0)).await.unwrap();
    let id = all(store).await[0].id;
    let (issue, change) = store
        .move_issue(id, to(State::Acknowledged, &["ops"]), at(1))
        .await
        .unwrap();
    assert_eq!(
        (issue.state, change),
        (State::Acknowledged, Some(Change::Acknowledged))
    );
    assert_eq!(
        (issue.changed_by.as_deref(), issue.reason.as_deref()),
        (Some("ops"), Some("on it"))
    );
    assert_eq!(due(store, "ops", 1).await[0].0.changed_by.as_deref(), Some("ops"));
    let again = store.move_issue(id, to(State::Acknowledged, &["ops"]), at(2));
    assert_eq!(again.await.unwrap().1, None);
    store
        .move_issue(id, to(State::Resolved, &[]), at(3))
        .await
        .unwrap();
    let refused = store
        .move_issue(id, to(State::Acknowledged, &["ops"]), at(4))
        .await;
    assert!(matches!(refused, Err(StoreError::Conflict { .. })), "{refused:?}");
    // Nothing of what was refused is held: the next one goes through.
    store.move_issue(id, to(State::Open, &[]), at(5)).await.unwrap();
    assert_eq!(due(store, "ops", 9).await.len(), 1);
    let nobody = store
        .move_issue(IssueId::new(), to(State::Open, &[]), at(6))
        .await;
    assert!(matches!(nobody, Err(StoreError::NotFound { .. })), "{nobody:?}");
});

store_case!(what_two_find_at_once_is_one_issue_and_told_once, |store| {
    let replica = store.replica().await;
    for n in 0..20 {
        let name = format!("d{n}");
        let both = tokio::join!(
            store.see_issue(finding(&name, 1, &["ops"]), at(0)),
            replica.see_issue(finding(&name, 1, &["ops"]), at(0)),
        );
        let opened = [both.0.unwrap(), both.1.unwrap()];
        let n_opened = opened.iter().filter(|it| **it == Some(Change::Opened)).count();
        assert_eq!(n_opened, 1, "{opened:?}");
    }
    assert_eq!(all(store).await.len(), 20);
    assert_eq!(due(store, "ops", 0).await.len(), 20);
});

store_case!(issues_are_listed_by_what_they_are, |store| {
    for (name, now) in [("a", 0), ("b", 1), ("c", 2)] {
        store.see_issue(finding(name, 1, &[]), at(now)).await.unwrap();
    }
    let mut other = finding("a", 1, &[]);
    "failing:destination:a".clone_into(&mut other.key);
    (other.rule, other.severity) = ("failing", Severity::Critical);
    store.see_issue(other, at(3)).await.unwrap();
    let b = all(store).await[2].id;
    store.move_issue(b, to(State::Ignored, &[]), at(4)).await.unwrap();
    let found = async |query: IssueQuery| {
        let page = store.issues(&query).await.unwrap();
        let keys: Vec<_> = page
            .rows
            .iter()
            .map(|it| it.key.replace("destination:", ""))
            .collect();
        (keys.join(" "), page.next)
    };
    let query = IssueQuery {
        limit: 50,
        ..IssueQuery::default()
    };
    let live = IssueQuery {
        is_live: true,
        ..query.clone()
    };
    assert_eq!(found(live).await.0, "failing:a dead_letters:c dead_letters:a");
    let ignored = IssueQuery {
        state: Some(State::Ignored),
        ..query.clone()
    };
    assert_eq!(found(ignored).await.0, "dead_letters:b");
    let of_a = IssueQuery {
        destination: Some("a".to_owned()),
        severity: Some(Severity::Warning),
        rule: Some("dead_letters".to_owned()),
        ..query.clone()
    };
    assert_eq!(found(of_a).await.0, "dead_letters:a");
    let first = IssueQuery { limit: 3, ..query };
    let (keys, next) = found(first.clone()).await;
    assert_eq!(keys, "failing:a dead_letters:c dead_letters:b");
    let rest = IssueQuery {
        cursor: next,
        ..first
    };
    assert_eq!(found(rest).await, ("dead_letters:a".to_owned(), None));
});

store_case!(what_is_long_over_is_removed, |store| {
    for (name, now) in [("a", 0), ("b", 0), ("c", 50)] {
        store
            .see_issue(finding(name, 1, &["ops"]), at(now))
            .await
            .unwrap();
    }
    let [c, _, a] = &all(store).await[..] else {
        panic!("there are three")
    };
    for id in [a.id, c.id] {
        store
            .move_issue(id, to(State::Resolved, &[]), at(60))
            .await
            .unwrap();
    }
    assert_eq!(store.prune_issues(at(60), 10, at(99)).await.unwrap(), 0);
    assert_eq!(store.prune_issues(at(61), 1, at(99)).await.unwrap(), 1);
    assert_eq!(store.prune_issues(at(61), 10, at(99)).await.unwrap(), 1);
    let left: Vec<_> = all(store).await.into_iter().map(|it| it.key).collect();
    assert_eq!(left, ["dead_letters:destination:b"]);
});

store_case!(dead_letters_are_counted_for_each_destination, |store| {
    assert!(store.dead_letters(10).await.unwrap().is_empty());
    for (destination, n_dead) in [("search", 1), ("billing", 3), ("mirror", 0)] {
        for n in 0..4 {
            let mut new = event("stripe", &format!("evt_{destination}_{n}"));
            new.deliveries = vec![delivery(destination, destination)];
            store.record(vec![new]).await.unwrap();
        }
        let wanted = wanted(WorkerId::new(), &[(destination, 4)]);
        for claim in store.claim(&wanted, at(1)).await.unwrap().iter().take(n_dead) {
            store.settle_one(claim, Outcome::Dead, at(2)).await;
        }
    }
    let of = |destination: &str, count| DeadLetters {
        destination: destination.to_owned(),
        count,
    };
    let found = store.dead_letters(10).await.unwrap();
    assert_eq!(found, [of("billing", 3), of("search", 1)]);
    let found = store.dead_letters(2).await.unwrap();
    assert_eq!(found, [of("billing", 2), of("search", 1)]);
});

store_case!(a_backlog_is_what_is_past_due_and_not_held, |store| {
    for n in 0..3 {
        store.one(&format!("evt_{n}")).await;
    }
    let backlog = |before, limit| store.backlog("billing", at(before), limit);
    let oldest = store.next_due(&["billing".into()]).await.unwrap().unwrap();
    let found = backlog(60, 10).await.unwrap().unwrap();
    assert_eq!((found.count, found.oldest_due), (3, oldest));
    assert_eq!(backlog(60, 2).await.unwrap().unwrap().count, 2);
    assert_eq!(store.backlog("billing", oldest, 10).await.unwrap(), None);
    assert_eq!(store.backlog("search", at(60), 10).await.unwrap(), None);
    let target = HoldTarget::Destination("billing".into());
    store
        .hold(target, HeldBy::Gatepost, "a test", at(1))
        .await
        .unwrap();
    assert_eq!(backlog(60, 10).await.unwrap(), None);
});

store_case!(refusals_are_counted_by_source_and_cause, |store| {
    let refused = |cause: &str, seconds| RejectedRequest {
        id: RequestId::new(),
        source: "stripe".into(),
        cause: cause.to_owned(),
        explanation: "it does not match".to_owned(),
        received_at: at(seconds),
        method: "POST".to_owned(),
        target: "/webhooks/stripe".to_owned(),
        client: None,
        headers: Headers::from_pairs([("x-sig", &b"1"[..])]),
        body: None,
        size: 2,
        accepted_as: None,
    };
    let all = vec![
        refused("unsigned", 1),
        refused("stale", 2),
        refused("unsigned", 3),
        refused("unsigned", 4),
    ];
    store.reject(all, Vec::new()).await.unwrap();
    let found = store.refusals(at(2), 10).await.unwrap();
    let found: Vec<_> = found
        .iter()
        .map(|it| (&*it.source, &*it.cause, it.count, it.last_at))
        .collect();
    assert_eq!(
        found,
        [("stripe", "stale", 1, at(2)), ("stripe", "unsigned", 2, at(4))]
    );
    // Only the newest are looked at.
    let newest = store.refusals(at(0), 2).await.unwrap();
    assert_eq!((newest.len(), newest[0].count), (1, 2));
});

store_case!(a_sources_rhythm_is_its_longest_silence_of_each_day, |store| {
    const DAY: i64 = 86_400;
    let hear = |seconds: i64, listened_s: u64| {
        let source: Arc<str> = "stripe".into();
        store.hear(vec![source], Duration::from_secs(listened_s), at(seconds))
    };
    // The first word ends no silence.
    hear(0, 1_000_000).await.unwrap();
    hear(100, 1_000_000).await.unwrap();
    hear(130, 1_000_000).await.unwrap();
    hear(DAY, 1_000_000).await.unwrap();
    // What was not listened for is none.
    hear(3 * DAY, 60).await.unwrap();
    let rhythm = async |now| {
        let [it] = &store.rhythms(at(now)).await.unwrap()[..] else {
            panic!("of one source")
        };
        (it.last_at, it.longest_gap, it.n_days)
    };
    let night = Duration::from_secs(DAY.unsigned_abs() - 130);
    assert_eq!(rhythm(3 * DAY).await, (at(3 * DAY), night, 4));
    // A late word changes nothing that is known already.
    hear(DAY + 1, 1_000_000).await.unwrap();
    assert_eq!(rhythm(3 * DAY).await, (at(3 * DAY), night, 4));
    // After two weeks a day is forgotten.
    assert_eq!(rhythm(16 * DAY).await.2, 14);
    store.prune_issues(at(0), 10, at(17 * DAY)).await.unwrap();
    assert!(store.rhythms(at(20 * DAY)).await.unwrap().is_empty());
});
