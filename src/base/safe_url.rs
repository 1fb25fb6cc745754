//! A URL whose printed form hides its credentials and query.

use std::fmt;

use url::Url;

/// A URL that may carry a password or a token; printing shows neither.
#[derive(Clone, PartialEq, Eq)]
pub struct SafeUrl(Url);

impl SafeUrl {
    pub const fn new(url: Url) -> Self {
        Self(url)
    }

    /// The whole URL, credentials included: for the client that dials it, never for a log.
    pub const fn expose(&self) -> &Url {
        &self.0
    }
}

impl fmt::Display for SafeUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = self.0.clone();
        if !shown.username().is_empty() || shown.password().is_some() {
            // Neither call fails on a URL that has credentials already.
            let _ = shown.set_username("...");
            let _ = shown.set_password(None);
        }
        if shown.query().is_some() {
            shown.set_query(Some("..."));
        }
        fmt::Display::fmt(&shown, f)
    }
}

impl fmt::Debug for SafeUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_and_query_stay_hidden() {
        let url = SafeUrl::new("https://user:hunter2@host/path?token=hunter2".parse().unwrap());
        assert!(!format!("{url} {url:?}").contains("hunter2"), "{url}");
        assert!(url.to_string().contains("host/path"));
    }
}
