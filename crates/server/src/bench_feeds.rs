//! `preau bench feeds`: a whole académie brought in, against a plain COPY of the same rows into the same tables.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Context;
use futures::TryStreamExt;
use preau_db::{Db, PoolConfig};
use preau_feeds::demo::{DemoPlan, changes, generate};
use preau_feeds::import::{Import, import_aaf};
use preau_feeds::report::Report;
use preau_kernel::{Clock, JobId, TerritoryId};
use secrecy::ExposeSecret;
use serde_json::{Map, Value, json};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use crate::{
    Config,
    bench::{cpu_us_of, own_cpu_us},
    commands::say,
};

/// The tables of a merge, each after those that it refers to.
const TABLES: [&str; 23] = [
    "school",
    "academy_subject",
    "mef",
    "structure_key",
    "join_key",
    "person",
    "person_membership",
    "sts_key",
    "school_person",
    "membership",
    "class",
    "teaching_group",
    "pupil",
    "class_pupil",
    "class_teacher",
    "group_pupil",
    "group_teacher",
    "guardian_link",
    "subject",
    "login_stem",
    "login",
    "account",
    "activation_code",
];
const FEEDS: &str = "preau_bench_feeds";
const COPIES: &str = "preau_bench_copy";

/// What is measured.
#[derive(Debug, clap::Args)]
pub(crate) struct Size {
    /// Schools.
    #[arg(long, default_value_t = 1_000)]
    schools: u32,
    /// Pupils, in all.
    #[arg(long, default_value_t = 500_000)]
    pupils: u32,
    /// Where the delivery is written; what is there from the same size is used again.
    #[arg(long, default_value = ".local/bench-feeds")]
    dir: PathBuf,
    /// Where the figures are written as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
}

/// CPU and time since a moment.
struct Meter {
    database: &'static str,
    own: f64,
    backends: f64,
    at: Instant,
}

impl Meter {
    fn start(database: &'static str) -> anyhow::Result<Self> {
        Ok(Self { database, own: own_cpu_us()?, backends: backends_cpu_us(database)?, at: Instant::now() })
    }

    /// Seconds of CPU of this process and of the backends of the database, and of the clock.
    fn read(&self) -> anyhow::Result<(f64, f64)> {
        let own = own_cpu_us()? - self.own;
        let backends = backends_cpu_us(self.database)? - self.backends;
        Ok(((own + backends) / 1e6, self.at.elapsed().as_secs_f64()))
    }
}

/// CPU of the backends that serve a database, by the titles that PostgreSQL gives its processes.
fn backends_cpu_us(database: &str) -> anyhow::Result<f64> {
    let mut sum = 0.0;
    for entry in fs::read_dir("/proc")? {
        let path = entry?.path();
        let title = fs::read(path.join("cmdline")).unwrap_or_default();
        let title = String::from_utf8_lossy(&title);
        if title.starts_with("postgres:") && title.split_whitespace().any(|word| word == database) {
            // One that ends between two lines is not counted.
            sum += cpu_us_of(&path.join("stat").to_string_lossy()).unwrap_or(0.0);
        }
    }
    Ok(sum)
}

/// Runs it all and prints the figures. Makes two databases beside the one of the configuration, as the owner, and drops
/// them.
///
/// # Errors
/// A database that cannot be reached or made; a delivery that is refused.
pub(crate) async fn feeds(config: Config, size: Size) -> anyhow::Result<()> {
    let delivery = delivery(&size)?;
    let owner = config.database.owner_url.expose_secret();
    for database in [FEEDS, COPIES] {
        fresh(owner, database).await?;
    }
    let url = in_database(config.database.url.expose_secret(), FEEDS)?;
    let pool = PoolConfig {
        max_connections: 4,
        door_connections: 0,
        acquire_timeout_ms: 10_000,
        statement_timeout_ms: 600_000,
        lock_timeout_ms: 30_000,
    };
    let db = Db::connect(&url, &pool)?;
    let clock = Clock::system();
    let territory: TerritoryId = clock.mint();
    let mut tx = db.in_territory_for_work(territory).await?;
    sqlx::query!(
        "INSERT INTO territory (territory_id, slug, name, created_at) VALUES ($1, 'bench', 'Bench', $2)",
        territory.uuid(),
        clock.now(),
    )
    .execute(tx.conn())
    .await?;
    tx.commit().await?;

    let mut figures = Figures::default();
    // The peak of what follows, without what making the delivery took.
    fs::write("/proc/self/clear_refs", "5").ok();
    let first = measured(&db, &clock, territory, &delivery).await?;
    let people: u64 =
        ["pupil", "relative", "staff"].iter().filter_map(|kind| first.report.counts.get(*kind)).sum();
    let rows = first.report.rows_written_total();
    figures.say("import_people", count(people), "people");
    figures.say("import_rows", count(rows), "rows");
    figures.say("stage_people_per_cpu_s", count(people) / first.staging.0, "people/s");
    figures.say("stage_cpu_s", first.staging.0, "s");
    figures.say("stage_wall_s", first.staging.1, "s");
    figures.say("merge_cpu_s", first.merging.0, "s");
    figures.say("merge_wall_s", first.merging.1, "s");
    figures.say("import_wall_s", first.staging.1 + first.merging.1, "s");
    figures.say("import_rss_mb", peak_mb()?, "MB");
    figures.say("import_schools", count(first.report.schools.merged), "schools");

    let again = measured(&db, &clock, territory, &delivery).await?;
    figures.say("reimport_rows", count(again.report.rows_written_total()), "rows");
    figures.say("reimport_wall_s", again.staging.1 + again.merging.1, "s");
    figures.say("reimport_stage_cpu_s", again.staging.0, "s");
    figures.say("reimport_merge_cpu_s", again.merging.0, "s");

    let copied = copy(owner, &size.dir).await?;
    figures.say("copy_rows", copied.rows, "rows");
    figures.say("copy_cpu_s", copied.cpu, "s");
    figures.say("merge_vs_copy", first.merging.0 / copied.cpu, "times");

    let delta = size.dir.join("delta");
    let requests = changes(&delivery, &delta, 100)?;
    let third = measured(&db, &clock, territory, &delta).await?;
    figures.say("delta_requests", count(requests), "requests");
    figures.say("delta_rows", count(third.report.rows_written_total()), "rows");
    figures.say("delta_held", count(u64::try_from(third.report.schools.held.len())?), "schools");
    figures.say("delta_wall_s", third.staging.1 + third.merging.1, "s");
    figures.say("delta_stage_cpu_s", third.staging.0, "s");
    figures.say("delta_merge_cpu_s", third.merging.0, "s");
    db.close().await;
    for database in [FEEDS, COPIES] {
        drop_database(owner, database).await?;
    }
    if let Some(path) = &size.json {
        fs::write(path, serde_json::to_vec_pretty(&figures.0)?)?;
    }
    say(&serde_json::to_string(&figures.0)?);
    Ok(())
}

#[derive(Default)]
struct Figures(Map<String, Value>);

impl Figures {
    fn say(&mut self, name: &str, value: f64, unit: &str) {
        say(&format!("{name} {value:.2} {unit}"));
        self.0.insert(name.to_owned(), json!({ "value": value, "unit": unit }));
    }
}

#[expect(clippy::as_conversions, clippy::cast_precision_loss, reason = "counts far below 2^53")]
fn count(number: u64) -> f64 {
    number as f64
}

/// The delivery, written unless the same one is there.
fn delivery(size: &Size) -> anyhow::Result<PathBuf> {
    let folder = size.dir.join(format!("{}-{}", size.schools, size.pupils));
    let aaf = folder.join("aaf");
    let done = folder.join("done");
    if !done.exists() {
        say(&format!("writing {} schools and {} pupils to {}", size.schools, size.pupils, folder.display()));
        let today = Clock::system().today(chrono_tz::Europe::Paris);
        let plan =
            DemoPlan { schools: size.schools, pupils: size.pupils, weeks: 0, ..DemoPlan::small(today) };
        generate(&plan, &folder, &mut |_| {})?;
        fs::write(done, "")?;
    }
    Ok(aaf)
}

struct Measured {
    report: Report,
    /// CPU and clock, in seconds.
    staging: (f64, f64),
    merging: (f64, f64),
}

async fn measured(
    db: &Db,
    clock: &Clock,
    territory: TerritoryId,
    delivery: &Path,
) -> anyhow::Result<Measured> {
    let import = Import {
        db: db.clone(),
        clock: clock.clone(),
        territory,
        job: clock.mint::<JobId>(),
        limits: preau_feeds::limits::Limits::default(),
        dry_run: false,
    };
    let meter = Meter::start(FEEDS)?;
    let mut staged = None;
    let report = import_aaf(&import, delivery, &mut |progress| {
        if progress.phase == "merging" && staged.is_none() {
            staged = Some((meter.read(), Meter::start(FEEDS)));
        }
        true
    })
    .await?;
    let (staging, merging) = staged.context("no school was merged")?;
    Ok(Measured { report, staging: staging?, merging: merging?.read()? })
}

fn peak_mb() -> anyhow::Result<f64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).context("VmHWM")?;
    let kb: u32 = line.split_whitespace().nth(1).context("VmHWM")?.parse()?;
    Ok(f64::from(kb) / 1024.0)
}

fn in_database(url: &str, database: &str) -> anyhow::Result<String> {
    let (before, after) = url.split_once("://").context("a PostgreSQL URL")?;
    let (server, rest) = after.split_once('/').unwrap_or((after, ""));
    let options = rest.split_once('?').map(|(_, options)| format!("?{options}")).unwrap_or_default();
    Ok(format!("{before}://{server}/{database}{options}"))
}

async fn drop_database(owner: &str, database: &str) -> anyhow::Result<()> {
    let mut conn = PgConnection::connect(owner).await.context("database.owner_url")?;
    let statement = format!("DROP DATABASE IF EXISTS {database} WITH (FORCE)");
    conn.execute(sqlx::raw_sql(AssertSqlSafe(statement))).await?;
    Ok(())
}

/// An empty database with the product's schema. The owner sees its rows, for the copy.
async fn fresh(owner: &str, database: &str) -> anyhow::Result<()> {
    drop_database(owner, database).await?;
    let mut conn = PgConnection::connect(owner).await?;
    conn.execute(sqlx::raw_sql(AssertSqlSafe(format!("CREATE DATABASE {database}")))).await?;
    let url = in_database(owner, database)?;
    preau_db::migrate(&url).await?;
    Ok(())
}

struct Copied {
    rows: f64,
    cpu: f64,
}

/// Copies every table out of the one database and into the other, and measures the second half: client and backend.
async fn copy(owner: &str, dir: &Path) -> anyhow::Result<Copied> {
    let mut from = PgConnection::connect(&in_database(owner, FEEDS)?).await?;
    let mut into = PgConnection::connect(&in_database(owner, COPIES)?).await?;
    // COPY does not enter a table with row-level security; its owner is only bound by it while it is forced.
    for table in TABLES.into_iter().chain(["territory"]) {
        let statement = format!("ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY");
        from.execute(sqlx::raw_sql(AssertSqlSafe(statement.clone()))).await?;
        into.execute(sqlx::raw_sql(AssertSqlSafe(statement))).await?;
    }
    let mut copied = Copied { rows: 0.0, cpu: 0.0 };
    for table in ["territory"].into_iter().chain(TABLES) {
        let path = dir.join(format!("{table}.copy"));
        let mut rows = from.copy_out_raw(&format!("COPY {table} TO STDOUT")).await?;
        let mut file = File::create(&path)?;
        while let Some(bytes) = rows.try_next().await? {
            file.write_all(&bytes)?;
        }
        drop(rows);
        let meter = Meter::start(COPIES)?;
        let mut file = File::open(&path)?;
        let mut sink = into.copy_in_raw(&format!("COPY {table} FROM STDIN")).await?;
        let mut buffer = vec![0; 512 << 10];
        loop {
            let length = file.read(&mut buffer)?;
            let Some(bytes) = buffer.get(..length).filter(|bytes| !bytes.is_empty()) else { break };
            sink.send(bytes).await?;
        }
        copied.rows += count(sink.finish().await?);
        copied.cpu += meter.read()?.0;
        fs::remove_file(path)?;
    }
    // As the application finds them again.
    for table in TABLES.into_iter().chain(["territory"]) {
        let statement = format!("ALTER TABLE {table} FORCE ROW LEVEL SECURITY");
        from.execute(sqlx::raw_sql(AssertSqlSafe(statement))).await?;
    }
    Ok(copied)
}
