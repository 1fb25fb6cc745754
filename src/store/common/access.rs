//! Tokens of the admin side and sessions of browsers.

use crate::{
    base::{clock::Timestamp, ids::TokenId},
    store::{
        access::{Digest, MAX_TOKENS, NewSession, NewToken, Over, Session, StoredToken, USE_STEP},
        error::StoreError,
        pool::on,
        rows,
        value::{Time, clean},
    },
};

use super::{Engine, begin, dialect};

impl Engine {
    /// `None`: another one has the name.
    pub(in crate::store) async fn create_token(
        &self,
        new: NewToken,
        now: Timestamp,
    ) -> Result<Option<StoredToken>, StoreError> {
        on!(self.admin_writer(), |conn| {
            let row = sqlx::query(dialect::CREATE_TOKEN)
                .bind(new.id.uuid())
                .bind(clean(&new.name))
                .bind(&new.hash.0[..])
                .bind(clean(&new.role))
                .bind(clean(&new.made_by))
                .bind(Time(now))
                .bind(new.expires_at.map(Time))
                .fetch_optional(conn)
                .await?;
            row.as_ref().map(rows::token).transpose()
        })
    }

    pub(in crate::store) async fn tokens(&self) -> Result<Vec<StoredToken>, StoreError> {
        on!(self.admin_reader(), |conn| {
            let rows = sqlx::query(include_str!("sql/tokens.sql"))
                .bind(i64::from(MAX_TOKENS))
                .fetch_all(conn)
                .await?;
            rows.iter().map(rows::token).collect()
        })
    }

    pub(in crate::store) async fn token_of(&self, hash: Digest) -> Result<Option<StoredToken>, StoreError> {
        on!(self.admin_reader(), |conn| {
            let row = sqlx::query(include_str!("sql/token_of.sql"))
                .bind(&hash.0[..])
                .fetch_optional(conn)
                .await?;
            row.as_ref().map(rows::token).transpose()
        })
    }

    pub(in crate::store) async fn had_token(&self, role: &'static str) -> Result<bool, StoreError> {
        on!(self.admin_reader(), |conn| {
            let had_one = sqlx::query_scalar("select exists (select 1 from token where role = $1)")
                .bind(role)
                .fetch_one(conn)
                .await?;
            Ok(had_one)
        })
    }

    pub(in crate::store) async fn revoke_token(
        &self,
        id: TokenId,
        now: Timestamp,
    ) -> Result<Option<StoredToken>, StoreError> {
        on!(self.admin_writer(), |conn| {
            let row = sqlx::query(include_str!("sql/revoke_token.sql"))
                .bind(id.uuid())
                .bind(Time(now))
                .fetch_optional(conn)
                .await?;
            row.as_ref().map(rows::token).transpose()
        })
    }

    pub(in crate::store) async fn use_token(&self, id: TokenId, now: Timestamp) -> Result<(), StoreError> {
        on!(self.admin_writer(), |conn| {
            sqlx::query(include_str!("sql/use_token.sql"))
                .bind(id.uuid())
                .bind(Time(now))
                .bind(Time(now.minus(USE_STEP)))
                .execute(conn)
                .await?;
            Ok(())
        })
    }

    pub(in crate::store) async fn open_session(
        &self,
        new: NewSession,
        over: Over,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        on!(self.admin_writer(), |conn| {
            let mut transaction = begin(conn).await?;
            sqlx::query("delete from session where created_at < $1 or seen_at < $2")
                .bind(Time(over.created_before))
                .bind(Time(over.seen_before))
                .execute(&mut *transaction)
                .await?;
            sqlx::query(
                "insert into session (hash, token_id, proof, created_at, seen_at, person, role) \
                 values ($1, $2, $3, $4, $4, $5, $6) on conflict do nothing",
            )
            .bind(&new.hash.0[..])
            .bind(new.token_id.map(TokenId::uuid))
            .bind(&new.proof[..])
            .bind(Time(now))
            .bind(new.person.as_ref().map(|it| clean(&it.name)))
            .bind(new.person.as_ref().map(|it| clean(&it.role)))
            .execute(&mut *transaction)
            .await?;
            transaction.commit().await?;
            Ok(())
        })
    }

    pub(in crate::store) async fn session(&self, hash: Digest) -> Result<Option<Session>, StoreError> {
        on!(self.admin_reader(), |conn| {
            let row = sqlx::query(include_str!("sql/session.sql"))
                .bind(&hash.0[..])
                .fetch_optional(conn)
                .await?;
            row.as_ref().map(rows::session).transpose()
        })
    }

    pub(in crate::store) async fn use_session(&self, hash: Digest, now: Timestamp) -> Result<(), StoreError> {
        on!(self.admin_writer(), |conn| {
            sqlx::query(include_str!("sql/use_session.sql"))
                .bind(&hash.0[..])
                .bind(Time(now))
                .bind(Time(now.minus(USE_STEP)))
                .execute(conn)
                .await?;
            Ok(())
        })
    }

    pub(in crate::store) async fn end_session(&self, hash: Digest) -> Result<bool, StoreError> {
        on!(self.admin_writer(), |conn| {
            let done = sqlx::query("delete from session where hash = $1")
                .bind(&hash.0[..])
                .execute(conn)
                .await?;
            Ok(done.rows_affected() == 1)
        })
    }
}
