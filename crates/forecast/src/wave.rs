//! Arrivals, a capacity, and what people wait: the closed forms, and their integral in steps of a second.
//!
//! A rush is a normal distribution around its hour: `λ_peak = N / (σ √2π)`. Sign-ins that must hash are let in at
//! `µ = cores · ρ / S`, all of them at `µ / h`, less what those who wait cost the same cores. Each lane has its floor, and what
//! is left goes in strict order; within a lane, first come first served.

use preau_admission::{PerLane, inlet::InletConfig};
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

impl Class {
    /// The lane of that name at the door.
    fn at_the_door(self) -> preau_admission::Lane {
        match self {
            Self::Lesson => preau_admission::Lane::Lesson,
            Self::InSlot => preau_admission::Lane::InSlot,
            Self::OutOfSlot => preau_admission::Lane::OutOfSlot,
            Self::Guardian => preau_admission::Lane::Guardian,
        }
    }
}

/// Who is let in, and how fast.
#[derive(Clone, Copy, Debug)]
pub struct Door {
    /// People a second, while nobody waits.
    pub per_s: f64,
    /// People who are not let in for each who comes while others wait: a place is drawn on the cores that hash.
    pub arrival: f64,
    /// People a second who are not let in for each who waits: places shown too early are answered there too.
    pub waiting: f64,
    /// What each lane has of the room before the lanes are served in order, in percent.
    pub floors: PerLane<f64>,
}

impl Door {
    /// With the inlet's floors; whoever waits costs it nothing.
    pub fn with_floors(per_s: f64) -> Self {
        Self { floors: PerLane(InletConfig::default().floors), ..Self::strict(per_s) }
    }

    /// One lane after the other.
    pub fn strict(per_s: f64) -> Self {
        Self { per_s, arrival: 0.0, waiting: 0.0, floors: PerLane::default() }
    }

    /// How many are let in during a second in which so many come while so many wait.
    fn room(&self, coming: f64, waiting: f64) -> f64 {
        let drawing = if waiting > NOBODY { coming } else { 0.0 };
        (self.per_s - self.arrival * drawing - self.waiting * waiting).max(0.0)
    }

    /// The part of it that a lane has before all others, 0 to 1.
    fn floor(&self, class: Class) -> f64 {
        self.floors.get(class.at_the_door()) / 100.0
    }
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

/// Lets `rushes` in by `door`, and says what each lane waits. The height of the arrivals comes beside it.
pub fn wave(rushes: &[Rush], door: &Door) -> (f64, Vec<Lane>) {
    let (peak, peak_at, lines) = lines(rushes, door, f64::INFINITY);
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
pub fn entered_by(rushes: &[Rush], door: &Door, until_s: f64) -> Vec<Entered> {
    let (_, _, lines) = lines(rushes, door, until_s);
    lines
        .into_iter()
        .map(|(class, line)| Entered { class, people: line.gone, median_s: line.median_s() })
        .collect()
}

/// Height of the arrivals, its second, and each lane's progress until nobody waits or until `until_s`.
fn lines(rushes: &[Rush], door: &Door, until_s: f64) -> (f64, f64, Vec<(Class, Line)>) {
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
        let waiting: f64 = lines.iter().map(|(_, line)| line.waiting).sum();
        let mut rate = 0.0;
        for (class, line) in &mut lines {
            let coming: f64 = rushes
                .iter()
                .filter(|rush| rush.class == *class)
                .map(|rush| rush.rate_at(second + 0.5))
                .sum();
            rate += coming;
            line.here += coming;
            line.waiting += coming;
        }
        let room = door.room(rate, waiting);
        let mut left = room;
        for (class, line) in &mut lines {
            left -= line.enter(left.min(room * door.floor(*class)));
        }
        for (_, line) in &mut lines {
            left -= line.enter(left);
            line.note(second);
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
    /// Lets in as many as there is room for, and says how many.
    fn enter(&mut self, room: f64) -> f64 {
        let entering = self.waiting.min(room);
        self.waiting -= entering;
        self.gone += entering;
        entering
    }

    /// The second is over.
    fn note(&mut self, second: f64) {
        self.waiting_max = self.waiting_max.max(self.waiting);
        if self.waiting > NOBODY {
            self.last_waited = second;
        }
        self.arrived.push(self.here);
        self.served.push(self.gone);
    }

    /// What half of those who are in waited at most, in seconds.
    fn median_s(&self) -> f64 {
        let (mut waits, mut before) = (Vec::new(), 0.0);
        let mut came = self.arrived.iter().enumerate().peekable();
        for (at, gone) in self.served.iter().enumerate() {
            // Those of one second may come in over many.
            while before < *gone {
                while came.next_if(|(_, arrived)| **arrived <= before).is_some() {}
                let Some((second, arrived)) = came.peek() else { break };
                let until = gone.min(**arrived);
                waits.push((at.saturating_sub(*second), until - before));
                before = until;
            }
        }
        waits.sort_unstable_by_key(|(wait, _)| *wait);
        let mut left = self.gone / 2.0;
        let median = waits.iter().find(|(_, people)| {
            left -= people;
            left <= 0.0
        });
        median.map_or(0.0, |(wait, _)| measure(u64::try_from(*wait).unwrap_or(u64::MAX)))
    }

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
            let (peak, lanes) =
                wave(&[rendezvous()], &Door::strict(cores * hashes_per_core(HASH_S, USABLE) / hashed));
            within(peak, 9_970.0, 0.01);
            let lane = lanes.first().unwrap();
            within(measure(lane.people), RENDEZVOUS, 0.01);
            within(measure(lane.waiting_max), backlog, 0.08);
            within(measure(lane.wait_max_s) / 60.0, wait_min, 0.08);
            if over_min > 0.0 {
                within(measure(lane.empty_after_s) / 60.0, over_min, 0.08);
            }
        }
        let (_, lanes) = wave(&[rendezvous()], &Door::strict(300.0 * hashes_per_core(HASH_S, USABLE)));
        assert_eq!(lanes.first().unwrap().wait_max_s, 0);
    }

    /// 600, 3,000 and 600 people within a minute, and 40 a second let in: the second lane gets three fifths of what it asks, and
    /// whoever comes at `t` waits two thirds of `t`.
    #[test]
    fn of_an_even_crowd_that_is_broken_off_the_room_is_shared_lane_by_lane() {
        let crowd =
            a_minute_of(&[(Class::Lesson, 600.0), (Class::InSlot, 3_000.0), (Class::Guardian, 600.0)]);
        let told = entered_by(&crowd, &Door::strict(40.0), 60.0);
        let of = |class| *told.iter().find(|lane| lane.class == class).unwrap();
        within(of(Class::Lesson).people, 600.0, 0.001);
        assert!(of(Class::Lesson).median_s < 0.5);
        within(of(Class::InSlot).people, 1_800.0, 0.001);
        within(of(Class::InSlot).median_s, 12.0, 0.09);
        assert!(of(Class::Guardian).people < 0.5, "{told:?}");
        let (peak, lanes) = wave(&crowd, &Door::strict(40.0));
        within(peak, 70.0, 0.001);
        assert_eq!(lanes.iter().map(|lane| lane.people).sum::<u64>(), 4_200);
    }

    /// A floor of 2 %: of the forty a second, 0.8, all minute long; the ten a second of the first second are in when twelve and a
    /// half have passed, and whoever is let in at `t` came at `0.08 t`.
    #[test]
    fn who_comes_last_has_a_floor_and_who_comes_first_does_not_feel_it() {
        let crowd =
            a_minute_of(&[(Class::Lesson, 600.0), (Class::InSlot, 3_000.0), (Class::Guardian, 600.0)]);
        let told = entered_by(&crowd, &Door::with_floors(40.0), 60.0);
        let of = |class| *told.iter().find(|lane| lane.class == class).unwrap();
        within(of(Class::Lesson).people, 600.0, 0.001);
        assert!(of(Class::Lesson).median_s < 0.5);
        within(of(Class::Guardian).people, 48.0, 0.001);
        within(of(Class::Guardian).median_s, 0.92 * 30.0, 0.03);
        within(of(Class::InSlot).people, 1_752.0, 0.001);
        // What nobody of a lane wants is for the others.
        let alone = entered_by(&a_minute_of(&[(Class::InSlot, 3_000.0)]), &Door::with_floors(40.0), 60.0);
        within(alone.iter().map(|lane| lane.people).sum(), 2_400.0, 0.001);
    }

    /// Seventy come a second and each takes a tenth of a person's room; each who waits takes a thousandth.
    #[test]
    fn who_waits_costs_the_cores_that_let_in() {
        let crowd = a_minute_of(&[(Class::InSlot, 4_200.0)]);
        let in_a_minute =
            |door: Door| -> f64 { entered_by(&crowd, &door, 60.0).iter().map(|lane| lane.people).sum() };
        let drawn = Door { arrival: 0.1, ..Door::strict(40.0) };
        // The first second finds nobody who waits.
        within(in_a_minute(drawn), 40.0 + 59.0 * 33.0, 0.001);
        let pressed = Door { waiting: 0.001, ..Door::strict(40.0) };
        // The queue `w` grows by `70 - (40 - w / 1000)` a second: 30,000 · (e^0.06 - 1) after a minute.
        within(in_a_minute(pressed), 4_200.0 - 30_000.0 * 0.06_f64.exp_m1(), 0.002);
        let starved = Door { arrival: 1.0, ..Door::strict(40.0) };
        within(in_a_minute(starved), 40.0, 0.001);
        // Without a crowd, a crowd costs nothing.
        let quiet = a_minute_of(&[(Class::InSlot, 1_200.0)]);
        within(entered_by(&quiet, &starved, 60.0).iter().map(|lane| lane.people).sum(), 1_200.0, 0.001);
    }

    fn a_minute_of(lanes: &[(Class, f64)]) -> Vec<Rush> {
        let sigma_s = 60.0 / 12.0_f64.sqrt();
        let rush = |(class, people)| Rush { class, people, at_s: 30.0, sigma_s, shape: Shape::Even };
        lanes.iter().copied().map(rush).collect()
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
        let (_, lanes) = wave(&crowd, &Door::with_floors(40.0));
        let [teachers, pupils, guardians] = lanes.as_slice() else { panic!("{lanes:?}") };
        assert_eq!(teachers.wait_max_s, 0);
        assert!(pupils.wait_max_s > 600 && guardians.wait_max_s > pupils.wait_max_s, "{lanes:?}");
        assert_eq!(lanes.iter().map(|lane| lane.people).sum::<u64>(), 100_000);
    }
}
