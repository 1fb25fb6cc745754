//! A hint to the pool of the same process that the store has work for it. Polling is the mechanism; this only makes it quicker.

use std::sync::Arc;

use tokio::sync::Notify;

/// Tells the pool to look at the store now. Clones share everything.
#[derive(Debug, Clone, Default)]
pub struct Wake(Arc<Notify>);

impl Wake {
    pub fn now(&self) {
        self.0.notify_one();
    }

    pub async fn woken(&self) {
        self.0.notified().await;
    }
}
