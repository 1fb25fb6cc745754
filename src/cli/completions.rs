//! `gatepost completions`: a completion script for a shell.

use clap::CommandFactory;

use crate::cli::{
    Cli,
    output::{self, Ended, Result},
};

/// Print a completion script for a shell
#[derive(Debug, clap::Args)]
#[command(
    long_about = "Prints a script that makes a shell complete gatepost's commands and flags.",
    after_help = "Examples:\n  gatepost completions bash > /etc/bash_completion.d/gatepost\n  gatepost completions zsh > \"${fpath[1]}/_gatepost\"\n  gatepost completions fish > ~/.config/fish/completions/gatepost.fish"
)]
pub(crate) struct Args {
    shell: clap_complete::Shell,
}

pub(crate) fn run(args: &Args) -> Result {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "gatepost", &mut script);
    output::raw(&script)?;
    Ok(Ended::Fine)
}
