//! What a caller is shown of an event: bodies only where its role may see them, and nothing that the source's rules hide.
//!
//! Every answer that holds a sender's headers or body goes through this. Queues do not: what consumers get is what handlers get.

use std::{borrow::Cow, sync::Arc};

use http::StatusCode;

use crate::{
    event::headers::Headers,
    provider,
    source::{
        Source,
        redact::{self, REDACTED, Redact},
    },
    web::{
        Role,
        api::shape::{self, BodyJson, HeaderJson, ShownBodyJson},
        auth::Caller,
        error::Problem,
        state::Admin,
    },
};

/// Of one source, for one caller.
#[derive(Debug)]
pub(crate) struct View {
    has_bodies: bool,
    redact: Redact,
    /// `None`: of none, or of one that is in the config no more.
    source: Option<Arc<Source>>,
}

/// Why a body is not shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Withheld {
    /// The caller's role may not see bodies.
    Role,
    /// The source's rules cannot be applied to it.
    Redaction,
}

impl Withheld {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Role => "role",
            Self::Redaction => "redaction",
        }
    }
}

impl From<Withheld> for Problem {
    fn from(why: Withheld) -> Self {
        let detail = match why {
            Withheld::Role => "bodies are kept from the role `viewer` (`admin.viewers_see_bodies`)",
            Withheld::Redaction => {
                "the source's `redact` cannot be applied: the body is no JSON, so none of it is shown"
            }
        };
        Self::new(StatusCode::FORBIDDEN, "body_withheld", detail)
    }
}

impl View {
    /// Of what no source sent.
    pub(crate) fn of_role(admin: &Admin, caller: &Caller) -> Self {
        Self {
            has_bodies: admin.viewers_see_bodies || caller.role >= Role::Operator,
            redact: Redact::default(),
            source: None,
        }
    }

    /// Of this source, by today's rules. One that is in the config no more has none.
    pub(crate) fn new(admin: &Admin, caller: &Caller, source: &str) -> Self {
        let snapshot = admin.registry.current();
        let source = snapshot.sources.get(source);
        Self {
            redact: source.map_or_else(Redact::default, |it| it.settings().redact.clone()),
            source: source.cloned(),
            ..Self::of_role(admin, caller)
        }
    }

    #[cfg(test)]
    pub(crate) fn with_rules(redact: Redact) -> Self {
        Self {
            has_bodies: true,
            redact,
            source: None,
        }
    }

    /// The body as it may be shown.
    pub(crate) fn bytes<'a>(&self, body: &'a [u8]) -> Result<Cow<'a, [u8]>, Withheld> {
        if !self.has_bodies {
            return Err(Withheld::Role);
        }
        self.redact.body(body).ok_or(Withheld::Redaction)
    }

    pub(crate) fn body(&self, body: &[u8]) -> ShownBodyJson {
        ShownBodyJson::from(self.bytes(body).as_deref().map(BodyJson::new).map_err(|it| *it))
    }

    /// What a handler answered: no sender's words, but it may repeat them.
    pub(crate) fn response(&self, body: &[u8]) -> Result<BodyJson, Withheld> {
        if self.has_bodies {
            Ok(BodyJson::new(body))
        } else {
            Err(Withheld::Role)
        }
    }

    pub(crate) fn headers(&self, headers: &Headers) -> Vec<HeaderJson> {
        shape::headers(headers, |name| self.hides_header(name))
    }

    /// The query of an event's URL. `None`: there is none.
    pub(crate) fn query(&self, query: &str) -> Option<String> {
        (!query.is_empty()).then(|| self.redact.query(query))
    }

    /// Path and query of a request that was refused, which is kept whole: without its credentials.
    pub(crate) fn target(&self, target: &str) -> String {
        let Some((path, query)) = target.split_once('?') else {
            return target.to_owned();
        };
        let provider = self.source.as_ref().map(|it| it.provider());
        let provider = provider.or_else(|| provider::find("unverified"));
        let is_hidden = |field: &str| provider.is_none_or(|it| it.may_hold_credential(field));
        let query = self.redact.query(&redact::without_fields(query, is_hidden));
        format!("{path}?{query}")
    }

    /// Whether the source has rules about its bodies.
    pub(crate) fn hides_values(&self) -> bool {
        self.redact.hides_values()
    }

    pub(crate) fn hides_header(&self, name: &str) -> bool {
        self.redact.hides_header(name)
    }

    /// What stands in place of a header or a body that is not shown, where something must.
    pub(crate) const fn mark() -> &'static str {
        REDACTED
    }
}
