//! What is given up, in which order, so that signing in and today's lessons stay. Each rung names a feature that exists
//! and what giving it up saves; features register theirs.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::pressure::Held;

/// How much is given up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Level {
    /// Nothing.
    #[default]
    L0,
    /// Comfort.
    L1,
    /// What can be later.
    L2,
    /// What is not the lesson.
    L3,
    /// Everything but signing in, today, handing in and the roll call.
    L4,
}

impl Level {
    /// Every level, the mildest first.
    pub const ALL: [Self; 5] = [Self::L0, Self::L1, Self::L2, Self::L3, Self::L4];

    /// 0 to 4.
    pub fn index(self) -> u8 {
        match self {
            Self::L0 => 0,
            Self::L1 => 1,
            Self::L2 => 2,
            Self::L3 => 3,
            Self::L4 => 4,
        }
    }

    /// The level of that index.
    pub fn from_index(index: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.index() == index)
    }

    /// `L0` to `L4`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::L0 => "L0",
            Self::L1 => "L1",
            Self::L2 => "L2",
            Self::L3 => "L3",
            Self::L4 => "L4",
        }
    }

    /// The pressure that calls for it.
    fn threshold(self) -> f64 {
        match self {
            Self::L0 => 0.0,
            Self::L1 => 0.7,
            Self::L2 => 0.8,
            Self::L3 => 0.9,
            Self::L4 => 1.0,
        }
    }

    /// Seconds above the threshold before it is entered.
    fn patience(self) -> f64 {
        match self {
            Self::L0 => 0.0,
            Self::L1 | Self::L2 | Self::L3 => 10.0,
            Self::L4 => 60.0,
        }
    }
}

impl std::str::FromStr for Level {
    type Err = crate::lane::UnknownLane;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let named = Self::ALL.into_iter().find(|level| level.as_str() == text);
        named.ok_or_else(|| crate::lane::UnknownLane(text.to_owned()))
    }
}

impl TryFrom<u8> for Level {
    type Error = u8;

    fn try_from(index: u8) -> Result<Self, u8> {
        Self::from_index(index).ok_or(index)
    }
}

/// Something a feature gives up from a level on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Rung {
    /// What `X-Degraded` says: `search-off`.
    pub code: &'static str,
    /// From this level on.
    pub level: Level,
    /// The crate that gives it up.
    pub feature: &'static str,
    /// What that saves.
    pub saves: Saving,
}

/// What a rung saves a node for each request that it spares, as it was measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Saving {
    /// Statements that PostgreSQL is not sent (`tests/it/rungs.rs` counts them).
    pub statements: u16,
    /// The node's own processor time in microseconds, as `preau bench rungs` prints it (deploy/CAPACITY.md says on what);
    /// `None` of what cannot be asked for again and again: writes, and lists of which one has so many a day.
    pub cpu_us: Option<u32>,
}

/// Every rung registered, mildest first.
#[derive(Clone, Debug, Default)]
pub struct Ladder(Vec<Rung>);

/// A ladder that cannot be climbed.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum BadLadder {
    /// A rung without a code, a feature or anything that it saves.
    #[error("rung {0:?} is empty")]
    Empty(&'static str),
    /// Two rungs of one name.
    #[error("rung {0:?} is registered twice")]
    Twice(&'static str),
    /// A rung of level 0 would be given up always.
    #[error("rung {0:?} is given up at L0, that is always")]
    Always(&'static str),
}

impl Ladder {
    /// The rungs that features register.
    ///
    /// # Errors
    /// [`BadLadder`].
    pub fn new(rungs: impl IntoIterator<Item = Rung>) -> Result<Self, BadLadder> {
        let mut rungs: Vec<Rung> = rungs.into_iter().collect();
        rungs.sort_by_key(|rung| (rung.level, rung.code));
        for (at, rung) in rungs.iter().enumerate() {
            if rung.code.is_empty() || rung.feature.is_empty() || rung.saves == Saving::default() {
                return Err(BadLadder::Empty(rung.code));
            }
            if rung.level == Level::L0 {
                return Err(BadLadder::Always(rung.code));
            }
            if rungs.iter().skip(at + 1).any(|other| other.code == rung.code) {
                return Err(BadLadder::Twice(rung.code));
            }
        }
        Ok(Self(rungs))
    }

    /// Every rung.
    pub fn rungs(&self) -> &[Rung] {
        &self.0
    }

    /// What is given up at a level.
    pub fn given_up(&self, level: Level) -> impl Iterator<Item = &Rung> {
        self.0.iter().filter(move |rung| rung.level <= level)
    }
}

/// The level, moved by pressure: up one rung after 10 s above its threshold (60 s for the last, at once when the database
/// is failing over), down one after 120 s below the threshold less 0.1.
#[derive(Clone, Debug, Default)]
pub struct Brownout {
    level: Level,
    up: Held,
    down: Held,
}

impl Brownout {
    /// The present level.
    pub fn level(&self) -> Level {
        self.level
    }

    /// Takes a measure. Returns `(from, to)` when the level changes.
    pub fn step(&mut self, pressure: f64, database_away: bool, now: DateTime<Utc>) -> Option<(Level, Level)> {
        let from = self.level;
        if database_away && from != Level::L4 {
            return self.go(Level::L4);
        }
        let next = Level::from_index(from.index() + 1);
        if let Some(next) = next
            && self.up.for_seconds(now, pressure >= next.threshold(), next.patience())
        {
            return self.go(next);
        }
        let calm = from > Level::L0 && !database_away && pressure < from.threshold() - 0.1;
        if self.down.for_seconds(now, calm, 120.0)
            && let Some(below) = from.index().checked_sub(1).and_then(Level::from_index)
        {
            return self.go(below);
        }
        None
    }

    /// What the leader came to: its level counts, and how long pressure has been as it is goes on being measured here, so
    /// that whoever leads next goes on from there.
    pub fn follow(&mut self, level: Level, pressure: f64, database_away: bool, now: DateTime<Utc>) {
        self.step(pressure, database_away, now);
        self.level = level;
    }

    fn go(&mut self, to: Level) -> Option<(Level, Level)> {
        let from = self.level;
        self.level = to;
        self.up.reset();
        self.down.reset();
        Some((from, to))
    }
}
