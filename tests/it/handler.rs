//! A handler on port 0 that speaks bytes, so that it can answer what no HTTP server would.

use std::{
    future::Future,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};

/// Accepts connections until it is dropped.
#[derive(Debug)]
pub(crate) struct Handler {
    pub(crate) address: SocketAddr,
    n_connections: Arc<AtomicUsize>,
    accepting: tokio::task::JoinHandle<()>,
}

impl Drop for Handler {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Handler {
    /// `serve` gets every connection with its number, from 0.
    pub(crate) async fn start<S, F>(serve: S) -> Self
    where
        S: Fn(TcpStream, usize) -> F + Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        Self::start_at("127.0.0.1:0".parse().unwrap(), serve).await
    }

    /// On an address of the test's choice.
    #[expect(clippy::disallowed_methods, reason = "a test's task ends with its runtime")]
    pub(crate) async fn start_at<S, F>(address: SocketAddr, serve: S) -> Self
    where
        S: Fn(TcpStream, usize) -> F + Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let n_connections = Arc::new(AtomicUsize::new(0));
        let counted = n_connections.clone();
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let number = counted.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(serve(stream, number));
            }
        });
        Self {
            address,
            n_connections,
            accepting,
        }
    }

    /// Gives each request of each connection the same answer, and hands the requests out.
    pub(crate) async fn answering(answer: impl Into<Vec<u8>>) -> (Self, mpsc::UnboundedReceiver<Received>) {
        let answer: Arc<[u8]> = answer.into().into();
        let (sender, receiver) = mpsc::unbounded_channel();
        let handler = Self::start(move |mut stream, _| {
            let (answer, sender) = (answer.clone(), sender.clone());
            async move {
                while let Some(received) = read_request(&mut stream).await {
                    let _ = sender.send(received);
                    if stream.write_all(&answer).await.is_err() {
                        break;
                    }
                }
            }
        })
        .await;
        (handler, receiver)
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn n_connections(&self) -> usize {
        self.n_connections.load(Ordering::SeqCst)
    }
}

/// One request as its bytes came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Received {
    /// Request line and headers, without the blank line at the end.
    pub(crate) head: Vec<u8>,
    pub(crate) body: Vec<u8>,
}

impl Received {
    pub(crate) fn lines(&self) -> Vec<String> {
        let text: String = self.head.iter().map(|&it| char::from(it)).collect();
        text.split("\r\n").map(str::to_owned).collect()
    }

    /// All values of one header.
    pub(crate) fn header(&self, name: &str) -> Vec<String> {
        self.lines()
            .iter()
            .skip(1)
            .filter_map(|it| it.split_once(": "))
            .filter(|(it, _)| it.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.to_owned())
            .collect()
    }
}

/// Reads one request with a `content-length`; `None` at the end of the connection.
pub(crate) async fn read_request(stream: &mut (impl AsyncRead + Unpin)) -> Option<Received> {
    let mut bytes = Vec::new();
    let head_len = loop {
        if let Some(at) = bytes.windows(4).position(|it| it == b"\r\n\r\n") {
            break at;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let mut received = Received {
        head: bytes[..head_len].to_vec(),
        body: bytes[head_len + 4..].to_vec(),
    };
    let length = received
        .header("content-length")
        .first()
        .map_or(0, |it| it.parse().unwrap());
    while received.body.len() < length {
        if stream.read_buf(&mut received.body).await.ok()? == 0 {
            return None;
        }
    }
    assert_eq!(received.body.len(), length, "more came than was announced");
    Some(received)
}
