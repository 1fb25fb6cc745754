//! `gatepost migrate`: brings the store's schema up to date.

use std::path::Path;

use crate::{
    cli::{
        output::{self, Ended, Result},
        settings,
    },
    store::Store,
};

/// Bring the store's schema up to date
#[derive(Debug, clap::Args)]
#[command(
    long_about = "Applies the migrations that the store lacks, under a lock, so that it may run on several machines at \
                  once. `serve` does the same at its start; use this to do it earlier, or as another user. Migrations \
                  only go forward; a store that a newer gatepost wrote is refused.",
    after_help = "Examples:\n  gatepost migrate\n  gatepost migrate --check          # exit 1 if something is pending\n  GATEPOST__STORE__URL=postgres://gatepost@db/gatepost gatepost migrate"
)]
pub(crate) struct Args {
    /// Only say what is pending; exit 1 if something is
    #[arg(long)]
    check: bool,
    /// The store, in place of the config's `store.url` [env: GATEPOST__STORE__URL]
    #[arg(long, value_name = "URL")]
    store: Option<String>,
}

pub(crate) async fn run(file: Option<&Path>, args: &Args) -> Result {
    let mut inputs = settings::inputs(file);
    inputs
        .flags
        .extend(args.store.iter().map(|url| ("store.url".to_owned(), url.clone())));
    let loaded = match settings::load(&inputs) {
        Ok(loaded) => loaded,
        Err(ended) => return Ok(ended),
    };
    let store = Store::open(&loaded.settings.store).await?;
    let res = migrate(&store, args.check).await;
    store.close().await;
    res
}

async fn migrate(store: &Store, only_check: bool) -> Result {
    let engine = store.engine_name();
    let names = if only_check {
        store.pending_migrations().await?
    } else {
        store.migrate().await?
    };
    let verb = if only_check { "pending" } else { "applied" };
    for name in &names {
        output::data(format_args!("{verb} {name}"))?;
    }
    if names.is_empty() {
        output::data(format_args!("the {engine} store is up to date"))?;
    }
    Ok(if only_check && !names.is_empty() {
        Ended::Failed
    } else {
        Ended::Fine
    })
}
