//! The goals of `deploy/CAPACITY.md` beside what runs have found: one line each, `ok`, `short`, or not measured here.
//!
//! Read from `storm.json`, so that a run of yesterday is judged like one of today. Where several segments show the same
//! thing, the worst of them counts; a void segment shows nothing.

use std::fmt::Write as _;

use serde_json::Value;

use super::{plot::escape, tally::short};

mod bounds;
mod scenarios;

/// How a goal stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    Ok,
    Short,
    /// No segment of these runs shows it, or not for as long or as often as the goal asks.
    NotMeasured,
}

impl Standing {
    fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Short => "short",
            Self::NotMeasured => "not measured here",
        }
    }
}

/// One promise of a goal.
#[derive(Clone, Debug)]
pub struct Line {
    /// `G1` … `G17`, `S3` … `S14` for what a scenario asks beside them, or `–`.
    pub goal: &'static str,
    pub what: &'static str,
    /// As people read it; empty when nothing was found.
    pub value: String,
    pub bound: String,
    pub standing: Standing,
    /// `scenario/segment` of the value, or where it is measured instead.
    pub from: String,
}

/// Judges `runs`, each a `storm.json`.
#[must_use]
pub fn check(runs: &[Value]) -> Vec<Line> {
    let segments: Vec<Segment<'_>> = runs.iter().flat_map(segments).collect();
    bounds::lines(&segments)
}

/// For a terminal.
#[must_use]
pub fn table(lines: &[Line]) -> String {
    let mut text = String::new();
    for line in lines {
        let value = if line.value.is_empty() { "–" } else { &line.value };
        let _ = writeln!(
            text,
            "{:<4} {value:>10} {:>10}  {:<17}  {} · {}",
            line.goal,
            line.bound,
            line.standing.word(),
            line.what,
            line.from
        );
    }
    text
}

/// For a document.
#[must_use]
pub fn markdown(lines: &[Line]) -> String {
    let mut text = String::from("| | what | figure | goal | holds? | segment |\n|---|---|---|---|---|---|\n");
    for line in lines {
        let value = if line.value.is_empty() { "–" } else { &line.value };
        let _ = writeln!(
            text,
            "| {} | {} | {value} | {} | {} | {} |",
            line.goal,
            line.what,
            line.bound,
            line.standing.word(),
            line.from
        );
    }
    text
}

/// For the report of a run.
pub(super) fn html(lines: &[Line]) -> String {
    let mut html = String::from(
        "<details open><summary>Goals</summary><table><tr><th>goal<th>what<th>figure<th>asked<th>holds?<th>segment</tr>",
    );
    for line in lines {
        let class = if line.standing == Standing::Short { " class=no" } else { "" };
        let value = if line.value.is_empty() { "–" } else { &line.value };
        let _ = write!(
            html,
            "<tr{class}><td>{}<td>{}<td>{}<td>{}<td>{}<td>{}</tr>",
            line.goal,
            escape(line.what),
            escape(value),
            escape(&line.bound),
            line.standing.word(),
            escape(&line.from)
        );
    }
    html.push_str("</table></details>");
    html
}

/// A segment with the run that it is of.
#[derive(Clone, Copy)]
struct Segment<'a> {
    run: &'a Value,
    value: &'a Value,
}

fn segments(run: &Value) -> Vec<Segment<'_>> {
    let all = run.get("segments").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    all.iter().map(|value| Segment { run, value }).filter(|segment| segment.list("void").is_empty()).collect()
}

impl<'a> Segment<'a> {
    fn number(&self, path: &str) -> Option<f64> {
        self.value.pointer(path).and_then(Value::as_f64)
    }

    fn text(&self, name: &str) -> &'a str {
        self.value.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    fn list(&self, name: &str) -> &'a [Value] {
        self.value.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
    }

    fn from(&self) -> String {
        format!("{}/{}", self.scenario(), self.text("name"))
    }

    fn scenario(&self) -> &'a str {
        self.run.get("scenario").and_then(Value::as_str).unwrap_or_default()
    }

    fn scale_model(&self) -> bool {
        self.run.get("scale_model").and_then(Value::as_bool).unwrap_or(false)
    }

    /// An open loop in that mode.
    fn is(&self, mode: &str) -> bool {
        let closed = self.value.get("closed").and_then(Value::as_bool).unwrap_or(false);
        !closed && self.text("mode") == mode
    }

    fn offered_x(&self) -> f64 {
        self.number("/offered_x").unwrap_or(0.0)
    }

    fn hostile(&self) -> f64 {
        self.number("/hostile_share").unwrap_or(0.0)
    }

    /// Nothing breaks and nobody attacks.
    fn undisturbed(&self) -> bool {
        self.list("faults").is_empty() && self.hostile() <= 0.0 && self.slow_clients() <= 0.0
    }

    /// A line of its series; seconds of which nothing is known are absent.
    fn seconds(&self, name: &str) -> Vec<Option<f64>> {
        let line = self.value.get("series").and_then(|series| series.pointer(name)).and_then(Value::as_array);
        line.into_iter().flatten().map(Value::as_f64).collect()
    }

    fn slow_clients(&self) -> f64 {
        self.number("/slow_clients").unwrap_or(0.0)
    }

    /// The others of its run.
    fn run_mates(&self) -> Vec<Segment<'a>> {
        segments(self.run)
    }

    fn faults(&self) -> impl Iterator<Item = (usize, &'a str, f64, f64)> + use<'a> {
        self.list("faults").iter().enumerate().map(|(at, fault)| {
            let number = |name: &str| fault.get(name).and_then(Value::as_f64).unwrap_or(0.0);
            let act = fault.get("act").and_then(Value::as_str).unwrap_or_default();
            (at, act, number("at_s"), number("for_s"))
        })
    }
}

/// How a figure is written.
#[derive(Clone, Copy)]
enum Unit {
    Share,
    Seconds,
    Micros,
    Kilobytes,
    Times,
    Count,
}

impl Unit {
    fn write(self, value: f64) -> String {
        match self {
            _ if !value.is_finite() => "never".to_owned(),
            // 99.95 % is not a hundred.
            Self::Share => format!("{:.2} %", value * 100.0),
            Self::Seconds => format!("{} s", short(value)),
            Self::Micros => format!("{} µs", short(value)),
            Self::Kilobytes => format!("{} kB", short(value)),
            Self::Times => format!("{value:.3}"),
            Self::Count => format!("{value:.0}"),
        }
    }
}

#[cfg(test)]
mod scenario_tests;
#[cfg(test)]
mod tests;
