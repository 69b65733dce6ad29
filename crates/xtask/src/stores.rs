//! The private PostgreSQL and Redis of this checkout, on loopback, under `.local/`.
//!
//! Passwordless on loopback: anyone with an account on this machine can read them. For development only; nothing
//! here is used by an installation (`deploy/`).

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Subcommand;
use serde::{Deserialize, Serialize};

use crate::place::Place;
use crate::{setup, sh};

#[derive(Clone, Copy, Subcommand)]
pub(crate) enum Act {
    /// Start both (they survive the chore), make roles and the database
    Up,
    /// Stop both; data stays
    Down,
    /// Drop and make the database again, empty Redis, forget the demo accounts
    Reset,
    /// Say whether they run, and where
    Status,
}

pub(crate) fn act(place: &Place, act: Act) -> Result<()> {
    match act {
        Act::Up => {
            setup::setup(place, setup::Purpose::Run)?;
            let stores = up(place)?;
            println!("{}\n{}", stores.database_url, stores.redis_url);
            Ok(())
        }
        Act::Down => down(place),
        Act::Reset => {
            setup::setup(place, setup::Purpose::Run)?;
            reset(place, &up(place)?)
        }
        Act::Status => {
            status(place);
            Ok(())
        }
    }
}

/// Where the stores are: `.local/stores.json`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stores {
    pub(crate) pg_port: u16,
    pub(crate) redis_port: u16,
    /// As the application: owns nothing.
    pub(crate) database_url: String,
    /// As the owner of everything, who may create databases.
    pub(crate) owner_url: String,
    pub(crate) redis_url: String,
}

impl Stores {
    fn new(pg_port: u16, redis_port: u16) -> Self {
        Self {
            pg_port,
            redis_port,
            database_url: url("preau_app", pg_port, "preau"),
            owner_url: url("preau_owner", pg_port, "preau"),
            redis_url: format!("redis://127.0.0.1:{redis_port}/0"),
        }
    }

    /// The address of another database of this PostgreSQL, as its owner.
    pub(crate) fn owner_of(&self, database: &str) -> String {
        url("preau_owner", self.pg_port, database)
    }

    /// The address of another database of this PostgreSQL, as the application.
    pub(crate) fn app_of(&self, database: &str) -> String {
        url("preau_app", self.pg_port, database)
    }

    fn recorded(place: &Place) -> Option<Self> {
        serde_json::from_slice(&std::fs::read(place.local.join("stores.json")).ok()?).ok()
    }

    /// Runs SQL as the superuser; one line a row, columns parted by tabs.
    pub(crate) fn sql(&self, place: &Place, database: &str, sql: &str) -> Result<String> {
        sh::read(self.psql(place, "postgres", database).args(["-c", sql]))
    }

    /// `psql` that stops at the first error and prints rows alone.
    pub(crate) fn psql(&self, place: &Place, role: &str, database: &str) -> Command {
        let mut psql = sh::command(place, "psql");
        psql.args([
            "--no-psqlrc",
            "--quiet",
            "--tuples-only",
            "--no-align",
            "--field-separator=\t",
            "-v",
            "ON_ERROR_STOP=1",
        ]);
        psql.args(["-d", &url(role, self.pg_port, database)]);
        psql
    }

    /// An empty database of that name, owned by `preau_owner`.
    pub(crate) fn fresh(&self, place: &Place, database: &str) -> Result<()> {
        self.discard(place, database)?;
        self.sql(place, "postgres", &format!("CREATE DATABASE {database} OWNER preau_owner")).map(drop)
    }

    pub(crate) fn discard(&self, place: &Place, database: &str) -> Result<()> {
        self.sql(place, "postgres", &format!("DROP DATABASE IF EXISTS {database} WITH (FORCE)")).map(drop)
    }

    /// The settings that make `preau` use these stores, with `database` for the product's.
    pub(crate) fn configure(&self, place: &Place, command: &mut Command, database: &str) -> Result<()> {
        command
            .env("PREAU_DATABASE__URL", self.app_of(database))
            .env("PREAU_DATABASE__OWNER_URL", self.owner_of(database))
            .env("PREAU_REDIS__URL", &self.redis_url)
            .env("PREAU_SECRETS__MASTER_KEY", master_key(place)?);
        Ok(())
    }
}

fn url(role: &str, port: u16, database: &str) -> String {
    format!("postgres://{role}@127.0.0.1:{port}/{database}")
}

/// Starts what does not run yet.
pub(crate) fn up(place: &Place) -> Result<Stores> {
    let _alone = place.lock("stores")?;
    let before = Stores::recorded(place);
    let pg_port = postgres_up(place, before.as_ref().map(|stores| stores.pg_port))?;
    let redis_port = redis_up(place, before.as_ref().map(|stores| stores.redis_port))?;
    let stores = Stores::new(pg_port, redis_port);
    if before.as_ref() != Some(&stores) {
        sh::replace(&place.local.join("stores.json"), &serde_json::to_vec_pretty(&stores)?)?;
    }
    master_key(place)?;
    stores.sql(place, "postgres", ROLES)?;
    if stores.sql(place, "postgres", "SELECT 1 FROM pg_database WHERE datname = 'preau'")?.trim().is_empty() {
        stores.sql(place, "postgres", "CREATE DATABASE preau OWNER preau_owner")?;
    }
    Ok(stores)
}

/// The owner may end other backends: DROP DATABASE … WITH (FORCE) ends an autovacuum worker too, which is nobody's, and would be
/// refused in the one run of hundreds that meets it.
const ROLES: &str = "
DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'preau_owner') THEN CREATE ROLE preau_owner LOGIN CREATEDB; END IF;
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'preau_app') THEN CREATE ROLE preau_app LOGIN; END IF;
    GRANT pg_signal_backend TO preau_owner;
END $$";

/// Whether both ran before anyone asked: then the one who asked must not stop them.
pub(crate) fn are_up(place: &Place) -> bool {
    let pg = pg_home(place).is_ok_and(|home| running_port(place, &home).is_some());
    pg && Stores::recorded(place).is_some_and(|stores| redis_is_ours(place, stores.redis_port))
}

pub(crate) fn down(place: &Place) -> Result<()> {
    let _alone = place.lock("stores")?;
    if let (Ok(home), Some(bin)) = (pg_home(place), setup::postgres_programs())
        && running_port(place, &home).is_some()
    {
        sh::quiet(
            as_postgres(place, bin.join("pg_ctl"))
                .arg("-D")
                .arg(home.join("data"))
                .args(["-m", "fast", "-w", "stop"]),
        )?;
    }
    if let Some(stores) = Stores::recorded(place)
        && redis_is_ours(place, stores.redis_port)
    {
        redis_says(stores.redis_port, "SHUTDOWN NOSAVE");
    }
    println!("stores are down; data stays in .local/pg");
    Ok(())
}

pub(crate) fn reset(place: &Place, stores: &Stores) -> Result<()> {
    stores.fresh(place, "preau")?;
    redis_says(stores.redis_port, "FLUSHALL").context("Redis did not answer")?;
    if place.accounts().exists() {
        std::fs::remove_file(place.accounts())?;
    }
    println!("database preau is empty, and so is Redis");
    Ok(())
}

fn status(place: &Place) {
    match pg_home(place).ok().and_then(|home| Some((running_port(place, &home)?, home))) {
        Some((port, home)) => println!("PostgreSQL: up on 127.0.0.1:{port}, data in {}", home.display()),
        None => println!("PostgreSQL: down"),
    }
    match Stores::recorded(place).filter(|stores| redis_is_ours(place, stores.redis_port)) {
        Some(stores) => println!("Redis: up on 127.0.0.1:{}", stores.redis_port),
        None => println!("Redis: down"),
    }
}

// PostgreSQL

/// The settings of every measured run, said aloud although the first three are the defaults. No Unix socket: its
/// path would have to be shorter than 107 bytes and open to the server's user.
const PG_SETTINGS: &[&str] = &[
    "fsync=on",
    "synchronous_commit=on",
    "full_page_writes=on",
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
    "max_connections=300",
    "shared_buffers=256MB",
    "max_wal_size=2GB",
    "timezone=UTC",
    "log_timezone=UTC",
];

/// PostgreSQL refuses to run as root: then it runs as Debian's own user for it.
fn as_postgres(place: &Place, program: impl AsRef<Path>) -> Command {
    let mut command = if setup::is_root() {
        let mut command = sh::command(place, "runuser");
        command.args(["-u", "postgres", "--"]).arg(program.as_ref());
        command
    } else {
        sh::command(place, program.as_ref())
    };
    // The server's user may not be allowed into this checkout.
    command.current_dir("/");
    command
}

/// The folder that holds `data` and the server's log: `.local/pg`, or where that link leads.
fn pg_home(place: &Place) -> Result<PathBuf> {
    let here = place.local.join("pg");
    if !setup::is_root() || sh::succeeds(as_postgres(place, "/usr/bin/test").arg("-x").arg(&place.local)) {
        if here.is_symlink() {
            std::fs::remove_file(&here)?; // made while the checkout was closed to the server's user, or by another checkout
        }
        return Ok(here);
    }
    // A folder of its own for each checkout, so that two clones on one machine do not share a cluster.
    let elsewhere =
        PathBuf::from(format!("/var/tmp/preau-{:016x}", sh::fingerprint(&place.root.to_string_lossy())));
    if std::fs::read_link(&here).ok().as_ref() != Some(&elsewhere) {
        if here.is_symlink() {
            std::fs::remove_file(&here)?;
        }
        if here.exists() {
            bail!(
                "{} is closed to the user postgres; remove it (it is a development database) and try again",
                here.display()
            );
        }
        std::os::unix::fs::symlink(&elsewhere, &here)?;
    }
    Ok(elsewhere)
}

/// The port that the server of `home` answers on, if it runs.
fn running_port(place: &Place, home: &Path) -> Option<u16> {
    let data = home.join("data");
    let bin = setup::postgres_programs()?;
    if !sh::succeeds(as_postgres(place, bin.join("pg_ctl")).arg("-D").arg(&data).arg("status")) {
        return None;
    }
    // Line 4 of postmaster.pid; a stale file with a recycled process id is caught by asking who answers there.
    let pid_file = sh::read(as_postgres(place, "/bin/cat").arg(data.join("postmaster.pid"))).ok()?;
    let port: u16 = pid_file.lines().nth(3)?.trim().parse().ok()?;
    let answer = Stores::new(port, 0).sql(place, "postgres", "SHOW data_directory").ok()?;
    (Path::new(answer.trim()).canonicalize().ok() == data.canonicalize().ok()).then_some(port)
}

fn postgres_up(place: &Place, recorded: Option<u16>) -> Result<u16> {
    let bin =
        setup::postgres_programs().context("PostgreSQL's programs are not installed; cargo xtask setup")?;
    let home = pg_home(place)?;
    if let Some(port) = running_port(place, &home) {
        return Ok(port);
    }
    let data = home.join("data");
    if !data.join("PG_VERSION").exists() {
        std::fs::create_dir_all(&home)?;
        if setup::is_root() {
            sh::quiet(sh::command(place, "chown").arg("postgres:").arg(&home))?;
        }
        // Made beside and renamed: an interrupted initdb leaves a folder that neither starts nor may be reused.
        let beside = home.join("data.part");
        sh::quiet(as_postgres(place, "/bin/rm").arg("-rf").arg(&beside).arg(&data))?;
        let mut initdb = as_postgres(place, bin.join("initdb"));
        initdb.arg("-D").arg(&beside).args([
            "-U",
            "postgres",
            "--auth=trust",
            "--encoding=UTF8",
            "--locale=C.UTF-8",
        ]);
        sh::quiet(&mut initdb)?;
        sh::quiet(as_postgres(place, "/bin/mv").arg(&beside).arg(&data))?;
    }
    let wanted = port_from_env("PREAU_DEV_PG_PORT")?.or(recorded).unwrap_or(54329);
    start_on(wanted, |port| {
        let mut options = format!("-p {port}");
        for setting in PG_SETTINGS {
            let _ = write!(options, " -c {setting}");
        }
        let mut pg_ctl = as_postgres(place, bin.join("pg_ctl"));
        pg_ctl
            .arg("-D")
            .arg(&data)
            .arg("-l")
            .arg(home.join("log"))
            .args(["-w", "-t", "120", "-o", &options, "start"]);
        // pg_ctl hands its output to the server: a pipe would stay open as long as the server lives.
        if sh::succeeds(&mut pg_ctl) {
            return Ok(());
        }
        let log = sh::read(as_postgres(place, "/usr/bin/tail").args(["-n", "12"]).arg(home.join("log")))
            .unwrap_or_default();
        bail!("PostgreSQL did not start:\n{log}")
    })
}

// Redis

fn redis_home(place: &Place) -> PathBuf {
    place.local.join("redis")
}

fn redis_up(place: &Place, recorded: Option<u16>) -> Result<u16> {
    if let Some(port) = recorded.filter(|port| redis_is_ours(place, *port)) {
        return Ok(port);
    }
    let program = setup::redis_program(place).context("Redis is not installed; cargo xtask setup")?;
    let home = redis_home(place);
    std::fs::create_dir_all(&home)?;
    let wanted = port_from_env("PREAU_DEV_REDIS_PORT")?.or(recorded).unwrap_or(56399);
    start_on(wanted, |port| {
        use std::os::unix::process::CommandExt;
        let mut redis = sh::command(place, &program);
        redis.arg0("redis-server"); // see setup::redis_program
        redis.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
        redis.args(["--daemonize", "yes"]).arg("--dir").arg(&home);
        redis.arg("--pidfile").arg(home.join("pid")).arg("--logfile").arg(home.join("log"));
        if sh::succeeds(&mut redis) {
            for _ in 0..100 {
                if redis_is_ours(place, port) {
                    return Ok(());
                }
                std::thread::sleep(Duration::from_millis(50));
            }
        }
        bail!("Redis did not start on port {port}; see {}", home.join("log").display())
    })
}

/// Whether the Redis on `port` is the one of this checkout: it says which folder it works in.
fn redis_is_ours(place: &Place, port: u16) -> bool {
    let home = redis_home(place);
    redis_says(port, "CONFIG GET dir")
        .is_some_and(|answer| answer.lines().any(|line| Path::new(line.trim()) == home))
}

fn redis_says(port: u16, command: &str) -> Option<String> {
    let mut connection = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok()?;
    connection.set_read_timeout(Some(Duration::from_secs(2))).ok()?;
    connection.write_all(format!("{command}\r\nQUIT\r\n").as_bytes()).ok()?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer).ok()?;
    Some(answer)
}

// Both

fn port_from_env(name: &str) -> Result<Option<u16>> {
    std::env::var(name)
        .ok()
        .map(|port| port.parse().with_context(|| format!("{name} is not a port")))
        .transpose()
}

/// Starts on the wanted port, or on a free one when somebody (another checkout, say) has it.
fn start_on(wanted: u16, start: impl Fn(u16) -> Result<()>) -> Result<u16> {
    let free =
        |port| Ok::<_, std::io::Error>(TcpListener::bind((Ipv4Addr::LOCALHOST, port))?.local_addr()?.port());
    let mut failure = anyhow::anyhow!("no port");
    for pause in [0, 1, 2, 3] {
        // Another checkout may take the port between our look and the start; a killed server's process lingers a
        // moment, and PostgreSQL takes it for a living one.
        std::thread::sleep(Duration::from_secs(pause));
        let port = free(wanted).or_else(|_| free(0))?;
        match start(port) {
            Ok(()) => return Ok(port),
            Err(fault) => failure = fault,
        }
    }
    Err(failure)
}

/// 64 hexadecimal characters that seal this checkout's key ring; made once.
fn master_key(place: &Place) -> Result<String> {
    let file = place.local.join("master_key");
    if let Ok(key) = std::fs::read_to_string(&file)
        && key.trim().len() == 64
    {
        return Ok(key.trim().to_owned());
    }
    let mut bytes = [0_u8; 32];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    let key = bytes.iter().fold(String::new(), |mut key, byte| {
        let _ = write!(key, "{byte:02x}");
        key
    });
    sh::replace(&file, key.as_bytes())?;
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600))?;
    Ok(key)
}
