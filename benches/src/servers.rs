//! The servers to compare with, each a process of its own: one that only verifies, one with a transaction for each request,
//! and the handler that deliveries go to.

use std::{
    io::{Read as _, Write as _},
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    routing::{get, post},
};
use hmac::Hmac;
use sha2::{Digest as _, Sha256};
use tokio::{
    net::TcpListener,
    sync::{Mutex, mpsc, oneshot},
};
use tokio_postgres::{Client, Statement};

use crate::{
    event,
    rows::{self, Row},
};

/// Connections of the service with a transaction for each request.
const N_CONNECTIONS: usize = 32;

/// Serves until standard input ends, so that no server outlives the run. Says its address first.
fn serve(router: impl Future<Output = anyhow::Result<Router>>) -> anyhow::Result<()> {
    std::thread::spawn(|| {
        let mut rest = Vec::new();
        let _ = std::io::stdin().read_to_end(&mut rest);
        std::process::exit(0);
    });
    crate::runtime()?.block_on(async {
        let router = router.await?;
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
        println!("{}", listener.local_addr()?);
        std::io::stdout().flush()?;
        axum::serve(listener, router).await?;
        Ok(())
    })
}

/// V: the signature, and nothing else.
pub fn verify() -> anyhow::Result<()> {
    async fn receive(State(key): State<Arc<Hmac<Sha256>>>, headers: HeaderMap, body: Bytes) -> StatusCode {
        if event::is_signed(&key, &headers, &body) {
            StatusCode::OK
        } else {
            StatusCode::UNAUTHORIZED
        }
    }
    serve(async {
        Ok(Router::new()
            .route("/", post(receive))
            .with_state(Arc::new(event::key())))
    })
}

/// Counts what it is sent; `GET /` says how many.
pub fn sink() -> anyhow::Result<()> {
    async fn take(State(count): State<Arc<AtomicU64>>, _body: Bytes) -> StatusCode {
        count.fetch_add(1, Ordering::Relaxed);
        StatusCode::OK
    }
    async fn count(State(count): State<Arc<AtomicU64>>) -> String {
        count.load(Ordering::Relaxed).to_string()
    }
    serve(async {
        Ok(Router::new()
            .route("/", get(count).post(take))
            .with_state(Arc::default()))
    })
}

type Waiting = (Row, oneshot::Sender<bool>);

enum Writer {
    Postgres {
        idle: Mutex<mpsc::Receiver<(Client, [Statement; 2])>>,
        back: mpsc::Sender<(Client, [Statement; 2])>,
    },
    Sqlite(mpsc::UnboundedSender<Waiting>),
}

struct Single {
    key: Hmac<Sha256>,
    writer: Writer,
}

/// The same service as one writes it by hand: verify, then one transaction for each request.
pub fn single(url: String) -> anyhow::Result<()> {
    serve(async move {
        let writer = if let Some(path) = url.strip_prefix("sqlite:") {
            sqlite_writer(path.to_owned())?
        } else {
            postgres_writer(&url).await?
        };
        let key = event::key();
        Ok(Router::new()
            .route("/", post(receive))
            .with_state(Arc::new(Single { key, writer })))
    })
}

async fn postgres_writer(url: &str) -> anyhow::Result<Writer> {
    let (back, idle) = mpsc::channel(N_CONNECTIONS);
    for _ in 0..N_CONNECTIONS {
        let client = rows::connect(url).await?;
        let statements = [
            client.prepare(rows::INSERT_EVENT).await?,
            client.prepare(rows::INSERT_DELIVERY).await?,
        ];
        back.send((client, statements)).await?;
    }
    let idle = Mutex::new(idle);
    Ok(Writer::Postgres { idle, back })
}

fn sqlite_writer(path: String) -> anyhow::Result<Writer> {
    let (sender, mut receiver) = mpsc::unbounded_channel::<Waiting>();
    let mut connection = rows::open_sqlite(&path)?;
    std::thread::spawn(move || {
        while let Some((row, answer)) = receiver.blocking_recv() {
            let written = rows::insert_sqlite(&mut connection, std::slice::from_ref(&row));
            let _ = answer.send(written.is_ok());
        }
    });
    Ok(Writer::Sqlite(sender))
}

async fn receive(State(state): State<Arc<Single>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    if !event::is_signed(&state.key, &headers, &body) {
        return StatusCode::UNAUTHORIZED;
    }
    let Some(row) = row_of(&headers, body) else {
        return StatusCode::BAD_REQUEST;
    };
    match state.write(row).await {
        Ok(()) => StatusCode::OK,
        Err(_) => StatusCode::SERVICE_UNAVAILABLE,
    }
}

fn row_of(headers: &HeaderMap, body: Bytes) -> Option<Row> {
    #[derive(serde::Deserialize)]
    struct Named {
        id: String,
    }
    let Named { id } = serde_json::from_slice(&body).ok()?;
    let key = Sha256::digest(id.as_bytes()).into();
    let body_hash = Sha256::digest(&body).into();
    Some(Row::new(id, rows::encoded(headers), body, key, body_hash))
}

impl Single {
    async fn write(&self, row: Row) -> anyhow::Result<()> {
        match &self.writer {
            Writer::Sqlite(sender) => {
                let (answer, written) = oneshot::channel();
                sender.send((row, answer))?;
                anyhow::ensure!(written.await?, "not written");
            }
            Writer::Postgres { idle, back } => {
                let lent = idle.lock().await.recv().await;
                let (client, statements) = lent.expect("this state holds a sender");
                let written = rows::insert_one(&client, &statements, &row).await;
                back.send((client, statements)).await?;
                written?;
            }
        }
        Ok(())
    }
}
