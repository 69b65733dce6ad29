//! Doing less when there is not enough for everybody: the ladder that features register with, the level in force, and
//! what one request is spared (`reference/overload.md` §B.9).

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicU8, AtomicU64, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use axum::{
    extract::FromRequestParts,
    http::{HeaderName, HeaderValue, StatusCode, request::Parts},
    response::Response,
};
use chrono::{DateTime, Utc};
use preau_admission::brownout::{Ladder, Level, Rung, Saving};
use preau_kernel::{Carrier, Identity, PersonId, Principal, TerritoryId};
use sha2::{Digest, Sha256};

use crate::Problem;

/// Names the rungs that made an answer less than it is on an ordinary day, comma-separated.
pub const X_DEGRADED: HeaderName = HeaderName::from_static("x-degraded");

/// A level is left after 120 s of calm: sooner there is no use in asking again.
const AGAIN_AFTER: Duration = Duration::from_secs(120);
/// People are in or out of a rung's share by one of so many cohorts.
const COHORTS: u8 = 128;

/// Programs are asked to come back later: people first.
pub const PROGRAMS: Rung = Rung {
    code: "programs",
    level: Level::L3,
    feature: "http",
    saves: Saving { statements: 1, cpu_us: None },
};

/// The rungs that the policy of every route obeys.
pub const RUNGS: &[Rung] = &[PROGRAMS];

/// What orders force, besides the level that the door follows already.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Forced {
    /// Territories that are to do less than is measured. Never more: nodes are shared, and a territory is a bulkhead.
    pub levels: Vec<(TerritoryId, Level)>,
    /// Single rungs: of a territory or of all, and whether they hold whatever the level.
    pub rungs: Vec<(Option<TerritoryId>, String, bool)>,
}

/// The ladder of a process and where it stands on it. Cheap to clone; clones are the same.
#[derive(Clone)]
pub struct Brownout(Arc<Inner>);

struct Inner {
    ladder: Ladder,
    level: Arc<AtomicU8>,
    forced: ArcSwap<Forced>,
}

impl Default for Brownout {
    fn default() -> Self {
        Self::new(Ladder::default(), Arc::default())
    }
}

impl Brownout {
    /// A ladder, at the level that `level` holds as a number from 0 to 4. Rungs past the 64th would hold for nobody.
    pub fn new(ladder: Ladder, level: Arc<AtomicU8>) -> Self {
        Self(Arc::new(Inner { ladder, level, forced: ArcSwap::default() }))
    }

    /// The rungs, lowest first.
    pub fn rungs(&self) -> &[Rung] {
        self.0.ladder.rungs()
    }

    /// The level of the installation.
    pub fn level(&self) -> Level {
        Level::from_index(self.0.level.load(Ordering::Relaxed)).unwrap_or(Level::L4)
    }

    /// The level for the people of a territory.
    pub fn level_of(&self, territory: TerritoryId) -> Level {
        let measured = self.level();
        self.0.forced.load().level(territory).map_or(measured, |forced| forced.max(measured))
    }

    /// Every rung, and whether it holds for the people of a territory.
    pub fn holding(&self, territory: TerritoryId) -> Vec<(&Rung, bool)> {
        let (forced, level) = (self.0.forced.load(), self.level_of(territory));
        let holds = |rung: &Rung| forced.rung(Some(territory), rung.code).unwrap_or(level >= rung.level);
        self.rungs().iter().map(|rung| (rung, holds(rung))).collect()
    }

    /// Obeys these orders from now on.
    pub fn force(&self, forced: Forced) {
        self.0.forced.store(Arc::new(forced));
    }

    /// Whether `rung` holds for work that nobody waits for.
    pub fn holds(&self, rung: &Rung) -> bool {
        let forced = self.0.forced.load();
        forced.rung(None, rung.code).unwrap_or(self.level() >= rung.level)
    }

    /// What a person is spared, outside a request of theirs.
    pub fn spared_to(&self, me: &Principal, now: DateTime<Utc>) -> Degraded {
        self.spare(&Identity::Known(me.clone(), Carrier::Bearer), now).unwrap_or_default()
    }

    /// What a request of `identity` is spared. `None` on an ordinary day.
    pub(crate) fn spare(&self, identity: &Identity, now: DateTime<Utc>) -> Option<Degraded> {
        let forced = self.0.forced.load();
        let measured = self.level();
        if measured == Level::L0 && forced.levels.is_empty() && forced.rungs.is_empty() {
            return None;
        }
        let (territory, cohort) = match identity {
            Identity::Known(me, _) => (Some(me.territory()), cohort(me.person(), now)),
            Identity::Client(client) => (Some(client.territory()), cohort(client.actor(), now)),
            Identity::Nobody | Identity::Refused => (None, 0),
        };
        let level = territory.and_then(|of| forced.level(of)).map_or(measured, |forced| forced.max(measured));
        let mut on = 0;
        for (at, rung) in self.rungs().iter().enumerate() {
            if forced.rung(territory, rung.code).unwrap_or(level >= rung.level) {
                on |= bit(at);
            }
        }
        Some(Degraded(Some(Arc::new(Spared {
            ladder: self.clone(),
            level,
            cohort,
            on,
            told: AtomicU64::new(0),
        }))))
    }
}

impl Forced {
    fn level(&self, territory: TerritoryId) -> Option<Level> {
        self.levels.iter().find(|(of, _)| *of == territory).map(|(_, level)| *level)
    }

    /// A territory's word on a rung goes before the installation's.
    fn rung(&self, territory: Option<TerritoryId>, code: &str) -> Option<bool> {
        let said = |of: Option<TerritoryId>| {
            self.rungs.iter().find(|(whose, named, _)| *whose == of && named == code).map(|(_, _, on)| *on)
        };
        territory.and_then(|of| said(Some(of))).or_else(|| said(None))
    }
}

fn bit(at: usize) -> u64 {
    u32::try_from(at).ok().and_then(|at| 1_u64.checked_shl(at)).unwrap_or(0)
}

/// Where a person stands this hour: the same people are spared all of it, rather than everybody now and then.
fn cohort(person: PersonId, now: DateTime<Utc>) -> u8 {
    let mut hash = Sha256::new();
    hash.update(person.uuid().as_bytes());
    hash.update((now.timestamp() / 3600).to_be_bytes());
    hash.finalize().first().copied().unwrap_or(0) % COHORTS
}

/// What a request is spared. Handlers ask it where they could do less; what they did less is told in `X-Degraded`.
#[derive(Clone, Default)]
pub struct Degraded(Option<Arc<Spared>>);

struct Spared {
    ladder: Brownout,
    level: Level,
    cohort: u8,
    on: u64,
    told: AtomicU64,
}

impl Degraded {
    /// The level for whoever asks.
    pub fn level(&self) -> Level {
        self.0.as_ref().map_or(Level::L0, |spared| spared.level)
    }

    /// Whether to do less, as `rung` says. The answer tells it.
    pub fn sheds(&self, rung: &Rung) -> bool {
        let Some(spared) = &self.0 else { return false };
        let Some(at) = spared.place(rung) else { return false };
        let on = spared.on & bit(at) != 0;
        if on {
            spared.told.fetch_or(bit(at), Ordering::Relaxed);
        }
        on
    }

    /// The same for a rung that comes gently: one level before its own it holds for `share` of 128 cohorts, the same
    /// people all hour.
    pub fn sheds_early(&self, rung: &Rung, share: u8) -> bool {
        if self.sheds(rung) {
            return true;
        }
        let Some(spared) = &self.0 else { return false };
        let Some(at) = spared.place(rung) else { return false };
        let next = Level::from_index(spared.level.index().saturating_add(1)).unwrap_or(Level::L4);
        let early = spared.level < rung.level && next >= rung.level && spared.cohort < share;
        if early {
            spared.told.fetch_or(bit(at), Ordering::Relaxed);
        }
        early
    }

    /// Refuses what is paused, with a time.
    ///
    /// # Errors
    /// 429 `paused`, which names the rung.
    pub fn refuses(&self, rung: &Rung) -> Result<(), Problem> {
        if self.sheds(rung) { Err(paused(rung)) } else { Ok(()) }
    }

    /// The codes of what was done less for this request.
    pub fn told(&self) -> Vec<&'static str> {
        let Some(spared) = &self.0 else { return Vec::new() };
        let told = spared.told.load(Ordering::Relaxed);
        let rungs = spared.ladder.rungs().iter().enumerate();
        rungs.filter(|(at, _)| told & bit(*at) != 0).map(|(_, rung)| rung.code).collect()
    }

    /// Says on the answer what was done less.
    pub(crate) fn tell(&self, response: &mut Response) {
        let told = self.told();
        if let Ok(value) = HeaderValue::from_str(&told.join(","))
            && !told.is_empty()
        {
            response.headers_mut().insert(X_DEGRADED, value);
        }
    }
}

impl Spared {
    fn place(&self, rung: &Rung) -> Option<usize> {
        self.ladder.rungs().iter().position(|known| known.code == rung.code)
    }
}

/// 429: not now, and what is paused.
pub(crate) fn paused(rung: &Rung) -> Problem {
    Problem::new(StatusCode::TOO_MANY_REQUESTS, "paused", "paused while many people are coming in")
        .with("feature", rung.code.into())
        .retry_after(AGAIN_AFTER)
}

impl<S: Send + Sync> FromRequestParts<S> for Degraded {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get::<Self>().cloned().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use preau_kernel::{FamilyId, Token};
    use smallvec::SmallVec;
    use uuid::Uuid;

    use super::*;

    const LISTS: Rung = Rung {
        code: "lists",
        level: Level::L1,
        feature: "test",
        saves: Saving { statements: 1, cpu_us: None },
    };
    const STALE: Rung = Rung {
        code: "stale",
        level: Level::L3,
        feature: "test",
        saves: Saving { statements: 1, cpu_us: None },
    };
    const STRANGE: Rung = Rung {
        code: "strange",
        level: Level::L1,
        feature: "test",
        saves: Saving { statements: 1, cpu_us: None },
    };

    fn somebody(of: TerritoryId, n: u128) -> Identity {
        let token = Token {
            family: FamilyId::from(Uuid::nil()),
            person: PersonId::from(Uuid::from_u128(n)),
            territory: of,
            territory_admin: false,
            memberships: SmallVec::new(),
            permission_version: 1,
            issued_at: DateTime::UNIX_EPOCH,
            strong_at: None,
        };
        Identity::Known(Principal::verified(token), Carrier::Bearer)
    }

    fn at(level: u8) -> (Brownout, Arc<AtomicU8>) {
        let number = Arc::new(AtomicU8::new(level));
        (Brownout::new(Ladder::new([STALE, LISTS]).unwrap(), Arc::clone(&number)), number)
    }

    fn territory(n: u128) -> TerritoryId {
        Uuid::from_u128(n).into()
    }

    #[test]
    fn an_ordinary_day_spares_nothing_and_costs_nothing() {
        let (ladder, _) = at(0);
        assert!(ladder.spare(&somebody(territory(1), 1), DateTime::UNIX_EPOCH).is_none());
        assert!(!Degraded::default().sheds(&LISTS));
        assert!(Degraded::default().told().is_empty());
    }

    #[test]
    fn what_was_done_less_is_told_and_nothing_else() {
        let (ladder, level) = at(3);
        let spared = ladder.spare(&Identity::Nobody, DateTime::UNIX_EPOCH).unwrap();
        assert!(spared.told().is_empty());
        assert!(spared.sheds(&STALE));
        assert_eq!(spared.told(), ["stale"]);
        assert!(!spared.sheds(&STRANGE), "a rung that nobody registered holds for nobody");
        assert_eq!(spared.refuses(&LISTS).unwrap_err().code(), "paused");
        assert_eq!(spared.told(), ["lists", "stale"]);
        level.store(200, Ordering::Relaxed);
        assert_eq!(ladder.level(), Level::L4, "a level that nobody knows is the gravest");
    }

    #[test]
    fn a_territory_does_less_and_never_more_than_is_measured() {
        let (ladder, _) = at(1);
        let (here, there) = (territory(1), territory(2));
        ladder.force(Forced { levels: vec![(here, Level::L3), (there, Level::L0)], rungs: Vec::new() });
        let of = |of| ladder.spare(&somebody(of, 7), DateTime::UNIX_EPOCH).unwrap();
        assert_eq!(of(here).level(), Level::L3);
        assert_eq!(of(there).level(), Level::L1, "measured");
        assert_eq!(of(territory(3)).level(), Level::L1);
    }

    #[test]
    fn a_single_rung_is_forced_by_a_territory_before_the_installation() {
        let (ladder, _) = at(0);
        let (here, there) = (territory(1), territory(2));
        let code = STALE.code.to_owned();
        ladder.force(Forced { levels: Vec::new(), rungs: vec![(Some(here), code.clone(), true)] });
        let on = |of| ladder.spare(&somebody(of, 7), DateTime::UNIX_EPOCH).is_some_and(|it| it.sheds(&STALE));
        assert!(on(here) && !on(there));
        ladder.force(Forced {
            levels: Vec::new(),
            rungs: vec![(None, code.clone(), false), (Some(here), code, true)],
        });
        assert!(on(here) && !on(there));
    }

    #[test]
    fn the_same_people_come_early_all_hour() {
        let (ladder, _) = at(2);
        let now = DateTime::UNIX_EPOCH + chrono::TimeDelta::minutes(1);
        let early =
            |n: u128, now| ladder.spare(&somebody(territory(1), n), now).unwrap().sheds_early(&STALE, 64);
        let half = (0..1000).filter(|n| early(*n, now)).count();
        assert!((400..600).contains(&half), "{half}");
        let later = now + chrono::TimeDelta::minutes(50);
        assert!((0..1000).all(|n| early(n, now) == early(n, later)));
        let next = now + chrono::TimeDelta::hours(1);
        assert!((0..1000).any(|n| early(n, now) != early(n, next)));
        let (calm, _) = at(1);
        assert!(
            !calm.spare(&somebody(territory(1), 1), now).unwrap().sheds_early(&STALE, 128),
            "two levels before"
        );
    }
}
