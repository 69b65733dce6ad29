//! `preau-rush`: virtual users against a Préau, and the figures that the documents quote.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context as _, bail};
use clap::{Parser, Subcommand};
use preau_rush::{
    accounts,
    argon::{self, Arena},
    bench::{self, Group},
    capacity::{self, Costs, Question},
    cpu::Watch,
    plan::Plan,
    progress::say,
    report::Report,
    run::{self, Surroundings},
    storm::{self, goals, picture},
    summary,
};

#[derive(Parser)]
#[command(name = "preau-rush", version, about = "Virtual users against a Préau")]
struct Cli {
    /// Threads of the generator; pin them with taskset
    #[arg(long, global = true, default_value_t = 1)]
    threads: usize,
    #[command(subcommand)]
    act: Act,
}

#[derive(Subcommand)]
enum Act {
    /// Let the crowd of a plan in, and report
    Run(RunArgs),
    /// Bring a scenario upon nodes behind HAProxy, and report
    Storm(StormArgs),
    /// Print what so many people need, with the figures of a run
    Capacity(CapacityArgs),
    /// Say of each goal whether runs hold it, fall short, or do not measure it
    Goals(GoalsArgs),
    /// Draw what a run let in, as SVG
    Picture {
        /// storm.json
        run: PathBuf,
        /// Where the picture goes
        out: PathBuf,
    },
    /// Measure every figure, one line each
    Bench(BenchArgs),
    /// Hash as the product does, with nothing around it, and print the cost as JSON
    Argon {
        #[arg(long, default_value_t = 5.0)]
        seconds: f64,
        /// In new memory each time, which the product does not
        #[arg(long)]
        fresh: bool,
    },
}

#[derive(clap::Args)]
struct RunArgs {
    /// A file of config/rush/
    plan: PathBuf,
    /// http://host:port of a node or a proxy; several are taken in turn
    #[arg(long, required = true)]
    target: Vec<String>,
    /// The accounts that `preau demo` wrote
    #[arg(long)]
    accounts: PathBuf,
    /// Where the report goes
    #[arg(long)]
    report: PathBuf,
    /// Where each virtual user's visit goes, one JSON line each
    #[arg(long)]
    users: Option<PathBuf>,
    /// Reconcile with this database's session families, through psql
    #[arg(long)]
    database: Option<String>,
    /// Processes whose CPU time is reported: NAME=PID,… or NAME=:PORT,… (node=:8080 postgres=:5432)
    #[arg(long)]
    cpu: Vec<String>,
    /// Another seed than the plan's
    #[arg(long)]
    seed: Option<u64>,
}

#[derive(clap::Args)]
struct StormArgs {
    /// A scenario of config/rush/ (s01 to s14, storm, smoke)
    scenario: PathBuf,
    /// Where the stores are: written by `cargo xtask stores up`
    #[arg(long, default_value = ".local/stores.json")]
    stores: PathBuf,
    /// The program that is stormed
    #[arg(long, default_value = "target/release/preau")]
    preau: PathBuf,
    /// Where the report goes; the page with plots and the lines of users go beside it
    #[arg(long, default_value = ".local/storm.json")]
    report: PathBuf,
    /// Where people may come and see
    #[arg(long, default_value_t = 8090)]
    port: u16,
    /// Only these segments
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// The long form: minutes where the short one has seconds
    #[arg(long, env = "FULL", value_parser = clap::builder::FalseyValueParser::new())]
    full: bool,
    /// Assert counts, never times
    #[arg(long)]
    smoke: bool,
    /// Another seed than the scenario's
    #[arg(long)]
    seed: Option<u64>,
}

#[derive(clap::Args)]
struct CapacityArgs {
    /// storm.json
    run: PathBuf,
    #[arg(long, default_value_t = 12_500_000.0)]
    accounts: f64,
    /// Seconds within which all of them come, when they come evenly
    #[arg(long, default_value_t = 3600.0)]
    window: f64,
    /// Standard deviation of the rendez-vous, in seconds
    #[arg(long, default_value_t = 300.0)]
    sigma: f64,
    /// Share of the accounts that comes to the rendez-vous
    #[arg(long, default_value_t = 0.6)]
    share: f64,
    /// Of those: people of live lessons with their teachers, pupils, guardians
    #[arg(long, value_parser = mix, default_value = "0.38,0.48,0.14")]
    mix: [f64; 3],
    /// Cores of a node
    #[arg(long, default_value_t = 4.0)]
    cores: f64,
}

#[derive(clap::Args)]
struct GoalsArgs {
    /// storm.json, one or several: the worst of them counts
    #[arg(required = true)]
    runs: Vec<PathBuf>,
    /// As a table of deploy/CAPACITY.md
    #[arg(long)]
    markdown: bool,
}

#[derive(clap::Args)]
struct BenchArgs {
    /// Where the stores are: written by `cargo xtask stores up`
    #[arg(long, default_value = ".local/stores.json")]
    stores: PathBuf,
    /// The program to measure
    #[arg(long, default_value = "target/release/preau")]
    preau: PathBuf,
    #[arg(long, default_value = ".local/bench.json")]
    out: PathBuf,
    /// The checkout whose `make run` is timed
    #[arg(long, default_value = ".")]
    checkout: PathBuf,
    /// Only these groups of figures
    #[arg(long, value_delimiter = ',')]
    only: Vec<Group>,
    /// Short segments: to see whether it works, not for quoting
    #[arg(long)]
    quick: bool,
    /// Also time the first `make run` of a fresh clone (some ten minutes)
    #[arg(long)]
    cold: bool,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match act(cli) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(e) => {
            say(&format!("preau-rush: {e:#}"));
            ExitCode::FAILURE
        }
    }
}

fn act(cli: Cli) -> anyhow::Result<bool> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(cli.threads.max(1))
        .enable_all()
        .build()
        .context("cannot start the generator's threads")?;
    match cli.act {
        Act::Run(args) => runtime.block_on(run_plan(args)),
        Act::Bench(args) => runtime.block_on(run_bench(args)),
        Act::Storm(args) => runtime.block_on(run_storm(args)),
        Act::Capacity(args) => {
            let question = Question {
                accounts: args.accounts,
                window_s: args.window,
                sigma_s: args.sigma,
                share: args.share,
                mix: args.mix,
                node_cores: args.cores,
            };
            let text = capacity::print(&Costs::of_run(&args.run)?, &question)?;
            write!(std::io::stdout(), "{text}")?;
            Ok(true)
        }
        Act::Goals(args) => {
            let runs = args.runs.iter().map(|run| read_json(run)).collect::<anyhow::Result<Vec<_>>>()?;
            let lines = goals::check(&runs);
            let text = if args.markdown { goals::markdown(&lines) } else { goals::table(&lines) };
            write!(std::io::stdout(), "{text}")?;
            // A goal that falls short is a finding, not a failure of the judge.
            Ok(true)
        }
        Act::Picture { run, out } => {
            let picture = picture::svg(&read_json(&run)?);
            std::fs::write(&out, picture).with_context(|| format!("cannot write {}", out.display()))?;
            Ok(true)
        }
        Act::Argon { seconds, fresh } => {
            if !(0.1..=600.0).contains(&seconds) {
                bail!("hash for between 0.1 and 600 seconds, not {seconds}");
            }
            let arena = if fresh { Arena::Fresh } else { Arena::Kept };
            let found = argon::hash_for(Duration::from_secs_f64(seconds), arena)?;
            writeln!(std::io::stdout(), "{}", serde_json::to_string(&found)?)?;
            Ok(true)
        }
    }
}

/// Three shares.
fn mix(text: &str) -> Result<[f64; 3], String> {
    let shares: Result<Vec<f64>, _> = text.split(',').take(4).map(|share| share.trim().parse()).collect();
    let shares = shares.map_err(|_| "shares are numbers: 0.38,0.48,0.14")?;
    shares.try_into().map_err(|_| "three shares: 0.38,0.48,0.14".to_owned())
}

async fn run_plan(args: RunArgs) -> anyhow::Result<bool> {
    let mut plan = Plan::read(&args.plan)?;
    if let Some(seed) = args.seed {
        plan.seed = seed;
    }
    let people = accounts::read(&args.accounts)?;
    let mut watch = Watch::default();
    for group in &args.cpu {
        watch.parse(group)?;
    }
    let around = Surroundings {
        targets: args.target,
        watch,
        users: args.users,
        database: args.database,
        started_at: now(),
    };
    let report = run::run(&plan, &people, around).await?;
    write_json(&args.report, &report)?;
    summary::summarize(&report)?;
    Ok(report.verdict.ok)
}

async fn run_storm(args: StormArgs) -> anyhow::Result<bool> {
    let options = storm::Options {
        html: args.report.with_extension("html"),
        users: args.report.with_extension("users.jsonl"),
        scenario: args.scenario,
        stores: args.stores,
        preau: args.preau,
        report: args.report,
        only: args.only,
        full: args.full,
        smoke: args.smoke,
        seed: args.seed,
        port: args.port,
        started_at: now(),
    };
    let report = storm::storm(&options).await?;
    for reason in &report.verdict.reasons {
        say(&format!("NO: {reason}"));
    }
    if report.verdict.ok {
        say("the run counts: users' lines, PostgreSQL and the proxy's log agree exactly");
    }
    say(&format!("{} · {}", options.report.display(), options.html.display()));
    Ok(report.verdict.ok)
}

async fn run_bench(args: BenchArgs) -> anyhow::Result<bool> {
    let options = bench::Options {
        stores: args.stores,
        preau: args.preau,
        out: args.out,
        checkout: args.checkout,
        only: args.only,
        quick: args.quick,
        cold: args.cold,
        today: now().chars().take(10).collect(),
    };
    let short = bench::bench(&options).await?;
    if !short.is_empty() {
        say(&format!("short of their goals: {}", short.join(", ")));
    }
    // A figure that falls short is a finding, not a failure of the bench.
    Ok(true)
}

/// RFC 3339, UTC.
#[expect(
    clippy::disallowed_methods,
    reason = "the outermost edge of a program that has no server's clock to ask"
)]
fn now() -> String {
    chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}

fn read_json(path: &Path) -> anyhow::Result<serde_json::Value> {
    let text = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_slice(&text).with_context(|| format!("malformed {}", path.display()))
}

fn write_json(path: &Path, report: &Report) -> anyhow::Result<()> {
    let text = serde_json::to_vec_pretty(report)?;
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}
