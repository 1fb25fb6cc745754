//! The tables that rule the process: listeners, store, pools, log.

use crate::{
    base::secret::Secret,
    config::{
        Log, check,
        error::Fault,
        oidc,
        secrets::{self, Literal},
        section::{Bad, Reading, Section},
        tree::{Node, Place},
        value::{self, HOUR, MINUTE},
    },
    delivery, ingest, store, web,
};
use std::time::Duration;

const MILLISECOND: Duration = Duration::from_millis(1);
const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const YEARS: Duration = Duration::from_hours(3650 * 24);
/// Senders try again for three days and longer; whoever forgets an event sooner takes its retry for a new one.
const MIN_RETENTION: Duration = Duration::from_hours(3 * 24);
/// The pool renews a lease every third of it; less leaves no room for a slow commit.
const MIN_LEASE: Duration = Duration::from_secs(5);
const MIN_TOKEN_LEN: usize = 16;

const ROLES: &[(&str, web::Role)] = &[
    ("consumer", web::Role::Consumer),
    ("viewer", web::Role::Viewer),
    ("operator", web::Role::Operator),
    ("admin", web::Role::Admin),
];
const POOL_MODES: &[(&str, store::PoolMode)] = &[
    ("session", store::PoolMode::Session),
    ("transaction", store::PoolMode::Transaction),
];
const FORMATS: &[(&str, Option<bool>)] = &[("auto", None), ("text", Some(false)), ("json", Some(true))];

/// `[server]`, and the grace of a stop.
pub(super) fn server(
    top: &mut Section<'_>,
    reading: &mut Reading<'_>,
) -> Result<(web::ServerSettings, Duration), Bad> {
    let mut section = required(top, "server", reading)?;
    let listen = section.need("listen", reading, value::address);
    let public_url = section.read("public_url", reading, value::public_url);
    let trusted_proxies = section.list("trusted_proxies", reading, value::network);
    let max_body = section.need("max_body", reading, value::size(1, GIB));
    let max_connections = section.need("max_connections", reading, value::number(1, 1_000_000_i64));
    let max_head = section.need("max_head", reading, value::size(8 * KIB, MIB));
    let max_headers = section.need("max_headers", reading, value::number(16, 10_000_i64));
    let timeout = || value::duration(10 * MILLISECOND, HOUR);
    let head_timeout = section.need("head_timeout", reading, timeout());
    let body_timeout = section.need("body_timeout", reading, timeout());
    let idle_timeout = section.need("idle_timeout", reading, timeout());
    let grace = section.need("grace", reading, value::duration(Duration::ZERO, HOUR));
    section.finish(reading);
    let server = web::ServerSettings {
        listen: listen?,
        public_url: public_url?,
        trusted_proxies: trusted_proxies?,
        max_body: max_body?,
        max_connections: whole(max_connections?),
        max_head: usize::try_from(max_head?).unwrap_or(usize::MAX),
        max_headers: whole(max_headers?),
        head_timeout: head_timeout?,
        body_timeout: body_timeout?,
        idle_timeout: idle_timeout?,
    };
    Ok((server, grace?))
}

/// The readers have checked that it is positive and small.
fn whole(number: i64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// The compiled-in default has every table, so a missing one is a fault of ours.
pub(super) fn required<'a>(
    top: &mut Section<'a>,
    key: &'static str,
    reading: &mut Reading<'_>,
) -> Result<Section<'a>, Bad> {
    let section = top.section(key, reading)?;
    section.ok_or_else(|| reading.fault(Fault::new(&Place::Default, format!("there is no table `{key}`"))))
}

pub(super) fn admin(top: &mut Section<'_>, reading: &mut Reading<'_>) -> Result<web::AdminSettings, Bad> {
    let mut section = required(top, "admin", reading)?;
    let listen = section.need("listen", reading, value::address);
    let items = section.items("tokens", reading);
    let viewers_see_bodies = section.need("viewers_see_bodies", reading, value::boolean);
    let replay_to_private = section.need("replay_to_private", reading, value::boolean);
    let oidc = oidc::oidc(&mut section, reading);
    section.finish(reading);
    let mut tokens: Vec<web::Token> = Vec::new();
    let mut is_bad = false;
    for (idx, node) in items?.iter().enumerate() {
        match token(node, idx, reading) {
            Ok(token) => {
                if tokens.iter().any(|it| it.name == token.name) {
                    let problem = format!("two admin tokens are called `{}`", value::shown(&token.name));
                    reading.fault(Fault::new(&node.place, problem).label("expected another name"));
                    is_bad = true;
                }
                tokens.push(token);
            }
            Err(Bad) => is_bad = true,
        }
    }
    let listen = listen?;
    if is_bad {
        return Err(Bad);
    }
    Ok(web::AdminSettings {
        listen,
        tokens,
        viewers_see_bodies: viewers_see_bodies?,
        replay_to_private: replay_to_private?,
        oidc: oidc?,
        patience: web::PagePatience::default(),
    })
}

fn token(node: &Node, idx: usize, reading: &mut Reading<'_>) -> Result<web::Token, Bad> {
    let path = format!("admin.tokens[{idx}]");
    let mut section = Section::of(node, path, "admin.tokens[]", reading)?;
    let name = section.need("name", reading, value::text);
    let role = section.need("role", reading, value::choice(ROLES));
    let token = secret_in(
        &mut section,
        "token",
        "admin.tokens[].token",
        Literal::Refused,
        reading,
    );
    let token_path = section.path_of("token");
    let token_node = section.node("token", reading);
    let token = match token {
        Ok(None) => Err(section.missing("token", reading)),
        Ok(Some(token)) if token.expose().len() < MIN_TOKEN_LEN => {
            let place = token_node.map_or(&node.place, |it| &it.place);
            let fault = Fault::new(place, format!("`{token_path}` is too short"))
                .label(format!(
                    "expected at least {MIN_TOKEN_LEN} bytes, found {}",
                    token.expose().len()
                ))
                .hint("make one with: openssl rand -hex 32".to_owned());
            Err(reading.fault(fault))
        }
        // It travels in a header.
        Ok(Some(token)) if !token.expose().iter().all(u8::is_ascii_graphic) => {
            let place = token_node.map_or(&node.place, |it| &it.place);
            let fault = Fault::new(place, format!("`{token_path}` cannot travel in a header"))
                .label("expected visible ASCII characters without spaces")
                .hint("make one with: openssl rand -hex 32".to_owned());
            Err(reading.fault(fault))
        }
        Ok(Some(token)) => Ok(token),
        Err(Bad) => Err(Bad),
    };
    section.finish(reading);
    Ok(web::Token {
        name: name?,
        token: token?,
        role: role?,
    })
}

/// A secret reference in a section.
pub(super) fn secret_in(
    section: &mut Section<'_>,
    key: &'static str,
    shape: &str,
    literal: Literal,
    reading: &mut Reading<'_>,
) -> Result<Option<Secret>, Bad> {
    let path = section.path_of(key);
    let Some(node) = section.node(key, reading) else {
        return Ok(None);
    };
    secrets::secret(node, &path, shape, literal, reading).map(Some)
}

/// `[store]` and the retention.
pub(super) fn store(
    top: &mut Section<'_>,
    reading: &mut Reading<'_>,
) -> Result<(store::Settings, Duration), Bad> {
    let mut section = required(top, "store", reading)?;
    let node = section.node("url", reading);
    let url = secret_in(&mut section, "url", "store.url", Literal::Allowed, reading);
    let url = match (url, node) {
        (Ok(Some(url)), Some(node)) => check::store_url(url, node, reading),
        (Ok(_), _) => Err(section.missing("url", reading)),
        (Err(Bad), _) => Err(Bad),
    };
    let retention = section.need("retention", reading, |node| {
        value::duration(MIN_RETENTION, YEARS)(node).map_err(|it| value::Mismatch {
            hint: it.hint.or_else(|| {
                Some("senders retry for up to three days; an event forgotten sooner would be taken for a new one".into())
            }),
            ..it
        })
    });
    let max_connections = section.need("max_connections", reading, value::number(1, 1_000_u32));
    let pool_mode = section.need("pool_mode", reading, value::choice(POOL_MODES));
    section.finish(reading);
    let settings = store::Settings {
        url: url?,
        max_connections: max_connections?,
        pool_mode: pool_mode?,
    };
    Ok((settings, retention?))
}

/// `[ingest]` and `[rejected]`.
pub(super) struct Ingest {
    pub(super) settings: ingest::Settings,
    /// Whether senders are asked for their keys, and to confirm a subscription.
    pub(super) ask_senders: bool,
    pub(super) rejected_retention: Duration,
    pub(super) rejected_keep: u64,
}

pub(super) fn ingest(top: &mut Section<'_>, reading: &mut Reading<'_>) -> Result<Ingest, Bad> {
    let section = required(top, "ingest", reading);
    let rejected = required(top, "rejected", reading);
    let (mut section, mut rejected) = (section?, rejected?);
    let max_batch = section.need("max_batch", reading, value::number(1, 10_000_i64));
    let max_bytes = section.need("max_bytes_in_flight", reading, value::size(MIB, 1024 * GIB));
    let ack_timeout = section.need(
        "ack_timeout",
        reading,
        value::duration(10 * MILLISECOND, 10 * MINUTE),
    );
    let ask_senders = section.need("ask_senders", reading, value::boolean);
    section.finish(reading);
    let keep = rejected.need("keep", reading, value::number(0, 100_000_000_i64));
    let retention = rejected.need("retention", reading, value::duration(MINUTE, YEARS));
    let max_body = rejected.need("max_body", reading, value::size(0, 64 * MIB));
    rejected.finish(reading);
    let settings = ingest::Settings {
        max_batch: whole(max_batch?),
        max_bytes_in_flight: max_bytes?,
        ack_timeout: ack_timeout?,
        max_rejected_body: max_body?,
    };
    Ok(Ingest {
        settings,
        ask_senders: ask_senders?,
        rejected_retention: retention?,
        rejected_keep: keep?.unsigned_abs(),
    })
}

pub(super) fn delivery(top: &mut Section<'_>, reading: &mut Reading<'_>) -> Result<delivery::Settings, Bad> {
    let mut section = required(top, "delivery", reading)?;
    let lease = section.need("lease", reading, |node| {
        value::duration(MIN_LEASE, HOUR)(node).map_err(|it| value::Mismatch {
            hint: it.hint.or_else(|| {
                Some("a lease is renewed every third of it; a shorter one could expire under a worker that is alive".into())
            }),
            ..it
        })
    });
    let poll = section.need("poll", reading, value::duration(10 * MILLISECOND, MINUTE));
    section.finish(reading);
    Ok(delivery::Settings {
        lease: lease?,
        poll: poll?,
    })
}

pub(super) fn log(top: &mut Section<'_>, reading: &mut Reading<'_>) -> Result<Log, Bad> {
    let mut section = required(top, "log", reading)?;
    let filter = section.need("filter", reading, |node| {
        let filter = value::text(node)?;
        match tracing_subscriber::EnvFilter::try_new(&filter) {
            Ok(_) => Ok(filter),
            Err(_) => value::mismatch(
                node,
                "a level or a filter, as in \"info\" or \"warn,gatepost=debug\"",
            ),
        }
    });
    let format = section.need("format", reading, value::choice(FORMATS));
    section.finish(reading);
    Ok(Log {
        filter: filter?,
        is_json: format?,
    })
}
