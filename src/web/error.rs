//! What a client is told when something is wrong, and the one table from faults of the store to it.

use std::{borrow::Cow, time::Duration};

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use tracing::Level;

use crate::store::error::StoreError;

/// An answer of `application/problem+json`.
#[derive(Debug, Clone)]
pub struct Problem {
    pub status: StatusCode,
    /// Stable; clients branch on it.
    pub code: Cow<'static, str>,
    pub detail: Cow<'static, str>,
    pub retry_after: Option<Duration>,
}

impl Problem {
    pub(crate) fn new(
        status: StatusCode,
        code: impl Into<Cow<'static, str>>,
        detail: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            status,
            code: code.into(),
            detail: detail.into(),
            retry_after: None,
        }
    }

    #[must_use]
    pub(crate) fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// A request that says something we do not understand: which part, and what was expected and found.
    pub(crate) fn invalid(parameter: &str, expected: &str, found: &str) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            format!("invalid_{parameter}"),
            format!(
                "`{parameter}` is {expected}, but `{}` was given",
                shortened(found)
            ),
        )
    }

    pub(crate) fn not_found(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", detail)
    }

    pub(crate) fn conflict(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::CONFLICT, "conflict", detail)
    }

    pub(crate) fn forbidden(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", detail)
    }
}

/// The wire form (RFC 9457). `type` is left out: it would be `about:blank`.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Problem)]
pub(crate) struct ProblemJson<'a> {
    /// The name of the status.
    title: &'a str,
    status: u16,
    /// Stable name of what is wrong.
    code: &'a str,
    /// One sentence for a person.
    detail: &'a str,
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = ProblemJson {
            title: self.status.canonical_reason().unwrap_or("Error"),
            status: self.status.as_u16(),
            code: &self.code,
            detail: &self.detail,
        };
        let body = serde_json::to_vec(&body).expect("strings and numbers are JSON");
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = self.status;
        // For whoever tells it in another form.
        response.extensions_mut().insert(self.clone());
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if let Some(wait) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(whole_seconds(wait)));
        }
        response
    }
}

/// For `Retry-After`: rounded up, and never zero, which would invite a busy loop.
pub(crate) fn whole_seconds(wait: Duration) -> u64 {
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    seconds.max(1)
}

/// The last resort: a handler panicked.
pub(crate) fn panicked() -> Response {
    Problem::new(
        StatusCode::INTERNAL_SERVER_ERROR,
        "internal",
        "gatepost failed; the log says more",
    )
    .into_response()
}

/// Text of a client's for an error message: cut, without control characters.
pub(crate) fn shortened(text: &str) -> String {
    text.chars()
        .take(80)
        .map(|c| {
            if c.is_control() {
                char::REPLACEMENT_CHARACTER
            } else {
                c
            }
        })
        .collect()
}

/// Status, code, log level and `Retry-After` of a fault of the store. Our own fault is 503, always.
const fn verdict(err: &StoreError) -> (StatusCode, &'static str, Level, Option<Duration>) {
    const SOON: Option<Duration> = Some(Duration::from_secs(5));
    const LATER: Option<Duration> = Some(Duration::from_mins(1));
    let own = StatusCode::SERVICE_UNAVAILABLE;
    match err {
        StoreError::Unavailable { .. } => (own, "store_unavailable", Level::WARN, SOON),
        StoreError::Full { .. } => (own, "store_full", Level::ERROR, LATER),
        StoreError::ReadOnly { .. } => (own, "store_read_only", Level::ERROR, LATER),
        StoreError::BadRow { .. } => (own, "store_bad_row", Level::ERROR, None),
        StoreError::Damaged { .. } => (own, "store_damaged", Level::ERROR, None),
        StoreError::Unusable { .. } => (own, "store_unusable", Level::ERROR, LATER),
        StoreError::NotFound { .. } => (StatusCode::NOT_FOUND, "not_found", Level::DEBUG, None),
        StoreError::Conflict { .. } => (StatusCode::CONFLICT, "conflict", Level::DEBUG, None),
    }
}

impl From<StoreError> for Problem {
    /// Logs it: this is where it is handled.
    fn from(err: StoreError) -> Self {
        let (status, code, level, retry_after) = verdict(&err);
        match level {
            Level::ERROR => tracing::error!(error = %err, "the store failed a request of the admin side"),
            Level::WARN => tracing::warn!(error = %err, "the store failed a request of the admin side"),
            _ => tracing::debug!(error = %err, "the store refused a request of the admin side"),
        }
        // A reason may name hosts and files, which is for the log alone.
        let detail = match err {
            StoreError::NotFound { .. } | StoreError::Conflict { .. } => err.to_string(),
            _ => "the store failed; the log says why".to_owned(),
        };
        Self {
            status,
            code: code.into(),
            detail: detail.into(),
            retry_after,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f02_own_faults_are_503_and_never_tell_why() {
        let reason = || "host db.internal refused".to_owned();
        let faults = [
            StoreError::Unavailable {
                reason: reason(),
                source: None,
            },
            StoreError::Full { reason: reason() },
            StoreError::ReadOnly { reason: reason() },
            StoreError::BadRow { reason: reason() },
            StoreError::Damaged {
                table: "event",
                reason: reason(),
            },
            StoreError::Unusable {
                reason: reason(),
                hint: String::new(),
            },
        ];
        for fault in faults {
            let problem = Problem::from(fault);
            assert_eq!(problem.status, StatusCode::SERVICE_UNAVAILABLE);
            assert!(!problem.detail.contains("db.internal"), "{}", problem.detail);
        }
    }

    #[test]
    fn retry_after_rounds_up_and_is_never_zero() {
        assert_eq!(whole_seconds(Duration::ZERO), 1);
        assert_eq!(whole_seconds(Duration::from_millis(1200)), 2);
        assert_eq!(whole_seconds(Duration::from_secs(3)), 3);
    }
}
