//! `preau import`: the same jobs as by REST, run here and now with their progress shown.

use std::{path::PathBuf, time::Duration};

use anyhow::Context;
use clap::Subcommand;
use preau_db::journal;
use preau_jobs::{Job, JobState, NewJob, enqueue, find, run_one};
use preau_kernel::{Clock, JobId, SchoolId, TerritoryId};
use serde_json::{Value, json};

use super::{admin::territory_of_slug, say};
use crate::{App, Config, worker};

#[derive(Debug, Subcommand)]
pub(super) enum Import {
    /// A delivery of the academy's directory (AAF, first or second degree, whole or changes): a folder or a zip.
    Aaf {
        /// The delivery.
        path: PathBuf,
        /// Short name of the territory.
        #[arg(long)]
        territory: String,
        /// Only say what would be done.
        #[arg(long)]
        dry_run: bool,
    },
    /// The directory of a school in any other format: SIECLE, ONDE, tables. The files say which.
    Directory {
        /// A file, a folder or a zip.
        path: PathBuf,
        /// Short name of the territory.
        #[arg(long)]
        territory: String,
        /// UAI of the school, for files that do not say it.
        #[arg(long)]
        school: Option<String>,
        /// Who the rows of a table are, where its headers could be misread: pupil, teacher, staff, guardian, guest.
        #[arg(long)]
        profile: Option<String>,
        /// A JSON file that says what the columns of a table mean.
        #[arg(long, value_name = "FILE")]
        mapping: Option<PathBuf>,
        /// Only say what would be done.
        #[arg(long)]
        dry_run: bool,
    },
    /// A school's timetable from the pair of STS-Web files.
    Sts {
        /// UAI of the school.
        #[arg(long)]
        school: String,
        /// `sts_emp_<UAI>_<year>.xml`
        sts_emp: PathBuf,
        /// `emp_sts_<UAI>_<year>.xml`
        emp_sts: PathBuf,
    },
    /// A school's timetable from an iCalendar file.
    Ics {
        /// UAI of the school.
        #[arg(long)]
        school: String,
        /// The calendar.
        file: PathBuf,
    },
}

impl Import {
    pub(super) async fn run(self, config: Config) -> anyhow::Result<()> {
        let app = App::build(config, Clock::system())?;
        let (territory, kind, params) = match self {
            Self::Aaf { path, territory, dry_run } => {
                let mut params = aaf(&path)?;
                also(&mut params, "dry_run", dry_run.into());
                (territory_called(&app, &territory).await?, "import-aaf", params)
            }
            Self::Directory { path, territory, school, profile, mapping, dry_run } => {
                let mapping: Option<Value> = match mapping {
                    Some(file) => {
                        let text = std::fs::read_to_string(&file)
                            .with_context(|| format!("{} cannot be read", file.display()))?;
                        Some(serde_json::from_str(&text).with_context(|| file.display().to_string())?)
                    }
                    None => None,
                };
                let mut params = aaf(&path)?;
                let said = [
                    ("school", school.map(Value::from)),
                    ("profile", profile.map(Value::from)),
                    ("mapping", mapping),
                ];
                for (name, value) in said {
                    if let Some(value) = value {
                        also(&mut params, name, value);
                    }
                }
                also(&mut params, "dry_run", dry_run.into());
                (territory_called(&app, &territory).await?, "import-directory", params)
            }
            Self::Sts { school, sts_emp, emp_sts } => {
                let (territory, id) = school_of_uai(&app, &school).await?;
                (territory, "import-timetable", timetable(id, "sts", &[sts_emp, emp_sts])?)
            }
            Self::Ics { school, file } => {
                let (territory, id) = school_of_uai(&app, &school).await?;
                (territory, "import-timetable", timetable(id, "ical", &[file])?)
            }
        };
        let job = run(&app, territory, kind, params).await?;
        say(&serde_json::to_string_pretty(&job.report)?);
        if job.state == JobState::Waiting {
            say("schools wait for a decision: GET /api/v1/territories/{territory_id}/feed-holds");
        }
        let done = matches!(job.state, JobState::Succeeded | JobState::Waiting);
        anyhow::ensure!(done, "the import {:?}", job.state);
        Ok(())
    }
}

async fn territory_called(app: &App, slug: &str) -> anyhow::Result<TerritoryId> {
    territory_of_slug(app, slug)
        .await?
        .with_context(|| format!("no territory is called {slug}: preau admin create-territory"))
}

/// Adds a parameter.
pub(super) fn also(params: &mut Value, name: &str, value: Value) {
    if let Some(params) = params.as_object_mut() {
        params.insert(name.to_owned(), value);
    }
}

/// Parameters of a directory import.
pub(super) fn aaf(path: &std::path::Path) -> anyhow::Result<Value> {
    Ok(json!({ "directory": absolute(path)? }))
}

/// Parameters of a timetable import.
pub(super) fn timetable(school: SchoolId, format: &str, files: &[PathBuf]) -> anyhow::Result<Value> {
    let files = files.iter().map(|file| absolute(file)).collect::<Result<Vec<_>, _>>()?;
    Ok(json!({ "school_id": school, "format": format, "files": files }))
}

fn absolute(path: &std::path::Path) -> anyhow::Result<PathBuf> {
    path.canonicalize().with_context(|| format!("{} cannot be read", path.display()))
}

/// Writes the job down, journals it, runs it, and tells the nodes what changed.
pub(super) async fn run(app: &App, territory: TerritoryId, kind: &str, params: Value) -> anyhow::Result<Job> {
    let mut tx = app.db.in_territory_for_work(territory).await?;
    let id = enqueue(&mut tx, &app.clock, NewJob { kind, params, created_by: None }).await?;
    let act = journal::Act {
        actor: None,
        act: "feeds.import",
        subject: Some(id.uuid()),
        detail: json!({ "kind": kind }),
    };
    journal::append(&mut tx, app.clock.now(), act).await?;
    tx.commit().await?;
    let job = wait_for(app, territory, id).await?;
    for school in app.db.schools_of(territory).await? {
        worker::deliver(app, school).await?;
    }
    Ok(job)
}

/// Does the territory's jobs until this one has ended: another process may have taken it first.
async fn wait_for(app: &App, territory: TerritoryId, id: JobId) -> anyhow::Result<Job> {
    let handlers = worker::handlers();
    loop {
        let worked = run_one(&app.db, &app.clock, &app.tasks, &handlers, &app.stop, territory).await?;
        let mut tx = app.db.in_territory_for_work(territory).await?;
        let job = find(&mut tx, id).await?.context("the job is gone")?;
        tx.commit().await?;
        match job.state {
            JobState::Succeeded | JobState::Failed | JobState::Cancelled | JobState::Waiting => {
                return Ok(job);
            }
            JobState::Queued | JobState::Running if worked => {}
            JobState::Queued | JobState::Running => tokio::time::sleep(Duration::from_millis(250)).await,
        }
    }
}

async fn school_of_uai(app: &App, uai: &str) -> anyhow::Result<(TerritoryId, SchoolId)> {
    let mut tx = app.db.lookup().await?;
    let row = sqlx::query!(
        r#"SELECT territory_id AS "territory: TerritoryId", school_id AS "school: SchoolId" FROM school WHERE uai = $1"#,
        uai,
    )
    .fetch_optional(tx.conn())
    .await?;
    tx.commit().await?;
    let row = row.with_context(|| format!("no school has the UAI {uai}"))?;
    Ok((row.territory, row.school))
}

/// The school of a UAI.
pub(super) async fn find_school(app: &App, uai: &str) -> anyhow::Result<SchoolId> {
    Ok(school_of_uai(app, uai).await?.1)
}
