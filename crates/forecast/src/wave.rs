//! Arrivals, a capacity, and what people wait: the closed forms, and their integral in steps of a second.
//!
//! A rush is a normal distribution around its hour: `λ_peak = N / (σ √2π)`. Sign-ins that must hash are let in at
//! `µ = cores · ρ / S`, all of them at `µ / h`. Lanes are served in strict order; within one, first come first served.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{measure, whole};

/// Where one waits, best first. The wire names are those of the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
#[schema(as = ForecastClass)]
pub enum Class {
    /// Teachers, staff, and pupils whose class has a lesson then.
    Lesson,
    /// Pupils in their slot, or where there are none.
    InSlot,
    /// Pupils outside their slot.
    OutOfSlot,
    /// Guardians.
    Guardian,
}

/// How people are spread around their hour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Shape {
    /// A normal distribution: a rendez-vous.
    #[default]
    Bell,
    /// As many each second: a crowd that goes on.
    Even,
}

impl Shape {
    /// Arrivals a second at the height of `people` who come with this standard deviation.
    pub fn peak_of(self, people: f64, sigma_s: f64) -> f64 {
        match self {
            Self::Bell => peak_of(people, sigma_s),
            Self::Even => people / (2.0 * self.reach() * sigma_s),
        }
    }

    /// How many standard deviations from their hour anybody comes.
    fn reach(self) -> f64 {
        match self {
            Self::Bell => 4.0,
            // Half of a uniform distribution's width.
            Self::Even => 3.0_f64.sqrt(),
        }
    }
}

/// People who come around an hour.
#[derive(Clone, Copy, Debug)]
pub struct Rush {
    /// Their lane.
    pub class: Class,
    /// How many.
    pub people: f64,
    /// When most of them come, in seconds of the day.
    pub at_s: f64,
    /// How closely: the standard deviation, in seconds.
    pub sigma_s: f64,
    /// And how they are spread.
    pub shape: Shape,
}

/// What a lane goes through.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[schema(as = ForecastLane)]
pub struct Lane {
    /// Which.
    pub class: Class,
    /// People who come.
    pub people: u64,
    /// Waiting at once, at most.
    pub waiting_max: u64,
    /// The longest wait, in seconds.
    pub wait_max_s: u64,
    /// The wait of the average person, in seconds.
    pub wait_mean_s: u64,
    /// How long after the busiest hour nobody waits any more, in seconds.
    pub empty_after_s: u64,
}

const SQRT_TAU: f64 = 2.506_628_274_631_000_7;

/// Arrivals a second at the height of a rush.
pub fn peak_of(people: f64, sigma_s: f64) -> f64 {
    people / (sigma_s * SQRT_TAU)
}

/// Hashes a second and core: `hash_s` of CPU each, `usable` of a core.
pub fn hashes_per_core(hash_s: f64, usable: f64) -> f64 {
    usable / hash_s
}

/// Cores with which nobody waits at `peak` arrivals a second, of which `hashed` (0 to 1) need a hash.
pub fn cores_without_wait(peak: f64, hashed: f64, hash_s: f64, usable: f64) -> f64 {
    peak * hashed / hashes_per_core(hash_s, usable)
}

impl Rush {
    fn rate_at(&self, second: f64) -> f64 {
        let distance = (second - self.at_s) / self.sigma_s;
        // Nobody: spares a day of exponentials when a queue lasts that long.
        if distance.abs() > 6.0 {
            return 0.0;
        }
        let height = self.shape.peak_of(self.people, self.sigma_s);
        match self.shape {
            Shape::Bell => height * (-distance * distance / 2.0).exp(),
            Shape::Even if distance.abs() <= self.shape.reach() => height,
            Shape::Even => 0.0,
        }
    }
}

/// One lane's progress: cumulative curves, whose horizontal distance is a wait.
#[derive(Default)]
struct Line {
    arrived: Vec<f64>,
    served: Vec<f64>,
    here: f64,
    gone: f64,
    waiting: f64,
    waiting_max: f64,
    last_waited: f64,
}

/// Below it nobody waits: arithmetic leaves crumbs.
const NOBODY: f64 = 0.5;

/// Lets `rushes` in at `capacity` a second, and says what each lane waits. The height of the arrivals comes beside it.
pub fn wave(rushes: &[Rush], capacity: f64) -> (f64, Vec<Lane>) {
    let (peak, peak_at, lines) = lines(rushes, capacity, f64::INFINITY);
    let came = lines.iter().filter(|(_, line)| line.here >= NOBODY);
    (peak, came.map(|(class, line)| lane(*class, line, peak_at)).collect())
}

/// Who of a lane has come in by an instant, and what half of those waited at most.
#[derive(Clone, Copy, Debug)]
pub struct Entered {
    /// Which lane.
    pub class: Class,
    /// How many have come in.
    pub people: f64,
    /// The median of their waits, in seconds.
    pub median_s: f64,
}

/// The same [`wave`], broken off at a second of the day: what somebody sees who stops looking then.
pub fn entered_by(rushes: &[Rush], capacity: f64, until_s: f64) -> Vec<Entered> {
    let (_, _, lines) = lines(rushes, capacity, until_s);
    lines
        .into_iter()
        .map(|(class, line)| {
            let (mut waits, mut before) = (Vec::new(), 0.0);
            for (second, arrived, at) in line.seconds() {
                if let Some(at) = at {
                    waits.push((at.saturating_sub(second), arrived - before));
                }
                before = arrived;
            }
            waits.sort_unstable_by_key(|(wait, _)| *wait);
            let half = waits.iter().map(|(_, people)| people).sum::<f64>() / 2.0;
            let mut sum = 0.0;
            let median = waits.iter().find(|(_, people)| {
                sum += people;
                sum >= half
            });
            let median = median.map_or(0, |(wait, _)| u64::try_from(*wait).unwrap_or(u64::MAX));
            Entered { class, people: line.gone, median_s: measure(median) }
        })
        .collect()
}

/// Height of the arrivals, its second, and each lane's progress until nobody waits or until `until_s`.
fn lines(rushes: &[Rush], capacity: f64, until_s: f64) -> (f64, f64, Vec<(Class, Line)>) {
    const CLASSES: [Class; 4] = [Class::Lesson, Class::InSlot, Class::OutOfSlot, Class::Guardian];
    let reach = |rush: &Rush| rush.shape.reach() * rush.sigma_s;
    let begin = rushes.iter().map(|rush| rush.at_s - reach(rush)).fold(f64::INFINITY, f64::min).floor();
    let end = rushes.iter().map(|rush| rush.at_s + reach(rush)).fold(f64::NEG_INFINITY, f64::max);
    let mut lines: Vec<(Class, Line)> = CLASSES.map(|class| (class, Line::default())).into_iter().collect();
    let (mut peak, mut peak_at) = (0.0_f64, begin);
    // Whoever has not come in by the day's end has gone home.
    let last = (begin + 86_400.0).min(until_s);
    let mut second = begin;
    while second < last {
        let mut rate = 0.0;
        let mut room = capacity;
        for (class, line) in &mut lines {
            let coming: f64 = rushes
                .iter()
                .filter(|rush| rush.class == *class)
                .map(|rush| rush.rate_at(second + 0.5))
                .sum();
            rate += coming;
            line.here += coming;
            let entering = (line.waiting + coming).min(room);
            room -= entering;
            line.waiting += coming - entering;
            line.gone += entering;
            line.waiting_max = line.waiting_max.max(line.waiting);
            if line.waiting > NOBODY {
                line.last_waited = second;
            }
            line.arrived.push(line.here);
            line.served.push(line.gone);
        }
        if rate > peak {
            (peak, peak_at) = (rate, second);
        }
        second += 1.0;
        if second > end && lines.iter().all(|(_, line)| line.waiting < NOBODY) {
            break;
        }
    }
    (peak, peak_at, lines)
}

impl Line {
    /// For each second: how many had come, and the second in which the last of them is in, if it was seen.
    fn seconds(&self) -> impl Iterator<Item = (usize, f64, Option<usize>)> {
        let mut served = self.served.iter().enumerate().peekable();
        self.arrived.iter().enumerate().map(move |(second, &arrived)| {
            // Those who come in this second are in when the served are as many as had come by now.
            while served.next_if(|(_, gone)| **gone + NOBODY < arrived).is_some() {}
            (second, arrived, served.peek().map(|(at, _)| *at))
        })
    }
}

fn lane(class: Class, line: &Line, peak_at: f64) -> Lane {
    let (mut longest, mut sum, mut before) = (0_u64, 0.0, 0.0);
    for (second, arrived, at) in line.seconds() {
        let entered = at.unwrap_or(line.served.len());
        let wait = u64::try_from(entered.saturating_sub(second)).unwrap_or(u64::MAX);
        longest = longest.max(wait);
        sum += measure(wait) * (arrived - before);
        before = arrived;
    }
    Lane {
        class,
        people: whole(line.here),
        waiting_max: whole(line.waiting_max),
        wait_max_s: longest,
        wait_mean_s: whole(sum / line.here.max(1.0)),
        empty_after_s: if line.waiting_max > NOBODY {
            whole((line.last_waited - peak_at).max(0.0))
        } else {
            0
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The study's unit costs: seconds of CPU a hash, usable share of a core.
    const HASH_S: f64 = 0.0224;
    const USABLE: f64 = 0.85;
    /// 60 % of the country's pupils.
    const RENDEZVOUS: f64 = 7_500_000.0;

    fn within(value: f64, expected: f64, share: f64) {
        assert!((value / expected - 1.0).abs() <= share, "{value} is not {expected} ± {share}");
    }

    /// "Uniform hour" and "Rendez-vous" of the capacity model.
    #[test]
    fn the_closed_forms_give_the_tables_of_the_capacity_model() {
        within(hashes_per_core(HASH_S, USABLE), 38.0, 0.01);
        let an_hour = 12_500_000.0 / 3600.0;
        within(an_hour, 3_472.0, 0.01);
        within(cores_without_wait(an_hour, 1.0, HASH_S, USABLE), 92.0, 0.01);
        within(cores_without_wait(an_hour, 0.3, HASH_S, USABLE), 28.0, 0.03);
        for (sigma, peak, all, few) in
            [(600.0, 4_990.0, 131.0, 39.0), (300.0, 9_970.0, 263.0, 79.0), (120.0, 24_900.0, 657.0, 197.0)]
        {
            within(peak_of(RENDEZVOUS, sigma), peak, 0.01);
            within(cores_without_wait(peak, 1.0, HASH_S, USABLE), all, 0.01);
            within(cores_without_wait(peak, 0.3, HASH_S, USABLE), few, 0.02);
        }
    }

    fn rendezvous() -> Rush {
        Rush { class: Class::InSlot, people: RENDEZVOUS, at_s: 32_400.0, sigma_s: 300.0, shape: Shape::Bell }
    }

    /// "With fewer cores and our queue": backlog, longest wait, when it is over.
    #[test]
    fn the_integral_gives_the_backlogs_of_the_capacity_model() {
        for (cores, hashed, backlog, wait_min, over_min) in [
            (50.0, 1.0, 4_900_000.0, 43.0, 55.0),
            (50.0, 0.3, 1_300_000.0, 3.5, 0.0),
            (100.0, 1.0, 3_100_000.0, 13.6, 23.0),
            (200.0, 1.0, 700_000.0, 1.5, 0.0),
        ] {
            let (peak, lanes) = wave(&[rendezvous()], cores * hashes_per_core(HASH_S, USABLE) / hashed);
            within(peak, 9_970.0, 0.01);
            let lane = lanes.first().unwrap();
            within(measure(lane.people), RENDEZVOUS, 0.01);
            within(measure(lane.waiting_max), backlog, 0.08);
            within(measure(lane.wait_max_s) / 60.0, wait_min, 0.08);
            if over_min > 0.0 {
                within(measure(lane.empty_after_s) / 60.0, over_min, 0.08);
            }
        }
        let (_, lanes) = wave(&[rendezvous()], 300.0 * hashes_per_core(HASH_S, USABLE));
        assert_eq!(lanes.first().unwrap().wait_max_s, 0);
    }

    /// 600, 3,000 and 600 people within a minute, and 40 a second let in: the second lane gets three fifths of what it asks, and
    /// whoever comes at `t` waits two thirds of `t`.
    #[test]
    fn of_an_even_crowd_that_is_broken_off_the_room_is_shared_lane_by_lane() {
        let sigma_s = 60.0 / 12.0_f64.sqrt();
        let rush = |class, people| Rush { class, people, at_s: 30.0, sigma_s, shape: Shape::Even };
        let crowd = [rush(Class::Lesson, 600.0), rush(Class::InSlot, 3_000.0), rush(Class::Guardian, 600.0)];
        let told = entered_by(&crowd, 40.0, 60.0);
        let of = |class| *told.iter().find(|lane| lane.class == class).unwrap();
        within(of(Class::Lesson).people, 600.0, 0.001);
        assert!(of(Class::Lesson).median_s < 0.5);
        within(of(Class::InSlot).people, 1_800.0, 0.001);
        within(of(Class::InSlot).median_s, 12.0, 0.09);
        assert!(of(Class::Guardian).people < 0.5, "{told:?}");
        let (peak, lanes) = wave(&crowd, 40.0);
        within(peak, 70.0, 0.001);
        assert_eq!(lanes.iter().map(|lane| lane.people).sum::<u64>(), 4_200);
    }

    #[test]
    fn teachers_do_not_wait_behind_others_and_everybody_comes_in() {
        let crowd = [
            Rush {
                class: Class::Lesson,
                people: 8_000.0,
                at_s: 32_000.0,
                sigma_s: 600.0,
                shape: Shape::Bell,
            },
            Rush {
                class: Class::InSlot,
                people: 78_000.0,
                at_s: 32_400.0,
                sigma_s: 300.0,
                shape: Shape::Bell,
            },
            Rush {
                class: Class::Guardian,
                people: 14_000.0,
                at_s: 32_400.0,
                sigma_s: 600.0,
                shape: Shape::Bell,
            },
        ];
        let (_, lanes) = wave(&crowd, 40.0);
        let [teachers, pupils, guardians] = lanes.as_slice() else { panic!("{lanes:?}") };
        assert_eq!(teachers.wait_max_s, 0);
        assert!(pupils.wait_max_s > 600 && guardians.wait_max_s > pupils.wait_max_s, "{lanes:?}");
        assert_eq!(lanes.iter().map(|lane| lane.people).sum::<u64>(), 100_000);
    }
}
