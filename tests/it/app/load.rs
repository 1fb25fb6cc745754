//! Senders that never give up, and their book of what was promised to them.

use std::{
    collections::{HashMap, HashSet},
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use tokio::{sync::watch, task::JoinSet, time::MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use crate::app::{
    api::{Answer, Api, client},
    sender::{OTHER_SECRET, Signed, stripe, stripe_with},
    site::Site,
};

/// Chooses everything random of a test; says which it was where the test fails.
pub(crate) struct Seed(pub(crate) u64);

impl Seed {
    #[expect(clippy::disallowed_methods, reason = "tests have no settings to take it from")]
    pub(crate) fn choose() -> Self {
        let given = std::env::var("GATEPOST_TEST_SEED").ok();
        Self(given.map_or_else(rand::random, |it| it.parse().unwrap()))
    }
}

impl Drop for Seed {
    #[expect(clippy::print_stderr, reason = "for whoever has to repeat the failure")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("repeat with GATEPOST_TEST_SEED={}", self.0);
        }
    }
}

/// What the senders were told.
#[derive(Debug, Default)]
pub(crate) struct Book {
    /// Answered with 200: id and body.
    pub(crate) acknowledged: HashMap<String, Vec<u8>>,
    /// 503 with a time to come back.
    pub(crate) n_own_faults: usize,
    /// No answer to a request that may have been read.
    pub(crate) broken: Vec<reqwest::Error>,
    pub(crate) n_refused: usize,
    pub(crate) n_forged: usize,
    /// Answers that nobody should ever get.
    pub(crate) wrong: Vec<String>,
}

/// Senders at work. Each posts the same event until it is taken.
pub(crate) struct Load {
    book: Arc<Mutex<Book>>,
    targets: watch::Sender<Vec<SocketAddr>>,
    stop: CancellationToken,
    senders: JoinSet<()>,
}

/// A sender's own pace: enough to keep batches together, not so much that a debug build falls behind.
const PACE: Duration = Duration::from_millis(10);

impl Load {
    pub(crate) fn start(seed: u64, n_senders: u64) -> Self {
        let mut load = Self {
            book: Arc::default(),
            targets: watch::Sender::new(Vec::new()),
            stop: CancellationToken::new(),
            senders: JoinSet::new(),
        };
        for number in 0..n_senders {
            let sender = Sender {
                number,
                random: StdRng::seed_from_u64(seed.wrapping_add(number)),
                client: client(),
                book: load.book.clone(),
                targets: load.targets.subscribe(),
                stop: load.stop.clone(),
            };
            load.senders.spawn(sender.run());
        }
        load
    }

    /// Where to send from now on; nowhere: they wait.
    pub(crate) fn aim(&self, targets: impl IntoIterator<Item = SocketAddr>) {
        self.targets.send_replace(targets.into_iter().collect());
    }

    pub(crate) fn n_acknowledged(&self) -> usize {
        self.book.lock().unwrap().acknowledged.len()
    }

    /// The ids of what is acknowledged so far.
    pub(crate) fn acknowledged(&self) -> HashSet<String> {
        self.book.lock().unwrap().acknowledged.keys().cloned().collect()
    }

    /// How often a sender was told that it is our own fault.
    pub(crate) fn n_own_faults(&self) -> usize {
        self.book.lock().unwrap().n_own_faults
    }

    /// Waits until so many more are acknowledged.
    pub(crate) async fn progress(&self, n: usize) {
        let wanted = self.n_acknowledged() + n;
        crate::app::eventually("the senders get on", || async {
            (self.n_acknowledged() >= wanted).then_some(())
        })
        .await;
    }

    /// Lets each sender end what it is at.
    pub(crate) async fn finish(mut self) -> Book {
        self.stop.cancel();
        while let Some(ended) = self.senders.join_next().await {
            ended.unwrap();
        }
        std::mem::take(&mut *self.book.lock().unwrap())
    }
}

struct Sender {
    number: u64,
    random: StdRng,
    client: reqwest::Client,
    book: Arc<Mutex<Book>>,
    targets: watch::Receiver<Vec<SocketAddr>>,
    stop: CancellationToken,
}

impl Sender {
    async fn run(mut self) {
        let mut pace = tokio::time::interval(PACE);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut last = None;
        for n in 0_u64.. {
            pace.tick().await;
            if self.stop.is_cancelled() {
                return;
            }
            match (self.random.random_range(0..20), &last) {
                (0 | 1, _) => {
                    let id = format!("forged_{}_{n}", self.number);
                    let body = self.body(&id);
                    self.post_forged(&stripe_with(OTHER_SECRET, body)).await;
                }
                (2, Some((id, body))) => {
                    let (id, body) = (String::clone(id), Vec::clone(body));
                    self.post(&id, body).await;
                }
                _ => {
                    let id = format!("evt_{}_{n}", self.number);
                    let body = self.body(&id);
                    self.post(&id, body.clone()).await;
                    last = Some((id, body));
                }
            }
        }
    }

    /// Not JSON to its end, so that every byte may occur.
    fn body(&mut self, id: &str) -> Vec<u8> {
        let note: String = (0..self.random.random_range(0..1500))
            .map(|_| char::from(self.random.random_range(b'#'..=b'Z')))
            .collect();
        format!(
            r#"{{"id":"{id}","type":"load","note":"{}"}}"#,
            note.replace('\\', "/")
        )
        .into_bytes()
    }

    async fn post(&mut self, id: &str, body: Vec<u8>) {
        loop {
            let Some(api) = self.target().await else { return };
            // Signed anew, as a provider's retry is.
            let answer = api.try_post(&stripe(body.clone())).await;
            if self.note(id, &body, answer) {
                return;
            }
            // A moment, or a new target, whichever comes first.
            let _ = tokio::time::timeout(PACE, self.targets.changed()).await;
            if self.stop.is_cancelled() {
                return;
            }
        }
    }

    /// Whether that was the end of it.
    fn note(&self, id: &str, body: &[u8], answer: Result<Answer, reqwest::Error>) -> bool {
        let mut book = self.book.lock().unwrap();
        match answer {
            Ok(answer) if answer.status == 200 => {
                book.acknowledged.insert(id.to_owned(), body.to_owned());
                return true;
            }
            Ok(answer) if answer.is_own_fault() => book.n_own_faults += 1,
            Ok(answer) => {
                book.wrong.push(format!("{id}: {answer:?}"));
                return true;
            }
            Err(error) if error.is_connect() => book.n_refused += 1,
            Err(error) => book.broken.push(error),
        }
        false
    }

    async fn post_forged(&mut self, signed: &Signed) {
        let Some(api) = self.target().await else { return };
        let answer = api.try_post(signed).await;
        let mut book = self.book.lock().unwrap();
        book.n_forged += 1;
        if let Ok(answer) = answer
            && answer.status != 401
            && !answer.is_own_fault()
        {
            book.wrong.push(format!("a forgery: {answer:?}"));
        }
    }

    async fn target(&mut self) -> Option<Api> {
        let targets = tokio::select! {
            () = self.stop.cancelled() => return None,
            targets = self.targets.wait_for(|it| !it.is_empty()) => targets.unwrap().clone(),
        };
        let public = *targets.choose(&mut self.random).unwrap();
        Some(Api {
            client: self.client.clone(),
            public: Some(public),
            admin: public,
        })
    }
}

/// What must hold whatever happened: all that was acknowledged is there, byte for byte, and was delivered; nothing
/// forged is; nothing is there twice. Says how many deliveries came more than once.
pub(crate) async fn assert_kept(site: &Site, book: &Book) -> usize {
    assert!(book.wrong.is_empty(), "{:?}", book.wrong);
    let mut stored = HashMap::new();
    for event in site.events().await {
        let id = event.external_id.unwrap();
        assert!(id.starts_with("evt_"), "{id} is a forgery");
        assert_eq!(event.verified, "body", "{id}");
        assert!(
            stored.insert(id.clone(), event.body).is_none(),
            "{id} is stored twice"
        );
    }
    for (id, body) in &book.acknowledged {
        assert!(
            stored.get(id) == Some(body),
            "{id} was acknowledged and is not in the store"
        );
    }
    // Stored is to be delivered, acknowledged or not.
    site.receiver
        .until("everything is delivered", |hits| {
            let seen: HashSet<_> = hits.iter().map(|it| it.header("gatepost-external-id")).collect();
            stored.keys().all(|it| seen.contains(it.as_str())).then_some(())
        })
        .await;
    let hits = site.receiver.all_hits();
    for hit in &hits {
        let id = hit.header("gatepost-external-id");
        assert!(stored.get(id).is_some_and(|it| hit.body == it.as_slice()), "{id}");
    }
    hits.len() - stored.len()
}
