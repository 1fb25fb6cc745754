//! The least that a receiver may do which answers for what is on the disk: verify, append to a file, and answer all that one
//! `fdatasync` covers.

use std::{
    fs::File,
    io::{Seek as _, SeekFrom, Write as _},
    sync::{Arc, mpsc},
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    routing::post,
};
use hmac::Hmac;
use sha2::Sha256;
use tokio::sync::oneshot;

use crate::{event, servers::serve};

/// Written ahead, so that nothing but data is to be synced; begun anew at its end.
const N_BYTES: usize = 128 << 20;

type Waiting = (Bytes, oneshot::Sender<()>);

struct Log {
    key: Hmac<Sha256>,
    writer: mpsc::Sender<Waiting>,
}

/// Serves it over a new file of that path.
pub fn log(path: String) -> anyhow::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(&vec![0; N_BYTES])?;
    file.sync_all()?;
    let (writer, waiting) = mpsc::channel();
    std::thread::spawn(move || write(file, &waiting));
    serve(async move {
        let key = event::key();
        Ok(Router::new()
            .route("/", post(receive))
            .with_state(Arc::new(Log { key, writer })))
    })
}

/// Ends at the first fault: then nobody is answered any more, and the measurement fails.
fn write(mut file: File, waiting: &mpsc::Receiver<Waiting>) -> std::io::Result<()> {
    let (mut batch, mut answers) = (Vec::new(), Vec::new());
    while let Ok(first) = waiting.recv() {
        for (body, answer) in std::iter::once(first).chain(waiting.try_iter()) {
            batch.extend_from_slice(&body);
            answers.push(answer);
        }
        if usize::try_from(file.stream_position()?).is_ok_and(|at| at + batch.len() > N_BYTES) {
            file.seek(SeekFrom::Start(0))?;
        }
        file.write_all(&batch)?;
        file.sync_data()?;
        batch.clear();
        for it in answers.drain(..) {
            // A sender that is gone waits for nothing.
            let _ = it.send(());
        }
    }
    Ok(())
}

async fn receive(State(log): State<Arc<Log>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    if !event::is_signed(&log.key, &headers, &body) {
        return StatusCode::UNAUTHORIZED;
    }
    let (answer, written) = oneshot::channel();
    if log.writer.send((body, answer)).is_ok() && written.await.is_ok() {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    }
}
