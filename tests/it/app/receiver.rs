//! The handler at the other end: answers as it is told, keeps what it got, and lets a test wait for it.

use std::{
    collections::{HashMap, VecDeque},
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{Router, body::Body, extract::State, response::Response};
use bytes::Bytes;
use http::{HeaderMap, Request};
use tokio::{net::TcpListener, sync::watch, task::JoinHandle, time::Instant};

use crate::app::soon;

/// What a handler does with one request.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    Status(u16),
    With(u16, &'static str, String),
    /// With a body.
    Says(u16, Bytes),
    /// Answers 200 after a while, or once `Receiver::open` was called.
    Slow(Duration),
    /// Never answers.
    Hang,
    /// Answers 200 once `Receiver::open` was called.
    Gate,
}

/// One request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Hit {
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) at: Instant,
}

impl Hit {
    /// The only value of a header.
    pub(crate) fn header(&self, name: &str) -> &str {
        let values: Vec<_> = self.headers.get_all(name).iter().collect();
        assert_eq!(values.len(), 1, "`{name}` of {:?}", self.headers);
        values[0].to_str().unwrap()
    }
}

/// Serves until it is dropped.
#[derive(Debug)]
pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
    serving: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State_>,
    n_hits: watch::Sender<usize>,
    is_open: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct State_ {
    hits: Vec<Hit>,
    scripts: HashMap<String, VecDeque<Reply>>,
    always: HashMap<String, Reply>,
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Receiver {
    #[expect(clippy::disallowed_methods, reason = "ended by drop")]
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::<Shared>::default();
        let router = Router::new().fallback(handle).with_state(shared.clone());
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self {
            address,
            shared,
            serving,
        }
    }

    /// The next answers to requests of this path; 200, or what `always` says, after them.
    pub(crate) fn script(&self, path: &str, replies: impl IntoIterator<Item = Reply>) {
        let mut state = self.shared.state.lock().unwrap();
        state.scripts.entry(path.to_owned()).or_default().extend(replies);
    }

    pub(crate) fn always(&self, path: &str, reply: Reply) {
        let mut state = self.shared.state.lock().unwrap();
        state.always.insert(path.to_owned(), reply);
    }

    /// Lets all go that wait at a gate, now and later.
    pub(crate) fn open(&self) {
        self.shared.is_open.send_replace(true);
    }

    pub(crate) fn hits(&self, path: &str) -> Vec<Hit> {
        let state = self.shared.state.lock().unwrap();
        state.hits.iter().filter(|it| it.path == path).cloned().collect()
    }

    pub(crate) fn all_hits(&self) -> Vec<Hit> {
        self.shared.state.lock().unwrap().hits.clone()
    }

    /// Waits until at least so many requests came to this path.
    pub(crate) async fn arrived(&self, path: &str, n: usize) -> Vec<Hit> {
        self.until(&format!("{n} requests to {path}"), |hits| {
            let hits: Vec<_> = hits.iter().filter(|it| it.path == path).cloned().collect();
            (hits.len() >= n).then_some(hits)
        })
        .await
    }

    /// Waits until what came so far is enough; asked again at each arrival.
    pub(crate) async fn until<T>(&self, what: &str, mut look: impl FnMut(&[Hit]) -> Option<T>) -> T {
        let mut n_hits = self.shared.n_hits.subscribe();
        soon(what, async {
            loop {
                n_hits.mark_unchanged();
                let found = look(&self.shared.state.lock().unwrap().hits);
                if let Some(found) = found {
                    return found;
                }
                n_hits.changed().await.unwrap();
            }
        })
        .await
    }
}

async fn handle(State(shared): State<Arc<Shared>>, request: Request<Body>) -> Response {
    let (head, body) = request.into_parts();
    let path = head.uri.path().to_owned();
    let Ok(body) = axum::body::to_bytes(body, usize::MAX).await else {
        // The sender was killed in the middle: nothing arrived.
        return answer(400, None);
    };
    let reply = {
        let mut state = shared.state.lock().unwrap();
        state.hits.push(Hit {
            path: path.clone(),
            headers: head.headers,
            body,
            at: Instant::now(),
        });
        let scripted = state.scripts.get_mut(&path).and_then(VecDeque::pop_front);
        scripted.or_else(|| state.always.get(&path).cloned())
    };
    shared.n_hits.send_modify(|it| *it += 1);
    match reply.unwrap_or(Reply::Status(200)) {
        Reply::Status(status) => answer(status, None),
        Reply::With(status, name, value) => answer(status, Some((name, value))),
        Reply::Says(status, body) => Response::builder().status(status).body(Body::from(body)).unwrap(),
        Reply::Slow(wait) => {
            // Either is as good.
            let _ = tokio::time::timeout(wait, opened(&shared)).await;
            answer(200, None)
        }
        Reply::Hang => std::future::pending().await,
        Reply::Gate => {
            opened(&shared).await;
            answer(200, None)
        }
    }
}

async fn opened(shared: &Shared) {
    let mut is_open = shared.is_open.subscribe();
    is_open.wait_for(|it| *it).await.unwrap();
}

fn answer(status: u16, header: Option<(&'static str, String)>) -> Response {
    let mut response = Response::builder().status(status);
    if let Some((name, value)) = header {
        response = response.header(name, value);
    }
    response.body(Body::from("noted")).unwrap()
}
