use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::{
    event::Event,
    route::{filter::operator::same, fixture},
};

fn event(body: &str) -> Event {
    let headers: [(&str, &[u8]); 4] = [
        ("x-region", b"eu"),
        ("x-count", b"12"),
        ("x-tag", b"a"),
        ("x-tag", b"b"),
    ];
    fixture::event(body.as_bytes(), &headers)
}

fn takes(filter: &Value, body: &str) -> bool {
    let filter = Filter::new(filter).unwrap();
    filter.refusal(&Subject::new(&event(body))).is_none()
}

#[test]
fn conditions_on_the_query() {
    let event = Event {
        query: "topic=orders%2Fpaid&shop=eu+1&n=12&tag=a&tag=b&Case=1&empty=".to_owned(),
        ..event("{}")
    };
    let cases = [
        (json!({ "topic": "orders/paid" }), true),
        (
            json!({ "topic": { "$startsWith": "orders/" }, "shop": "eu 1" }),
            true,
        ),
        (json!({ "n": { "$gt": 5 } }), true),
        (json!({ "tag": "b" }), true),
        (json!({ "tag": ["a", "b"] }), true),
        (json!({ "case": "1" }), false),
        (json!({ "empty": "" }), true),
        (json!({ "absent": { "$exist": false } }), true),
        (json!({ "topic": "orders/created" }), false),
    ];
    for (condition, is_met) in cases {
        let filter = Filter::new(&json!({ "query": condition })).unwrap();
        let refusal = filter.refusal(&Subject::new(&event));
        assert_eq!(refusal.is_none(), is_met, "{condition}");
        assert!(refusal.is_none_or(|it| it.starts_with("`query.")), "{condition}");
    }
    // One that has none meets nothing.
    let filter = Filter::new(&json!({ "query": { "topic": { "$exist": true } } })).unwrap();
    assert!(
        filter
            .refusal(&Subject::new(&fixture::event(b"{}", &[])))
            .is_some()
    );
}

#[test]
fn conditions_on_the_body() {
    let order = json!({
        "id": 7, "total": 99.5, "big": 9_007_199_254_740_993_u64, "paid": true, "note": null, "price": "19.90",
        "email": "a@example.com", "tags": ["new", "gift"], "address": { "country": "DE", "lines": [] },
        "items": [{ "sku": "a", "n": 12 }, { "sku": "b", "n": 3 }],
    });
    let cases = [
        // Plain values, and lists that have them.
        (json!({ "id": 7 }), true),
        (json!({ "id": 7.0 }), true),
        (json!({ "id": 8 }), false),
        (json!({ "id": "7" }), true),
        (json!({ "price": 19.9 }), true),
        (json!({ "paid": true }), true),
        (json!({ "paid": "true" }), true),
        (json!({ "paid": 1 }), false),
        (json!({ "note": null }), true),
        (json!({ "absent": null }), false),
        (json!({ "big": 9_007_199_254_740_993_u64 }), true),
        (json!({ "big": 9_007_199_254_740_992_u64 }), false),
        (json!({ "tags": "gift" }), true),
        (json!({ "tags": "old" }), false),
        (json!({ "tags": ["gift", "new"] }), true),
        (json!({ "tags": ["gift", "old"] }), false),
        (json!({ "email": ["a@example.com"] }), false),
        // Objects within objects and within lists.
        (json!({ "address": { "country": "DE" } }), true),
        (json!({ "address": { "country": "FR" } }), false),
        (json!({ "address": "DE" }), false),
        (json!({ "address": {} }), true),
        (json!({ "id": {} }), false),
        (json!({ "items": { "sku": "b" } }), true),
        (json!({ "items": { "sku": "b", "n": { "$lt": 10 } } }), true),
        (json!({ "items": { "sku": "a", "n": { "$lt": 10 } } }), false),
        // Every operator, and what it makes of other kinds.
        (json!({ "id": { "$eq": 7 } }), true),
        (json!({ "tags": { "$eq": ["new", "gift"] } }), true),
        (json!({ "tags": { "$eq": ["gift", "new"] } }), false),
        (json!({ "tags": { "$eq": "gift" } }), false),
        (
            json!({ "address": { "$eq": { "lines": [], "country": "DE" } } }),
            true,
        ),
        (json!({ "note": { "$eq": null } }), true),
        (json!({ "id": { "$neq": 7 } }), false),
        (json!({ "id": { "$neq": 8 } }), true),
        (json!({ "absent": { "$neq": 8 } }), false),
        (json!({ "id": { "$in": [6, 7] } }), true),
        (json!({ "tags": { "$in": ["gift", "x"] } }), true),
        (json!({ "email": { "$in": "@example" } }), true),
        (json!({ "absent": { "$in": [1] } }), false),
        (json!({ "id": { "$nin": [6, 7] } }), false),
        (json!({ "tags": { "$nin": "gift" } }), false),
        (json!({ "absent": { "$nin": [1] } }), false),
        (json!({ "total": { "$gt": 99, "$lt": 100 } }), true),
        (json!({ "total": { "$gte": 99.5, "$lte": 99.5 } }), true),
        (json!({ "total": { "$gt": 99.5 } }), false),
        (json!({ "total": { "$lt": 99.5 } }), false),
        (json!({ "price": { "$gte": 10, "$lt": 20 } }), true),
        (json!({ "big": { "$gt": 9_007_199_254_740_992_u64 } }), true),
        (json!({ "email": { "$gt": "a", "$lt": "b" } }), true),
        (json!({ "email": { "$gt": 5 } }), false),
        (json!({ "paid": { "$gte": 0 } }), false),
        (json!({ "tags": { "$gte": 0 } }), false),
        (
            json!({ "email": { "$startsWith": "a@", "$endsWith": ".com" } }),
            true,
        ),
        (json!({ "email": { "$startsWith": "b" } }), false),
        (json!({ "id": { "$startsWith": "7" } }), false),
        (json!({ "email": { "$contains": "@" } }), true),
        (json!({ "tags": { "$contains": "new" } }), true),
        (json!({ "tags": { "$contains": "ne" } }), false),
        (json!({ "id": { "$contains": "7" } }), false),
        (json!({ "note": { "$exist": true } }), true),
        (json!({ "note": { "$exist": false } }), false),
        (json!({ "absent": { "$exist": false } }), true),
        (json!({ "absent": { "$exist": true } }), false),
        // Logic.
        (json!({ "$or": [{ "id": 8 }, { "paid": true }] }), true),
        (json!({ "$or": [{ "id": 8 }, { "paid": false }] }), false),
        (json!({ "$and": [{ "id": 7 }, { "paid": false }] }), false),
        (json!({ "id": 7, "$or": [{ "paid": false }] }), false),
        (json!({ "id": { "$or": [6, 7] } }), true),
        (json!({ "id": { "$and": [{ "$gt": 6 }, { "$lt": 8 }] } }), true),
        (json!({ "id": { "$not": { "$in": [6, 7] } } }), false),
        (json!({ "id": { "$not": 8 } }), true),
        (json!({ "absent": { "$not": { "$in": [6, 7] } } }), true),
        (json!({ "absent": { "$or": [{ "$exist": false }, 5] } }), true),
        (json!({}), true),
    ];
    for (condition, expected) in cases {
        let filter = json!({ "body": condition });
        assert_eq!(takes(&filter, &order.to_string()), expected, "{filter}");
    }
}

#[test]
fn conditions_on_the_rest_of_the_event() {
    let cases = [
        (json!({}), true),
        (
            json!({ "headers": { "X-Region": { "$in": ["eu", "uk"] } } }),
            true,
        ),
        (json!({ "headers": { "x-region": "us" } }), false),
        (json!({ "headers": { "x-count": { "$gt": 9 } } }), true),
        (json!({ "headers": { "x-count": 12 } }), true),
        (json!({ "headers": { "x-tag": "b" } }), true),
        (
            json!({ "headers": { "$or": [{ "X-Tag": "z" }, { "X-Tag": "a" }] } }),
            true,
        ),
        (json!({ "headers": { "x-absent": { "$exist": false } } }), true),
        (
            json!({ "source": "shop", "type": { "$startsWith": "order." } }),
            true,
        ),
        (json!({ "source": { "$neq": "shop" } }), false),
        (json!({ "verification": "body" }), true),
        (json!({ "verification": { "$in": ["origin", "none"] } }), false),
        (
            json!({ "$or": [{ "source": "x" }, { "headers": { "x-region": "eu" } }] }),
            true,
        ),
        (json!({ "$not": { "source": "shop" } }), false),
        (
            json!({ "$and": [{ "source": "shop" }, { "type": "order.sent" }] }),
            false,
        ),
    ];
    for (filter, expected) in cases {
        assert_eq!(takes(&filter, "{}"), expected, "{filter}");
    }
}

#[test]
fn a_body_that_is_no_json_is_a_text() {
    assert!(takes(
        &json!({ "body": { "$contains": "<paid/>" } }),
        "<order><paid/></order>"
    ));
    assert!(takes(&json!({ "body": "" }), ""));
    assert!(!takes(&json!({ "body": { "id": 1 } }), "id=1"));
    assert!(takes(
        &json!({ "body": { "$contains": "[[" } }),
        &"[".repeat(100_000)
    ));
    assert!(takes(&json!({ "body": 5 }), "5"));
}

#[test]
fn a_refusal_names_the_place_and_none_of_the_events_words() {
    let cases = [
        (
            json!({ "body": { "order": { "total": { "$gte": 10, "$lt": 99 } } } }),
            "`body.order.total` does not meet `$gte`",
        ),
        (
            json!({ "body": { "order": { "id": 1 } } }),
            "`body.order.id` is not there",
        ),
        (
            json!({ "body": { "order": 1 } }),
            "`body.order` is not the value that the filter wants",
        ),
        (
            json!({ "body": { "secret": { "id": 1 } } }),
            "`body.secret` is no object",
        ),
        (
            json!({ "headers": { "x-region": { "$not": "eu" } } }),
            "`headers.x-region` is what `$not` excludes",
        ),
        (
            json!({ "$or": [{ "source": "a" }, { "type": "b" }] }),
            "nothing of `$or` holds",
        ),
    ];
    for (filter, expected) in cases {
        let event = event(r#"{"order": {"total": 5}, "secret": "hush"}"#);
        let refusal = Filter::new(&filter).unwrap().refusal(&Subject::new(&event));
        assert_eq!(refusal.as_deref(), Some(expected), "{filter}");
    }
}

#[test]
fn every_fault_is_reported_at_once_with_its_place() {
    let filter = json!({
        "bodi": {}, "$nor": [],
        "body": { "a": { "$gte": true, "$startWith": "x" }, "$or": {}, "b": [{ "$in": 5 }] },
        "headers": { "x": { "$exist": "yes", "$contains": [] } },
    });
    let faults = Filter::new(&filter).unwrap_err();
    let keys: Vec<_> = faults.iter().map(|it| it.key.as_str()).collect();
    let mut sorted = keys.clone();
    sorted.sort_unstable();
    assert_eq!(
        sorted,
        [
            "filter.$nor",
            "filter.bodi",
            "filter.body.$or",
            "filter.body.a.$gte",
            "filter.body.a.$startWith",
            "filter.body.b[0].$in",
            "filter.headers.x.$contains",
            "filter.headers.x.$exist",
        ]
    );
    let hint = |key: &str| {
        faults
            .iter()
            .find(|it| it.key == key)
            .unwrap()
            .hint
            .clone()
            .unwrap()
    };
    assert_eq!(hint("filter.bodi"), "did you mean `body`?");
    assert_eq!(hint("filter.body.a.$startWith"), "did you mean `$startsWith`?");
}

/// Any JSON, with the keys and words that filters are made of.
fn some_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-3_i64..4).prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[ab1]{0,3}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 4, |inner| {
        let key = prop_oneof![
            "[ab]",
            prop::sample::select(vec!["$eq", "$in", "$not", "$or", "$and", "$gt", "$exist"])
                .prop_map(str::to_owned)
        ];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map(key, inner, 0..4)
                .prop_map(|it| Value::Object(it.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn filters_are_total_and_say_why_exactly_when_they_refuse(condition in some_json(), body in some_json()) {
        let mut faults = Vec::new();
        let condition = Condition::new(&condition, "filter.body", &mut faults);
        let holds = condition.holds(Some(&body));
        let turned_round = Condition::Not(Box::new(condition.clone()));
        prop_assert_eq!(turned_round.holds(Some(&body)), !holds);
        if !holds {
            let mut path = String::new();
            prop_assert!(!condition.failing(Some(&body), &mut path).is_empty());
        }
    }

    #[test]
    fn a_value_takes_itself(body in some_json()) {
        prop_assert!(same(&body, &body));
        let filter = json!({ "body": { "$eq": body } });
        prop_assert!(takes(&filter, &body.to_string()));
    }
}

#[test]
fn a_header_that_is_named_twice_is_a_fault() {
    let faults = |headers: Value| {
        Filter::new(&json!({ "headers": headers }))
            .err()
            .map(|it| it[0].key.clone())
    };
    assert_eq!(
        faults(json!({ "X-Region": "eu", "x-region": "uk" })).as_deref(),
        Some("filter.headers.x-region")
    );
    assert_eq!(
        faults(json!({ "$or": [{ "x-a": "1" }, { "X-A": "2", "x-a": "3" }] })).as_deref(),
        Some("filter.headers.$or[1].x-a")
    );
    assert_eq!(faults(json!({ "$or": [{ "x-a": "1" }, { "X-A": "2" }] })), None);
}
