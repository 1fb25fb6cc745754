//! The audit log.

use crate::{
    base::clock::Timestamp,
    store::{
        audit::{AuditQuery, Deed, Entry, Head},
        error::StoreError,
        filter,
        pool::on,
        query::Page,
        rows,
        value::{Time, clean, signed},
    },
};

use super::{Engine, begin, dialect, snapshot};

impl Engine {
    pub(in crate::store) async fn append_audit(
        &self,
        deed: Deed,
        now: Timestamp,
    ) -> Result<Entry, StoreError> {
        on!(self.admin_writer(), |conn| {
            let mut transaction = begin(conn).await?;
            // Whoever appends waits here for the one before.
            let head = sqlx::query(dialect::LOCK_AUDIT_HEAD)
                .fetch_one(&mut *transaction)
                .await?;
            let known = sqlx::query(include_str!("sql/audit_by_id.sql"))
                .bind(deed.id.uuid())
                .fetch_optional(&mut *transaction)
                .await?;
            if let Some(known) = known {
                transaction.rollback().await?;
                return rows::audit_entry(&known);
            }
            let entry = Entry::after(&rows::audit_head(&head)?, deed.clone(), now);
            sqlx::query(include_str!("sql/insert_audit.sql"))
                .bind(signed(entry.seq))
                .bind(deed.id.uuid())
                .bind(Time(entry.at))
                .bind(&deed.actor)
                .bind(&deed.role)
                .bind(&deed.action)
                .bind(&deed.target)
                .bind(i32::from(deed.status))
                .bind(&deed.detail)
                .bind(&deed.client)
                .bind(&entry.hash[..])
                .execute(&mut *transaction)
                .await?;
            sqlx::query("update audit_head set seq = $1, hash = $2")
                .bind(signed(entry.seq))
                .bind(&entry.hash[..])
                .execute(&mut *transaction)
                .await?;
            transaction.commit().await?;
            Ok(entry)
        })
    }

    pub(in crate::store) async fn audit(&self, query: AuditQuery) -> Result<Page<Entry, u64>, StoreError> {
        let n_rows = i64::try_from(filter::n_rows(query.limit)).expect("a page has few rows");
        on!(self.admin_reader(), |conn| {
            let rows = sqlx::query(dialect::AUDIT)
                .bind(query.cursor.map(signed))
                .bind(query.actor.as_deref().map(clean))
                .bind(query.action.as_deref().map(clean))
                .bind(query.target.as_deref().map(clean))
                .bind(query.after.map(Time))
                .bind(query.before.map(Time))
                .bind(n_rows)
                .fetch_all(conn)
                .await?;
            rows::audit_page(&rows, query.limit)
        })
    }

    /// The links after that one, and where the chain ends, both of one moment.
    pub(in crate::store) async fn audit_after(
        &self,
        seq: u64,
        limit: u32,
    ) -> Result<(Vec<Entry>, Head), StoreError> {
        on!(self.admin_reader(), |conn| {
            let mut transaction = snapshot(conn).await?;
            let head = sqlx::query("select seq, hash from audit_head")
                .fetch_one(&mut *transaction)
                .await?;
            let rows = sqlx::query(include_str!("sql/audit_after.sql"))
                .bind(signed(seq))
                .bind(i64::from(limit))
                .fetch_all(&mut *transaction)
                .await?;
            transaction.commit().await?;
            let entries = rows.iter().map(rows::audit_entry).collect::<Result<_, _>>()?;
            Ok((entries, rows::audit_head(&head)?))
        })
    }
}
