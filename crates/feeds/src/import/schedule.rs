//! Deliveries that are fetched by themselves, each night, at an hour of the territory's zone.
//!
//! The operator's installation names one folder, the inbox; a territory's schedule names a folder or archive below it, so that
//! nobody who can write a schedule can read the machine.

#![expect(
    clippy::as_conversions,
    reason = "`value as Type` tells query! the type of a parameter; nothing is converted"
)]

use std::path::{Component, Path, PathBuf};

use chrono::{DateTime, Days, NaiveDate, NaiveTime, TimeDelta, Utc};
use chrono_tz::Tz;
use preau_db::{Db, DbError, TerritoryTx, journal};
use preau_jobs::{NewJob, enqueue, wake};
use preau_kernel::{Clock, JobId, PersonId, TerritoryId};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::{holds, jobs};

/// A territory's nightly feed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Schedule {
    /// Whether it is fetched.
    pub enabled: bool,
    /// How its files are written: `aaf`, `onde`, `siecle`, `csv`…
    pub format: String,
    /// Folder or archive below the installation's inbox.
    pub directory: String,
    /// When, in the zone: `02:30:00`.
    pub at: NaiveTime,
    /// IANA name of the zone.
    pub time_zone: String,
    /// The last night that it was begun for.
    #[schema(required = true)]
    pub last_night: Option<NaiveDate>,
    /// The job that it was.
    #[schema(required = true)]
    pub last_job_id: Option<JobId>,
    /// When somebody last changed it.
    pub updated_at: DateTime<Utc>,
}

/// What an administrator sets.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewSchedule {
    /// Whether it is fetched.
    pub enabled: bool,
    /// How its files are written: `aaf`, `onde`, `siecle`, `csv`…
    pub format: String,
    /// Folder or archive below the installation's inbox: a relative path.
    #[schema(min_length = 1, max_length = 200)]
    pub directory: String,
    /// When, in the zone: `02:30:00`.
    pub at: NaiveTime,
    /// IANA name of the zone.
    pub time_zone: String,
}

/// Why a schedule is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Not a relative path of plain names.
    #[error("the directory is a relative path below the inbox, without . or ..")]
    Directory,
    /// Not a zone.
    #[error("the time zone is not an IANA name")]
    Zone,
    /// Not a format.
    #[error("the format is not one that can be fetched")]
    Format,
}

/// A later fetch than this is not a night feed any more: the morning's first lesson comes first.
const PATIENCE: TimeDelta = TimeDelta::hours(4);

impl NewSchedule {
    /// Whether it makes sense.
    ///
    /// # Errors
    /// [`Refused`]
    pub fn check(&self) -> Result<(), Refused> {
        let path = Path::new(&self.directory);
        let plain = path.components().all(|part| matches!(part, Component::Normal(_)));
        let fits = (1..=200).contains(&self.directory.chars().count());
        if !plain || !fits || self.directory.contains('\0') {
            return Err(Refused::Directory);
        }
        if self.time_zone.parse::<Tz>().is_err() {
            return Err(Refused::Zone);
        }
        if !jobs::is_format(&self.format) {
            return Err(Refused::Format);
        }
        Ok(())
    }
}

/// The night for which a schedule is due: today's, or yesterday's when it is late in the evening and just after midnight.
pub(super) fn due_night(
    now: DateTime<Utc>,
    tz: Tz,
    at: NaiveTime,
    last: Option<NaiveDate>,
) -> Option<NaiveDate> {
    let local = now.with_timezone(&tz).naive_local();
    let nights = [Some(local.date()), local.date().checked_sub_days(Days::new(1))];
    nights.into_iter().flatten().find(|night| {
        // On the two nights when clocks change the hour may be missing or come twice: the local clock only ever counts once.
        let since = local - night.and_time(at);
        since >= TimeDelta::zero() && since < PATIENCE && last.is_none_or(|last| last < *night)
    })
}

/// The territory's schedule.
///
/// # Errors
/// Any [`DbError`].
pub(crate) async fn find(tx: &mut TerritoryTx) -> Result<Option<Schedule>, DbError> {
    Ok(sqlx::query_as!(
        Schedule,
        r#"SELECT enabled, format, directory, at, time_zone, last_night, last_job_id AS "last_job_id: _", updated_at
             FROM feed_schedule WHERE territory_id = $1"#,
        tx.territory() as TerritoryId,
    )
    .fetch_optional(tx.conn())
    .await?)
}

/// Sets the territory's schedule.
pub(crate) async fn set(
    tx: &mut TerritoryTx,
    schedule: &NewSchedule,
    (by, now): (PersonId, DateTime<Utc>),
) -> Result<(), DbError> {
    sqlx::query!(
        "INSERT INTO feed_schedule (territory_id, enabled, format, directory, at, time_zone, updated_by, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
         ON CONFLICT (territory_id)
         DO UPDATE SET enabled = excluded.enabled, format = excluded.format, directory = excluded.directory, at = excluded.at,
                       time_zone = excluded.time_zone, updated_by = excluded.updated_by, updated_at = excluded.updated_at",
        tx.territory() as TerritoryId,
        schedule.enabled,
        schedule.format,
        schedule.directory,
        schedule.at,
        schedule.time_zone,
        by as PersonId,
        now,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Begins the night's feed of a territory if it is due, and wakes jobs whose held schools have been decided. Two workers that
/// ask at the same time begin one: the row remembers the night in the transaction that writes the job.
///
/// # Errors
/// Any [`DbError`].
pub async fn tick(
    db: &Db,
    clock: &Clock,
    territory: TerritoryId,
    inbox: Option<&Path>,
) -> Result<Option<JobId>, DbError> {
    let now = clock.now();
    let mut tx = db.in_territory_for_work(territory).await?;
    for job in holds::to_wake(&mut tx).await? {
        wake(&mut tx, job).await?;
    }
    let Some(schedule) = find(&mut tx).await?.filter(|schedule| schedule.enabled) else {
        tx.commit().await?;
        return Ok(None);
    };
    let tz: Tz = schedule.time_zone.parse().unwrap_or(chrono_tz::Europe::Paris);
    let (Some(night), Some(inbox)) = (due_night(now, tz, schedule.at, schedule.last_night), inbox) else {
        tx.commit().await?;
        return Ok(None);
    };
    let ours = sqlx::query!(
        "UPDATE feed_schedule SET last_night = $2
          WHERE territory_id = $1 AND enabled AND (last_night IS NULL OR last_night < $2)",
        territory as TerritoryId,
        night,
    )
    .execute(tx.conn())
    .await?
    .rows_affected();
    if ours == 0 {
        return Ok(None);
    }
    let directory: PathBuf = inbox.join(&schedule.directory);
    let params = json!({ "directory": directory, "format": schedule.format });
    let job = enqueue(&mut tx, clock, NewJob { kind: jobs::AAF, params, created_by: None }).await?;
    sqlx::query!(
        "UPDATE feed_schedule SET last_job_id = $2 WHERE territory_id = $1",
        territory as TerritoryId,
        job as JobId,
    )
    .execute(tx.conn())
    .await?;
    let detail = json!({ "kind": jobs::AAF, "scheduled": true });
    let act = journal::Act { actor: None, act: "feeds.import", subject: Some(job.uuid()), detail };
    journal::append(&mut tx, now, act).await?;
    tx.commit().await?;
    Ok(Some(job))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn due(now: &str, at: &str, last: Option<&str>) -> Option<String> {
        let last = last.map(|day| day.parse().unwrap());
        due_night(now.parse().unwrap(), chrono_tz::Europe::Paris, at.parse().unwrap(), last)
            .map(|night| night.to_string())
    }

    #[test]
    fn a_night_comes_once_in_its_own_zone() {
        // 02:30 in Paris is 01:30 UTC in winter.
        assert_eq!(due("2026-11-22T01:29:59Z", "02:30:00", None), None);
        assert_eq!(due("2026-11-22T01:30:00Z", "02:30:00", None).as_deref(), Some("2026-11-22"));
        assert_eq!(due("2026-11-22T01:31:00Z", "02:30:00", Some("2026-11-22")), None);
        assert_eq!(due("2026-11-22T09:00:00Z", "02:30:00", Some("2026-11-21")), None, "it is morning");
    }

    #[test]
    fn a_feed_just_before_midnight_belongs_to_the_evening() {
        assert_eq!(
            due("2026-11-21T23:30:00Z", "23:45:00", Some("2026-11-20")).as_deref(),
            Some("2026-11-21")
        );
        assert_eq!(due("2026-11-21T23:30:00Z", "23:45:00", Some("2026-11-21")), None);
    }

    #[test]
    fn clocks_that_change_neither_skip_nor_repeat_a_night() {
        // 29 March 2026: 02:00 becomes 03:00, there is no 02:30.
        assert_eq!(
            due("2026-03-29T01:00:00Z", "02:30:00", Some("2026-03-28")).as_deref(),
            Some("2026-03-29")
        );
        // 25 October 2026: 02:30 comes at 00:30 and at 01:30 UTC.
        assert_eq!(due("2026-10-25T00:30:00Z", "02:30:00", None).as_deref(), Some("2026-10-25"));
        assert_eq!(due("2026-10-25T01:30:00Z", "02:30:00", Some("2026-10-25")), None);
    }

    #[test]
    fn a_schedule_stays_below_the_inbox() {
        let of = |directory: &str| NewSchedule {
            enabled: true,
            format: "aaf".into(),
            directory: directory.into(),
            at: NaiveTime::MIN,
            time_zone: "Europe/Paris".into(),
        };
        assert_eq!(of("academie/aaf").check(), Ok(()));
        for bad in ["/etc", "../secrets", "a/../../b", "", "a\0b"] {
            assert_eq!(of(bad).check(), Err(Refused::Directory), "{bad:?}");
        }
        assert_eq!(NewSchedule { time_zone: "Mars".into(), ..of("a") }.check(), Err(Refused::Zone));
        assert_eq!(NewSchedule { format: "docx".into(), ..of("a") }.check(), Err(Refused::Format));
    }
}
