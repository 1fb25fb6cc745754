//! What is said to a mail server, and what it answers: SMTP (RFC 5321), with STARTTLS, AUTH PLAIN and AUTH LOGIN.
//!
//! Where TLS is asked for, nothing that matters is said before it. What a server says is shown to the operator, on one line, but for
//! what repeats the password.

mod line;
mod reply;

#[cfg(test)]
mod tests;

use std::{fmt, net::SocketAddr};

use crate::{
    alert::channel::{
        NotSent, TIMEOUT,
        email::{Address, Login, Security},
        smtp::line::Line,
    },
    egress::stream::{Remote, Stream},
};

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
