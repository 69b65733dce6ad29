//! Two records of one person: found, shown to those who administer either, told apart for good, or made one. A merge is one
//! job that goes on where it was stopped, and can be undone.

mod queries;
mod routes;
mod rules;

use chrono::{DateTime, NaiveDate, Utc};
use preau_db::{
    DbError,
    journal::{self, Act},
};
use preau_jobs::{Handler, JobError, Work, handler};
use preau_kernel::{JobId, PersonId, SchoolId};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;
use uuid::Uuid;

use super::people;
use crate::{
    Office,
    register::{self, Shown},
};

pub(super) use routes::routes;

/// The kinds of the jobs.
const SEARCH: &str = "find-duplicates";
const MERGE: &str = "merge-accounts";

/// What became of a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = DuplicateState)]
enum PairState {
    /// Nobody has decided.
    Open,
    /// Two people.
    Distinct,
    /// One, and made one.
    Merged,
}

impl PairState {
    fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Distinct => "distinct",
            Self::Merged => "merged",
        }
    }

    fn read(word: &str) -> Result<Self, DbError> {
        const ALL: [PairState; 3] = [PairState::Open, PairState::Distinct, PairState::Merged];
        ALL.into_iter().find(|state| state.as_str() == word).ok_or(DbError::Corrupt("state of a pair"))
    }
}

/// Where a merge stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = AccountMergeState)]
enum MergeState {
    /// Its job is at it.
    Merging,
    /// One.
    Merged,
    /// Its job parts them.
    Undoing,
    /// Two again.
    Undone,
}

impl MergeState {
    fn as_str(self) -> &'static str {
        match self {
            Self::Merging => "merging",
            Self::Merged => "merged",
            Self::Undoing => "undoing",
            Self::Undone => "undone",
        }
    }

    fn read(word: &str) -> Result<Self, DbError> {
        const ALL: [MergeState; 4] =
            [MergeState::Merging, MergeState::Merged, MergeState::Undoing, MergeState::Undone];
        ALL.into_iter().find(|state| state.as_str() == word).ok_or(DbError::Corrupt("state of a merge"))
    }
}

/// One of the two records.
#[derive(Debug, Serialize, ToSchema)]
struct DuplicateOne {
    /// The person.
    id: PersonId,
    /// First name.
    first_name: String,
    /// Last name.
    last_name: String,
    /// Birth date.
    #[schema(required = true)]
    birth_on: Option<NaiveDate>,
    /// Schools where they are something.
    school_ids: Vec<SchoolId>,
}

/// Two records that may be one person.
#[derive(Debug, Serialize, ToSchema)]
struct DuplicatePair {
    /// The pair.
    id: Uuid,
    /// 0 to 100.
    score: i16,
    /// What it is made of: `last-name`, `first-name`, `first-name-begins`, `birth-date`, `email`, `ine`, `same-school`.
    reasons: Vec<String>,
    /// What became of it.
    state: PairState,
    /// When it was found.
    found_at: DateTime<Utc>,
    /// When somebody decided.
    #[schema(required = true)]
    decided_at: Option<DateTime<Utc>>,
    /// One.
    one: DuplicateOne,
    /// The other.
    other: DuplicateOne,
}

/// Two records that are made one.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
struct AccountMerge {
    /// The merge.
    id: Uuid,
    /// The pair it settles, if it was found as one.
    #[schema(required = true)]
    pair_id: Option<Uuid>,
    /// The person who stays.
    kept_id: PersonId,
    /// The person who becomes part of them.
    merged_id: PersonId,
    /// Schools where the second was something.
    school_ids: Vec<SchoolId>,
    /// Where it stands.
    state: MergeState,
    /// The job that is or was at it.
    #[schema(required = true)]
    job_id: Option<JobId>,
    /// Who asked.
    made_by: PersonId,
    /// When.
    made_at: DateTime<Utc>,
    /// When it last moved.
    updated_at: DateTime<Utc>,
}

#[derive(Debug, Serialize, Deserialize)]
struct MergeParams {
    merge_id: Uuid,
    undo: bool,
}

#[derive(Debug, Serialize, Deserialize)]
struct SearchParams {
    school_ids: Option<Vec<SchoolId>>,
}

/// The handlers of the jobs.
pub(super) fn handlers() -> Vec<(&'static str, Handler)> {
    vec![
        (SEARCH, handler(|work| async move { search(&work).await })),
        (MERGE, handler(|work| async move { merge(&work).await })),
    ]
}

/// School by school: a pair found twice is one pair, so starting over costs time only.
async fn search(work: &Work) -> Result<Value, JobError> {
    let params: SearchParams = serde_json::from_value(work.params.clone())
        .map_err(|_| JobError::Failed(json!({ "code": "search-params" })))?;
    let mut schools = work.db.schools_of(work.territory).await?;
    schools.retain(|school| params.school_ids.as_ref().is_none_or(|only| only.contains(school)));
    work.progress.set_phase("searching");
    work.progress.set_total(u64::try_from(schools.len()).unwrap_or(0));
    let mut pairs = 0;
    for school in schools {
        if work.progress.is_cancelled() {
            return Err(JobError::Stopped);
        }
        let mut office = Office::for_work(&work.db, work.territory, school).await?;
        let candidates = queries::candidates(&mut office).await?;
        pairs += queries::keep_pairs(&mut office, &work.clock, &candidates).await?;
        office.commit().await?;
        work.progress.add_done(1);
    }
    Ok(json!({ "pairs": pairs }))
}

async fn merge(work: &Work) -> Result<Value, JobError> {
    let params: MergeParams = serde_json::from_value(work.params.clone())
        .map_err(|_| JobError::Failed(json!({ "code": "merge-params" })))?;
    let mut tx = work.db.in_territory_for_work(work.territory).await?;
    let found = queries::merge(&mut tx, params.merge_id).await?;
    tx.commit().await?;
    let Some(found) = found else { return Err(JobError::Failed(json!({ "code": "merge-absent" }))) };
    work.progress.set_phase(if params.undo { "parting" } else { "merging" });
    work.progress.set_total(u64::try_from(found.school_ids.len()).unwrap_or(0) + 1);
    if params.undo {
        part(work, &found).await?;
    } else {
        unite(work, &found).await?;
    }
    Ok(json!({ "schools": found.school_ids.len() }))
}

async fn unite(work: &Work, merge: &AccountMerge) -> Result<(), JobError> {
    for school in &merge.school_ids {
        if work.progress.is_cancelled() {
            return Err(JobError::Stopped);
        }
        let mut office = Office::for_work(&work.db, work.territory, *school).await?;
        let now = work.clock.now();
        let tx = office.territory_tx();
        if let Some(record) = people::queries::record(tx, merge.kept_id).await? {
            let shown = Shown {
                person_id: merge.kept_id,
                last_name: record.last_name,
                first_name: record.first_name,
                title: record.title,
            };
            register::show_names(tx, *school, &[shown], now).await?;
        }
        if queries::move_in_school(&mut office, merge, now).await? {
            write_down(work, &mut office, "directory.merge-people", merge).await?;
            office.commit_changed(&work.clock).await?;
        }
        work.progress.add_done(1);
    }
    let mut tx = work.db.in_territory_for_work(work.territory).await?;
    let now = work.clock.now();
    let still = queries::merge(&mut tx, merge.id).await?.is_some_and(|now| now.state == MergeState::Merging);
    if still {
        queries::move_in_territory(&mut tx, merge, now).await?;
        register::revoke(&mut tx, &work.clock, &[merge.merged_id, merge.kept_id]).await?;
        queries::set_merge(&mut tx, merge.id, MergeState::Merged, None, now).await?;
        if let Some(pair) = merge.pair_id {
            queries::decide(&mut tx, pair, PairState::Merged, work.created_by, now).await?;
        }
    }
    tx.commit().await?;
    let mut tx = work.db.as_person(merge.merged_id).await?;
    queries::close_sessions(&mut tx, &work.clock).await?;
    tx.commit().await?;
    let mut tx = work.db.as_person(merge.kept_id).await?;
    queries::tell(&mut tx, merge.id, work.clock.now()).await?;
    tx.commit().await?;
    work.progress.add_done(1);
    Ok(())
}

async fn part(work: &Work, merge: &AccountMerge) -> Result<(), JobError> {
    let mut tx = work.db.in_territory_for_work(work.territory).await?;
    let now = work.clock.now();
    let still = queries::merge(&mut tx, merge.id).await?.is_some_and(|now| now.state == MergeState::Undoing);
    if still {
        queries::part_in_territory(&mut tx, merge, now).await?;
        register::revoke(&mut tx, &work.clock, &[merge.merged_id, merge.kept_id]).await?;
    }
    tx.commit().await?;
    work.progress.add_done(1);
    for school in &merge.school_ids {
        if work.progress.is_cancelled() {
            return Err(JobError::Stopped);
        }
        let mut office = Office::for_work(&work.db, work.territory, *school).await?;
        if queries::part_in_school(&mut office, merge, work.clock.now()).await? {
            write_down(work, &mut office, "directory.part-people", merge).await?;
            office.commit_changed(&work.clock).await?;
        }
        work.progress.add_done(1);
    }
    let mut tx = work.db.in_territory_for_work(work.territory).await?;
    let now = work.clock.now();
    queries::set_merge(&mut tx, merge.id, MergeState::Undone, None, now).await?;
    if let Some(pair) = merge.pair_id {
        queries::decide(&mut tx, pair, PairState::Open, work.created_by, now).await?;
    }
    tx.commit().await?;
    Ok(())
}

async fn write_down(
    work: &Work,
    office: &mut Office,
    act: &str,
    merge: &AccountMerge,
) -> Result<(), DbError> {
    let act = Act {
        actor: work.created_by,
        act,
        subject: Some(merge.kept_id.uuid()),
        detail: json!({ "merged": merge.merged_id }),
    };
    journal::append(office, work.clock.now(), act).await
}
