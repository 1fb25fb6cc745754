//! A way to Postgres that can be made to swallow everything, in both directions, without a word.

use std::{net::SocketAddr, path::PathBuf};

use sqlx::postgres::PgConnectOptions;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream, UnixStream},
    sync::watch,
    task::JoinSet,
};

use crate::app::site::Site;

/// Ends with its test.
pub(crate) struct BlackHole {
    address: SocketAddr,
    is_open: watch::Sender<bool>,
    _tasks: JoinSet<()>,
}

#[derive(Clone)]
enum Server {
    Socket(PathBuf),
    Address(String, u16),
}

impl BlackHole {
    /// In front of the site's Postgres, for what is started from now on.
    pub(crate) async fn before(site: &mut Site) -> Self {
        let options: PgConnectOptions = site.store_url().parse().unwrap();
        let port = options.get_port();
        let server = match options.get_socket() {
            Some(directory) => Server::Socket(directory.join(format!(".s.PGSQL.{port}"))),
            None => Server::Address(options.get_host().to_owned(), port),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (is_open, _) = watch::channel(true);
        let mut tasks = JoinSet::new();
        let hole = Self {
            address: listener.local_addr().unwrap(),
            is_open: is_open.clone(),
            _tasks: {
                tasks.spawn(accept(listener, server, is_open));
                tasks
            },
        };
        let user = options.get_username();
        let database = options.get_database().unwrap();
        let url = format!("postgres://{user}@{}/{database}?sslmode=disable", hole.address);
        site.set("GATEPOST__STORE__URL", &url);
        hole
    }

    /// Swallows from now on.
    pub(crate) fn close(&self) {
        self.is_open.send_replace(false);
    }

    pub(crate) fn open(&self) {
        self.is_open.send_replace(true);
    }
}

async fn accept(listener: TcpListener, server: Server, is_open: watch::Sender<bool>) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        connections.spawn(carry(client, server.clone(), is_open.subscribe()));
    }
}

async fn carry(client: TcpStream, server: Server, is_open: watch::Receiver<bool>) {
    let (from_client, to_client) = client.into_split();
    match server {
        Server::Socket(path) => {
            let (from_server, to_server) = UnixStream::connect(path).await.unwrap().into_split();
            tokio::select! {
                () = pass(from_client, to_server, is_open.clone()) => (),
                () = pass(from_server, to_client, is_open) => (),
            }
        }
        Server::Address(host, port) => {
            let server = TcpStream::connect((host, port)).await.unwrap();
            let (from_server, to_server) = server.into_split();
            tokio::select! {
                () = pass(from_client, to_server, is_open.clone()) => (),
                () = pass(from_server, to_client, is_open) => (),
            }
        }
    }
}

/// What comes while it is closed waits, as in a network that will be mended.
async fn pass(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut is_open: watch::Receiver<bool>,
) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(n_bytes @ 1..) = from.read(&mut buffer).await {
        if is_open.wait_for(|it| *it).await.is_err() || to.write_all(&buffer[..n_bytes]).await.is_err() {
            return;
        }
    }
}
