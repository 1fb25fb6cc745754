//! The handler at the other end, and its book of all that came.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use rand::Rng;
use tokio::{
    io::{AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    sync::watch,
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use crate::{
    http::{self, Message},
    letter::{Digest32, Key, Source, digest, fails_at_first, is_doomed},
    pass, plan,
};

/// One request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Hit {
    pub(crate) key: Key,
    pub(crate) event: String,
    /// Which of the processes sent it: its number.
    pub(crate) process: u64,
    pub(crate) attempt: u64,
    pub(crate) hash: Digest32,
    pub(crate) at: Instant,
    /// What it was answered, once that is written.
    pub(crate) answered: Option<u16>,
}

#[derive(Debug)]
pub(crate) struct Sink {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    seed: u64,
    hits: Mutex<Vec<Hit>>,
    /// How often each event came.
    n_by_event: Mutex<HashMap<String, u64>>,
    strange: Mutex<Vec<String>>,
    /// Requests of this process wait, and fail in the end.
    held_process: watch::Sender<Option<u64>>,
    stop: CancellationToken,
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.shared.stop.cancel();
    }
}

enum Reply {
    Status(u16, &'static str),
    Slow(Duration),
    Reset,
}

impl Sink {
    pub(crate) async fn start(seed: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            seed,
            hits: Mutex::default(),
            n_by_event: Mutex::default(),
            strange: Mutex::default(),
            held_process: watch::Sender::new(None),
            stop: CancellationToken::new(),
        });
        tokio::spawn(serve(listener, shared.clone()));
        Self { address, shared }
    }

    pub(crate) fn hits(&self) -> Vec<Hit> {
        self.shared.hits.lock().unwrap().clone()
    }

    /// Requests that no gatepost should ever send.
    pub(crate) fn strange(&self) -> Vec<String> {
        self.shared.strange.lock().unwrap().clone()
    }

    /// What this process sends from now on waits for `release`, and is answered 500 then.
    pub(crate) fn hold(&self, process: u64) {
        self.shared.held_process.send_replace(Some(process));
    }

    pub(crate) fn release(&self) {
        self.shared.held_process.send_replace(None);
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        let accepted = tokio::select! {
            () = shared.stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = accepted else { continue };
        let shared = shared.clone();
        tokio::spawn(async move {
            let stop = shared.stop.clone();
            tokio::select! {
                () = stop.cancelled() => (),
                // A process that was killed breaks its connections.
                _ = connection(stream, &shared) => (),
            }
        });
    }
}

async fn connection(stream: TcpStream, shared: &Shared) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut stream = BufReader::new(stream);
    while let Some(request) = http::read(&mut stream).await? {
        let Some((hit, n_before)) = note(shared, &request) else {
            return Ok(());
        };
        let mut reply = choose(shared.seed, &hit.event, &hit.key.1, n_before);
        let process = hit.process;
        let idx = {
            let mut hits = shared.hits.lock().unwrap();
            hits.push(hit);
            hits.len() - 1
        };
        let mut held = shared.held_process.subscribe();
        if *held.borrow_and_update() == Some(process) {
            let _ = held.wait_for(|it| *it != Some(process)).await;
            reply = Reply::Status(500, "");
        }
        let status = match reply {
            Reply::Status(status, header) => {
                http::answer(stream.get_mut(), status, header).await?;
                status
            }
            Reply::Slow(time) => {
                pass(time).await;
                http::answer(stream.get_mut(), 200, "").await?;
                200
            }
            Reply::Reset => return Ok(()),
        };
        stream.get_mut().flush().await?;
        shared.hits.lock().unwrap()[idx].answered = Some(status);
    }
    Ok(())
}

/// Into the book; how often this event came before.
fn note(shared: &Shared, request: &Message) -> Option<(Hit, u64)> {
    let text = |name: &str| request.header(name).unwrap_or_default().to_owned();
    let hit = Source::of(&text("gatepost-source")).and_then(|source| {
        let key = (source, text("gatepost-external-id"));
        Some(Hit {
            key,
            event: text("webhook-id"),
            process: text("campaign-process").parse().ok()?,
            attempt: text("gatepost-attempt").parse().ok()?,
            hash: digest(&request.body),
            at: Instant::now(),
            answered: None,
        })
    });
    let is_signed = request
        .header("webhook-signature")
        .is_some_and(|it| it.starts_with("v1,"));
    if hit.is_none() || text("gatepost-verified") != "body" || !is_signed {
        shared.strange.lock().unwrap().push(format!("{request:?}"));
    }
    let hit = hit?;
    let mut n_by_event = shared.n_by_event.lock().unwrap();
    let n = n_by_event.entry(hit.event.clone()).or_default();
    *n += 1;
    Some((hit, *n - 1))
}

/// The seed, the event and how often it came decide.
fn choose(seed: u64, event: &str, id: &str, n_before: u64) -> Reply {
    if is_doomed(id) || (fails_at_first(id) && n_before == 0) {
        return Reply::Status(500, "");
    }
    let mut random = plan::random(seed, event, n_before);
    match random.random_range(0..1000) {
        0..25 => Reply::Status(500, ""),
        25..35 => Reply::Status(429, "retry-after: 0\r\n"),
        35..45 => Reply::Status(429, "retry-after: 1\r\n"),
        45..55 => Reply::Status(503, ""),
        55..75 => Reply::Reset,
        75..105 => Reply::Slow(Duration::from_millis(random.random_range(20..300))),
        // Past the destination's timeout.
        105 => Reply::Slow(Duration::from_millis(3300)),
        _ => Reply::Slow(Duration::from_millis(random.random_range(0..4))),
    }
}
