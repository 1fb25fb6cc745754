use gatepost::{
    base::ids::{JobId, ProgramId},
    store::{
        claim::{HeldBy, HoldTarget},
        error::StoreError,
        job::{
            Action, Bounds, Config, Filter, FoundDelivery, Job, JobQuery, Look, NewJob, OriginalTally, Reach,
            State, Step, Target, Work,
        },
        program::RouteProgram,
        record::{Skip, SkipCause},
    },
};

use crate::store::*;

fn new_job(action: Action, filter: Filter) -> NewJob {
    NewJob {
        action,
        config: Config::Current,
        filter,
        target: Target::default(),
        per_second: Some(50),
        made_by: "ops".to_owned(),
        reason: Some("billing is back".to_owned()),
        n_planned: 7,
    }
}

fn with_status(status: Status) -> Filter {
    Filter {
        status: Some(status.as_str().to_owned()),
        ..Filter::default()
    }
}

const BOUNDS: Bounds = Bounds {
    n_scanned: 100,
    n_found: 3,
};

/// Records so many events and leaves the deliveries of all as dead letters.
async fn dead(store: &TestStore, n: usize) -> Vec<DeliveryId> {
    let mut all = Vec::new();
    for n in 0..n {
        all.push(store.one(&n.to_string()).await.1);
    }
    let worker = WorkerId::new();
    for claim in store.claim_billing(worker, n, at(1)).await {
        store.settle_one(&claim, Outcome::Dead, at(2)).await;
    }
    all
}

async fn look(store: &TestStore, job: &Job) -> Look<FoundDelivery> {
    store
        .look_for_deliveries(job.action, &job.filter, job.reach, BOUNDS)
        .await
        .unwrap()
}

fn step(job: &Job, look: Look<FoundDelivery>) -> Step {
    Step {
        job: job.id,
        from: job.reach.after,
        to: look.next,
        n_matched: look.found.len() as u64,
        n_skipped: 0,
        work: match job.action {
            Action::Cancel => Work::Cancel(look.found),
            _ => Work::Retry(look.found),
        },
    }
}

/// Steps until the job is done; the sizes of what each found.
async fn work_off(store: &TestStore, id: JobId) -> Vec<usize> {
    let mut sizes = Vec::new();
    loop {
        let job = store.job(id).await.unwrap();
        if job.state != State::Running {
            return sizes;
        }
        let look = look(store, &job).await;
        sizes.push(look.found.len());
        assert!(store.advance_job(step(&job, look), at(50)).await.unwrap());
    }
}

store_case!(a_job_is_read_back_as_it_was_made, |store| {
    let filter = Filter {
        source: Some("stripe".to_owned()),
        event_type: Some("invoice.*".to_owned()),
        after: Some(at(-9).as_micros()),
        q: Some("a\"b'c\u{0}".to_owned()),
        ..with_status(Status::Dead)
    };
    let new = NewJob {
        target: Target {
            destination: Some("billing".to_owned()),
            ..Target::default()
        },
        ..new_job(Action::Replay, filter.clone())
    };
    let made = store.create_job(new, at(5)).await.unwrap();
    let read = store.job(made.id).await.unwrap();
    assert_eq!(format!("{made:?}"), format!("{read:?}"));
    assert_eq!(
        (read.action, read.state, read.per_second),
        (Action::Replay, State::Running, Some(50))
    );
    assert_eq!(
        (read.filter, read.target.destination.as_deref()),
        (filter, Some("billing"))
    );
    assert_eq!(
        (read.made_by.as_str(), read.reason.as_deref()),
        ("ops", Some("billing is back"))
    );
    assert_eq!((read.n_planned, read.created_at, read.ended_at), (7, at(5), None));

    let second = store
        .create_job(new_job(Action::Retry, Filter::default()), at(6))
        .await
        .unwrap();
    let query = JobQuery {
        limit: 1,
        ..JobQuery::default()
    };
    let page = store.jobs(&query).await.unwrap();
    assert_eq!((page.rows[0].id, page.next), (second.id, Some(second.id)));
    store.move_job(second.id, State::Cancelled, at(7)).await.unwrap();
    let running = JobQuery {
        state: Some(State::Running),
        limit: 9,
        ..JobQuery::default()
    };
    let page = store.jobs(&running).await.unwrap();
    assert_eq!(page.rows.iter().map(|it| it.id).collect::<Vec<_>>(), [made.id]);
});

store_case!(a_retry_goes_through_all_that_was_there, |store| {
    let all = dead(store, 7).await;
    let job = store
        .create_job(new_job(Action::Retry, with_status(Status::Dead)), at(5))
        .await
        .unwrap();
    // It comes in later, so it is not the job's.
    let (_, late) = store.one("late").await;
    let claims = store.claim_billing(WorkerId::new(), 1, at(6)).await;
    store.settle_one(&claims[0], Outcome::Dead, at(6)).await;

    assert_eq!(work_off(store, job.id).await, [3, 3, 1]);
    for id in all {
        let read = store.delivery(id).await.unwrap();
        assert_eq!(
            (read.status, read.next_attempt_at),
            (Status::Pending, Some(at(50)))
        );
    }
    assert_eq!(store.status(late).await, Status::Dead);
    let job = store.job(job.id).await.unwrap();
    assert_eq!((job.state, job.ended_at), (State::Done, Some(at(50))));
    assert_eq!((job.n_matched, job.n_changed, job.n_skipped), (7, 7, 0));
});

store_case!(a_step_is_done_once_whoever_does_it_again, |store| {
    dead(store, 5).await;
    let job = store
        .create_job(new_job(Action::Retry, with_status(Status::Dead)), at(5))
        .await
        .unwrap();
    let first = step(&job, look(store, &job).await);
    assert!(store.advance_job(first.clone(), at(50)).await.unwrap());
    // By another replica, which was thought dead.
    assert!(!store.replica().await.advance_job(first, at(51)).await.unwrap());
    let read = store.job(job.id).await.unwrap();
    assert_eq!((read.n_matched, read.n_changed), (3, 3));
});

store_case!(what_moved_on_since_it_was_found_is_left_alone, |store| {
    let all = dead(store, 3).await;
    let job = store
        .create_job(new_job(Action::Retry, with_status(Status::Dead)), at(5))
        .await
        .unwrap();
    let found = look(store, &job).await;
    store.requeue(all[1], at(9)).await.unwrap();
    assert!(store.advance_job(step(&job, found), at(50)).await.unwrap());
    let read = store.delivery(all[1]).await.unwrap();
    assert_eq!(read.next_attempt_at, Some(at(9)));
    let read = store.job(job.id).await.unwrap();
    assert_eq!((read.n_matched, read.n_changed, read.n_skipped), (3, 2, 1));
});

store_case!(a_paused_job_takes_no_step_and_goes_on_where_it_stood, |store| {
    dead(store, 5).await;
    let job = store
        .create_job(new_job(Action::Retry, with_status(Status::Dead)), at(5))
        .await
        .unwrap();
    let found = look(store, &job).await;
    store.move_job(job.id, State::Paused, at(6)).await.unwrap();
    assert!(!store.advance_job(step(&job, found), at(50)).await.unwrap());
    assert_eq!(store.job(job.id).await.unwrap().n_matched, 0);
    store.move_job(job.id, State::Running, at(7)).await.unwrap();
    assert_eq!(work_off(store, job.id).await, [3, 2]);

    for state in [State::Paused, State::Running, State::Cancelled] {
        let error = store.move_job(job.id, state, at(8)).await.unwrap_err();
        assert!(
            matches!(error, StoreError::Conflict { what: "job", .. }),
            "{error:?}"
        );
    }
    let error = store
        .move_job(JobId::new(), State::Paused, at(8))
        .await
        .unwrap_err();
    assert!(
        matches!(error, StoreError::NotFound { what: "job", .. }),
        "{error:?}"
    );
});

store_case!(a_cancel_takes_open_ones_and_no_other, |store| {
    let over = dead(store, 2).await;
    let mut open = Vec::new();
    for n in 10..14 {
        open.push(store.one(&n.to_string()).await.1);
    }
    store.claim_billing(WorkerId::new(), 1, at(3)).await;
    let job = store
        .create_job(new_job(Action::Cancel, Filter::default()), at(5))
        .await
        .unwrap();
    assert_eq!(work_off(store, job.id).await.iter().sum::<usize>(), 4);
    for id in open {
        assert_eq!(store.status(id).await, Status::Cancelled);
    }
    for id in over {
        assert_eq!(store.status(id).await, Status::Dead);
    }
});

store_case!(a_look_goes_over_a_few_rows_whatever_it_finds, |store| {
    for n in 0..10 {
        store.one(&n.to_string()).await;
    }
    let filter = Filter {
        destination: Some("nowhere".to_owned()),
        ..Filter::default()
    };
    let bounds = Bounds {
        n_scanned: 4,
        n_found: 100,
    };
    let mut reach = Reach::ALL;
    let mut n_looks = 0;
    loop {
        let look = store
            .look_for_deliveries(Action::Cancel, &filter, reach, bounds)
            .await
            .unwrap();
        n_looks += 1;
        assert!(look.found.is_empty());
        let Some(next) = look.next else { break };
        reach.after = Some(next);
    }
    assert_eq!(n_looks, 3);
});

store_case!(counts_are_of_what_a_look_would_find, |store| {
    dead(store, 3).await;
    store.record(vec![event("github", "1")]).await.unwrap();
    let retry = store
        .count_deliveries(Action::Retry, &with_status(Status::Dead), Reach::ALL, 100)
        .await
        .unwrap();
    assert_eq!((retry.found.len(), retry.found[0].n_deliveries), (1, 3));
    assert_eq!(
        (&*retry.found[0].route, &*retry.found[0].destination),
        ("to-billing", "billing")
    );
    let events = store
        .count_events(&Filter::default(), Reach::ALL, 100)
        .await
        .unwrap();
    let mut counted: Vec<_> = events.found.iter().map(|it| (&*it.source, it.n_events)).collect();
    counted.sort_unstable();
    assert_eq!(counted, [("github", 1), ("stripe", 3)]);
    assert_eq!(store.n_waiting("billing", at(9), 100).await.unwrap(), 1);
    assert_eq!(store.n_waiting("billing", at(9), 0).await.unwrap(), 0);
    let paces = store.paces().await.unwrap();
    assert_eq!(
        (paces.len(), paces[0].duration, paces[0].n_attempts),
        (1, Duration::from_micros(1_234), 3)
    );
});

store_case!(nothing_waits_in_the_way_of_a_held_destination, |store| {
    store.one("1").await;
    assert_eq!(store.n_waiting("billing", at(9), 100).await.unwrap(), 1);
    let billing = HoldTarget::Destination("billing".into());
    store
        .hold(billing.clone(), HeldBy::Operator, "x", at(1))
        .await
        .unwrap();
    store.one("2").await;
    assert_eq!(store.n_waiting("billing", at(9), 100).await.unwrap(), 0);
    store.resume(&billing, at(2)).await.unwrap();
    assert_eq!(store.n_waiting("billing", at(9), 100).await.unwrap(), 2);
});

store_case!(
    a_replay_makes_deliveries_of_events_that_are_still_there,
    |store| {
        let (first, _) = store.one("1").await;
        let job = store
            .create_job(new_job(Action::Replay, Filter::default()), at(5))
            .await
            .unwrap();
        let look = store
            .look_for_events(&job.filter, job.reach, BOUNDS)
            .await
            .unwrap();
        assert_eq!((look.found.len(), look.found[0].id, look.next), (1, first, None));
        let mut again = delivery("to-billing", "billing");
        again.origin = Origin::Replayed;
        let id = again.id;
        let work = vec![
            (first, again),
            (EventId::new(), delivery("to-billing", "billing")),
        ];
        let step = Step {
            job: job.id,
            from: None,
            to: look.next,
            n_matched: 2,
            n_skipped: 0,
            work: Work::Replay(work),
        };
        assert!(store.advance_job(step, at(20)).await.unwrap());
        let read = store.delivery(id).await.unwrap();
        assert_eq!(
            (read.event_id, read.origin, read.status),
            (first, Origin::Replayed, Status::Pending)
        );
        assert_eq!((read.next_attempt_at, read.created_at), (Some(at(20)), at(20)));
        let job = store.job(job.id).await.unwrap();
        assert_eq!((job.state, job.n_matched, job.n_changed), (State::Done, 2, 1));
    }
);

store_case!(a_replay_by_the_config_of_then_has_a_word_of_its_own, |store| {
    let (event, _) = store.one("1").await;
    let new = NewJob {
        config: Config::Original,
        ..new_job(Action::Replay, Filter::default())
    };
    let job = store.create_job(new, at(5)).await.unwrap();
    assert_eq!((job.action, job.config), (Action::Replay, Config::Original));
    assert_eq!(job.reach.last, event.uuid(), "it is about events");
    let read = store.job(job.id).await.unwrap();
    assert_eq!((read.action, read.config), (Action::Replay, Config::Original));
    // An older replica takes no job that it would do by the config of today.
    let known_before = "update job set action = action where action in ('retry', 'replay', 'cancel')";
    assert_eq!(store.raw(known_before).await, 0);

    let program = Some(ProgramId::new());
    let mut again = delivery("to-billing", "billing");
    again.program = program;
    let id = again.id;
    let step = Step {
        job: job.id,
        from: None,
        to: None,
        n_matched: 1,
        n_skipped: 0,
        work: Work::Replay(vec![(event, again)]),
    };
    assert!(store.advance_job(step, at(20)).await.unwrap());
    let claims = store.claim_billing(WorkerId::new(), 9, at(30)).await;
    let of_replay = claims.iter().find(|it| it.delivery.id == id).unwrap();
    assert_eq!(of_replay.program, program);
});

store_case!(where_events_went_when_they_came_in_is_counted, |store| {
    let mut both = event("stripe", "1");
    both.deliveries.push(delivery("to-search", "search"));
    let mut filtered = event("stripe", "2");
    filtered.deliveries[0].start = Start::Skipped(Skip {
        cause: SkipCause::Filtered,
        reason: "no".to_owned(),
    });
    let mut unrouted = event("stripe", "3");
    unrouted.deliveries.clear();
    let mut of_no_program = event("stripe", "4");
    of_no_program.deliveries.push(delivery("unknown", "search"));
    let other = event("github", "5");
    let first = both.event.id;
    let all = vec![both, filtered, unrouted, of_no_program, other];
    store.record(all).await.unwrap();
    // A replay is not where it went at first.
    let mut again = delivery("to-archive", "archive");
    again.origin = Origin::Replayed;
    store.replay(first, vec![again], at(9)).await.unwrap();
    let routes = ["to-billing", "to-search", "to-archive"].map(|it| RouteProgram {
        route: it.into(),
        program: None,
    });
    store
        .keep_programs(routes.to_vec(), at(-1_000_000))
        .await
        .unwrap();

    let filter = Filter {
        source: Some("stripe".to_owned()),
        ..Filter::default()
    };
    let count = async |target: Target| {
        let look = store
            .count_originals(&filter, &target, Reach::ALL, 100)
            .await
            .unwrap();
        assert_eq!(look.next, None);
        look.found
    };
    let went = |route: &str, destination: &str| OriginalTally::Went {
        route: route.into(),
        destination: destination.into(),
        n_events: 1,
    };
    let expect = |found: Vec<OriginalTally>, expected: &[OriginalTally]| {
        assert!(expected.iter().all(|it| found.contains(it)), "{found:?}");
        assert_eq!(found.len(), expected.len(), "{found:?}");
    };
    expect(
        count(Target::default()).await,
        &[
            went("to-billing", "billing"),
            went("to-search", "search"),
            OriginalTally::Nowhere(2),
            OriginalTally::NotKept(1),
            OriginalTally::Found(4),
        ],
    );
    // Of its two ways only one counts, of which it is known.
    let target = Target {
        route: Some("to-billing".to_owned()),
        ..Target::default()
    };
    let of_billing = OriginalTally::Went {
        route: "to-billing".into(),
        destination: "billing".into(),
        n_events: 2,
    };
    expect(
        count(target).await,
        &[of_billing, OriginalTally::Nowhere(2), OriginalTally::Found(4)],
    );
    let target = Target {
        destination: Some("archive".to_owned()),
        ..Target::default()
    };
    expect(
        count(target).await,
        &[OriginalTally::Nowhere(4), OriginalTally::Found(4)],
    );
    let look = store
        .count_originals(&filter, &Target::default(), Reach::ALL, 2)
        .await
        .unwrap();
    assert!(
        look.next.is_some() && look.found.contains(&OriginalTally::Found(2)),
        "{look:?}"
    );
});
