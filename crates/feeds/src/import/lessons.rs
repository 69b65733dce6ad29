//! Timetables into the school's lessons: read, resolved, and handed to the timetable's own writer in one transaction.

#![expect(
    clippy::as_conversions,
    reason = "`value as Type` tells query! the type of a parameter; nothing is converted"
)]

use std::fs::File;
use std::path::PathBuf;

use chrono::{DateTime, Datelike, NaiveDate, Utc};
use chrono_tz::Tz;
use futures::future::BoxFuture;
use preau_db::{Db, DbError, TerritoryTx, outbox};
use preau_kernel::{ClassId, Clock, GroupId, PersonId, SchoolId, TerritoryId};
use serde_json::json;

use super::Error;
use super::resolve::{Lesson, Names, resolve};
use crate::fault::{Code, Fault, Place};
use crate::lessons::{Timetable, instant};
use crate::limits::Limits;
use crate::report::Report;
use crate::{ical, sts};

/// The files of one school's timetable.
#[derive(Clone, Debug)]
pub enum TimetableFiles {
    /// An STS pair.
    Sts {
        /// `sts_emp_…xml`
        down: TimetableFile,
        /// `emp_sts_…xml`
        up: TimetableFile,
    },
    /// An iCalendar file.
    Ics(TimetableFile),
}

/// A file, and what people call it: an upload lies under another name.
#[derive(Clone, Debug)]
pub struct TimetableFile {
    /// Where it is.
    pub path: PathBuf,
    /// Its name in faults and reports.
    pub name: String,
}

/// Which of the two a lesson came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The STS pair.
    Sts,
    /// An iCalendar file.
    Ical,
}

/// What writing changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Lessons that were not known.
    pub inserted: u64,
    /// Lessons that changed.
    pub updated: u64,
    /// Lessons that the source no longer has.
    pub deleted: u64,
}

/// Replaces a source's lessons in a window of instants by these. The timetable owns its rows and features do not import one
/// another, so the composition root hands its writer in.
pub type WriteLessons = for<'a> fn(
    &'a mut TerritoryTx,
    SchoolId,
    Source,
    (DateTime<Utc>, DateTime<Utc>),
    Vec<Lesson>,
) -> BoxFuture<'a, Result<Changes, DbError>>;

/// Makes the files the timetable of a school of the territory, for the days that they speak for. All or nothing.
///
/// # Errors
/// [`Error::Fault`] with the place in the file; [`Error::NoSuchSchool`]; database errors.
pub async fn import_timetable(
    (db, clock): (&Db, &Clock),
    territory: TerritoryId,
    school: SchoolId,
    files: TimetableFiles,
    write: WriteLessons,
) -> Result<Report, Error> {
    let mut tx = db.in_territory_for_work(territory).await?;
    let row = sqlx::query!(
        "SELECT uai, tz FROM school WHERE territory_id = $1 AND school_id = $2",
        territory as TerritoryId,
        school as SchoolId,
    )
    .fetch_optional(tx.conn())
    .await?
    .ok_or(Error::NoSuchSchool)?;
    tx.commit().await?;
    let tz = row.tz.parse::<Tz>().map_err(|_| DbError::Corrupt("time zone of a school"))?;
    let source = match &files {
        TimetableFiles::Sts { .. } => Source::Sts,
        TimetableFiles::Ics(_) => Source::Ical,
    };
    let window = school_year(clock.today(tz));
    let read = tokio::task::spawn_blocking(move || read(&files, &row.uai, tz, window));
    let (timetable, mut report) = read.await.map_err(|_| Error::ReaderDied)??;

    let mut tx = db.in_territory_for_work(territory).await?;
    tx.enter_school(school).await?;
    let names = names(&mut tx, school).await?;
    let edge = |day: NaiveDate| instant(tz, day.and_time(chrono::NaiveTime::MIN));
    let days = (edge(timetable.from), edge(timetable.until));
    let (lessons, lost) = resolve(timetable.entries, &names, clock);
    if lost.teachers > 0 {
        report.warn_many("timetable-unknown-teacher", lost.teachers, Place::default(), "");
    }
    for (name, count) in lost.divisions {
        report.warn_many("timetable-unknown-division", count, Place::default(), &name);
    }
    let subjects = subjects(&mut tx, school, &lessons).await?;
    let changes = write(&mut tx, school, source, days, lessons).await?;
    report.wrote("subject", subjects);
    report.wrote("lesson", changes.inserted + changes.updated + changes.deleted);
    report.count("lesson_new", changes.inserted);
    report.count("lesson_changed", changes.updated);
    report.count("lesson_gone", changes.deleted);
    if report.rows_written_total() > 0 {
        outbox::push(&mut tx, clock, school, "timetable.changed", &json!({})).await?;
    }
    tx.commit().await?;
    Ok(report)
}

/// The days over which rules are followed: a school year, with the summers on both sides.
fn school_year(today: NaiveDate) -> ical::Window {
    let year = if today.month() >= 7 { today.year() } else { today.year() - 1 };
    let day = |year, month| NaiveDate::from_ymd_opt(year, month, 1).unwrap_or(today);
    ical::Window { from: day(year, 7), until: day(year + 1, 9) }
}

fn read(
    files: &TimetableFiles,
    uai: &str,
    tz: Tz,
    window: ical::Window,
) -> Result<(Timetable, Report), Fault> {
    let (limits, mut report) = (Limits::default(), Report::default());
    let timetable = match files {
        TimetableFiles::Sts { down, up } => {
            sts::read(source(down)?, source(up)?, uai, tz, &limits, &mut report)?
        }
        TimetableFiles::Ics(file) => {
            let sts::Source { bytes, name } = source(file)?;
            ical::read(bytes, &name, tz, window, &limits, &mut report)?
        }
    };
    if timetable.entries.is_empty() && report.warnings.is_empty() {
        let what = "the timetable holds no lesson";
        return Err(Fault::new(
            Code::Empty,
            Place::file(report.files.last().map_or("", |file| &file.name)),
            what,
        ));
    }
    Ok((timetable, report))
}

fn source(file: &TimetableFile) -> Result<sts::Source<File>, Fault> {
    match File::open(&file.path) {
        Ok(bytes) => Ok(sts::Source { bytes, name: file.name.clone() }),
        Err(err) => Err(Fault::from_io(&file.name, &err)),
    }
}

/// What the school calls things, as a timetable may refer to them.
async fn names(tx: &mut TerritoryTx, school: SchoolId) -> Result<Names, Error> {
    let mut names = Names::default();
    let classes = sqlx::query!(
        r#"SELECT class_id AS "id: ClassId", name FROM class WHERE school_id = $1 AND ended_at IS NULL"#,
        school as SchoolId,
    )
    .fetch_all(tx.conn())
    .await?;
    classes.into_iter().for_each(|row| names.class(&row.name, row.id));
    let groups = sqlx::query!(
        r#"SELECT group_id AS "id: GroupId", name FROM teaching_group WHERE school_id = $1 AND ended_at IS NULL"#,
        school as SchoolId,
    )
    .fetch_all(tx.conn())
    .await?;
    groups.into_iter().for_each(|row| names.group(&row.name, row.id));
    let subjects =
        sqlx::query!("SELECT subject_code, label FROM subject WHERE school_id = $1", school as SchoolId)
            .fetch_all(tx.conn())
            .await?;
    subjects.into_iter().for_each(|row| names.subject(&row.subject_code, &row.label));
    let teachers = sqlx::query!(
        r#"SELECT p.person_id AS "id: PersonId", p.last_name, p.first_name
             FROM school_person p
             JOIN membership m ON m.school_id = p.school_id AND m.person_id = p.person_id
            WHERE p.school_id = $1 AND m.role = 'teacher' AND m.ended_at IS NULL"#,
        school as SchoolId,
    )
    .fetch_all(tx.conn())
    .await?;
    let ids: Vec<uuid::Uuid> = teachers.iter().map(|row| row.id.uuid()).collect();
    teachers.iter().for_each(|row| names.teacher(&row.last_name, &row.first_name, row.id));
    let sts = sqlx::query!(
        r#"SELECT sts_id, person_id AS "id: PersonId" FROM sts_key WHERE territory_id = $1 AND person_id = ANY($2)"#,
        tx.territory() as TerritoryId,
        &ids,
    )
    .fetch_all(tx.conn())
    .await?;
    sts.into_iter().for_each(|row| names.sts(&row.sts_id, row.id));
    Ok(names)
}

/// Subjects that only the timetable names. The directory's labels stay.
async fn subjects(tx: &mut TerritoryTx, school: SchoolId, lessons: &[Lesson]) -> Result<u64, Error> {
    let known: std::collections::BTreeMap<String, String> = lessons
        .iter()
        .filter(|lesson| !lesson.subject_code.is_empty())
        .map(|lesson| (lesson.subject_code.clone(), lesson.subject_label.clone()))
        .collect();
    let (codes, labels): (Vec<String>, Vec<String>) = known.into_iter().unzip();
    let done = sqlx::query!(
        "INSERT INTO subject (school_id, subject_code, label)
         SELECT $1, s.subject_code, s.label FROM unnest($2::text[], $3::text[]) AS s (subject_code, label)
         ON CONFLICT DO NOTHING",
        school as SchoolId,
        &codes,
        &labels,
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected())
}
