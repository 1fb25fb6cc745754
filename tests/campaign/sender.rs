//! Senders that do not wait: requests start at a fixed rate, whatever became of those before. What was not answered for is sent
//! again under the same id until it is, as providers do.

use std::{
    collections::{HashMap, HashSet},
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, AtomicUsize, Ordering},
        mpsc,
    },
    time::Duration,
};

use futures_util::future::join_all;
use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use tokio::{io::AsyncWriteExt, io::BufReader, net::TcpStream, sync::watch, time::MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use crate::{
    book::{Book, Hope, Tried},
    http,
    letter::{Letter, Signature, Source, digest},
    pass,
};

/// Longer than gatepost may take for an answer.
const PATIENCE: Duration = Duration::from_secs(8);
/// With so many open, nothing new is begun: it would measure this machine's memory.
const MAX_OPEN: usize = 400;

#[derive(Debug, Clone)]
pub(crate) struct Sender(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    book: Mutex<Book>,
    journal: Mutex<Option<mpsc::Sender<String>>>,
    targets: watch::Sender<Vec<SocketAddr>>,
    /// Those that acknowledged something.
    taken_by: watch::Sender<HashSet<SocketAddr>>,
    idle: Mutex<HashMap<SocketAddr, Vec<BufReader<TcpStream>>>>,
    n_open: AtomicUsize,
    n_skipped: AtomicU64,
    is_paused: watch::Sender<bool>,
    stop: CancellationToken,
    prefix: String,
}

impl Sender {
    /// `prefix` keeps the ids of rounds apart.
    pub(crate) fn start(random: StdRng, prefix: String, rate: u32, journal: mpsc::Sender<String>) -> Self {
        let sender = Self(Arc::new(Shared {
            book: Mutex::default(),
            journal: Mutex::new(Some(journal)),
            targets: watch::Sender::new(Vec::new()),
            taken_by: watch::Sender::new(HashSet::new()),
            idle: Mutex::default(),
            n_open: AtomicUsize::new(0),
            n_skipped: AtomicU64::new(0),
            is_paused: watch::Sender::new(false),
            stop: CancellationToken::new(),
            prefix,
        }));
        tokio::spawn(sender.clone().generate(random, rate));
        sender
    }

    pub(crate) fn book<T>(&self, look: impl FnOnce(&mut Book) -> T) -> T {
        look(&mut self.0.book.lock().unwrap())
    }

    pub(crate) fn prefix(&self) -> &str {
        &self.0.prefix
    }

    /// Where to send from now on; nowhere: what is open waits.
    pub(crate) fn aim(&self, targets: Vec<SocketAddr>) {
        self.0.idle.lock().unwrap().retain(|it, _| targets.contains(it));
        self.0
            .taken_by
            .send_modify(|it| it.retain(|it| targets.contains(it)));
        self.0.targets.send_replace(targets);
    }

    /// Waits for the first acknowledgement by this one.
    pub(crate) async fn until_taken_by(&self, target: SocketAddr) {
        let mut taken_by = self.0.taken_by.subscribe();
        let _ = taken_by.wait_for(|it| it.contains(&target)).await;
    }

    pub(crate) fn n_open(&self) -> usize {
        self.0.n_open.load(Ordering::Relaxed)
    }

    /// Begins nothing new; what is open is sent on.
    pub(crate) fn pause(&self) {
        self.0.is_paused.send_replace(true);
    }

    pub(crate) fn stop(&self) {
        self.0.stop.cancel();
    }

    /// Nothing is promised any more.
    pub(crate) fn close_journal(&self) {
        self.0.journal.lock().unwrap().take();
    }

    async fn generate(self, mut random: StdRng, rate: u32) {
        let mut pace = tokio::time::interval(Duration::from_secs(1) / rate.max(1));
        pace.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let mut recent: Vec<Letter> = Vec::new();
        let mut is_paused = self.0.is_paused.subscribe();
        for n in 0_u64.. {
            tokio::select! {
                () = self.0.stop.cancelled() => return,
                _ = pace.tick() => (),
            }
            if *is_paused.borrow_and_update() {
                return;
            }
            if self.n_open() >= MAX_OPEN {
                self.0.n_skipped.fetch_add(1, Ordering::Relaxed);
                continue;
            }
            self.begin(&mut random, n, &mut recent);
        }
    }

    fn begin(&self, random: &mut StdRng, n: u64, recent: &mut Vec<Letter>) {
        let prefix = self.prefix();
        let id = match random.random_range(0..100) {
            0 => format!("evt_{prefix}_{n}_doomed"),
            1 | 2 => format!("evt_{prefix}_{n}_late"),
            _ => format!("evt_{prefix}_{n}"),
        };
        let source = if random.random_ratio(1, 4) {
            Source::Github
        } else {
            Source::Stripe
        };
        match random.random_range(0..100) {
            // Bad ones, about a tenth of all.
            0..5 => {
                // Under an id that comes genuinely a moment later.
                let forged = Letter::new(random, source, &id, "forged");
                let letter = Letter::new(random, source, &id, "genuine");
                self.spawn(Self::forged_then_genuine, (forged, letter), random);
            }
            5..11 => {
                let forged = Letter::new(random, source, &format!("{id}_forged"), "forged");
                let kinds = [
                    Signature::Strange,
                    Signature::Unsigned,
                    Signature::Swapped,
                    Signature::Stale,
                ];
                let mut kind = *kinds.choose(random).unwrap();
                if source == Source::Github && kind == Signature::Stale {
                    // GitHub signs no time.
                    kind = Signature::Unsigned;
                }
                self.spawn(Self::forged, (forged, kind), random);
            }
            11..19 if !recent.is_empty() => {
                let known = recent.choose(random).unwrap().clone();
                self.spawn(Self::again, (known.clone(), known, Hope::Duplicate), random);
            }
            19..22 if !recent.is_empty() => {
                let known = recent.choose(random).unwrap().clone();
                let other = Letter::new(random, known.source, &known.id, "conflict");
                self.spawn(Self::again, (known, other, Hope::Conflict), random);
            }
            22..30 => {
                // The same id at both sources: two events.
                for source in [Source::Stripe, Source::Github] {
                    let letter = Letter::new(random, source, &id, "genuine");
                    self.spawn(Self::genuine, letter, random);
                }
            }
            30..36 => {
                let letter = Letter::new(random, source, &id, "genuine");
                self.spawn(Self::everywhere, letter, random);
            }
            _ => {
                let letter = Letter::new(random, source, &id, "genuine");
                recent.push(letter.clone());
                if recent.len() > 100 {
                    recent.remove(0);
                }
                self.spawn(Self::genuine, letter, random);
            }
        }
    }

    fn spawn<T: Send + 'static, F: Future<Output = ()> + Send + 'static>(
        &self,
        work: impl FnOnce(Self, T, StdRng) -> F,
        about: T,
        random: &mut StdRng,
    ) {
        let open = Open::new(self);
        let work = work(self.clone(), about, StdRng::from_rng(random));
        tokio::spawn(async move {
            let _open = open;
            work.await;
        });
    }

    pub(crate) async fn genuine(self, letter: Letter, mut random: StdRng) {
        self.book(|it| it.expect(&letter));
        self.insist(&letter, Hope::Taken, &mut random).await;
    }

    async fn forged_then_genuine(self, (forged, letter): (Letter, Letter), mut random: StdRng) {
        self.book(|it| it.expect(&letter));
        self.try_forged(&forged, Signature::Strange, &mut random).await;
        pass(Duration::from_millis(random.random_range(0..20))).await;
        self.insist(&letter, Hope::Taken, &mut random).await;
    }

    async fn forged(self, (forged, signature): (Letter, Signature), mut random: StdRng) {
        self.try_forged(&forged, signature, &mut random).await;
    }

    /// To every replica at the same moment.
    async fn everywhere(self, letter: Letter, mut random: StdRng) {
        self.book(|it| it.expect(&letter));
        let Some(_) = self.target(&mut random).await else {
            return;
        };
        let targets = self.0.targets.borrow().clone();
        // Of several at once, none is the first.
        let first = self.book(|it| it.sending(&letter));
        let is_first = first && targets.len() < 2;
        let posts = targets
            .iter()
            .map(|it| self.post(*it, letter.request(Signature::Right)));
        let all: Vec<_> = join_all(posts).await;
        let mut is_over = false;
        for tried in all {
            is_over |= self.note(&letter, Hope::Taken, is_first, &tried);
        }
        if !is_over {
            self.insist(&letter, Hope::Taken, &mut random).await;
        }
    }

    /// Once it was acknowledged: the same again, or another body under its id.
    async fn again(self, (known, letter, hope): (Letter, Letter, Hope), mut random: StdRng) {
        if self.book(|it| it.events.get(&known.key()).is_none_or(|it| it.event.is_none())) {
            return;
        }
        if hope == Hope::Conflict {
            self.book(|it| it.conflicting.insert(digest(&letter.body)));
        }
        self.insist(&letter, hope, &mut random).await;
    }

    /// Sends it until it is answered for, signed anew each time.
    async fn insist(&self, letter: &Letter, hope: Hope, random: &mut StdRng) {
        while let Some(target) = self.target(random).await {
            let is_first = self.book(|it| it.sending(letter));
            let tried = self.post(target, letter.request(Signature::Right)).await;
            if let Tried::Refused = tried {
                self.book(|it| it.not_sent(letter));
            }
            if self.note(letter, hope, is_first, &tried) {
                if let Tried::Answered(answer) = &tried
                    && answer.status() == 200
                {
                    self.0.taken_by.send_if_modified(|it| it.insert(target));
                }
                return;
            }
            // A moment, or a new target, whichever comes first.
            let mut targets = self.0.targets.subscribe();
            let wait = Duration::from_millis(random.random_range(5..40));
            let _ = tokio::time::timeout(wait, targets.changed()).await;
        }
    }

    async fn try_forged(&self, letter: &Letter, signature: Signature, random: &mut StdRng) {
        self.book(|it| it.forged.insert(digest(&letter.body)));
        let Some(target) = self.target(random).await else {
            return;
        };
        self.book(|it| it.n_forged += 1);
        let tried = self.post(target, letter.request(signature)).await;
        self.note(letter, Hope::Rejected, false, &tried);
    }

    /// Something of it was posted already, and was not answered for.
    pub(crate) fn insist_later(&self, letter: Letter, random: &mut StdRng) {
        self.spawn(
            async |sender: Self, letter: Letter, mut random: StdRng| {
                sender.insist(&letter, Hope::Taken, &mut random).await;
            },
            letter,
            random,
        );
    }

    pub(crate) fn note(&self, letter: &Letter, hope: Hope, is_first: bool, tried: &Tried) -> bool {
        let (is_over, event) = self.book(|it| {
            let is_over = it.note(letter, hope, is_first, tried);
            let event = it.events.get(&letter.key()).and_then(|it| it.event.clone());
            (is_over, event)
        });
        if let Tried::Answered(answer) = tried
            && answer.status() == 200
        {
            let line = serde_json::json!({
                "source": letter.source.name(), "id": letter.id, "sha256": hex::encode(digest(&letter.body)),
                "hope": format!("{hope:?}"), "event": event,
            });
            if let Some(journal) = &*self.0.journal.lock().unwrap() {
                let _ = journal.send(format!("{line}\n"));
            }
        }
        is_over
    }

    /// One of the targets, once there is one. `None` at the end.
    async fn target(&self, random: &mut StdRng) -> Option<SocketAddr> {
        let mut targets = self.0.targets.subscribe();
        let targets = tokio::select! {
            () = self.0.stop.cancelled() => return None,
            targets = targets.wait_for(|it| !it.is_empty()) => targets.ok()?.clone(),
        };
        targets.choose(random).copied()
    }

    /// One request, whole, on a connection that is free.
    pub(crate) async fn post(&self, target: SocketAddr, request: Vec<u8>) -> Tried {
        let idle = self.0.idle.lock().unwrap().get_mut(&target).and_then(Vec::pop);
        let mut stream = match idle {
            Some(stream) => stream,
            None => match TcpStream::connect(target).await {
                Ok(stream) => {
                    let _ = stream.set_nodelay(true);
                    BufReader::new(stream)
                }
                Err(_) => return Tried::Refused,
            },
        };
        let exchange = async {
            stream.get_mut().write_all(&request).await?;
            http::read(&mut stream).await
        };
        match tokio::time::timeout(PATIENCE, exchange).await {
            Ok(Ok(Some(answer))) => {
                if answer.keeps_alive() && self.0.targets.borrow().contains(&target) {
                    let mut idle = self.0.idle.lock().unwrap();
                    idle.entry(target).or_default().push(stream);
                }
                Tried::Answered(answer)
            }
            _ => Tried::Broken,
        }
    }
}

/// Counts what is under way.
struct Open(Sender);

impl Open {
    fn new(sender: &Sender) -> Self {
        sender.0.n_open.fetch_add(1, Ordering::Relaxed);
        Self(sender.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.0.n_open.fetch_sub(1, Ordering::Relaxed);
    }
}
