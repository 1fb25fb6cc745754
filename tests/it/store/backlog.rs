//! A long backlog that waits for one key: what others wait for beside it, and what it keeps from its work.

use std::collections::BTreeSet;

use gatepost::{
    base::ids::WorkerId,
    event::{
        body_hash,
        order::{Mode, Position},
    },
};
use sqlx::Executor;

use crate::store::*;

const N_WAITING: usize = 100_000;

impl TestStore {
    async fn strict(&self, external_id: &str, key: &str) -> DeliveryId {
        let mut new = event("s", external_id);
        new.deliveries[0].position = Some(Position {
            key: body_hash(key.as_bytes()),
            at: at(0),
            mode: Mode::Strict,
        });
        let id = new.deliveries[0].id;
        self.record(vec![new]).await.unwrap();
        id
    }

    /// Deliveries of that key to `billing`, due and later than all others of it. Their events are left out: nobody gets to them.
    async fn pile_up(&self, key: &str) {
        let key = hex::encode(body_hash(key.as_bytes()).0);
        let rows = if self.is_postgres() {
            format!(
                "select ('00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, gen_random_uuid(),
                    to_timestamp(1600000000), '\\x{key}'::bytea, to_timestamp(1600000001) + n * interval '1 us',
                    to_timestamp(1600000000)
                 from generate_series(1, {N_WAITING}) as n"
            )
        } else {
            format!(
                "with recursive line (n) as (select 1 union all select n + 1 from line where n < {N_WAITING})
                 select unhex('00000000000070008000' || printf('%012x', n)), randomblob(16), 1600000000000000, x'{key}',
                    1600000001000000 + n, 1600000000000000
                 from line"
            )
        };
        let columns = "id, event_id, due_at, order_key, order_at, created_at, route, destination, origin, status, order_mode";
        let insert = format!(
            "insert into delivery ({columns})
             select rows.*, 'to-billing', 'billing', 'received', 'pending', 'strict' from ({rows}) as rows"
        );
        assert_eq!(self.raw(&insert).await, N_WAITING as u64);
        self.raw(&format!(
            "update tally set deliveries = deliveries + {N_WAITING} where slot = (select min(slot) from tally)"
        ))
        .await;
        if self.is_postgres() {
            self.raw("analyze delivery").await;
        }
    }
}

#[expect(
    clippy::print_stderr,
    reason = "what such a claim costs, for whoever looks with `--nocapture`"
)]
fn tell(engine: &str, took: Duration) {
    eprintln!("{engine}: a claim beside {N_WAITING} of one key took {took:?}");
}

store_case!(a_key_with_a_long_backlog_holds_up_no_other, |store| {
    let worker = WorkerId::new();
    let first = store.strict("first", "a").await;
    let claims = store.claim_billing(worker, 9, at(1)).await;
    assert_eq!(ids(&claims), [first]);
    store.pile_up("a").await;
    let (other, plain) = (store.strict("other", "b").await, store.one("plain").await.1);

    let begun_at = std::time::Instant::now();
    let beside = store.claim_billing(worker, 9, at(100)).await;

    tell(store.engine_name(), begun_at.elapsed());
    assert_eq!(
        ids(&beside).into_iter().collect::<BTreeSet<_>>(),
        BTreeSet::from([other, plain])
    );
    let retry = Outcome::Retry { at: at(200) };
    store.settle_one(&claims[0], retry, at(101)).await;
    assert!(
        store.claim_billing(worker, 9, at(150)).await.is_empty(),
        "they wait for the retry"
    );
    assert_eq!(ids(&store.claim_billing(worker, 9, at(200)).await), [first]);
});

#[tokio::test(flavor = "multi_thread")]
async fn a_look_at_a_long_backlog_leaves_the_writer_to_others() {
    let store = TestStore::sqlite().await;
    let worker = WorkerId::new();
    store.strict("first", "a").await;
    let claims = store.claim_billing(worker, 9, at(1)).await;
    store.pile_up("a").await;
    let mut thief = SqliteConnection::connect(store.url()).await.unwrap();
    thief.execute("begin immediate").await.unwrap();
    // It would be `Unavailable` if it asked for the right to write.
    assert!(store.claim_billing(worker, 9, at(100)).await.is_empty());
    thief.execute("rollback").await.unwrap();
    store.settle_one(&claims[0], Outcome::Delivered, at(100)).await;
    // Its row has no event: a dead letter that says so, which lets the next one go.
    assert!(store.claim_billing(worker, 9, at(101)).await.is_empty());
    let id = DeliveryId::from_uuid(uuid::Uuid::from_u128(0x0000_0000_0000_7000_8000_0000_0000_0001));
    assert_eq!(store.status(id).await, Status::Dead);
    store.finish().await;
}
