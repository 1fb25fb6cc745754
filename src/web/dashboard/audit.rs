//! `/audit`: who did what, when and from where.

use askama::Template;
use axum::extract::State;

use crate::web::{
    api::audit::{self, AuditEntryJson, AuditVerdictJson},
    auth::Caller,
    dashboard::{
        frame::{Answer, Frame, Page, Section},
        query::{Filters, Pager, Query},
        text,
    },
    state::AdminState,
};

#[derive(Debug, Template)]
#[template(path = "audit.html")]
pub(super) struct AuditPage {
    frame: Frame,
    filters: Filters,
    rows: Vec<AuditEntryJson>,
    pager: Pager,
}

pub(super) async fn list(State(state): State<AdminState>, caller: Caller, query: Query) -> Answer<AuditPage> {
    let page = state.0.store.audit(&audit::list_query(query.params())?).await?;
    Ok(Page(AuditPage {
        frame: Frame::new(caller, Section::Audit, "Audit log"),
        filters: Filters::new("/audit")
            .text(&query, "actor", "Who", "the name of a token")
            .text(&query, "action", "What", "retry_delivery")
            .text(&query, "target", "To what", "an id or a name")
            .times(&query),
        rows: page.rows.iter().map(AuditEntryJson::from).collect(),
        pager: query.pager(page.next),
    }))
}

#[derive(Debug, Template)]
#[template(path = "verdict.html")]
pub(super) struct VerdictPage {
    frame: Frame,
    it: AuditVerdictJson,
}

/// Reads all of the log.
pub(super) async fn verify(State(state): State<AdminState>, caller: Caller) -> Answer<VerdictPage> {
    Ok(Page(VerdictPage {
        frame: Frame::new(caller, Section::Audit, "Is the audit log whole"),
        it: state.0.store.verify_audit().await?.into(),
    }))
}
