//! The whole of gatepost on both stores: real sockets, a real handler, real processes that are really killed.

mod accept;
mod access;
pub(crate) mod api;
mod browser;
pub(crate) mod bulk;
mod commit;
mod crash;
mod dashboard;
mod delivery;
mod described;
mod destinations;
mod doctor;
pub(crate) mod faults;
mod flow;
mod handover;
mod hostile;
pub(crate) mod issues;
pub(crate) mod load;
mod logs;
// Its server is started as the brokers' are, which a build without any of them leaves out.
#[cfg(any(
    feature = "amqp",
    feature = "aws",
    feature = "kafka",
    feature = "nats",
    feature = "redis"
))]
mod mail;
pub(crate) mod operate;
pub(crate) mod process;
mod providers;
mod queues;
pub(crate) mod receiver;
mod reload;
mod replicas;
mod routes;
pub(crate) mod sender;
mod shutdown;
mod sign_on;
pub(crate) mod site;
mod tokens;
mod traces;

use std::time::Duration;

use tokio::time::Instant;

/// One case, run on either store. The body starts what it needs on `site`, and ends it with `finish`.
macro_rules! app_case {
    ($name:ident, |$site:ident| $body:block) => {
        mod $name {
            #[allow(unused_imports, reason = "a short case may need nothing")]
            use super::*;

            async fn case(#[allow(unused_mut, reason = "not every case changes it")] mut $site: crate::app::site::Site) $body

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                case(crate::app::site::Site::sqlite().await).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                case(crate::app::site::Site::postgres().await).await;
            }
        }
    };
}
pub(crate) use app_case;

/// Nothing here should take so long; a machine that is busy may.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Asks until the answer is there. For states that only another process or the store can tell; everything that this
/// process can be told of is waited for without asking.
pub(crate) async fn eventually<T, F: Future<Output = Option<T>>>(
    what: &str,
    mut ask: impl FnMut() -> F,
) -> T {
    let deadline = Instant::now() + PATIENCE;
    let mut pace = tokio::time::interval(Duration::from_millis(15));
    loop {
        pace.tick().await;
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(Instant::now() < deadline, "never came true: {what}");
    }
}

/// Fails the test where something hangs.
pub(crate) async fn soon<T>(what: &str, wait: impl Future<Output = T>) -> T {
    let answer = tokio::time::timeout(PATIENCE, wait).await;
    answer.unwrap_or_else(|_elapsed| panic!("took more than {PATIENCE:?}: {what}"))
}
