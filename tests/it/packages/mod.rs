//! Requests of which official packages said what they think, made by `tests/sdk/differ.py`: gatepost must think the same.
//!
//! `GATEPOST_TEST_CASES` names the file of a run; without it, the sample that is kept in the repository. Where they differ, a rule says
//! which requests it is about and why (`rules`); anything else is a bug of ours.

mod rules;
mod spelling;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use gatepost::{
    base::{clock::Timestamp, secret::Secret},
    event::headers::Headers,
    provider,
    source::{Received, Request, Settings, Source, receive},
};
use rules::{STRICTER, WIDER};
use serde::Deserialize;

const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/sdk/cases.jsonl");

/// A request, what its receiver knows, and what the package said.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    /// Names the package, and the number of the request among those of a seed.
    id: String,
    /// What is unusual about it.
    odd: Vec<String>,
    package: String,
    provider: String,
    secrets: Vec<String>,
    /// Of the package, where the row's is another one.
    tolerance_s: Option<u64>,
    options: BTreeMap<String, String>,
    now_ms: i64,
    public_url: url::Url,
    target: String,
    headers: Vec<(String, String)>,
    body: Option<String>,
    /// In place of it, where it is no text.
    body_base64: Option<String>,
    accepted: bool,
    /// The words of a refusal.
    said: Option<String>,
}

impl Case {
    fn body(&self) -> Vec<u8> {
        match (&self.body, &self.body_base64) {
            (Some(text), _) => text.clone().into_bytes(),
            (None, Some(text)) => STANDARD.decode(text).unwrap(),
            (None, None) => panic!("{}: no body", self.id),
        }
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.now_ms * 1000)
    }

    /// The code of gatepost's refusal and its words; `None` where it verifies.
    fn refusal(&self) -> Option<(&'static str, String)> {
        let row = provider::find(&self.provider).unwrap_or_else(|| panic!("no row `{}`", self.provider));
        let settings = Settings {
            name: self.provider.clone(),
            provider: row.clone().with_options(&self.options),
            secrets: self.secrets.iter().map(|it| Secret::new(it.as_bytes())).collect(),
            verify_token: None,
            tolerance: self.tolerance_s.map(Duration::from_secs),
            max_body: None,
            rate: None,
            public_url: Some(self.public_url.clone()),
            redact: gatepost::source::redact::Redact::default(),
        };
        let source = match Source::new(settings) {
            Ok(source) => source,
            Err(faults) => return Some(("unusable_source", format!("{faults:?}"))),
        };
        let headers = self.headers.iter();
        let request = Request {
            method: http::Method::POST,
            target: self.target.clone(),
            headers: Headers::from_pairs(headers.map(|(name, value)| (name.as_str(), value.as_bytes()))),
            body: self.body().into(),
            client: None,
            received_at: self.now(),
        };
        match receive(&source, &request, self.now()) {
            Received::Rejected(rejection) => Some((rejection.code, rejection.explanation)),
            _ => None,
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "tests have no settings to take it from")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// What comes of a file of cases.
#[derive(Default)]
struct Outcome {
    packages: BTreeSet<String>,
    n_cases: usize,
    n_accepted: usize,
    wrong: Vec<String>,
}

impl Outcome {
    fn judge(&mut self, case: &Case) {
        self.packages.insert(case.package.clone());
        self.n_cases += 1;
        self.n_accepted += usize::from(case.accepted);
        let refusal = case.refusal();
        let rules = match (case.accepted, &refusal) {
            (true, None) | (false, Some(_)) => return,
            (true, Some(_)) => STRICTER,
            (false, None) => WIDER,
        };
        let cause = refusal.as_ref().map(|(code, _)| *code);
        if !rules.iter().any(|it| it.is_about(case, cause)) {
            self.wrong.push(case.story(refusal));
        }
    }

    fn with(mut self, other: Self) -> Self {
        self.packages.extend(other.packages);
        self.n_cases += other.n_cases;
        self.n_accepted += other.n_accepted;
        self.wrong.extend(other.wrong);
        self
    }
}

#[test]
fn gatepost_and_official_packages_think_the_same() {
    let file = variable("GATEPOST_TEST_CASES");
    let text = std::fs::read_to_string(file.as_deref().unwrap_or(SAMPLE)).unwrap();
    let lines: Vec<_> = text.lines().collect();
    let judge = |lines: &[&str]| {
        let mut outcome = Outcome::default();
        for line in lines {
            outcome.judge(&serde_json::from_str(line).unwrap());
        }
        outcome
    };
    let (left, right) = lines.split_at(lines.len() / 2);
    let outcome = std::thread::scope(|scope| {
        let left = scope.spawn(|| judge(left));
        judge(right).with(left.join().unwrap())
    });
    if file.is_none() {
        let n_packages = outcome.packages.len();
        assert!(n_packages >= 12, "{n_packages}");
        assert!(outcome.n_accepted > outcome.n_cases / 6, "{}", outcome.n_accepted);
    }
    assert!(
        outcome.wrong.is_empty(),
        "{} of {} that no rule explains:\n{}",
        outcome.wrong.len(),
        outcome.n_cases,
        outcome.wrong.join("\n")
    );
}

/// What the rules ask about a request.
impl Case {
    /// The first one whose name ends so.
    fn header(&self, end: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        headers
            .find(|(name, _)| name.to_ascii_lowercase().ends_with(end))
            .map(|(_, value)| value.as_str())
    }

    fn repeats_a_header(&self) -> bool {
        let mut names = BTreeSet::new();
        self.headers
            .iter()
            .any(|(name, _)| !names.insert(name.to_ascii_lowercase()))
    }

    fn is_form(&self) -> bool {
        self.header("content-type")
            .is_some_and(|it| it.starts_with("application/x-www-form"))
    }

    fn repeats_a_field(&self) -> bool {
        let mut names = BTreeSet::new();
        self.is_form() && url::form_urlencoded::parse(&self.body()).any(|(name, _)| !names.insert(name))
            || self.count_in_body("bt_payload=") > 1
    }

    fn count_in_body(&self, text: &str) -> usize {
        String::from_utf8_lossy(&self.body()).matches(text).count()
    }

    fn has_byte_order_mark(&self) -> bool {
        self.body().starts_with("\u{feff}".as_bytes())
    }

    /// The signature's header as its sender writes it, where that is a rule of its own.
    fn is_written_as_sent(&self) -> bool {
        match self.provider.as_str() {
            "workos" => self
                .header("-signature")
                .is_some_and(|it| it.starts_with("t=") && it.contains(", v1=")),
            "retell" => self.header("-signature").is_some_and(|it| it.contains("d=")),
            "hubspot" => self.header("-version").is_some_and(|it| !it.is_empty()),
            _ => true,
        }
    }

    /// Whether the signature's header holds other fields than a time and a signature, or in another order.
    fn has_more_fields(&self) -> bool {
        let value = self.header("-signature").unwrap_or_default();
        if self.provider == "standard-webhooks" {
            return value.contains(' ');
        }
        let fields: Vec<_> = value.split([',', ';']).collect();
        let is_time = |it: &str| ["t=", "ts=", "v="].iter().any(|name| it.trim().starts_with(name));
        fields.len() != 2 || !fields.first().is_some_and(|it| is_time(it))
    }

    /// For whoever has to find out.
    fn story(&self, refusal: Option<(&str, String)>) -> String {
        let (ours, theirs) = match refusal {
            Some((code, explanation)) => (format!("refuses: {code}: {explanation}"), "accepts".to_owned()),
            None => ("accepts".to_owned(), format!("refuses: {:?}", self.said)),
        };
        format!(
            "{}: gatepost {ours}; {} {theirs}; odd: {:?}\n  again: tests/sdk/run differ --seed {} --case '{}'",
            self.id,
            self.package,
            self.odd,
            variable("GATEPOST_TEST_SEED").unwrap_or_else(|| "1".to_owned()),
            self.id,
        )
    }
}
