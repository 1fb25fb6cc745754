//! The dashboard: pages that this server renders, and what their forms do.
//!
//! A page shows what the admin API tells (`api` has the lists, the shapes and the verbs; nothing is done twice here). Templates are
//! in `templates/`, compiled in, and escape everything; `text` makes visible what would mislead an eye. It works without
//! the script, which only adds local times, fresh numbers and keys. No page asks the store for more than a page of rows:
//! what only a count can tell comes from `api::numbers`, as it was a moment ago.

pub(crate) mod assets;
mod audit;
mod body;
mod chart;
mod curl;
mod deliveries;
mod events;
mod frame;
mod health;
mod issues;
mod jobs;
mod login;
mod map;
mod overview;
mod query;
mod requests;
mod room;
mod settings;
mod setup;
mod text;

use axum::{Router, handler::Handler, middleware::from_fn, response::Response, routing};

use crate::{store::issue::State, web::state::AdminState};

/// Paths that are answered to anybody: whoever has no token must get to the page that asks for one.
pub(crate) fn is_open(path: &str) -> bool {
    path == login::PATH || path.starts_with(assets::PREFIX)
}

/// Pages and forms, and which there are, so that a test can try every one.
pub(crate) struct Pages {
    pub(crate) router: Router<AdminState>,
    /// Method and path.
    pub(crate) listed: Vec<(&'static str, &'static str)>,
}

impl Pages {
    fn page<H, T>(mut self, path: &'static str, handler: H) -> Self
    where
        H: Handler<T, AdminState>,
        T: 'static,
    {
        self.router = self.router.route(path, routing::get(handler));
        self.listed.push(("GET", path));
        self
    }

    fn form<H, T>(mut self, path: &'static str, handler: H) -> Self
    where
        H: Handler<T, AdminState>,
        T: 'static,
    {
        self.router = self.router.route(path, routing::post(handler));
        self.listed.push(("POST", path));
        self
    }
}

/// Leads on to a path of this side. What came from another site brings no `Strict` cookie along, and neither does a redirect of it; a
/// page of ours does.
pub(crate) fn signed_in(next: &str) -> Response {
    login::signed_in(next)
}

pub(crate) fn pages() -> Pages {
    let pages = Pages {
        router: Router::new(),
        listed: Vec::new(),
    };
    let pages = pages
        .page("/", overview::show)
        .page("/map", map::show)
        .page("/events", events::list)
        .page("/events/{id}", events::show)
        .form("/events/{id}/replay", events::replay)
        .page("/deliveries", deliveries::list)
        .page("/deliveries/{id}", deliveries::show)
        .form("/deliveries/{id}/retry", deliveries::retry)
        .form("/deliveries/{id}/cancel", deliveries::cancel)
        .page("/requests", requests::list)
        .page("/requests/plan", requests::plan)
        .page("/requests/{id}", requests::show)
        .form("/requests/accept", requests::accept)
        .page("/issues", issues::list)
        .page("/issues/{id}", issues::show)
        .form("/issues/{id}/acknowledge", issues::set_to(State::Acknowledged))
        .form("/issues/{id}/resolve", issues::set_to(State::Resolved))
        .form("/issues/{id}/ignore", issues::set_to(State::Ignored))
        .form("/issues/{id}/reopen", issues::set_to(State::Open))
        .page("/sources", setup::sources)
        .form("/sources/{name}/sample", setup::send_sample)
        .page("/destinations", setup::destinations)
        .form("/destinations/{name}/pause", setup::pause)
        .form("/destinations/{name}/resume", setup::resume)
        .form("/routes/{name}/hold", setup::hold_route)
        .form("/routes/{name}/resume", setup::resume_route)
        .page("/jobs", jobs::list)
        .form("/jobs", jobs::create)
        .page("/jobs/plan", jobs::plan)
        .page("/jobs/{id}", jobs::show)
        .form("/jobs/{id}/pause", jobs::pause)
        .form("/jobs/{id}/resume", jobs::resume)
        .form("/jobs/{id}/cancel", jobs::cancel)
        .page("/audit", audit::list)
        .page("/audit/verify", audit::verify)
        .page("/settings", settings::show)
        .page(login::PATH, login::show)
        .page("/assets/{name}", assets::get);
    Pages {
        router: pages.router.layer(from_fn(frame::explain)),
        listed: pages.listed,
    }
}
