//! The command tree, and printing: data to stdout, everything else to stderr.
//!
//! One file per command. A command answers with how it ended; only `run` turns that into an exit code. Nothing here knows
//! SQL, how a signature is checked, or how an event is judged: those are calls into the rooms below.
//!
//! Imports: every room below.

mod audit;
mod bulk;
mod call;
mod cancel;
mod check;
mod client;
mod completions;
mod deliveries;
mod demo;
mod destinations;
mod doctor;
mod events;
mod healthcheck;
mod issues;
mod jobs;
mod migrate;
mod notifications;
mod output;
mod providers;
mod queue;
mod replay;
mod requests;
mod retry;
mod send;
mod serve;
mod settings;
mod tail;
mod test;
mod tokens;
mod top;
mod transfer;
mod trial;
mod try_route;
mod verify;

use std::{path::PathBuf, process::ExitCode};

use clap::{CommandFactory, Parser, Subcommand};

use crate::cli::output::{Ended, Failure, Result};

const ABOUT: &str = "Self-hosted webhook receiver gateway: verifies, stores, answers, delivers";

const LONG_ABOUT: &str = "\
gatepost takes webhooks from the services that call you: it checks the signature over the raw bytes, stores the event, \
answers 200, and delivers it to your handlers for as long as it takes.

An event that was answered with 2xx is in the store, byte for byte, and reaches every handler that it is routed to at \
least once, or ends as a visible dead letter.";

const AFTER_HELP: &str = "\
Start here:
  gatepost demo                     the whole story on a throw-away store, no config
  gatepost serve                    run it; without a config file: SQLite and loopback
  gatepost providers                who can call, and how to register your URL there

Settings, strongest first: flag, environment (GATEPOST__SERVER__LISTEN is server.listen), file,
built-in default. The file is looked for at --config, $GATEPOST_CONFIG, config/gatepost.toml,
/etc/gatepost/gatepost.toml.

Exit codes: 0 fine, 1 failed, 2 wrong usage or config.";

#[derive(Debug, Parser)]
#[command(name = "gatepost", version, max_term_width = 100, about = ABOUT, long_about = LONG_ABOUT, after_help = AFTER_HELP)]
struct Cli {
    /// The config file [env: GATEPOST_CONFIG] [default: config/gatepost.toml]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::Args),
    Demo(demo::Args),
    Check(check::Args),
    Migrate(migrate::Args),
    Send(send::Args),
    Verify(verify::Args),
    Try(try_route::Args),
    Test(test::Args),
    Events(events::Args),
    Deliveries(deliveries::Args),
    Requests(requests::Args),
    Destinations(destinations::Args),
    Queue(queue::Args),
    Replay(replay::Args),
    Retry(retry::Args),
    Cancel(cancel::Args),
    Jobs(jobs::Args),
    Issues(issues::Args),
    Notifications(notifications::Args),
    Top(top::Args),
    Tokens(tokens::Args),
    Audit(audit::Args),
    Providers(providers::Args),
    Doctor(doctor::Args),
    Healthcheck(healthcheck::Args),
    Completions(completions::Args),
}

/// How a result is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Output {
    Table,
    Json,
}

/// How a verdict is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum TextOutput {
    Text,
    Json,
}

/// Runs the command line and says how it ended: 0 fine, 1 failed, 2 wrong usage or config.
pub fn run() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return print_usage(&error).into(),
    };
    let ended = dispatch(cli).unwrap_or_else(|failure| failure.report());
    ended.into()
}

fn dispatch(cli: Cli) -> Result {
    let config = cli.config.as_deref();
    let Some(command) = cli.command else {
        let help = Cli::command().render_help();
        output::data(help.to_string().trim_end())?;
        return Ok(Ended::Fine);
    };
    match command {
        Command::Check(args) => check::run(config, &args),
        Command::Verify(args) => block_on(verify::run(config, &args)),
        Command::Test(args) => test::run(config, &args),
        Command::Providers(args) => providers::run(&args),
        Command::Completions(args) => completions::run(&args),
        Command::Serve(args) => block_on(serve::run(config, args)),
        Command::Demo(args) => block_on(demo::run(args)),
        Command::Migrate(args) => block_on(migrate::run(config, &args)),
        Command::Send(args) => block_on(send::run(config, args)),
        Command::Try(args) => block_on(try_route::run(config, args)),
        Command::Events(args) => block_on(events::run(config, args)),
        Command::Deliveries(args) => block_on(deliveries::run(config, args)),
        Command::Requests(args) => block_on(requests::run(config, args)),
        Command::Destinations(args) => block_on(destinations::run(config, args)),
        Command::Queue(args) => block_on(queue::run(config, args)),
        Command::Replay(args) => block_on(replay::run(config, args)),
        Command::Retry(args) => block_on(retry::run(config, args)),
        Command::Cancel(args) => block_on(cancel::run(config, args)),
        Command::Jobs(args) => block_on(jobs::run(config, args)),
        Command::Issues(args) => block_on(issues::run(config, args)),
        Command::Notifications(args) => block_on(notifications::run(config, args)),
        Command::Top(args) => block_on(top::run(config, args)),
        Command::Tokens(args) => block_on(tokens::run(config, args)),
        Command::Audit(args) => block_on(audit::run(config, args)),
        Command::Doctor(args) => block_on(doctor::run(config, &args)),
        Command::Healthcheck(args) => block_on(healthcheck::run(config, &args)),
    }
}

/// Help and version that were asked for are data; a usage fault is not.
fn print_usage(error: &clap::Error) -> Ended {
    let text = error.render();
    if error.use_stderr() {
        output::note(text.to_string().trim_end());
        Ended::Refused
    } else {
        let printed = output::data(text.to_string().trim_end());
        printed.map_or_else(|failure| failure.report(), |()| Ended::Fine)
    }
}

fn block_on(work: impl Future<Output = Result>) -> Result {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(anyhow::Error::new(error).context("cannot start the runtime")))?;
    runtime.block_on(work)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_tree_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_says_what_it_does_and_shows_an_example() {
        for command in Cli::command().get_subcommands() {
            let name = command.get_name();
            assert!(command.get_about().is_some(), "`{name}` has no about");
            assert!(command.get_long_about().is_some(), "`{name}` has no long about");
            let examples = command.get_after_help().map(ToString::to_string);
            let examples = examples.unwrap_or_else(|| panic!("`{name}` has no examples"));
            // A line that is wrapped can no longer be copied.
            let longest = examples.lines().map(|it| it.chars().count()).max();
            assert!(
                longest <= Some(98),
                "an example of `{name}` is too long: {longest:?}"
            );
        }
    }
}
