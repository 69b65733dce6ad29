//! Imports as jobs: from uploads, or from the operator's own files.

use std::path::{Path, PathBuf};

use futures::future::BoxFuture;
use preau_files::Spooled;
use preau_jobs::{Handler, JobError, Work, handler};
use preau_kernel::{SchoolId, UploadId};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::lessons::{TimetableFile, TimetableFiles, WriteLessons, import_timetable};
use super::{Error, Import, Progress, import_aaf};
use crate::fault::{Code, Fault, Place};
use crate::limits::Limits;

/// The kind of the job that imports an AAF delivery.
pub const AAF: &str = "import-aaf";
/// The kind of the job that imports a school's timetable.
pub const TIMETABLE: &str = "import-timetable";

/// What an AAF import reads: a zip archive that an administrator sent, or what the operator's command line names.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum AafParams {
    /// An upload of the territory.
    UploadId(UploadId),
    /// A folder or archive on the machine of the worker. No route accepts it.
    Directory(PathBuf),
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
    vec![
        (AAF, handler(move |work| async move { answer(aaf(&work).await) })),
        (TIMETABLE, handler(move |work| async move { answer(timetable(&work, write).await) })),
    ]
}

fn failure(err: Error) -> JobError {
    match err {
        Error::Cancelled => JobError::Stopped,
        Error::Fault(fault) => {
            JobError::Failed(json!({"code": fault.code.as_str(), "place": fault.place, "detail": fault.what}))
        }
        Error::Db(_) | Error::ReaderDied => JobError::Interrupted(Box::new(err)),
        Error::NoSuchSchool | Error::BadParams => JobError::Failed(json!({"code": err.code()})),
    }
}

fn params<P: for<'a> Deserialize<'a>>(work: &Work) -> Result<P, Error> {
    serde_json::from_value(work.params.clone()).map_err(|_| Error::BadParams)
}

async fn aaf(work: &Work) -> Result<Value, Error> {
    match params(work)? {
        AafParams::Directory(path) => aaf_at(&path, work).await,
        AafParams::UploadId(upload) => {
            let file = fetch(work, upload).await?;
            aaf_at(file.path(), work).await
        }
    }
}

/// Boxed, for its future is large and two callers hold it.
fn aaf_at<'a>(path: &'a Path, work: &'a Work) -> BoxFuture<'a, Result<Value, Error>> {
    Box::pin(async move {
        let import = Import {
            db: work.db.clone(),
            clock: work.clock.clone(),
            territory: work.territory,
            job: work.job,
            limits: Limits::default(),
        };
        let progress = work.progress.clone();
        let mut last = ("", 0);
        let report = import_aaf(&import, path, &mut |Progress { phase, done, total }| {
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
        .await?;
        Ok(serde_json::to_value(&report).unwrap_or_default())
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
        let aaf: AafParams = serde_json::from_value(json!({"directory": "/srv/aaf"})).unwrap();
        assert!(matches!(aaf, AafParams::Directory(_)));
        let aaf: AafParams = serde_json::from_value(json!({"upload_id": id})).unwrap();
        assert!(matches!(aaf, AafParams::UploadId(_)));
        let timetable = json!({"school_id": id, "format": "ical", "files": ["/srv/edt.ics"]});
        let timetable: TimetableParams = serde_json::from_value(timetable).unwrap();
        assert_eq!((timetable.format, timetable.files.len()), (Format::Ical, 1));
    }
}
