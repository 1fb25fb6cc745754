//! A TCP proxy that breaks things: between gatepost and its store, and between gatepost and its handler.

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream, UnixStream},
    sync::watch,
};
use tokio_util::sync::CancellationToken;

use crate::{pass, plan::Fault};

/// Where it leads.
#[derive(Debug, Clone)]
pub(crate) enum Upstream {
    Tcp(String),
    Unix(PathBuf),
}

#[derive(Debug, Clone, Default)]
enum Mode {
    #[default]
    Pass,
    Delay(Duration),
    /// Bytes left, over all connections.
    Budget(Arc<AtomicI64>),
    BlackHole,
    HalfOpen,
}

#[derive(Debug)]
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    mode: watch::Sender<Mode>,
    /// Cancelled: every connection is cut.
    cut: watch::Sender<CancellationToken>,
    stop: CancellationToken,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Proxy {
    pub(crate) async fn start(upstream: Upstream) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stop = CancellationToken::new();
        let proxy = Self {
            address: listener.local_addr().unwrap(),
            mode: watch::Sender::default(),
            cut: watch::Sender::new(stop.child_token()),
            stop,
        };
        let serving = serve(
            listener,
            upstream,
            proxy.mode.clone(),
            proxy.cut.clone(),
            proxy.stop.clone(),
        );
        tokio::spawn(serving);
        proxy
    }

    /// Suffers this, and is whole again in the end.
    pub(crate) async fn suffer(&self, fault: Fault) {
        match fault {
            Fault::CutNow => self.cut(),
            Fault::CutAfter(n_bytes) => {
                let left = Arc::new(AtomicI64::new(i64::try_from(n_bytes).unwrap()));
                self.mode.send_replace(Mode::Budget(left.clone()));
                let is_spent = crate::until(Duration::from_millis(300), || async {
                    (left.load(Ordering::Relaxed) < 0).then_some(())
                });
                is_spent.await;
                self.cut();
            }
            Fault::Delay(time) => {
                self.mode.send_replace(Mode::Delay(time));
                pass(Duration::from_millis(200)).await;
            }
            Fault::BlackHole(time) => self.silence(Mode::BlackHole, time).await,
            Fault::HalfOpen(time) => self.silence(Mode::HalfOpen, time).await,
        }
        self.mode.send_replace(Mode::Pass);
    }

    async fn silence(&self, mode: Mode, time: Duration) {
        self.mode.send_replace(mode);
        pass(time).await;
        // Bytes are missing by now.
        self.cut();
    }

    fn cut(&self) {
        let next = self.stop.child_token();
        self.cut.send_replace(next).cancel();
    }
}

async fn serve(
    listener: TcpListener,
    upstream: Upstream,
    mode: watch::Sender<Mode>,
    cut: watch::Sender<CancellationToken>,
    stop: CancellationToken,
) {
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((client, _)) = accepted else { continue };
        let _ = client.set_nodelay(true);
        let (upstream, mode, cut) = (upstream.clone(), mode.clone(), cut.borrow().clone());
        tokio::spawn(async move {
            let joined = async {
                match upstream {
                    Upstream::Tcp(address) => match TcpStream::connect(address).await {
                        Ok(server) => {
                            let _ = server.set_nodelay(true);
                            join(client.into_split(), server.into_split(), &mode).await;
                        }
                        Err(_) => drop(client),
                    },
                    Upstream::Unix(path) => match UnixStream::connect(path).await {
                        Ok(server) => join(client.into_split(), server.into_split(), &mode).await,
                        Err(_) => drop(client),
                    },
                }
            };
            tokio::select! {
                () = cut.cancelled() => (),
                () = joined => (),
            }
        });
    }
}

async fn join<A, B, C, D>(
    (from_client, to_client): (A, B),
    (from_server, to_server): (C, D),
    mode: &watch::Sender<Mode>,
) where
    A: AsyncRead + Unpin,
    B: AsyncWrite + Unpin,
    C: AsyncRead + Unpin,
    D: AsyncWrite + Unpin,
{
    // An end of one direction is passed on; the connection ends with both, or with a cut.
    tokio::join!(
        pump(from_client, to_server, mode, false),
        pump(from_server, to_client, mode, true)
    );
}

async fn pump<R, W>(mut from: R, mut to: W, mode: &watch::Sender<Mode>, is_answer: bool)
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(n @ 1..) = from.read(&mut buffer).await {
        let now = mode.borrow().clone();
        let n_passing = match now {
            Mode::Pass => n,
            Mode::Delay(time) => {
                pass(time).await;
                n
            }
            Mode::BlackHole => 0,
            Mode::HalfOpen if is_answer => 0,
            Mode::HalfOpen => n,
            Mode::Budget(left) => {
                let before = left.fetch_sub(i64::try_from(n).unwrap(), Ordering::Relaxed);
                usize::try_from(before.max(0)).unwrap().min(n)
            }
        };
        if to.write_all(&buffer[..n_passing]).await.is_err() {
            return;
        }
    }
    let _ = to.shutdown().await;
}
