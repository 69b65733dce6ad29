//! Imports as jobs: from uploads, or from the operator's own files.

use std::path::PathBuf;

use futures::future::BoxFuture;
use preau_files::Spooled;
use preau_jobs::{Handler, JobError, Work, handler};
use preau_kernel::{SchoolId, UploadId};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::lessons::{TimetableFile, TimetableFiles, WriteLessons, import_timetable};
use super::{Error, Import, Progress, import_directory};
use crate::csv::{Mapping, Profile};
use crate::fault::{Code, Fault, Place};
use crate::intake::{DirectoryFormat, Intake};
use crate::limits::Limits;
use crate::report::Report;

/// The kind of the job that imports an AAF delivery.
pub const AAF: &str = "import-aaf";
/// The kind of the job that imports a school's timetable.
pub const TIMETABLE: &str = "import-timetable";

/// The kind of the job that imports a directory of any other format. The files say which, in both.
pub const DIRECTORY: &str = "import-directory";

/// What a directory import reads: what an administrator sent, or what the operator's command line or the night names.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct DirectoryParams {
    /// An upload of the territory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upload_id: Option<UploadId>,
    /// A folder, archive or file on the machine of the worker. No route accepts it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directory: Option<PathBuf>,
    /// The name that an upload had.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The format that it must turn out to be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
    /// UAI of the school that it is about, where the files do not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub school: Option<String>,
    /// Who the rows of a table are, where its headers could be misread.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<Profile>,
    /// What the columns of a table mean, where its headers do not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mapping: Option<Mapping>,
    /// Only say what would be done.
    #[serde(default)]
    pub dry_run: bool,
}

/// Whether a schedule may ask for a format: those whose files say which school they are about. `aaf` is both degrees.
pub(super) fn is_format(word: &str) -> bool {
    word == "aaf"
        || DirectoryFormat::of_str(word)
            .is_some_and(|format| format.is_aaf() || format == DirectoryFormat::Siecle)
}

/// What a timetable import reads.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct TimetableParams {
    /// The school.
    pub school_id: SchoolId,
    /// How the files are written.
    pub format: Format,
    /// Uploads of the territory: one, or for STS two (down, up).
    #[serde(default)]
    pub upload_ids: Vec<UploadId>,
    /// Files on the machine of the worker, likewise. No route accepts them.
    #[serde(default)]
    pub files: Vec<PathBuf>,
}

/// Formats of timetables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = TimetableFormat)]
pub enum Format {
    /// The pair of STS-Web files, down then up.
    Sts,
    /// One iCalendar file.
    Ical,
}

/// The handlers of this feature's jobs. `write` is the timetable's own writer.
pub fn handlers(write: WriteLessons) -> Vec<(&'static str, Handler)> {
    let answer = |outcome: Result<Value, Error>| outcome.map_err(failure);
    let import = handler(directory);
    vec![
        (AAF, import.clone()),
        (DIRECTORY, import),
        (TIMETABLE, handler(move |work| async move { answer(timetable(&work, write).await) })),
    ]
}

fn failure(err: Error) -> JobError {
    match err {
        Error::Cancelled => JobError::Stopped,
        Error::Fault(fault) => {
            JobError::Failed(json!({"code": fault.code.as_str(), "place": fault.place, "detail": fault.what}))
        }
        Error::Db(_) | Error::ReaderDied | Error::NoRandomness => JobError::Interrupted(Box::new(err)),
        Error::NoSuchSchool | Error::BadParams | Error::OtherFiles => {
            JobError::Failed(json!({"code": err.code()}))
        }
    }
}

fn params<P: for<'a> Deserialize<'a>>(work: &Work) -> Result<P, Error> {
    serde_json::from_value(work.params.clone()).map_err(|_| Error::BadParams)
}

async fn directory(work: Work) -> Result<Value, JobError> {
    let report = import(&work).await.map_err(failure)?;
    let waits = !report.schools.held.is_empty() && !report.dry_run;
    let report = serde_json::to_value(&report).unwrap_or_default();
    if waits { Err(JobError::Waiting(report)) } else { Ok(report) }
}

async fn import(work: &Work) -> Result<Report, Error> {
    let params: DirectoryParams = params(work)?;
    // A temporary file lives as long as what holds it.
    let fetched = match params.upload_id {
        Some(upload) => Some(fetch(work, upload).await?),
        None => None,
    };
    let path = match (&fetched, &params.directory) {
        (Some(file), None) => file.path().to_owned(),
        (None, Some(path)) => path.clone(),
        _ => return Err(Error::BadParams),
    };
    let intake = Intake {
        path,
        name: params.name,
        school: params.school,
        profile: params.profile,
        mapping: params.mapping,
    };
    let mut report = import_at(work, &intake, params.dry_run).await?;
    // What was approved while this ran is merged now; what is approved later wakes the job.
    while !report.dry_run && approved_meanwhile(work).await? {
        report = import_at(work, &intake, false).await?;
    }
    Ok(report)
}

async fn approved_meanwhile(work: &Work) -> Result<bool, Error> {
    let import = of(work, false);
    let (_, approved) = super::holds::open(&import).await?;
    Ok(approved > 0 && !work.progress.is_cancelled())
}

fn of(work: &Work, dry_run: bool) -> Import {
    Import {
        db: work.db.clone(),
        clock: work.clock.clone(),
        territory: work.territory,
        job: work.job,
        limits: Limits::default(),
        dry_run,
    }
}

/// Boxed, for its future is large and two callers hold it.
fn import_at<'a>(work: &'a Work, intake: &'a Intake, dry_run: bool) -> BoxFuture<'a, Result<Report, Error>> {
    Box::pin(async move {
        let progress = work.progress.clone();
        let mut last = ("", 0);
        import_directory(&of(work, dry_run), intake, &mut |Progress { phase, done, total }| {
            if phase != last.0 {
                progress.set_phase(phase);
                last = (phase, 0);
            }
            if let Some(total) = total {
                progress.set_total(total);
            }
            progress.add_done(done.saturating_sub(last.1));
            last.1 = done;
            !progress.is_cancelled()
        })
        .await
    })
}

async fn timetable(work: &Work, write: WriteLessons) -> Result<Value, Error> {
    let TimetableParams { school_id, format, upload_ids, files } = params(work)?;
    // Temporary files live as long as what holds them.
    let mut fetched = Vec::new();
    for upload in upload_ids {
        fetched.push(fetch(work, upload).await?);
    }
    let names = match format {
        Format::Sts => ["sts_emp.xml", "emp_sts.xml"].as_slice(),
        Format::Ical => ["calendar.ics"].as_slice(),
    };
    let uploaded = fetched
        .iter()
        .zip(names)
        .map(|(file, name)| TimetableFile { path: file.path().to_owned(), name: (*name).to_owned() });
    let named = files.iter().map(|path| TimetableFile {
        path: path.clone(),
        name: path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned()),
    });
    let all: Vec<TimetableFile> = uploaded.chain(named).collect();
    let files = match (format, all.as_slice()) {
        (Format::Sts, [down, up]) => TimetableFiles::Sts { down: down.clone(), up: up.clone() },
        (Format::Ical, [file]) => TimetableFiles::Ics(file.clone()),
        _ => return Err(Error::BadParams),
    };
    work.progress.set_phase("lessons");
    let report = import_timetable((&work.db, &work.clock), work.territory, school_id, files, write).await?;
    Ok(serde_json::to_value(&report).unwrap_or_default())
}

async fn fetch(work: &Work, upload: UploadId) -> Result<Spooled, Error> {
    preau_files::open(&work.db, &work.clock, work.territory, upload).await.map_err(|err| match err {
        preau_files::Error::Db(err) => Error::Db(err),
        preau_files::Error::Spool(err) => Error::Fault(Fault::from_io("upload", &err)),
        _ => {
            Error::Fault(Fault::new(Code::Unreadable, Place::file("upload"), "the upload is no longer there"))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_read_as_the_command_line_writes_them() {
        let id = "0190b0b0-0000-7000-8000-000000000001";
        let aaf: DirectoryParams = serde_json::from_value(json!({"directory": "/srv/aaf"})).unwrap();
        assert!(aaf.directory.is_some() && !aaf.dry_run);
        let aaf: DirectoryParams = serde_json::from_value(json!({"upload_id": id, "dry_run": true})).unwrap();
        assert!(aaf.upload_id.is_some() && aaf.dry_run);
        assert!(serde_json::from_value::<DirectoryParams>(json!({"file": "x"})).is_err());
        let timetable = json!({"school_id": id, "format": "ical", "files": ["/srv/edt.ics"]});
        let timetable: TimetableParams = serde_json::from_value(timetable).unwrap();
        assert_eq!((timetable.format, timetable.files.len()), (Format::Ical, 1));
    }
}
