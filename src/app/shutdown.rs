//! The end, in order, so that nothing acknowledged is lost, nothing is sent twice and no open request is reset.

use crate::{
    app::build::Built,
    base::trial::{self, Flaw, Point},
};

/// Readiness answers 503 since `stop` fired. Then: the public listener closes and open requests finish (an acknowledgement
/// follows its commit); the pool stops claiming; attempts in flight finish within the grace; the rest are aborted and put
/// back uncounted; results are written; the admin side and the store close.
pub async fn run(mut built: Built) {
    built.stop.cancel();

    built.steps.close_public.cancel();
    trial::point(Point::Stopping);
    built.groups.public.join().await;
    built.ingest.batcher().close();
    built.ingest.rejections().close();
    built.groups.ingest.join().await;
    trial::point(Point::Stopping);

    built.steps.stop_claiming.cancel();
    built.groups.claiming.join().await;
    trial::point(Point::Stopping);
    if trial::has(Flaw::StopAbortsAttempts) {
        built.steps.abort_attempts.cancel();
    }
    let grace = tokio::time::timeout(built.settings.grace, built.groups.attempts.join()).await;
    if grace.is_err() {
        tracing::warn!("attempts still in flight after the grace: putting them back untried");
        built.steps.abort_attempts.cancel();
        built.groups.attempts.join().await;
    }
    built.settler.close();
    built.groups.settling.join().await;
    trial::point(Point::Stopping);

    built.steps.stop_leases.cancel();
    built.steps.close_admin.cancel();
    built.groups.last.join().await;
    built.store.close().await;
    tracing::info!("stopped");
}
