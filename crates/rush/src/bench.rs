//! `preau-rush bench`: every figure that the documents quote, measured on this machine.
//!
//! - The server has one core, generator, stores and proxy the other (DESIGN §12); CPU time before wall time;
//!   ratios from interleaved segments of one run.
//! - PostgreSQL is that of `stores.json`, with a database made for the bench and dropped after it. Redis, nodes
//!   and HAProxy are its own.
//! - Everything is bounded in time and count, and stops by itself.

mod figure;
mod load;
mod measures;
mod waiting;

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};

pub use self::figure::Group;
use self::{
    figure::Sheet,
    measures::{Found, Pace},
};
use crate::{
    lab::{
        Demo, Lab, Materials,
        process::{Core, Cores, output},
    },
    progress::say,
};

/// What `preau-rush bench` was asked.
#[derive(Clone, Debug)]
pub struct Options {
    pub stores: PathBuf,
    pub preau: PathBuf,
    /// `bench.json`; what it already says of groups that are left out is kept.
    pub out: PathBuf,
    /// The checkout whose `make run` is timed.
    pub checkout: PathBuf,
    /// Empty: all.
    pub only: Vec<Group>,
    /// Short segments, to see whether everything works.
    pub quick: bool,
    /// Time a first `make run` in a fresh clone as well.
    pub cold: bool,
    /// Today, as `YYYY-MM-DD`, to date what is seldom measured.
    pub today: String,
}

/// The slowest `make run` worth waiting for.
const COLD_LIMIT: Duration = Duration::from_secs(1500);

/// Measures, prints and writes. Returns the names of the figures that fall short.
///
/// # Errors
/// The laboratory cannot be built. A single figure that cannot be measured is no error: it is said to be short.
pub async fn bench(options: &Options) -> anyhow::Result<Vec<String>> {
    let mut interrupted = signal(SignalKind::interrupt())?;
    let mut ended = signal(SignalKind::terminate())?;
    let mut sheet = Sheet::read(&options.out);
    let wanted = |group: Group| options.only.is_empty() || options.only.contains(&group);

    let in_the_lab: Vec<Group> = [
        Group::SignIn,
        Group::Resume,
        Group::Home,
        Group::Waiting,
        Group::Tx,
        Group::Revocation,
        Group::Scale,
        // Last: it leaves the database with hashes that hash nothing.
        Group::Unhashed,
    ]
    .into_iter()
    .filter(|group| wanted(*group))
    .collect();
    let mut stopped = false;
    if !in_the_lab.is_empty() {
        let folder = options.out.parent().unwrap_or(Path::new(".")).join("bench");
        let materials = Materials {
            stores: options.stores.clone(),
            preau: options.preau.clone(),
            folder,
            demo: Demo { schools: 4, pupils: 400 },
            own_postgres: false,
            road_to_redis: false,
        };
        let mut lab = Lab::build(materials).await?;
        let work = experiments(&mut lab, &in_the_lab, options.quick, &mut sheet);
        let outcome = tokio::select! {
            outcome = work => outcome,
            _ = interrupted.recv() => { stopped = true; Ok(()) }
            _ = ended.recv() => { stopped = true; Ok(()) }
        };
        lab.clear().await;
        outcome?;
    }
    if wanted(Group::Run) && !stopped {
        let work = runs(options, &mut sheet);
        tokio::select! {
            outcome = work => outcome?,
            _ = interrupted.recv() => stopped = true,
            _ = ended.recv() => stopped = true,
        }
    }
    sheet.write(&options.out)?;
    if stopped {
        say("stopped on request; figures not reached keep their earlier values");
    }
    Ok(sheet.short().into_iter().map(str::to_owned).collect())
}

async fn experiments(lab: &mut Lab, groups: &[Group], quick: bool, sheet: &mut Sheet) -> anyhow::Result<()> {
    let pace = if quick { Pace::QUICK } else { Pace::FULL };
    say(&format!("# {}", lab.durability().await?));
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    say(&format!(
        "# {} · 64 keep-alive connections · logs on · load average {}",
        match (lab.cores.number(Core::Server), lab.cores.number(Core::Rest)) {
            (Some(server), Some(rest)) =>
                format!("server on core {server}, generator, stores and proxy on core {rest}"),
            _ => "one core for everything: nothing is pinned".to_owned(),
        },
        load.split_ascii_whitespace().take(3).collect::<Vec<_>>().join(" ")
    ));
    if quick {
        say("# quick: segments too short for quoting");
    }
    for &group in groups {
        let (found, why) = match measure(lab, group, pace).await {
            Ok(found) => (found, String::new()),
            Err(e) => (Found::new(), format!("{e:#}")),
        };
        sheet.fill(group, &found, &why)?;
    }
    Ok(())
}

async fn measure(lab: &mut Lab, group: Group, pace: Pace) -> anyhow::Result<Found> {
    match group {
        Group::SignIn => measures::sign_ins(lab, pace).await,
        Group::Resume => measures::resume(lab, pace).await,
        Group::Home => measures::home(lab, pace).await,
        Group::Waiting => waiting::waiting(lab, pace).await,
        Group::Tx => measures::transactions(lab, pace).await,
        Group::Revocation => measures::revocation(lab, pace).await,
        Group::Scale => measures::scale_out(lab, pace).await,
        Group::Unhashed => measures::unhashed(lab, pace).await,
        Group::Run => Ok(Found::new()),
    }
}

async fn runs(options: &Options, sheet: &mut Sheet) -> anyhow::Result<()> {
    let cores = Cores::find()?;
    if options.cold {
        let (value, note) = match cold_run(options, &cores.all).await {
            Ok(seconds) => (Some(seconds), Some(format!("measured {}", options.today))),
            Err(e) => (None, Some(format!("{e:#}"))),
        };
        sheet.note("cold_run_s", value, note)?;
    } else {
        let known = sheet.known("cold_run_s").and_then(|entry| Some((entry.value?, entry.note.clone())));
        let (value, note) = match known {
            Some((value, note)) => (Some(value), note),
            None => (None, Some("only with --cold: it builds everything again in a fresh clone".to_owned())),
        };
        sheet.note("cold_run_s", value, note)?;
    }
    // The first one may still have something to build; the second is warm.
    let warm = match measures::make_run(&options.checkout, &cores.all, COLD_LIMIT).await {
        Ok(_) => measures::make_run(&options.checkout, &cores.all, Duration::from_secs(120)).await,
        Err(e) => Err(e),
    };
    let (value, note) = match warm {
        Ok(seconds) => (Some(seconds), None),
        Err(e) => (None, Some(format!("{e:#}"))),
    };
    sheet.note("warm_run_s", value, note)
}

/// From a fresh clone and an empty target folder; Debian's and cargo's downloads are those of this machine.
async fn cold_run(options: &Options, cores: &str) -> anyhow::Result<f64> {
    let folder = options.out.parent().unwrap_or(Path::new(".")).join("bench-cold");
    if folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    let mut clone = tokio::process::Command::new("git");
    clone.args(["clone", "--quiet", "--no-hardlinks"]).arg(&options.checkout).arg(&folder);
    output("git clone", &mut clone, Duration::from_secs(120)).await?;
    let seconds = measures::make_run(&folder, cores, COLD_LIMIT).await;
    let mut down = tokio::process::Command::new("cargo");
    down.args(["xtask", "stores", "down"]).current_dir(&folder);
    let down = output("cargo xtask stores down", &mut down, Duration::from_secs(60)).await;
    std::fs::remove_dir_all(&folder).context("cannot remove the fresh clone")?;
    down?;
    seconds
}
