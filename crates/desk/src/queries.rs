//! The SQL of the desk.

#![expect(
    clippy::as_conversions,
    reason = "`value as Type` tells query! the type of a parameter; nothing is converted"
)]

use chrono::{DateTime, Utc};
use preau_admission::event::{Cause, Event};
use preau_db::{DbError, LookupTx, SchoolTx, TerritoryTx, Tx};
use preau_kernel::{Limit, PersonId, SchoolId, TerritoryId};
use serde_json::Value;
use sqlx::types::Json;
use uuid::Uuid;

use crate::orders::{Kept, OrderAct};

/// An order as lists show it, ended ones included.
#[derive(Clone, Debug)]
pub(crate) struct Listed {
    pub(crate) order: Kept,
    pub(crate) ended_at: Option<DateTime<Utc>>,
}

/// An order's row. `query_as!` wants the types, so each statement names them.
struct Row {
    order_id: Uuid,
    territory_id: Option<Uuid>,
    act: Json<OrderAct>,
    author_id: Option<Uuid>,
    author: String,
    reason: String,
    made_at: DateTime<Utc>,
    until: DateTime<Utc>,
    ended_at: Option<DateTime<Utc>>,
}

impl From<Row> for Listed {
    fn from(row: Row) -> Self {
        Self {
            order: Kept {
                id: row.order_id,
                territory: row.territory_id.map(TerritoryId::from),
                act: row.act.0,
                author_id: row.author_id.map(PersonId::from),
                author: row.author,
                reason: row.reason,
                made_at: row.made_at,
                until: row.until,
            },
            ended_at: row.ended_at,
        }
    }
}

/// Writes an order, later than every other of its scope whatever the node's clock says: the later of two counts.
#[tracing::instrument(level = "debug", name = "db.load_order.insert", skip_all)]
pub(crate) async fn insert(tx: &mut impl Tx, order: Kept) -> Result<Kept, DbError> {
    let made_at = sqlx::query_scalar!(
        r#"INSERT INTO load_order (order_id, territory_id, act, author_id, author, reason, made_at, until)
           SELECT $1, $2, $3, $4, $5, $6,
                  greatest($7, (SELECT max(o.made_at) + interval '1 microsecond' FROM load_order o
                                 WHERE o.territory_id IS NOT DISTINCT FROM $2)), $8
           RETURNING made_at"#,
        order.id,
        order.territory.map(TerritoryId::uuid),
        Json(&order.act) as _,
        order.author_id.map(PersonId::uuid),
        order.author,
        order.reason,
        order.made_at,
        order.until,
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(Kept { made_at, ..order })
}

/// Every order in force, of all.
#[tracing::instrument(level = "debug", name = "db.load_order.in_force", skip_all)]
pub(crate) async fn in_force(tx: &mut LookupTx, now: DateTime<Utc>) -> Result<Vec<Kept>, DbError> {
    let rows = sqlx::query_as!(
        Row,
        r#"SELECT order_id, territory_id, act AS "act: Json<OrderAct>", author_id, author, reason, made_at, until, ended_at
             FROM load_order WHERE ended_at IS NULL AND until > $1 ORDER BY made_at, order_id LIMIT 1000"#,
        now,
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows.into_iter().map(|row| Listed::from(row).order).collect())
}

/// How many territories there are, two at most.
pub(crate) async fn territories(tx: &mut LookupTx) -> Result<i64, DbError> {
    Ok(sqlx::query_scalar!(r#"SELECT count(*) AS "n!" FROM (SELECT FROM territory LIMIT 2) t"#)
        .fetch_one(tx.conn())
        .await?)
}

/// When all tickets were last made void.
pub(crate) async fn last_epoch(tx: &mut LookupTx) -> Result<Option<DateTime<Utc>>, DbError> {
    Ok(sqlx::query_scalar!("SELECT max(made_at) FROM load_order WHERE act ->> 'kind' = 'epoch'")
        .fetch_one(tx.conn())
        .await?)
}

/// Orders of a territory and of the installation, the latest first, one more than `limit`.
#[tracing::instrument(level = "debug", name = "db.load_order.list", skip_all)]
pub(crate) async fn of_territory(
    tx: &mut TerritoryTx,
    before: Option<Uuid>,
    limit: Limit,
) -> Result<Vec<Listed>, DbError> {
    let rows = sqlx::query_as!(
        Row,
        r#"SELECT order_id, territory_id, act AS "act: Json<OrderAct>", author_id, author, reason, made_at, until, ended_at
             FROM load_order
            WHERE (territory_id = $1 OR territory_id IS NULL) AND ($2::uuid IS NULL OR order_id < $2)
            ORDER BY order_id DESC LIMIT $3"#,
        tx.territory() as TerritoryId,
        before,
        limit.rows_and_one(),
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows.into_iter().map(Listed::from).collect())
}

/// Orders that a school is under or was, the latest first, one more than `limit`.
#[tracing::instrument(level = "debug", name = "db.load_order.of_school", skip_all)]
pub(crate) async fn of_school(
    tx: &mut SchoolTx,
    before: Option<Uuid>,
    limit: Limit,
) -> Result<Vec<Listed>, DbError> {
    let school = tx.school();
    let rows = sqlx::query_as!(
        Row,
        r#"SELECT o.order_id, o.territory_id, o.act AS "act: Json<OrderAct>", o.author_id, o.author, o.reason, o.made_at,
                  o.until, o.ended_at
             FROM load_order o JOIN school s ON s.school_id = $1 AND (o.territory_id IS NULL OR o.territory_id = s.territory_id)
            WHERE $2::uuid IS NULL OR o.order_id < $2
            ORDER BY o.order_id DESC LIMIT $3"#,
        school as SchoolId,
        before,
        limit.rows_and_one(),
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows.into_iter().map(Listed::from).collect())
}

/// One order of the territory's own that is in force, locked.
pub(crate) async fn own_for_change(
    tx: &mut TerritoryTx,
    id: Uuid,
    now: DateTime<Utc>,
) -> Result<Option<Kept>, DbError> {
    let row = sqlx::query_as!(
        Row,
        r#"SELECT order_id, territory_id, act AS "act: Json<OrderAct>", author_id, author, reason, made_at, until, ended_at
             FROM load_order
            WHERE territory_id = $1 AND order_id = $2 AND ended_at IS NULL AND until > $3 FOR UPDATE"#,
        tx.territory() as TerritoryId,
        id,
        now,
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(row.map(|row| Listed::from(row).order))
}

/// Ends an order.
#[tracing::instrument(level = "debug", name = "db.load_order.end", skip_all)]
pub(crate) async fn end(
    tx: &mut impl Tx,
    id: Uuid,
    territory: Option<TerritoryId>,
    by: Option<PersonId>,
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    sqlx::query!(
        "UPDATE load_order SET ended_at = $3, ended_by = $4
          WHERE order_id = $1 AND territory_id IS NOT DISTINCT FROM $2 AND ended_at IS NULL",
        id,
        territory.map(TerritoryId::uuid),
        now,
        by.map(PersonId::uuid),
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// The name under which a person's orders are shown.
pub(crate) async fn name_of(tx: &mut TerritoryTx, person: PersonId) -> Result<Option<String>, DbError> {
    Ok(sqlx::query_scalar!(
        r#"SELECT first_name || ' ' || last_name AS "name!" FROM person WHERE person_id = $1"#,
        person as PersonId,
    )
    .fetch_optional(tx.conn())
    .await?)
}

/// A change of state, as it is kept: stored again, it is the same row.
#[derive(Clone, Debug)]
pub struct StoredEvent {
    pub(crate) event_id: Uuid,
    pub(crate) territory_id: Option<Uuid>,
    pub(crate) at: DateTime<Utc>,
    pub(crate) what: String,
    pub(crate) from_state: String,
    pub(crate) to_state: String,
    pub(crate) order_id: Option<Uuid>,
    pub(crate) inputs: Value,
}

impl StoredEvent {
    pub(crate) fn of(id: Uuid, event: &Event) -> Self {
        let mut inputs = serde_json::to_value(&event.inputs).unwrap_or_default();
        if let (Cause::OrderEnded, Some(inputs)) = (event.cause, inputs.as_object_mut()) {
            inputs.insert("order_ended".to_owned(), Value::Bool(true));
        }
        Self {
            event_id: id,
            territory_id: event.territory.map(TerritoryId::uuid),
            at: event.at,
            what: event.what.as_str().to_owned(),
            from_state: event.from.clone(),
            to_state: event.to.clone(),
            order_id: match event.cause {
                Cause::Order(order) => Some(order),
                Cause::Automatic | Cause::OrderEnded => None,
            },
            inputs,
        }
    }
}

/// Writes down those events that are not written down yet.
#[tracing::instrument(level = "debug", name = "db.load_event.insert", skip_all)]
pub(crate) async fn insert_events(tx: &mut LookupTx, events: &[StoredEvent]) -> Result<(), DbError> {
    fn column<'a, T>(events: &'a [StoredEvent], of: impl Fn(&'a StoredEvent) -> T) -> Vec<T> {
        events.iter().map(of).collect()
    }
    sqlx::query!(
        "INSERT INTO load_event (event_id, territory_id, at, what, from_state, to_state, order_id, inputs)
         SELECT e.* FROM unnest($1::uuid[], $2::uuid[], $3::timestamptz[], $4::text[], $5::text[], $6::text[], $7::uuid[],
                                $8::jsonb[]) AS e
         ON CONFLICT (event_id) DO NOTHING",
        &column(events, |event| event.event_id),
        &column(events, |event| event.territory_id) as &[Option<Uuid>],
        &column(events, |event| event.at),
        &column(events, |event| event.what.as_str()) as &[&str],
        &column(events, |event| event.from_state.as_str()) as &[&str],
        &column(events, |event| event.to_state.as_str()) as &[&str],
        &column(events, |event| event.order_id) as &[Option<Uuid>],
        &column(events, |event| event.inputs.clone()),
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Which events.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct EventsWanted<'a> {
    pub(crate) what: Option<&'a str>,
    pub(crate) from: Option<DateTime<Utc>>,
    pub(crate) to: Option<DateTime<Utc>>,
    pub(crate) before: Option<Uuid>,
}

/// Events of a territory and of the installation, the latest first.
#[tracing::instrument(level = "debug", name = "db.load_event.list", skip_all)]
pub(crate) async fn events(
    tx: &mut TerritoryTx,
    wanted: EventsWanted<'_>,
    rows: i64,
) -> Result<Vec<StoredEvent>, DbError> {
    Ok(sqlx::query_as!(
        StoredEvent,
        "SELECT event_id, territory_id, at, what, from_state, to_state, order_id, inputs FROM load_event
          WHERE (territory_id = $1 OR territory_id IS NULL) AND ($2::uuid IS NULL OR event_id < $2)
            AND ($3::text IS NULL OR what = $3) AND ($4::timestamptz IS NULL OR at >= $4) AND ($5::timestamptz IS NULL OR at < $5)
          ORDER BY event_id DESC LIMIT $6",
        tx.territory() as TerritoryId,
        wanted.before,
        wanted.what,
        wanted.from,
        wanted.to,
        rows,
    )
    .fetch_all(tx.conn())
    .await?)
}

/// Forgets events and orders that ended before; the last epoch stays, or old tickets would count again.
#[tracing::instrument(level = "debug", name = "db.load_event.sweep", skip_all)]
pub(crate) async fn sweep(tx: &mut LookupTx, before: DateTime<Utc>) -> Result<(), DbError> {
    sqlx::query!("DELETE FROM load_event WHERE at < $1", before).execute(tx.conn()).await?;
    sqlx::query!(
        "DELETE FROM load_order WHERE until < $1 AND order_id NOT IN
             (SELECT o.order_id FROM load_order o WHERE o.act ->> 'kind' = 'epoch' ORDER BY o.made_at DESC LIMIT 1)",
        before,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}
