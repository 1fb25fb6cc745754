//! Who may do what, and who did.

use uuid::Uuid;

use crate::{
    base::ids::{AuditId, TokenId},
    store::{
        access::{Person, Session, StoredToken},
        audit::{Deed, Entry, Head},
        error::StoreError,
        filter,
        query::Page,
        value::{Time, unsigned},
    },
};

use super::{StoreRow, get};

pub(in crate::store) fn token(row: &impl StoreRow) -> Result<StoredToken, StoreError> {
    const TABLE: &str = "token";
    let time = |name| Ok::<_, StoreError>(get::<Option<Time>>(row, TABLE, name)?.map(|it| it.0));
    Ok(StoredToken {
        id: TokenId::from_uuid(get(row, TABLE, "id")?),
        name: get(row, TABLE, "name")?,
        role: get(row, TABLE, "role")?,
        made_by: get(row, TABLE, "made_by")?,
        created_at: get::<Time>(row, TABLE, "created_at")?.0,
        expires_at: time("expires_at")?,
        used_at: time("used_at")?,
        revoked_at: time("revoked_at")?,
    })
}

/// A session joined with its token, whose columns are null where it has none.
pub(in crate::store) fn session(row: &impl StoreRow) -> Result<Session, StoreError> {
    const TABLE: &str = "session";
    let has_token = get::<Option<Uuid>>(row, TABLE, "id")?.is_some();
    Ok(Session {
        token_id: get::<Option<Uuid>>(row, TABLE, "token_id")?.map(TokenId::from_uuid),
        token: has_token.then(|| token(row)).transpose()?,
        person: match (get(row, TABLE, "person")?, get(row, TABLE, "person_role")?) {
            (Some(name), Some(role)) => Some(Person { name, role }),
            _ => None,
        },
        proof: get(row, TABLE, "proof")?,
        created_at: get::<Time>(row, TABLE, "opened_at")?.0,
        seen_at: get::<Time>(row, TABLE, "seen_at")?.0,
    })
}

pub(in crate::store) fn audit_entry(row: &impl StoreRow) -> Result<Entry, StoreError> {
    const TABLE: &str = "audit";
    let status: i32 = get(row, TABLE, "status")?;
    Ok(Entry {
        seq: unsigned(get(row, TABLE, "seq")?),
        at: get::<Time>(row, TABLE, "at")?.0,
        deed: Deed {
            id: AuditId::from_uuid(get(row, TABLE, "id")?),
            actor: get(row, TABLE, "actor")?,
            role: get(row, TABLE, "role")?,
            action: get(row, TABLE, "action")?,
            target: get(row, TABLE, "target")?,
            status: u16::try_from(status).unwrap_or(0),
            detail: get(row, TABLE, "detail")?,
            client: get(row, TABLE, "client")?,
        },
        hash: audit_hash(row)?,
    })
}

pub(in crate::store) fn audit_head(row: &impl StoreRow) -> Result<Head, StoreError> {
    Ok(Head {
        seq: unsigned(get(row, "audit_head", "seq")?),
        hash: audit_hash(row)?,
    })
}

/// A hash of another length fits nothing, which is what a check then says.
fn audit_hash(row: &impl StoreRow) -> Result<[u8; 32], StoreError> {
    let hash: Vec<u8> = get(row, "audit", "hash")?;
    Ok(hash.try_into().unwrap_or([0xff; 32]))
}

/// A page of the audit log, whose rows are numbered.
pub(in crate::store) fn audit_page<R: StoreRow>(
    rows: &[R],
    limit: u32,
) -> Result<Page<Entry, u64>, StoreError> {
    let fits = filter::n_rows(limit) - 1;
    let next = match rows.get(fits) {
        Some(_) => Some(unsigned(get(&rows[fits - 1], "audit", "seq")?)),
        None => None,
    };
    let rows = rows
        .iter()
        .take(fits)
        .map(audit_entry)
        .collect::<Result<_, _>>()?;
    Ok(Page {
        rows,
        next,
        looked: None,
    })
}
