//! Bearer tokens of OAuth 2.0 for what is sent: asked for by way of `egress` at the server that makes them, kept until shortly before
//! their end.
//!
//! However many attempts want a token, one of them asks at a time, and those that waited have its answer, good or bad. A token that
//! was refused (401) is not used again. A server that gives none is a failure of the attempt, and never an answer of the handler.

pub mod grant;

use std::time::{Duration, Instant};

use ::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use bytes::Bytes;
use serde_json::Value;
use tokio::sync::Mutex;

use crate::{
    base::{clock::wall_now, safe_url::SafeUrl, secret::Secret},
    destination::{Fate, Fault, SendError, check::Trust, headers::USER_AGENT, http, oauth2::grant::Grant},
    egress::{
        client::{Answer, Call, Client},
        guard::Reach,
        target::Target,
    },
};

/// What the operator says of it: the grant for clients (RFC 6749, 4.4).
#[derive(Debug, Clone)]
pub struct Settings {
    pub token_url: SafeUrl,
    pub client_id: String,
    pub client_secret: Secret,
    pub scopes: Vec<String>,
    /// For whom the tokens are, where the server wants to know.
    pub audience: Option<String>,
    pub client_auth: ClientAuth,
}

/// How the client shows who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientAuth {
    /// HTTP Basic, which every server has to take.
    Basic,
    /// Two fields of the form.
    Body,
}

/// How long a token is used whose server says nothing of it, and the longest.
const DEFAULT_LIFETIME: Duration = Duration::from_mins(5);
const MAX_LIFETIME: Duration = Duration::from_hours(24);
/// So long before its end it is used no more, or a tenth of its life.
const MARGIN: Duration = Duration::from_secs(30);
const MAX_ANSWER: usize = 64 << 10;
/// As much of a server's words is shown.
const MAX_MESSAGE: usize = 200;

/// The token at hand.
#[derive(Debug)]
pub struct Tokens {
    client: Client,
    target: Target,
    grant: Grant,
    /// Locked while one attempt asks for the next.
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    token: Option<Token>,
    n_tokens: u64,
    /// The last call that gave none, and when it ended.
    failure: Option<(Instant, SendError)>,
}

#[derive(Debug, Clone)]
struct Token {
    /// `Bearer ...`
    value: HeaderValue,
    number: u64,
    fresh_until: Instant,
}

impl Tokens {
    /// `key` is where the URL of the server stands, for faults.
    pub fn new(
        url: &SafeUrl,
        key: &str,
        grant: Grant,
        settings: &crate::destination::Settings,
        trust: Trust,
    ) -> Result<Self, Fault> {
        Ok(Self {
            target: http::target(url, key, Reach::Private)?,
            client: http::client(key, settings, trust, Reach::Private)?,
            grant,
            state: Mutex::default(),
        })
    }

    /// Makes a call with a token, all of it within the call's time. Where the one at hand is refused (401), once more with another.
    pub async fn send(&self, client: &Client, call: Call<'_>) -> Result<Answer, SendError> {
        let deadline = Instant::now() + call.timeout;
        let left = || deadline.saturating_duration_since(Instant::now());
        let (token, is_new) = self.get(None, left()).await?;
        let again = call.clone();
        let answer = send_with(client, call, &token, left()).await?;
        if is_new || answer.status != StatusCode::UNAUTHORIZED {
            return Ok(answer);
        }
        let (token, _) = self.get(Some(token.number), left()).await?;
        send_with(client, again, &token, left()).await
    }

    /// A token, and whether it was asked for just now.
    async fn get(&self, refused: Option<u64>, left: Duration) -> Result<(Token, bool), SendError> {
        let asked_at = Instant::now();
        let getting = async {
            let mut state = self.state.lock().await;
            let is_good = |it: &&Token| Some(it.number) != refused && Instant::now() < it.fresh_until;
            if let Some(token) = state.token.as_ref().filter(is_good) {
                return Ok((token.clone(), false));
            }
            // It was made while this one waited.
            if let Some((_, failure)) = state
                .failure
                .as_ref()
                .filter(|(ended_at, _)| *ended_at >= asked_at)
            {
                return Err(failure.clone());
            }
            let number = state.n_tokens + 1;
            match self.fetch(number, left).await {
                Ok(token) => {
                    state.n_tokens = number;
                    state.token = Some(token.clone());
                    Ok((token, true))
                }
                Err(failure) => {
                    state.failure = Some((Instant::now(), failure.clone()));
                    Err(failure)
                }
            }
        };
        match tokio::time::timeout(left, getting).await {
            Ok(result) => result,
            Err(_) => Err(self.failed("it did not answer in time")),
        }
    }

    async fn fetch(&self, number: u64, timeout: Duration) -> Result<Token, SendError> {
        let request = self.grant.request(wall_now()).map_err(|it| self.failed(&it))?;
        let mut headers = HeaderMap::new();
        headers.insert(header::USER_AGENT, USER_AGENT);
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        let form = HeaderValue::from_static("application/x-www-form-urlencoded");
        headers.insert(header::CONTENT_TYPE, form);
        if let Some(value) = request.authorization {
            headers.insert(header::AUTHORIZATION, value);
        }
        let call = Call {
            method: Method::POST,
            target: &self.target,
            headers,
            body: Bytes::from(request.form),
            timeout,
            max_body: MAX_ANSWER,
        };
        let answer = self.client.send(call).await;
        let answer = answer.map_err(|it| self.failed(&it.explanation))?;
        read(&answer, number).map_err(|it| self.failed(&it))
    }

    fn failed(&self, problem: &str) -> SendError {
        let explanation = format!("no token from `{}`: {problem}", self.target.host());
        SendError::new("oauth2", explanation, Fate::Retriable)
    }
}

async fn send_with(
    client: &Client,
    mut call: Call<'_>,
    token: &Token,
    timeout: Duration,
) -> Result<Answer, SendError> {
    call.headers.insert(header::AUTHORIZATION, token.value.clone());
    call.timeout = timeout;
    client.send(call).await.map_err(http::failed)
}

/// The token of an answer (RFC 6749, 5.1), or what is wrong with it; shows nothing of a token.
fn read(answer: &Answer, number: u64) -> Result<Token, String> {
    let output: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    if answer.status != StatusCode::OK {
        let text = |name: &str| output[name].as_str().unwrap_or_default();
        let words = [text("error"), text("error_description")];
        let words: Vec<_> = words.into_iter().filter(|it| !it.is_empty()).collect();
        let words = words.join(": ").replace(char::is_control, " ");
        let words: String = words.chars().take(MAX_MESSAGE).collect();
        let status = answer.status.as_u16();
        return Err(if words.is_empty() {
            format!("it answered {status}")
        } else {
            format!("it answered {status}, `{words}`")
        });
    }
    let kind = output["token_type"].as_str().unwrap_or("bearer");
    if !kind.eq_ignore_ascii_case("bearer") {
        return Err("what it gave is no bearer token".to_owned());
    }
    let token = output["access_token"].as_str().filter(|it| !it.is_empty());
    let value = token.and_then(|it| HeaderValue::try_from(format!("Bearer {it}")).ok());
    let mut value = value.ok_or("its answer holds no `access_token`")?;
    value.set_sensitive(true);
    let seconds = &output["expires_in"];
    let seconds = seconds.as_u64().or_else(|| seconds.as_str()?.parse().ok());
    let lifetime = seconds
        .map_or(DEFAULT_LIFETIME, Duration::from_secs)
        .min(MAX_LIFETIME);
    Ok(Token {
        value,
        number,
        fresh_until: Instant::now() + lifetime.saturating_sub(MARGIN.min(lifetime / 10)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> Answer {
        Answer {
            status: StatusCode::from_u16(status).unwrap(),
            headers: HeaderMap::new(),
            body: body.to_owned().into(),
            is_cut: false,
        }
    }

    #[test]
    fn a_token_is_used_until_shortly_before_its_end() {
        for (expires_in, seconds) in [
            ("3600", 3570),
            ("\"3600\"", 3570),
            ("100", 90),
            ("0", 0),
            ("null", 270),
            ("99999999999", 86370),
        ] {
            let body =
                format!(r#"{{"access_token":"a.b-c","token_type":"Bearer","expires_in":{expires_in}}}"#);
            let token = read(&answer(200, &body), 1).unwrap();
            let left = token.fresh_until.saturating_duration_since(Instant::now());
            assert!(left <= Duration::from_secs(seconds), "{expires_in}: {left:?}");
            assert!(
                left + Duration::from_secs(5) >= Duration::from_secs(seconds),
                "{expires_in}: {left:?}"
            );
            assert_eq!(token.value, "Bearer a.b-c");
            assert!(!format!("{token:?}").contains("a.b-c"));
        }
    }

    #[test]
    fn what_is_no_token_says_why_and_shows_none() {
        for (status, body, said) in [
            (
                401,
                r#"{"error":"invalid_client","error_description":"no\nsuch"}"#,
                "401, `invalid_client: no such`",
            ),
            (500, "<html>", "it answered 500"),
            (200, "{}", "no `access_token`"),
            (
                200,
                r#"{"access_token":"","token_type":"bearer"}"#,
                "no `access_token`",
            ),
            (
                200,
                "{\"access_token\":\"hunter2\\n\",\"token_type\":\"bearer\"}",
                "no `access_token`",
            ),
            (
                200,
                r#"{"access_token":"hunter2","token_type":"mac"}"#,
                "no bearer token",
            ),
            (302, "", "it answered 302"),
        ] {
            let problem = read(&answer(status, body), 1).unwrap_err();
            assert!(
                problem.contains(said) && !problem.contains("hunter2"),
                "{body}: {problem}"
            );
        }
    }
}
