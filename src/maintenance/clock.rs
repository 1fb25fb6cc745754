//! Asks the store for its time, and rings when this machine's clock is another one: signatures are judged by that.

use std::time::Duration;

use crate::{base::clock::wall_now, maintenance::Context, store::error::StoreError};

/// Less says nothing about a signature, whose tolerance is minutes.
const TOLERABLE: Duration = Duration::from_secs(30);

/// `is_apart`: whether they were last time, so that each change is said once.
pub async fn run(context: &Context, is_apart: &mut bool) -> Result<(), StoreError> {
    context.clock.sync(&context.store).await?;
    let (wall, store) = (wall_now(), context.clock.now());
    let apart = wall.since(store).max(store.since(wall));
    let was_apart = std::mem::replace(is_apart, apart > TOLERABLE);
    if *is_apart && !was_apart {
        tracing::error!(
            apart_s = apart.as_secs(),
            "this machine's clock says {wall}, the store's {store}: genuine signatures may be rejected as stale; set the \
             clock, then accept those requests"
        );
    } else if was_apart && !*is_apart {
        tracing::info!("this machine's clock and the store's agree again");
    }
    Ok(())
}
