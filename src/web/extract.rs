//! Reading requests of the admin side, and answering them with JSON: every refusal is a problem of ours.

use std::{str::FromStr, time::Duration};

use axum::{
    extract::{FromRequest, FromRequestParts, RawPathParams, Request},
    response::{IntoResponse, Response},
};
use http::{HeaderValue, StatusCode, header, request::Parts};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{DeserializeOwned, Error},
};
use serde_json::{Map, Value};

use crate::{
    base::{clock::Timestamp, ids::BadId},
    store::query::MAX_LIMIT,
    web::{
        auth::Caller,
        body::{self, BodyFault, Bounds},
        error::Problem,
    },
};

/// What a request body of the admin side may take.
const BOUNDS: Bounds = Bounds {
    limit: 64 * 1024,
    timeout: Duration::from_secs(30),
};
/// Rows of a page where the client does not say.
const DEFAULT_LIMIT: u32 = 50;

/// An answer in JSON.
#[derive(Debug)]
pub(crate) struct Json<T>(pub(crate) T);

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self.0) {
            Ok(body) => {
                let content_type = HeaderValue::from_static("application/json");
                ([(header::CONTENT_TYPE, content_type)], body).into_response()
            }
            Err(err) => {
                tracing::error!(error = %err, "an answer of the admin side cannot be written as JSON");
                Problem::new(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "internal",
                    "gatepost failed; the log says more",
                )
                .into_response()
            }
        }
    }
}

/// The `{id}` of the path.
#[derive(Debug)]
pub(crate) struct Id<T>(pub(crate) T);

impl<S: Send + Sync, T: FromStr<Err = BadId>> FromRequestParts<S> for Id<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let text = path_parameter(parts, state, "id").await?;
        parse_id("id", &text).map(Self)
    }
}

/// The `{name}` of the path.
#[derive(Debug)]
pub(crate) struct Name(pub(crate) String);

impl<S: Send + Sync> FromRequestParts<S> for Name {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        path_parameter(parts, state, "name").await.map(Self)
    }
}

async fn path_parameter<S: Send + Sync>(parts: &mut Parts, state: &S, name: &str) -> Result<String, Problem> {
    let found = RawPathParams::from_request_parts(parts, state)
        .await
        .ok()
        .and_then(|all| {
            let value = all.iter().find(|(it, _)| *it == name)?.1;
            Some(value.to_owned())
        });
    found.ok_or_else(|| {
        Problem::new(
            StatusCode::BAD_REQUEST,
            format!("invalid_{name}"),
            format!("the `{name}` in the path is not UTF-8"),
        )
    })
}

/// An id, or a problem that names the parameter.
pub(crate) fn parse_id<T: FromStr<Err = BadId>>(parameter: &str, text: &str) -> Result<T, Problem> {
    text.parse().map_err(|err: BadId| {
        Problem::new(
            StatusCode::BAD_REQUEST,
            format!("invalid_{parameter}"),
            err.to_string(),
        )
    })
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let caller = parts.extensions.get().cloned();
        caller.ok_or_else(|| Problem::forbidden("this needs a token"))
    }
}

/// The query's parameters. Each is asked for by name; what nobody asked for is refused by `finish`.
#[derive(Debug)]
pub struct Params {
    left: Vec<(String, String)>,
    asked: Vec<&'static str>,
}

impl<S: Send + Sync> FromRequestParts<S> for Params {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Ok(Self::parse(parts.uri.query().unwrap_or_default()))
    }
}

impl Params {
    pub fn parse(query: &str) -> Self {
        let pairs = url::form_urlencoded::parse(query.as_bytes());
        Self {
            left: pairs.into_owned().collect(),
            asked: Vec::new(),
        }
    }

    /// Of a form, whose empty fields say nothing.
    pub(crate) fn parse_form(text: &str) -> Self {
        let mut params = Self::parse(text);
        params.left.retain(|(_, value)| !value.is_empty());
        params
    }

    /// What was not asked for yet.
    pub(crate) fn left(&self) -> &[(String, String)] {
        &self.left
    }

    /// Text; empty counts as absent.
    pub(crate) fn text(&mut self, name: &'static str) -> Result<Option<String>, Problem> {
        Ok(self.given(name)?.filter(|it| !it.is_empty()))
    }

    /// As it was given, once.
    fn given(&mut self, name: &'static str) -> Result<Option<String>, Problem> {
        self.asked.push(name);
        let Some(at) = self.left.iter().position(|(it, _)| it == name) else {
            return Ok(None);
        };
        let (_, value) = self.left.swap_remove(at);
        if let Some((_, second)) = self.left.iter().find(|(it, _)| it == name) {
            return Err(Problem::invalid(name, "given once", second));
        }
        Ok(Some(value))
    }

    /// Where it is given, it says something: an empty one, as a script's unset variable leaves, must not list everything.
    pub(crate) fn parsed<T>(
        &mut self,
        name: &'static str,
        expected: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, Problem> {
        let Some(text) = self.given(name)? else {
            return Ok(None);
        };
        let value = parse(&text).ok_or_else(|| Problem::invalid(name, expected, &text))?;
        Ok(Some(value))
    }

    pub(crate) fn time(&mut self, name: &'static str) -> Result<Option<Timestamp>, Problem> {
        self.parsed(
            name,
            "a time in RFC 3339 (`2026-01-31T12:00:00Z`)",
            Timestamp::parse_rfc3339,
        )
    }

    pub(crate) fn id<T: FromStr<Err = BadId>>(&mut self, name: &'static str) -> Result<Option<T>, Problem> {
        self.given(name)?.map(|text| parse_id(name, &text)).transpose()
    }

    /// All of that name: a form may name a thing many times.
    pub(crate) fn ids<T: FromStr<Err = BadId>>(&mut self, name: &'static str) -> Result<Vec<T>, Problem> {
        self.asked.push(name);
        let all = std::mem::take(&mut self.left).into_iter();
        let (found, left): (Vec<_>, Vec<_>) = all.partition(|(it, _)| it == name);
        self.left = left;
        found.iter().map(|(_, text)| parse_id(name, text)).collect()
    }

    pub(crate) fn limit(&mut self) -> Result<u32, Problem> {
        let limit = self.parsed("limit", "a whole number from 1 to 200", |text| {
            text.parse().ok().filter(|it| (1..=MAX_LIMIT).contains(it))
        })?;
        Ok(limit.unwrap_or(DEFAULT_LIMIT))
    }

    /// Refuses what nobody asked for: a mistyped filter must not list everything.
    pub(crate) fn finish(self) -> Result<(), Problem> {
        let Some((name, _)) = self.left.first() else {
            return Ok(());
        };
        Err(Problem::new(
            StatusCode::BAD_REQUEST,
            "unknown_parameter",
            format!(
                "there is no parameter `{}` here; expected one of: {}",
                crate::web::error::shortened(name),
                self.asked.join(", ")
            ),
        ))
    }
}

/// A form of one of our own pages.
#[derive(Debug)]
pub(crate) struct Form(pub(crate) Params);

impl<S: Send + Sync> FromRequest<S> for Form {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let (head, body) = request.into_parts();
        let length = http_body::Body::size_hint(&body).exact();
        let whole = body::read(body, length, BOUNDS, |_| Some(()))
            .await
            .map_err(fault)?;
        let content_type = head.headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
        if !content_type.is_some_and(|it| is_media_type(it, b"application/x-www-form-urlencoded")) {
            return Err(Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported_media_type",
                "a form here has the content-type `application/x-www-form-urlencoded`",
            ));
        }
        let text = std::str::from_utf8(&whole.bytes).map_err(|err| {
            Problem::new(
                StatusCode::BAD_REQUEST,
                "invalid_body",
                format!("the form is not UTF-8: {err}"),
            )
        })?;
        Ok(Self(Params::parse_form(text)))
    }
}

/// A JSON body. Where there is none, it reads as `{}`.
#[derive(Debug)]
pub(crate) struct Input<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Input<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let (head, body) = request.into_parts();
        let length = http_body::Body::size_hint(&body).exact();
        let whole = body::read(body, length, BOUNDS, |_| Some(()))
            .await
            .map_err(fault)?;
        if whole.bytes.is_empty() {
            return read_json(b"{}").map(Self);
        }
        let content_type = head.headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
        if !content_type.is_some_and(|it| is_media_type(it, b"application/json")) {
            return Err(Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported_media_type",
                "a body here has the content-type `application/json`",
            ));
        }
        read_json(&whole.bytes).map(Self)
    }
}

fn read_json<T: DeserializeOwned>(text: &[u8]) -> Result<T, Problem> {
    // serde would read a list as the fields in their order, and a field that is not there would go unseen.
    if text.trim_ascii_start().first() == Some(&b'[') {
        return Err(Problem::invalid("body", "an object", "a list"));
    }
    serde_json::from_slice(text).map_err(|err| {
        Problem::new(
            StatusCode::BAD_REQUEST,
            "invalid_body",
            format!("the body is not what is expected here: {err}"),
        )
    })
}

/// For a field that is an object of its own: see `read_json`.
pub(crate) fn object<'de, D: Deserializer<'de>, T: DeserializeOwned>(deserializer: D) -> Result<T, D::Error> {
    let members = Map::<String, Value>::deserialize(deserializer)?;
    T::deserialize(Value::Object(members)).map_err(D::Error::custom)
}

fn is_media_type(content_type: &[u8], wanted: &[u8]) -> bool {
    let media_type = content_type.split(|c| *c == b';').next().unwrap_or_default();
    media_type.trim_ascii().eq_ignore_ascii_case(wanted)
}

fn fault(fault: BodyFault) -> Problem {
    match fault {
        BodyFault::TooLarge => Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "body_too_large",
            "a body here has at most 64 KiB",
        ),
        BodyFault::TooSlow => Problem::new(
            StatusCode::REQUEST_TIMEOUT,
            "body_too_slow",
            "the body came too slowly",
        ),
        BodyFault::NoRoom | BodyFault::Broken => {
            Problem::new(StatusCode::BAD_REQUEST, "body_broken", "the body did not end")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::ids::EventId;

    fn refused(query: &str) -> Problem {
        let mut params = Params::parse(query);
        let mut read = || -> Result<(), Problem> {
            params.text("source")?;
            params.time("after")?;
            params.limit()?;
            params.id::<EventId>("cursor")?;
            Ok(())
        };
        match read() {
            Ok(()) => params.finish().unwrap_err(),
            Err(problem) => problem,
        }
    }

    #[test]
    fn each_bad_parameter_is_named_with_what_was_expected() {
        let check = |query, code, detail| {
            let problem = refused(query);
            assert_eq!(problem.code, code, "{query}");
            assert!(problem.detail.contains(detail), "{query}: {}", problem.detail);
            assert_eq!(problem.status, 400);
        };
        check("limit=0", "invalid_limit", "from 1 to 200, but `0`");
        check("limit=201", "invalid_limit", "`201`");
        check("limit=-1", "invalid_limit", "`-1`");
        check("limit=99999999999999999999", "invalid_limit", "`99999");
        check("limit=1&limit=2", "invalid_limit", "given once");
        check("after=yesterday", "invalid_after", "RFC 3339");
        check("cursor=dlv_00000000000000000000000000", "invalid_cursor", "evt_");
        check("cursor=%00%1b[31m", "invalid_cursor", "evt_");
        check("cursor=", "invalid_cursor", "evt_");
        check("limit=", "invalid_limit", "but `` was given");
        check("after=", "invalid_after", "RFC 3339");
        check(
            "sorce=a",
            "unknown_parameter",
            "`sorce` here; expected one of: source",
        );
    }

    #[derive(Debug, Deserialize, PartialEq)]
    struct Outer {
        #[serde(default, deserialize_with = "object")]
        inner: Inner,
    }

    #[derive(Debug, Default, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        name: Option<String>,
    }

    #[test]
    fn a_list_is_no_object() {
        let read = |text: &str| read_json::<Outer>(text.as_bytes());
        let inner = |name: Option<&str>| Outer {
            inner: Inner {
                name: name.map(str::to_owned),
            },
        };
        assert_eq!(read("{}").unwrap(), inner(None));
        assert_eq!(read(r#" {"inner":{"name":"a"}}"#).unwrap(), inner(Some("a")));
        for (text, part) in [
            (r#" [{"name":"a"}]"#, "`body` is an object, but `a list`"),
            (r#"{"inner":["a"]}"#, "expected a map"),
            (r#"{"inner":null}"#, "expected a map"),
            (r#"{"inner":{"nome":"a"}}"#, "unknown field `nome`"),
        ] {
            let problem = read(text).unwrap_err();
            assert_eq!(
                (problem.status, &*problem.code),
                (StatusCode::BAD_REQUEST, "invalid_body")
            );
            assert!(problem.detail.contains(part), "{text}: {}", problem.detail);
        }
    }

    #[test]
    fn empty_texts_and_empty_fields_are_absent() {
        let mut params = Params::parse("source=");
        assert_eq!(params.text("source").unwrap(), None);
        params.finish().unwrap();
        let mut params = Params::parse_form("source=&limit=");
        assert_eq!(params.text("source").unwrap(), None);
        assert_eq!(params.limit().unwrap(), DEFAULT_LIMIT);
        params.finish().unwrap();
    }
}
