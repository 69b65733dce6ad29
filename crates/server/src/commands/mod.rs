//! The subcommands, one file each.

mod admin;
mod bench;
mod demo;
mod describe;
mod forecast;
mod import;
mod migrate;

use std::path::PathBuf;

use anyhow::Context;
use clap::{Parser, Subcommand};
use preau_identity::TotpSecret;
use preau_kernel::Clock;
use preau_overload::Mode;

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
        /// How sign-in is guarded, in place of `admission.mode`: off, bounded, codel or ticket.
        #[arg(long, value_name = "MODE", value_parser = mode)]
        admission: Option<Mode>,
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
    /// What to expect of tomorrow: how many at once, what must be there, what each lane waits.
    Forecast(forecast::Forecast),
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
            Command::Serve { with_worker, admission } => {
                let mut config = config;
                config.admission.mode = admission.unwrap_or(config.admission.mode);
                let traces = telemetry::start(&config.log, &config.telemetry)?;
                let metrics = telemetry::metrics()?;
                let served = crate::serve(App::build(config, Clock::system())?, metrics, with_worker).await;
                traces.end().await;
                served
            }
            Command::Migrate => migrate::run(&config).await,
            Command::Import(import) => import.run(config).await,
            Command::Demo(demo) => demo.run(config).await,
            Command::Worker => {
                let traces = telemetry::start(&config.log, &config.telemetry)?;
                let metrics = telemetry::metrics()?;
                let worked = crate::work(App::build(config, Clock::system())?, metrics).await;
                traces.end().await;
                worked
            }
            Command::Admin(act) => act.run(config).await,
            Command::Code { secret } => {
                let secret = TotpSecret::from_base32(&secret).context("a secret is 32 letters and digits")?;
                say(&secret.code_at(Clock::system().now()));
                Ok(())
            }
            Command::Forecast(asked) => asked.run(config).await,
            Command::Routes { json } => describe::routes(json),
            Command::Openapi => describe::openapi(),
            Command::Bench(bench) => bench.run(config).await,
        }
    }
}

fn mode(word: &str) -> Result<Mode, String> {
    let modes = [Mode::Off, Mode::Bounded, Mode::Codel, Mode::Ticket];
    modes
        .into_iter()
        .find(|mode| mode.as_str() == word)
        .ok_or_else(|| "off, bounded, codel or ticket".to_owned())
}

/// Standard output is the product of a command line.
#[expect(clippy::print_stdout, reason = "standard output is the product of a command line")]
pub(crate) fn say(line: &str) {
    println!("{line}");
}
