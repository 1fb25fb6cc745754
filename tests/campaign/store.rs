//! The store, read and disturbed behind gatepost's back.

use std::{
    collections::{HashMap, HashSet},
    path::PathBuf,
};

use sqlx::{Connection, Executor, PgConnection, SqliteConnection};

use crate::{
    letter::{Digest32, Key, Source, digest},
    postgres::TestDatabase,
};

#[derive(Debug)]
pub(crate) enum Place {
    Sqlite(PathBuf),
    Postgres(TestDatabase),
}

/// An event as it lies there.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    pub(crate) key: Key,
    /// 32 hexadecimal digits.
    pub(crate) id: String,
    pub(crate) verified: String,
    pub(crate) hash: Digest32,
}

/// Attempts with the same number.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Recorded {
    pub(crate) n: u64,
    /// With a 200.
    pub(crate) n_taken: u64,
}

/// A delivery as it lies there.
#[derive(Debug, Clone)]
pub(crate) struct Standing {
    pub(crate) key: Key,
    pub(crate) status: String,
    pub(crate) n_attempts: i64,
}

macro_rules! on_either {
    ($place:expr, |$conn:ident| $work:expr) => {
        match $place {
            Place::Postgres(database) => {
                let mut connection = PgConnection::connect(&database.url).await.unwrap();
                let $conn = &mut connection;
                let answer = $work;
                connection.close().await.unwrap();
                answer
            }
            Place::Sqlite(file) => {
                let url = format!("sqlite:{}", file.display());
                let mut connection = SqliteConnection::connect(&url).await.unwrap();
                let $conn = &mut connection;
                let answer = $work;
                connection.close().await.unwrap();
                answer
            }
        }
    };
}

/// Old events whose deliveries ended, counted as if gatepost had taken them. More than one slice of the chore.
const SEED_OLD_SQLITE: &str = "
    insert into event (id, source, key, body_hash, external_id, type, origin, verified, occurred_at, received_at, headers, body)
    with recursive n(n) as (select 1 union all select n + 1 from n where n < 600)
    select randomblob(16), 'stripe', randomblob(32), randomblob(32), 'old', 'old', 'received', 'body', null, 1000, x'', x'6f6c64' from n;
    insert into delivery (id, event_id, route, destination, origin, status, n_attempts, created_at)
    select randomblob(16), id, 'stripe-route', 'stripe-handler', 'received', 'delivered', 1, 1000 from event
    where external_id = 'old' and id not in (select event_id from delivery);
    update tally set received = received + 600, deliveries = deliveries + 600;
    delete from chore_lease;";
const SEED_OLD_POSTGRES: &str = "
    with fresh as (
        insert into event (id, source, key, body_hash, external_id, type, origin, verified, occurred_at, received_at, headers, body)
        select gen_random_uuid(), 'stripe', sha256(gen_random_uuid()::text::bytea), sha256('old'), 'old', 'old', 'received', 'body',
            null, '2001-01-01', '', 'old' from generate_series(1, 600)
        returning id
    )
    insert into delivery (id, event_id, route, destination, origin, status, n_attempts, created_at)
    select gen_random_uuid(), id, 'stripe-route', 'stripe-handler', 'received', 'delivered', 1, '2001-01-01' from fresh;
    insert into tally (slot) values (0) on conflict do nothing;
    update tally set received = received + 600, deliveries = deliveries + 600 where slot = 0;
    delete from chore_lease;";
pub(crate) const N_OLD: i64 = 600;

const POISON_SQLITE: &str = "
    create trigger if not exists poison before insert on event when new.external_id like '%_poison'
    begin select raise(abort, 'poison'); end;";
const POISON_POSTGRES: &str = "
    create or replace function poison() returns trigger language plpgsql as $$ begin
    raise exception using errcode = '22000', message = 'poison'; end $$;
    create or replace trigger poison before insert on event for each row when (new.external_id like '%_poison')
    execute function poison();";

impl Place {
    const fn is_postgres(&self) -> bool {
        matches!(self, Self::Postgres(_))
    }

    /// Statements of which each engine has its own.
    async fn run(&self, sqlite: &'static str, postgres: &'static str) {
        let sql = if self.is_postgres() { postgres } else { sqlite };
        on_either!(self, |conn| {
            conn.execute(sqlx::raw_sql(sql)).await.unwrap();
        });
    }

    pub(crate) async fn seed_old(&self) {
        self.run(SEED_OLD_SQLITE, SEED_OLD_POSTGRES).await;
    }

    pub(crate) async fn poison(&self) {
        self.run(POISON_SQLITE, POISON_POSTGRES).await;
    }

    pub(crate) async fn cure(&self) {
        self.run(
            "drop trigger if exists poison",
            "drop trigger if exists poison on event",
        )
        .await;
    }

    /// Whether the schema is there.
    pub(crate) async fn is_migrated(&self) -> bool {
        if let Self::Sqlite(file) = self
            && !file.exists()
        {
            return false;
        }
        let sql = if self.is_postgres() {
            "select count(*) from pg_tables where tablename = 'chore_lease'"
        } else {
            "select count(*) from sqlite_schema where name = 'chore_lease'"
        };
        let n: i64 = on_either!(self, |conn| sqlx::query_scalar(sql)
            .fetch_one(conn)
            .await
            .unwrap());
        n == 1
    }

    pub(crate) async fn events(&self) -> Vec<Stored> {
        // As text of one form in both engines.
        let sql = if self.is_postgres() {
            "select replace(id::text, '-', ''), source, external_id, verified, body from event \
             where external_id is distinct from 'old'"
        } else {
            "select lower(hex(id)), source, external_id, verified, body from event where external_id is not 'old'"
        };
        type Row = (String, String, Option<String>, String, Vec<u8>);
        let rows: Vec<Row> = on_either!(self, |conn| sqlx::query_as(sql).fetch_all(conn).await.unwrap());
        let stored = |(id, source, external_id, verified, body): Row| Stored {
            key: key(&source, external_id),
            id,
            verified,
            hash: digest(&body),
        };
        rows.into_iter().map(stored).collect()
    }

    pub(crate) async fn deliveries(&self) -> Vec<Standing> {
        let sql = "select event.source, event.external_id, delivery.status, cast(delivery.n_attempts as bigint) \
                   from delivery join event on event.id = delivery.event_id where event.external_id <> 'old'";
        let rows: Vec<(String, Option<String>, String, i64)> =
            on_either!(self, |conn| sqlx::query_as(sql).fetch_all(conn).await.unwrap());
        let standing = |(source, external_id, status, n_attempts): (String, _, _, _)| Standing {
            key: key(&source, external_id),
            status,
            n_attempts,
        };
        rows.into_iter().map(standing).collect()
    }

    /// The recorded attempts of each event and number.
    pub(crate) async fn attempts(&self) -> HashMap<(Key, u64), Recorded> {
        let sql = "select event.source, event.external_id, cast(attempt.number as bigint), count(*), \
                   count(*) filter (where attempt.status_code = 200) from attempt \
                   join delivery on delivery.id = attempt.delivery_id join event on event.id = delivery.event_id \
                   where event.external_id <> 'old' group by 1, 2, 3";
        type Row = (String, Option<String>, i64, i64, i64);
        let rows: Vec<Row> = on_either!(self, |conn| sqlx::query_as(sql).fetch_all(conn).await.unwrap());
        let unsigned = |n: i64| u64::try_from(n).unwrap();
        let counted = |(source, external_id, number, n, n_taken): Row| {
            let recorded = Recorded {
                n: unsigned(n),
                n_taken: unsigned(n_taken),
            };
            ((key(&source, external_id), unsigned(number)), recorded)
        };
        rows.into_iter().map(counted).collect()
    }

    /// The events whose deliveries are in somebody's hands.
    pub(crate) async fn in_hand(&self) -> Vec<Key> {
        let is_in_hand = |it: &Standing| it.status == "delivering";
        self.deliveries()
            .await
            .into_iter()
            .filter(is_in_hand)
            .map(|it| it.key)
            .collect()
    }

    /// The events whose deliveries are not over.
    pub(crate) async fn open(&self) -> HashSet<Key> {
        let is_open = |it: &Standing| !["delivered", "dead"].contains(&it.status.as_str());
        self.deliveries()
            .await
            .into_iter()
            .filter(is_open)
            .map(|it| it.key)
            .collect()
    }

    /// What SQLite says of its own file; Postgres has no such question.
    pub(crate) async fn integrity(&self) -> String {
        if self.is_postgres() {
            return "ok".to_owned();
        }
        on_either!(self, |conn| sqlx::query_scalar("pragma integrity_check")
            .fetch_one(conn)
            .await
            .unwrap())
    }

    /// Keeps everybody from writing events, until it is dropped.
    pub(crate) async fn lock(&self) -> Lock {
        match self {
            Self::Sqlite(file) => {
                let url = format!("sqlite:{}", file.display());
                let mut conn = SqliteConnection::connect(&url).await.unwrap();
                conn.execute("begin immediate").await.unwrap();
                Lock::Sqlite(conn)
            }
            Self::Postgres(database) => {
                let mut conn = PgConnection::connect(&database.url).await.unwrap();
                conn.execute("begin").await.unwrap();
                conn.execute("lock table event in exclusive mode").await.unwrap();
                Lock::Postgres(conn)
            }
        }
    }
}

fn key(source: &str, external_id: Option<String>) -> Key {
    let source = Source::of(source).unwrap_or_else(|| panic!("an event of source `{source}`"));
    (source, external_id.unwrap_or_default())
}

#[derive(Debug)]
pub(crate) enum Lock {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

impl Lock {
    pub(crate) async fn release(self) {
        match self {
            Self::Sqlite(conn) => conn.close().await.unwrap(),
            Self::Postgres(conn) => conn.close().await.unwrap(),
        }
    }
}
