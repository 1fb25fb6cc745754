//! A service with a transaction for each request, as one writes it by hand: verify, then write both rows and commit.

use std::sync::Arc;

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    routing::post,
};
use hmac::Hmac;
use sha2::{Digest as _, Sha256};
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio_postgres::{Client, Statement};

use crate::{
    event,
    rows::{self, Row, postgres, sqlite},
    servers::serve,
};

/// Connections to Postgres.
const N_CONNECTIONS: usize = 32;

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

/// Serves it over the store of that URL.
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
            client.prepare(postgres::INSERT_EVENT).await?,
            client.prepare(postgres::INSERT_DELIVERY).await?,
        ];
        back.send((client, statements)).await?;
    }
    let idle = Mutex::new(idle);
    Ok(Writer::Postgres { idle, back })
}

fn sqlite_writer(path: String) -> anyhow::Result<Writer> {
    let (sender, mut receiver) = mpsc::unbounded_channel::<Waiting>();
    let mut connection = sqlite::open(&path)?;
    std::thread::spawn(move || {
        while let Some((row, answer)) = receiver.blocking_recv() {
            let written = sqlite::insert(&mut connection, std::slice::from_ref(&row));
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
                let written = postgres::insert_one(&client, &statements, &row).await;
                back.send((client, statements)).await?;
                written?;
            }
        }
        Ok(())
    }
}
