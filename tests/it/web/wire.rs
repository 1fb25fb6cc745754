//! A client that sends exactly what it is told, and a server to send it to.

use std::{net::SocketAddr, time::Duration};

use axum::Router;
use gatepost::{
    base::metrics::Metrics,
    web::listener::{self, Limits},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

/// Longer than anything here takes; a test that waits so long has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// Limits that are over soon.
pub(crate) fn limits() -> Limits {
    Limits {
        max_connections: 64,
        max_head: 8 * 1024,
        max_headers: 100,
        head_timeout: Duration::from_secs(1),
        idle_timeout: Duration::from_millis(300),
        drain: Duration::from_secs(5),
        metrics: Metrics::new(),
    }
}

/// A listener on a free port. Dropping it aborts what it serves.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) stop: CancellationToken,
    limits: Limits,
    task: JoinSet<()>,
}

impl Server {
    pub(crate) async fn start(router: Router, limits: Limits) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let mut task = JoinSet::new();
        let (its_limits, its_stop) = (limits.clone(), stop.clone());
        task.spawn(async move { listener::serve(listener, router, &its_limits, its_stop).await });
        Self {
            address,
            stop,
            limits,
            task,
        }
    }

    pub(crate) async fn connect(&self) -> Wire {
        Wire(TcpStream::connect(self.address).await.unwrap())
    }

    /// One connection: sends, and reads one answer.
    pub(crate) async fn ask(&self, request: impl AsRef<[u8]>) -> Answer {
        let mut wire = self.connect().await;
        wire.send(request).await;
        wire.answer().await
    }

    /// Every metric, as text.
    pub(crate) fn metrics(&self) -> String {
        self.limits.metrics.encode()
    }

    /// Waits until it has ended by itself.
    pub(crate) async fn ended(mut self) {
        let ended = tokio::time::timeout(PATIENCE, self.task.join_next()).await;
        ended
            .expect("the listener ends")
            .expect("it was running")
            .unwrap();
    }
}

/// A connection.
pub(crate) struct Wire(pub(crate) TcpStream);

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// The status line and the headers.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (it, value) = line.split_once(':')?;
            it.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|err| panic!("{err}: {self:?}"))
    }
}

impl Wire {
    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.write_all(bytes.as_ref()).await.unwrap();
    }

    /// Sends until the server will have no more of it.
    pub(crate) async fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.0.write_all(bytes.as_ref()).await.is_ok()
    }

    /// Reads one answer; 1xx counts as one.
    pub(crate) async fn answer(&mut self) -> Answer {
        tokio::time::timeout(PATIENCE, self.read_answer())
            .await
            .expect("an answer comes")
    }

    async fn read_answer(&mut self) -> Answer {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let byte = self.0.read_u8().await;
            head.push(byte.unwrap_or_else(|err| panic!("{err} after {:?}", String::from_utf8_lossy(&head))));
        }
        let head = String::from_utf8(head).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let mut answer = Answer {
            status,
            head,
            body: Vec::new(),
        };
        let n_bytes = answer
            .header("content-length")
            .map_or(0, |it| it.parse().unwrap());
        answer.body.resize(n_bytes, 0);
        self.0.read_exact(&mut answer.body).await.unwrap();
        answer
    }

    /// What comes, to the first place where `end` stands.
    pub(crate) async fn until(&mut self, end: &str) -> String {
        let mut bytes = Vec::new();
        let read = async {
            while !bytes.ends_with(end.as_bytes()) {
                bytes.push(self.0.read_u8().await.unwrap());
            }
        };
        tokio::time::timeout(PATIENCE, read).await.expect("it comes");
        String::from_utf8(bytes).unwrap()
    }

    /// Everything until the server closes. A reset fails the test: it can destroy an answer on its way.
    pub(crate) async fn rest(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        tokio::time::timeout(PATIENCE, self.0.read_to_end(&mut bytes))
            .await
            .expect("the server closes")
            .expect("no reset");
        bytes
    }
}
