//! `make run`: from whatever state the checkout is in to a served demo territory.

use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::place::Place;
use crate::stores::{self, Stores};
use crate::{cargo, setup, sh, simulate, ui};

/// The profile that `make run` builds with, and the folder that cargo puts it in. The dev profile compiles in half
/// the time, and hashing is optimised in it (`[profile.dev.package]`).
const PROFILE: &str = "dev";
pub(crate) const FOLDER: &str = "debug";

const DATABASE: &str = "preau";

pub(crate) fn run(place: &Place) -> Result<()> {
    let start = Instant::now();
    let setting = |name, default: &str| std::env::var(name).unwrap_or_else(|_| default.to_owned());
    let listen = setting("PREAU_HTTP__LISTEN", "127.0.0.1:8080");
    let probes = setting("PREAU_HTTP__PROBE_LISTEN", "127.0.0.1:9090");
    let address = format!("http://{}", listen.replace("127.0.0.1", "localhost"));
    let public = setting("PREAU_HTTP__PUBLIC_URL", &address);
    if let Some(taken) = [&listen, &probes].into_iter().find(|it| TcpListener::bind(it).is_err()) {
        bail!(
            "{taken} is taken: stop what listens there, or choose others: PREAU_HTTP__LISTEN=127.0.0.1:8181 PREAU_HTTP__PROBE_LISTEN=127.0.0.1:9191 make run"
        );
    }
    sh::step("set up the machine", || setup::setup(place, setup::Purpose::Run))?;
    let stores = sh::step("start PostgreSQL and Redis", || stores::up(place))?;
    ui::build(place)?;
    sh::step("build preau", || build(place))?;
    sh::step("migrate", || sh::run(preau(place, &stores, DATABASE)?.arg("migrate")))?;
    sh::step("demo territory", || demo(place, &stores))?;

    accounts(place)?;
    println!(
        "\nready after {}; {address}  (Ctrl-C stops it; `make stop` stops the stores)",
        sh::took(start.elapsed())
    );
    // This process becomes the server, so that Ctrl-C reaches it alone and it ends in its own way.
    let mut serve = preau(place, &stores, DATABASE)?;
    serve.args(["serve", "--with-worker"]);
    serve
        .env("PREAU_HTTP__LISTEN", &listen)
        .env("PREAU_HTTP__PROBE_LISTEN", &probes)
        .env("PREAU_HTTP__PUBLIC_URL", &public);
    // Mail is written to a folder, so that links and codes can be tried: nothing leaves a developer's machine.
    let mail = place.local.join("mail");
    if std::env::var_os("PREAU_POST__TRANSPORT").is_none() {
        std::fs::create_dir_all(&mail).with_context(|| format!("cannot make {}", mail.display()))?;
        serve.env("PREAU_POST__TRANSPORT", "file").env("PREAU_POST__FOLDER", &mail);
        println!("mail that it sends is written to {}", mail.display());
    }
    if std::env::var_os("PREAU_LOG__FORMAT").is_none() {
        serve.env("PREAU_LOG__FORMAT", "text"); // for a person at a terminal; a platform wants JSON, the default
    }
    Err(serve.exec()).context("cannot start preau serve")
}

pub(crate) fn build(place: &Place) -> Result<()> {
    sh::run(cargo::cargo(place).args([
        "build",
        "--package",
        "preau-server",
        "--bin",
        "preau",
        "--profile",
        PROFILE,
    ]))
}

/// The built program, set to use these stores and `database`.
pub(crate) fn preau(place: &Place, stores: &Stores, database: &str) -> Result<Command> {
    let mut preau = sh::command(place, place.preau(FOLDER));
    stores.configure(place, &mut preau, database)?;
    Ok(preau)
}

/// Loads the demo territory unless it is there. An interrupted load left no accounts file, and is simply repeated:
/// the import writes nothing twice.
fn demo(place: &Place, stores: &Stores) -> Result<()> {
    let schools = stores.sql(place, DATABASE, "SELECT count(*) FROM school")?;
    if schools.trim() != "0" && place.accounts().exists() {
        println!("  {} schools are there already (`make reset` empties them)", schools.trim());
        return Ok(());
    }
    let mut demo = preau(place, stores, DATABASE)?;
    demo.arg("demo").arg("--out").arg(place.local.join("demo")).arg("--accounts").arg(place.accounts());
    sh::run(&mut demo)
}

#[derive(Deserialize)]
struct Account {
    role: String,
    school_name: Option<String>,
    login: String,
    password: String,
}

/// Prints a few accounts to try: the first of each role in each school.
fn accounts(place: &Place) -> Result<()> {
    let accounts: Vec<Account> =
        serde_json::from_slice(&std::fs::read(place.accounts())?).context("accounts.json")?;
    let mut shown: Vec<&Account> = Vec::new();
    for account in &accounts {
        if !shown.iter().any(|it| it.role == account.role && it.school_name == account.school_name) {
            shown.push(account);
        }
    }
    let wide =
        |value: fn(&Account) -> &str| shown.iter().map(|it| value(it).chars().count()).max().unwrap_or(0);
    let (role, login, password) = (wide(|it| &it.role), wide(|it| &it.login), wide(|it| &it.password));
    println!("\nAccounts to try (all {} of them: .local/accounts.json)", accounts.len());
    for it in shown {
        let school = it.school_name.as_deref().unwrap_or("the territory");
        println!("  {:role$}  {:login$}  {:password$}  {school}", it.role, it.login, it.password);
    }
    println!(
        "  Administrators also show a code: `preau code SECRET` prints that of the `totp_secret` in that file"
    );
    Ok(())
}

/// Builds what ships, starts the stores, and hands over to `preau-rush storm`. A smoke takes what the gate has built.
pub(crate) fn storm(place: &Place, scenario: Option<&str>, smoke: bool, rest: &[String]) -> Result<()> {
    sh::step("set up the machine", || setup::setup(place, setup::Purpose::Test))?;
    let were_up = stores::are_up(place);
    sh::step("start PostgreSQL and Redis", || stores::up(place))?;
    let done = storm_with(place, scenario, smoke, rest);
    if smoke && !were_up {
        stores::down(place)?;
    }
    done
}

fn storm_with(place: &Place, scenario: Option<&str>, smoke: bool, rest: &[String]) -> Result<()> {
    sh::step("build preau and preau-rush", || {
        let mut build = cargo::cargo(place);
        build.args(["build", "--package=preau-server", "--package=preau-rush", "--bins"]);
        if !smoke {
            ui::build(place)?;
            build.arg("--release");
        }
        sh::run(&mut build)
    })?;
    play(place, scenario, smoke, rest)
}

/// Hands over to `preau-rush storm`. The programs are built and the stores are up.
pub(crate) fn play(place: &Place, scenario: Option<&str>, smoke: bool, rest: &[String]) -> Result<()> {
    let preau = place.preau(if smoke { FOLDER } else { "release" });
    // Thousands of people are thousands of open files, here and in the proxy: as many as this machine allows.
    let mut rush = sh::command(place, "sh");
    rush.args(["-c", "ulimit -n \"$(ulimit -Hn)\" 2>/dev/null; exec \"$0\" \"$@\""])
        .arg(preau.with_file_name("preau-rush"))
        .arg("storm")
        .arg(scenario.unwrap_or(if smoke { "config/rush/smoke.toml" } else { "config/rush/storm.toml" }))
        .arg("--preau")
        .arg(&preau)
        .args(smoke.then_some("--smoke"));
    // Beside the figures of `make storm`, not over them.
    let name = scenario.and_then(|scenario| Path::new(scenario).file_stem());
    if smoke {
        rush.arg("--report").arg(place.local.join("smoke/storm.json"));
    } else if let Some(name) = name.filter(|_| !rest.iter().any(|arg| arg.starts_with("--report"))) {
        rush.arg("--report").arg(place.local.join("storms").join(name).with_extension("json"));
    }
    sh::run(rush.args(rest))
}

/// Builds what ships, starts the stores, and hands over to `preau-rush bench`, which measures.
pub(crate) fn bench(place: &Place, rest: &[String]) -> Result<()> {
    sh::step("set up the machine", || setup::setup(place, setup::Purpose::Test))?;
    sh::step("start PostgreSQL and Redis", || stores::up(place))?;
    ui::build(place)?;
    sh::step("build preau and preau-rush for release", || {
        sh::run(cargo::cargo(place).args([
            "build",
            "--release",
            "--package=preau-server",
            "--package=preau-rush",
            "--bins",
        ]))
    })?;
    sh::step("what a ticket costs, and a bad one", || simulate::simulate(place, &["--bench".to_owned()]))?;
    let rush = place.preau("release").with_file_name("preau-rush");
    sh::run(sh::command(place, rush).arg("bench").args(rest))
}
