//! The faults of a destination's settings, all at once.

use std::time::Duration;

use ::http::{HeaderName, HeaderValue};

use crate::{
    base::secret::Secret,
    destination::{
        Fault, Kind, Settings,
        headers::{Outbound, may_be_configured},
        retry::Retry,
        signing::{BadSecret, Signer},
    },
    egress::{
        pem::{self, BadPem, Identity},
        tls,
    },
};

/// So many signatures fit into a header that every server takes.
const MAX_SECRETS: usize = 10;

/// What the settings come to, whatever the kind.
#[derive(Debug)]
pub struct Parts {
    pub outbound: Outbound,
    pub trust: Trust,
}

/// Whom its TLS trusts, and what it shows.
#[derive(Debug)]
pub struct Trust {
    /// Certificates (DER) that are trusted besides the system's.
    pub extra_roots: Vec<Vec<u8>>,
    pub identity: Option<Identity>,
}

/// What every kind of destination has, and the faults of all that is not of one kind alone.
pub fn common(settings: &Settings) -> (Parts, Vec<Fault>) {
    let mut faults = Vec::new();
    check_numbers(settings, &mut faults);
    check_statuses(settings, &mut faults);
    let signers = check_secrets(settings, &mut faults);
    let trust = check_tls(settings, &mut faults);
    let keys = [
        ("signing_secret", settings.signing_secret.is_some()),
        ("signing_secrets", !settings.signing_secrets.is_empty()),
    ];
    for (key, _) in keys.into_iter().filter(|it| it.1 && !settings.kind.has_headers()) {
        let problem = format!(
            "a destination of kind `{}` checks no signature",
            settings.kind.name()
        );
        faults.push(Fault::new(key, problem, "remove it"));
    }
    if settings.oauth2.is_some() && !matches!(settings.kind, Kind::Http(_)) {
        let problem = format!(
            "a destination of kind `{}` is shown no token of this sort",
            settings.kind.name()
        );
        faults.push(Fault::new("oauth2", problem, "remove it"));
    }
    if settings.proxy.is_some() && settings.kind.scheme().is_none() {
        let problem = format!(
            "a destination of kind `{}` is not reached by HTTP",
            settings.kind.name()
        );
        faults.push(Fault::new("proxy", problem, "remove it"));
    }
    let configured = check_headers(&settings.headers, &mut faults);
    let parts = Parts {
        outbound: Outbound::new(configured, signers),
        trust,
    };
    (parts, faults)
}

/// Rules by status need statuses.
fn check_statuses(settings: &Settings, faults: &mut Vec<Fault>) {
    let Retry { on, never, .. } = &settings.retry;
    let keys = [("retry.on", on.is_some()), ("retry.never", !never.is_empty())];
    for (key, _) in keys
        .into_iter()
        .filter(|it| it.1 && !settings.kind.has_statuses())
    {
        let problem = format!(
            "it names HTTP statuses, and a destination of kind `{}` answers none",
            settings.kind.name()
        );
        faults.push(Fault::new(key, problem, "remove it"));
    }
}

fn check_numbers(settings: &Settings, faults: &mut Vec<Fault>) {
    let retry = &settings.retry;
    let durations = [
        ("timeout", settings.timeout),
        ("retry.first", retry.first),
        ("retry.cap", retry.cap),
        ("retry.max_age", retry.max_age),
    ];
    for (key, duration) in durations {
        if duration == Duration::ZERO {
            faults.push(Fault::new(key, "it is zero", "give a time such as `30s`"));
        }
    }
    let counts = [
        ("concurrency", settings.concurrency),
        ("rate", settings.rate.unwrap_or(1)),
        ("retry.max_attempts", retry.max_attempts),
    ];
    for (key, count) in counts {
        if count == 0 {
            let hint = "to stop deliveries for a while, pause the destination";
            faults.push(Fault::new(key, "it is zero, at least 1 is needed", hint));
        }
    }
    if retry.cap < retry.first {
        let problem = format!(
            "it is {:?}, less than `retry.first` ({:?})",
            retry.cap, retry.first
        );
        faults.push(Fault::new(
            "retry.cap",
            problem,
            "the cap is the longest wait, `first` the shortest",
        ));
    }
}

fn check_tls(settings: &Settings, faults: &mut Vec<Fault>) -> Trust {
    let given = &settings.tls;
    let all = [
        ("ca_certificate", &given.ca_certificate),
        ("client_certificate", &given.client_certificate),
        ("client_key", &given.client_key),
    ];
    if !settings.kind.takes_certificates()
        && let Some((key, _)) = all.iter().find(|(_, it)| it.is_some())
    {
        let (problem, hint) = match settings.kind.scheme() {
            Some(_) => (
                "the URL is `http`, which knows no certificates".to_owned(),
                "write the URL with `https`, or leave this out",
            ),
            None => (
                format!(
                    "a destination of kind `{}` takes no certificates here",
                    settings.kind.name()
                ),
                "leave this out",
            ),
        };
        faults.push(Fault::new(*key, problem, hint));
        return Trust {
            extra_roots: Vec::new(),
            identity: None,
        };
    }
    let mut bad = |key: &str, problem: BadPem| {
        let hint = "give the file as it is, with its lines `-----BEGIN ...-----` and `-----END ...-----`";
        faults.push(Fault::new(key, problem.to_string(), hint));
    };
    let mut roots = Vec::new();
    if let Some(it) = &given.ca_certificate {
        match pem::certificates(it.expose()) {
            Ok(found) => roots = found,
            Err(problem) => bad("ca_certificate", problem),
        }
    }
    let identity = match (&given.client_certificate, &given.client_key) {
        (Some(certificate), Some(key)) => match Identity::new(certificate.expose(), key.expose()) {
            Ok(it) => Some(it),
            Err(problem @ BadPem::NoCertificate) => {
                bad("client_certificate", problem);
                None
            }
            Err(problem @ BadPem::NoKey) => {
                bad("client_key", problem);
                None
            }
        },
        (Some(_), None) => {
            faults.push(Fault::new(
                "client_certificate",
                "there is no `client_key` beside it",
                "",
            ));
            None
        }
        (None, Some(_)) => {
            faults.push(Fault::new(
                "client_key",
                "there is no `client_certificate` beside it",
                "",
            ));
            None
        }
        (None, None) => None,
    };
    if let Err(failure) = tls::check_config(&roots, identity.as_ref()) {
        let key = if identity.is_some() {
            "client_key"
        } else {
            "ca_certificate"
        };
        faults.push(Fault::new(key, failure.explanation, ""));
    }
    Trust {
        extra_roots: roots,
        identity,
    }
}

fn check_secrets(settings: &Settings, faults: &mut Vec<Fault>) -> Vec<Signer> {
    let several = &settings.signing_secrets;
    if settings.signing_secret.is_some() && !several.is_empty() {
        let problem = "it stands beside `signing_secret`";
        faults.push(Fault::new(
            "signing_secrets",
            problem,
            "put all of them into `signing_secrets`",
        ));
    }
    if several.len() > MAX_SECRETS {
        let problem = format!("it has {} secrets, at most {MAX_SECRETS} fit", several.len());
        faults.push(Fault::new(
            "signing_secrets",
            problem,
            "keep those that handlers still know",
        ));
    }
    let one = settings
        .signing_secret
        .iter()
        .map(|it| ("signing_secret".to_owned(), it));
    let key = |(idx, it)| (format!("signing_secrets[{idx}]"), it);
    one.chain(several.iter().enumerate().map(key))
        .filter_map(|(key, secret)| check_secret(key, secret, faults))
        .collect()
}

fn check_secret(key: String, secret: &Secret, faults: &mut Vec<Fault>) -> Option<Signer> {
    match Signer::new(secret) {
        Ok(signer) => Some(signer),
        Err(bad) => {
            let hint = match bad {
                BadSecret::WhiteSpace => "remove the white space; a file may end in one line break too many",
                _ => "make one with `echo whsec_$(openssl rand -base64 24)`",
            };
            faults.push(Fault::new(key, bad.to_string(), hint));
            None
        }
    }
}

fn check_headers(given: &[(String, Secret)], faults: &mut Vec<Fault>) -> Vec<(HeaderName, HeaderValue)> {
    let mut configured: Vec<(HeaderName, HeaderValue)> = Vec::with_capacity(given.len());
    for (name, value) in given {
        let key = format!("headers.{}", name.escape_default());
        let Ok(name) = HeaderName::from_bytes(name.as_bytes()) else {
            let hint = "a name holds letters, digits and dashes";
            faults.push(Fault::new(key, "it is not the name of a header", hint));
            continue;
        };
        if !may_be_configured(&name) {
            let problem = "it is a header that gatepost or HTTP itself sets";
            faults.push(Fault::new(key, problem, "choose another name"));
            continue;
        }
        if configured.iter().any(|(other, _)| *other == name) {
            let problem = "it is given twice: names of headers do not differ by case";
            faults.push(Fault::new(key, problem, "keep one of them"));
            continue;
        }
        if value.is_blank() {
            let hint = "check that the variable or file it comes from is filled";
            faults.push(Fault::new(key, "its value is empty", hint));
            continue;
        }
        let Ok(mut value) = HeaderValue::from_bytes(value.expose()) else {
            let problem = "its value holds a line break or another control character";
            faults.push(Fault::new(
                key,
                problem,
                "a file may end in one line break too many",
            ));
            continue;
        };
        // Keeps it out of the debug prints of the libraries below.
        value.set_sensitive(true);
        configured.push((name, value));
    }
    configured
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        base::safe_url::SafeUrl,
        destination::{Tls, breaker::Rules, exec::Program, retry::Statuses},
    };

    fn settings(url: &str) -> Settings {
        Settings {
            name: "billing".into(),
            kind: Kind::Http(SafeUrl::new(url.parse().unwrap())),
            timeout: Duration::from_secs(30),
            concurrency: 16,
            rate: None,
            signing_secret: None,
            signing_secrets: Vec::new(),
            headers: Vec::new(),
            retry: Retry {
                max_attempts: 12,
                max_age: Duration::from_hours(72),
                first: Duration::from_secs(10),
                cap: Duration::from_hours(6),
                schedule: Vec::new(),
                on: None,
                never: Statuses::NONE,
            },
            hold_after: None,
            oauth2: None,
            proxy: None,
            tls: Tls::default(),
            breaker: Rules::default(),
        }
    }

    fn keys(settings: &Settings) -> Vec<String> {
        let (_, faults) = common(settings);
        faults.into_iter().map(|it| it.key).collect()
    }

    #[test]
    fn c07_headers_that_are_not_theirs_to_set_are_faults() {
        let mut settings = settings("http://localhost/");
        let secret = |text: &str| Secret::new(text);
        settings.headers = vec![
            ("authorization".into(), secret("Bearer x")),
            ("Authorization".into(), secret("Bearer y")),
            ("X-Ok".into(), secret("caf\u{e9}")),
            ("webhook-id".into(), secret("x")),
            ("Gatepost_Verified".into(), secret("body")),
            ("traceparent".into(), secret("x")),
            ("transfer-encoding".into(), secret("chunked")),
            ("content-length".into(), secret("1")),
            ("proxy-authorization".into(), secret("x")),
            ("x-split\r\nx-other".into(), secret("x")),
            ("x y".into(), secret("x")),
            (String::new(), secret("x")),
            ("x-crlf".into(), secret("a\r\nx-other: b")),
            ("x-lf".into(), secret("a\n")),
            ("x-nul".into(), secret("a\0b")),
            ("x-blank".into(), secret(" ")),
        ];
        let found = keys(&settings);
        assert_eq!(found.len(), 14, "{found:?}");
        assert!(!found.contains(&"headers.authorization".to_owned()));
        assert!(!found.contains(&"headers.X-Ok".to_owned()));
    }

    #[test]
    fn each_bad_secret_is_named_and_one_key_of_the_two_is_enough() {
        let mut settings = settings("http://localhost/");
        let good = || Secret::new(*b"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        settings.signing_secrets = vec![good(), Secret::new(*b"short")];
        assert_eq!(keys(&settings), ["signing_secrets[1]"]);
        settings.signing_secrets.pop();
        assert_eq!(keys(&settings), Vec::<String>::new());
        settings.signing_secret = Some(good());
        assert_eq!(keys(&settings), ["signing_secrets"]);
        settings.signing_secret = None;
        settings.signing_secrets = (0..11).map(|_| good()).collect();
        assert_eq!(keys(&settings), ["signing_secrets"]);
    }

    #[test]
    fn certificates_that_are_none_are_named() {
        let text = |text: &str| Some(Secret::new(text));
        let certificate = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
        let with = |url: &str, tls: Tls| {
            let settings = Settings { tls, ..settings(url) };
            keys(&settings)
        };
        let ca = |it: &str| Tls {
            ca_certificate: text(it),
            ..Tls::default()
        };
        assert_eq!(with("https://h/", ca("no PEM")), ["ca_certificate"]);
        assert_eq!(
            with("https://h/", ca(certificate)),
            ["ca_certificate"],
            "PEM of nothing"
        );
        assert_eq!(with("http://h/", ca(certificate)), ["ca_certificate"]);
        let identity = |certificate, key| Tls {
            client_certificate: certificate,
            client_key: key,
            ..Tls::default()
        };
        assert_eq!(
            with("https://h/", identity(text(certificate), None)),
            ["client_certificate"]
        );
        assert_eq!(with("https://h/", identity(None, text("x"))), ["client_key"]);
        assert_eq!(
            with("https://h/", identity(text(certificate), text("x"))),
            ["client_key"]
        );
        assert_eq!(
            with("https://h/", identity(text("x"), text("x"))),
            ["client_certificate"]
        );
    }

    #[test]
    fn every_fault_is_reported_at_once() {
        let mut settings = settings("http://169.254.169.254/");
        settings.timeout = Duration::ZERO;
        settings.concurrency = 0;
        settings.rate = Some(0);
        settings.signing_secret = Some(Secret::new(*b"short"));
        settings.headers = vec![("webhook-id".into(), Secret::new(*b"x"))];
        settings.retry = Retry {
            max_attempts: 0,
            max_age: Duration::ZERO,
            first: Duration::from_secs(10),
            cap: Duration::from_secs(5),
            schedule: Vec::new(),
            on: None,
            never: Statuses::NONE,
        };
        assert_eq!(
            keys(&settings),
            [
                "timeout",
                "retry.max_age",
                "concurrency",
                "rate",
                "retry.max_attempts",
                "retry.cap",
                "signing_secret",
                "headers.webhook-id"
            ]
        );
    }

    #[test]
    fn rules_by_status_are_for_what_answers_with_one() {
        let mut settings = settings("http://localhost/");
        settings.retry.on = Some(Statuses::parse(["5xx"]).unwrap());
        settings.retry.never = Statuses::parse(["404"]).unwrap();
        assert!(keys(&settings).is_empty());
        settings.kind = Kind::Exec(Program {
            command: vec!["/bin/true".to_owned()],
            directory: None,
            environment: Vec::new(),
        });
        assert_eq!(keys(&settings), ["retry.on", "retry.never"]);
    }
}
