//! Lines that go into one object together. While one object is on its way the next gathers, and every line waits for its own: none
//! counts as delivered before the object that it is in was put.
//!
//! Nobody leads: whoever waits for an object drives it, so that it goes on when another one who waits goes away.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::{
    FutureExt as _,
    future::{BoxFuture, Shared},
};
use tokio::sync::Notify;

use crate::{base::ids::DeliveryId, destination::SendError};

/// An object that has so many bytes is full.
const MAX_LEN: usize = 8 << 20;

/// What goes into one object.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Lines {
    /// The part of the key that all of them share, as in `2026-11-27`.
    pub day: String,
    /// When the first of them was received, as in `031502`.
    pub time: String,
    pub ids: Vec<DeliveryId>,
    pub text: Vec<u8>,
}

/// One line, and where it belongs.
#[derive(Debug)]
pub struct Line {
    pub day: String,
    pub time: String,
    pub id: DeliveryId,
    pub text: Vec<u8>,
}

/// The key of the object, once it was put.
pub type Putting = Shared<BoxFuture<'static, Result<Arc<str>, SendError>>>;

/// Puts an object.
pub type Put = Arc<dyn Fn(Lines) -> BoxFuture<'static, Result<Arc<str>, SendError>> + Send + Sync>;

/// The object that gathers.
pub struct Batches {
    put: Put,
    /// How long it waits for more, at most.
    gather: Duration,
    /// As many as can wait at once: no more will come.
    max_lines: usize,
    current: Mutex<Option<Batch>>,
    /// One object is on its way at a time.
    turn: Arc<tokio::sync::Mutex<()>>,
}

struct Batch {
    /// `None`: it is on its way.
    lines: Arc<Mutex<Option<Lines>>>,
    full: Arc<Notify>,
    putting: Putting,
}

impl fmt::Debug for Batches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Batches")
    }
}

impl Batches {
    pub fn new(put: Put, gather: Duration, max_lines: usize) -> Self {
        Self {
            put,
            gather,
            max_lines,
            current: Mutex::default(),
            turn: Arc::default(),
        }
    }

    /// Into the object that gathers, or the first of a new one. It must be waited for, or nothing happens.
    pub fn add(&self, line: Line) -> Putting {
        let mut current = lock(&self.current);
        let line = match &*current {
            Some(batch) => match batch.take(line, self.max_lines) {
                None => return batch.putting.clone(),
                Some(line) => line,
            },
            None => line,
        };
        let batch = self.begin(line);
        let putting = batch.putting.clone();
        *current = Some(batch);
        putting
    }

    fn begin(&self, line: Line) -> Batch {
        let lines = Lines {
            day: line.day,
            time: line.time,
            ids: vec![line.id],
            text: line.text,
        };
        let full = Arc::new(Notify::new());
        if self.max_lines <= 1 || lines.text.len() >= MAX_LEN {
            full.notify_one();
        }
        let lines = Arc::new(Mutex::new(Some(lines)));
        let (put, turn, gather) = (Arc::clone(&self.put), Arc::clone(&self.turn), self.gather);
        let (gathered, is_full) = (Arc::clone(&lines), Arc::clone(&full));
        let work = async move {
            let _turn = turn.lock().await;
            // Either is as good: it is full, or has waited long enough.
            let _ = tokio::time::timeout(gather, is_full.notified()).await;
            let lines = lock(&gathered).take();
            put(lines.unwrap_or_default()).await
        };
        Batch {
            lines,
            full,
            putting: work.boxed().shared(),
        }
    }
}

impl Batch {
    /// Gives the line back where it does not belong in here, or comes too late.
    fn take(&self, line: Line, max_lines: usize) -> Option<Line> {
        let mut lines = lock(&self.lines);
        let Some(lines) = lines.as_mut().filter(|it| it.day == line.day) else {
            return Some(line);
        };
        if lines.ids.len() >= max_lines || lines.text.len() >= MAX_LEN {
            return Some(line);
        }
        lines.ids.push(line.id);
        lines.text.extend_from_slice(&line.text);
        if lines.ids.len() >= max_lines || lines.text.len() >= MAX_LEN {
            self.full.notify_one();
        }
        None
    }
}

/// What it guards is whole after every step.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use tokio::sync::Semaphore;

    use super::*;
    use crate::destination::Fate;

    /// Notes what is put; each object waits for a permit first, where there are none.
    struct Store {
        objects: Arc<Mutex<Vec<Lines>>>,
        permits: Arc<Semaphore>,
        begun: Arc<Notify>,
    }

    impl Store {
        fn new(n_permits: usize) -> Self {
            Self {
                objects: Arc::default(),
                permits: Arc::new(Semaphore::new(n_permits)),
                begun: Arc::default(),
            }
        }

        fn batches(&self, gather: Duration, max_lines: usize) -> Batches {
            let (objects, permits) = (Arc::clone(&self.objects), Arc::clone(&self.permits));
            let begun = Arc::clone(&self.begun);
            let put: Put = Arc::new(move |lines| {
                let (objects, permits) = (Arc::clone(&objects), Arc::clone(&permits));
                begun.notify_one();
                async move {
                    permits.acquire().await.unwrap().forget();
                    let mut objects = lock(&objects);
                    objects.push(lines);
                    if objects.len() == 13 {
                        return Err(SendError::new("x", "the thirteenth fails", Fate::Ambiguous));
                    }
                    Ok(objects.len().to_string().into())
                }
                .boxed()
            });
            Batches::new(put, gather, max_lines)
        }

        fn texts(&self) -> Vec<String> {
            let text = |it: &Lines| String::from_utf8(it.text.clone()).unwrap();
            lock(&self.objects).iter().map(text).collect()
        }
    }

    fn line(day: &str, text: &str) -> Line {
        Line {
            day: day.to_owned(),
            time: "120000".to_owned(),
            id: DeliveryId::new(),
            text: text.as_bytes().to_vec(),
        }
    }

    #[tokio::test]
    async fn while_one_object_is_on_its_way_the_next_gathers() {
        let store = Store::new(0);
        let batches = store.batches(Duration::ZERO, 16);
        let first = batches.add(line("d", "a"));
        tokio::select! {
            biased;
            () = store.begun.notified() => (),
            _ = first.clone() => unreachable!("it waits for a permit"),
        }
        let second = batches.add(line("d", "b"));
        let third = batches.add(line("d", "c"));
        store.permits.add_permits(2);
        // The first is nobody's any more, and still the others are put.
        drop(first);
        assert_eq!(&*third.await.unwrap(), &*second.await.unwrap());
        assert_eq!(store.texts().last().unwrap(), "bc");
    }

    #[tokio::test]
    async fn an_object_waits_for_more_until_its_time_is_up_or_it_is_full() {
        let store = Store::new(100);
        // It would wait for an hour.
        let batches = store.batches(Duration::from_hours(1), 3);
        let full = ["a", "b", "c"].map(|it| batches.add(line("d", it)));
        for it in full {
            it.await.unwrap();
        }
        let gather = Duration::from_millis(20);
        let batches = store.batches(gather, 3);
        let started = tokio::time::Instant::now();
        batches.add(line("d", "d")).await.unwrap();
        assert!(started.elapsed() >= gather);
        assert_eq!(store.texts(), ["abc", "d"]);
    }

    #[tokio::test]
    async fn an_object_is_of_one_day() {
        let store = Store::new(100);
        let batches = store.batches(Duration::ZERO, 16);
        let (one, other) = (batches.add(line("d", "a")), batches.add(line("e", "b")));
        let back = batches.add(line("d", "c"));
        for it in [one, other, back] {
            it.await.unwrap();
        }
        assert_eq!(store.texts(), ["a", "b", "c"]);
    }

    #[tokio::test]
    async fn a_failure_is_that_of_every_line_in_the_object_and_of_no_other() {
        let store = Store::new(100);
        let batches = store.batches(Duration::ZERO, 16);
        for n in 1..=14 {
            let both = (batches.add(line("d", "a")), batches.add(line("d", "b")));
            assert_eq!(both.0.await.is_err(), n == 13, "{n}");
            assert_eq!(both.1.await.is_err(), n == 13, "{n}");
        }
    }
}
