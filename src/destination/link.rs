//! A connection to a broker: made when it is first needed, shared by the attempts, made anew after it broke.

use std::{fmt, sync::Arc, time::Duration};

use tokio::sync::Mutex;

use crate::destination::{Fate, SendError};

/// At most one connection at a time.
pub struct Link<C> {
    current: Mutex<Option<Arc<Held<C>>>>,
}

/// A connection in use. It is closed when the last attempt lets it go.
pub struct Held<C> {
    pub connection: C,
}

impl<C> fmt::Debug for Held<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Held")
    }
}

impl<C> fmt::Debug for Link<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Link")
    }
}

impl<C> Default for Link<C> {
    fn default() -> Self {
        Self {
            current: Mutex::const_new(None),
        }
    }
}

impl<C> Link<C> {
    /// One attempt on the connection, all of it within its time. A connection that says nothing in that time is given up: it may be
    /// broken in a way that nobody reports.
    pub async fn attempt<T>(
        &self,
        timeout: Duration,
        connect: impl AsyncFnOnce() -> Result<C, SendError>,
        work: impl AsyncFnOnce(Arc<Held<C>>) -> Result<T, SendError>,
    ) -> Result<T, SendError> {
        let mut used = None;
        let attempt = async {
            let held = self.get(connect).await?;
            used = Some(Arc::clone(&held));
            work(held).await
        };
        if let Ok(result) = tokio::time::timeout(timeout, attempt).await {
            return result;
        }
        if let Some(held) = used {
            self.lost(&held);
        }
        let explanation = format!("the broker did not confirm within {timeout:?}");
        Err(SendError::new("timeout", explanation, Fate::Ambiguous))
    }

    /// Those who come while it is made wait for it.
    async fn get(
        &self,
        connect: impl AsyncFnOnce() -> Result<C, SendError>,
    ) -> Result<Arc<Held<C>>, SendError> {
        let mut current = self.current.lock().await;
        if let Some(held) = &*current {
            return Ok(Arc::clone(held));
        }
        let held = Arc::new(Held {
            connection: connect().await?,
        });
        *current = Some(Arc::clone(&held));
        Ok(held)
    }

    /// It broke: the next attempt makes a new one. One that was made since stays.
    pub fn lost(&self, broken: &Arc<Held<C>>) {
        // Who has the lock is making a new one.
        if let Ok(mut current) = self.current.try_lock()
            && current.as_ref().is_some_and(|it| Arc::ptr_eq(it, broken))
        {
            *current = None;
        }
    }
}
