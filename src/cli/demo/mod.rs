//! `gatepost demo`: the whole story on a throw-away store, with no config.
//!
//! `stage` sets it up (directory, secrets, config), `handler` stands in for the user's own, `story` tells it.

mod handler;
mod stage;
mod story;

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};

use crate::{
    app::{self, Role, Running, log},
    cli::{
        demo::{handler::Handler, stage::Stage, story::Story},
        output::{self, Ended, Failure, Result, note},
        settings,
    },
    config::{self, Inputs},
};

/// See it all work, on a throw-away store: no config, nothing to set up
#[derive(Debug, clap::Args)]
#[command(
    long_about = "Starts a real gateway in this process, on loopback, with a throw-away SQLite store, five sources and a \
                  handler that stands in for yours, and tells what happens: signed events from several providers, their \
                  delivery, a duplicate, a forgery, a handler that fails and recovers, the ledger that adds up. Then it \
                  keeps serving until Ctrl-C, so that you can try things; what it stored is deleted at the end. Nothing \
                  leaves this machine.",
    after_help = "Examples:\n  gatepost demo\n  gatepost demo --exit          # end after the story"
)]
pub(crate) struct Args {
    /// End after the story
    #[arg(long)]
    exit: bool,
}

pub(crate) async fn run(args: Args) -> Result {
    let paint = settings::paint(&Inputs::from_process(None));
    let mut handler = Handler::bind()
        .await
        .context("cannot listen for the demo's handler")?;
    let stage = Stage::set(handler.address).context("cannot set the demo up")?;
    handler.expect_signatures(&stage.signing_secret)?;
    // The stage's own file and nothing else: what this shell or this directory says must not change the story.
    let inputs = Inputs {
        file: Some(stage.config.clone()),
        ..Inputs::default()
    };
    let loaded = config::load(&inputs).map_err(|faults| {
        Failure::text(format_args!(
            "the demo's own config is faulty, which is a bug:\n{faults}"
        ))
    })?;
    log::init(&loaded.settings.log);
    let sources = loaded.settings.registry.sources.clone();
    let running = app::start(loaded, inputs, Role::All)
        .await
        .context("cannot start the demo")?;
    let mut seen = handler.seen();
    let mut story = Story::new(paint, sources, &running, handler.address)?;
    let res = tokio::select! {
        res = perform(&mut story, &mut seen, &args) => res,
        // The handler answers as long as the story runs; it ends only with it.
        res = handler.serve() => res.context("the demo's handler ended").map_err(Failure::new),
        res = interrupted() => res,
    };
    let stopped = finish(running).await;
    res.and(stopped)
}

async fn perform(story: &mut Story, seen: &mut handler::Seens, args: &Args) -> Result {
    story.tell(seen).await?;
    if args.exit {
        return Ok(Ended::Fine);
    }
    output::data("\nStill serving; Ctrl-C ends it and deletes the store.")?;
    story.watch(seen).await
}

async fn interrupted() -> Result {
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        res = tokio::signal::ctrl_c() => res?,
        _ = terminate.recv() => (),
    }
    note("\nstopping");
    Ok(Ended::Fine)
}

async fn finish(running: Running) -> Result {
    running.stop();
    running
        .wait()
        .await
        .context("the demo did not stop as it should")?;
    Ok(Ended::Fine)
}
