//! `gatepost send`: signs a sample event as its provider would, and posts it.

use std::{
    path::{Path, PathBuf},
    time::Instant,
};

use bytes::Bytes;
use url::Url;

use crate::{
    base::{clock::wall_now, secret::Secret},
    cli::{
        call::{self, Caller},
        client::dialled,
        output::{self, Ended, Failure, Result, note},
        settings,
        verify::read_body,
    },
    config::Inputs,
    provider::{self, Provider, Sample, Wanted},
};

/// Sign a sample event as its provider would, and post it
#[derive(Debug, clap::Args)]
#[command(
    long_about = "Makes a sample event (or takes your body), signs it with the first secret of a source as that provider \
                  would, posts it, and prints the answer. Use it to try a config without waiting for the provider.\n\n\
                  Without a config, say who signs and where the secret is: `--provider` and `--secret-env`.",
    after_help = "Examples:
  gatepost send stripe
  gatepost send github --type push --file push.json
  gatepost send stripe --url https://hooks.example.com/webhooks/stripe
  gatepost send test --provider stripe --secret-env STRIPE_WEBHOOK_SECRET

Exit codes: 0 it was answered with 2xx, 1 it was not, 2 wrong usage or config."
)]
pub(crate) struct Args {
    /// The source to send to, as the config calls it
    source: String,
    /// The event's type [default: the provider's sample]
    #[arg(long = "type", value_name = "TYPE")]
    event_type: Option<String>,
    /// Sign and send this body instead of a sample; `-` reads stdin
    #[arg(long, value_name = "BODY")]
    file: Option<PathBuf>,
    /// Where to post it [default: http://{server.listen}/webhooks/{source}]
    #[arg(long)]
    url: Option<String>,
    /// Sign as this provider, without looking into a config
    #[arg(long, value_name = "NAME", requires = "secret_env")]
    provider: Option<String>,
    /// The environment variable that holds the secret to sign with [default: the source's first secret]
    #[arg(long, value_name = "NAME")]
    secret_env: Option<String>,
}

/// Who signs, with what, and where it goes.
struct Plan {
    provider: Provider,
    secret: Secret,
    url: Url,
    /// What the sender calls where that is not `url`.
    public_url: Option<Url>,
}

pub(crate) async fn run(file: Option<&Path>, args: Args) -> Result {
    let inputs = settings::inputs(file);
    let plan = match &args.provider {
        Some(name) => plan_without_config(&inputs, name, &args)?,
        None => match plan_from_config(&inputs, &args)? {
            Ok(plan) => plan,
            Err(ended) => return Ok(ended),
        },
    };
    let body = args.file.as_deref().map(read_body).transpose()?;
    let sample = sign(&plan, args.event_type.as_deref(), body.as_deref())?;
    post(&plan.url, sample).await
}

fn plan_without_config(inputs: &Inputs, name: &str, args: &Args) -> Result<Plan> {
    let provider = provider::find(name).ok_or_else(|| {
        let failure = Failure::usage(format_args!("no provider `{name}`"));
        match provider::nearest(name) {
            Some(near) => failure.hint(format!("did you mean `{near}`?")),
            None => failure.hint("`gatepost providers` lists them"),
        }
    })?;
    let variable = args.secret_env.as_deref().unwrap_or_default();
    let default = || format!("http://127.0.0.1:8080/webhooks/{}", args.source);
    Ok(Plan {
        provider: provider.clone(),
        secret: secret_in(inputs, variable)?,
        url: parse_url(&args.url.clone().unwrap_or_else(default))?,
        public_url: None,
    })
}

fn plan_from_config(inputs: &Inputs, args: &Args) -> Result<std::result::Result<Plan, Ended>> {
    let loaded = match settings::load(inputs) {
        Ok(loaded) => loaded,
        Err(ended) => return Ok(Err(ended)),
    };
    let source = settings::find_source(&loaded.settings.registry, &args.source)?;
    let secret = match &args.secret_env {
        Some(variable) => secret_in(inputs, variable)?,
        None if source.provider.is_unverified() => Secret::new(Vec::new()),
        None => source.secrets.first().cloned().ok_or_else(|| {
            Failure::usage(format_args!(
                "source `{}` has no secret to sign with",
                source.name
            ))
        })?,
    };
    let default = || {
        let listen = dialled(loaded.settings.server.listen);
        format!("http://{listen}/webhooks/{}", source.name)
    };
    Ok(Ok(Plan {
        provider: source.provider.clone(),
        secret,
        url: parse_url(&args.url.clone().unwrap_or_else(default))?,
        public_url: source.public_url.clone(),
    }))
}

fn secret_in(inputs: &Inputs, variable: &str) -> Result<Secret> {
    let value = inputs.environment.get(variable);
    value
        .map(|it| Secret::new(it.clone().into_bytes()))
        .ok_or_else(|| {
            Failure::usage(format_args!("the environment variable `{variable}` is not set"))
                .hint("`--secret-env` takes the name of a variable, not the secret")
        })
}

fn parse_url(text: &str) -> Result<Url> {
    Url::parse(text)
        .ok()
        .filter(|it| matches!(it.scheme(), "http" | "https") && it.has_host())
        .ok_or_else(|| {
            Failure::usage(format_args!("`{text}` is not a URL to post to"))
                .hint("expected like http://127.0.0.1:8080/webhooks/stripe")
        })
}

fn sign(plan: &Plan, event_type: Option<&str>, body: Option<&[u8]>) -> Result<Sample> {
    let target = &plan.url[url::Position::BeforePath..url::Position::AfterQuery];
    let url = match &plan.public_url {
        Some(base) => format!("{}{target}", base.as_str().trim_end_matches('/')),
        None => plan.url.to_string(),
    };
    let wanted = Wanted {
        event_type,
        body,
        url: Some(&url),
        target: Some(target),
    };
    let made = plan.provider.sample(&plan.secret, &wanted, wall_now());
    made.map_err(|bad| {
        Failure::usage(format_args!(
            "cannot sign as `{}`: {}",
            plan.provider.name, bad.problem
        ))
        .hint(bad.hint)
    })
}

async fn post(url: &Url, sample: Sample) -> Result {
    let mut called = url.clone();
    if let Some((name, value)) = &sample.query {
        called.query_pairs_mut().append_pair(name, value);
    }
    let headers = call::headers(&sample.headers)
        .map_err(|name| Failure::usage(format_args!("the header `{name}` cannot be sent over HTTP")))?;
    let n_bytes = sample.body.len();
    let started = Instant::now();
    let sent = match Caller::new() {
        Ok(caller) => {
            caller
                .send(http::Method::POST, &called, headers, Bytes::from(sample.body))
                .await
        }
        Err(failure) => Err(failure),
    };
    let answer = sent.map_err(|failure| {
        Failure::new(anyhow::Error::new(failure).context(format!("no answer from {url}")))
            .hint("is it running? `gatepost serve` starts it; `--url` says where it is")
    })?;
    let took_ms = started.elapsed().as_secs_f64() * 1_000.0;
    note(format_args!(
        "posted {n_bytes} bytes to {url}: {} in {took_ms:.1} ms",
        answer.status
    ));
    output::raw(&answer.body)?;
    output::raw(b"\n")?;
    if answer.status.is_success() {
        return Ok(Ended::Fine);
    }
    if answer.status == http::StatusCode::UNAUTHORIZED {
        note(
            "hint: the running gatepost has another secret for this source; `gatepost requests list` says why it refused",
        );
    }
    Ok(Ended::Failed)
}
