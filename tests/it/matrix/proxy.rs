//! A proxy between gatepost and Postgres that breaks what goes through it, at the place that a test names.

use std::{
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use sqlx::postgres::PgConnectOptions;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream, UnixStream},
    sync::watch,
    task::{JoinHandle, JoinSet},
};
use url::Url;

/// What happens to bytes from now on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Pass,
    /// Every piece that gatepost sends arrives that much later.
    Slow(Duration),
    /// Bytes in these directions vanish, and the connections that lost some are dead for ever without a word.
    Silent {
        to_server: bool,
        to_client: bool,
    },
    /// New connections end at once, with a reset.
    Refuse,
}

/// How a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Reset,
    Closed,
}

/// Which side of the server's answer a marked statement is cut on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    /// The server never sees it.
    BeforeItIsSent,
    /// The server has committed it and says so; gatepost never hears that.
    AfterItsCommit,
}

#[derive(Debug)]
pub(crate) struct Proxy {
    url: String,
    shared: Arc<Shared>,
    serving: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    server: Mutex<PgConnectOptions>,
    mode: watch::Sender<Mode>,
    /// Which time it is that all connections are cut, and how.
    cut: watch::Sender<(usize, End)>,
    marks: Mutex<Vec<Mark>>,
    n_connections: AtomicUsize,
    n_cut: watch::Sender<usize>,
}

#[derive(Debug)]
struct Mark {
    text: Vec<u8>,
    moment: Moment,
    n_times: usize,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Proxy {
    #[expect(clippy::disallowed_methods, reason = "ended by drop")]
    pub(crate) async fn start(server: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let shared = Arc::new(Shared {
            server: Mutex::new(server.parse().unwrap()),
            mode: watch::Sender::new(Mode::Pass),
            cut: watch::Sender::new((0, End::Reset)),
            marks: Mutex::default(),
            n_connections: AtomicUsize::new(0),
            n_cut: watch::Sender::new(0),
        });
        let url = url_of(server, listener.local_addr().unwrap().port());
        let serving = tokio::spawn(serve(listener, Arc::clone(&shared)));
        Self { url, shared, serving }
    }

    /// The server's URL, by way of this.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Where new connections lead from now on.
    pub(crate) fn lead_to(&self, server: &str) {
        *self.shared.server.lock().unwrap() = server.parse().unwrap();
    }

    pub(crate) fn set(&self, mode: Mode) {
        self.shared.mode.send_replace(mode);
    }

    /// Ends every connection now.
    pub(crate) fn cut(&self, end: End) {
        self.shared.cut.send_modify(|it| *it = (it.0 + 1, end));
    }

    /// Cuts the connection of the next statements that hold this text, so many times.
    pub(crate) fn cut_at(&self, text: &str, moment: Moment, n_times: usize) {
        let text = text.as_bytes().to_vec();
        self.shared.marks.lock().unwrap().push(Mark {
            text,
            moment,
            n_times,
        });
    }

    /// How many connections were begun so far.
    pub(crate) fn n_connections(&self) -> usize {
        self.shared.n_connections.load(Ordering::Relaxed)
    }

    /// How many statements were cut at a mark so far.
    pub(crate) fn n_cut(&self) -> usize {
        *self.shared.n_cut.borrow()
    }
}

fn url_of(server: &str, port: u16) -> String {
    let mut url = Url::parse(server).unwrap();
    let kept: Vec<_> = url
        .query_pairs()
        .filter(|(name, _)| !["host", "port", "sslmode"].contains(&&**name))
        .map(|(name, value)| format!("{name}={value}"))
        .chain(["sslmode=disable".to_owned()])
        .collect();
    url.set_query(Some(&kept.join("&")));
    url.set_host(Some("127.0.0.1")).unwrap();
    url.set_port(Some(port)).unwrap();
    url.into()
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let mut relays = JoinSet::new();
    loop {
        let (client, _) = listener.accept().await.unwrap();
        shared.n_connections.fetch_add(1, Ordering::Relaxed);
        relays.spawn(relay(client, Arc::clone(&shared)));
    }
}

trait Wire: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Wire for T {}

async fn connect(server: &PgConnectOptions) -> io::Result<Box<dyn Wire>> {
    if let Some(directory) = server.get_socket() {
        let path = directory.join(format!(".s.PGSQL.{}", server.get_port()));
        return Ok(Box::new(UnixStream::connect(path).await?));
    }
    let stream = TcpStream::connect((server.get_host(), server.get_port())).await?;
    stream.set_nodelay(true)?;
    Ok(Box::new(stream))
}

async fn relay(mut client: TcpStream, shared: Arc<Shared>) {
    // Whatever fails here is a connection that ends, which is what it is for.
    let _ = client.set_nodelay(true);
    let mut cut = shared.cut.subscribe();
    let server = shared.server.lock().unwrap().clone();
    let is_refused = *shared.mode.borrow() == Mode::Refuse;
    let Some(server) = connect(&server).await.ok().filter(|_| !is_refused) else {
        let _ = client.set_zero_linger();
        return;
    };
    let end = {
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = tokio::io::split(server);
        // A marked statement was sent: the answer to it is swallowed.
        let is_marked = watch::Sender::new(false);
        tokio::select! {
            _ = cut.changed() => cut.borrow().1,
            end = send(from_client, to_server, &shared, &is_marked) => end,
            end = answer(from_server, to_client, &shared, &is_marked) => end,
        }
    };
    if end == End::Reset {
        let _ = client.set_zero_linger();
    }
}

async fn send(
    mut client: impl AsyncRead + Unpin,
    mut server: impl AsyncWrite + Unpin,
    shared: &Shared,
    is_marked: &watch::Sender<bool>,
) -> End {
    let mut buffer = vec![0; 1 << 16];
    loop {
        let Ok(n_bytes @ 1..) = client.read(&mut buffer).await else {
            return End::Closed;
        };
        let piece = &buffer[..n_bytes];
        let mut mode = shared.mode.subscribe();
        let now = *mode.borrow_and_update();
        match now {
            Mode::Silent { to_server: true, .. } => return vanish(client, mode).await,
            // Until then, or until another mode is set.
            Mode::Slow(delay) => drop(tokio::time::timeout(delay, mode.changed()).await),
            _ => (),
        }
        match shared.mark_in(piece) {
            Some(Moment::BeforeItIsSent) => {
                shared.n_cut.send_modify(|it| *it += 1);
                return End::Reset;
            }
            Some(Moment::AfterItsCommit) => drop(is_marked.send_replace(true)),
            None => (),
        }
        if server.write_all(piece).await.is_err() {
            return End::Closed;
        }
    }
}

/// All that comes is lost. Once gatepost has given up and bytes get through again, the server's keepalive finds nobody.
async fn vanish(mut client: impl AsyncRead + Unpin, mut mode: watch::Receiver<Mode>) -> End {
    let _ = tokio::io::copy(&mut client, &mut tokio::io::sink()).await;
    let _ = mode
        .wait_for(|it| !matches!(it, Mode::Silent { to_server: true, .. }))
        .await;
    End::Closed
}

async fn answer(
    mut server: impl AsyncRead + Unpin,
    mut client: impl AsyncWrite + Unpin,
    shared: &Shared,
    is_marked: &watch::Sender<bool>,
) -> End {
    /// ReadyForQuery, outside a transaction: all that was asked is committed.
    const READY: &[u8] = b"Z\0\0\0\x05I";
    let mut buffer = vec![0; 1 << 16];
    loop {
        let Ok(n_bytes @ 1..) = server.read(&mut buffer).await else {
            return End::Closed;
        };
        let piece = &buffer[..n_bytes];
        if matches!(*shared.mode.borrow(), Mode::Silent { to_client: true, .. }) {
            std::future::pending::<()>().await;
        }
        if *is_marked.borrow() {
            if piece.ends_with(READY) {
                shared.n_cut.send_modify(|it| *it += 1);
                return End::Reset;
            }
        } else if client.write_all(piece).await.is_err() {
            return End::Closed;
        }
    }
}

impl Shared {
    fn mark_in(&self, piece: &[u8]) -> Option<Moment> {
        let mut marks = self.marks.lock().unwrap();
        let found = marks
            .iter_mut()
            .find(|it| it.n_times > 0 && piece.windows(it.text.len()).any(|part| part == it.text))?;
        found.n_times -= 1;
        Some(found.moment)
    }
}
