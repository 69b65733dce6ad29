//! What administrators do, in the transaction of their scope. The caller commits, and spreads the news.

mod exceptions;
mod plans;
mod suspensions;

use chrono::{DateTime, Utc};
use preau_db::{DbError, Tx, journal};
use preau_http::FieldError;
use preau_kernel::PersonId;
use uuid::Uuid;

pub(crate) use self::{
    exceptions::NewSlotException, plans::NewForcedMode, suspensions::NewProfileSuspension,
};
use crate::{Error, Plans, SlotScope};

fn scope_of(of_school: bool) -> SlotScope {
    if of_school { SlotScope::School } else { SlotScope::Territory }
}

fn valid(faults: Vec<FieldError>) -> Result<(), Error> {
    if faults.is_empty() { Ok(()) } else { Err(Error::Invalid(faults)) }
}

/// Codes and counts, never words.
async fn written(
    tx: &mut impl Tx,
    now: DateTime<Utc>,
    (act, by): (&str, Option<PersonId>),
    subject: Uuid,
    detail: serde_json::Value,
) -> Result<(), DbError> {
    journal::append(tx, now, journal::Act { actor: by, act, subject: Some(subject), detail }).await
}

impl Plans {
    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }
}
