//! What no single value shows: settings that do not go together, and what an operator should hear about.

use std::net::{IpAddr, SocketAddr};

use url::{Host, Url};

use crate::{
    alert::rule::{AtLeast, Rules},
    base::secret::Secret,
    config::{
        Settings,
        error::Fault,
        mask::has_password,
        section::{Bad, Reading},
        tree::{Node, Place, Table, Value},
        units::show_size,
        value::shown,
    },
    destination::Kind,
    ingest, registry, source, web,
};

/// The store's URL names an engine of ours and holds no password in the file.
pub(super) fn store_url(url: Secret, node: &Node, reading: &mut Reading<'_>) -> Result<Secret, Bad> {
    no_literal_password(&url, node, reading)?;
    let text = url.expose_str().unwrap_or_default();
    let is_sqlite = text
        .strip_prefix("sqlite:")
        .is_some_and(|it| !it.trim_start_matches('/').is_empty());
    let is_postgres = ["postgres://", "postgresql://"]
        .iter()
        .any(|it| text.starts_with(it))
        && text.parse::<Url>().is_ok();
    if is_sqlite || is_postgres {
        return Ok(url);
    }
    let scheme = text.split(':').next().unwrap_or_default();
    let found = if scheme.len() < text.len() {
        format!(", found `{}:...`", shown(scheme))
    } else {
        String::new()
    };
    let fault = Fault::new(&node.place, "`store.url` names no store").label(format!(
        "expected \"sqlite:PATH\" or \"postgres://USER@HOST/DATABASE\"{found}"
    ));
    Err(reading.fault(fault))
}

/// A password in the URL is a secret like any other.
fn no_literal_password(url: &Secret, node: &Node, reading: &mut Reading<'_>) -> Result<(), Bad> {
    let is_in_file = matches!((&node.value, &node.place), (Value::Text(_), Place::File(_)));
    if !is_in_file || !url.expose_str().is_some_and(has_password) {
        return Ok(());
    }
    let fault = Fault::new(&node.place, "`store.url` holds a password in plain text")
        .label("expected a reference, or a URL without a password")
        .hint(
            "put the whole URL into an environment variable and write { env = \"DATABASE_URL\" }".to_owned(),
        );
    Err(reading.fault(fault))
}

/// The rule looks at what is kept of refused requests.
pub(super) fn refusals(rules: &Rules, n_kept: u64, reading: &mut Reading<'_>) {
    let (common, AtLeast(at_least), _) = rules.refusals;
    if common.is_enabled && n_kept < at_least {
        reading.warnings.push(format!(
            "`issues.refusals` finds hardly any: `rejected.keep` keeps {n_kept} refused requests, and {at_least} make an issue"
        ));
    }
}

/// The two listeners do not get in each other's way, and nobody is surprised that the admin side is closed.
pub(super) fn listeners(
    server: &web::ServerSettings,
    admin: Option<&web::AdminSettings>,
    admin_listen: Option<SocketAddr>,
    tree: &Table,
    reading: &mut Reading<'_>,
) {
    if let Some(listen) = admin_listen.filter(|it| overlap(server.listen, *it)) {
        let place = match tree.locate("admin.listen") {
            Place::Default => tree.locate("server.listen"),
            place => place,
        };
        let fault = Fault::new(&place, "`server.listen` and `admin.listen` collide")
            .label(format!(
                "expected two addresses, found {} and {listen}",
                server.listen
            ))
            .hint("give the admin side another port: the public side must never reach it".to_owned());
        reading.fault(fault);
    }
    if let Some(admin) =
        admin.filter(|it| it.tokens.is_empty() && it.oidc.is_none() && !it.listen.ip().is_loopback())
    {
        reading.warnings.push(format!(
            "`admin.listen`: {} is reached from other machines and `admin.tokens` is empty, so the admin side is closed to all but tokens of \
             the store; `serve` says how to make the first one",
            admin.listen
        ));
    }
}

fn overlap(left: SocketAddr, right: SocketAddr) -> bool {
    let is_same_ip = left.ip() == right.ip() || left.ip().is_unspecified() || right.ip().is_unspecified();
    // Port 0: the system picks a free one.
    left.port() != 0 && left.port() == right.port() && is_same_ip
}

/// The largest body that may come fits into the memory for bodies: else it would get 503 for ever.
pub(super) fn bodies(
    server: &web::ServerSettings,
    ingest: &ingest::Settings,
    sources: &[source::Settings],
    tree: &Table,
    reading: &mut Reading<'_>,
) {
    let of_sources = sources
        .iter()
        .filter_map(|it| Some((format!("sources.{}.max_body", it.name), it.max_body?)));
    for (path, max_body) in of_sources.chain([("server.max_body".to_owned(), server.max_body)]) {
        if max_body <= ingest.max_bytes_in_flight {
            continue;
        }
        let place = match tree.locate(&path) {
            Place::Default => tree.locate("ingest.max_bytes_in_flight"),
            place => place,
        };
        let fault = Fault::new(
            &place,
            format!("`{path}` is larger than `ingest.max_bytes_in_flight`"),
        )
        .label(format!(
            "expected at most \"{}\", found \"{}\"",
            show_size(ingest.max_bytes_in_flight),
            show_size(max_body)
        ))
        .hint("a body of that size would never be let in".to_owned());
        reading.fault(fault);
    }
}

/// What starts, but not as anybody would want it.
pub(super) fn warnings(settings: &Settings) -> Vec<String> {
    let mut res = Vec::new();
    let registry::Settings {
        sources,
        destinations,
        routes,
    } = &settings.registry;
    for source in sources {
        let name = &source.name;
        if source.provider.is_unverified() {
            res.push(format!(
                "source `{name}` is unverified: anybody who finds its URL can post events"
            ));
        }
        res.extend(short_secrets(source));
        if !routes.iter().any(|it| it.source == *name) {
            res.push(format!(
                "source `{name}` has no route: its events are stored and go nowhere"
            ));
        }
    }
    for destination in destinations {
        let name = &destination.name;
        if let Kind::Http(url) = &destination.kind
            && url.expose().scheme() == "http"
            && !is_private(url.expose())
        {
            res.push(format!(
                "destination `{name}` is sent events over plain http: use https"
            ));
        }
        if let Some(oauth2) = &destination.oauth2
            && oauth2.token_url.expose().scheme() == "http"
            && !is_private(oauth2.token_url.expose())
        {
            res.push(format!(
                "destination `{name}` shows its client secret over plain http: use https in `oauth2.token_url`"
            ));
        }
        if !routes.iter().any(|it| it.destination == *name) {
            res.push(format!("destination `{name}` has no route: nothing goes there"));
        }
    }
    res
}

/// Only of what the operator may choose: an organization's id is as long as it is.
fn short_secrets(source: &source::Settings) -> impl Iterator<Item = String> {
    let provider = &source.provider;
    let secrets = source.secrets.iter().enumerate();
    let chosen = secrets.filter(|_| provider.key_option == "secrets");
    chosen.filter_map(|(idx, secret)| {
        let n_chars = provider.few_chars(secret)?;
        Some(format!(
            "source `{}`: `secrets[{idx}]` has {n_chars} characters; 16 or more would be safer, if `{}` takes them",
            source.name, provider.name
        ))
    })
}

/// On this machine or in a private network, as far as the URL itself shows. A name without a dot is a neighbour's
/// (a compose service, a pod's service).
fn is_private(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback() || ip.is_private(),
        Some(Host::Ipv6(ip)) => IpAddr::V6(ip).is_loopback() || ip.is_unique_local(),
        Some(Host::Domain(name)) => {
            let is_internal = [".internal", ".local", ".localhost", ".svc"]
                .iter()
                .any(|it| name.ends_with(it));
            !name.contains('.') || is_internal
        }
        None => false,
    }
}
