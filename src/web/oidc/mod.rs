//! Single sign-on: a browser logs in at an OpenID provider (authorization code with PKCE) and gets a session as with a token.
//!
//! `flow` is what ties the way out to the way back, `issuer` asks the provider, `claims` judges what it says; `routes` are the two
//! ends in the browser. The session's role is what the person's groups gave at the login; it ends with the rules that gave it.

mod claims;
mod flow;
mod issuer;
pub(crate) mod routes;

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};
use url::Url;

use crate::{
    base::secret::Secret,
    egress::error::Failure,
    web::{Role, oidc::issuer::Issuer},
};

/// What the names of people begin with, who log in this way: no token's name does.
pub(crate) const PREFIX: &str = "oidc:";

/// What the operator says of a provider.
#[derive(Debug, Clone)]
pub struct Settings {
    /// As it calls itself, letter by letter.
    pub issuer: String,
    pub client_id: String,
    pub client_secret: Secret,
    /// How browsers reach the admin side.
    pub public_url: Url,
    pub scopes: Vec<String>,
    /// The claim that names a person: by its name, or by a JSON pointer.
    pub name_claim: String,
    /// The claim with the groups, likewise.
    pub groups_claim: String,
    /// A role and the groups that have it. `*` is everybody.
    pub roles: Vec<(Role, Vec<String>)>,
}

impl Settings {
    /// Where the provider sends browsers back to.
    pub(crate) fn redirect_uri(&self) -> String {
        let base = self.public_url.as_str().trim_end_matches('/');
        format!("{base}{}", routes::CALLBACK)
    }

    pub(crate) fn is_https(&self) -> bool {
        self.public_url.scheme() == "https"
    }

    /// The same only for the same rules: a session that was opened by others is over.
    pub fn fingerprint(&self) -> [u8; 32] {
        let Self {
            issuer,
            client_id,
            name_claim,
            groups_claim,
            roles,
            ..
        } = self;
        let mut text = String::new();
        // Writing into a string does not fail; `{:?}` keeps apart what stands beside each other.
        let _ = write!(
            text,
            "{issuer:?} {client_id:?} {name_claim:?} {groups_claim:?} {roles:?}"
        );
        Sha256::digest(text).into()
    }
}

/// Asks the provider what it says of itself, and for its keys: what a login needs of it, within seconds. How many keys there are, or why
/// a login would fail.
pub async fn examine(settings: &Settings) -> Result<usize, String> {
    let issuer = Issuer::new(settings).map_err(|it| it.explanation)?;
    issuer.n_keys().await.map_err(|it| it.to_string())
}

/// A provider to sign on with.
#[derive(Debug)]
pub(crate) struct SignOn {
    settings: Settings,
    issuer: Issuer,
}

impl SignOn {
    pub(crate) fn new(settings: &Settings) -> Result<Self, Failure> {
        Ok(Self {
            settings: settings.clone(),
            issuer: Issuer::new(settings)?,
        })
    }
}

#[cfg(test)]
fn settings() -> Settings {
    Settings {
        issuer: "https://login.example.com".to_owned(),
        client_id: "gatepost".to_owned(),
        client_secret: Secret::new("s3cret of the client"),
        public_url: "https://gatepost.example.com/".parse().expect("a URL"),
        scopes: vec!["openid".to_owned(), "email".to_owned()],
        name_claim: "email".to_owned(),
        groups_claim: "groups".to_owned(),
        roles: vec![
            (Role::Viewer, vec!["support".to_owned()]),
            (Role::Operator, vec!["on-call".to_owned()]),
            (Role::Admin, vec!["platform".to_owned()]),
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_rules_have_another_fingerprint() {
        let first = settings();
        assert_eq!(first.fingerprint(), settings().fingerprint());
        let changes: [fn(&mut Settings); 4] = [
            |it| it.roles[0].1.push("everybody".to_owned()),
            |it| it.roles[0].0 = Role::Admin,
            |it| it.issuer.push('/'),
            |it| it.groups_claim = "teams".to_owned(),
        ];
        for change in changes {
            let mut other = settings();
            change(&mut other);
            assert_ne!(first.fingerprint(), other.fingerprint(), "{other:?}");
        }
        assert_eq!(
            first.redirect_uri(),
            "https://gatepost.example.com/login/oidc/callback"
        );
    }
}
