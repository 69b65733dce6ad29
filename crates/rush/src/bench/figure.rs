//! The figures: their names, units and goals in one table, one printed line each, and `bench.json`.

use std::{collections::BTreeMap, fmt, io::Write as _, path::Path};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use crate::progress::say;

/// What a figure should be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Goal {
    AtLeast(f64),
    AtMost(f64),
    /// Printed for the reader; there is nothing to miss.
    Printed,
}

impl Goal {
    fn met(self, value: f64) -> bool {
        match self {
            Self::AtLeast(goal) => value >= goal,
            Self::AtMost(goal) => value <= goal,
            Self::Printed => true,
        }
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtLeast(goal) => write!(f, ">={goal}"),
            Self::AtMost(goal) => write!(f, "<={goal}"),
            Self::Printed => f.write_str("-"),
        }
    }
}

/// Group, name, unit, goal of every figure, in the order they are printed.
pub(crate) const TABLE: &[(Group, &str, &str, Goal)] = &[
    (Group::SignIn, "sign_in_ratio", "ratio", Goal::AtLeast(0.95)),
    (Group::SignIn, "sign_in_extra_us", "us", Goal::AtMost(1000.0)),
    (Group::SignIn, "sign_in_extra_node_us", "us", Goal::Printed),
    (Group::SignIn, "sign_in_extra_postgres_us", "us", Goal::Printed),
    (Group::SignIn, "sign_in_extra_redis_us", "us", Goal::Printed),
    (Group::SignIn, "bare_hash_us", "us", Goal::Printed),
    (Group::SignIn, "hash_in_place_us", "us", Goal::Printed),
    (Group::SignIn, "sign_in_wal_bytes", "bytes", Goal::Printed),
    (Group::SignIn, "sign_in_redis_ops", "ops", Goal::Printed),
    (Group::Resume, "resume_cpu_us", "us", Goal::AtMost(150.0)),
    (Group::Resume, "resume_node_us", "us", Goal::Printed),
    (Group::Resume, "resume_postgres_us", "us", Goal::Printed),
    (Group::Resume, "resume_redis_us", "us", Goal::Printed),
    (Group::Home, "home_304_cpu_us", "us", Goal::AtMost(40.0)),
    (Group::Home, "home_200_cpu_us", "us", Goal::AtMost(80.0)),
    (Group::Home, "home_200_bytes", "bytes", Goal::AtLeast(6000.0)),
    (Group::Home, "empty_cpu_us", "us", Goal::Printed),
    (Group::Home, "home_vs_empty", "ratio", Goal::AtLeast(0.5)),
    (Group::Home, "home_304_vs_empty", "ratio", Goal::Printed),
    (Group::Waiting, "waiting_check_us", "us", Goal::AtMost(20.0)),
    (Group::Waiting, "waiting_vs_empty", "ratio", Goal::AtLeast(0.5)),
    (Group::Waiting, "waiting_page_us", "us", Goal::Printed),
    (Group::Waiting, "waiting_redis_ops", "ops", Goal::Printed),
    (Group::Waiting, "waiter_node_bytes", "bytes", Goal::AtMost(8.0)),
    (Group::Waiting, "waiter_redis_bytes", "bytes", Goal::AtMost(40.0)),
    (Group::Waiting, "draw_node_us", "us", Goal::Printed),
    (Group::Tx, "tx_cost_us", "us", Goal::Printed),
    (Group::Tx, "tx_autocommit_client_us", "us", Goal::Printed),
    (Group::Tx, "tx_autocommit_backend_us", "us", Goal::Printed),
    (Group::Tx, "tx_transaction_client_us", "us", Goal::Printed),
    (Group::Tx, "tx_transaction_backend_us", "us", Goal::Printed),
    (Group::Tx, "tx_scope_client_us", "us", Goal::Printed),
    (Group::Tx, "tx_scope_backend_us", "us", Goal::Printed),
    (Group::Revocation, "revocation_s", "s", Goal::AtMost(2.0)),
    (Group::Revocation, "revocation_redis_up_s", "s", Goal::Printed),
    (Group::Revocation, "revocation_redis_down_s", "s", Goal::Printed),
    (Group::Scale, "scale_out_2", "ratio", Goal::AtLeast(0.95)),
    (Group::Scale, "scale_out_4", "ratio", Goal::AtLeast(0.95)),
    (Group::Scale, "sign_ins_per_s_1_node", "per_s", Goal::Printed),
    (Group::Scale, "sign_ins_per_s_2_nodes", "per_s", Goal::Printed),
    (Group::Scale, "sign_ins_per_s_4_nodes", "per_s", Goal::Printed),
    (Group::Scale, "bare_hash_scale_out_4", "ratio", Goal::Printed),
    (Group::Unhashed, "unhashed_per_s_1_node", "per_s", Goal::Printed),
    (Group::Unhashed, "unhashed_per_s_2_nodes", "per_s", Goal::Printed),
    (Group::Unhashed, "unhashed_per_s_4_nodes", "per_s", Goal::Printed),
    (Group::Unhashed, "unhashed_node_us", "us", Goal::Printed),
    (Group::Unhashed, "unhashed_postgres_us", "us", Goal::Printed),
    (Group::Unhashed, "unhashed_redis_us", "us", Goal::Printed),
    (Group::Unhashed, "unhashed_proxy_us", "us", Goal::Printed),
    (Group::Unhashed, "unhashed_wal_bytes", "bytes", Goal::Printed),
    (Group::Unhashed, "unhashed_redis_ops", "ops", Goal::Printed),
    (Group::Unhashed, "postgres_core_saturates_at_node_cores", "cores", Goal::Printed),
    (Group::Unhashed, "redis_saturates_at_node_cores", "cores", Goal::Printed),
    (Group::Run, "cold_run_s", "s", Goal::AtMost(600.0)),
    (Group::Run, "warm_run_s", "s", Goal::AtMost(10.0)),
];

/// Figures that are measured together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Group {
    SignIn,
    Resume,
    Home,
    /// A place shown again, and the memory of a place.
    Waiting,
    Tx,
    Revocation,
    Scale,
    /// Sign-ins with a hash that costs nothing: how the stores carry more nodes than this machine has.
    Unhashed,
    /// `make run`, cold and warm.
    Run,
}

/// One entry of `bench.json`.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct Entry {
    pub(crate) value: Option<f64>,
    pub(crate) unit: String,
    pub(crate) goal: Option<String>,
    pub(crate) ok: bool,
    /// Why there is no value, or when an old one was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) note: Option<String>,
}

/// The figures known so far.
#[derive(Debug, Default)]
pub(crate) struct Sheet {
    entries: BTreeMap<String, Entry>,
    printed: Vec<String>,
}

impl Sheet {
    /// Takes over what an earlier bench wrote, for the groups that this one leaves out.
    pub(crate) fn read(path: &Path) -> Self {
        let entries =
            std::fs::read(path).ok().and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default();
        Self { entries, printed: Vec::new() }
    }

    /// What is known of `name`.
    pub(crate) fn known(&self, name: &str) -> Option<&Entry> {
        self.entries.get(name)
    }

    /// Notes and prints the figures of `group`; those that `found` lacks have no value, for the reason `why`.
    pub(crate) fn fill(&mut self, group: Group, found: &[(&str, f64)], why: &str) -> anyhow::Result<()> {
        if !why.is_empty() {
            say(&format!("  {group:?} cannot be measured: {why}"));
        }
        for &(owner, name, unit, goal) in TABLE {
            if owner != group {
                continue;
            }
            let value = found.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
            let note = value.is_none().then(|| why.to_owned());
            self.set(name, unit, goal, value, note)?;
        }
        Ok(())
    }

    /// Notes and prints one figure of the table.
    pub(crate) fn note(
        &mut self,
        name: &str,
        value: Option<f64>,
        note: Option<String>,
    ) -> anyhow::Result<()> {
        let row = TABLE.iter().find(|(_, known, ..)| *known == name);
        let &(_, name, unit, goal) = row.with_context(|| format!("`{name}` is no figure of the table"))?;
        if let Some(note) = &note {
            say(&format!("  {name}: {note}"));
        }
        self.set(name, unit, goal, value, note)
    }

    fn set(
        &mut self,
        name: &str,
        unit: &str,
        goal: Goal,
        value: Option<f64>,
        note: Option<String>,
    ) -> anyhow::Result<()> {
        let value = value.filter(|value| value.is_finite());
        let ok = value.is_some_and(|value| goal.met(value));
        let shown = value.map_or_else(|| "not-measured".to_owned(), short);
        writeln!(std::io::stdout(), "{name} {shown} {unit} {goal} {}", if ok { "ok" } else { "short" })?;
        let entry = Entry {
            value,
            unit: unit.to_owned(),
            goal: (goal != Goal::Printed).then(|| goal.to_string()),
            ok,
            note,
        };
        self.entries.insert(name.to_owned(), entry);
        self.printed.push(name.to_owned());
        Ok(())
    }

    /// The figures of this bench that miss their goals.
    pub(crate) fn short(&self) -> Vec<&str> {
        self.printed
            .iter()
            .filter(|name| self.entries.get(*name).is_some_and(|entry| !entry.ok))
            .map(String::as_str)
            .collect()
    }

    /// Writes `bench.json`, whole or not at all.
    pub(crate) fn write(&self, path: &Path) -> anyhow::Result<()> {
        let beside = path.with_extension("json.part");
        std::fs::write(&beside, serde_json::to_vec_pretty(&self.entries)?)
            .and_then(|()| std::fs::rename(&beside, path))
            .with_context(|| format!("cannot write {}", path.display()))
    }
}

/// Four significant digits at least, no needless zeros.
fn short(value: f64) -> String {
    let decimals = match value.abs() {
        large if large >= 1000.0 => 0,
        medium if medium >= 100.0 => 1,
        small if small >= 10.0 => 2,
        _ => 3,
    };
    format!("{value:.decimals$}")
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_figure_has_its_own_name() {
        let names: HashSet<_> = TABLE.iter().map(|(_, name, ..)| name).collect();
        assert_eq!(names.len(), TABLE.len());
    }

    #[test]
    fn goals_are_inclusive_and_a_missing_value_is_short() {
        let mut sheet = Sheet::default();
        sheet.note("sign_in_ratio", Some(0.95), None).unwrap();
        sheet.note("resume_cpu_us", Some(150.1), None).unwrap();
        sheet.note("revocation_s", None, Some("no time".to_owned())).unwrap();
        sheet.note("tx_cost_us", Some(f64::NAN), None).unwrap();
        assert_eq!(sheet.short(), ["resume_cpu_us", "revocation_s", "tx_cost_us"]);
        assert!(sheet.note("unheard_of", Some(1.0), None).is_err());
    }

    #[test]
    fn the_file_keeps_what_another_bench_measured() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bench.json");
        let mut first = Sheet::read(&path);
        first.note("cold_run_s", Some(480.0), Some("measured 2026-11-21".to_owned())).unwrap();
        first.write(&path).unwrap();
        let mut second = Sheet::read(&path);
        second.fill(Group::Revocation, &[("revocation_s", 1.2)], "not asked").unwrap();
        second.write(&path).unwrap();
        let third = Sheet::read(&path);
        assert_eq!(third.known("cold_run_s").unwrap().value, Some(480.0));
        assert_eq!(third.known("revocation_s").unwrap().goal.as_deref(), Some("<=2"));
        assert!(!third.known("revocation_redis_up_s").unwrap().ok);
        assert!(third.short().is_empty(), "only this bench's own figures count");
    }

    #[test]
    fn values_are_printed_short() {
        assert_eq!(
            [short(0.9512), short(17.25), short(812.34), short(6144.0)],
            ["0.951", "17.25", "812.3", "6144"]
        );
    }
}
