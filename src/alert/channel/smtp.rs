//! What is said to a mail server, and what it answers: SMTP (RFC 5321), with STARTTLS, AUTH PLAIN and AUTH LOGIN.
//!
//! Where TLS is asked for, nothing that matters is said before it. What a server says is shown to the operator, on one line, but for
//! what repeats the password.

use std::{fmt, net::SocketAddr, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};

use crate::{
    alert::channel::{
        NotSent, TIMEOUT,
        email::{Address, Login, Security},
    },
    egress::stream::{Remote, Stream},
};

/// Bytes of one answer.
const MAX_REPLY: u64 = 16 << 10;
/// Of an answer, as many characters are shown.
const MAX_SHOWN: usize = 300;
/// After so long a server is asked again that refused for good: that wants an operator, and who asks again and again is shut out.
const AFTER_A_REFUSAL: Duration = Duration::from_hours(1);

/// A server, and how it is spoken to.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) remote: Remote,
    pub(super) security: Security,
    pub(super) login: Option<Login>,
}

/// A mail, and what stands on its envelope.
#[derive(Debug)]
pub(super) struct Envelope<'a> {
    pub(super) from: &'a Address,
    pub(super) to: &'a [Address],
    /// Lines end in CR LF, the last one too, and none begins with a dot.
    pub(super) message: &'a str,
}

/// Somebody whom the server takes no mail for.
#[derive(Debug, Clone)]
pub(super) struct Refusal(NotSent);

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.explanation)
    }
}

impl Server {
    /// Hands a mail over. Says whom of several the server refused; an error where it took it for nobody.
    pub(super) async fn submit(&self, envelope: &Envelope<'_>) -> Result<Vec<Refusal>, NotSent> {
        let mut line = self.connect().await?;
        let result = line.hand_over(envelope).await;
        // How it says goodbye changes nothing.
        let _ = line.say("QUIT").await;
        result
    }

    /// Until it takes mail from us.
    async fn connect(&self) -> Result<Line<'_>, NotSent> {
        let tcp = self.remote.connect(TIMEOUT).await?;
        let name = tcp.local_addr().map_or_else(|_| "localhost".to_owned(), literal);
        let mut stream: Stream = Box::new(tcp);
        if self.security == Security::Tls {
            stream = self.remote.secure(stream).await?;
        }
        let mut line = Line::new(&self.remote, stream);
        line.answer("the connection", 2).await?;
        let mut offer = line.hello(&name).await?;
        if self.security == Security::StartTls {
            if !offer.starttls {
                return Err(line.fails("offers no STARTTLS, so nothing was said to it"));
            }
            line.ask("STARTTLS", "STARTTLS", 2).await?;
            line = line.secured().await?;
            offer = line.hello(&name).await?;
        }
        if let Some(login) = &self.login {
            line.log_in(login, &offer).await?;
        }
        Ok(line)
    }
}

/// How who has no name calls himself (RFC 5321, section 4.1.3).
fn literal(address: SocketAddr) -> String {
    match address {
        SocketAddr::V4(it) => format!("[{}]", it.ip()),
        SocketAddr::V6(it) => format!("[IPv6:{}]", it.ip()),
    }
}

/// What a server can do, as far as it matters here.
#[derive(Debug, Default, PartialEq, Eq)]
struct Offer {
    starttls: bool,
    plain: bool,
    login: bool,
}

impl Offer {
    fn of(reply: &Reply) -> Self {
        let mut offer = Self::default();
        // The first line is a greeting.
        for line in reply.lines.iter().skip(1) {
            let line = line.to_ascii_uppercase();
            let mut words = line.split_ascii_whitespace();
            match words.next() {
                Some("STARTTLS") => offer.starttls = true,
                Some("AUTH") => {
                    for it in words {
                        offer.plain |= it == "PLAIN";
                        offer.login |= it == "LOGIN";
                    }
                }
                _ => (),
            }
        }
        offer
    }
}

/// What a server answered.
#[derive(Debug)]
struct Reply {
    code: u16,
    /// At least one, without code and line break.
    lines: Vec<String>,
}

impl Reply {
    fn repeats(&self, secrets: &[&str]) -> bool {
        let text = self.lines.concat();
        secrets.iter().any(|it| !it.is_empty() && text.contains(it))
    }
}

/// On one line.
impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.lines.join(" ");
        let text: String = text
            .chars()
            .map(|it| if it.is_control() { ' ' } else { it })
            .take(MAX_SHOWN)
            .collect();
        write!(f, "{} {}", self.code, text.trim())
    }
}

/// A line of an answer: its code, whether it is the last one, its text. `None`: it is none.
fn read_line(line: &[u8]) -> Option<(u16, bool, String)> {
    let line = line.strip_suffix(b"\n")?;
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let (code, rest) = line.split_at_checked(3)?;
    if !code.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let code = std::str::from_utf8(code).ok()?.parse().ok()?;
    let (is_last, text) = match rest.split_first() {
        None => (true, rest),
        Some((b' ', text)) => (true, text),
        Some((b'-', text)) => (false, text),
        Some(_) => return None,
    };
    Some((code, is_last, String::from_utf8_lossy(text).into_owned()))
}

/// One conversation.
struct Line<'a> {
    remote: &'a Remote,
    stream: BufReader<Stream>,
}

impl<'a> Line<'a> {
    fn new(remote: &'a Remote, stream: Stream) -> Self {
        Self {
            remote,
            stream: BufReader::new(stream),
        }
    }

    async fn hello(&mut self, name: &str) -> Result<Offer, NotSent> {
        let reply = self.ask("EHLO", &format!("EHLO {name}"), 2).await?;
        Ok(Offer::of(&reply))
    }

    /// The same conversation inside TLS.
    async fn secured(self) -> Result<Self, NotSent> {
        if !self.stream.buffer().is_empty() {
            // Whoever stands on the way could else put words into the server's mouth that seem to come by TLS.
            return Err(self.fails("said more than it was asked before TLS began"));
        }
        let stream = self.remote.secure(self.stream.into_inner()).await?;
        Ok(Self::new(self.remote, stream))
    }

    async fn log_in(&mut self, login: &Login, offer: &Offer) -> Result<(), NotSent> {
        let Login { username, password } = login;
        let password = password.expose();
        let of_both = STANDARD.encode([b"\0".as_slice(), username.as_bytes(), b"\0", password].concat());
        let encoded = STANDARD.encode(password);
        let shown = String::from_utf8_lossy(password);
        let secrets = [of_both.as_str(), &encoded, &shown];
        let words = if offer.plain {
            vec![(format!("AUTH PLAIN {of_both}"), 2)]
        } else if offer.login {
            vec![
                ("AUTH LOGIN".to_owned(), 3),
                (STANDARD.encode(username), 3),
                (encoded.clone(), 2),
            ]
        } else {
            return Err(
                self.fails("takes no login (neither AUTH PLAIN nor AUTH LOGIN), and `username` is set")
            );
        };
        for (word, wanted) in words {
            self.say(&word).await?;
            let mut reply = self.reply().await?;
            if reply.repeats(&secrets) {
                reply.lines = vec!["(what it said repeats the password)".to_owned()];
            }
            self.judge("the login", reply, wanted)?;
        }
        Ok(())
    }

    async fn hand_over(&mut self, envelope: &Envelope<'_>) -> Result<Vec<Refusal>, NotSent> {
        let Envelope { from, to, message } = envelope;
        self.ask(&format!("mail from `{from}`"), &format!("MAIL FROM:<{from}>"), 2)
            .await?;
        let mut refused = Vec::new();
        for it in *to {
            self.say(&format!("RCPT TO:<{it}>")).await?;
            let reply = self.reply().await?;
            if let Err(why) = self.judge(&format!("mail to `{it}`"), reply, 2) {
                refused.push(Refusal(why));
            }
        }
        if refused.len() == to.len() {
            // One that may take it later is asked sooner.
            let soonest = refused.into_iter().map(|Refusal(it)| it).min_by_key(|it| it.wait);
            return Err(soonest.unwrap_or_else(|| self.fails("was given no recipient")));
        }
        self.ask("the mail", "DATA", 3).await?;
        // What it ends with ends its last line; `say` adds that of the dot.
        self.say(&format!("{message}.")).await?;
        self.answer("the mail", 2).await?;
        Ok(refused)
    }

    /// `wanted`: the first digit of what it should answer. `what` it refuses else, for the operator.
    async fn ask(&mut self, what: &str, command: &str, wanted: u16) -> Result<Reply, NotSent> {
        self.say(command).await?;
        self.answer(what, wanted).await
    }

    async fn answer(&mut self, what: &str, wanted: u16) -> Result<Reply, NotSent> {
        let reply = self.reply().await?;
        self.judge(what, reply, wanted)
    }

    fn judge(&self, what: &str, reply: Reply, wanted: u16) -> Result<Reply, NotSent> {
        match reply.code / 100 {
            class if class == wanted => Ok(reply),
            class => Err(NotSent {
                explanation: format!("`{}` refused {what}: {reply}", self.remote),
                wait: (class == 5).then_some(AFTER_A_REFUSAL),
            }),
        }
    }

    async fn say(&mut self, text: &str) -> Result<(), NotSent> {
        let said = async {
            self.stream.write_all(format!("{text}\r\n").as_bytes()).await?;
            self.stream.flush().await
        };
        said.await.map_err(|it| self.remote.broken(&it).into())
    }

    async fn reply(&mut self) -> Result<Reply, NotSent> {
        let mut limited = (&mut self.stream).take(MAX_REPLY);
        let mut lines = Vec::new();
        loop {
            let mut line = Vec::new();
            let n_read = limited.read_until(b'\n', &mut line).await;
            let n_read = n_read.map_err(|it| self.remote.broken(&it))?;
            let Some((code, is_last, text)) = read_line(&line) else {
                let is_end = n_read == 0 && limited.limit() != 0;
                return Err(self.fails(if is_end {
                    "closed the connection before its answer was complete"
                } else {
                    "does not speak SMTP"
                }));
            };
            lines.push(text);
            if is_last {
                return Ok(Reply { code, lines });
            }
        }
    }

    fn fails(&self, how: &str) -> NotSent {
        NotSent {
            explanation: format!("`{}` {how}", self.remote),
            wait: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{base::secret::Secret, egress::guard::Reach};

    fn remote() -> Remote {
        Remote::new("mail.example.com", 25, Reach::Private, &[]).unwrap()
    }

    fn login() -> Login {
        Login {
            username: "gatepost".to_owned(),
            password: Secret::new(*b"hunter22"),
        }
    }

    /// A server that says all of it at once; and what it was told, once the conversation is over.
    async fn talk<'a, T>(
        remote: &'a Remote,
        says: &str,
        work: impl AsyncFnOnce(&mut Line<'a>) -> Result<T, NotSent>,
    ) -> (Result<T, NotSent>, String) {
        let (ours, mut theirs) = tokio::io::duplex(64 << 10);
        theirs.write_all(says.as_bytes()).await.unwrap();
        theirs.shutdown().await.unwrap();
        let mut line = Line::new(remote, Box::new(ours));
        let result = work(&mut line).await;
        drop(line);
        let mut told = String::new();
        theirs.read_to_string(&mut told).await.unwrap();
        (result, told)
    }

    async fn mail(says: &str) -> (Result<Vec<Refusal>, NotSent>, String) {
        let address = |text| Address::parse(text).unwrap();
        let (from, to) = (
            address("gatepost@example.com"),
            [address("a@example.com"), address("b@example.com")],
        );
        let envelope = Envelope {
            from: &from,
            to: &to,
            message: "Subject: s\r\n\r\nQQ==\r\n",
        };
        talk(&remote(), says, async |line| line.hand_over(&envelope).await).await
    }

    #[tokio::test]
    async fn one_recipient_who_is_refused_keeps_it_from_no_other() {
        let (taken, told) = mail("250 ok\r\n250 ok\r\n550 5.1.1 left us\r\n354 go on\r\n250 taken\r\n").await;
        let refused: Vec<_> = taken.unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(
            refused,
            ["`mail.example.com:25` refused mail to `b@example.com`: 550 5.1.1 left us"]
        );
        assert_eq!(
            told,
            "MAIL FROM:<gatepost@example.com>\r\nRCPT TO:<a@example.com>\r\nRCPT TO:<b@example.com>\r\nDATA\r\n\
             Subject: s\r\n\r\nQQ==\r\n.\r\n"
        );
    }

    #[tokio::test]
    async fn what_is_refused_for_good_is_asked_again_in_an_hour() {
        let check = async |says: &str, explanation: &str, wait: Option<Duration>| {
            let (refused, told) = mail(says).await;
            let NotSent {
                explanation: it,
                wait: waits,
            } = refused.unwrap_err();
            assert_eq!(
                (it.as_str(), waits),
                (format!("`mail.example.com:25` {explanation}").as_str(), wait)
            );
            assert!(!told.contains("QQ=="), "{told}");
        };
        let hour = Some(Duration::from_hours(1));
        check(
            "550-5.7.1 no relay\r\n550 5.7.1 for\tyou\r\n",
            "refused mail from `gatepost@example.com`: 550 5.7.1 no relay 5.7.1 for you",
            hour,
        )
        .await;
        check(
            "451 later\r\n",
            "refused mail from `gatepost@example.com`: 451 later",
            None,
        )
        .await;
        // Whoever may take it later decides when it is tried again.
        check(
            "250 ok\r\n550 no\r\n450 later\r\n",
            "refused mail to `b@example.com`: 450 later",
            None,
        )
        .await;
        check(
            "250 ok\r\n550 no\r\n551 no\r\n",
            "refused mail to `a@example.com`: 550 no",
            hour,
        )
        .await;
        check(
            "250 ok\r\n250 ok\r\n250 ok\r\n554 no\r\n",
            "refused the mail: 554 no",
            hour,
        )
        .await;
    }

    #[tokio::test]
    async fn what_is_no_answer_is_said_to_be_none() {
        for says in [
            "HTTP/1.1 400 Bad Request\r\n",
            "250\r\n25",
            "2500 ok\r\n",
            "\r\n",
            &"250-on\r\n".repeat(4_000),
        ] {
            let (refused, _) = mail(says).await;
            let said = refused.unwrap_err().explanation;
            assert!(said.ends_with("does not speak SMTP"), "{says}: {said}");
        }
    }

    #[tokio::test]
    async fn a_login_says_the_password_once_and_shows_it_never() {
        let log_in = async |says: &str, words: &str| {
            let remote = remote();
            let lines = format!("250-hello\r\n250 {words}\r\n{says}");
            let (done, told) = talk(&remote, &lines, async |line| {
                let offer = line.hello("[127.0.0.1]").await?;
                line.log_in(&login(), &offer).await
            })
            .await;
            (done.map_err(|it| it.explanation), told)
        };
        let (done, told) = log_in("235 welcome\r\n", "AUTH LOGIN PLAIN").await;
        assert_eq!(
            (done, told.as_str()),
            (
                Ok(()),
                "EHLO [127.0.0.1]\r\nAUTH PLAIN AGdhdGVwb3N0AGh1bnRlcjIy\r\n"
            )
        );
        let (done, told) = log_in(
            "334 VXNlcm5hbWU6\r\n334 UGFzc3dvcmQ6\r\n235 welcome\r\n",
            "auth login",
        )
        .await;
        assert_eq!(
            (done, told.as_str()),
            (
                Ok(()),
                "EHLO [127.0.0.1]\r\nAUTH LOGIN\r\nZ2F0ZXBvc3Q=\r\naHVudGVyMjI=\r\n"
            )
        );
        for says in ["AGdhdGVwb3N0AGh1bnRlcjIy", "hunter22"] {
            let (refused, _) = log_in(&format!("500 what is {says}?\r\n"), "AUTH PLAIN").await;
            let refused = refused.unwrap_err();
            assert!(
                refused.ends_with("refused the login: 500 (what it said repeats the password)"),
                "{refused}"
            );
        }
        let (refused, told) = log_in("", "AUTH XOAUTH2").await;
        assert!(refused.unwrap_err().contains("takes no login"));
        assert_eq!(told, "EHLO [127.0.0.1]\r\n");
    }

    #[tokio::test]
    async fn words_from_before_tls_are_not_taken_for_words_inside_it() {
        let (ours, mut theirs) = tokio::io::duplex(64 << 10);
        theirs
            .write_all(b"220 go on\r\n250 and this is taken\r\n")
            .await
            .unwrap();
        let remote = remote();
        let mut line = Line::new(&remote, Box::new(ours));
        line.ask("STARTTLS", "STARTTLS", 2).await.unwrap();
        let refused = line.secured().await.err().unwrap();
        assert!(
            refused
                .explanation
                .ends_with("said more than it was asked before TLS began"),
            "{refused}"
        );
    }
}
