//! One conversation with a server: what is said to it in which order, and what it should answer.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};

use crate::{
    alert::channel::{
        NotSent,
        email::Login,
        smtp::{
            Envelope, Refusal,
            reply::{Offer, Reply, read_line},
        },
    },
    egress::stream::{Remote, Stream},
};

/// Bytes of one answer.
const MAX_REPLY: u64 = 16 << 10;
/// After so long a server is asked again that refused for good: that wants an operator, and who asks again and again is shut out.
const AFTER_A_REFUSAL: Duration = Duration::from_hours(1);

/// One conversation.
pub(super) struct Line<'a> {
    remote: &'a Remote,
    stream: BufReader<Stream>,
}

impl<'a> Line<'a> {
    pub(super) fn new(remote: &'a Remote, stream: Stream) -> Self {
        Self {
            remote,
            stream: BufReader::new(stream),
        }
    }

    pub(super) async fn hello(&mut self, name: &str) -> Result<Offer, NotSent> {
        let reply = self.ask("EHLO", &format!("EHLO {name}"), 2).await?;
        Ok(Offer::of(&reply))
    }

    /// The same conversation inside TLS.
    pub(super) async fn secured(self) -> Result<Self, NotSent> {
        if !self.stream.buffer().is_empty() {
            // Whoever stands on the way could else put words into the server's mouth that seem to come by TLS.
            return Err(self.fails("said more than it was asked before TLS began"));
        }
        let stream = self.remote.secure(self.stream.into_inner()).await?;
        Ok(Self::new(self.remote, stream))
    }

    pub(super) async fn log_in(&mut self, login: &Login, offer: &Offer) -> Result<(), NotSent> {
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

    pub(super) async fn hand_over(&mut self, envelope: &Envelope<'_>) -> Result<Vec<Refusal>, NotSent> {
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
    pub(super) async fn ask(&mut self, what: &str, command: &str, wanted: u16) -> Result<Reply, NotSent> {
        self.say(command).await?;
        self.answer(what, wanted).await
    }

    pub(super) async fn answer(&mut self, what: &str, wanted: u16) -> Result<Reply, NotSent> {
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

    pub(super) async fn say(&mut self, text: &str) -> Result<(), NotSent> {
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

    pub(super) fn fails(&self, how: &str) -> NotSent {
        NotSent {
            explanation: format!("`{}` {how}", self.remote),
            wait: None,
        }
    }
}
