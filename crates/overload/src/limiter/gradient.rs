//! How many at a time the database bears, found from what its answers take. Pure: fed one window after the other.
//!
//! `reference/overload.md` §B.8, with four changes, each because the simulation below did not settle without it. The
//! unhurried time follows shorter ones only: a mean of the last minutes forgets in a long storm what calm was, and the
//! limit drifts up by three quarters. Its tolerance is 1 and the room left to grow a quarter of a square root: with 1.5 and
//! a whole one the limit settles at twice the knee. A service that has become slower for good is told from a queue by what
//! shrinking does: a queue shortens with the limit, a slower disk does not care. And a limit of which half was free made
//! nobody wait: it does not shrink, or a database that shares its processor with somebody else (answers of one scheduler's
//! turn, ten milliseconds, however few ask) presses it to the least.

use std::collections::VecDeque;

/// What happened in a window.
#[derive(Clone, Debug, Default)]
pub struct Window {
    /// Seconds that each answer took, in any order.
    pub took: Vec<f32>,
    /// The most in flight at once.
    pub peak: usize,
    /// Those who came in, and in flight as each of them did, together.
    pub entered: u64,
    /// See `entered`.
    pub met: u64,
    /// Answers, all told.
    pub done: u64,
    /// Refusals by the database, time-outs.
    pub losses: u64,
}

/// The limit, moved by windows.
#[derive(Clone, Debug)]
pub struct Gradient {
    limit: f64,
    least: f64,
    most: f64,
    /// What an answer takes when nobody hurries it.
    unhurried: f64,
    /// What it takes now, smoothed over a few windows.
    now: f64,
    /// Limit and answers of the last windows.
    past: VecDeque<(f64, f64)>,
    shrinking: Option<Shrinking>,
}

/// A stretch of shrinking.
#[derive(Clone, Debug)]
struct Shrinking {
    /// The limit where it began.
    from: f64,
    /// What answers took while the limit fell, and once it had fallen enough to tell: window by window.
    before: Vec<f64>,
    after: Vec<f64>,
}

impl Window {
    /// How many were in flight, as those who came in met them.
    fn mean(&self) -> f64 {
        let real = |count: u64| real(usize::try_from(count).unwrap_or(usize::MAX));
        real(self.met) / real(self.entered.max(1))
    }
}

/// Samples without which a window says nothing.
const SAMPLES: usize = 20;
/// Windows of the drift guard.
const DRIFT: usize = 50;

impl Gradient {
    /// Between `least` and `most`, beginning with the most: too few at a cold start would refuse without a reason. What an
    /// answer takes unhurried is learnt in calm; a node that starts in mid-storm is held by losses until there is some.
    pub fn new(least: usize, most: usize) -> Self {
        let (least, most) = (real(least.max(1)), real(most.max(least).max(1)));
        Self { limit: most, least, most, unhurried: 0.0, now: 0.0, past: VecDeque::new(), shrinking: None }
    }

    /// How many at a time.
    pub fn limit(&self) -> usize {
        whole(self.limit)
    }

    /// Takes a window; true when it was enough to be believed.
    pub fn step(&mut self, window: &mut Window) -> bool {
        if window.losses > 0 {
            self.set(self.limit * 0.7);
            return true;
        }
        if window.took.len() < SAMPLES {
            return false;
        }
        let decile = window.took.len() * 9 / 10;
        window.took.sort_by(f32::total_cmp);
        let p90 = window.took.get(decile).copied().map_or(0.0, f64::from).max(1e-6);
        self.now = if self.now == 0.0 { p90 } else { self.now + (p90 - self.now) * 0.3 };
        if self.unhurried == 0.0 || self.now < self.unhurried {
            self.unhurried =
                if self.unhurried == 0.0 { self.now } else { self.unhurried * 0.7 + self.now * 0.3 };
        }
        self.learn_slower(p90);
        let slope = (self.unhurried / self.now).clamp(0.5, 1.0);
        // Far from any queue it grows four times as fast.
        let headroom = if slope > 0.97 { 1.0 } else { 0.25 };
        let wanted = self.limit * 0.8 + 0.2 * (slope * self.limit + headroom * self.limit.sqrt());
        // Nothing is learnt of room that nobody used, and nobody waited for room of which half was free.
        let grows = wanted >= self.limit && real(window.peak) >= self.limit * 0.8;
        let shrinks = wanted < self.limit && window.mean() >= self.limit * 0.5;
        if grows || shrinks {
            self.set(wanted);
        }
        self.guard(real(usize::try_from(window.done).unwrap_or(usize::MAX)));
        true
    }

    /// Were it a queue, a limit smaller by three tenths would have made answers as much quicker. Compared by the middle of
    /// several windows: one in which nothing went on says no more than that.
    fn learn_slower(&mut self, took: f64) {
        if self.now < self.unhurried * 1.15 {
            self.shrinking = None;
            return;
        }
        let fresh = || Shrinking { from: self.limit, before: Vec::new(), after: Vec::new() };
        let stretch = self.shrinking.get_or_insert_with(fresh);
        let shrunk = self.limit <= stretch.from * 0.7 || self.limit <= self.least;
        if !shrunk {
            stretch.before.push(took);
            if stretch.before.len() > DRIFT {
                self.shrinking = None;
            }
            return;
        }
        // What is measured lags a few windows behind the limit.
        stretch.after.push(took);
        if stretch.after.len() > 4 {
            // Where nothing could shrink there was no queue of ours.
            if stretch.before.is_empty() || middle(&mut stretch.after) >= middle(&mut stretch.before) * 0.85 {
                self.unhurried = self.now;
            }
            self.shrinking = None;
        }
    }

    /// More at a time that brings less is too many, however long it has crept up.
    fn guard(&mut self, done: f64) {
        self.past.push_back((self.limit, done));
        if self.past.len() < DRIFT {
            return;
        }
        let n = real(self.past.len());
        let mean = |of: fn(&(f64, f64)) -> f64| self.past.iter().map(of).sum::<f64>() / n;
        let (limits, dones) = (mean(|it| it.0), mean(|it| it.1));
        let spread = |of: fn(&(f64, f64)) -> f64, mean: f64| {
            self.past.iter().map(|it| (of(it) - mean).powi(2)).sum::<f64>().sqrt()
        };
        let together: f64 = self.past.iter().map(|(limit, done)| (limit - limits) * (done - dones)).sum();
        let each = spread(|it| it.0, limits) * spread(|it| it.1, dones);
        // A correlation, not a sign: of two that have nothing to do with one another half are negative.
        if each > 0.0 && together / each < -0.3 {
            self.set(self.limit * 0.9);
            self.past.clear();
        } else {
            self.past.pop_front();
        }
    }

    fn set(&mut self, limit: f64) {
        self.limit = limit.clamp(self.least, self.most);
    }
}

fn middle(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

#[expect(clippy::as_conversions, reason = "counts of requests in flight are small")]
pub(super) fn real(n: usize) -> f64 {
    n as f64
}

#[expect(clippy::as_conversions, reason = "`as` from a real saturates, which is what is wanted")]
pub(super) fn whole(value: f64) -> usize {
    value.round() as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A database that does `knee` things at once in `service` seconds each, and shares itself between more.
    struct Database {
        knee: f64,
        service: f64,
        seed: u64,
    }

    impl Database {
        fn window(&mut self, limit: usize, offered: usize) -> Window {
            let in_flight = limit.min(offered);
            let stretch = (real(in_flight) / self.knee).max(1.0);
            let took = self.service * stretch;
            let done = whole(0.25 / took * real(in_flight)).max(1);
            let took: Vec<f32> = (0..done.max(30))
                .map(|_| {
                    // A tenth up or down.
                    self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    let noise = f64::from(u32::try_from(self.seed >> 33).unwrap()) / f64::from(u32::MAX >> 1);
                    #[expect(clippy::as_conversions, reason = "a sample")]
                    let took = (took * (0.9 + 0.2 * noise)) as f32;
                    took
                })
                .collect();
            let entered = u64::try_from(done).unwrap();
            let met = entered * u64::try_from(in_flight).unwrap();
            Window { took, peak: in_flight, entered, met, done: entered, losses: 0 }
        }
    }

    fn run(gradient: &mut Gradient, database: &mut Database, offered: usize, windows: usize) -> f64 {
        let mut sum = 0.0;
        for at in 0..windows {
            let mut window = database.window(gradient.limit(), offered);
            gradient.step(&mut window);
            if at >= windows / 2 {
                sum += real(gradient.limit());
            }
        }
        sum / real(windows - windows / 2)
    }

    /// What an answer takes unhurried is learnt while nobody hurries, as on any node that serves before the storm.
    fn calm(gradient: &mut Gradient, database: &mut Database) {
        run(gradient, database, 2, 20);
    }

    #[test]
    fn it_finds_the_knee_from_both_sides_and_stays_there() {
        for knee in [8.0, 16.0, 24.0, 40.0] {
            for most in [64, 200] {
                let mut gradient = Gradient::new(4, most);
                let mut database = Database { knee, service: 0.004, seed: 7 };
                calm(&mut gradient, &mut database);
                let settled = run(&mut gradient, &mut database, 1000, 400);
                let off = settled / knee;
                assert!((0.85..=1.15).contains(&off), "knee {knee}, most {most}: settled at {settled}");
                let later = run(&mut gradient, &mut database, 1000, 4_000);
                assert!((0.85..=1.15).contains(&(later / knee)), "drifted from {settled} to {later}");
            }
        }
    }

    #[test]
    fn a_database_three_times_slower_is_believed_within_ten_seconds() {
        let mut gradient = Gradient::new(4, 100);
        let mut database = Database { knee: 24.0, service: 0.004, seed: 3 };
        calm(&mut gradient, &mut database);
        let before = run(&mut gradient, &mut database, 1000, 400);
        database.service = 0.012;
        let settled = run(&mut gradient, &mut database, 1000, 40);
        let off = settled / database.knee;
        assert!((0.85..=1.15).contains(&off), "{before} → {settled} within 40 windows of 250 ms");
    }

    #[test]
    fn more_that_brings_less_is_taken_back_though_answers_hardly_take_longer() {
        for (knee, rise) in [(24, 1.04), (16, 1.05)] {
            let mut gradient = Gradient::new(4, 200);
            // What is fought over lies outside of what is measured.
            let mut database = Database { knee: f64::INFINITY, service: 0.004, seed: 7 };
            calm(&mut gradient, &mut database);
            while gradient.limit() > 4 {
                gradient.step(&mut Window { losses: 1, ..Window::default() });
            }
            let (mut sum, windows) = (0.0, 1_000);
            for at in 0..windows {
                let limit = gradient.limit();
                database.service = if limit > knee { 0.004 * rise } else { 0.004 };
                let mut window = database.window(limit, 1000);
                let useful = real(limit).min(real(knee).powi(2) / real(limit));
                window.done = u64::try_from(whole(0.25 / 0.004 * useful)).unwrap();
                gradient.step(&mut window);
                if at >= windows / 2 {
                    sum += real(limit);
                }
            }
            let settled = sum / real(windows / 2);
            assert!((0.85..=1.15).contains(&(settled / real(knee))), "knee {knee}: crept to {settled}");
        }
    }

    /// A database that nobody overloads, on a processor that somebody else keeps busy for seconds at a time: an answer waits
    /// for one turn of the scheduler or several, whatever the limit; now and then everything stands for a moment.
    #[test]
    fn somebody_else_on_the_databases_processor_does_not_shut_the_door() {
        let mut seed = 7_u64;
        let mut chance = move || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            f64::from(u32::try_from(seed >> 33).unwrap()) / f64::from(u32::MAX >> 1)
        };
        for (offered, at_least) in [(3_usize, 23.9), (1_000, 8.0)] {
            let mut gradient = Gradient::new(4, 24);
            calm(&mut gradient, &mut Database { knee: 24.0, service: 0.002, seed: 3 });
            let (mut sum, windows) = (0.0, 1_000);
            for at in 0..windows {
                let busy = at / 12 % 3 != 0;
                let stands = if chance() < 0.05 { 0.1 } else { 0.0 };
                let in_flight = gradient.limit().min(offered);
                let took: Vec<f64> = (0..40)
                    .map(|_| {
                        let turns = if busy { (-2.0 * chance().max(1e-9).ln()).floor() } else { 0.0 };
                        0.001 + 0.002 * chance() + 0.01 * turns + stands
                    })
                    .collect();
                let each = took.iter().sum::<f64>() / real(took.len());
                let done = u64::try_from(whole(0.25 / each * real(in_flight))).unwrap();
                #[expect(clippy::as_conversions, reason = "samples")]
                let took = took.into_iter().map(|took| took as f32).collect();
                let met = done * u64::try_from(in_flight).unwrap();
                gradient.step(&mut Window { took, peak: in_flight, entered: done, met, done, losses: 0 });
                sum += real(gradient.limit());
            }
            let mean = sum / f64::from(windows);
            assert!(mean >= at_least, "{offered} at a time: {mean}");
        }
    }

    #[test]
    fn losses_cut_it_and_idleness_teaches_nothing() {
        let mut gradient = Gradient::new(4, 100);
        for _ in 0..5 {
            let start = gradient.limit();
            gradient.step(&mut Window { losses: 3, ..Window::default() });
            assert!(gradient.limit() < start);
        }
        let low = gradient.limit();
        let mut database = Database { knee: 24.0, service: 0.004, seed: 3 };
        for _ in 0..200 {
            gradient.step(&mut database.window(3, 3));
        }
        assert!(gradient.limit() <= low, "three at a time say nothing about thirty");
    }
}
