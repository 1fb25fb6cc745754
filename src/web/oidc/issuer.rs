//! The provider itself: what it says of itself and its keys, fetched when somebody logs in and kept for a while, and the exchange of a code
//! for a token.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;
use tokio::sync::Mutex;
use url::{Url, form_urlencoded};

use crate::{
    egress::{
        client::{self, Answer, Call, Client},
        error::Failure,
        guard::Reach,
        target::Target,
    },
    provider::id_token::{self, BadToken},
    web::oidc::{Settings, claims::Claims},
};

const TIMEOUT: Duration = Duration::from_secs(8);
/// Documents, sets of keys and tokens are some KiB.
const MAX_ANSWER: usize = 256 << 10;
/// How long what it says of itself is believed.
const KEPT_FOR: Duration = Duration::from_hours(1);
/// Strangers can begin logins: it is not asked more often for what it did not have.
const ASK_EVERY: Duration = Duration::from_secs(5);

/// Why the provider gave nothing of use: a sentence for the operator.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub(super) struct NoAnswer(String);

/// What it says of itself (OpenID Connect Discovery 1.0).
#[derive(Debug, Deserialize)]
struct Document {
    issuer: String,
    authorization_endpoint: Url,
    token_endpoint: Url,
    jwks_uri: Url,
    #[serde(default)]
    token_endpoint_auth_methods_supported: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Tokens {
    id_token: String,
}

#[derive(Debug)]
pub(super) struct Issuer {
    settings: Settings,
    client: Client,
    /// Held while the provider answers: who asks meanwhile shares the answer.
    document: Mutex<Kept<Document>>,
    keys: Mutex<Kept<Value>>,
}

/// What was fetched, and when it was asked for last.
#[derive(Debug)]
struct Kept<T> {
    asked_at: Option<Instant>,
    found: Result<Arc<T>, NoAnswer>,
}

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self {
            asked_at: None,
            found: Err(NoAnswer("it was not asked yet".to_owned())),
        }
    }
}

impl<T> Kept<T> {
    /// Whether to ask again. `is_unfit`: what there is does not do.
    fn is_due(&self, is_unfit: bool) -> bool {
        let patience = if self.found.is_err() || is_unfit {
            ASK_EVERY
        } else {
            KEPT_FOR
        };
        self.asked_at.is_none_or(|it| it.elapsed() >= patience)
    }

    fn put(&mut self, found: Result<T, NoAnswer>) {
        self.asked_at = Some(Instant::now());
        // What was good an hour ago is better than nothing.
        if found.is_ok() || self.found.is_err() {
            self.found = found.map(Arc::new);
        }
    }
}

impl Issuer {
    pub(super) fn new(settings: &Settings) -> Result<Self, Failure> {
        Ok(Self {
            client: Client::new(&client::Settings {
                connect_timeout: TIMEOUT / 2,
                // The config names it, as it names handlers: it is often on the same network.
                reach: Reach::Private,
                max_idle: 1,
                extra_roots: Vec::new(),
                identity: None,
                proxy: None,
            })?,
            settings: settings.clone(),
            document: Mutex::default(),
            keys: Mutex::default(),
        })
    }

    /// How many keys it signs with; an error where it has none.
    pub(super) async fn n_keys(&self) -> Result<usize, NoAnswer> {
        let keys = self.keys(&*self.document().await?, false).await?;
        match keys["keys"].as_array().map_or(0, Vec::len) {
            0 => Err(NoAnswer("its set of keys is empty".to_owned())),
            n_keys => Ok(n_keys),
        }
    }

    /// Where a browser logs in.
    pub(super) async fn login_url(&self, state: &str, nonce: &str, challenge: &str) -> Result<Url, NoAnswer> {
        let mut url = self.document().await?.authorization_endpoint.clone();
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", &self.settings.client_id)
            .append_pair("redirect_uri", &self.settings.redirect_uri())
            .append_pair("scope", &self.settings.scopes.join(" "))
            .append_pair("state", state)
            .append_pair("nonce", nonce)
            .append_pair("code_challenge", challenge)
            .append_pair("code_challenge_method", "S256");
        Ok(url)
    }

    /// The ID token for a code. What it claims is not judged here.
    pub(super) async fn exchange(&self, code: &str, verifier: &str) -> Result<Claims, NoAnswer> {
        let document = self.document().await?;
        let (headers, form) = self.request(&document, code, verifier)?;
        let target = target(&document.token_endpoint)?;
        let answer = self.call(Method::POST, &target, headers, form.into()).await?;
        let Tokens { id_token } = read(&answer, "token endpoint")?;
        let mut claims = id_token::claims(&id_token, &*self.keys(&document, false).await?);
        if claims == Err(BadToken::NoKey) {
            // It may have been made since.
            claims = id_token::claims(&id_token, &*self.keys(&document, true).await?);
        }
        claims.map_err(|bad| NoAnswer(format!("its ID token is not believed: {bad}")))
    }

    fn request(
        &self,
        document: &Document,
        code: &str,
        verifier: &str,
    ) -> Result<(HeaderMap, String), NoAnswer> {
        let settings = &self.settings;
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", "authorization_code")
            .append_pair("code", code)
            .append_pair("redirect_uri", &settings.redirect_uri())
            .append_pair("code_verifier", verifier);
        let mut headers = HeaderMap::new();
        let methods = &document.token_endpoint_auth_methods_supported;
        let has = |wanted: &str| methods.iter().any(|it| it == wanted);
        if !has("client_secret_basic") && has("client_secret_post") {
            let secret = settings.client_secret.expose_str();
            let secret = secret.ok_or_else(|| NoAnswer("the client's secret is no text".to_owned()))?;
            form.append_pair("client_id", &settings.client_id)
                .append_pair("client_secret", secret);
        } else {
            // Both are written as in a form first (RFC 6749, 2.3.1).
            let written = |it: &[u8]| form_urlencoded::byte_serialize(it).collect::<String>();
            let secret = written(settings.client_secret.expose());
            let pair = format!("{}:{secret}", written(settings.client_id.as_bytes()));
            let value = HeaderValue::try_from(format!("Basic {}", STANDARD.encode(pair)));
            let mut value = value.expect("base64 is ASCII");
            value.set_sensitive(true);
            headers.insert(header::AUTHORIZATION, value);
        }
        let content_type = HeaderValue::from_static("application/x-www-form-urlencoded");
        headers.insert(header::CONTENT_TYPE, content_type);
        Ok((headers, form.finish()))
    }

    async fn document(&self) -> Result<Arc<Document>, NoAnswer> {
        let mut kept = self.document.lock().await;
        if kept.is_due(false) {
            let found = self.fetch_document().await;
            kept.put(found);
        }
        kept.found.clone()
    }

    async fn fetch_document(&self) -> Result<Document, NoAnswer> {
        let issuer = &self.settings.issuer;
        let url = format!(
            "{}/.well-known/openid-configuration",
            issuer.trim_end_matches('/')
        );
        let url: Url = url
            .parse()
            .map_err(|_bad| NoAnswer("`issuer` is no URL".to_owned()))?;
        let document: Document = self.get(&url, "configuration").await?;
        if document.issuer != *issuer {
            return Err(NoAnswer(format!(
                "it calls itself `{}`, and `admin.oidc.issuer` calls it `{issuer}`",
                document.issuer.escape_debug()
            )));
        }
        let ends = [
            &document.authorization_endpoint,
            &document.token_endpoint,
            &document.jwks_uri,
        ];
        // Whoever is spoken to over TLS must not send us, or a browser, on without it.
        let is_safe = |it: &&Url| it.scheme() == "https" || (it.scheme() == "http" && url.scheme() == "http");
        if !ends.iter().all(is_safe) {
            return Err(NoAnswer("it names a URL that is not `https`".to_owned()));
        }
        Ok(document)
    }

    async fn keys(&self, document: &Document, is_unfit: bool) -> Result<Arc<Value>, NoAnswer> {
        let mut kept = self.keys.lock().await;
        if kept.is_due(is_unfit) {
            let found = self.get(&document.jwks_uri, "set of keys").await;
            kept.put(found);
        }
        kept.found.clone()
    }

    async fn get<T: DeserializeOwned>(&self, url: &Url, what: &str) -> Result<T, NoAnswer> {
        let answer = self
            .call(Method::GET, &target(url)?, HeaderMap::new(), Bytes::new())
            .await?;
        read(&answer, what)
    }

    async fn call(
        &self,
        method: Method,
        target: &Target,
        mut headers: HeaderMap,
        body: Bytes,
    ) -> Result<Answer, NoAnswer> {
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        let call = Call {
            method,
            target,
            headers,
            body,
            timeout: TIMEOUT,
            max_body: MAX_ANSWER,
        };
        self.client
            .send(call)
            .await
            .map_err(|failure| NoAnswer(failure.explanation))
    }
}

fn target(url: &Url) -> Result<Target, NoAnswer> {
    Target::new(url, Reach::Private).map_err(|failure| NoAnswer(failure.explanation))
}

/// JSON, or what came instead. An error's own code (`invalid_grant`) is shown, and nothing else of the answer.
fn read<T: DeserializeOwned>(answer: &Answer, what: &str) -> Result<T, NoAnswer> {
    if answer.status == StatusCode::OK && !answer.is_cut {
        let read = serde_json::from_slice(&answer.body);
        return read.map_err(|_bad| NoAnswer(format!("its {what} is not what OpenID Connect wants")));
    }
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let is_code = |it: &&str| it.len() <= 64 && it.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_');
    let code = body["error"].as_str().filter(is_code);
    let said = code.map(|it| format!(" (`{it}`)")).unwrap_or_default();
    Err(NoAnswer(format!(
        "its {what} answered {}{said}",
        answer.status.as_u16()
    )))
}
