//! What keeps a credential from reading everybody: handlers that answer with people say how many, in one line, before
//! they answer. And what keeps a client to its requests a minute.

use std::{sync::Arc, time::Duration};

use axum::{extract::FromRequestParts, http::StatusCode, http::request::Parts};
use chrono::{DateTime, DurationRound, NaiveDate, TimeDelta, Utc};
use preau_db::{
    DbError,
    budget::{self, Beyond, Leased, RECORDS_A_DAY, Wanted},
};
use preau_kernel::{ClientId, ClientPrincipal, Member, PersonId, SchoolId};
use tokio::sync::Mutex;

use crate::{Gate, Problem};

/// Credentials times schools, or clients, that a node holds something for.
const HELD: u64 = 50_000;
const DAY: Duration = Duration::from_secs(24 * 3600);

/// Counts the people that an answer holds. Taken by handlers as an extractor; the count comes before the answer:
///
/// ```ignore
/// budget.list(&member, page.items.len()).await?;   // any list or detail of people
/// budget.export(&member, rows.len()).await?;       // bulk and export routes
/// ```
#[derive(Clone)]
pub struct Budget(Arc<Gate>);

impl<S: Send + Sync> FromRequestParts<S> for Budget {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts.extensions.get::<Arc<Gate>>().cloned().map(Self).ok_or_else(Problem::not_found)
    }
}

impl Budget {
    /// An answer that shows `records` people of the member's school: counted when a client asks. People who look at
    /// lists on a screen are not.
    ///
    /// # Errors
    /// 403 `approval-required`; 503 while PostgreSQL cannot count.
    pub async fn list(&self, member: &Member, records: usize) -> Result<(), Problem> {
        match member.client() {
            Some(_) => self.export(member, records).await,
            None => Ok(()),
        }
    }

    /// An answer by which `records` people leave the product, of the member's school: counted whoever asks.
    ///
    /// # Errors
    /// 403 `approval-required`; 503 while PostgreSQL cannot count.
    pub async fn export(&self, member: &Member, records: usize) -> Result<(), Problem> {
        self.take(member.person(), member.school(), records).await
    }

    /// The same where no member is at hand: a territory's export counts each school of it.
    ///
    /// # Errors
    /// 403 `approval-required`; 503 while PostgreSQL cannot count.
    pub async fn take(&self, credential: PersonId, school: SchoolId, records: usize) -> Result<(), Problem> {
        let Ok(records) = i32::try_from(records) else {
            return Err(approval_required(Beyond::Records, school));
        };
        if records == 0 {
            return Ok(());
        }
        let gate = &self.0;
        let day = gate.clock.now().date_naive();
        let held = gate.quotas.records.get_with((credential, school), Arc::default);
        // One lease at a time for a credential here: who waits finds what the one before left.
        let mut held = held.lock().await;
        if held.day != day {
            *held = Records { day, left: 0 };
        }
        if held.left < records {
            let facts = gate.db.school_facts(school).await?.ok_or_else(Problem::not_found)?;
            let mut tx = gate.db.in_territory_for_work(facts.territory).await?;
            let wanted = Wanted { credential: credential.uuid(), school, day, records };
            match budget::lease_records(&mut tx, &wanted).await? {
                Leased::Granted(granted) => {
                    tx.commit().await?;
                    held.left += granted;
                }
                Leased::Refused(beyond) => return Err(approval_required(beyond, school)),
            }
        }
        held.left -= records;
        Ok(())
    }
}

fn approval_required(beyond: Beyond, school: SchoolId) -> Problem {
    let detail = match beyond {
        Beyond::Records => "more records of people in a day than one person may decide on",
        Beyond::School => "people of more than one school in a day, which one person may not decide on",
    };
    Problem::new(StatusCode::FORBIDDEN, "approval-required", detail)
        .with("ask", format!("POST /api/v1/schools/{school}/read-approvals").into())
        .with("records_a_day", RECORDS_A_DAY.into())
}

#[derive(Default)]
struct Records {
    day: NaiveDate,
    left: i32,
}

#[derive(Default)]
struct Minute {
    minute: DateTime<Utc>,
    left: i32,
    /// Nothing is left on any node: not asked again before the next minute.
    dry: bool,
}

/// What this node has leased and not used.
pub(crate) struct Quotas {
    records: moka::sync::Cache<(PersonId, SchoolId), Arc<Mutex<Records>>>,
    minutes: moka::sync::Cache<ClientId, Arc<Mutex<Minute>>>,
}

impl Quotas {
    pub(crate) fn new() -> Self {
        Self {
            records: moka::sync::Cache::builder().max_capacity(HELD).time_to_idle(DAY).build(),
            minutes: moka::sync::Cache::builder().max_capacity(HELD).time_to_idle(DAY).build(),
        }
    }

    /// One request of a client, or 429 until the next minute.
    pub(crate) async fn take(&self, gate: &Gate, client: &ClientPrincipal) -> Result<(), Problem> {
        let now = gate.clock.now();
        let minute = now.duration_trunc(TimeDelta::minutes(1)).unwrap_or(now);
        let held = self.minutes.get_with(client.id(), Arc::default);
        let mut held = held.lock().await;
        if held.minute < minute || held.left == 0 && !held.dry {
            let leased = lease_requests(gate, client, minute).await?;
            *held = Minute { minute: leased.0, left: leased.1, dry: leased.1 == 0 };
        }
        if held.left == 0 {
            let next = (held.minute + TimeDelta::minutes(1) - now).to_std().unwrap_or_default();
            return Err(quota_exceeded(next));
        }
        held.left -= 1;
        Ok(())
    }
}

async fn lease_requests(
    gate: &Gate,
    client: &ClientPrincipal,
    minute: DateTime<Utc>,
) -> Result<(DateTime<Utc>, i32), DbError> {
    let limit = i32::try_from(client.per_minute()).unwrap_or(i32::MAX);
    let mut tx = gate.db.in_territory_for_work(client.territory()).await?;
    let leased = budget::lease_requests(&mut tx, client.id(), minute, limit).await?;
    tx.commit().await?;
    Ok(leased)
}

fn quota_exceeded(wait: Duration) -> Problem {
    Problem::new(
        StatusCode::TOO_MANY_REQUESTS,
        "quota-exceeded",
        "this client has used up its requests of this minute",
    )
    .retry_after(wait.max(Duration::from_secs(1)))
}
