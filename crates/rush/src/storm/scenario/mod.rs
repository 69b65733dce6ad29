//! A scenario: one file of `config/rush/`, read and checked before anything is started. `config/rush/README.md` explains
//! each key.

mod check;
mod fault;
mod like;

use std::{collections::BTreeMap, path::Path};

use anyhow::Context as _;
use serde::Deserialize;

pub use self::fault::{Break, Fault, Step};

use super::{
    slots::Plan,
    step::Step as UpAndDown,
    world::{Kind, Role, Size},
};

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
    /// Slots, put in before each segment for every territory: their hours are counted from its beginning.
    #[serde(default)]
    pub plan: Vec<Plan>,
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
    /// A role or several; absent: everybody.
    #[serde(default)]
    pub who: Who,
    /// Only people of classes with a lesson at nine, or only the others.
    pub lesson: Option<bool>,
    pub territory: Option<usize>,
    /// Only people of schools of this kind.
    pub kind: Option<Kind>,
    /// Only people of this school, or the one that a [`Manner::Drawer`] says it is of: the schools of all territories are
    /// numbered from 0 on. The report tells their waits apart in each segment.
    pub school: Option<usize>,
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

/// See [`Crowd::who`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Who {
    One(Role),
    Some(Vec<Role>),
    #[default]
    Everybody,
}

impl Who {
    /// Whether people of that role belong.
    #[must_use]
    pub fn includes(&self, role: Role) -> bool {
        match self {
            Self::One(one) => *one == role,
            Self::Some(some) => some.contains(&role),
            Self::Everybody => true,
        }
    }
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
    /// Draws places for the pupils of one school, and never signs in: whoever shares the school's turn would wait longer.
    Drawer,
    /// A byte of a request every second.
    Slow,
    /// Asks for many pages at once, and reads a byte of them every second.
    SlowReader,
}

impl Manner {
    /// Whether it is nobody of the world.
    #[must_use]
    pub fn is_nobody(self) -> bool {
        !matches!(self, Self::People | Self::Hostile)
    }

    /// Whether it is a socket rather than a client.
    #[must_use]
    pub fn is_socket(self) -> bool {
        matches!(self, Self::Slow | Self::SlowReader)
    }
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
    /// Instead of `user.trusted`; a crowd's own goes before it.
    pub trusted: Option<f64>,
    /// Nodes of this segment.
    pub nodes: Option<u32>,
    /// Nodes come and go as `preau_desired_replicas` says.
    pub supervise: Option<Supervise>,
    /// Beside the scenario's, and before them.
    #[serde(default)]
    pub settings: BTreeMap<String, String>,
    #[serde(default)]
    pub fault: Vec<Fault>,
    /// When its crowd comes and goes at once: how soon that is met is counted.
    pub step: Option<UpAndDown>,
    /// So many times, one after the other: `name-1`, `name-2`…
    #[serde(default = "once")]
    pub repeat: u32,
    /// Only in the long form (`FULL=1`).
    #[serde(default)]
    pub full: bool,
    /// Instead of `seconds` in the long form.
    pub full_seconds: Option<f64>,
}

/// See [`Segment::supervise`].
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Supervise {
    /// Nodes at least, and at most.
    #[serde(default = "one_node")]
    pub least: u32,
    pub most: u32,
    /// Seconds from one look at the nodes' metrics to the next.
    #[serde(default = "two_seconds")]
    pub every_s: f64,
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

fn one_node() -> u32 {
    1
}

fn two_seconds() -> f64 {
    2.0
}

fn once() -> u32 {
    1
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
    /// Reads and checks a scenario; `like` names another of the same folder, for what this one leaves unsaid.
    ///
    /// # Errors
    /// The file, or the one that it is like, is absent or malformed; or it asks for something senseless.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read the scenario {}", path.display()))?;
        let read = || {
            let said: toml::Table = toml::from_str(&text)?;
            match said.contains_key("like") {
                true => like::complete(said, path)?.try_into::<Self>()?.checked(),
                // From the text itself, so that what is wrong is told with its line.
                false => Self::parse(&text),
            }
        };
        read().with_context(|| format!("in the scenario {}", path.display()))
    }

    /// Reads a scenario from its text, which is like no other.
    ///
    /// # Errors
    /// As [`Scenario::read`].
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        toml::from_str::<Self>(text)?.checked()
    }

    fn checked(mut self) -> anyhow::Result<Self> {
        self.check()?;
        self.segment = self.segment.into_iter().flat_map(Segment::each).collect();
        Ok(self)
    }

    /// Whether something breaks that others would miss.
    #[must_use]
    pub fn needs_own_postgres(&self) -> bool {
        self.segment.iter().flat_map(|segment| &segment.fault).any(|fault| fault.act.needs_own_postgres())
    }

    /// Whether something breaks on the road to Redis.
    #[must_use]
    pub fn needs_road_to_redis(&self) -> bool {
        self.segment.iter().flat_map(|segment| &segment.fault).any(|fault| fault.act.needs_road_to_redis())
    }

    /// Whether nobody has a device of their own, in any segment.
    #[must_use]
    pub fn nobody_is_known(&self) -> bool {
        let crowds = self.crowd.iter().filter_map(|crowd| crowd.trusted);
        let segments = self.segment.iter().filter_map(|segment| segment.trusted);
        crowds.chain(segments).chain([self.user.trusted]).all(|share| share <= 0.0)
    }

    /// Nodes that stand side by side at most.
    #[must_use]
    pub fn most_nodes(&self) -> u32 {
        let of = |segment: &Segment| {
            let supervised = segment.supervise.map_or(0, |supervise| supervise.most);
            let added = segment.fault.iter().filter(|fault| fault.act == Break::AddNode).count();
            let added = u32::try_from(added).unwrap_or(u32::MAX);
            segment.nodes.unwrap_or(self.nodes).saturating_add(added).max(supervised)
        };
        self.segment.iter().map(of).max().unwrap_or(self.nodes).max(1)
    }

    /// The settings of a segment's nodes, its own before the scenario's.
    #[must_use]
    pub fn settings_of(&self, segment: &Segment) -> BTreeMap<String, String> {
        let mut settings = self.settings.clone();
        settings.extend(segment.settings.clone());
        settings
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

impl Segment {
    /// As often as it is to be played.
    fn each(self) -> Vec<Self> {
        if self.repeat == 1 {
            return vec![self];
        }
        (1..=self.repeat).map(|time| Self { name: format!("{}-{time}", self.name), ..self.clone() }).collect()
    }
}

#[cfg(test)]
mod tests;
