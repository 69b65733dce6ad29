//! deploy/observability: rules and the scrape configuration by Prometheus' own `promtool`, every alert tested, dashboards
//! well-formed. That a node emits every metric named there is shown by `tests/it/metrics.rs`.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::place::Place;
use crate::sh;

pub(crate) fn check(place: &Place) -> Result<()> {
    let folder = place.root.join("deploy/observability");
    let promtool = || {
        let mut promtool = sh::command(place, "promtool");
        promtool.current_dir(&folder);
        promtool
    };
    sh::quiet(promtool().args(["check", "config", "--syntax-only", "prometheus.yaml"]))?;
    sh::quiet(promtool().args(["check", "rules", "alerts.yaml"]))?;
    sh::quiet(promtool().args(["test", "rules", "alerts_test.yaml"]))?;
    let alerts = tested(&folder)?;
    let panels = dashboards(place, &folder)?;
    println!("  {alerts} alerts, each tested; {panels} panels");
    Ok(())
}

/// How many alerts there are; fails on one that no test names.
fn tested(folder: &Path) -> Result<usize> {
    let rules = std::fs::read_to_string(folder.join("alerts.yaml"))?;
    let tests = std::fs::read_to_string(folder.join("alerts_test.yaml"))?;
    let names: BTreeSet<_> = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    // Two are named by a pattern.
    let named =
        |name: &str| tests.contains(name) || (name.contains("Leader") && tests.contains("Preau.*Leader.*"));
    let untested: Vec<_> = names.iter().filter(|name| !named(name)).collect();
    if names.is_empty() || !untested.is_empty() {
        bail!("alerts without a test: {untested:?}");
    }
    Ok(names.len())
}

/// How many panels there are. Each asks something that Prometheus can parse, of the one data source.
fn dashboards(place: &Place, folder: &Path) -> Result<usize> {
    let mut count = 0;
    let mut rules = String::from("groups:\n- name: dashboards\n  rules:\n");
    let mut uids = BTreeSet::new();
    for entry in std::fs::read_dir(folder.join("dashboards"))? {
        let file = entry?.path();
        let board: Value = serde_json::from_str(&std::fs::read_to_string(&file)?)
            .with_context(|| file.display().to_string())?;
        let uid = board.get("uid").and_then(Value::as_str).unwrap_or_default().to_owned();
        if uid.is_empty() || !uids.insert(uid) {
            bail!("{}: its uid is empty, or another's", file.display());
        }
        let mut ids = BTreeSet::new();
        for panel in board.get("panels").and_then(Value::as_array).into_iter().flatten() {
            let title = panel.get("title").and_then(Value::as_str).unwrap_or_default();
            if !ids.insert(panel.get("id").and_then(Value::as_u64)) || title.is_empty() {
                bail!("{}: {title:?} has no title, or another's id", file.display());
            }
            if panel.get("type").and_then(Value::as_str) == Some("row") {
                continue;
            }
            let targets = panel.get("targets").and_then(Value::as_array).into_iter().flatten();
            let asked: Vec<_> = targets.filter_map(|target| target.get("expr")?.as_str()).collect();
            if asked.is_empty() {
                bail!("{}: {title:?} asks nothing", file.display());
            }
            for expr in asked {
                count += 1;
                rules += &format!("  - record: panel:{count}\n    expr: {}\n", serde_json::to_string(expr)?);
            }
        }
    }
    // promtool 2.42 parses expressions only as rules; JSON's strings are YAML's.
    let parsed = place.local.join("panels.yaml");
    std::fs::write(&parsed, rules)?;
    sh::quiet(sh::command(place, "promtool").args(["check", "rules"]).arg(&parsed))?;
    Ok(count)
}
