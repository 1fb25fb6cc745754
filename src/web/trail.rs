//! Writes down what was done on the admin side: every unsafe call of a known caller, with its outcome, and every login.
//!
//! It stands around the routes and not in them, so that a new operation cannot be forgotten. A call that changes something
//! runs to its end in a task of its own, and its entry is written before its answer goes out: whoever hangs up early leaves
//! a trace all the same.

use std::{collections::HashMap, net::IpAddr, panic};

use axum::{extract::MatchedPath, response::Response};
use http::{Extensions, Method, StatusCode, request::Parts};
use tokio_util::task::TaskTracker;
use utoipa::openapi::OpenApi;

use crate::{
    base::ids::AuditId,
    store::{Store, audit::Deed, clock::StoreClock},
    web::{
        auth::{Caller, role},
        error,
        oidc::routes::CALLBACK,
    },
};

/// What consumers do all day, and what changes nothing.
const LEFT_OUT: [&str; 5] = ["receive", "ack", "nack", "extend", "plan_job"];

#[derive(Debug)]
pub(crate) struct Trail {
    store: Store,
    clock: StoreClock,
    /// Calls that are under way.
    calls: TaskTracker,
}

/// What a handler adds to the entry of its call, in the extensions of its answer.
#[derive(Debug, Clone, Default)]
pub(crate) struct Note {
    /// Where the caller was not known before: who logged in, by name and role.
    pub(crate) actor: Option<(String, &'static str)>,
    /// How it ended, where the answer's own status is for a browser.
    pub(crate) status: Option<StatusCode>,
    /// What was made, where the path does not name it.
    pub(crate) target: Option<String>,
    /// Never a secret, never a body.
    pub(crate) detail: Option<String>,
}

impl Note {
    pub(crate) fn on(self, mut response: Response) -> Response {
        response.extensions_mut().insert(self);
        response
    }
}

/// Names of operations by the method and path that the router knows them by.
#[derive(Debug)]
pub(crate) struct Operations(HashMap<String, String>);

impl Operations {
    pub(crate) fn new(openapi: &OpenApi) -> Self {
        let mut names = HashMap::new();
        for (path, item) in &openapi.paths.paths {
            let operations = [
                ("POST", &item.post),
                ("PUT", &item.put),
                ("PATCH", &item.patch),
                ("DELETE", &item.delete),
            ];
            let is_login = path == CALLBACK;
            let callback = is_login.then_some(("GET", &item.get));
            for (method, operation) in operations.into_iter().chain(callback) {
                let id = operation.as_ref().and_then(|it| it.operation_id.clone());
                names.extend(id.map(|id| (format!("{method} {path}"), id)));
            }
        }
        Self(names)
    }

    /// What this request would do. `None` for what only reads, is no operation, or is left out.
    pub(crate) fn deed(&self, head: &Parts, client: Option<IpAddr>) -> Option<Deed> {
        let path = head.extensions.get::<MatchedPath>()?.as_str();
        // A provider sends browsers back to it, which can only be a `GET`.
        if role::is_safe(&head.method) && path != CALLBACK {
            return None;
        }
        let action = self.name(&head.method, path);
        (!LEFT_OUT.contains(&action.as_str())).then(|| Deed {
            id: AuditId::new(),
            actor: None,
            role: None,
            action,
            target: parameter(path, head.uri.path()),
            status: 0,
            detail: None,
            client: client.map(|it| it.to_string()),
        })
    }

    /// A page's form has the path of the call that it makes, but for `/v1`.
    fn name(&self, method: &Method, path: &str) -> String {
        let place = format!("{method} {path}");
        let name = self
            .0
            .get(&place)
            .or_else(|| self.0.get(&format!("{method} /v1{path}")));
        name.cloned().unwrap_or(place)
    }
}

/// What stands in the path where its template has a parameter.
fn parameter(template: &str, path: &str) -> Option<String> {
    let mut both = template.split('/').zip(path.split('/'));
    both.find(|(it, _)| it.starts_with('{'))
        .map(|(_, value)| value.to_owned())
}

impl Trail {
    pub(crate) fn new(store: Store, clock: StoreClock) -> Self {
        Self {
            store,
            clock,
            calls: TaskTracker::new(),
        }
    }

    /// Does it, and writes down how it ended.
    pub(crate) async fn follow(
        &self,
        deed: Deed,
        caller: Option<&Caller>,
        call: impl Future<Output = Response> + Send + 'static,
    ) -> Response {
        let deed = Deed {
            actor: caller.map(|it| it.name.to_string()),
            role: caller.map(|it| it.role.as_str().to_owned()),
            ..deed
        };
        let (store, clock) = (self.store.clone(), self.clock.clone());
        let call = self.calls.spawn(async move {
            let mut response = call.await;
            let deed = ended(deed, response.status(), response.extensions_mut());
            if is_kept(&deed) {
                write(&store, &clock, deed).await;
            }
            response
        });
        match call.await {
            Ok(response) => response,
            Err(error) if error.is_panic() => panic::resume_unwind(error.into_panic()),
            Err(_aborted) => error::panicked(),
        }
    }
}

fn ended(deed: Deed, status: StatusCode, extensions: &mut Extensions) -> Deed {
    let note = extensions.remove::<Note>().unwrap_or_default();
    let (actor, role) = note.actor.map_or((deed.actor, deed.role), |(name, role)| {
        (Some(name), Some(role.to_owned()))
    });
    Deed {
        actor,
        role,
        target: note.target.or(deed.target),
        detail: note.detail,
        status: note.status.unwrap_or(status).as_u16(),
        ..deed
    }
}

/// Refusals without number must not fill what is never emptied: a login that was not even tried is not kept.
const fn is_kept(deed: &Deed) -> bool {
    deed.status != StatusCode::TOO_MANY_REQUESTS.as_u16()
}

/// The line in the log is an anchor: who makes the chain anew in the store cannot change what was logged elsewhere.
async fn write(store: &Store, clock: &StoreClock, deed: Deed) {
    match store.append_audit(deed.clone(), clock.now()).await {
        Ok(entry) => tracing::info!(
            audit.seq = entry.seq,
            audit.hash = hex::encode(entry.hash),
            actor = deed.actor,
            target = deed.target,
            status = deed.status,
            "audit: {}",
            deed.action
        ),
        Err(error) => tracing::error!(
            actor = deed.actor,
            target = deed.target,
            status = deed.status,
            "could not write `{}` to the audit log: {error}",
            deed.action
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_call_is_about_stands_in_its_path() {
        let check = |template: &str, path: &str, expected: Option<&str>| {
            assert_eq!(parameter(template, path).as_deref(), expected, "{path}");
        };
        check(
            "/v1/deliveries/{id}/retry",
            "/v1/deliveries/dlv_1/retry",
            Some("dlv_1"),
        );
        check(
            "/v1/destinations/{name}/pause",
            "/v1/destinations/a%20b/pause",
            Some("a%20b"),
        );
        check("/v1/jobs", "/v1/jobs", None);
    }

    #[test]
    fn every_operation_that_changes_something_has_its_name() {
        let operations = Operations::new(&crate::web::api::router().into_openapi());
        let check = |path: &str, expected: &str| assert_eq!(operations.name(&Method::POST, path), expected);
        check("/v1/deliveries/{id}/retry", "retry_delivery");
        check("/deliveries/{id}/retry", "retry_delivery");
        check("/login", "login");
        assert_eq!(operations.name(&Method::GET, CALLBACK), "oidc_login");
        check("/v1/events", "POST /v1/events");
        for left_out in LEFT_OUT {
            assert!(operations.0.values().any(|it| it == left_out), "{left_out}");
        }
    }
}
