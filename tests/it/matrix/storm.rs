//! Senders at work while something breaks, and what must hold afterwards.

use std::time::Duration;

use sqlx::{Connection, PgConnection};
use tokio::time::Instant;

use crate::{
    app::{
        api::{Answer, Api},
        eventually,
        load::{Book, Load, Seed, assert_kept},
        sender::{Signed, event},
        site::{Site, TestApp},
    },
    matrix::observed,
};

/// The most connections that a gatepost of these tests has: its four pools (4, 4, 2 and 4), and what a migration takes.
const MOST_CONNECTIONS: i64 = 15;

/// What a machine adds that does much else. What a row really took is in its evidence.
pub(crate) const BUSY: Duration = Duration::from_secs(10);

/// A gatepost under load.
pub(crate) struct Storm {
    pub(crate) api: Api,
    /// Where it runs in this process.
    app: Option<TestApp>,
    pub(crate) load: Load,
    /// Printed where the test fails.
    _seed: Seed,
}

impl Storm {
    /// Starts gatepost and senders, and waits until they get on.
    pub(crate) async fn start(site: &mut Site) -> Self {
        // What a lost answer leaves in nobody's hands is somebody's again after that.
        site.set("GATEPOST__DELIVERY__LEASE", "5s");
        let app = site.start().await;
        let mut storm = Self::over(&app.api).await;
        storm.app = Some(app);
        storm
    }

    /// Over a gatepost that the test ends itself.
    pub(crate) async fn over(api: &Api) -> Self {
        let seed = Seed::choose();
        let load = Load::start(seed.0, 6);
        load.aim(api.public);
        load.progress(30).await;
        Self {
            api: api.clone(),
            app: None,
            load,
            _seed: seed,
        }
    }

    /// One more sender is told that it is our own fault, that soon.
    pub(crate) async fn is_refused_within(&self, limit: Duration) {
        let asked_at = Instant::now();
        let answer = self.api.post(&event("evt_refused")).await;
        assert!(answer.is_own_fault(), "{answer:?}");
        let took = asked_at.elapsed();
        assert!(
            took <= limit + BUSY,
            "refused after {took:?}, at most {limit:?} and {BUSY:?}"
        );
    }

    /// Waits until a sender was told that it is our fault.
    pub(crate) async fn own_fault(&self) {
        self.own_fault_after(self.load.n_own_faults()).await;
    }

    /// The same, where it may have happened since there were so many.
    pub(crate) async fn own_fault_after(&self, before: usize) {
        eventually("a sender is told that it is our own fault", || async {
            (self.load.n_own_faults() > before).then_some(())
        })
        .await;
    }

    /// From the end of the fault to the first acknowledgement, which must come that soon on a machine at rest.
    pub(crate) async fn recovery(&self, limit: Duration) -> Duration {
        let ended_at = Instant::now();
        self.load.progress(1).await;
        let took = ended_at.elapsed();
        assert!(
            took <= limit + BUSY,
            "{took:?} until the next acknowledgement, at most {limit:?} and {BUSY:?}"
        );
        took
    }

    /// Ends the senders, then gatepost, whatever its ledger says.
    pub(crate) async fn finish_load(self) -> Book {
        let book = self.load.finish().await;
        if let Some(app) = self.app {
            app.stop().await;
        }
        book
    }

    /// All that was acknowledged is there and delivered, the ledger adds up, and no connection is left over. Notes it all
    /// under the row's number.
    pub(crate) async fn end(self, row: &str, site: &Site, recovery: Option<Duration>) -> Book {
        self.load.progress(20).await;
        let book = self.load.finish().await;
        assert_eq!(
            (book.broken.len(), book.n_refused),
            (0, 0),
            "gatepost itself stayed up"
        );
        assert_kept(site, &book).await;
        let ledger = self.api.until_open(0).await;
        assert_eq!(ledger["dead"], 0, "{ledger}");
        assert_eq!(ledger["balanced"], true, "{ledger}");
        if site.is_postgres() {
            assert_few_connections(site).await;
        }
        if let Some(app) = self.app {
            app.finish().await;
        }
        let client = match book.n_own_faults {
            0 => "200",
            _ => "503, 200",
        };
        observed(row, site, client, recovery);
        book
    }
}

/// None is left over, and none is in the middle of something that nobody will end.
pub(crate) async fn assert_few_connections(site: &Site) {
    const SQL: &str = "select count(*) <= $1 and count(*) filter (where state like 'idle in transaction%') = 0 from \
                       pg_stat_activity where application_name = 'gatepost' and datname = current_database()";
    eventually("no connection is left over", || async {
        let mut conn: PgConnection = site.postgres_connection().await;
        let ask = sqlx::query_scalar(SQL).bind(MOST_CONNECTIONS);
        let is_so: bool = ask.fetch_one(&mut conn).await.unwrap();
        conn.close().await.unwrap();
        is_so.then_some(())
    })
    .await;
}

/// Posts until it is taken; what comes before that is our own fault and says so.
pub(crate) async fn until_taken(app: &Api, signed: &Signed) -> Answer {
    eventually("it is taken", || async {
        let answer = app.post(signed).await;
        assert!(answer.status == 200 || answer.is_own_fault(), "{answer:?}");
        (answer.status == 200).then_some(answer)
    })
    .await
}

/// Waits for what `/readyz` says.
pub(crate) async fn until_ready(app: &Api, is_ready: bool) {
    let wanted = if is_ready { 200 } else { 503 };
    eventually("readiness follows the store", || async {
        (app.ask("/readyz").await.status == wanted).then_some(())
    })
    .await;
}
