//! What an ID token says: whether it was made for this login, who it is, and what they may. Pure.

use serde_json::{Map, Value};

use crate::web::{
    Role,
    oidc::{PREFIX, Settings},
};

/// How far the provider's clock may be from ours.
const CLOCKS_APART_S: i64 = 60;
/// Longer names are cut: they stand in the audit log.
const MAX_NAME: usize = 128;

/// The claims of an ID token whose signature was checked.
pub(super) type Claims = Map<String, Value>;

/// Somebody who may come in.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Somebody {
    pub(super) name: String,
    /// The provider's own word for them, which never changes.
    pub(super) subject: String,
    /// `None`: in no group that has one.
    pub(super) role: Option<Role>,
}

/// Whether it is this provider's, for us, for this login, and now (OpenID Connect Core, 3.1.3.7). Errors say what is wrong.
pub(super) fn check(
    claims: &Claims,
    settings: &Settings,
    nonce: &str,
    now_s: i64,
) -> Result<(), &'static str> {
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    let time = |name: &str| {
        let number = claims.get(name)?;
        number.as_i64().or_else(|| number.as_f64().map(whole))
    };
    if text("iss") != Some(&settings.issuer) {
        return Err("it is another provider's");
    }
    let is_for_us = |it: &Value| it.as_str() == Some(&settings.client_id);
    let (is_audience, is_shared) = match claims.get("aud") {
        Some(Value::Array(all)) => (all.iter().any(is_for_us), all.len() > 1),
        Some(one) => (is_for_us(one), false),
        None => (false, false),
    };
    let party = claims.get("azp");
    if !is_audience || (is_shared && party.is_none()) || party.is_some_and(|it| !is_for_us(it)) {
        return Err("it is for another client");
    }
    match time("exp") {
        Some(at) if now_s < at.saturating_add(CLOCKS_APART_S) => (),
        _ => return Err("it has expired, or never does"),
    }
    match time("iat") {
        Some(at) if at <= now_s.saturating_add(CLOCKS_APART_S) => (),
        _ => return Err("it was made in the future, or nobody knows when"),
    }
    if text("nonce") != Some(nonce) {
        return Err("it is of another login");
    }
    Ok(())
}

#[expect(clippy::cast_possible_truncation, reason = "a float of seconds saturates")]
const fn whole(seconds: f64) -> i64 {
    seconds as i64
}

/// Who it is. `None`: the token does not say.
pub(super) fn somebody(claims: &Claims, settings: &Settings) -> Option<Somebody> {
    let subject = claims
        .get("sub")
        .and_then(Value::as_str)
        .filter(|it| !it.is_empty())?;
    let said = find(claims, &settings.name_claim).and_then(Value::as_str);
    // An address that nobody checked may be somebody else's.
    let is_checked =
        settings.name_claim != "email" || claims.get("email_verified") != Some(&Value::Bool(false));
    let name = said
        .filter(|it| is_checked && !it.trim().is_empty())
        .unwrap_or(subject);
    let shown: String = name
        .chars()
        .filter(|it| !it.is_control())
        .take(MAX_NAME)
        .collect();
    Some(Somebody {
        name: format!("{PREFIX}{shown}"),
        subject: subject.to_owned(),
        role: role(find(claims, &settings.groups_claim), &settings.roles),
    })
}

/// The highest that a group of theirs has.
fn role(groups: Option<&Value>, roles: &[(Role, Vec<String>)]) -> Option<Role> {
    let is_in = |wanted: &str| match groups {
        _ if wanted == "*" => true,
        Some(Value::Array(all)) => all.iter().any(|it| it.as_str() == Some(wanted)),
        Some(Value::String(one)) => one == wanted,
        _ => false,
    };
    let fitting = roles
        .iter()
        .filter(|(_, groups)| groups.iter().any(|it| is_in(it)));
    fitting.map(|(role, _)| *role).max()
}

/// A claim by its name, or by a JSON pointer.
fn find<'c>(claims: &'c Claims, name: &str) -> Option<&'c Value> {
    let Some(path) = name.strip_prefix('/') else {
        return claims.get(name);
    };
    match path.split_once('/') {
        Some((first, _)) => claims.get(first)?.pointer(&path[first.len()..]),
        None => claims.get(path),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::web::oidc::settings;

    const NOW: i64 = 1_767_225_600;

    fn good() -> Value {
        json!({
            "iss": "https://login.example.com", "aud": "gatepost", "sub": "1234", "nonce": "n",
            "iat": NOW, "exp": NOW + 300, "email": "ann@example.com", "groups": ["support", "on-call"],
        })
    }

    fn with(name: &str, value: Value) -> Claims {
        let mut claims = good().as_object().unwrap().clone();
        match value {
            Value::Null => drop(claims.remove(name)),
            value => drop(claims.insert(name.to_owned(), value)),
        }
        claims
    }

    #[test]
    fn a_token_of_this_login_is_taken_and_every_other_refused() {
        let checked = |claims: &Claims| check(claims, &settings(), "n", NOW);
        for (name, value) in [
            ("none", json!(null)),
            ("aud", json!(["gatepost"])),
            ("azp", json!("gatepost")),
            ("exp", json!(NOW - 59)),
            ("iat", json!(NOW + 60)),
            ("exp", json!(1e300)),
        ] {
            assert_eq!(checked(&with(name, value.clone())), Ok(()), "{name} {value}");
        }
        for (name, value) in [
            ("iss", json!("https://login.example.com/")),
            ("iss", json!(null)),
            ("aud", json!("other")),
            ("aud", json!(["other", "gatepost"])),
            ("aud", json!([])),
            ("aud", json!(null)),
            ("azp", json!("other")),
            ("exp", json!(NOW - 60)),
            ("exp", json!("never")),
            ("exp", json!(null)),
            ("iat", json!(NOW + 61)),
            ("iat", json!(null)),
            ("nonce", json!("m")),
            ("nonce", json!(null)),
        ] {
            assert!(checked(&with(name, value.clone())).is_err(), "{name} {value}");
        }
        let mut shared = with("aud", json!(["other", "gatepost"]));
        shared.insert("azp".to_owned(), json!("gatepost"));
        assert_eq!(checked(&shared), Ok(()));
    }

    #[test]
    fn the_highest_role_of_all_groups_counts() {
        let check = |groups: Value, expected: Option<Role>| {
            let found = somebody(&with("groups", groups.clone()), &settings())
                .unwrap()
                .role;
            assert_eq!(found, expected, "{groups}");
        };
        check(json!(["support", "on-call"]), Some(Role::Operator));
        check(json!(["platform"]), Some(Role::Admin));
        check(json!("support"), Some(Role::Viewer));
        for nothing in [
            json!([]),
            json!(null),
            json!(["Support"]),
            json!({ "support": true }),
            json!("*"),
        ] {
            check(nothing, None);
        }
        let mut open = settings();
        open.roles[0].1 = vec!["*".to_owned()];
        let nobody = with("groups", json!(null));
        assert_eq!(somebody(&nobody, &open).unwrap().role, Some(Role::Viewer));
        let mut nested = settings();
        nested.groups_claim = "/realm_access/roles".to_owned();
        let claims = with("realm_access", json!({ "roles": ["platform"] }));
        assert_eq!(somebody(&claims, &nested).unwrap().role, Some(Role::Admin));
    }

    #[test]
    fn a_person_is_called_what_the_provider_vouches_for() {
        let named = |name: &str, value: Value| somebody(&with(name, value), &settings()).map(|it| it.name);
        assert_eq!(
            named("none", json!(null)).as_deref(),
            Some("oidc:ann@example.com")
        );
        assert_eq!(
            named("email_verified", json!(true)).as_deref(),
            Some("oidc:ann@example.com")
        );
        for (name, value) in [
            ("email_verified", json!(false)),
            ("email", json!(null)),
            ("email", json!(" ")),
            ("email", json!(7)),
        ] {
            assert_eq!(named(name, value).as_deref(), Some("oidc:1234"), "{name}");
        }
        assert_eq!(named("email", json!("a\u{1b}\nb")).as_deref(), Some("oidc:ab"));
        assert_eq!(named("sub", json!("")), None);
        assert_eq!(named("sub", json!(null)), None);
    }
}
