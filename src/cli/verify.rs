//! `gatepost verify`: says whether a request verifies, and if not exactly why. Offline, unless a key is to be fetched.

use std::{
    ffi::{OsStr, OsString},
    fmt::Display,
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use url::Url;

use crate::{
    base::{
        clock::{Timestamp, wall_now},
        metrics::Metrics,
    },
    cli::{
        TextOutput,
        output::{self, Ended, Failure, Result},
        settings,
    },
    event::headers::Headers,
    provider::{Answer, published::KeyName},
    source::{
        self, Received, Rejection, Request, Source, Verified,
        asking::Asking,
        keys::{Keys, Moment},
    },
};

/// Say whether a request verifies, and if not exactly why
#[derive(Debug, clap::Args)]
#[command(
    long_about = "Checks one captured request as the running gateway would, with the secrets and the tolerance of a \
                  source in the config, and explains the verdict. Works offline and touches no store; only with --fetch \
                  a key that the sender publishes is fetched. A handshake that gatepost would answer counts as verified.",
    after_help = "Examples:
  gatepost verify gitlab --file body.json --header 'X-Gitlab-Token: ...'
  gatepost verify stripe --file body.json --header 'Stripe-Signature: ...' --now 1767225600
  curl -s localhost/captured | gatepost verify slack --file - --header '...' --output json

Exit codes: 0 it verifies, 1 it does not, 2 wrong usage or config."
)]
pub(crate) struct Args {
    /// The source whose secrets and scheme to use
    source: String,
    /// The raw body, byte for byte; `-` reads stdin
    #[arg(long, value_name = "BODY")]
    file: PathBuf,
    /// A header of the request; give it once for each
    #[arg(long = "header", value_name = "NAME: VALUE")]
    headers: Vec<OsString>,
    /// The method of the request
    #[arg(long, default_value = "POST")]
    method: String,
    /// The URL it was sent to, for schemes that sign it [default: server.public_url and /webhooks/SOURCE]
    #[arg(long)]
    url: Option<String>,
    /// The time of the check, in seconds since 1970 [default: now]
    #[arg(long, value_name = "UNIX", allow_negative_numbers = true)]
    now: Option<i64>,
    /// Fetch the key that the request names, where the source has none of its own
    #[arg(long)]
    fetch: bool,
    /// How to print the verdict
    #[arg(long, value_enum, default_value = "text")]
    output: TextOutput,
}

/// The verdict. Its JSON form is part of the contract: these fields and no others.
#[derive(Debug, serde::Serialize)]
struct Verdict {
    verified: bool,
    cause: Option<&'static str>,
    explanation: String,
    external_id: Option<String>,
    event_type: Option<String>,
}

pub(crate) async fn run(file: Option<&Path>, args: &Args) -> Result {
    let loaded = match settings::load(&settings::inputs(file)) {
        Ok(loaded) => loaded,
        Err(ended) => return Ok(ended),
    };
    let mut of_source = settings::find_source(&loaded.settings.registry, &args.source)?.clone();
    let now = args.now.map_or_else(wall_now, Timestamp::from_unix_seconds);
    let (public_url, target) = place(args, of_source.public_url.take())?;
    of_source.public_url = public_url;
    let request = Request {
        method: method(&args.method)?,
        target,
        headers: headers(&args.headers)?,
        body: read_body(&args.file)?,
        client: None,
        received_at: now,
    };
    let source = Source::new(of_source).map_err(|faults| {
        let text: Vec<_> = faults
            .iter()
            .map(|it| format!("`{}` {}", it.key, it.problem))
            .collect();
        Failure::usage(format_args!(
            "source `{}` is faulty: {}",
            args.source,
            text.join("; ")
        ))
    })?;
    let source = Arc::new(source);
    let received = if args.fetch {
        fetch_and_receive(&source, &request, now).await
    } else {
        source::receive(&source, &request, now)
    };
    let verdict = match received {
        Received::Verified(verified) => Verdict::verified(&source, &verified),
        Received::Answer(answer) | Received::HandedOver(answer, _) | Received::Confirm { answer, .. } => {
            Verdict::handshake(&answer)
        }
        Received::NeedsKey(name) => Verdict::rejected(needs_key(&name)),
        Received::Noted(_, rejection) | Received::Rejected(rejection) => Verdict::rejected(rejection),
    };
    match args.output {
        TextOutput::Json => output::json(&verdict)?,
        TextOutput::Text => output::data(verdict.to_text())?,
    }
    Ok(if verdict.verified {
        Ended::Fine
    } else {
        Ended::Failed
    })
}

fn needs_key(name: &KeyName) -> Rejection {
    let which = name.id.as_ref().map(|it| format!("`{it}` of those "));
    Rejection {
        code: "key_needed",
        explanation: format!(
            "it can only be verified with the key {}at {}: --fetch fetches it",
            which.unwrap_or_default(),
            name.url
        ),
    }
}

async fn fetch_and_receive(source: &Arc<Source>, request: &Request, now: Timestamp) -> Received {
    let unavailable = |problem: &dyn Display| {
        Received::Rejected(Rejection {
            code: "key_unavailable",
            explanation: problem.to_string(),
        })
    };
    let asking = match Asking::new(Metrics::new()) {
        Ok(asking) => asking,
        Err(failure) => return unavailable(&failure),
    };
    let keys = Keys::new(asking);
    let moment = Moment {
        wall: now,
        ..Moment::now()
    };
    let received = keys.receive(source, request, now, moment).await;
    received.unwrap_or_else(|problem| unavailable(&problem))
}

impl Verdict {
    fn verified(source: &Source, verified: &Verified) -> Self {
        let what = match verified.binding() {
            crate::event::Binding::Body => "the signature covers the body and matches",
            crate::event::Binding::Partial => "the signature covers some of the body, and matches",
            crate::event::Binding::Origin => "the sender is who it says; nothing covers the body",
            crate::event::Binding::None | crate::event::Binding::Newer(_) => {
                "this source verifies nothing, so anyone could have sent it"
            }
        };
        Self {
            verified: true,
            cause: None,
            explanation: format!("as `{}`: {what}", source.provider().name),
            external_id: verified
                .external_id()
                .map(|it| String::from_utf8_lossy(it).into_owned()),
            event_type: verified.event_type().map(ToOwned::to_owned),
        }
    }

    fn handshake(answer: &Answer) -> Self {
        Self {
            verified: true,
            cause: None,
            explanation: format!(
                "a handshake: gatepost answers {} and stores nothing",
                answer.status
            ),
            external_id: None,
            event_type: None,
        }
    }

    fn rejected(rejection: Rejection) -> Self {
        Self {
            verified: false,
            cause: Some(rejection.code),
            explanation: rejection.explanation,
            external_id: None,
            event_type: None,
        }
    }

    fn to_text(&self) -> String {
        let mut lines = vec![match self.cause {
            None => format!("verified: {}", output::printable(&self.explanation)),
            Some(cause) => format!("not verified: {cause}: {}", output::printable(&self.explanation)),
        }];
        let named = [
            ("external id", &self.external_id),
            ("event type", &self.event_type),
        ];
        for (name, value) in named {
            lines.extend(
                value
                    .as_ref()
                    .map(|it| format!("  {name}: {}", output::printable(it))),
            );
        }
        lines.join("\n")
    }
}

/// The public URL that a scheme may sign, and the path and query as they came.
fn place(args: &Args, configured: Option<Url>) -> Result<(Option<Url>, String)> {
    let Some(text) = &args.url else {
        return Ok((configured, format!("/webhooks/{}", args.source)));
    };
    if text.starts_with('/') {
        return Ok((configured, text.clone()));
    }
    let url = Url::parse(text)
        .ok()
        .filter(|it| matches!(it.scheme(), "http" | "https") && it.has_host())
        .ok_or_else(|| {
            Failure::usage(format_args!("`--url {text}` is not a URL")).hint(
                "expected like https://hooks.example.com/webhooks/twilio, or a path that starts with `/`",
            )
        })?;
    // The target is taken from the text: parsing would re-encode it, and schemes sign what was sent.
    let after_scheme = text.split_once("://").map_or("", |(_, rest)| rest);
    let target = after_scheme
        .find(['/', '?'])
        .map_or("/", |at| &after_scheme[at..]);
    let target = target.split('#').next().unwrap_or("/");
    let target = if target.starts_with('/') {
        target.to_owned()
    } else {
        format!("/{target}")
    };
    let origin = Url::parse(&url.origin().ascii_serialization()).ok();
    Ok((origin, target))
}

fn method(text: &str) -> Result<http::Method> {
    http::Method::from_bytes(text.to_ascii_uppercase().as_bytes())
        .map_err(|_bad| Failure::usage(format_args!("`--method {text}` is not an HTTP method")))
}

/// Header values are bytes, as off the wire.
pub(crate) fn headers(texts: &[OsString]) -> Result<Headers> {
    let pairs = texts.iter().map(|it| header(it)).collect::<Result<Vec<_>>>()?;
    Ok(Headers::from_pairs(
        pairs.iter().map(|(name, value)| (name.as_str(), *value)),
    ))
}

fn header(text: &OsStr) -> Result<(http::HeaderName, &[u8])> {
    let shown = text.to_string_lossy();
    let fault = |what: &str| {
        Failure::usage(format_args!("`--header '{}'` {what}", output::printable(&shown)))
            .hint("expected like --header 'Stripe-Signature: t=1767225600,v1=...'")
    };
    let bytes = text.as_encoded_bytes();
    let colon = bytes
        .iter()
        .position(|it| *it == b':')
        .ok_or_else(|| fault("has no colon"))?;
    let name = http::HeaderName::from_bytes(bytes[..colon].trim_ascii())
        .map_err(|_bad| fault("has a name that HTTP does not allow"))?;
    let value = bytes[colon + 1..].trim_ascii();
    http::HeaderValue::from_bytes(value).map_err(|_bad| fault("has a value that HTTP does not allow"))?;
    Ok((name, value))
}

/// The bytes of a file, or of stdin for `-`.
pub(crate) fn read_body(file: &Path) -> Result<Bytes> {
    let res = if file == Path::new("-") {
        let mut body = Vec::new();
        std::io::Read::read_to_end(&mut std::io::stdin().lock(), &mut body).map(|_| body)
    } else {
        std::fs::read(file)
    };
    res.map(Bytes::from).map_err(|error| {
        let failure = Failure::usage(format_args!(
            "cannot read the body from `{}`: {error}",
            file.display()
        ));
        if error.kind() == std::io::ErrorKind::NotFound {
            failure.hint("`--file` takes the raw body, byte for byte as it arrived; `-` reads it from stdin")
        } else {
            failure
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(url: Option<&str>) -> (Option<String>, String) {
        let args = Args {
            source: "twilio".into(),
            file: "-".into(),
            headers: Vec::new(),
            method: "POST".into(),
            url: url.map(ToOwned::to_owned),
            now: None,
            fetch: false,
            output: TextOutput::Text,
        };
        let configured = Url::parse("https://configured.example").ok();
        let (url, target) = place(&args, configured).unwrap();
        (url.map(|it| it.to_string()), target)
    }

    #[test]
    fn the_target_is_taken_as_it_was_sent() {
        let cases = [
            (None, "https://configured.example/", "/webhooks/twilio"),
            (Some("/a?b=%7e"), "https://configured.example/", "/a?b=%7e"),
            (
                Some("https://h.example/a/../b?c=~#d"),
                "https://h.example/",
                "/a/../b?c=~",
            ),
            (Some("http://h.example:81"), "http://h.example:81/", "/"),
            (Some("http://h.example?x"), "http://h.example/", "/?x"),
        ];
        for (given, url, target) in cases {
            assert_eq!(at(given), (Some(url.to_owned()), target.to_owned()), "{given:?}");
        }
    }

    #[test]
    fn headers_are_split_at_the_first_colon_and_kept_as_bytes() {
        let (name, value) = header(OsStr::new("X-A:  t=1, v=a:b ")).unwrap();
        assert_eq!((name.as_str(), value), ("x-a", &b"t=1, v=a:b"[..]));
        for bad in ["no colon", ": x", "a b: c", "a: \u{1}", "a: b\r\nc: d"] {
            assert!(header(OsStr::new(bad)).is_err(), "{bad:?}");
        }
    }
}
