//! `gatepost serve`: runs the gateway.

use std::{net::SocketAddr, path::Path};

use crate::{
    app::{self, Role, log},
    base::secret::Secret,
    cli::{
        client::dialled,
        output::{Ended, Failure, Result, note},
        settings,
    },
    config::Loaded,
};

/// Run the gateway
#[derive(Debug, clap::Args)]
#[command(
    long_about = "Runs the gateway until SIGTERM or SIGINT. SIGHUP or a changed file reloads the config: all of it or, \
                  with one fault, none of it.\n\nWithout a config file it serves on loopback with an SQLite store in the \
                  data directory, and says what to do next.",
    after_help = "Examples:\n  gatepost serve\n  gatepost serve --config /etc/gatepost/gatepost.toml\n  gatepost serve --role ingest --store postgres://gatepost@db/gatepost"
)]
pub(crate) struct Args {
    /// Which half to run; both meet only in the store
    #[arg(long, value_enum, default_value = "all")]
    role: RoleName,
    /// Where providers POST to, in place of `server.listen` [env: GATEPOST__SERVER__LISTEN] [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR")]
    listen: Option<String>,
    /// Dashboard, API and metrics, in place of `admin.listen` [env: GATEPOST__ADMIN__LISTEN] [default: 127.0.0.1:8081]
    #[arg(long, value_name = "ADDR")]
    admin_listen: Option<String>,
    /// The store, in place of `store.url` [env: GATEPOST__STORE__URL] [default: sqlite:data/gatepost.db]
    #[arg(long, value_name = "URL")]
    store: Option<String>,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum RoleName {
    /// Take requests and deliver events
    All,
    /// Take requests only
    Ingest,
    /// Deliver events only
    Deliver,
}

pub(crate) async fn run(file: Option<&Path>, args: Args) -> Result {
    let mut inputs = settings::inputs(file);
    let flags = [
        ("server.listen", args.listen),
        ("admin.listen", args.admin_listen),
        ("store.url", args.store),
    ];
    let given = flags
        .into_iter()
        .filter_map(|(key, value)| Some((key.to_owned(), value?)));
    inputs.flags.extend(given);
    let loaded = match settings::load(&inputs) {
        Ok(loaded) => loaded,
        Err(ended) => return Ok(ended),
    };
    settings::print_warnings(&loaded);
    log::init(&loaded.settings.log);
    if loaded.file.is_none() {
        introduce(&loaded);
    }
    let role = match args.role {
        RoleName::All => Role::All,
        RoleName::Ingest => Role::Ingest,
        RoleName::Deliver => Role::Deliver,
    };
    let res = Box::pin(app::serve(loaded, inputs, role, open_up)).await;
    res.map(|()| Ended::Fine).map_err(with_hint)
}

/// What a newcomer needs to know who started it with nothing.
fn introduce(loaded: &Loaded) {
    let settings = &loaded.settings;
    let (public, admin) = (settings.server.listen, settings.admin.listen);
    note(format_args!(
        "no config file: events go to {}, providers POST to http://{public}/webhooks/SOURCE",
        store_shown(settings.store.url.expose_str())
    ));
    note(format_args!(
        "dashboard: http://{admin}/ (API and metrics too; no token needed while it is on loopback)"
    ));
    note(
        "next: put a source into config/gatepost.toml (`gatepost providers stripe` shows how), then `gatepost check`; `gatepost demo` shows it at work",
    );
}

/// What the first of all needs who may come in: this goes to the terminal and to no log of ours.
fn open_up(admin: SocketAddr, setup: &Secret) {
    let (admin, token) = (dialled(admin), setup.expose_str().unwrap_or_default());
    note(format_args!(
        "nobody has a token yet, so the admin side is closed; make the first one within an hour, with a token that is good for this alone:\n\
         gatepost tokens create NAME --role admin --admin http://{admin} --token {token}"
    ));
}

/// The store's URL without what may be a password.
pub(crate) fn store_shown(url: Option<&str>) -> String {
    match url {
        Some(url) if url.starts_with("sqlite:") => url.to_owned(),
        Some(url) => url::Url::parse(url).map_or_else(
            |_| "the configured store".to_owned(),
            |url| crate::base::safe_url::SafeUrl::new(url).to_string(),
        ),
        None => "the configured store".to_owned(),
    }
}

/// Advice that a fault of the store carries, or that a taken port calls for.
fn with_hint(error: anyhow::Error) -> Failure {
    let hint = error.chain().find_map(|cause| {
        if let Some(crate::store::error::StoreError::Unusable { hint, .. }) = cause.downcast_ref() {
            return Some(hint.clone());
        }
        let io: &std::io::Error = cause.downcast_ref()?;
        (io.kind() == std::io::ErrorKind::AddrInUse).then(|| {
            "another process has that address; choose one with `--listen` and `--admin-listen`".to_owned()
        })
    });
    let failure = Failure::new(error);
    match hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}
