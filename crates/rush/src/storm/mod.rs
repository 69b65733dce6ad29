//! `preau-rush storm`: a scenario of `config/rush/` brought upon nodes behind HAProxy, measured, reconciled and reported.

pub mod crowd;
pub mod desk;
mod edge;
pub mod goals;
pub mod html;
pub mod inlet;
pub mod life;
mod machine;
pub mod picture;
pub mod plot;
pub mod report;
pub mod scenario;
mod segment;
pub mod shares;
mod signs;
pub mod slots;
mod slow;
mod stage;
pub mod step;
pub mod tally;
pub mod user;
pub mod vitals;
pub mod wire;
pub mod world;
mod yesterday;

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};

use self::{
    report::{Report, Verdict},
    scenario::Scenario,
    stage::Stage,
};
use crate::progress::say;

/// What `preau-rush storm` was asked.
#[derive(Clone, Debug)]
pub struct Options {
    pub scenario: PathBuf,
    pub stores: PathBuf,
    pub preau: PathBuf,
    /// `storm.json`.
    pub report: PathBuf,
    /// The same with plots, for people.
    pub html: PathBuf,
    /// One JSON line a virtual user.
    pub users: PathBuf,
    /// Only these segments; empty: all.
    pub only: Vec<String>,
    /// The long form.
    pub full: bool,
    /// Counts are asserted, times are not.
    pub smoke: bool,
    pub seed: Option<u64>,
    /// Where people may come and see for themselves; a free one when it is taken.
    pub port: u16,
    /// RFC 3339; only printed.
    pub started_at: String,
}

/// Runs a scenario. The verdict is in the report.
///
/// # Errors
/// The laboratory cannot be built, or the scenario is senseless.
pub async fn storm(options: &Options) -> anyhow::Result<Report> {
    let mut scenario = Scenario::read(&options.scenario)?;
    scenario.choose(options.full);
    scenario.segment.retain(|segment| options.only.is_empty() || options.only.contains(&segment.name));
    anyhow::ensure!(!scenario.segment.is_empty(), "no segment of the scenario has such a name");
    if let Some(seed) = options.seed {
        scenario.seed = seed;
    }
    let mut interrupted = signal(SignalKind::interrupt())?;
    let mut ended = signal(SignalKind::terminate())?;
    for path in [&options.report, &options.html, &options.users] {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        }
    }
    let mut stage = Stage::build(options, scenario).await?;
    let outcome = tokio::select! {
        outcome = play(options, &mut stage) => outcome,
        _ = interrupted.recv() => Err(anyhow::anyhow!("stopped on request")),
        _ = ended.recv() => Err(anyhow::anyhow!("stopped on request")),
    };
    stage.clear().await;
    outcome
}

async fn play(options: &Options, stage: &mut Stage) -> anyhow::Result<Report> {
    stage.prepare().await?;
    let mut report = Report {
        scenario: stage.scenario.name.clone(),
        title: stage.scenario.title.clone(),
        seed: stage.scenario.seed,
        started_at: options.started_at.clone(),
        machine: stage.machine().await?,
        scale_model: stage.scenario.hash.is_model(),
        world: stage.world_size(),
        segments: Vec::new(),
        verdict: Verdict::default(),
    };
    if report.scale_model {
        say(
            "# a scale model of the hash: its figures are of the protocol, not of passwords (overload.md §C)",
        );
    }
    say(&format!("# {} · {} · {}", report.machine.pinned, report.machine.postgres, report.machine.processor));
    say("");
    say(&format!("  Open {} now: you are queued like everybody else.", stage.address()));
    if let Some((login, password)) = stage.somebody() {
        say(&format!("  Sign in as {login}, password « {password} ».\n"));
    }
    let mut lines = std::io::BufWriter::new(
        std::fs::File::create(&options.users).with_context(|| options.users.display().to_string())?,
    );
    for segment in stage.scenario.segment.clone() {
        let found =
            stage.run(&segment, &mut lines).await.with_context(|| format!("segment {}", segment.name))?;
        say(&summary(&found));
        report.segments.push(found);
        report.world = stage.world_size();
        report.conclude(stage.scenario.assumed_peak_per_s, !options.smoke, stage.scenario.limits.late_share);
        // After each segment, so that what was measured survives what comes after it.
        write(&options.report, &serde_json::to_vec_pretty(&report)?)?;
    }
    std::io::Write::flush(&mut lines)?;
    if options.smoke {
        report.verdict.reasons.extend(report.smoke());
        report.verdict.ok = report.verdict.reasons.is_empty();
        write(&options.report, &serde_json::to_vec_pretty(&report)?)?;
    }
    write(&options.html, html::page(&report).as_bytes())?;
    Ok(report)
}

fn summary(segment: &report::SegmentReport) -> String {
    let figures = &segment.figures;
    let wait = |class: &str| {
        figures.wait_s.get(class).map_or_else(String::new, |waits| {
            format!(
                " · {class} {}/{} in, p50 {} p99 {} s",
                waits.inside,
                waits.arrived,
                tally::short(waits.p50),
                tally::short(waits.p99)
            )
        })
    };
    let cpu: Vec<String> =
        segment.server_cpu_s.iter().map(|(name, seconds)| format!("{name} {seconds:.1}")).collect();
    format!(
        "▸ {} ({}): offered {}/s, goodput {}/s, from arrival {}/s, bare refusals {}, places lost {}{}{}{}{}\n    CPU s: {} · late sends {:.2} %{}",
        segment.name,
        segment.mode,
        tally::short(figures.offered_per_s),
        tally::short(figures.goodput_per_s),
        tally::short(figures.goodput_from_arrival),
        figures.bare_refusals,
        figures.places_lost,
        figures
            .lessons_full_by_0905
            .map_or_else(String::new, |share| format!(" · lessons full by 9:05: {:.0} %", share * 100.0)),
        wait("teachers"),
        wait("lesson"),
        wait("in-slot"),
        cpu.join(" · "),
        segment.late_sends_ratio * 100.0,
        segment.void.first().map_or_else(String::new, |why| format!(" · VOID: {why}")),
    )
}

fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let beside = path.with_extension("part");
    std::fs::write(&beside, bytes)
        .and_then(|()| std::fs::rename(&beside, path))
        .with_context(|| format!("cannot write {}", path.display()))
}
