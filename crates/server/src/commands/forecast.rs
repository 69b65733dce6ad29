//! `preau forecast`: what to expect of a day, from a territory's accounts or from a file of them.

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use clap::Args;
use preau_forecast::{
    Band, Class, Costs, Forecast as Told, Part, Plan, Shape, Slot, Storm, Week, against, forecast,
};
use preau_kernel::Clock;
use serde::Deserialize;

use super::{admin::territory_of_slug, say};
use crate::{App, Config};

#[derive(Debug, Args)]
pub(super) struct Forecast {
    /// Short name of a territory, whose accounts are counted in the database.
    #[arg(long, conflicts_with = "accounts")]
    territory: Option<String>,
    /// Accounts by département, in a file (config/forecast/exemple.toml).
    #[arg(long, value_name = "FILE")]
    accounts: Option<PathBuf>,
    /// Départements whose schools are closed, or `all`.
    #[arg(long, value_delimiter = ',')]
    closed: Vec<String>,
    /// Windows: the hour that each opens and the share of pupils that it is for.
    #[arg(long, value_delimiter = ',', value_name = "HOUR=SHARE", value_parser = slot)]
    slots: Vec<Slot>,
    /// Share of pupils who keep to their window.
    #[arg(long, default_value_t = 0.8)]
    obedience: f64,
    /// Share of pupils whose class has a lesson at nine.
    #[arg(long, default_value_t = 0.0)]
    lessons: f64,
    /// Cores that will hash. Without it: as many as nobody waits with.
    #[arg(long)]
    hashing_cores: Option<f64>,
    /// As JSON.
    #[arg(long)]
    json: bool,
    /// Instead: hold the model against what a storm measured (.local/storm.json); fails where it is more than 15 % off.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["territory", "accounts", "closed"])]
    against: Option<PathBuf>,
}

fn slot(text: &str) -> Result<Slot, String> {
    let read = text.split_once('=').and_then(|(hour, share)| Some((hour.parse().ok()?, share.parse().ok()?)));
    match read {
        Some((from_h, share)) if (0.0..24.0).contains(&from_h) && (0.0..=1.0).contains(&share) => {
            Ok(Slot { from_h, share })
        }
        _ => Err("an hour, =, and a share: 8=0.5".to_owned()),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Accounts {
    parts: Vec<Part>,
}

impl Forecast {
    pub(super) async fn run(self, config: Config) -> anyhow::Result<()> {
        if let Some(file) = &self.against {
            return hold_against(file, &config.forecast);
        }
        let costs = config.forecast;
        let week = Week::haut_rhin()?;
        let mut parts = match (&self.accounts, &self.territory) {
            (Some(file), _) => {
                let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
                toml::from_str::<Accounts>(&text).with_context(|| file.display().to_string())?.parts
            }
            (None, Some(slug)) => {
                let app = App::build(config, Clock::system())?;
                let territory =
                    territory_of_slug(&app, slug).await?.context("no territory has this short name")?;
                app.forecast.parts(territory).await?
            }
            (None, None) => anyhow::bail!("say --territory or --accounts"),
        };
        for name in &self.closed {
            let known = parts
                .iter_mut()
                .filter(|part| name == "all" || part.name == name.trim_start_matches('0'))
                .map(|part| part.closed = true)
                .count();
            ensure!(known > 0, "no accounts in {name}");
        }
        ensure!(
            (0.0..=1.0).contains(&self.obedience) && (0.0..=1.0).contains(&self.lessons),
            "shares are 0 to 1"
        );
        let plan = Plan {
            parts,
            slots: self.slots,
            obedience: self.obedience,
            lessons_share: self.lessons,
            hashing_cores: self.hashing_cores,
            shape: Shape::Bell,
        };
        let told = forecast(&plan, &costs, &week.teaches());
        if self.json {
            say(&serde_json::to_string_pretty(&told)?);
        } else {
            show(&told, &week);
        }
        Ok(())
    }
}

/// In French: who reads it runs an ENT.
fn show(told: &Told, week: &Week) {
    let band = |it: Band| match it.low == it.high {
        true => it.likely.to_string(),
        false => format!("{} (entre {} et {})", it.likely, it.low, it.high),
    };
    say(&format!(
        "Comptes                    {} dont {} dans des lieux fermés",
        told.accounts, told.closed_accounts
    ));
    say(&format!("Visites dans la journée    {}, soit ×{:.1}", band(told.visits), told.visits_times));
    say(&format!(
        "Connexions par seconde     {} au plus fort, soit ×{:.1} (d'ordinaire {})",
        band(told.peak_per_s),
        told.peak_times,
        told.usual_peak_per_s
    ));
    let needs = told.needs;
    say(&format!(
        "Pour que personne n'attende {} cœurs de hachage ({} nœuds), {} autres nœuds, {} connexions à PostgreSQL",
        needs.hashing_cores, needs.hashing_nodes, needs.api_nodes, needs.connections
    ));
    say(&format!(
        "                           {} personnes dedans, {} requêtes par seconde",
        needs.seats, needs.requests_per_s
    ));
    say(&format!("Avec {:.1} cœurs de hachage :", told.hashing_cores));
    for lane in &told.lanes {
        say(&format!(
            "  {:22} {:>9} personnes, attente moyenne {}, au plus {}, {} en même temps",
            lane_name(lane.class),
            lane.people,
            time(lane.wait_mean_s),
            time(lane.wait_max_s),
            lane.waiting_max
        ));
    }
    if !told.tried {
        say(
            "⚠ Jamais essayé à cette hauteur ici (forecast.tested_hashing_cores) : prévenez ce soir qui en répond.",
        );
    }
    say(&format!("Multiplicateurs : {}", week.source));
}

fn lane_name(class: Class) -> &'static str {
    match class {
        Class::Lesson => "enseignants et cours",
        Class::InSlot => "élèves",
        Class::OutOfSlot => "élèves hors plage",
        Class::Guardian => "responsables",
    }
}

fn time(seconds: u64) -> String {
    if seconds < 90 { format!("{seconds} s") } else { format!("{} min", (seconds + 30) / 60) }
}

/// What the forecast tells of each crowd of a storm, beside what the storm measured.
///
/// # Errors
/// The file is no storm's report, nothing of it can be judged, or a figure is more than 15 % off.
fn hold_against(file: &Path, costs: &Costs) -> anyhow::Result<()> {
    let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
    let storm: Storm = serde_json::from_str(&text).with_context(|| file.display().to_string())?;
    judge(&storm, costs)
}

fn judge(storm: &Storm, costs: &Costs) -> anyhow::Result<()> {
    let found = against(storm, costs);
    for (segment, why) in &found.left_out {
        say(&format!("{segment}: left out: {why}"));
    }
    for (segment, told_by) in &found.told_by {
        let Costs { hash_s, arrival_s, waiting_s, .. } = told_by;
        say(&format!(
            "{segment}: told by {:.1} ms a hash, {:.0} µs of a crowd's arrival and {:.2} µs of a second's waiting",
            hash_s * 1e3,
            arrival_s * 1e6,
            waiting_s * 1e6
        ));
    }
    say(&format!("{:<46} {:>10} {:>10} {:>6}", storm.scenario, "predicted", "measured", "ratio"));
    for it in &found.figures {
        say(&format!(
            "{:<46} {:>10.1} {:>10.1} {:>6.2}  {}",
            format!("{}: {}", it.segment, it.what),
            it.predicted,
            it.measured,
            it.ratio(),
            if it.holds() { "within 15 %" } else { "OUTSIDE of 15 %" }
        ));
    }
    ensure!(!found.figures.is_empty(), "nothing in it that a forecast could be held against");
    let outside = found.figures.iter().filter(|it| !it.holds()).count();
    ensure!(found.holds(), "{outside} of {} figures are more than 15 % off", found.figures.len());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn costs() -> Costs {
        let config: toml::Table = toml::from_str(include_str!("../../../../config/default.toml")).unwrap();
        config.get("forecast").unwrap().clone().try_into().unwrap()
    }

    #[test]
    fn a_forecast_that_a_storm_belies_ends_in_failure() {
        let mut report: serde_json::Value =
            serde_json::from_str(include_str!("../../../forecast/tests/storm.json")).unwrap();
        let judged = |report: &serde_json::Value| {
            judge(&serde_json::from_value(report.clone()).unwrap(), &costs()).map_err(|e| e.to_string())
        };
        assert!(judged(&report).unwrap_err().contains("more than 15 % off"));
        let mut keep = |names: &[&str]| {
            let segments = report["segments"].as_array_mut().unwrap();
            segments.retain(|it| names.contains(&it["name"].as_str().unwrap()));
            judged(&report)
        };
        assert_eq!(keep(&["peak", "evenly", "off"]), Ok(()));
        assert!(keep(&["peak", "off"]).unwrap_err().contains("nothing in it"));
    }
}
