use gatepost::{base::ids::WorkerId, store::query::EventQuery};

use crate::store::*;

store_case!(
    e21_a_damaged_row_becomes_a_dead_letter_and_the_others_flow,
    |store| {
        let blob = if store.is_postgres() { r"'\x00'" } else { "x'00'" };
        for (n, damage) in [
            format!("update event set headers = {blob}"),
            "update event set origin = 'junk'".to_owned(),
            "update event set verified = ''".to_owned(),
            "update delivery set origin = 'junk'".to_owned(),
            "delete from event".to_owned(),
        ]
        .into_iter()
        .enumerate()
        {
            let id = store.one(&format!("bad {n}")).await;
            let clause = if damage.contains("delivery") {
                "destination = 'billing' and status = 'pending'"
            } else {
                "external_id like 'bad%'"
            };
            assert!(store.raw(&format!("{damage} where {clause}")).await >= 1);
            let (_, good) = store.one(&format!("good {n}")).await;

            let claims = store.claim_billing(WorkerId::new(), 9, at(10)).await;

            assert_eq!(ids(&claims), [good], "{damage}");
            store.settle_one(&claims[0], Outcome::Delivered, at(10)).await;
            if !damage.contains("delivery") {
                let read = store.delivery(id.1).await.unwrap();
                assert_eq!(read.status, Status::Dead);
                assert!(read.last_error.unwrap().contains("damaged"));
            }
            // An operator's lists show the rest.
            let page = store
                .events(&EventQuery {
                    limit: 50,
                    ..Default::default()
                })
                .await
                .unwrap();
            assert!(!page.rows.is_empty());
            if damage.starts_with("delete") {
                // So that the ledger, which has noticed, balances for the end of the case.
                assert!(!store.ledger(at(0)).await.unwrap().is_balanced());
                store.raw("update tally set pruned_events = pruned_events + (select sum(received) from tally) - (select count(*) from event) where slot = (select min(slot) from tally)").await;
            }
        }
    }
);

store_case!(
    e21_an_unknown_status_is_left_alone_and_shows_in_the_ledger,
    |store| {
        let (_, bad) = store.one("bad").await;
        store.raw("update delivery set status = 'from the future'").await;
        let (_, good) = store.one("good").await;
        assert_eq!(ids(&store.claim_billing(WorkerId::new(), 9, at(1)).await), [good]);
        assert!(store.delivery(bad).await.is_err());
        assert_eq!(store.rescue(at(99), 9).await.unwrap(), 1);
        assert!(!store.ledger(at(0)).await.unwrap().is_balanced());
        assert_eq!(store.prune(at(99), 9).await.unwrap(), 0);
        store.raw("update delivery set status = 'pending'").await;
    }
);
