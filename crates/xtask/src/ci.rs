//! The gate: every check and test, cheapest first, stopping at the first failure.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::place::Place;
use crate::prepare::Compile;
use crate::{
    alerts, cargo, floors, fuzz, k8s, keep, licences, migrations, prepare, run, setup, sh, stores, ui,
};

pub(crate) fn ci(place: &Place) -> Result<()> {
    let mut gate = Gate::default();
    let done = gate.walk(place);
    println!("\n{}", if done.is_ok() { "The gate is open." } else { "The gate is closed." });
    for (title, time) in &gate.passed {
        println!("  ok    {:>12}  {title}", sh::took(*time));
    }
    if let Some((title, time)) = &gate.failed {
        println!("  FAIL  {:>12}  {title}", sh::took(*time));
    }
    println!("  {} in all", sh::took(gate.passed.iter().chain(&gate.failed).map(|(_, time)| *time).sum()));
    done
}

#[derive(Default)]
struct Gate {
    passed: Vec<(&'static str, Duration)>,
    failed: Option<(&'static str, Duration)>,
}

impl Gate {
    fn step<T>(&mut self, title: &'static str, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let start = Instant::now();
        let done = sh::step(title, work);
        match &done {
            Ok(_) => self.passed.push((title, start.elapsed())),
            Err(_) => self.failed = Some((title, start.elapsed())),
        }
        done
    }

    fn walk(&mut self, place: &Place) -> Result<()> {
        self.step("format", || sh::run(cargo::cargo(place).args(["fmt", "--all", "--check"])))?;
        self.step("floors", || floors::check(place))?;
        self.step("migration files", || migrations::check_files(place))?;
        self.step("set up the machine", || setup::setup(place, setup::Purpose::Test))?;
        self.step("spelling", || sh::run(sh::command(place, "typos").args(["--config", ".typos.toml"])))?;
        self.step("licences and sources", || licences::check(place))?;
        self.step("manifests", || k8s::check(place))?;
        self.step("alert rules and dashboards", || alerts::check(place))?;

        let were_up = stores::are_up(place);
        let stores = self.step("start PostgreSQL and Redis", || stores::up(place))?;
        let done = self.walk_with(place, &stores);
        if !were_up {
            stores::down(place)?;
        }
        done
    }

    fn walk_with(&mut self, place: &Place, stores: &stores::Stores) -> Result<()> {
        self.step("schema and statements", || migrations::check_catalogue(place, stores))?;
        self.step("browser program: build", || ui::build(place))?;
        self.step("browser program: files of the release before", || keep::check(place))?;
        self.step("browser program: types, budgets, unit tests", || {
            for script in ["check", "budgets", "test"] {
                sh::run(ui::npm(place, &place.app()).args(["run", "--silent", script]))?;
            }
            Ok(())
        })?;
        self.step("clippy, against the live schema; .sqlx is current", || {
            prepare::compare(place, &prepare::regenerate(place, stores, Compile::Clippy)?)
        })?;
        // The whole workspace at once: building packages one by one would choose other features of their dependencies,
        // and compile half of those a second time.
        self.step("build", || {
            sh::run(cargo::cargo(place).args(["build", "--workspace", "--all-targets", "--locked"]))
        })?;
        self.step("migrate twice", || migrations::migrate_twice(place, stores))?;
        self.step("openapi.json and the typed client are current", || ui::openapi(place, true))?;
        self.step("tests", || {
            let mut nextest = cargo::cargo(place);
            nextest.args(["nextest", "run", "--workspace", "--profile", "ci"]);
            sh::run(with_stores(place, stores, &mut nextest)?)
        })?;
        self.step("what strangers send", || fuzz::fuzz(place, stores))?;
        self.step("browser tests", || {
            ui::install(place, &place.e2e(), "npm-e2e")?;
            let mut tests = sh::command(place, "node");
            tests.arg("tests/e2e/run.mjs").env("PREAU_BIN", place.preau(run::FOLDER));
            if let Some(chromium) = setup::chromium(place) {
                tests.env("CHROMIUM", chromium);
            }
            sh::run(with_stores(place, stores, &mut tests)?)
        })?;
        self.step("a small storm", || run::play(place, None, true, &[]))
    }
}

/// What tests read to find the private stores. They make databases of their own with the owner's role.
pub(crate) fn with_stores<'a>(
    place: &Place,
    stores: &stores::Stores,
    command: &'a mut Command,
) -> Result<&'a mut Command> {
    stores.configure(place, command, "preau")?;
    Ok(command.env("DATABASE_URL", &stores.owner_url))
}
