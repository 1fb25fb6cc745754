//! What the admin side reads, one row or one page at a time.

use std::{collections::BTreeMap, time::Instant};

use uuid::Uuid;

use crate::{
    base::ids::{DeliveryId, EventId, RequestId},
    event::{Event, attempt::Attempt, delivery::Delivery},
    store::{
        error::StoreError,
        filter,
        neighbours::{self, Neighbours},
        pool::on,
        query::{
            DeliveryQuery, EventQuery, EventSummary, Looked, Page, RequestCount, RequestQuery,
            RequestSummary, RequestTally,
        },
        rejected::RejectedRequest,
        rows,
        search::{self, Bounds, Found, Wanted},
        window::{self, List, Patience, Turn, Window},
    },
};

use super::{Connection, Engine};

type Row = <<Connection as sqlx::Connection>::Database as sqlx::Database>::Row;

/// A walk through a list, a part at a time.
struct Walk {
    patience: Option<Patience>,
    began_at: Instant,
    /// What is not looked at yet.
    rest: Option<Window>,
    n_rows: u64,
}

impl Walk {
    fn new(turn: Turn) -> Self {
        Self {
            patience: turn.patience.map(|it| it.longer_for(turn.before)),
            began_at: Instant::now(),
            rest: Some(turn.window()),
            n_rows: 0,
        }
    }

    /// Where a part would hold all that there is, one look finds it, wherever in the list it is.
    async fn begin(turn: Turn, conn: &mut Connection, list: &impl List) -> Result<Self, StoreError> {
        let mut walk = Self::new(turn);
        if let Some(patience) = walk.patience
            && let Some(mut n_rare) = list.n_rare(patience.n_rows)
        {
            let n_rare: i64 = n_rare.build_query_scalar().fetch_one(conn).await?;
            if n_rare < i64::from(patience.n_rows) {
                walk.patience = None;
                walk.rest = walk.rest.map(|it| Window { is_rare: true, ..it });
            }
        }
        Ok(walk)
    }

    /// `None`: all is looked at, or patience has ended.
    async fn next(&mut self, conn: &mut Connection, list: &impl List) -> Result<Option<Window>, StoreError> {
        let Some(patience) = self.patience else {
            return Ok(self.rest.take());
        };
        let is_over = self.n_rows > 0 && self.began_at.elapsed() >= patience.time;
        let Some(window) = self.rest.filter(|_| !is_over) else {
            return Ok(None);
        };
        let mut edge = window::edge(list, window, patience.n_rows);
        let edge = edge.build().fetch_optional(conn).await?;
        let edge: Option<Uuid> = edge.map(|it| rows::get(&it, "list", "id")).transpose()?;
        self.n_rows += u64::from(patience.n_rows);
        self.rest = edge.map(|edge| Window {
            below: Some(edge),
            ..window
        });
        Ok(Some(Window {
            from: edge.or(window.from),
            ..window
        }))
    }

    /// The last id that was looked at, where there are more.
    fn edge(&self) -> Option<Uuid> {
        self.rest?.below
    }

    fn looked(&self) -> Option<Looked> {
        Some(Looked {
            n_rows: self.n_rows,
            back_to: window::made_at(self.edge()?)?,
        })
    }
}

/// The next page of a list.
async fn page<T, I>(
    conn: &mut Connection,
    list: &impl List,
    read: impl Fn(&Row) -> Result<T, StoreError>,
    id: impl Fn(Uuid) -> I,
) -> Result<Page<T, I>, StoreError> {
    let limit = list.turn().limit;
    let mut walk = Walk::begin(list.turn(), conn, list).await?;
    let mut rows = Vec::new();
    while let Some(part) = walk.next(conn, list).await? {
        rows.extend(list.page(part).build().fetch_all(&mut *conn).await?);
        if rows.len() >= filter::n_rows(limit) {
            return rows::page(&rows, limit, read, id);
        }
    }
    Ok(Page {
        next: walk.edge().map(&id),
        looked: walk.looked(),
        ..rows::page(&rows, limit, read, &id)?
    })
}

impl Engine {
    pub(in crate::store) async fn event(&self, id: EventId) -> Result<Event, StoreError> {
        on!(self.admin_reader(), |conn| {
            let row = sqlx::query(include_str!("sql/event.sql"))
                .bind(id.uuid())
                .fetch_optional(conn)
                .await?;
            rows::event(&row.ok_or_else(|| StoreError::not_found("event", id))?)
        })
    }

    pub(in crate::store) async fn events(
        &self,
        query: EventQuery,
    ) -> Result<Page<EventSummary, EventId>, StoreError> {
        on!(self.admin_reader(), |conn| {
            page(conn, &query, rows::event_summary, EventId::from_uuid).await
        })
    }

    pub(in crate::store) async fn events_of_external_id(
        &self,
        external_id: String,
        limit: u32,
    ) -> Result<Vec<EventSummary>, StoreError> {
        on!(self.admin_reader(), |conn| {
            let mut query = filter::events_of_external_id(&external_id, limit);
            let rows = query.build().fetch_all(conn).await?;
            let page = rows::page(&rows, limit, rows::event_summary, EventId::from_uuid)?;
            Ok(page.rows)
        })
    }

    pub(in crate::store) async fn search_events(
        &self,
        query: EventQuery,
        wanted: Wanted,
        bounds: Bounds,
    ) -> Result<Found, StoreError> {
        on!(self.admin_reader(), |conn| {
            let rows = search::sizes(&query, bounds)
                .build()
                .fetch_all(&mut *conn)
                .await?;
            let Some(reach) = search::reach(&rows, bounds)? else {
                return Ok(Found::nothing());
            };
            let rows = search::holding(&query, &wanted, reach)
                .build()
                .fetch_all(conn)
                .await?;
            let page = rows::page(&rows, query.limit, rows::event_summary, EventId::from_uuid)?;
            Ok(Found::new(page, reach))
        })
    }

    pub(in crate::store) async fn neighbours(
        &self,
        event: EventId,
        n_each: u32,
    ) -> Result<Option<Neighbours>, StoreError> {
        on!(self.admin_reader(), |conn| {
            let row = sqlx::query(include_str!("sql/stand.sql"))
                .bind(event.uuid())
                .fetch_optional(&mut *conn)
                .await?;
            let Some(stand) = row.map(|it| neighbours::stand(&it)).transpose()? else {
                return Ok(None);
            };
            let mut found = Vec::new();
            for mut side in neighbours::sides(&stand, n_each) {
                for row in &side.build().fetch_all(&mut *conn).await? {
                    found.push(neighbours::neighbour(row)?);
                }
            }
            Ok(Some(neighbours::nearest(stand, found, n_each)))
        })
    }

    pub(in crate::store) async fn request(&self, id: RequestId) -> Result<RejectedRequest, StoreError> {
        on!(self.admin_reader(), |conn| {
            let row = sqlx::query(include_str!("sql/request.sql"))
                .bind(id.uuid())
                .fetch_optional(conn)
                .await?;
            rows::request(&row.ok_or_else(|| StoreError::not_found("request", id))?)
        })
    }

    pub(in crate::store) async fn delivery(&self, id: DeliveryId) -> Result<Delivery, StoreError> {
        on!(self.admin_reader(), |conn| {
            let row = sqlx::query(include_str!("sql/delivery.sql"))
                .bind(id.uuid())
                .fetch_optional(conn)
                .await?;
            rows::delivery(&row.ok_or_else(|| StoreError::not_found("delivery", id))?)
        })
    }

    pub(in crate::store) async fn deliveries(
        &self,
        query: DeliveryQuery,
    ) -> Result<Page<Delivery, DeliveryId>, StoreError> {
        on!(self.admin_reader(), |conn| {
            page(conn, &query, rows::delivery, DeliveryId::from_uuid).await
        })
    }

    pub(in crate::store) async fn requests(
        &self,
        query: RequestQuery,
    ) -> Result<Page<RequestSummary, RequestId>, StoreError> {
        on!(self.admin_reader(), |conn| {
            page(conn, &query, rows::request_summary, RequestId::from_uuid).await
        })
    }

    pub(in crate::store) async fn count_requests(
        &self,
        query: RequestQuery,
        patience: Patience,
    ) -> Result<RequestCount, StoreError> {
        on!(self.admin_reader(), |conn| {
            let mut walk = Walk::new(Turn {
                cursor: None,
                patience: Some(patience),
                ..query.turn()
            });
            let mut found = BTreeMap::new();
            while let Some(part) = walk.next(conn, &query).await? {
                let mut tallies = filter::request_tallies(&query, part);
                for row in &tallies.build().fetch_all(&mut *conn).await? {
                    let it = rows::request_tally(row)?;
                    let kind = (it.source.clone(), it.cause.clone());
                    let entry = found.entry(kind);
                    entry
                        .and_modify(|whole: &mut RequestTally| whole.add(&it))
                        .or_insert(it);
                }
            }
            Ok(RequestCount {
                tallies: found.into_values().collect(),
                looked: walk.looked(),
            })
        })
    }

    pub(in crate::store) async fn attempts(&self, id: DeliveryId) -> Result<Vec<Attempt>, StoreError> {
        on!(self.admin_reader(), |conn| {
            let rows = sqlx::query(include_str!("sql/attempts.sql"))
                .bind(id.uuid())
                .fetch_all(conn)
                .await?;
            rows.iter().map(rows::attempt).collect()
        })
    }
}
