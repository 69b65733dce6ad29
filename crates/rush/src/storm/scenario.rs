//! A scenario: one file of `config/rush/`, read and checked before anything is started. `config/rush/README.md` explains
//! each key.

use std::{collections::BTreeMap, path::Path};

use anyhow::{Context as _, bail};
use serde::Deserialize;

use super::world::{Role, Size};

/// What is brought upon a Préau, in what order.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    pub name: String,
    /// One line for people.
    pub title: String,
    /// Decides everybody, every arrival and every hesitation.
    pub seed: u64,
    /// Nodes behind the proxy.
    #[serde(default = "three")]
    pub nodes: u32,
    pub world: Size,
    #[serde(default)]
    pub hash: Hash,
    #[serde(default)]
    pub story: Story,
    #[serde(default)]
    pub lessons: Lessons,
    #[serde(default)]
    pub user: User,
    #[serde(default)]
    pub crowd: Vec<Crowd>,
    pub segment: Vec<Segment>,
    /// Sign-ins per second that rates are multiples of when no segment of the run measures the peak.
    #[serde(default = "ordinary")]
    pub assumed_peak_per_s: f64,
    #[serde(default)]
    pub limits: Limits,
    /// Settings of every node, beside the laboratory's own.
    #[serde(default)]
    pub settings: BTreeMap<String, String>,
}

/// Argon2id of everybody's password.
#[derive(Clone, Copy, Debug, Deserialize, serde::Serialize, PartialEq, Eq)]
#[serde(deny_unknown_fields, default)]
pub struct Hash {
    pub memory_kib: u32,
    pub passes: u32,
    pub lanes: u32,
}

impl Default for Hash {
    /// As in production.
    fn default() -> Self {
        Self { memory_kib: 19 * 1024, passes: 2, lanes: 1 }
    }
}

impl Hash {
    /// Whether the hash is a scale model of the real one.
    #[must_use]
    pub fn is_model(&self) -> bool {
        *self != Self::default()
    }
}

/// The hours of the tale, and how many seconds a minute of it takes.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Story {
    /// When a segment begins, as `HH:MM`.
    pub begins: String,
    pub minute_s: f64,
}

impl Default for Story {
    fn default() -> Self {
        Self { begins: "08:55".to_owned(), minute_s: 3.0 }
    }
}

impl Story {
    /// Seconds from the segment's beginning to that hour of the tale.
    ///
    /// # Errors
    /// Not an hour.
    pub fn second(&self, hour: &str) -> anyhow::Result<f64> {
        Ok((minutes(hour)? - minutes(&self.begins)?) * self.minute_s)
    }
}

fn minutes(hour: &str) -> anyhow::Result<f64> {
    let whole = || {
        let (hours, minutes) = hour.split_once(':')?;
        let (hours, minutes): (f64, f64) = (hours.parse().ok()?, minutes.parse().ok()?);
        ((0.0..24.0).contains(&hours) && (0.0..60.0).contains(&minutes)).then_some(hours * 60.0 + minutes)
    };
    whole().with_context(|| format!("`{hour}` is not an hour (HH:MM)"))
}

/// The lessons that begin at nine.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Lessons {
    /// Their pupils and teachers, as a share of what the peak lets in between `begin` and `full_by`; 0: no lessons.
    pub of_capacity: f64,
    pub begin: String,
    /// When 90 % of the class should be in.
    pub full_by: String,
    /// When the teacher should be in.
    pub teachers_by: String,
}

impl Default for Lessons {
    fn default() -> Self {
        Self {
            of_capacity: 0.0,
            begin: "09:00".to_owned(),
            full_by: "09:05".to_owned(),
            teachers_by: "08:58".to_owned(),
        }
    }
}

/// How people behave.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct User {
    /// Share whose device is theirs: it brings yesterday's claim, where yesterday was prepared.
    pub trusted: f64,
    pub typos: f64,
    /// Share of people who press the button again every `reload_s`, whatever they are told.
    pub human: f64,
    pub reload_s: (f64, f64),
    /// A request that hangs is given up after this.
    pub hang_s: (f64, f64),
    /// Share who give up for good after `abandon_s` of waiting.
    pub abandon: f64,
    pub abandon_s: (f64, f64),
    pub think_s: f64,
    /// Times the day is read again, after a thought each.
    pub reads: u32,
    /// Share that signs in with a password; pupils and guardians of the rest come by the stand-in desk.
    pub hashed: f64,
    /// Share that comes back with yesterday's refresh token.
    pub returning: f64,
    /// Share that signs out after the last reading.
    pub sign_out: f64,
}

impl Default for User {
    fn default() -> Self {
        Self {
            trusted: 0.7,
            typos: 0.1,
            human: 0.3,
            reload_s: (3.0, 15.0),
            hang_s: (8.0, 15.0),
            abandon: 0.2,
            abandon_s: (20.0, 120.0),
            think_s: 8.0,
            reads: 0,
            hashed: 1.0,
            returning: 0.0,
            sign_out: 0.0,
        }
    }
}

/// Who comes, when, and how.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Crowd {
    pub name: String,
    /// Absent: everybody.
    pub who: Option<Role>,
    /// Only people of classes with a lesson at nine, or only the others.
    pub lesson: Option<bool>,
    pub territory: Option<usize>,
    /// `[second, multiple of the peak]`, straight lines between, independent people.
    pub rate: Option<Vec<(f64, f64)>>,
    /// Everybody eligible, once, normally distributed around an hour of the tale.
    pub bell: Option<Bell>,
    /// So many, evenly over the first second: sockets rather than people.
    pub count: Option<u32>,
    #[serde(default)]
    pub manner: Manner,
    /// All of them behind this address; absent: each at home.
    pub address: Option<String>,
    /// Overrides `user.typos`.
    pub typos: Option<f64>,
    pub abandon: Option<f64>,
    pub human: Option<f64>,
    pub trusted: Option<f64>,
    /// Not multiplied by the segment's `x`.
    #[serde(default)]
    pub steady: bool,
}

/// See [`Crowd::bell`].
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bell {
    pub at: String,
    pub sigma_min: f64,
    /// Of those eligible.
    #[serde(default = "whole")]
    pub share: f64,
}

/// What a member of a crowd does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Manner {
    /// A person at our page, or at it and impatient (`user.human`).
    #[default]
    People,
    /// Posts every second whatever it is told, and shows no ticket.
    Hostile,
    /// Tries names that nobody has, and honours places so as to get further.
    Stuffing,
    /// Shows tickets that nobody issued.
    Forger,
    /// Bodies of a megabyte at the door.
    Bulky,
    /// A byte of a request every second.
    Slow,
}

/// A stretch of the run, with nodes of its own.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Segment {
    pub name: String,
    /// `ticket`, `codel`, `bounded`, `off`.
    #[serde(default = "ticket")]
    pub mode: String,
    pub seconds: f64,
    /// After the last arrival, those still outside have this long.
    #[serde(default)]
    pub drain_s: f64,
    /// So many at a time, each replaced as it ends: finds the peak. The crowds stay at home.
    pub closed: Option<u32>,
    /// Multiplies every crowd that is not `steady`.
    #[serde(default = "whole")]
    pub x: f64,
    /// Only these crowds; empty: all.
    #[serde(default)]
    pub crowds: Vec<String>,
    pub hashed: Option<f64>,
    pub abandon: Option<f64>,
    /// Nodes of this segment.
    pub nodes: Option<u32>,
    #[serde(default)]
    pub fault: Vec<Fault>,
    /// Only in the long form (`FULL=1`).
    #[serde(default)]
    pub full: bool,
    /// Instead of `seconds` in the long form.
    pub full_seconds: Option<f64>,
}

/// Something breaks.
#[derive(Clone, Debug, Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    pub at_s: f64,
    pub act: Break,
    /// Until it is mended.
    #[serde(default)]
    pub for_s: f64,
    /// Of how many, where it says so: nodes to kill, milliseconds, seconds of skew.
    #[serde(default)]
    pub amount: f64,
}

/// What breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Break {
    /// Redis stands still (SIGSTOP), then goes on.
    StallRedis,
    /// Redis is killed, then started empty.
    KillRedis,
    /// Redis forgets everything.
    FlushRedis,
    /// PostgreSQL stands still, then goes on.
    StallPostgres,
    /// PostgreSQL is stopped at once, then started: recovery included.
    KillPostgres,
    /// A node is killed, then started again.
    KillNode,
    /// One node more, cold.
    AddNode,
    /// One node after the other is stopped and replaced.
    RollNodes,
}

impl Break {
    /// Whether it needs a PostgreSQL that nobody else uses.
    #[must_use]
    pub fn needs_own_postgres(self) -> bool {
        matches!(self, Self::StallPostgres | Self::KillPostgres)
    }
}

/// What the generator may use, and when its run is void.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Connections at most; each is opened when it is first needed.
    pub connections: usize,
    /// A send that leaves this much later than it was meant to is late.
    pub late_ms: u64,
    pub late_share: f64,
    /// Virtual users at most in a segment.
    pub users: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { connections: 8_000, late_ms: 10, late_share: 0.005, users: 400_000 }
    }
}

fn three() -> u32 {
    3
}

fn ordinary() -> f64 {
    40.0
}

fn whole() -> f64 {
    1.0
}

fn ticket() -> String {
    "ticket".to_owned()
}

/// The modes of a node.
pub const MODES: [&str; 4] = ["ticket", "codel", "bounded", "off"];

impl Scenario {
    /// Reads and checks a scenario.
    ///
    /// # Errors
    /// The file is absent, malformed, or asks for something senseless.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read the scenario {}", path.display()))?;
        Self::parse(&text).with_context(|| format!("in the scenario {}", path.display()))
    }

    /// Reads a scenario from its text.
    ///
    /// # Errors
    /// As [`Scenario::read`].
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let scenario: Self = toml::from_str(text)?;
        scenario.check()?;
        Ok(scenario)
    }

    fn check(&self) -> anyhow::Result<()> {
        for (name, share) in [
            ("user.trusted", self.user.trusted),
            ("user.typos", self.user.typos),
            ("user.human", self.user.human),
            ("user.abandon", self.user.abandon),
            ("user.hashed", self.user.hashed),
            ("user.returning", self.user.returning),
            ("user.sign_out", self.user.sign_out),
            ("limits.late_share", self.limits.late_share),
        ] {
            if !(0.0..=1.0).contains(&share) {
                bail!("{name} is a share between 0 and 1, got {share}");
            }
        }
        for (name, (from, to)) in [
            ("user.reload_s", self.user.reload_s),
            ("user.hang_s", self.user.hang_s),
            ("user.abandon_s", self.user.abandon_s),
        ] {
            if !(from > 0.0 && to >= from && to < 86_400.0) {
                bail!("{name} is a range of seconds, got {from}..{to}");
            }
        }
        if !(self.story.minute_s > 0.0 && self.story.minute_s <= 60.0) {
            bail!("story.minute_s is between 0 and 60");
        }
        for hour in [&self.lessons.begin, &self.lessons.full_by, &self.lessons.teachers_by] {
            self.story.second(hour)?;
        }
        if self.segment.is_empty() {
            bail!("a scenario without a segment does nothing");
        }
        if !(1..=64).contains(&self.nodes) || self.world.schools == 0 || self.world.territories == 0 {
            bail!("at least one node, school and territory, and at most 64 nodes");
        }
        for segment in &self.segment {
            self.check_segment(segment).with_context(|| format!("segment `{}`", segment.name))?;
        }
        for crowd in &self.crowd {
            self.check_crowd(crowd).with_context(|| format!("crowd `{}`", crowd.name))?;
        }
        Ok(())
    }

    fn check_segment(&self, segment: &Segment) -> anyhow::Result<()> {
        if !MODES.contains(&segment.mode.as_str()) {
            bail!("mode `{}` is none of {MODES:?}", segment.mode);
        }
        if !(segment.seconds > 0.0 && segment.seconds <= 14_400.0) {
            bail!("seconds must be positive, and four hours at most");
        }
        for name in &segment.crowds {
            if !self.crowd.iter().any(|crowd| crowd.name == *name) {
                bail!("no crowd is named `{name}`");
            }
        }
        for fault in &segment.fault {
            if fault.at_s < 0.0 || fault.at_s + fault.for_s > segment.seconds + segment.drain_s {
                bail!("a fault lies outside of the segment");
            }
        }
        Ok(())
    }

    fn check_crowd(&self, crowd: &Crowd) -> anyhow::Result<()> {
        match (&crowd.rate, &crowd.bell, crowd.count) {
            (Some(points), None, None) => {
                let ordered = points.windows(2).all(|pair| matches!(pair, [one, two] if one.0 <= two.0));
                if points.len() < 2 || !ordered || points.iter().any(|(at, x)| *at < 0.0 || *x < 0.0) {
                    bail!("rate: at least two points, in order, not negative");
                }
            }
            (None, Some(bell), None) => {
                self.story.second(&bell.at)?;
                if !(bell.sigma_min > 0.0 && (0.0..=1.0).contains(&bell.share)) {
                    bail!("bell: sigma_min is positive and share between 0 and 1");
                }
            }
            (None, None, Some(_)) => {}
            _ => bail!("exactly one of rate, bell and count says when it comes"),
        }
        Ok(())
    }

    /// Whether something breaks that others would miss.
    #[must_use]
    pub fn needs_own_postgres(&self) -> bool {
        self.segment.iter().flat_map(|segment| &segment.fault).any(|fault| fault.act.needs_own_postgres())
    }

    /// The long or the short form.
    pub fn choose(&mut self, full: bool) {
        self.segment.retain(|segment| full || !segment.full);
        for segment in &mut self.segment {
            if let Some(seconds) = segment.full_seconds.filter(|_| full) {
                segment.seconds = seconds;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: &str = "name = 'x'\ntitle = 'x'\nseed = 1\nworld = { schools = 2, people = 100 }\n";

    fn with(rest: &str) -> anyhow::Result<Scenario> {
        Scenario::parse(&format!("{SMALL}{rest}"))
    }

    #[test]
    fn every_scenario_we_ship_is_sound() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/rush");
        let mut found = Vec::new();
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let text = std::fs::read_to_string(&path).unwrap();
            if name.ends_with(".toml") && text.contains("[[segment]]") {
                let scenario = Scenario::read(&path).unwrap();
                assert_eq!(format!("{}.toml", scenario.name), name);
                found.push(name.get(..3).unwrap().to_owned());
            }
        }
        for number in 1..=14 {
            assert!(found.contains(&format!("s{number:02}")), "S{number} is missing");
        }
    }

    #[test]
    fn hours_of_the_tale_become_seconds() {
        let story = Story { begins: "08:55".to_owned(), minute_s: 3.0 };
        assert!((story.second("09:05").unwrap() - 30.0).abs() < 1e-9);
        assert!((story.second("08:50").unwrap() + 15.0).abs() < 1e-9);
        assert!(story.second("9h").is_err());
        assert!(story.second("25:00").is_err());
    }

    #[test]
    fn senseless_scenarios_are_refused() {
        let segment = "[[segment]]\nname = 'a'\nseconds = 5\n";
        assert!(with(segment).is_ok());
        assert!(with("segment = []").is_err());
        assert!(with("[[segment]]\nname = 'a'\nseconds = 5\nmode = 'hope'").is_err());
        assert!(with("[[segment]]\nname = 'a'\nseconds = 5\ncrowds = ['nobody']").is_err());
        let crowd = |shape: &str| with(&format!("{segment}[[crowd]]\nname = 'c'\n{shape}"));
        assert!(crowd("rate = [[0, 1], [5, 10]]").is_ok());
        assert!(crowd("rate = [[5, 1], [0, 10]]").is_err());
        assert!(crowd("bell = { at = '09:00', sigma_min = 2 }").is_ok());
        assert!(crowd("bell = { at = '09:00', sigma_min = 0 }").is_err());
        assert!(crowd("manner = 'slow'\ncount = 5").is_ok());
        let fault = |text: &str| with(&format!("{segment}[[segment.fault]]\n{text}"));
        assert!(fault("at_s = 1\nact = 'kill_node'\nfor_s = 2").is_ok());
        assert!(fault("at_s = 1\nact = 'kill_node'\nfor_s = 9").is_err());
        assert!(fault("at_s = 1\nact = 'kill_postgres'\nfor_s = 1").unwrap().needs_own_postgres());
    }

    #[test]
    fn the_long_form_takes_more_segments_and_longer_ones() {
        let text = "[[segment]]\nname = 'a'\nseconds = 5\nfull_seconds = 300\n[[segment]]\nname = 'b'\nseconds = 9\nfull = true\n";
        let mut short = with(text).unwrap();
        short.choose(false);
        assert_eq!(short.segment.len(), 1);
        assert!((short.segment[0].seconds - 5.0).abs() < 1e-9);
        let mut long = with(text).unwrap();
        long.choose(true);
        assert_eq!(long.segment.len(), 2);
        assert!((long.segment[0].seconds - 300.0).abs() < 1e-9);
    }
}
