//! The admin API from a terminal.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, header};
use serde_json::Value;
use url::Url;

use crate::{
    base::secret::Secret,
    cli::{
        Output,
        call::Caller,
        output::{self, Failure, Result, note},
        settings,
    },
    config,
    egress::client::Answer,
};

/// Where the admin API is, and who asks
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct AdminArgs {
    /// The admin API [default: http:// and the config's admin.listen]
    #[arg(
        long,
        visible_alias = "url",
        value_name = "URL",
        env = "GATEPOST_ADMIN_URL",
        help_heading = "Admin API"
    )]
    pub(crate) admin: Option<String>,
    /// A bearer token of the admin API [default: the config's first one]
    #[arg(
        long,
        value_name = "TOKEN",
        env = "GATEPOST_ADMIN_TOKEN",
        hide_env_values = true,
        help_heading = "Admin API"
    )]
    pub(crate) token: Option<String>,
    /// A file with the bearer token, in place of `--token`: it shows in no list of processes
    #[arg(
        long,
        value_name = "FILE",
        env = "GATEPOST_ADMIN_TOKEN_FILE",
        help_heading = "Admin API"
    )]
    pub(crate) token_file: Option<PathBuf>,
}

/// How a list is cut and printed
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct ListArgs {
    /// Rows of one page, at most 200
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=200))]
    pub(crate) limit: u32,
    /// Where the page starts: what the page before called `next`
    #[arg(long)]
    pub(crate) cursor: Option<String>,
    /// How to print it; `json` is what the API said
    #[arg(long, value_enum, default_value = "table")]
    pub(crate) output: Output,
}

impl ListArgs {
    pub(crate) fn query(&self) -> Query {
        let mut query = Query::default();
        query.push("limit", Some(&self.limit.to_string()));
        query.push("cursor", self.cursor.as_deref());
        query
    }
}

/// Query parameters that were given.
#[derive(Debug, Clone, Default)]
pub(crate) struct Query(Vec<(&'static str, String)>);

impl Query {
    pub(crate) fn push(&mut self, name: &'static str, value: Option<&str>) {
        self.0.extend(value.map(|it| (name, it.to_owned())));
    }
}

/// The admin API of one gatepost.
#[derive(Debug)]
pub(crate) struct Client {
    caller: Caller,
    base: Url,
    token: Option<Secret>,
}

/// A JSON answer: read, and as it came.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) value: Value,
    pub(crate) text: String,
}

impl Client {
    /// Flags win; what they leave open comes from the config.
    ///
    /// A config that is faulty on disk must not stop an operator from looking at a gateway that runs on the one before:
    /// then the address is the environment's or the default one. One that is not there was named by mistake.
    pub(crate) fn new(config: Option<&Path>, args: &AdminArgs) -> Result<Self> {
        settings::must_exist(config)?;
        // A variable that is set to nothing counts as not set.
        let is_given = |it: &&String| !it.is_empty();
        let (base, token) = match args.admin.as_ref().filter(is_given) {
            Some(url) => (url.clone(), None),
            None => from_config(config),
        };
        let given = args.token.as_ref().filter(is_given);
        let given = given.map(|it| Secret::new(it.clone().into_bytes()));
        let file = args.token_file.as_ref().filter(|it| !it.as_os_str().is_empty());
        let given = match file {
            None => given,
            Some(path) => Some(token_in(path)?),
        };
        Self::at(&base, given.or(token))
    }

    pub(crate) fn at(base: &str, token: Option<Secret>) -> Result<Self> {
        Ok(Self {
            caller: Caller::new().map_err(Failure::new)?,
            base: base_url(base)?,
            token,
        })
    }

    pub(crate) async fn get(&self, path: &[&str], query: &Query) -> Result<Reply> {
        read(&self.call(Method::GET, path, query, None).await?)
    }

    /// Bytes as they are, not JSON.
    pub(crate) async fn get_bytes(&self, path: &[&str]) -> Result<Bytes> {
        let answer = self.call(Method::GET, path, &Query::default(), None).await?;
        if answer.status.is_success() {
            return Ok(answer.body);
        }
        Err(problem(
            &answer,
            serde_json::from_slice(&answer.body).ok().as_ref(),
        ))
    }

    pub(crate) async fn post(&self, path: &[&str], body: &Value) -> Result<Reply> {
        read(
            &self
                .call(Method::POST, path, &Query::default(), Some(body))
                .await?,
        )
    }

    /// A body of some kind, and the answer where that is a success.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &[&str],
        query: &Query,
        content_type: &'static str,
        body: Bytes,
    ) -> Result<Answer> {
        let answer = self
            .exchange(method, path, query, Some((content_type, body)))
            .await?;
        if answer.status.is_success() {
            return Ok(answer);
        }
        Err(problem(
            &answer,
            serde_json::from_slice(&answer.body).ok().as_ref(),
        ))
    }

    /// The answer whatever its status; a failure only where none came.
    pub(crate) async fn call(
        &self,
        method: Method,
        path: &[&str],
        query: &Query,
        body: Option<&Value>,
    ) -> Result<Answer> {
        let body = body.map(|it| ("application/json", Bytes::from(it.to_string())));
        self.exchange(method, path, query, body).await
    }

    async fn exchange(
        &self,
        method: Method,
        path: &[&str],
        query: &Query,
        body: Option<(&'static str, Bytes)>,
    ) -> Result<Answer> {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        if let Some(token) = &self.token {
            let value = HeaderValue::from_bytes(&[b"Bearer ", token.expose()].concat());
            let mut value = value.map_err(|_bad| {
                Failure::usage("the admin token holds characters that a header cannot carry")
            })?;
            value.set_sensitive(true);
            headers.insert(header::AUTHORIZATION, value);
        }
        let body = body.map_or_else(Bytes::new, |(content_type, body)| {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
            body
        });
        let url = self.url(path, query);
        let sent = self.caller.send(method, &url, headers, body).await;
        sent.map_err(|failure| {
            let shown = self.base.as_str().trim_end_matches('/');
            Failure::new(
                anyhow::Error::new(failure).context(format!("no answer from the admin API at {shown}")),
            )
            .hint("start it with `gatepost serve`, or say where it is with `--admin URL`")
        })
    }

    fn url(&self, path: &[&str], query: &Query) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        if !query.0.is_empty() {
            url.query_pairs_mut().extend_pairs(&query.0);
        }
        url
    }
}

/// The token in a file, without the white space around it.
fn token_in(path: &Path) -> Result<Secret> {
    let named = || format!("cannot read the admin token in {}", path.display());
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::new(anyhow::Error::new(error).context(named())))?;
    let token = text.trim();
    if token.is_empty() {
        return Err(Failure::usage(format_args!("{} is empty", path.display()))
            .hint("expected a bearer token of the admin API in it"));
    }
    Ok(Secret::new(token.as_bytes().to_vec()))
}

/// Where the config's admin side is, and its first token.
fn from_config(file: Option<&Path>) -> (String, Option<Secret>) {
    let inputs = settings::inputs(file);
    match config::load(&inputs) {
        Ok(loaded) => {
            let admin = &loaded.settings.admin;
            let token = admin.tokens.first().map(|it| it.token.clone());
            (format!("http://{}", dialled(admin.listen)), token)
        }
        Err(faults) => {
            let listen = inputs.environment.get("GATEPOST__ADMIN__LISTEN");
            let base = format!("http://{}", listen.map_or("127.0.0.1:8081", String::as_str));
            note(format_args!(
                "warning: the config has {}, so the admin API is looked for at {base}; `gatepost check` shows them",
                settings::count(faults.n_faults, "fault")
            ));
            (base, None)
        }
    }
}

/// An address to dial for one that was bound: a wildcard stands for this machine.
pub(crate) fn dialled(listen: SocketAddr) -> SocketAddr {
    match listen {
        SocketAddr::V4(it) if it.ip().is_unspecified() => ([127, 0, 0, 1], it.port()).into(),
        SocketAddr::V6(it) if it.ip().is_unspecified() => (std::net::Ipv6Addr::LOCALHOST, it.port()).into(),
        it => it,
    }
}

fn base_url(text: &str) -> Result<Url> {
    Url::parse(text)
        .ok()
        .filter(|it| matches!(it.scheme(), "http" | "https") && it.has_host())
        .ok_or_else(|| {
            Failure::usage(format_args!("`{text}` is not the URL of an admin API"))
                .hint("expected like http://127.0.0.1:8081")
        })
}

fn read(answer: &Answer) -> Result<Reply> {
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    let value: Option<Value> = serde_json::from_str(&text).ok();
    if !answer.status.is_success() {
        return Err(problem(answer, value.as_ref()));
    }
    // An answer without a body (204) reads as `null`.
    match value {
        Some(value) => Ok(Reply { value, text }),
        None if text.is_empty() => Ok(Reply {
            value: Value::Null,
            text,
        }),
        None => Err(Failure::text(format_args!(
            "the answer ({}) is not JSON",
            answer.status.as_u16()
        ))
        .hint("is that the admin API? `--admin` takes the admin listener, not the public one")),
    }
}

/// A problem document as an error: its detail, its stable code, and advice where the code calls for some.
fn problem(answer: &Answer, value: Option<&Value>) -> Failure {
    let status = answer.status.as_u16();
    let field = |name: &str| value.and_then(|it| it.get(name)).and_then(Value::as_str);
    let what = field("detail")
        .or_else(|| field("title"))
        .unwrap_or("it gave no reason");
    let code = field("code").map(|it| format!(", `{it}`")).unwrap_or_default();
    let failure = Failure::text(format_args!(
        "the admin API refused ({status}{code}): {}",
        output::printable(what)
    ));
    match status {
        401 => failure.hint("pass a token with `--token` or in GATEPOST_ADMIN_TOKEN"),
        403 => failure.hint("pass the token of a role that may; `gatepost tokens create` makes one, and `admin.tokens` of the config has others"),
        404 if code.is_empty() => {
            failure.hint("is that the admin API? `--admin` takes the admin listener, not the public one")
        }
        _ => failure,
    }
}

/// Prints a list: as the API said it, or as a table that `row` fills; and on stderr how to get the next page.
pub(crate) fn print_list(
    reply: &Reply,
    args: &ListArgs,
    nothing: &str,
    table: impl FnOnce(&[Value]) -> output::Table,
) -> Result<()> {
    if args.output == Output::Json {
        return output::data(&reply.text);
    }
    let rows = reply.value.get("data").and_then(Value::as_array);
    let table = table(rows.map_or(&[], Vec::as_slice));
    if table.is_empty() {
        note(nothing);
    } else {
        output::data(&table)?;
    }
    if let Some(next) = reply.value.get("next").and_then(Value::as_str) {
        note(format_args!("there is more: add `--cursor {next}`"));
    }
    Ok(())
}

/// A field as text: strings as they are, `-` for what is missing.
pub(crate) fn text(row: &Value, field: &str) -> String {
    match row.get(field) {
        None | Some(Value::Null) => "-".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

/// A time field as a distance from now.
pub(crate) fn ago(row: &Value, field: &str) -> String {
    row.get(field)
        .and_then(Value::as_str)
        .map_or_else(|| "-".to_owned(), output::relative)
}

/// `name: value` lines of the given fields, aligned; missing ones are left out.
pub(crate) fn print_fields(value: &Value, fields: &[&str]) -> Result<()> {
    let width = fields.iter().map(|it| it.len()).max().unwrap_or(0) + 1;
    for field in fields {
        if value.get(field).is_some_and(|it| !it.is_null()) {
            let shown = output::printable(&text(value, field));
            output::data(format_args!("{:<width$} {shown}", format!("{field}:")))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_id_stays_one_segment_of_the_path() {
        let client = Client::at("http://127.0.0.1:8081/under", None).unwrap();
        let mut query = Query::default();
        query.push("q", Some("a&b=c"));
        let url = client.url(&["v1", "events", "../../x?y"], &query);
        assert_eq!(
            url.as_str(),
            "http://127.0.0.1:8081/under/v1/events/..%2F..%2Fx%3Fy?q=a%26b%3Dc"
        );
    }

    #[test]
    fn wildcards_are_dialled_as_this_machine() {
        let cases = [
            ("0.0.0.0:1", "127.0.0.1:1"),
            ("[::]:1", "[::1]:1"),
            ("10.0.0.1:1", "10.0.0.1:1"),
        ];
        for (bound, to_dial) in cases {
            assert_eq!(dialled(bound.parse().unwrap()).to_string(), to_dial);
        }
    }

    #[test]
    fn what_is_not_http_is_no_admin_url() {
        for bad in ["", "127.0.0.1:8081", "ftp://x", "http://", "unix:/x"] {
            assert!(base_url(bad).is_err(), "{bad}");
        }
    }
}
