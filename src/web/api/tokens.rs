//! `/v1/tokens`: who may use the admin side. For admins alone.

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::sync::Arc;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    base::{clock::Timestamp, ids::TokenId},
    store::access::{Digest, NewToken, StoredToken},
    web::{
        Role,
        api::texts::{RoleText, TimeText, TokenIdText},
        auth::{self, Caller},
        error::{Problem, ProblemJson},
        extract::{Id, Input, Json, Params},
        oidc,
        state::AdminState,
        trail::Note,
    },
};

const MAX_NAME: usize = 64;

pub(crate) fn router() -> OpenApiRouter<AdminState> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(revoke))
}

/// A token, without itself.
#[derive(Debug, Serialize, ToSchema)]
struct TokenJson {
    /// Null for a token of the config, which only the config can change.
    id: Option<String>,
    name: String,
    /// `consumer`, `viewer`, `operator` or `admin`.
    role: String,
    /// `store` or `config`.
    origin: &'static str,
    /// `live`, `expired` or `revoked`.
    status: &'static str,
    /// The name of the token that asked for it.
    made_by: Option<String>,
    created_at: Option<String>,
    /// Null: it does not expire.
    expires_at: Option<String>,
    /// To the minute; null where it was never used, or is not written down.
    used_at: Option<String>,
    revoked_at: Option<String>,
}

impl TokenJson {
    fn of_store(token: &StoredToken, now: Timestamp) -> Self {
        let text = |it: Option<Timestamp>| it.map(|it| it.to_string());
        Self {
            id: Some(token.id.to_string()),
            name: token.name.clone(),
            role: token.role.clone(),
            origin: "store",
            status: match token.revoked_at {
                Some(_) => "revoked",
                None if token.is_live(now) => "live",
                None => "expired",
            },
            made_by: Some(token.made_by.clone()),
            created_at: Some(token.created_at.to_string()),
            expires_at: text(token.expires_at),
            used_at: text(token.used_at),
            revoked_at: text(token.revoked_at),
        }
    }

    fn of_config((name, role): (&Arc<str>, Role)) -> Self {
        Self {
            id: None,
            name: name.to_string(),
            role: role.as_str().to_owned(),
            origin: "config",
            status: "live",
            made_by: None,
            created_at: None,
            expires_at: None,
            used_at: None,
            revoked_at: None,
        }
    }
}

/// Every token: those of the config, then those of the store, newest first.
#[derive(Debug, Serialize, ToSchema)]
struct TokensJson {
    data: Vec<TokenJson>,
}

/// Lists the tokens: never one of them itself.
#[utoipa::path(get, path = "/v1/tokens", tag = "access", operation_id = "list_tokens",
    responses((status = 200, body = TokensJson), (status = 403, body = ProblemJson<'_>)))]
async fn list(State(state): State<AdminState>, params: Params) -> Result<Json<TokensJson>, Problem> {
    params.finish()?;
    let stored = state.0.store.tokens().await?;
    let now = state.0.auth.now();
    let configured = state.0.auth.configured().map(TokenJson::of_config);
    let data = configured.chain(stored.iter().map(|it| TokenJson::of_store(it, now)));
    Ok(Json(TokensJson { data: data.collect() }))
}

/// A token to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct TokenInput {
    /// What the audit log calls its holder: at most 64 visible characters, of one token at a time.
    #[schema(min_length = 1, max_length = 64)]
    name: String,
    #[schema(value_type = RoleText)]
    role: String,
    /// From then on it opens nothing (RFC 3339). Absent: it does not expire.
    #[schema(value_type = Option<TimeText>)]
    expires_at: Option<String>,
}

/// A token that was made, with itself: it is shown here and never again.
#[derive(Debug, Serialize, ToSchema)]
struct MadeTokenJson {
    token: String,
    #[serde(flatten)]
    shown: TokenJson,
}

/// Makes a token. The answer is the one place that shows it: the store keeps a hash. On a loopback side that was open without a
/// token, the first one with the role `admin` closes it.
#[utoipa::path(post, path = "/v1/tokens", tag = "access", operation_id = "create_token",
    request_body = TokenInput,
    responses((status = 201, body = MadeTokenJson), (status = 400, body = ProblemJson<'_>), (status = 403, body = ProblemJson<'_>), (status = 409, body = ProblemJson<'_>)))]
async fn create(
    State(state): State<AdminState>,
    caller: Caller,
    Input(input): Input<TokenInput>,
) -> Result<Response, Problem> {
    let (access, store) = (&state.0.auth, &state.0.store);
    let now = access.now();
    let role = role(&input.role)?;
    let expires_at = input
        .expires_at
        .as_deref()
        .map(|it| expiry(it, now))
        .transpose()?;
    let name = name(&input.name)?;
    if access.is_configured(name) {
        return Err(Problem::conflict(format!(
            "a token of the config has the name `{name}`: the audit log could not tell them apart"
        )));
    }
    let token = auth::mint();
    let new = NewToken {
        id: TokenId::new(),
        name: name.to_owned(),
        hash: Digest(Sha256::digest(token.expose()).into()),
        role: role.as_str().to_owned(),
        made_by: caller.name.to_string(),
        expires_at,
    };
    let made = store.create_token(new, now).await?;
    access.look_anew().await;
    let note = Note {
        target: Some(made.id.to_string()),
        detail: Some(format!("`{}`, {}", made.name, made.role)),
        ..Note::default()
    };
    let answer = Json(MadeTokenJson {
        token: token.expose_str().unwrap_or_default().to_owned(),
        shown: TokenJson::of_store(&made, now),
    });
    Ok(note.on((StatusCode::CREATED, answer).into_response()))
}

/// Revokes a token, and with it every session that was opened with it: from the answer on it opens nothing, on any replica. Its row
/// stays in the list.
#[utoipa::path(post, path = "/v1/tokens/{id}/revoke", tag = "access", operation_id = "revoke_token",
    params(("id" = inline(TokenIdText), Path, description = "The token's id")),
    responses((status = 200, body = TokenJson), (status = 403, body = ProblemJson<'_>), (status = 404, body = ProblemJson<'_>)))]
async fn revoke(State(state): State<AdminState>, Id(id): Id<TokenId>) -> Result<Response, Problem> {
    let now = state.0.auth.now();
    let revoked = state.0.store.revoke_token(id, now).await?;
    let note = Note {
        detail: Some(format!("`{}`, {}", revoked.name, revoked.role)),
        ..Note::default()
    };
    Ok(note.on(Json(TokenJson::of_store(&revoked, now)).into_response()))
}

fn role(text: &str) -> Result<Role, Problem> {
    let all = Role::ALL.map(Role::as_str).join(", ");
    Role::parse(text).ok_or_else(|| Problem::invalid("role", &format!("one of {all}"), text))
}

fn name(text: &str) -> Result<&str, Problem> {
    let name = text.trim();
    let is_fine = !name.is_empty()
        && name.chars().count() <= MAX_NAME
        && !name.chars().any(char::is_control)
        // Who has no token is called so.
        && !name.starts_with(oidc::PREFIX)
        && ![auth::NOBODY, auth::SETUP].contains(&name);
    is_fine.then_some(name).ok_or_else(|| {
        Problem::invalid(
            "name",
            "at most 64 visible characters, and not `local` or `setup`",
            text,
        )
    })
}

fn expiry(text: &str, now: Timestamp) -> Result<Timestamp, Problem> {
    Timestamp::parse_rfc3339(text)
        .filter(|it| now < *it)
        .ok_or_else(|| {
            Problem::invalid(
                "expires_at",
                "a time to come in RFC 3339 (`2027-01-31T12:00:00Z`)",
                text,
            )
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_makes_no_token_is_refused_by_name() {
        let now = Timestamp::parse_rfc3339("2026-01-01T00:00:00Z").unwrap();
        let code = |res: Result<(), Problem>| res.unwrap_err().code.into_owned();
        for bad in ["", " ", "local", "setup", "a\u{7}b", &"x".repeat(65)] {
            assert_eq!(code(name(bad).map(drop)), "invalid_name", "{bad:?}");
        }
        assert_eq!(name(" ops ").unwrap(), "ops");
        for bad in ["", "root", "Admin"] {
            assert_eq!(code(role(bad).map(drop)), "invalid_role", "{bad}");
        }
        for bad in ["", "tomorrow", "2026-01-01T00:00:00Z", "2025-12-31T00:00:00Z"] {
            assert_eq!(code(expiry(bad, now).map(drop)), "invalid_expires_at", "{bad}");
        }
        assert!(expiry("2026-01-01T00:00:01Z", now).is_ok());
    }
}
