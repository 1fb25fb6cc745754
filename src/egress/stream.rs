//! A guarded connection for what speaks no HTTP: the address that is dialled is one that was checked, and TLS is that of the client.

use std::{io, sync::Arc, time::Duration};

use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;

use crate::egress::{
    error::{Cause, Failure},
    guard::Reach,
    resolver, tls,
};

/// Bytes in both directions, plain or inside TLS.
pub trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

pub type Stream = Box<dyn Duplex>;

/// The other end. Clones share its TLS.
#[derive(Clone)]
pub struct Remote {
    /// A name or an address, without brackets.
    host: String,
    port: u16,
    reach: Reach,
    name: ServerName<'static>,
    tls: Arc<ClientConfig>,
}

impl std::fmt::Debug for Remote {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Remote({self})")
    }
}

/// `host:port`, for error texts.
impl std::fmt::Display for Remote {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl Remote {
    /// `extra_roots`: certificates (DER) that are trusted besides the system's.
    pub fn new(host: &str, port: u16, reach: Reach, extra_roots: &[Vec<u8>]) -> Result<Self, Failure> {
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_invalid| Failure::new(Cause::BadUrl, format!("`{host}` is no name and no address")))?;
        Ok(Self {
            host: host.to_owned(),
            port,
            reach,
            name,
            tls: Arc::new(tls::client_config(extra_roots, None)?),
        })
    }

    /// One address after the other, until one takes the connection. All of it takes `timeout` at most.
    pub async fn connect(&self, timeout: Duration) -> Result<TcpStream, Failure> {
        let late = || {
            Failure::new(
                Cause::ConnectTimeout,
                format!("no connection to `{self}` in time"),
            )
        };
        let connecting = async {
            let found = resolver::system()(self.host.clone()).await;
            let found = found.map_err(|it| resolver::ResolveError::Lookup(it.to_string()));
            let open = found.and_then(|it| resolver::filter(it, self.reach));
            let open = open.map_err(|it| Failure::unresolved(&it, &self.to_string()))?;
            // One that swallows what it is sent leaves time for the others.
            let each = timeout / u32::try_from(open.len()).unwrap_or(u32::MAX).max(1);
            let mut last = late();
            for mut address in open {
                address.set_port(self.port);
                match tokio::time::timeout(each, TcpStream::connect(address)).await {
                    Ok(Ok(stream)) => return Ok(stream),
                    Ok(Err(error)) => last = self.broken(&error),
                    Err(_elapsed) => last = late(),
                }
            }
            Err(last)
        };
        tokio::time::timeout(timeout, connecting)
            .await
            .unwrap_or_else(|_elapsed| Err(late()))
    }

    /// The same connection inside TLS. The other end has shown a certificate that is trusted, and is its own.
    pub async fn secure(&self, stream: Stream) -> Result<Stream, Failure> {
        let connector = TlsConnector::from(Arc::clone(&self.tls));
        match connector.connect(self.name.clone(), stream).await {
            Ok(secured) => Ok(Box::new(secured)),
            Err(error) => Err(self.broken(&error)),
        }
    }

    /// Sorts what a connection to it reports.
    pub fn broken(&self, error: &io::Error) -> Failure {
        Failure::of_stream(error, &self.to_string())
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::net::TcpListener;

    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(5);

    fn remote(host: &str, port: u16, reach: Reach) -> Remote {
        Remote::new(host, port, reach, &[]).unwrap()
    }

    async fn cause(remote: &Remote) -> Cause {
        remote.connect(TIMEOUT).await.unwrap_err().cause
    }

    #[tokio::test]
    async fn c01_only_what_the_reach_allows_is_dialled() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        for host in ["127.0.0.1", "localhost", "::ffff:127.0.0.1"] {
            let stream = remote(host, port, Reach::Private).connect(TIMEOUT).await.unwrap();
            assert_eq!(stream.peer_addr().unwrap().port(), port);
            assert_eq!(
                cause(&remote(host, port, Reach::Public)).await,
                Cause::ForbiddenAddress
            );
        }
        let metadata = remote("169.254.169.254", 25, Reach::Private);
        assert_eq!(cause(&metadata).await, Cause::ForbiddenAddress);
    }

    #[tokio::test]
    async fn who_does_not_listen_or_speaks_no_tls_is_told_apart() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let here = remote("127.0.0.1", port, Reach::Private);
        let stream = here.connect(TIMEOUT).await.unwrap();
        let (mut accepted, _) = listener.accept().await.unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut accepted, b"220 ready\r\n")
            .await
            .unwrap();
        let refused = here.secure(Box::new(stream)).await.err().unwrap();
        assert_eq!(refused.cause, Cause::Tls, "{refused}");
        drop((listener, accepted));
        assert_eq!(cause(&here).await, Cause::Refused);
    }

    #[test]
    fn what_is_no_host_is_refused() {
        for host in ["", "a b", "mail.example.com:25", "https://mail.example.com"] {
            assert_eq!(
                Remote::new(host, 25, Reach::Private, &[]).unwrap_err().cause,
                Cause::BadUrl,
                "{host}"
            );
        }
        assert_eq!(remote("[::1]", 25, Reach::Private).to_string(), "[::1]:25");
    }
}
