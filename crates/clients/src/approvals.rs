//! Reading more than one person may decide on: asked by one, agreed to by another.

use chrono::NaiveDate;
use preau_db::{SchoolTx, journal};
use preau_kernel::{ClientId, PersonId, SchoolId, TerritoryId};
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    ApprovalState, Clients, Error, ReadApproval,
    queries::{self, ApprovalRow, Decided, NewApproval},
    rules::{self, AskedReading},
};

/// A wish to read more people of a school.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewReadApproval {
    /// The client that is to read; when nothing is said, whoever asks.
    #[serde(default)]
    pub(crate) client_id: Option<ClientId>,
    /// Records a day.
    #[schema(minimum = 1, maximum = 100000)]
    pub(crate) records_per_day: i32,
    /// The last day, of UTC, within 92 days.
    pub(crate) ends_on: NaiveDate,
    /// What the reading is for.
    #[schema(min_length = 10, max_length = 500)]
    pub(crate) reason: String,
}

/// A second person's decision.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewReadDecision {
    /// Yes or no.
    pub(crate) grant: bool,
    /// Why.
    #[schema(min_length = 10, max_length = 500)]
    pub(crate) reason: String,
    /// Fewer records a day than were asked for.
    #[serde(default)]
    #[schema(minimum = 1)]
    pub(crate) records_per_day: Option<i32>,
    /// An earlier end than was asked for.
    #[serde(default)]
    pub(crate) ends_on: Option<NaiveDate>,
}

impl ReadApproval {
    pub(crate) fn of(row: ApprovalRow) -> Self {
        Self {
            id: row.approval_id,
            school_id: row.school_id.into(),
            client_id: row.for_client.then(|| row.credential_id.into()),
            person_id: (!row.for_client).then(|| row.credential_id.into()),
            state: match row.state.as_str() {
                "granted" => ApprovalState::Granted,
                "refused" => ApprovalState::Refused,
                "ended" => ApprovalState::Ended,
                // The table knows no other word.
                _ => ApprovalState::Asked,
            },
            records_per_day: row.records_per_day,
            ends_on: row.ends_on,
            reason: row.reason,
            asked_by: row.asked_by.into(),
            asked_at: row.asked_at,
            decided_by: row.decided_by.map(PersonId::from),
            decided_at: row.decided_at,
            decision_reason: row.decision_reason,
        }
    }
}

impl Clients {
    /// Writes a wish down. The caller commits.
    pub(crate) async fn ask_to_read(
        &self,
        tx: &mut SchoolTx,
        territory: TerritoryId,
        by: PersonId,
        new: &NewReadApproval,
    ) -> Result<ReadApproval, Error> {
        let now = self.clock.now();
        let asked =
            AskedReading { records_per_day: new.records_per_day, ends_on: new.ends_on, reason: &new.reason };
        let faults = rules::reading_faults(&asked, now.date_naive());
        if !faults.is_empty() {
            return Err(Error::Invalid(faults));
        }
        let school: SchoolId = tx.school();
        if let Some(client) = new.client_id {
            let found = queries::client(tx, territory, Some(school), client, now).await?;
            if found.is_none_or(|client| client.revoked_at.is_some()) {
                return Err(Error::NotFound);
            }
        }
        let approval: Uuid = self.clock.mint();
        let row = NewApproval {
            approval,
            territory,
            credential: new.client_id.map_or(by.uuid(), ClientId::uuid),
            for_client: new.client_id.is_some(),
            records_per_day: new.records_per_day,
            ends_on: new.ends_on,
            reason: new.reason.trim(),
            by,
            now,
        };
        queries::insert_approval(tx, &row).await?;
        let detail = json!({ "records_per_day": new.records_per_day, "ends_on": new.ends_on });
        let act = journal::Act { actor: Some(by), act: "reading.ask", subject: Some(approval), detail };
        journal::append(tx, now, act).await?;
        self.approval(tx, approval).await
    }

    /// A second person decides. The caller commits.
    pub(crate) async fn decide(
        &self,
        tx: &mut SchoolTx,
        by: PersonId,
        approval: Uuid,
        said: &NewReadDecision,
    ) -> Result<ReadApproval, Error> {
        let now = self.clock.now();
        let row = queries::approval_for_change(tx, approval).await?.ok_or(Error::NotFound)?;
        if !rules::may_decide(by, row.asked_by.into(), row.credential_id) {
            return Err(Error::SamePerson);
        }
        if row.state != "asked" {
            return Err(Error::Decided);
        }
        let records_per_day = said.records_per_day.unwrap_or(row.records_per_day).min(row.records_per_day);
        let ends_on = said.ends_on.unwrap_or(row.ends_on).min(row.ends_on);
        let asked = AskedReading { records_per_day, ends_on, reason: &said.reason };
        let faults = rules::reading_faults(&asked, now.date_naive());
        // A wish whose day has passed can still be refused.
        let counts = |field: &str| said.grant || field == "reason";
        if faults.iter().any(|fault| counts(&fault.field)) {
            return Err(Error::Invalid(faults));
        }
        let (state, act) =
            if said.grant { ("granted", "reading.grant") } else { ("refused", "reading.refuse") };
        let decided = Decided {
            approval,
            state,
            records_per_day: if said.grant { records_per_day } else { row.records_per_day },
            ends_on: if said.grant { ends_on } else { row.ends_on },
            by,
            reason: said.reason.trim(),
            now,
        };
        queries::decide(tx, &decided).await?;
        let detail = json!({ "records_per_day": decided.records_per_day, "ends_on": decided.ends_on });
        let act = journal::Act { actor: Some(by), act, subject: Some(approval), detail };
        journal::append(tx, now, act).await?;
        self.approval(tx, approval).await
    }

    /// Ends an approval in force, by anybody who administers; another stays as it is. The caller commits.
    pub(crate) async fn end_reading(
        &self,
        tx: &mut SchoolTx,
        by: PersonId,
        approval: Uuid,
    ) -> Result<ReadApproval, Error> {
        let row = queries::approval_for_change(tx, approval).await?.ok_or(Error::NotFound)?;
        if row.state == "granted" {
            queries::end_approval(tx, approval).await?;
            let act = journal::Act {
                actor: Some(by),
                act: "reading.end",
                subject: Some(approval),
                detail: json!({}),
            };
            journal::append(tx, self.clock.now(), act).await?;
        }
        self.approval(tx, approval).await
    }

    async fn approval(&self, tx: &mut SchoolTx, approval: Uuid) -> Result<ReadApproval, Error> {
        let row = queries::approval_for_change(tx, approval).await?.ok_or(Error::NotFound)?;
        Ok(ReadApproval::of(row))
    }
}
