//! A plan: one file of `config/rush/`, read and checked before anything is sent.

use std::{collections::BTreeMap, path::Path, time::Duration};

use anyhow::{Context as _, anyhow, bail};
use serde::Deserialize;

use crate::arrivals::Arrivals;

/// What a run does. `config/rush/README.md` explains each key.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    pub name: String,
    /// Decides every arrival, every person and every hesitation of the run.
    pub seed: u64,
    pub arrivals: Arrivals,
    /// Role → weight.
    pub mix: BTreeMap<String, f64>,
    pub user: User,
    #[serde(default)]
    pub limits: Limits,
}

/// How one virtual user behaves.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct User {
    pub steps: Vec<Step>,
    /// Mean of a `think`, in seconds; each is drawn between half and one and a half of it.
    pub think_s: f64,
    /// Share of users who mistype their password once.
    #[serde(default)]
    pub typos: f64,
    /// Share of users who tick "c'est mon appareil".
    #[serde(default)]
    pub trusted_device: f64,
    /// How long a user who is told to come back keeps trying, in seconds.
    #[serde(default = "default_patience_s")]
    pub patience_s: f64,
}

/// One act of a virtual user.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    SignIn,
    /// Reads the day; a second one says which version it has.
    Home,
    Think,
    Refresh,
    SignOut,
}

impl Step {
    /// A stable name for reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::SignIn => "sign_in",
            Self::Home => "home",
            Self::Think => "think",
            Self::Refresh => "refresh",
            Self::SignOut => "sign_out",
        }
    }
}

/// What the generator may use, and when its run is void.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Keep-alive connections in all.
    pub connections: usize,
    /// A request unanswered for this long has failed.
    pub timeout_ms: u64,
    /// No more virtual users than this, whatever the arrivals say.
    pub users: u64,
    /// After the last arrival, those still inside have this long.
    pub drain_s: u64,
    /// A first request that leaves later than this after it was meant to is a late send …
    pub late_ms: u64,
    /// … and a run with a larger share of them says nothing about the server.
    pub late_share: f64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 64,
            timeout_ms: 30_000,
            users: 1_000_000,
            drain_s: 60,
            late_ms: 10,
            late_share: 0.005,
        }
    }
}

impl Limits {
    /// [`Limits::timeout_ms`] as a duration.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms)
    }
}

fn default_patience_s() -> f64 {
    60.0
}

impl Plan {
    /// Reads and checks a plan.
    ///
    /// # Errors
    /// The file is absent, malformed, or asks for something senseless.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read the plan {}", path.display()))?;
        Self::parse(&text).with_context(|| format!("in the plan {}", path.display()))
    }

    /// Reads a plan from its text.
    ///
    /// # Errors
    /// As [`Plan::read`].
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let plan: Self = toml::from_str(text)?;
        plan.arrivals.check().map_err(|wrong| anyhow!(wrong))?;
        if plan.user.steps.first() != Some(&Step::SignIn) {
            bail!("user.steps must begin with sign_in: nobody has a session before");
        }
        for (name, share) in [
            ("user.typos", plan.user.typos),
            ("user.trusted_device", plan.user.trusted_device),
            ("limits.late_share", plan.limits.late_share),
        ] {
            if !(0.0..=1.0).contains(&share) {
                bail!("{name} is a share between 0 and 1, got {share}");
            }
        }
        for (name, seconds) in
            [("user.think_s", plan.user.think_s), ("user.patience_s", plan.user.patience_s)]
        {
            if !(0.0..=86_400.0).contains(&seconds) {
                bail!("{name} is a time of at most a day, got {seconds}");
            }
        }
        if plan.mix.values().any(|weight| !weight.is_finite() || *weight < 0.0) {
            bail!("mix: a weight cannot be negative");
        }
        Ok(plan)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_plan_we_ship_is_sound() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/rush");
        let mut plans = 0;
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let scenario = || std::fs::read_to_string(&path).unwrap().contains("[[segment]]");
            if path.extension().is_some_and(|kind| kind == "toml") && !scenario() {
                Plan::read(&path).unwrap();
                plans += 1;
            }
        }
        assert!(plans >= 3);
    }

    #[test]
    fn senseless_plans_are_refused() {
        let with = |steps: &str, typos: f64| {
            Plan::parse(&format!(
                "name = 'x'\nseed = 1\nmix = {{ pupil = 1 }}\n\
                 arrivals = {{ shape = 'constant', rate_per_s = 1, duration_s = 1 }}\n\
                 user = {{ steps = {steps}, think_s = 1, typos = {typos} }}"
            ))
        };
        assert!(with("['sign_in']", 0.0).is_ok());
        assert!(with("['home']", 0.0).is_err());
        assert!(with("['sign_in']", 1.5).is_err());
        assert!(with("['sign_in', 'dance']", 0.0).is_err());
    }
}
