//! Holds what was recorded for a held route or destination meanwhile, and frees what a resume left behind.

use crate::{maintenance::Context, store::error::StoreError};

pub async fn run(context: &Context) -> Result<(), StoreError> {
    context.store.mark_held(context.clock.now()).await?;
    Ok(())
}
