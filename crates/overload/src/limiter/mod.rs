//! How many requests of people who are in may be at the database at once, and who among them first.
//!
//! The limit follows what transactions take ([`Gradient`]). It is shared by rank: teachers and staff half of it, pupils a
//! third, the others what is left; whoever needs less lends the rest. Near the limit no school and no territory holds more
//! than its part while there is another; alone it has all of it. Whoever finds no room waits for a tenth of a second, best
//! rank first, and is then told when to come back; what somebody has come for waits three tenths, before the rest of its rank.
//!
//! A rank is who one is, for requests of those who are in; a [`Lane`](preau_admission::Lane) is why one comes, for those who
//! wait at the door: a pupil of a lesson under way comes in before a teacher without one, and reads after.

mod gradient;
mod lately;

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use preau_kernel::{SchoolId, TerritoryId};
use tokio::sync::oneshot;

pub use gradient::{Gradient, Window};
use gradient::{real, whole};
use lately::Lately;

/// Whose request it is, for the sharing of the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    /// Teachers and staff, and what must go on.
    First,
    /// Pupils.
    Second,
    /// Guardians and everybody else.
    Third,
    /// Lists, exports, programs: what can be asked again.
    Background,
}

impl Rank {
    /// Every rank, first one first.
    pub const ALL: [Self; 4] = [Self::First, Self::Second, Self::Third, Self::Background];

    /// The word of metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Second => "second",
            Self::Third => "third",
            Self::Background => "background",
        }
    }

    fn share(self) -> f64 {
        match self {
            Self::First => 0.5,
            Self::Second => 0.35,
            Self::Third => 0.1,
            Self::Background => 0.05,
        }
    }

    fn index(self) -> usize {
        match self {
            Self::First => 0,
            Self::Second => 1,
            Self::Third => 2,
            Self::Background => 3,
        }
    }
}

/// Whose a request is.
#[derive(Clone, Copy, Debug)]
pub struct Whose {
    /// The rank.
    pub rank: Rank,
    /// The school it is about.
    pub school: Option<SchoolId>,
    /// The territory.
    pub territory: Option<TerritoryId>,
    /// What its owner has come for (the day, signing out): before the rest of its rank, and waiting longer for its room.
    pub essential: bool,
}

/// No room, and none came. Come back in about this time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoRoom(pub Duration);

/// The limit. Cheap to clone.
#[derive(Clone)]
pub struct Limiter(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    patience: Duration,
}

struct State {
    gradient: Gradient,
    window: Window,
    window_at: Instant,
    in_flight: usize,
    by_rank: [usize; 4],
    schools: HashMap<SchoolId, usize>,
    territories: HashMap<TerritoryId, usize>,
    /// Who asked last, whether there was room or not.
    lately: (Lately<SchoolId>, Lately<TerritoryId>),
    waiting: [VecDeque<(Whose, oneshot::Sender<()>)>; 4],
}

/// A place at the database, until dropped.
pub struct Held {
    limiter: Limiter,
    whose: Whose,
}

/// A place in line. Whoever calls counts in whoever is called: one who goes away between the call and hearing it (a client
/// that hangs up, a deadline, patience that ends at that moment) is counted out here, and nowhere else.
struct Turn {
    limiter: Limiter,
    whose: Whose,
    call: oneshot::Receiver<()>,
}

const WINDOW: Duration = Duration::from_millis(250);
/// Samples of a window that are kept.
const SAMPLES: usize = 4096;
/// Above this part of the limit no school and no territory may hold more than its own, while there is another.
const NEAR: f64 = 0.8;
const SCHOOL_PART: f64 = 0.1;
const TERRITORY_PART: f64 = 0.6;
const COME_BACK: Duration = Duration::from_secs(2);
/// How many times longer the essential waits. Longer, and those who wait would fill the node before they fill the database.
const ESSENTIAL_PATIENCE: u32 = 3;

impl Limiter {
    /// Between `least` and `most` at a time; whoever finds no room waits for `patience`.
    pub fn new(least: usize, most: usize, patience: Duration) -> Self {
        Self(Arc::new(Shared {
            state: Mutex::new(State {
                gradient: Gradient::new(least, most),
                window: Window::default(),
                window_at: Instant::now(),
                in_flight: 0,
                by_rank: [0; 4],
                schools: HashMap::new(),
                territories: HashMap::new(),
                lately: <(Lately<SchoolId>, Lately<TerritoryId>)>::default(),
                waiting: std::array::from_fn(|_| VecDeque::new()),
            }),
            patience,
        }))
    }

    /// A place, at once or within a tenth of a second.
    ///
    /// # Errors
    /// [`NoRoom`].
    pub async fn hold(&self, whose: Whose) -> Result<Held, NoRoom> {
        let turn = {
            let mut state = self.0.state.lock();
            state.see(whose, Instant::now());
            if state.has_room(whose) && !state.someone_before(whose) {
                state.enter(whose);
                return Ok(Held { limiter: self.clone(), whose });
            }
            let (sender, call) = oneshot::channel();
            state.stand(whose, sender);
            Turn { limiter: self.clone(), whose, call }
        };
        let patience = self.0.patience * if whose.essential { ESSENTIAL_PATIENCE } else { 1 };
        turn.within(patience).await.ok_or_else(|| {
            metrics::counter!("preau_shed_total", "barrier" => "database", "rank" => whose.rank.as_str())
                .increment(1);
            NoRoom(COME_BACK)
        })
    }

    /// A transaction took this long.
    pub fn note(&self, took: Duration) {
        let mut state = self.0.state.lock();
        if state.window.took.len() < SAMPLES {
            state.window.took.push(took.as_secs_f32());
        }
    }

    /// The database refused, or did not answer in time.
    pub fn lost(&self) {
        self.0.state.lock().window.losses += 1;
    }

    /// In flight, and the limit.
    pub fn load(&self) -> (usize, usize) {
        let state = self.0.state.lock();
        (state.in_flight, state.gradient.limit())
    }
}

impl Turn {
    async fn within(mut self, patience: Duration) -> Option<Held> {
        let called = tokio::time::timeout(patience, &mut self.call).await;
        // Called while patience ended: the place is there, and taken.
        let called = matches!(called, Ok(Ok(()))) || self.was_called();
        called.then(|| Held { limiter: self.limiter.clone(), whose: self.whose })
    }

    /// Leaves the line. True once at most, when there was a call that nobody has heard.
    fn was_called(&mut self) -> bool {
        self.call.close();
        self.call.try_recv().is_ok()
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if self.was_called() {
            let mut state = self.limiter.0.state.lock();
            state.uncount(self.whose);
            state.call();
        }
    }
}

impl State {
    fn line(&mut self, rank: Rank) -> &mut VecDeque<(Whose, oneshot::Sender<()>)> {
        let [first, second, third, background] = &mut self.waiting;
        match rank {
            Rank::First => first,
            Rank::Second => second,
            Rank::Third => third,
            Rank::Background => background,
        }
    }

    /// Takes a place in the line of the rank: behind those who are as essential.
    fn stand(&mut self, whose: Whose, call: oneshot::Sender<()>) {
        let line = self.line(whose.rank);
        let at = match whose.essential {
            true => line.iter().take_while(|(other, _)| other.essential).count(),
            false => line.len(),
        };
        line.insert(at, (whose, call));
    }

    fn someone_before(&self, whose: Whose) -> bool {
        let own = whose.rank.index();
        self.waiting.iter().enumerate().take(own + 1).any(|(rank, line)| {
            let before = |other: &Whose| rank < own || other.essential || !whose.essential;
            line.iter().any(|(other, call)| before(other) && !call.is_closed())
        })
    }

    fn has_room(&self, whose: Whose) -> bool {
        let limit = self.gradient.limit();
        let own = self.by_rank.get(whose.rank.index()).copied().unwrap_or(0);
        if self.in_flight >= limit {
            // What others have borrowed comes back to whoever it is promised to.
            return real(own) < (real(limit) * whose.rank.share()).floor();
        }
        if real(self.in_flight) < real(limit) * NEAR {
            return true;
        }
        let (schools, territories) = &self.lately;
        let part = |of: f64| whole(real(limit) * of).max(2);
        let within = |held: Option<&usize>, of: f64| held.copied().unwrap_or(0) < part(of);
        whose.school.is_none_or(|it| !schools.other(it) || within(self.schools.get(&it), SCHOOL_PART))
            && whose
                .territory
                .is_none_or(|it| !territories.other(it) || within(self.territories.get(&it), TERRITORY_PART))
    }

    fn see(&mut self, whose: Whose, now: Instant) {
        let (schools, territories) = &mut self.lately;
        schools.see(whose.school, now);
        territories.see(whose.territory, now);
    }

    fn enter(&mut self, whose: Whose) {
        self.in_flight += 1;
        self.window.peak = self.window.peak.max(self.in_flight);
        self.window.entered += 1;
        self.window.met += u64::try_from(self.in_flight).unwrap_or(u64::MAX);
        if let Some(count) = self.by_rank.get_mut(whose.rank.index()) {
            *count += 1;
        }
        if let Some(school) = whose.school {
            *self.schools.entry(school).or_default() += 1;
        }
        if let Some(territory) = whose.territory {
            *self.territories.entry(territory).or_default() += 1;
        }
    }

    fn leave(&mut self, whose: Whose, now: Instant) {
        self.uncount(whose);
        self.window.done += 1;
        if now.saturating_duration_since(self.window_at) >= WINDOW {
            self.window_at = now;
            let mut window = std::mem::take(&mut self.window);
            if !self.gradient.step(&mut window) {
                // Too few to tell: they count with the next ones, and so does the room that they used.
                self.window = window;
            }
            self.window.peak = self.window.peak.max(self.in_flight);
        }
        self.call();
    }

    /// Lets in whoever waits and now has room, best rank first. Ranks that have not their own come before those who borrow.
    fn call(&mut self) {
        for rank in Rank::ALL {
            loop {
                let line = self.line(rank);
                while line.front().is_some_and(|(_, call)| call.is_closed()) {
                    line.pop_front();
                }
                let Some((whose, _)) = line.front() else { break };
                let whose = *whose;
                if !self.has_room(whose) {
                    break;
                }
                let Some((_, call)) = self.line(rank).pop_front() else { break };
                self.enter(whose);
                if call.send(()).is_err() {
                    // Gone between the look and the call.
                    self.uncount(whose);
                }
            }
        }
    }

    fn uncount(&mut self, whose: Whose) {
        self.in_flight -= 1;
        if let Some(count) = self.by_rank.get_mut(whose.rank.index()) {
            *count -= 1;
        }
        forget_one(&mut self.schools, whose.school);
        forget_one(&mut self.territories, whose.territory);
    }
}

fn forget_one<K: std::hash::Hash + Eq>(counts: &mut HashMap<K, usize>, key: Option<K>) {
    let Some(key) = key else { return };
    if let Some(count) = counts.get_mut(&key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(&key);
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.limiter.0.state.lock().leave(self.whose, Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn whose(rank: Rank) -> Whose {
        Whose { rank, school: None, territory: None, essential: false }
    }

    /// A limit that does not move: nothing is ever noted.
    fn limiter(limit: usize) -> Limiter {
        Limiter::new(limit, limit, Duration::from_millis(40))
    }

    #[tokio::test]
    async fn ranks_keep_their_share_and_lend_the_rest() {
        let limiter = limiter(20);
        let mut held = Vec::new();
        for _ in 0..20 {
            held.push(limiter.hold(whose(Rank::Third)).await.expect("borrowed"));
        }
        assert!(limiter.hold(whose(Rank::Third)).await.is_err(), "full");
        assert!(limiter.hold(whose(Rank::Background)).await.is_ok(), "one is its own");
        for _ in 0..10 {
            held.push(limiter.hold(whose(Rank::First)).await.expect("half is theirs"));
        }
        assert!(limiter.hold(whose(Rank::First)).await.is_err());
        assert_eq!(limiter.load().0, 30, "never more than what is promised above what is lent");
    }

    #[tokio::test]
    async fn who_waits_is_called_best_rank_first() {
        let limiter = limiter(10);
        let mut held = Vec::new();
        while let Ok(one) = limiter.hold(whose(Rank::Third)).await {
            held.push(one);
        }
        let waits = |rank| {
            let limiter = limiter.clone();
            async move { limiter.hold(whose(rank)).await.map(|_| rank) }
        };
        // Polled in this order: both stand in line when the places come back.
        let freeing = async { held.clear() };
        let (third, first, ()) = tokio::join!(waits(Rank::Third), waits(Rank::Second), freeing);
        assert!(third.is_ok() && first.is_ok());
        assert_eq!(limiter.load().0, 0, "everything was given back");
    }

    #[tokio::test]
    async fn what_somebody_came_for_goes_before_the_rest_of_its_rank() {
        let limiter = limiter(1);
        let held = limiter.hold(whose(Rank::Second)).await.unwrap();
        let said = Mutex::new(Vec::new());
        let waits = |name: &'static str, rank, essential| {
            let (limiter, said) = (limiter.clone(), &said);
            async move {
                let _held = limiter.hold(Whose { essential, ..whose(rank) }).await.unwrap();
                said.lock().push(name);
            }
        };
        // Polled in this order: all stand in line when the place comes back.
        let freeing = async { drop(held) };
        tokio::join!(
            waits("list", Rank::Second, false),
            waits("day", Rank::Second, true),
            waits("teacher", Rank::First, false),
            waits("other day", Rank::Second, true),
            freeing,
        );
        assert_eq!(*said.lock(), ["teacher", "day", "other day", "list"]);
    }

    /// As much as one of `whose` gets.
    async fn fill(limiter: &Limiter, whose: Whose) -> Vec<Held> {
        let mut held = Vec::new();
        while let Ok(one) = limiter.hold(whose).await {
            held.push(one);
        }
        held
    }

    #[tokio::test]
    async fn near_the_limit_nobody_holds_more_than_their_part_while_there_are_others() {
        type Of = fn(u128) -> Whose;
        let school: Of = |n| Whose { school: Some(Uuid::from_u128(n).into()), ..whose(Rank::Second) };
        let territory: Of = |n| Whose { territory: Some(Uuid::from_u128(n).into()), ..whose(Rank::Second) };
        for of in [school, territory] {
            let limiter = limiter(40);
            assert_eq!(fill(&limiter, of(1)).await.len(), 40, "alone it has all");
            assert!(limiter.hold(of(2)).await.is_ok());
            let held = fill(&limiter, of(1)).await;
            assert_eq!(held.len(), 32, "as much as it likes while there is plenty");
            assert!(limiter.hold(of(2)).await.is_ok(), "room for the others");
        }
    }

    #[tokio::test]
    async fn ranks_keep_their_share_where_everybody_is_of_one_school() {
        let limiter = limiter(20);
        let held = fill(&limiter, of_a_school(Rank::Third)).await;
        assert_eq!(held.len(), 20, "borrowed");
        assert_eq!(fill(&limiter, of_a_school(Rank::First)).await.len(), 10, "half is theirs all the same");
    }

    #[tokio::test]
    async fn whoever_gives_up_leaves_no_trace() {
        let limiter = limiter(4);
        let held: Vec<_> = futures::future::join_all((0..4).map(|_| limiter.hold(whose(Rank::Third)))).await;
        assert!(
            tokio::time::timeout(Duration::from_millis(1), limiter.hold(whose(Rank::Third))).await.is_err()
        );
        drop(held);
        assert_eq!(limiter.load().0, 0);
        assert!(limiter.hold(whose(Rank::Third)).await.is_ok());
    }

    /// A window in which `at_once` were in flight, and `samples` answers took four milliseconds each.
    fn window(limiter: &Limiter, at: &mut Instant, (at_once, samples): (usize, usize)) {
        for _ in 0..samples {
            limiter.note(Duration::from_millis(4));
        }
        let mut state = limiter.0.state.lock();
        for _ in 0..at_once {
            state.enter(whose(Rank::First));
        }
        for _ in 1..at_once {
            state.leave(whose(Rank::First), *at);
        }
        *at += WINDOW;
        state.leave(whose(Rank::First), *at);
    }

    /// A limit that losses have brought down to ten or so, and the end of its last window.
    fn cut_down() -> (Limiter, Instant) {
        let limiter = Limiter::new(4, 100, Duration::ZERO);
        let mut at = Instant::now();
        window(&limiter, &mut at, (8, 30));
        while limiter.load().1 > 10 {
            limiter.lost();
            window(&limiter, &mut at, (8, 30));
        }
        (limiter, at)
    }

    #[test]
    fn a_limit_that_nobody_reaches_does_not_grow_however_quick_the_answers() {
        let (limiter, mut at) = cut_down();
        let limit = limiter.load().1;
        for _ in 0..1_000 {
            window(&limiter, &mut at, (limit / 2, 30));
        }
        assert_eq!(limiter.load().1, limit);
        for _ in 0..40 {
            let reached = limiter.load().1;
            window(&limiter, &mut at, (reached, 30));
        }
        assert!(limiter.load().1 > limit * 2, "it grows for those who reach it");
    }

    #[test]
    fn room_that_was_used_in_a_window_too_short_to_tell_was_used() {
        let (limiter, mut at) = cut_down();
        let limit = limiter.load().1;
        for _ in 0..40 {
            let reached = limiter.load().1;
            window(&limiter, &mut at, (reached, 10));
            window(&limiter, &mut at, (1, 10));
        }
        assert!(limiter.load().1 > limit * 2, "{} after {limit}", limiter.load().1);
    }

    /// Of a school and a territory, so that every count there is takes part.
    fn of_a_school(rank: Rank) -> Whose {
        let (school, territory) = (Uuid::from_u128(1).into(), Uuid::from_u128(2).into());
        Whose { school: Some(school), territory: Some(territory), ..whose(rank) }
    }

    fn counts(limiter: &Limiter) -> (usize, [usize; 4], usize, usize) {
        let state = limiter.0.state.lock();
        (state.in_flight, state.by_rank, state.schools.len(), state.territories.len())
    }

    const EMPTY: (usize, [usize; 4], usize, usize) = (0, [0; 4], 0, 0);

    #[tokio::test]
    async fn whoever_goes_away_between_the_call_and_hearing_it_gives_the_place_back() {
        let limiter = limiter(1);
        for rank in Rank::ALL.into_iter().cycle().take(400) {
            let held = limiter.hold(of_a_school(Rank::Third)).await.expect("as much room as at first");
            let mut waiting = Box::pin(limiter.hold(of_a_school(rank)));
            assert!(futures::poll!(&mut waiting).is_pending(), "full");
            drop(held);
            assert_eq!(limiter.load().0, 1, "counted in with the call");
            drop(waiting);
            assert_eq!(counts(&limiter), EMPTY);
        }
    }

    #[tokio::test]
    async fn the_place_of_whoever_did_not_hear_the_call_is_the_next_ones() {
        let limiter = limiter(1);
        let held = limiter.hold(whose(Rank::First)).await.unwrap();
        let mut gone = Box::pin(limiter.hold(whose(Rank::First)));
        let mut next = Box::pin(limiter.hold(whose(Rank::Second)));
        assert!(futures::poll!(&mut gone).is_pending() && futures::poll!(&mut next).is_pending());
        drop(held);
        assert!(futures::poll!(&mut next).is_pending(), "another was called");
        drop(gone);
        assert!(next.await.is_ok());
        assert_eq!(counts(&limiter), EMPTY);
    }

    #[tokio::test]
    async fn a_call_in_the_moment_in_which_patience_ends_is_heard() {
        let limiter = limiter(1);
        let held = limiter.hold(of_a_school(Rank::First)).await.unwrap();
        let (sender, call) = oneshot::channel();
        limiter.0.state.lock().stand(of_a_school(Rank::First), sender);
        let mut turn = Turn { limiter: limiter.clone(), whose: of_a_school(Rank::First), call };
        drop(held);
        assert!(turn.was_called() && !turn.was_called(), "once: it is held, or given back, and never both");
        drop(turn);
        assert_eq!(limiter.load().0, 1, "whoever heard it holds it");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn hang_ups_and_calls_that_cross_leave_no_trace() {
        let limiter = Limiter::new(4, 4, Duration::from_micros(200));
        let someone = |n: usize| {
            let limiter = limiter.clone();
            async move {
                let rank = Rank::ALL[n % Rank::ALL.len()];
                let hangs_up_after = Duration::from_micros(50 * u64::try_from(n % 7).unwrap());
                let visit = async {
                    let held = limiter.hold(of_a_school(rank)).await;
                    tokio::task::yield_now().await;
                    drop(held);
                };
                drop(tokio::time::timeout(hangs_up_after, visit).await);
            }
        };
        for round in 0..20 {
            let crowd: tokio::task::JoinSet<()> = (0..200).map(|n| someone(round + n)).collect();
            crowd.join_all().await;
            assert_eq!(counts(&limiter), EMPTY);
        }
    }
}
