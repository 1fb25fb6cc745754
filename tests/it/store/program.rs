//! What routes made of events, and since when.

use std::sync::Arc;

use gatepost::{
    base::ids::{ProgramId, WorkerId},
    store::{
        error::StoreError,
        program::{Program, RouteProgram},
    },
};

use crate::store::*;

fn does(route: &str, code: Option<&str>) -> RouteProgram {
    RouteProgram {
        route: Arc::from(route),
        program: code.map(|code| Program {
            name: "billing.js".to_owned(),
            code: code.to_owned(),
        }),
    }
}

impl TestStore {
    async fn code_at(&self, route: &str, seconds: i64) -> Option<Option<String>> {
        let id = self.program_at(route, at(seconds)).await.unwrap()?;
        Some(self.program(id).await.unwrap().map(|it| it.code))
    }
}

store_case!(what_a_route_did_is_found_by_the_time, |store| {
    for (seconds, code) in [
        (0, None),
        (10, Some("a")),
        (20, Some("a")),
        (30, Some("b")),
        (40, None),
    ] {
        let in_force = vec![does("billing", code), does("other", Some("x"))];
        store.keep_programs(in_force, at(seconds)).await.unwrap();
    }
    let n_rows = store.raw("update program set route = route").await;
    assert_eq!(n_rows, 5, "one for each change");
    let code = |it: &str| Some(Some(it.to_owned()));
    for (seconds, expected) in [
        (-1, None),
        (0, Some(None)),
        (9, Some(None)),
        (10, code("a")),
        (29, code("a")),
        (30, code("b")),
        (99, Some(None)),
    ] {
        assert_eq!(store.code_at("billing", seconds).await, expected, "{seconds}");
    }
    assert_eq!(store.code_at("other", 99).await, code("x"));
    assert_eq!(store.code_at("nobody", 99).await, None);
    let gone = store.program(ProgramId::new()).await;
    assert!(matches!(gone, Err(StoreError::NotFound { .. })), "{gone:?}");
});

store_case!(what_nothing_needs_any_more_is_forgotten, |store| {
    for (seconds, code) in [(0, "a"), (10, "b"), (20, "c"), (30, "d")] {
        store
            .keep_programs(vec![does("billing", Some(code))], at(seconds))
            .await
            .unwrap();
    }
    let first = store.program_at("billing", at(0)).await.unwrap();
    let (event, _) = store.one("1").await;
    let mut again = delivery("billing", "billing");
    again.program = first;
    let id = again.id;
    store.replay(event, vec![again], at(50)).await.unwrap();

    // Of what came in at 25, `c` may still be asked for; `a` is to be run.
    assert_eq!(store.prune_programs(at(25), 9).await.unwrap(), 1);
    assert_eq!(store.code_at("billing", 15).await, Some(Some("a".to_owned())));
    assert_eq!(store.code_at("billing", 25).await, Some(Some("c".to_owned())));
    let claims = store.claim_billing(WorkerId::new(), 9, at(60)).await;
    let of_replay = claims.iter().find(|it| it.delivery.id == id).unwrap();
    assert_eq!(of_replay.program, first);
    assert!(
        claims
            .iter()
            .all(|it| it.delivery.id == id || it.program.is_none())
    );
    for claim in &claims {
        store.settle_one(claim, Outcome::Delivered, at(61)).await;
    }
    assert_eq!(store.prune(at(100), 9).await.unwrap(), 1);
    assert_eq!(store.prune_programs(at(100), 1).await.unwrap(), 1);
    assert_eq!(store.prune_programs(at(100), 9).await.unwrap(), 1);
    assert_eq!(store.code_at("billing", 100).await, Some(Some("d".to_owned())));
});
