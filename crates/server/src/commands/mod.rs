//! The subcommands, one file each.

mod admin;
mod bench;
mod demo;
mod describe;
mod import;
mod migrate;

use std::path::PathBuf;

use anyhow::Context;
use clap::{Parser, Subcommand};
use preau_identity::TotpSecret;
use preau_kernel::Clock;

use crate::{App, Config, telemetry};

/// Préau, the digital workspace that holds when everybody comes at once.
#[derive(Debug, Parser)]
#[command(name = "preau", version)]
pub struct Cli {
    /// A configuration file over the defaults; `PREAU_SECTION__KEY` variables come over both.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve requests, until told to stop.
    Serve {
        /// Also run the worker in this process (small installations, development).
        #[arg(long)]
        with_worker: bool,
    },
    /// Apply the migrations that are missing, as the owner's role.
    Migrate,
    /// Bring a directory or a timetable in.
    #[command(subcommand)]
    Import(import::Import),
    /// Invent an académie, import it, and open accounts to try.
    Demo(demo::Demo),
    /// Run the jobs, deliveries and sweeps, until told to stop.
    Worker,
    /// The operator's own acts.
    #[command(subcommand)]
    Admin(admin::Admin),
    /// Print the code that an authenticator application shows now, for a secret in base 32: to try a demonstration's
    /// administrators (`totp_secret` of the accounts file) without one.
    Code {
        /// The secret.
        secret: String,
    },
    /// Print the table of routes.
    Routes {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Print the OpenAPI document.
    Openapi,
    /// Measure the parts that cannot be measured from outside.
    #[command(subcommand)]
    Bench(bench::Bench),
}

impl Cli {
    /// Runs the subcommand.
    ///
    /// # Errors
    /// Whatever stops it, said in words.
    pub async fn run(self) -> anyhow::Result<()> {
        let config = Config::load(self.config.as_deref())?;
        match self.command {
            Command::Serve { with_worker } => {
                telemetry::log(&config.log)?;
                let metrics = telemetry::metrics()?;
                crate::serve(App::build(config, Clock::system())?, metrics, with_worker).await
            }
            Command::Migrate => migrate::run(&config).await,
            Command::Import(import) => import.run(config).await,
            Command::Demo(demo) => demo.run(config).await,
            Command::Worker => {
                telemetry::log(&config.log)?;
                let metrics = telemetry::metrics()?;
                crate::work(App::build(config, Clock::system())?, metrics).await
            }
            Command::Admin(act) => act.run(config).await,
            Command::Code { secret } => {
                let secret = TotpSecret::from_base32(&secret).context("a secret is 32 letters and digits")?;
                say(&secret.code_at(Clock::system().now()));
                Ok(())
            }
            Command::Routes { json } => describe::routes(json),
            Command::Openapi => describe::openapi(),
            Command::Bench(bench) => bench.run(config).await,
        }
    }
}

/// Standard output is the product of a command line.
#[expect(clippy::print_stdout, reason = "standard output is the product of a command line")]
pub(crate) fn say(line: &str) {
    println!("{line}");
}
