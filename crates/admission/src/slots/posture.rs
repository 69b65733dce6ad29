//! How much slots bite, by pressure.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::pressure::Held;

/// How much slots bite now; and, in a plan, how much they may.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Posture {
    /// Advice: shown, not applied.
    #[default]
    #[serde(alias = "advice")]
    Open,
    /// Those outside their slot come after those inside.
    Soft,
    /// Those outside get a ticket for the beginning of their slot.
    Hard,
}

impl Posture {
    /// The word used in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Soft => "soft",
            Self::Hard => "hard",
        }
    }
}

/// The posture of a territory, moved by pressure: soft after 10 s at 0.7, hard after 30 s at 0.9, open again after 120 s
/// under 0.6. Hard turns soft after 120 s under 0.8, so that a release does not let in at once all who waited for it.
#[derive(Clone, Debug, Default)]
pub struct SlotMachine {
    posture: Posture,
    soften: Held,
    harden: Held,
    ease: Held,
    release: Held,
}

impl SlotMachine {
    /// The present posture.
    pub fn posture(&self) -> Posture {
        self.posture
    }

    /// Takes a measure. Returns `(from, to)` when the posture changes.
    pub fn step(&mut self, pressure: f64, now: DateTime<Utc>) -> Option<(Posture, Posture)> {
        let from = self.posture;
        let soften = self.soften.for_seconds(now, pressure >= 0.7, 10.0);
        let harden = self.harden.for_seconds(now, pressure >= 0.9, 30.0);
        let ease = self.ease.for_seconds(now, pressure < 0.8, 120.0);
        let release = self.release.for_seconds(now, pressure < 0.6, 120.0);
        let to = match from {
            Posture::Open if harden => Posture::Hard,
            Posture::Open if soften => Posture::Soft,
            Posture::Soft if harden => Posture::Hard,
            Posture::Hard if release => Posture::Open,
            Posture::Hard if ease => Posture::Soft,
            Posture::Soft if release => Posture::Open,
            stays => stays,
        };
        self.posture = to;
        (from != to).then_some((from, to))
    }

    /// What the leader came to; as [`Brownout::follow`](crate::brownout::Brownout::follow).
    pub fn follow(&mut self, posture: Posture, pressure: f64, now: DateTime<Utc>) {
        self.step(pressure, now);
        self.posture = posture;
    }
}
