use gatepost::{
    base::ids::TokenId,
    store::{
        access::{Digest, NewSession, NewToken, Over, Person},
        error::StoreError,
    },
};

use crate::store::*;

fn token(name: &str, role: &str, hash: u8) -> NewToken {
    NewToken {
        id: TokenId::new(),
        name: name.to_owned(),
        hash: Digest([hash; 32]),
        role: role.to_owned(),
        made_by: "ops".to_owned(),
        expires_at: None,
    }
}

fn session(hash: u8, token_id: Option<TokenId>) -> NewSession {
    NewSession {
        hash: Digest([hash; 32]),
        token_id,
        person: None,
        proof: [hash ^ 0xff; 32],
    }
}

/// Nothing is over.
const NONE: Over = Over {
    created_before: Timestamp::EPOCH,
    seen_before: Timestamp::EPOCH,
};

store_case!(a_token_is_kept_by_its_hash_and_found_by_it, |store| {
    assert!(!store.had_token("admin").await.unwrap());
    let mut new = token("deploy", "operator", 1);
    new.expires_at = Some(at(100));
    let id = new.id;
    let made = store.create_token(new.clone(), at(0)).await.unwrap();
    assert_eq!(
        (
            made.id,
            made.name.as_str(),
            made.role.as_str(),
            made.made_by.as_str()
        ),
        (id, "deploy", "operator", "ops")
    );
    assert_eq!((made.created_at, made.expires_at), (at(0), Some(at(100))));
    assert_eq!((made.used_at, made.revoked_at), (None, None));
    // After an answer that was lost it is made again, and is one.
    assert_eq!(store.create_token(new, at(5)).await.unwrap().created_at, at(0));

    let found = store.token_of(Digest([1; 32])).await.unwrap().unwrap();
    assert_eq!(found.id, id);
    assert!(found.is_live(at(99)) && !found.is_live(at(100)));
    assert!(store.token_of(Digest([2; 32])).await.unwrap().is_none());

    assert!(!store.had_token("admin").await.unwrap());
    let admin = store
        .create_token(token("boss", "admin", 2), at(1))
        .await
        .unwrap();
    let names: Vec<_> = store
        .tokens()
        .await
        .unwrap()
        .into_iter()
        .map(|it| it.name)
        .collect();
    assert_eq!(names, ["boss", "deploy"]);
    store.revoke_token(admin.id, at(2)).await.unwrap();
    assert!(
        store.had_token("admin").await.unwrap(),
        "also where it is revoked"
    );
});

store_case!(a_name_is_of_one_token_at_a_time, |store| {
    let first = store
        .create_token(token("deploy", "viewer", 1), at(0))
        .await
        .unwrap();
    let error = store
        .create_token(token("deploy", "viewer", 2), at(0))
        .await
        .unwrap_err();
    assert!(matches!(error, StoreError::Conflict { .. }), "{error:?}");
    assert!(error.to_string().contains("`deploy`"), "{error}");
    store.revoke_token(first.id, at(1)).await.unwrap();
    store
        .create_token(token("deploy", "viewer", 3), at(2))
        .await
        .unwrap();
});

store_case!(a_revoked_token_is_revoked_on_every_replica_at_once, |store| {
    let made = store
        .create_token(token("deploy", "viewer", 1), at(0))
        .await
        .unwrap();
    let replica = store.replica().await;
    assert!(
        replica
            .token_of(Digest([1; 32]))
            .await
            .unwrap()
            .unwrap()
            .is_live(at(1))
    );
    let revoked = store.revoke_token(made.id, at(5)).await.unwrap();
    assert_eq!(revoked.revoked_at, Some(at(5)));
    assert!(
        !replica
            .token_of(Digest([1; 32]))
            .await
            .unwrap()
            .unwrap()
            .is_live(at(1))
    );
    let again = replica.revoke_token(made.id, at(9)).await.unwrap();
    assert_eq!(again.revoked_at, Some(at(5)), "the first time counts");
    let error = store.revoke_token(TokenId::new(), at(9)).await.unwrap_err();
    assert!(matches!(error, StoreError::NotFound { .. }), "{error:?}");
    if store.is_postgres() {
        replica.close().await;
    }
});

store_case!(a_use_is_written_down_to_the_minute, |store| {
    let made = store
        .create_token(token("deploy", "viewer", 1), at(0))
        .await
        .unwrap();
    store
        .open_session(session(7, Some(made.id)), NONE, at(0))
        .await
        .unwrap();
    for (now, expected) in [(10, 10), (20, 10), (70, 10), (71, 71)] {
        store.use_token(made.id, at(now)).await.unwrap();
        store.use_session(Digest([7; 32]), at(now)).await.unwrap();
        let found = store.token_of(Digest([1; 32])).await.unwrap().unwrap();
        assert_eq!(found.used_at, Some(at(expected)), "{now}");
    }
    let seen_at = store.session(Digest([7; 32])).await.unwrap().unwrap().seen_at;
    assert_eq!(seen_at, at(70), "a session was seen when it was opened");
});

store_case!(a_session_brings_its_token_as_it_is_today, |store| {
    let made = store
        .create_token(token("deploy", "viewer", 1), at(0))
        .await
        .unwrap();
    store
        .open_session(session(7, Some(made.id)), NONE, at(1))
        .await
        .unwrap();
    store.open_session(session(8, None), NONE, at(2)).await.unwrap();

    let replica = store.replica().await;
    let found = replica.session(Digest([7; 32])).await.unwrap().unwrap();
    assert_eq!(found.token_id, Some(made.id));
    assert_eq!(found.proof, [7 ^ 0xff; 32]);
    assert_eq!((found.created_at, found.seen_at), (at(1), at(1)));
    assert!(found.token.unwrap().is_live(at(3)));
    let of_config = replica.session(Digest([8; 32])).await.unwrap().unwrap();
    assert!(of_config.token_id.is_none() && of_config.token.is_none());
    assert!(replica.session(Digest([9; 32])).await.unwrap().is_none());

    store.revoke_token(made.id, at(5)).await.unwrap();
    let found = replica.session(Digest([7; 32])).await.unwrap().unwrap();
    assert!(!found.token.unwrap().is_live(at(5)));
    assert!(store.end_session(Digest([7; 32])).await.unwrap());
    assert!(!store.end_session(Digest([7; 32])).await.unwrap());
    assert!(replica.session(Digest([7; 32])).await.unwrap().is_none());
    if store.is_postgres() {
        replica.close().await;
    }
});

store_case!(a_session_of_a_person_says_who_it_is_and_what_they_may, |store| {
    let person = Person {
        name: "oidc:ann@example.com".to_owned(),
        role: "operator".to_owned(),
    };
    let mut new = session(7, None);
    new.person = Some(person.clone());
    store.open_session(new, NONE, at(1)).await.unwrap();
    let replica = store.replica().await;
    let found = replica.session(Digest([7; 32])).await.unwrap().unwrap();
    assert_eq!((found.person, found.proof), (Some(person), vec![7 ^ 0xff; 32]));
    assert!(found.token_id.is_none() && found.token.is_none());
    if store.is_postgres() {
        replica.close().await;
    }
});

store_case!(sessions_that_are_over_go_with_the_next_login, |store| {
    for hash in 1..=3 {
        store
            .open_session(session(hash, None), NONE, at(i64::from(hash) * 100))
            .await
            .unwrap();
    }
    store.use_session(Digest([1; 32]), at(1_000)).await.unwrap();
    store.use_session(Digest([3; 32]), at(1_000)).await.unwrap();
    let over = Over {
        created_before: at(200),
        seen_before: at(500),
    };
    store
        .open_session(session(4, None), over, at(1_000))
        .await
        .unwrap();
    let mut left = Vec::new();
    for hash in 1..=4 {
        if store.session(Digest([hash; 32])).await.unwrap().is_some() {
            left.push(hash);
        }
    }
    // The first was opened too long ago, the second not seen for too long.
    assert_eq!(left, [3, 4]);
});
