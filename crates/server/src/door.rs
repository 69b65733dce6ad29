//! What feeds the door of a node: keys for tickets, who is in which school, how PostgreSQL does.

use std::{sync::Arc, time::Duration};

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::Response,
};
use preau_admission::{Roster, RosterRow, TicketKeys};
use preau_db::{Db, DbError, KeyRing, Purpose};
use preau_kernel::{Identity, TerritoryId};
use preau_overload::{DatabaseLoad, Door, limiter::Limiter};

use crate::App;

/// Schools change with imports, their sizes hardly in a day.
const ROSTER_EVERY: Duration = Duration::from_secs(300);
const AGAIN_AFTER: Duration = Duration::from_secs(5);

/// Gives the door the keys of the ring.
pub(crate) fn learn_keys(door: &Door, ring: &KeyRing) {
    let keys = ring.all(Purpose::Ticket);
    if !keys.is_empty() {
        door.learn_keys(Arc::new(TicketKeys::new(keys.into_iter().map(|key| (key.kid, key.bytes)))));
    }
}

/// Reads who is in which school.
pub(crate) async fn learn_roster(door: &Door, db: &Db) -> Result<(), DbError> {
    let rows: Vec<RosterRow> = preau_directory::school_weights(db)
        .await?
        .into_iter()
        .map(|weight| RosterRow {
            school: weight.school,
            territory: weight.territory,
            people: weight.people,
            primary: weight.primary,
            tz: weight.tz,
        })
        .collect();
    // Whoever names no school waits in the territory of most schools: of the only one, as a rule.
    let first = rows.first().map(|row| row.territory);
    let elsewhere = match first {
        Some(territory) => territory,
        None => {
            db.territories().await?.into_iter().next().unwrap_or_else(|| TerritoryId::from(uuid::Uuid::nil()))
        }
    };
    door.learn_roster(Arc::new(Roster::new(rows, elsewhere)));
    Ok(())
}

/// Re-reads who is in which school, now and then.
pub(crate) async fn keep_roster(app: App) {
    loop {
        let pause = match learn_roster(&app.door, &app.db).await {
            Ok(()) => ROSTER_EVERY,
            Err(error) => {
                let error: &dyn std::error::Error = &error;
                tracing::warn!(error, "the sizes of schools could not be read");
                AGAIN_AFTER
            }
        };
        tokio::time::sleep(pause).await;
    }
}

/// How PostgreSQL does, seen from here.
pub(crate) fn database_load(db: &Db, limiter: &Limiter) -> Arc<dyn Fn() -> DatabaseLoad + Send + Sync> {
    let (db, limiter) = (db.clone(), limiter.clone());
    Arc::new(move || {
        let (in_flight, limit) = limiter.load();
        let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        DatabaseLoad {
            sign_ins_per_s: db.door_load().sign_ins_per_s(),
            in_flight: count(in_flight),
            limit: count(limit),
        }
    })
}

/// The layer that keeps the seats of those who ask for something, and counts what they ask.
pub(crate) async fn attend(State(door): State<Door>, request: Request, next: Next) -> Response {
    if let Some(Identity::Known(principal, _)) = request.extensions().get::<Identity>() {
        door.seen(principal.family());
    }
    let response = next.run(request).await;
    door.answered();
    response
}
