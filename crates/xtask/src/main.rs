#![doc = include_str!("../README.md")]
#![expect(clippy::print_stdout, reason = "a chore talks to the person who typed it")]

mod alerts;
mod cargo;
mod ci;
mod cluster_tools;
mod federation;
mod floors;
mod fuzz;
mod k8s;
mod keep;
mod licences;
mod migrations;
mod place;
mod prepare;
mod queries;
mod run;
mod setup;
mod sh;
mod simulate;
mod spdx;
mod sql;
mod stores;
mod ui;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::place::Place;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Préau's chores", disable_version_flag = true)]
struct Cli {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Install what is missing (Debian, as root), or say in a line what to install
    Setup {
        /// What the machine has to be able to do
        #[arg(long = "for", value_enum, default_value_t = setup::Purpose::Test)]
        purpose: setup::Purpose,
    },
    /// The private PostgreSQL and Redis under .local/
    Stores {
        #[command(subcommand)]
        act: stores::Act,
    },
    /// Set up, start the stores, build, migrate, load the demo territory, serve http://localhost:8080
    Run,
    /// Build the browser program (crates/ui/app)
    Ui,
    /// Keep what this tree builds for the browser as the files of the release before: in the commit that follows a tag
    Keep {
        /// Change nothing; fail unless what is kept is of the last release, and in the build
        #[arg(long)]
        check: bool,
    },
    /// Regenerate .sqlx from the migrations, without sqlx-cli
    Prepare {
        /// Change nothing; fail with the list of files that differ
        #[arg(long)]
        check: bool,
    },
    /// Regenerate openapi.json and the browser's typed client from the built program
    Openapi {
        /// Change nothing; fail when the committed files are stale
        #[arg(long)]
        check: bool,
    },
    /// Fail on a dependency between workspace crates that DESIGN §2 does not draw
    Floors,
    /// Render deploy/k8s and check it without a cluster
    K8s,
    /// Check deploy/observability: rules, their tests, and that dashboards name what exists
    Alerts,
    /// Fail on a licence or a source that .deny.toml does not allow
    Licences,
    /// Lint migrations/*.sql, then the schema that they make
    Migrations,
    /// Let Schemathesis try the built program's API
    Fuzz,
    /// Prove sign-in by desks: signatures against xmlsec1, people through a real SimpleSAMLphp
    Federation,
    /// Every check and test, cheapest first: the gate
    Ci,
    /// The 9:00 storm on three nodes behind HAProxy, into .local/storm.json and .local/storm.html (`FULL=1`: the long form)
    Storm {
        /// Another scenario of config/rush/
        #[arg(long)]
        scenario: Option<String>,
        /// Twenty seconds with what is built already: counts are asserted, times are not
        #[arg(long)]
        smoke: bool,
        /// For `preau-rush storm`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        rest: Vec<String>,
    },
    /// Play the nine-o'clock rush on paper: the queue's table, ours beside the baselines
    Simulate {
        /// For the player: `--people N --schools N --nodes N`, `--bench`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        rest: Vec<String>,
    },
    /// Every figure that the documents quote, into .local/bench.json
    Bench {
        /// For `preau-rush bench`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        rest: Vec<String>,
    },
}

fn main() -> ExitCode {
    match work(Cli::parse().chore) {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            // The chain of causes, without the backtrace that `Debug` adds: the fault is in the tree, not here.
            eprintln!("\nerror: {fault:#}");
            ExitCode::FAILURE
        }
    }
}

fn work(chore: Chore) -> anyhow::Result<()> {
    let place = Place::find()?;
    match chore {
        Chore::Setup { purpose } => setup::setup(&place, purpose),
        Chore::Stores { act } => stores::act(&place, act),
        Chore::Run => run::run(&place),
        Chore::Ui => {
            setup::setup(&place, setup::Purpose::Run)?;
            ui::build(&place)
        }
        Chore::Keep { check } => {
            setup::setup(&place, setup::Purpose::Run)?;
            if check { keep::check(&place) } else { keep::keep(&place) }
        }
        Chore::Prepare { check } => {
            setup::setup(&place, setup::Purpose::Run)?;
            prepare::prepare(&place, check)
        }
        Chore::Openapi { check } => {
            setup::setup(&place, setup::Purpose::Run)?;
            run::build(&place)?;
            ui::openapi(&place, check)
        }
        Chore::Floors => floors::check(&place),
        Chore::K8s => {
            setup::setup(&place, setup::Purpose::Test)?;
            k8s::check(&place)
        }
        Chore::Alerts => {
            setup::setup(&place, setup::Purpose::Test)?;
            alerts::check(&place)
        }
        Chore::Licences => licences::check(&place),
        Chore::Migrations => {
            setup::setup(&place, setup::Purpose::Run)?;
            migrations::check(&place)
        }
        Chore::Fuzz => {
            setup::setup(&place, setup::Purpose::Test)?;
            run::build(&place)?;
            fuzz::fuzz(&place, &stores::up(&place)?)
        }
        Chore::Federation => {
            setup::setup(&place, setup::Purpose::Test)?;
            federation::prove(&place, &stores::up(&place)?)
        }
        Chore::Ci => ci::ci(&place),
        Chore::Storm { scenario, smoke, rest } => run::storm(&place, scenario.as_deref(), smoke, &rest),
        Chore::Simulate { rest } => simulate::simulate(&place, &rest),
        Chore::Bench { rest } => run::bench(&place, &rest),
    }
}
