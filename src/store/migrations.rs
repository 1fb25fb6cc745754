//! The schema's versions: one list for each engine, the same numbers and names in both, forward only.

use std::collections::HashMap;

use sqlx::{
    Connection, PgConnection, SqlStr,
    migrate::{AppliedMigration, Migrate, MigrateError, Migration, MigrationType},
};

use crate::{
    base::trial::{self, Point},
    store::error::StoreError,
};

/// Where sqlx keeps what was applied.
const TABLE: &str = "_sqlx_migrations";

macro_rules! migrations {
    ($engine:literal: $($number:literal $name:literal),+ $(,)?) => {
        vec![$(Migration::new(
            $number,
            $name.into(),
            MigrationType::Simple,
            SqlStr::from_static(include_str!(concat!("../../migrations/", $engine, "/", $name, ".sql"))),
            false,
        )),+]
    };
}

pub(super) fn postgres() -> Vec<Migration> {
    migrations!(
        "postgres": 1 "0001_first", 2 "0002_key_by_id", 3 "0003_skip_and_order", 4 "0004_job", 5 "0005_flow", 6 "0006_once",
        7 "0007_access", 8 "0008_issue", 9 "0009_sign_on", 10 "0010_query", 11 "0011_program", 12 "0012_held_by",
        13 "0013_dead_of",
    )
}

pub(super) fn sqlite() -> Vec<Migration> {
    migrations!(
        "sqlite": 1 "0001_first", 2 "0002_key_by_id", 3 "0003_skip_and_order", 4 "0004_job", 5 "0005_flow", 6 "0006_once",
        7 "0007_access", 8 "0008_issue", 9 "0009_sign_on", 10 "0010_query", 11 "0011_program", 12 "0012_held_by",
        13 "0013_dead_of",
    )
}

/// Applies what is missing, under the engine's lock, and says what it was. The connection must not go back to a pool
/// after an error: it may hold the lock.
pub(super) async fn apply<C>(connection: &mut C, all: &[Migration]) -> Result<Vec<String>, StoreError>
where
    C: Connection + Migrate,
{
    connection.lock().await.map_err(failed)?;
    connection.ensure_migrations_table(TABLE).await.map_err(failed)?;
    if let Some(version) = connection.dirty_version(TABLE).await.map_err(failed)? {
        return Err(StoreError::Unusable {
            reason: format!("migration {version} was begun and not finished"),
            hint: "restore the store from a backup".to_owned(),
        });
    }
    let applied = connection.list_applied_migrations(TABLE).await.map_err(failed)?;
    let missing = missing(all, &applied)?;
    let mut names = Vec::new();
    for migration in missing {
        trial::point(Point::Migrating);
        connection.apply(TABLE, migration).await.map_err(failed)?;
        names.push(migration.description.clone().into_owned());
        trial::point(Point::Migrating);
    }
    connection.unlock().await.map_err(failed)?;
    Ok(names)
}

/// Keeps the lock of `apply` until the transaction is committed: what is unlocked before that, nobody else sees yet.
pub(super) async fn lock_until_commit(connection: &mut PgConnection) -> Result<(), StoreError> {
    connection.lock().await.map_err(failed)?;
    sqlx::query(include_str!("postgres/sql/keep_locks.sql"))
        .execute(&mut *connection)
        .await?;
    connection.unlock().await.map_err(failed)
}

/// What is not applied yet. A schema that this program does not know, or knows differently, is refused.
pub(super) fn missing<'a>(
    all: &'a [Migration],
    applied: &[AppliedMigration],
) -> Result<Vec<&'a Migration>, StoreError> {
    let applied: HashMap<i64, &[u8]> = applied.iter().map(|it| (it.version, &*it.checksum)).collect();
    if let Some(version) = applied
        .keys()
        .find(|version| all.iter().all(|it| it.version != **version))
    {
        return Err(StoreError::Unusable {
            reason: format!("its schema has version {version}, which this program does not know"),
            hint: "run the newer gatepost that made it".to_owned(),
        });
    }
    let mut missing = Vec::new();
    for migration in all {
        match applied.get(&migration.version) {
            None => missing.push(migration),
            Some(checksum) if *checksum == &*migration.checksum => (),
            Some(_) => {
                return Err(StoreError::Unusable {
                    reason: format!(
                        "its migration `{}` is not the one this program knows",
                        migration.description
                    ),
                    hint: "use a released gatepost, or an empty store".to_owned(),
                });
            }
        }
    }
    Ok(missing)
}

fn failed(error: MigrateError) -> StoreError {
    match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => error.into(),
        other => StoreError::Unusable {
            reason: format!("migrations failed: {other}"),
            hint: "see the store's own log".to_owned(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_engines_have_the_same_numbers_and_names() {
        let names = |all: Vec<Migration>| -> Vec<_> {
            all.into_iter().map(|it| (it.version, it.description)).collect()
        };
        assert_eq!(names(postgres()), names(sqlite()));
    }

    #[test]
    fn f89_a_newer_schema_is_refused() {
        let mut applied: Vec<_> = postgres()
            .into_iter()
            .map(|it| AppliedMigration {
                version: it.version,
                checksum: it.checksum,
            })
            .collect();
        assert!(missing(&postgres(), &applied).unwrap().is_empty());
        applied.push(AppliedMigration {
            version: 9_999,
            checksum: vec![].into(),
        });
        assert!(matches!(
            missing(&postgres(), &applied),
            Err(StoreError::Unusable { .. })
        ));
    }
}
