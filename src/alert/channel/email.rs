//! A mail for each message: plain text, whose bytes are ASCII whatever a summary says. `smtp` takes it to the server.

use std::fmt;

use base64::{Engine, engine::general_purpose::STANDARD};
use time::{OffsetDateTime, format_description::well_known::Rfc2822};
use url::Url;

use crate::{
    alert::{
        channel::{
            NotSent, TIMEOUT,
            smtp::{Envelope, Refusal, Server},
        },
        message,
    },
    base::secret::Secret,
    egress::{error::Cause, guard::Reach, pem, stream::Remote},
    store::issue::{Issue, Notice},
};

/// Of a headline, as many characters are in the subject.
const MAX_SUBJECT: usize = 150;
/// Bytes of one encoded word of a subject: with all that is around it, it fits in the 76 characters of its line.
const ENCODED_WORD: usize = 39;
/// Characters of one line of the body.
const LINE: usize = 76;

/// What the operator says of a mail server and of who gets mail.
#[derive(Debug, Clone)]
pub struct Settings {
    /// A name or an address.
    pub host: String,
    pub port: u16,
    pub security: Security,
    pub login: Option<Login>,
    /// Authorities that are trusted besides the system's, in PEM.
    pub ca_certificate: Option<Secret>,
    pub from: Address,
    /// At least one.
    pub to: Vec<Address>,
}

/// How the way to the server is kept from others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Security {
    /// TLS from the first byte.
    Tls,
    /// TLS after a few plain words; without it nothing is sent.
    StartTls,
    /// Not at all: for a relay on this machine, or in a network that is trusted.
    Plain,
}

#[derive(Debug, Clone)]
pub struct Login {
    pub username: String,
    pub password: Secret,
}

/// Who sends or gets mail: `local@domain`, of characters that need no quotes anywhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address(String);

impl Address {
    /// `None`: it is none, or one that needs quotes or other letters than ASCII's.
    pub fn parse(text: &str) -> Option<Self> {
        let (local, domain) = text.split_once('@')?;
        let is_local = |c: u8| c.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&c);
        let is_domain = |c: u8| c.is_ascii_alphanumeric() || c == b'-';
        let is_dotted = |text: &str, is_fit: &dyn Fn(u8) -> bool| {
            text.split('.').all(|it| !it.is_empty() && it.bytes().all(is_fit))
        };
        let is_short = local.len() <= 64 && domain.len() <= 255;
        (is_short && is_dotted(local, &is_local) && is_dotted(domain, &is_domain))
            .then(|| Self(text.to_owned()))
    }

    fn domain(&self) -> &str {
        self.0.split_once('@').map_or("", |(_, domain)| domain)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Ready to mail.
#[derive(Debug)]
pub(super) struct Mailer {
    server: Server,
    from: Address,
    to: Vec<Address>,
}

/// Which key of `email` is at fault, and why.
pub(super) struct BadSettings {
    pub(super) key: &'static str,
    pub(super) problem: String,
}

impl Mailer {
    pub(super) fn new(settings: &Settings) -> Result<Self, BadSettings> {
        let bad = |key, problem| BadSettings { key, problem };
        let roots = settings
            .ca_certificate
            .as_ref()
            .map(|it| pem::certificates(it.expose()));
        let roots = roots
            .transpose()
            .map_err(|it| bad("ca_certificate", it.to_string()))?;
        // The operator named it, and a mail server is usually inside: private addresses are fine, as with destinations.
        let roots = roots.unwrap_or_default();
        let remote = Remote::new(&settings.host, settings.port, Reach::Private, &roots);
        let remote = remote.map_err(|it| match it.cause {
            Cause::BadUrl => bad("host", it.explanation),
            _ => bad("ca_certificate", it.explanation),
        })?;
        Ok(Self {
            server: Server {
                remote,
                security: settings.security,
                login: settings.login.clone(),
            },
            from: settings.from.clone(),
            to: settings.to.clone(),
        })
    }

    /// One mail of all of them. Says whom of several the server refused; an error where it took it for nobody.
    pub(super) async fn send(
        &self,
        news: &[(Notice, Issue)],
        dashboard: Option<&Url>,
    ) -> Result<Vec<Refusal>, NotSent> {
        let Some(message) = self.compose(news, dashboard) else {
            return Ok(Vec::new());
        };
        let envelope = Envelope {
            from: &self.from,
            to: &self.to,
            message: &message,
        };
        tokio::time::timeout(TIMEOUT, self.server.submit(&envelope))
            .await
            .unwrap_or_else(|_elapsed| {
                Err(NotSent {
                    explanation: format!(
                        "`{}` did not take the mail within {} seconds",
                        self.server.remote,
                        TIMEOUT.as_secs()
                    ),
                    wait: None,
                })
            })
    }

    /// `None`: there is nothing to say.
    fn compose(&self, news: &[(Notice, Issue)], dashboard: Option<&Url>) -> Option<String> {
        let (notice, issue) = news.first()?;
        let headline = message::headline(notice, issue);
        let headline = match news.len() - 1 {
            0 => headline,
            n_more => format!("{headline} (and {n_more} more)"),
        };
        // Of the last one: what is sent again has the same id, and with more in it another.
        let (Notice { id, created_at, .. }, _) = news.last()?;
        let at = OffsetDateTime::from(*created_at)
            .format(&Rfc2822)
            .unwrap_or_default();
        let to: Vec<_> = self.to.iter().map(ToString::to_string).collect();
        let headers = [
            format!("Date: {at}"),
            format!("From: gatepost <{}>", self.from),
            format!("To: {}", to.join(",\r\n ")),
            format!("Subject: {}", subject(&headline)),
            format!("Message-ID: <{id}@{}>", self.from.domain()),
            // Nobody's absence shall answer it (RFC 3834).
            "Auto-Submitted: auto-generated".to_owned(),
            "MIME-Version: 1.0".to_owned(),
            "Content-Type: text/plain; charset=utf-8".to_owned(),
            "Content-Transfer-Encoding: base64".to_owned(),
        ];
        let body = body(&message::text(news, dashboard));
        Some(format!("{}\r\n\r\n{body}", headers.join("\r\n")))
    }
}

/// As it stands in the header: as it is, where it is short and plain, else in encoded words (RFC 2047).
fn subject(headline: &str) -> String {
    let subject: String = format!("gatepost: {headline}")
        .chars()
        .take(MAX_SUBJECT)
        .collect();
    let is_plain = subject.bytes().all(|it| it == b' ' || it.is_ascii_graphic());
    if is_plain && !subject.contains("=?") {
        return subject;
    }
    let mut words = vec![String::new()];
    for c in subject.chars() {
        let word = words
            .last_mut()
            .filter(|it| it.len() + c.len_utf8() <= ENCODED_WORD);
        match word {
            Some(word) => word.push(c),
            None => words.push(c.to_string()),
        }
    }
    let words = words
        .iter()
        .map(|it| format!("=?utf-8?B?{}?=", STANDARD.encode(it)));
    words.collect::<Vec<_>>().join("\r\n ")
}

/// In lines of base64: no line of it begins with a dot, is too long, or ends in anything but CR LF.
fn body(text: &str) -> String {
    let encoded = STANDARD.encode(format!("{text}\n").replace('\n', "\r\n"));
    let mut body = String::with_capacity(encoded.len() + encoded.len() / LINE * 2 + 2);
    let mut rest = encoded.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(LINE));
        body.push_str(line);
        body.push_str("\r\n");
        rest = after;
    }
    body
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{alert::message::tests::news, store::issue::Change};

    fn settings() -> Settings {
        let address = |text| Address::parse(text).unwrap();
        Settings {
            host: "mail.example.com".to_owned(),
            port: 587,
            security: Security::StartTls,
            login: None,
            ca_certificate: None,
            from: address("gatepost@example.com"),
            to: vec![address("ops@example.com"), address("night@example.com")],
        }
    }

    fn mailer() -> Mailer {
        Mailer::new(&settings()).unwrap_or_else(|it| panic!("{}: {}", it.key, it.problem))
    }

    /// Name and value of each header, unfolded; and the body as a reader sees it.
    fn read(mail: &str) -> (Vec<(&str, String)>, String) {
        let (head, body) = mail.split_once("\r\n\r\n").unwrap();
        let unfolded = head.replace("\r\n ", " ");
        let names = head.split("\r\n").filter(|it| !it.starts_with(' '));
        let names = names.map(|it| it.split_once(": ").unwrap().0);
        let values = unfolded
            .split("\r\n")
            .map(|it| it.split_once(": ").unwrap().1.to_owned());
        let body = STANDARD.decode(body.replace("\r\n", "")).unwrap();
        (names.zip(values).collect(), String::from_utf8(body).unwrap())
    }

    const NAMES: [&str; 9] = [
        "Date",
        "From",
        "To",
        "Subject",
        "Message-ID",
        "Auto-Submitted",
        "MIME-Version",
        "Content-Type",
        "Content-Transfer-Encoding",
    ];

    #[test]
    fn a_mail_says_in_its_subject_what_is_wrong() {
        let url = "https://gatepost.example".parse().unwrap();
        let both = [news(Change::Opened, None), news(Change::Resolved, None)];
        let mail = mailer().compose(&both, Some(&url)).unwrap();
        let (headers, body) = read(&mail);
        let names: Vec<_> = headers.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, NAMES);
        let values: Vec<_> = headers.iter().map(|(_, value)| value.as_str()).collect();
        assert_eq!(
            values[..5],
            [
                "Tue, 14 Nov 2023 22:13:20 +0000",
                "gatepost <gatepost@example.com>",
                "ops@example.com, night@example.com",
                "gatepost: [warning] 3 dead letters to `billing` (and 1 more)",
                "<ntc_00000000000000000000000002@example.com>",
            ]
        );
        let page = "https://gatepost.example/issues/iss_00000000000000000000000001";
        assert_eq!(
            body,
            format!(
                "[warning] 3 dead letters to `billing`\r\n{page}\r\n[resolved] 3 dead letters to `billing`\r\n{page}\r\n"
            )
        );
    }

    #[test]
    fn a_subject_that_is_not_plain_is_encoded() {
        assert_eq!(subject("held"), "gatepost: held");
        assert_eq!(
            subject("für"),
            format!("=?utf-8?B?{}?=", STANDARD.encode("gatepost: für"))
        );
        // What looks like an encoded word is none of a handler's.
        assert!(!subject("=?utf-8?B?QQ==?=").contains("QQ=="));
        let long = subject(&"ü".repeat(1_000));
        assert!(
            long.split("\r\n ")
                .all(|it| it.len() <= 75 && it.starts_with("=?utf-8?B?")),
            "{long}"
        );
    }

    #[test]
    fn addresses_need_no_quotes() {
        for text in [
            "ops@example.com",
            "ops+night@mail.example.com",
            "o'neil@localhost",
            "a.b@1.example",
        ] {
            assert_eq!(
                Address::parse(text).map(|it| it.to_string()).as_deref(),
                Some(text)
            );
        }
        for text in [
            "",
            "ops",
            "@example.com",
            "ops@",
            "ops@@example.com",
            "a..b@example.com",
            "ops@example..com",
            "ops@exa mple.com",
            "Ops <ops@example.com>",
            "\"o p s\"@example.com",
            "öps@example.com",
            "ops@example.com\r\nBcc: everybody@example.com",
            "ops@example.com,night@example.com",
        ] {
            assert_eq!(Address::parse(text), None, "{text}");
        }
    }

    #[test]
    fn what_cannot_work_is_refused_by_its_key() {
        let check = |change: fn(&mut Settings), expected: &str| {
            let mut settings = settings();
            change(&mut settings);
            let key = Mailer::new(&settings).err().map(|it| it.key);
            assert_eq!(key, Some(expected));
        };
        check(|it| it.host = "mail.example.com:25".to_owned(), "host");
        check(
            |it| it.ca_certificate = Some(Secret::new(*b"no PEM")),
            "ca_certificate",
        );
    }

    proptest! {
        #[test]
        fn no_words_add_a_header_or_leave_their_line(summary in r"\PC*(\r|\n|\r\n|\x00|\u{2028})\PC{0,300}", by in r"(?s).{0,100}") {
            let (notice, mut issue) = news(Change::Acknowledged, Some(&by));
            issue.summary = summary;
            let mail = mailer().compose(&[(notice, issue)], None).unwrap();
            prop_assert!(mail.bytes().all(|it| it.is_ascii_graphic() || b" \r\n".contains(&it)));
            prop_assert!(mail.split("\r\n").all(|it| !it.contains(['\r', '\n']) && it.len() <= 200 && !it.starts_with('.')));
            let (headers, body) = read(&mail);
            let names: Vec<_> = headers.iter().map(|(name, _)| *name).collect();
            prop_assert_eq!(names, NAMES);
            prop_assert_eq!(body.lines().count(), 1);
        }
    }
}
