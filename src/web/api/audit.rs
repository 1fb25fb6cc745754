//! `/v1/audit`: what was done here, by whom, and whether the log of it is whole.

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    store::audit::{AuditQuery, Entry, Verdict},
    web::{
        api::{
            shape::PageJson,
            texts::{LimitNumber, TimeText},
        },
        error::{Problem, ProblemJson},
        extract::{Json, Params},
        state::AdminState,
    },
};

pub(crate) fn router() -> OpenApiRouter<AdminState> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(verify))
}

/// An entry of the audit log.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AuditEntryJson {
    /// 1 for the first, without gaps.
    pub(crate) seq: u64,
    pub(crate) id: String,
    pub(crate) at: String,
    /// The name of the token; null for a login that failed.
    pub(crate) actor: Option<String>,
    /// The role that it had.
    pub(crate) role: Option<String>,
    /// The operation, by its `operationId`.
    pub(crate) action: String,
    /// What it was done to: an id or a name.
    pub(crate) target: Option<String>,
    /// `done`, `refused` (by the status: nothing was done) or `failed`.
    pub(crate) outcome: &'static str,
    /// The answer's HTTP status.
    pub(crate) status: u16,
    pub(crate) detail: Option<String>,
    /// The address that it came from.
    pub(crate) client: Option<String>,
    /// SHA-256 over the hash of the entry before and all of this one, in hex.
    pub(crate) hash: String,
}

impl From<&Entry> for AuditEntryJson {
    fn from(entry: &Entry) -> Self {
        let deed = &entry.deed;
        Self {
            seq: entry.seq,
            id: deed.id.to_string(),
            at: entry.at.to_string(),
            actor: deed.actor.clone(),
            role: deed.role.clone(),
            action: deed.action.clone(),
            target: deed.target.clone(),
            outcome: match deed.status {
                0..400 => "done",
                400..500 => "refused",
                _ => "failed",
            },
            status: deed.status,
            detail: deed.detail.clone(),
            client: deed.client.clone(),
            hash: hex::encode(entry.hash),
        }
    }
}

/// Lists what was done on the admin side, newest first: every call that changes something, every login, and what was refused.
#[utoipa::path(get, path = "/v1/audit", tag = "access", operation_id = "list_audit",
    params(
        ("actor" = Option<String>, Query, description = "By the token of this name"),
        ("action" = Option<String>, Query, description = "This operation, by its `operationId`"),
        ("target" = Option<String>, Query, description = "To this id or name"),
        ("after" = inline(Option<TimeText>), Query, description = "At or after this time (RFC 3339)"),
        ("before" = inline(Option<TimeText>), Query, description = "Before this time (RFC 3339)"),
        ("limit" = inline(Option<LimitNumber>), Query, description = "1 to 200; 50 where absent"),
        ("cursor" = Option<u64>, Query, description = "`next` of the page before"),
    ),
    responses((status = 200, body = PageJson<AuditEntryJson>), (status = 400, body = ProblemJson<'_>), (status = 403, body = ProblemJson<'_>)))]
async fn list(
    State(state): State<AdminState>,
    params: Params,
) -> Result<Json<PageJson<AuditEntryJson>>, Problem> {
    let page = state.0.store.audit(&list_query(params)?).await?;
    Ok(Json(PageJson::from_page(page)))
}

pub(crate) fn list_query(mut params: Params) -> Result<AuditQuery, Problem> {
    let query = AuditQuery {
        actor: params.text("actor")?,
        action: params.text("action")?,
        target: params.text("target")?,
        after: params.time("after")?,
        before: params.time("before")?,
        limit: params.limit()?,
        cursor: params.parsed("cursor", "`next` of the page before, a number", |it| {
            it.parse().ok().filter(|it| i64::try_from(*it).is_ok())
        })?,
    };
    params.finish()?;
    Ok(query)
}

/// Whether the audit log is whole.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AuditVerdictJson {
    pub(crate) intact: bool,
    /// Entries from the first one on that fit together.
    pub(crate) n_entries: u64,
    /// The hash of the last one that fits: compare it with what the log of the process said then.
    pub(crate) last_hash: String,
    /// The number of the first entry that does not fit.
    pub(crate) broken_at: Option<u64>,
    pub(crate) explanation: Option<&'static str>,
}

impl From<Verdict> for AuditVerdictJson {
    fn from(verdict: Verdict) -> Self {
        Self {
            intact: verdict.broken.is_none(),
            n_entries: verdict.n_entries,
            last_hash: hex::encode(verdict.last.hash),
            broken_at: verdict.broken.as_ref().map(|it| it.seq),
            explanation: verdict.broken.map(|it| it.why),
        }
    }
}

/// Goes through the whole audit log and says whether each entry fits to the one before it, and where the first does not.
#[utoipa::path(get, path = "/v1/audit/verify", tag = "access", operation_id = "verify_audit",
    responses((status = 200, body = AuditVerdictJson), (status = 403, body = ProblemJson<'_>)))]
async fn verify(State(state): State<AdminState>, params: Params) -> Result<Json<AuditVerdictJson>, Problem> {
    params.finish()?;
    Ok(Json(state.0.store.verify_audit().await?.into()))
}
