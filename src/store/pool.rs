//! A small pool of connections.
//!
//! sqlx's own pool asks the server whether a connection lives each time that it is lent and each time that it comes
//! back, and hands out connections with an open transaction after a `begin` was dropped (launchbadge/sqlx 4385). This
//! one asks nothing: a connection comes back only when the work on it has ended by itself; any other is closed.

use std::{
    collections::VecDeque,
    fmt,
    ops::{Deref, DerefMut},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use sqlx::{ConnectOptions, Connection, SqlStr, Transaction};
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::{Instant, timeout},
};

use crate::store::{error::StoreError, fault};

/// After a refused connection, how long calls are told so at once instead of knocking again.
const REFUSAL: Duration = Duration::from_millis(200);

/// How often a call is begun at most.
const MAX_TRIES: u32 = 5;

/// How much of the store one kind of work may use.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// For messages: `ingest`, `delivery`, ...
    pub(super) name: &'static str,
    pub(super) n_connections: u32,
    /// The longest wait for a free connection.
    pub(super) patience: Duration,
    /// The longest that one call may keep a connection; afterwards it is closed.
    pub(super) deadline: Duration,
    /// After this long a connection is replaced, so that a moved server is found again.
    pub(super) max_age: Duration,
}

pub(super) struct Pool<C: Connection> {
    options: C::Options,
    limits: Limits,
    /// Set where each call is a transaction of its own: how it begins.
    begin: Option<SqlStr>,
    places: Semaphore,
    idle: Mutex<VecDeque<Open<C>>>,
    refused: Mutex<Option<(Instant, String)>>,
}

struct Open<C> {
    connection: C,
    opened_at: Instant,
}

/// A connection in use. Dropped without `give_back`, it is closed.
pub(super) struct Lent<'a, C: Connection> {
    pool: &'a Pool<C>,
    open: Option<Open<C>>,
    /// It was used before, so the server may have closed it meanwhile.
    is_used: bool,
    _place: SemaphorePermit<'a>,
}

impl<C: Connection> fmt::Debug for Pool<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

impl<C: Connection> Pool<C> {
    pub(super) fn new(options: C::Options, limits: Limits) -> Self {
        Self {
            options,
            limits,
            begin: None,
            places: Semaphore::new(limits.n_connections.max(1) as usize),
            idle: Mutex::new(VecDeque::new()),
            refused: Mutex::new(None),
        }
    }

    /// Each call a transaction of its own, which begins with this statement: for a connection that somebody in between lends for
    /// one transaction only.
    pub(super) fn in_transactions(self, begin: SqlStr) -> Self {
        Self {
            begin: Some(begin),
            ..self
        }
    }

    /// One try at some work, ended by the deadline.
    pub(super) async fn within<T>(
        &self,
        work: impl Future<Output = Result<T, StoreError>>,
    ) -> Option<Result<T, StoreError>> {
        timeout(self.limits.deadline, work).await.ok()
    }

    /// Opens connections ahead of their use.
    pub(super) async fn fill(&self, n_connections: u32) -> Result<(), StoreError> {
        let mut all = Vec::new();
        for _ in 0..n_connections.min(self.limits.n_connections) {
            all.push(self.lend().await?);
        }
        all.into_iter().for_each(Lent::give_back);
        Ok(())
    }

    /// Waits until nothing is lent, then closes all. Later calls get `Unavailable`.
    pub(super) async fn close(&self) {
        let n_connections = self.limits.n_connections.max(1);
        // Fails only where the pool is closed already.
        if let Ok(all) = self.places.acquire_many(n_connections).await {
            let open: Vec<_> = self.idle().drain(..).collect();
            for it in open {
                // Closing politely is all that this adds; a server that is gone has nothing to be told.
                let _ = timeout(Duration::from_secs(2), it.connection.close()).await;
            }
            drop(all);
        }
        self.places.close();
    }

    pub(super) async fn lend(&self) -> Result<Lent<'_, C>, StoreError> {
        let patience = self.limits.patience;
        let Ok(place) = timeout(patience, self.places.acquire()).await else {
            return Err(self.unavailable(format!("all were in use for {patience:?}")));
        };
        let Ok(place) = place else {
            return Err(self.unavailable("closed".to_owned()));
        };
        let idle = self.idle().pop_back();
        if let Some(open) = idle.filter(|it| it.opened_at.elapsed() < self.limits.max_age) {
            return Ok(Lent {
                pool: self,
                open: Some(open),
                is_used: true,
                _place: place,
            });
        }
        let connection = self.connect().await?;
        Ok(Lent {
            pool: self,
            open: Some(Open {
                connection,
                opened_at: Instant::now(),
            }),
            is_used: false,
            _place: place,
        })
    }

    async fn connect(&self) -> Result<C, StoreError> {
        if let Some((at, reason)) = &*self.refused()
            && at.elapsed() < REFUSAL
        {
            return Err(self.unavailable(reason.clone()));
        }
        let result = match timeout(self.limits.patience, self.options.connect()).await {
            Ok(result) => result.map_err(StoreError::from),
            Err(_) => Err(self.unavailable(format!("no connection within {:?}", self.limits.patience))),
        };
        *self.refused() = match &result {
            Ok(_) => None,
            Err(error) => Some((Instant::now(), error.to_string())),
        };
        result
    }

    fn unavailable(&self, reason: String) -> StoreError {
        StoreError::Unavailable {
            reason: format!("{} connections: {reason}", self.limits.name),
            source: None,
        }
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, VecDeque<Open<C>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn refused(&self) -> std::sync::MutexGuard<'_, Option<(Instant, String)>> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection while work is done on it.
pub(super) enum Session<'a, C: Connection> {
    Open(&'a mut C),
    InTransaction(Transaction<'a, C::Database>),
}

impl<C: Connection> Session<'_, C> {
    pub(super) fn connection(&mut self) -> &mut C {
        match self {
            Self::Open(connection) => connection,
            Self::InTransaction(transaction) => transaction,
        }
    }

    /// After the work: where it was a transaction, what it did is kept, or undone if it failed.
    pub(super) async fn end<T>(self, result: Result<T, StoreError>) -> Result<T, StoreError> {
        if let Self::InTransaction(transaction) = self {
            match &result {
                Ok(_) => transaction.commit().await?,
                Err(_) => transaction.rollback().await?,
            }
        }
        result
    }
}

impl<C: Connection> Lent<'_, C> {
    /// For one piece of work.
    pub(super) async fn session(&mut self) -> Result<Session<'_, C>, StoreError> {
        Ok(match self.pool.begin.clone() {
            Some(statement) => Session::InTransaction(self.begin_with(statement).await?),
            None => Session::Open(&mut **self),
        })
    }

    /// Gives the connection back if it may be used again, and says whether the work is over. `None`: try again.
    pub(super) fn finish<T>(
        self,
        result: Option<Result<T, StoreError>>,
        n_tries: u32,
    ) -> Option<Result<T, StoreError>> {
        let Some(result) = result else {
            // Dropped in the middle of something: the connection is closed with it.
            let deadline = self.pool.limits.deadline;
            return Some(Err(self
                .pool
                .unavailable(format!("no answer within {deadline:?}"))));
        };
        let Err(error) = result else {
            self.give_back();
            return Some(result);
        };
        let pool = self.pool;
        let is_retried = n_tries < MAX_TRIES
            && (fault::is_rolled_back(&error) || (self.is_used && fault::is_stale(&error)));
        if fault::is_connection_lost(&error) {
            // The others are from the same time and most likely closed as well.
            pool.idle().clear();
        } else {
            self.give_back();
        }
        if is_retried {
            tracing::debug!(pool = pool.limits.name, n_tries, "trying again: {error}");
            return None;
        }
        Some(Err(error))
    }

    fn give_back(mut self) {
        if let Some(open) = self.open.take() {
            self.pool.idle().push_back(open);
        }
    }
}

/// Runs work on a connection of a pool. A deadlock, a serialization failure, and a connection that turns out to be
/// closed already are met with another try, so the work must do no harm when its first run was committed after all.
///
/// A macro, because a closure's future cannot be shown to be `Send` for every lifetime of the connection.
macro_rules! on {
    ($pool:expr, |$conn:ident| $work:expr) => {{
        let pool = $pool;
        let mut n_tries = 0;
        loop {
            n_tries += 1;
            let mut lent = pool.lend().await?;
            let result = pool.within(async {
                let mut session = lent.session().await?;
                let $conn = session.connection();
                let result = async { $work }.await;
                session.end(result).await
            });
            let result = result.await;
            if let Some(result) = lent.finish(result, n_tries) {
                break result;
            }
        }
    }};
}
pub(super) use on;

impl<C: Connection> Deref for Lent<'_, C> {
    type Target = C;

    fn deref(&self) -> &C {
        &self
            .open
            .as_ref()
            .expect("taken only by `give_back`, which consumes self")
            .connection
    }
}

impl<C: Connection> DerefMut for Lent<'_, C> {
    fn deref_mut(&mut self) -> &mut C {
        &mut self
            .open
            .as_mut()
            .expect("taken only by `give_back`, which consumes self")
            .connection
    }
}
