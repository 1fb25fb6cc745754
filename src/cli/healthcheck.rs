//! `gatepost healthcheck`: whether the gatepost of this config is ready. For container health checks.

use std::path::Path;

use crate::cli::{
    client::{AdminArgs, Client, Query},
    output::{self, Ended, Result},
};

/// Say whether a running gatepost is ready; for container health checks
#[derive(Debug, clap::Args)]
#[command(
    long_about = "Asks `/readyz` of the admin listener: exit 0 if that gatepost takes requests and its store takes \
                  writes, 1 if not. Needs no token, and no curl in the image.",
    after_help = "Examples:\n  gatepost healthcheck\n  gatepost healthcheck --admin http://127.0.0.1:8081"
)]
pub(crate) struct Args {
    /// The admin API [default: http:// and the config's admin.listen]
    #[arg(long, value_name = "URL", env = "GATEPOST_ADMIN_URL")]
    admin: Option<String>,
}

pub(crate) async fn run(file: Option<&Path>, args: &Args) -> Result {
    let asked = AdminArgs {
        admin: args.admin.clone(),
        token: None,
        token_file: None,
    };
    let client = Client::new(file, &asked)?;
    let answer = client
        .call(http::Method::GET, &["readyz"], &Query::default(), None)
        .await?;
    if answer.status.is_success() {
        output::data("ready")?;
        return Ok(Ended::Fine);
    }
    let text = String::from_utf8_lossy(&answer.body);
    output::data(format_args!(
        "not ready ({}): {}",
        answer.status.as_u16(),
        output::printable(text.trim())
    ))?;
    Ok(Ended::Failed)
}
