//! What is shown to get a token: a client's secret, or what the key of a service account signed.

use std::fmt;

use ::http::HeaderValue;
use aws_lc_rs::{
    rand::SystemRandom,
    signature::{RSA_PKCS1_SHA256, RsaKeyPair},
};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use serde_json::{Value, json};
use url::{Url, form_urlencoded};

use crate::{
    base::{clock::Timestamp, secret::Secret},
    destination::oauth2::{ClientAuth, Settings},
    egress::pem,
};

/// How a token is asked for.
#[derive(Debug)]
pub enum Grant {
    /// RFC 6749, 4.4.
    Client(Settings),
    /// RFC 7523, as Google has it.
    Account(Account),
}

/// One request for a token.
#[derive(Debug)]
pub struct Request {
    pub authorization: Option<HeaderValue>,
    pub form: String,
}

/// The key of a service account.
pub struct Account {
    email: String,
    key_id: Option<String>,
    key: RsaKeyPair,
    /// Where its tokens are made.
    pub token_url: Url,
    scope: &'static str,
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Account({})", self.email)
    }
}

impl Grant {
    /// The problem is a sentence for an operator.
    pub fn request(&self, now: Timestamp) -> Result<Request, String> {
        match self {
            Self::Client(settings) => client(settings),
            Self::Account(account) => account.request(now),
        }
    }
}

fn client(settings: &Settings) -> Result<Request, String> {
    let secret = settings.client_secret.expose();
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("grant_type", "client_credentials");
    if !settings.scopes.is_empty() {
        form.append_pair("scope", &settings.scopes.join(" "));
    }
    if let Some(audience) = &settings.audience {
        form.append_pair("audience", audience);
    }
    let authorization = match settings.client_auth {
        ClientAuth::Basic => {
            // Both are written as in a form first (RFC 6749, 2.3.1).
            let written = |it: &[u8]| form_urlencoded::byte_serialize(it).collect::<String>();
            let pair = format!("{}:{}", written(settings.client_id.as_bytes()), written(secret));
            let value = HeaderValue::try_from(format!("Basic {}", STANDARD.encode(pair)));
            let mut value = value.map_err(|_bad| "its client cannot be named in a header".to_owned())?;
            value.set_sensitive(true);
            Some(value)
        }
        ClientAuth::Body => {
            let secret = settings.client_secret.expose_str();
            let secret = secret.ok_or("the client's secret is no text")?;
            form.append_pair("client_id", &settings.client_id);
            form.append_pair("client_secret", secret);
            None
        }
    };
    Ok(Request {
        authorization,
        form: form.finish(),
    })
}

/// As long as Google lets one live.
const LIFETIME_S: i64 = 3600;

impl Account {
    /// Reads the file that Google gives for a key. The problem is a clause, and shows nothing of it.
    pub fn read(json: &Secret, scope: &'static str) -> Result<Self, String> {
        let file: Value = serde_json::from_slice(json.expose()).map_err(|_bad| "it is no JSON".to_owned())?;
        let text = |name: &str| {
            let text = file[name].as_str().filter(|it| !it.is_empty());
            text.ok_or_else(|| format!("it has no `{name}`"))
        };
        if text("type")? != "service_account" {
            return Err("its `type` is not `service_account`".to_owned());
        }
        let key = pem::private_key(text("private_key")?.as_bytes()).map_err(|it| it.to_string())?;
        let key = RsaKeyPair::from_pkcs8(key.expose());
        let token_url = text("token_uri")?.parse();
        Ok(Self {
            email: text("client_email")?.to_owned(),
            key_id: file["private_key_id"].as_str().map(str::to_owned),
            key: key.map_err(|_bad| "its `private_key` is no RSA key".to_owned())?,
            token_url: token_url.map_err(|_bad| "its `token_uri` is no URL".to_owned())?,
            scope,
        })
    }

    fn request(&self, now: Timestamp) -> Result<Request, String> {
        let assertion = self.assertion(now)?;
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer")
            .append_pair("assertion", &assertion)
            .finish();
        Ok(Request {
            authorization: None,
            form,
        })
    }

    /// A signed token in which the account asks for one (RS256).
    fn assertion(&self, now: Timestamp) -> Result<String, String> {
        let now = now.as_unix_seconds();
        let header = json!({ "alg": "RS256", "typ": "JWT", "kid": self.key_id });
        let claims = json!({
            "iss": self.email,
            "scope": self.scope,
            "aud": self.token_url.as_str(),
            "iat": now,
            "exp": now + LIFETIME_S,
        });
        let part = |it: Value| URL_SAFE_NO_PAD.encode(it.to_string());
        let signed = format!("{}.{}", part(header), part(claims));
        let mut signature = vec![0; self.key.public_modulus_len()];
        let random = SystemRandom::new();
        let done = self
            .key
            .sign(&RSA_PKCS1_SHA256, &random, signed.as_bytes(), &mut signature);
        done.map_err(|_bad| "its key cannot sign".to_owned())?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};

    use super::*;

    /// A key of the tests, known to everybody.
    const KEY: &str = include_str!("../../../tests/vectors/rsa-2048.pem");

    fn file(change: impl FnOnce(&mut Value)) -> Secret {
        let mut file = json!({
            "type": "service_account",
            "client_email": "gatepost@project.iam.gserviceaccount.com",
            "private_key": KEY,
            "private_key_id": "k1",
            "token_uri": "https://oauth2.googleapis.com/token",
        });
        change(&mut file);
        Secret::new(file.to_string())
    }

    fn settings(client_auth: ClientAuth) -> Settings {
        Settings {
            token_url: crate::base::safe_url::SafeUrl::new("https://auth.example.com/token".parse().unwrap()),
            client_id: "gate post".to_owned(),
            client_secret: Secret::new(*b"a:b+c"),
            scopes: vec!["a".to_owned(), "b".to_owned()],
            audience: Some("https://api.example.com".to_owned()),
            client_auth,
        }
    }

    #[test]
    fn a_client_shows_its_secret_in_either_way() {
        let basic = client(&settings(ClientAuth::Basic)).unwrap();
        let expected = format!("Basic {}", STANDARD.encode("gate+post:a%3Ab%2Bc"));
        assert_eq!(basic.authorization.unwrap(), *expected);
        let asked = "grant_type=client_credentials&scope=a+b&audience=https%3A%2F%2Fapi.example.com";
        assert_eq!(basic.form, asked);
        let body = client(&settings(ClientAuth::Body)).unwrap();
        assert!(body.authorization.is_none());
        assert_eq!(
            body.form,
            format!("{asked}&client_id=gate+post&client_secret=a%3Ab%2Bc")
        );
    }

    #[test]
    fn an_account_signs_what_it_asks_for() {
        let account = Account::read(&file(|_| ()), "scope").unwrap();
        let assertion = account
            .assertion(Timestamp::from_unix_seconds(1_700_000_000))
            .unwrap();
        let (signed, signature) = assertion.rsplit_once('.').unwrap();
        let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, account.key.public_key());
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        public.verify(signed.as_bytes(), &signature).unwrap();
        let claims = URL_SAFE_NO_PAD.decode(signed.split('.').nth(1).unwrap()).unwrap();
        let claims: Value = serde_json::from_slice(&claims).unwrap();
        assert_eq!(claims["aud"], "https://oauth2.googleapis.com/token");
        assert_eq!(
            (&claims["iat"], &claims["exp"]),
            (&1_700_000_000.into(), &1_700_003_600.into())
        );
    }

    #[test]
    fn a_file_that_is_no_key_says_what_is_missing_and_shows_nothing() {
        let problem = |secret: &Secret| Account::read(secret, "scope").unwrap_err();
        assert_eq!(problem(&Secret::new(*b"hunter2")), "it is no JSON");
        let without = |name: &str| file(|it| it[name] = Value::Null);
        assert_eq!(problem(&without("client_email")), "it has no `client_email`");
        assert_eq!(
            problem(&file(|it| it["type"] = "authorized_user".into())),
            "its `type` is not `service_account`"
        );
        let bad = problem(&file(|it| it["private_key"] = "hunter2".into()));
        assert!(bad.contains("PEM") && !bad.contains("hunter2"), "{bad}");
    }
}
