//! What a segment's lives add up to: the figures of `storm.json`. Pure.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{
    life::{End, Life},
    shares::{guardians_before_lessons, jain_over_time},
    user::route,
};
use crate::number::{count, float, floor, quantile};

/// Groups smaller than this say nothing about order or fairness.
pub(super) const ENOUGH: usize = 20;

/// Waits of one class, in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Waits {
    pub arrived: u64,
    pub inside: u64,
    /// Of those inside.
    pub p50: f64,
    pub p90: f64,
    pub p99: f64,
    /// Share of those who neither gave up nor had come in when the segment ended.
    pub still_outside: f64,
    /// From the knock that let them in to the day on the screen.
    pub home_p99: f64,
}

/// What happened in each second.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Series {
    pub offered: Vec<u32>,
    pub goodput: Vec<u32>,
    /// Who have come, are not inside and have not given up.
    pub outside: Vec<u32>,
    /// Mean wait of those who came in during that second, by class, in seconds; absent when nobody did.
    pub wait_s: BTreeMap<&'static str, Vec<Option<f64>>>,
    /// Between schools in which somebody waits.
    pub jain: Vec<Option<f64>>,
    /// Share of the nine-o'clock lessons that are full; empty without lessons.
    pub lessons_full: Vec<Option<f64>>,
    /// Cores that the nodes used, and of these those that hashed.
    pub node_cpu: Vec<Option<f64>>,
    pub hash_cpu: Vec<Option<f64>>,
    /// Memory in RAM by process, in millions of bytes.
    pub rss_mb: BTreeMap<&'static str, Vec<Option<f64>>>,
    /// Seats that are taken; empty where no node tells.
    pub seats: Vec<Option<f64>>,
}

/// Everything that is computed from lives alone.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Figures {
    pub arrived: u64,
    pub inside: u64,
    pub abandoned: u64,
    pub failed: u64,
    pub offered_per_s: f64,
    /// Sign-ins whose day was on the screen within ten seconds of the knock that let them in.
    pub goodput_per_s: f64,
    /// The same within ten seconds of arriving.
    pub goodput_from_arrival: f64,
    pub status_counts: BTreeMap<String, u64>,
    pub unanswered: u64,
    pub responses: u64,
    pub bare_refusals: u64,
    /// 503 with a time to come back, while a dependency was down: counted apart.
    pub unavailable: u64,
    pub wait_s: BTreeMap<&'static str, Waits>,
    /// The same by territory, where there are several: one's storm is not its neighbour's.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub wait_s_by_territory: BTreeMap<usize, Waits>,
    /// The least Jain index of roster progress between schools in which somebody waits, looked at every ten seconds (or
    /// five times a segment that is shorter than fifty).
    pub jain_schools: Option<f64>,
    pub jain_schools_mean: Option<f64>,
    /// The second of each look, and the index then.
    #[serde(skip)]
    pub jain_over_time: Vec<(f64, f64)>,
    pub displacement_p99: Option<f64>,
    pub eta_within_band: Option<f64>,
    pub eta_after_30s_within_band: Option<f64>,
    pub posts_per_success: Option<f64>,
    pub posts_per_success_everybody: Option<f64>,
    /// Of the hashes, those that the hostile had done, whatever lane they were in.
    pub hash_cpu_share_hostile: f64,
    /// Of all who came, the hostile: a crowd whose `manner` is not `people`. Sockets that dawdle are no clients yet.
    pub hostile_share: f64,
    /// Of the hashes, by the lane that the server said; `none` are those who passed without waiting.
    pub hash_share_by_lane: BTreeMap<String, f64>,
    /// People, not hostile, whom the server put among suspects.
    pub people_suspected: u64,
    pub places_lost: u64,
    pub places_worsened: u64,
    pub lessons: u64,
    /// Share of the lessons with nine in ten of those who came by the hour, and the teacher by theirs.
    pub lessons_full_by_0905: Option<f64>,
    /// Share of the lessons' teachers who were in by theirs.
    pub teachers_in_by_0858: Option<f64>,
    /// Of those who came in while people of a lesson were on the way in, the share that the line let in as guardians.
    pub guardians_before_lessons: Option<f64>,
    /// Rank correlation of arriving and coming in, of those who came before the opening where one is declared: what
    /// hammering early is worth.
    pub order_correlation: Option<f64>,
}

/// The tale's hours in µs of the segment, and its classes at nine with their teachers.
#[derive(Clone, Debug, Default)]
pub struct Bell {
    pub full_by_us: u64,
    pub teachers_by_us: u64,
    /// When the lanes open, where that is declared.
    pub opens_us: Option<u64>,
    /// Users of each class (pupils), and its teacher's, by their number.
    pub classes: Vec<(Vec<u64>, Option<u64>)>,
}

/// Adds up. `window_us` is how long people came; `rosters` the size of each school.
#[must_use]
pub fn figures(lives: &[Life], window_us: u64, rosters: &[u64], bell: &Bell) -> Figures {
    let seconds = float(window_us.max(1)) / 1e6;
    let people: Vec<&Life> = lives.iter().filter(|life| !life.hostile).collect();
    let good = |life: &&&Life, from: Option<u64>| {
        // What a drain lets in afterwards is no throughput of the segment.
        life.is_on_time(from) && life.inside_us.is_some_and(|inside| inside <= window_us)
    };
    let mut found = Figures {
        arrived: count(people.len()),
        inside: count(people.iter().filter(|life| life.inside_us.is_some()).count()),
        abandoned: count(people.iter().filter(|life| life.end == End::Abandoned).count()),
        failed: count(people.iter().filter(|life| life.end == End::Failed).count()),
        offered_per_s: float(count(people.len())) / seconds,
        goodput_per_s: float(count(people.iter().filter(|life| good(life, life.knocked_us)).count()))
            / seconds,
        goodput_from_arrival: float(count(
            people.iter().filter(|life| good(life, Some(life.arrived_us))).count(),
        )) / seconds,
        bare_refusals: people.iter().map(|life| u64::from(life.bare)).sum(),
        places_lost: people.iter().map(|life| u64::from(life.places_lost)).sum(),
        places_worsened: people.iter().map(|life| u64::from(life.worsened)).sum(),
        unavailable: people.iter().map(|life| u64::from(life.unavailable)).sum(),
        wait_s: waits(&people),
        wait_s_by_territory: waits_by_territory(&people),
        displacement_p99: displacement(&people),
        order_correlation: correlation(&people, bell.opens_us),
        ..Figures::default()
    };
    for life in lives {
        for (route, statuses) in &life.answers {
            for (status, times) in statuses {
                *found.status_counts.entry(format!("{route} {status}")).or_default() += u64::from(*times);
                found.responses += u64::from(*times);
            }
        }
        found.unanswered += life.unanswered.values().map(|times| u64::from(*times)).sum::<u64>();
    }
    found.jain_over_time = jain_over_time(&people, window_us, rosters);
    let indices = found.jain_over_time.iter().map(|(_, index)| *index);
    found.jain_schools = indices.clone().min_by(f64::total_cmp);
    let looks = found.jain_over_time.len();
    found.jain_schools_mean = (looks > 0).then(|| indices.sum::<f64>() / float(count(looks)));
    found.eta_within_band = within(&people, |life| life.estimate.map(|it| (it.at_us, it.low_s, it.high_s)));
    found.eta_after_30s_within_band =
        within(&people, |life| life.later_estimate.map(|it| (it.at_us, it.low_s, it.high_s)));
    let per_success = |lives: &mut dyn Iterator<Item = &&Life>| {
        let (mut posts, mut successes) = (0_u64, 0_u64);
        for life in lives {
            posts += u64::from(life.posts);
            successes += u64::from(life.inside_us.is_some());
        }
        (successes > 0).then(|| float(posts) / float(successes))
    };
    found.posts_per_success =
        per_success(&mut people.iter().filter(|life| !life.human && life.inside_us.is_some()));
    found.posts_per_success_everybody = per_success(&mut people.iter());
    let hashes = |hostile: bool| -> u64 {
        lives.iter().filter(|life| life.hostile == hostile).map(|life| u64::from(life.hashes)).sum()
    };
    let all = hashes(true) + hashes(false);
    found.hash_cpu_share_hostile = float(hashes(true)) / float(all.max(1));
    found.hostile_share = float(count(lives.len() - people.len())) / float(count(lives.len()).max(1));
    for life in lives.iter().filter(|life| life.hashes > 0) {
        let lane = life.lane.clone().unwrap_or_else(|| "none".to_owned());
        *found.hash_share_by_lane.entry(lane).or_default() += f64::from(life.hashes) / float(all.max(1));
    }
    found.people_suspected =
        count(people.iter().filter(|life| life.lane.as_deref() == Some("suspect")).count());
    found.lessons = count(bell.classes.len());
    (found.lessons_full_by_0905, found.teachers_in_by_0858) = lessons(lives, bell);
    found.guardians_before_lessons = guardians_before_lessons(lives);
    found
}

fn waits(people: &[&Life]) -> BTreeMap<&'static str, Waits> {
    let mut by_class: BTreeMap<&'static str, Vec<&Life>> = BTreeMap::new();
    for life in people {
        by_class.entry(life.class).or_default().push(life);
        if life.role == "teacher" {
            by_class.entry("teachers").or_default().push(life);
        }
    }
    by_class.into_iter().map(|(class, lives)| (class, waits_of(&lives))).collect()
}

fn waits_by_territory(people: &[&Life]) -> BTreeMap<usize, Waits> {
    let mut by_territory: BTreeMap<usize, Vec<&Life>> = BTreeMap::new();
    for life in people {
        if let Some(territory) = life.territory {
            by_territory.entry(territory).or_default().push(life);
        }
    }
    // One alone is worth a line when it is not the only one of its world.
    if by_territory.keys().all(|territory| *territory == 0) {
        return BTreeMap::new();
    }
    by_territory.into_iter().map(|(territory, lives)| (territory, waits_of(&lives))).collect()
}

/// Waits of these people.
pub(super) fn waits_of(lives: &[&Life]) -> Waits {
    let mut waited: Vec<f64> = lives.iter().filter_map(|life| life.wait_s()).collect();
    waited.sort_by(f64::total_cmp);
    let mut homes: Vec<f64> = lives
        .iter()
        .filter_map(|life| Some(float(life.home_us?.saturating_sub(life.knocked_us?)) / 1e6))
        .collect();
    homes.sort_by(f64::total_cmp);
    let at = |values: &[f64], share| quantile(values, share).unwrap_or_default();
    let outside = lives.iter().filter(|life| life.end == End::CutShort && life.inside_us.is_none()).count();
    Waits {
        arrived: count(lives.len()),
        inside: count(waited.len()),
        p50: at(&waited, 0.5),
        p90: at(&waited, 0.9),
        p99: at(&waited, 0.99),
        still_outside: float(count(outside)) / float(count(lives.len()).max(1)),
        home_p99: at(&homes, 0.99),
    }
}

/// Jain's index: 1 when all are equal, 1/n when one has everything.
#[must_use]
pub fn jain(values: &[f64]) -> Option<f64> {
    let sum: f64 = values.iter().sum();
    let squares: f64 = values.iter().map(|value| value * value).sum();
    (squares > 0.0).then(|| sum * sum / (float(count(values.len())) * squares))
}

/// Within a lane of a school: how far somebody's rank of coming in is from that of arriving, as a share of the group. Whoever
/// walked in is of the lane that they are worth; who comes from a device that nobody knows may wait in another than the rest of
/// their class, and is compared with those beside whom they wait.
fn displacement(people: &[&Life]) -> Option<f64> {
    type Group<'a> = (&'a str, Option<usize>);
    let mut groups: BTreeMap<Group<'_>, Vec<(u64, u64)>> = BTreeMap::new();
    // Whoever mistyped, or pressed at whim, is late by their own doing.
    for life in people.iter().filter(|life| life.typo_posts == 0 && !life.human) {
        if let Some(inside) = life.inside_us {
            let lane = life.lane.as_deref().unwrap_or(life.class);
            groups.entry((lane, life.school)).or_default().push((life.arrived_us, inside));
        }
    }
    let mut all = Vec::new();
    for group in groups.values().filter(|group| group.len() >= ENOUGH) {
        let size = float(count(group.len()));
        let (came, entered) = (ranks(group, |it| it.0), ranks(group, |it| it.1));
        all.extend(came.iter().zip(&entered).map(|(came, entered)| (came - entered).abs() / size));
    }
    all.sort_by(f64::total_cmp);
    quantile(&all, 0.99)
}

fn ranks<T>(items: &[T], key: impl Fn(&T) -> u64) -> Vec<f64> {
    let mut order: Vec<(usize, u64)> = items.iter().map(key).enumerate().collect();
    order.sort_by_key(|(_, key)| *key);
    let mut ranks: Vec<(usize, f64)> =
        order.iter().enumerate().map(|(rank, (item, _))| (*item, float(count(rank)))).collect();
    ranks.sort_by_key(|(item, _)| *item);
    ranks.into_iter().map(|(_, rank)| rank).collect()
}

/// Spearman's, over the pupils who came in.
fn correlation(people: &[&Life], opens_us: Option<u64>) -> Option<f64> {
    let came: Vec<(u64, u64)> = people
        .iter()
        .filter(|life| life.class == "in-slot" && life.typo_posts == 0)
        .filter(|life| opens_us.is_none_or(|opens| life.arrived_us < opens))
        .filter_map(|life| Some((life.arrived_us, life.inside_us?)))
        .collect();
    if came.len() < ENOUGH {
        return None;
    }
    let size = float(count(came.len()));
    let (one, two) = (ranks(&came, |it| it.0), ranks(&came, |it| it.1));
    let squares: f64 = one.iter().zip(&two).map(|(one, two)| (one - two).powi(2)).sum();
    Some(1.0 - 6.0 * squares / (size * (size * size - 1.0)))
}

/// Share of estimates whose range held. Somebody who gave up, or whom the segment's end found waiting inside of the range,
/// tells nothing; who was still waiting past its end was told wrong.
fn within(people: &[&Life], estimate: impl Fn(&Life) -> Option<(u64, f64, f64)>) -> Option<f64> {
    let (mut right, mut all) = (0_u64, 0_u64);
    for life in people {
        // Who presses at whim, or mistypes, comes in when they please.
        let Some((at, low, high)) = estimate(life).filter(|_| !life.human && life.typo_posts == 0) else {
            continue;
        };
        if let Some(inside) = life.inside_us {
            let took = float(inside.saturating_sub(at)) / 1e6;
            all += 1;
            right += u64::from(took >= low && took <= high);
        }
    }
    (all > 0).then(|| float(right) / float(all))
}

/// Shares of the lessons that are full in time with their teacher, and of the teachers who are there in time.
fn lessons(lives: &[Life], bell: &Bell) -> (Option<f64>, Option<f64>) {
    let inside_by: BTreeMap<u64, u64> =
        lives.iter().filter_map(|life| Some((life.user, life.inside_us?))).collect();
    let by = |user: &u64, deadline: u64| inside_by.get(user).is_some_and(|inside| *inside <= deadline);
    let share = |part: usize, all: usize| (all > 0).then(|| float(count(part)) / float(count(all)));
    let full = bell.classes.iter().filter(|(pupils, teacher)| {
        let there = pupils.iter().filter(|user| by(user, bell.full_by_us)).count();
        there * 10 >= pupils.len() * 9 && teacher.is_none_or(|teacher| by(&teacher, bell.teachers_by_us))
    });
    let teachers: Vec<u64> = bell.classes.iter().filter_map(|(_, teacher)| *teacher).collect();
    let in_time = teachers.iter().filter(|teacher| by(teacher, bell.teachers_by_us));
    (share(full.count(), bell.classes.len()), share(in_time.count(), teachers.len()))
}

/// The same second by second, for plots.
#[must_use]
pub fn series(lives: &[Life], until_us: u64) -> Series {
    let seconds = usize::try_from(until_us / 1_000_000 + 1).unwrap_or(0);
    let second = |us: u64| usize::try_from(us / 1_000_000).unwrap_or(usize::MAX);
    let mut series = Series {
        offered: vec![0; seconds],
        goodput: vec![0; seconds],
        outside: vec![0; seconds],
        ..Series::default()
    };
    let mut moves = vec![0_i64; seconds + 1];
    let mut waits: BTreeMap<&'static str, Vec<(f64, u32)>> = BTreeMap::new();
    for life in lives.iter().filter(|life| !life.hostile) {
        if let Some(slot) = series.offered.get_mut(second(life.arrived_us)) {
            *slot += 1;
        }
        if let Some(slot) = moves.get_mut(second(life.arrived_us)) {
            *slot += 1;
        }
        if let Some(inside) = life.inside_us {
            if let Some(slot) = series.goodput.get_mut(second(inside)) {
                *slot += 1;
            }
            if let Some(slot) = moves.get_mut(second(inside)) {
                *slot -= 1;
            }
            let slots = waits.entry(life.class).or_insert_with(|| vec![(0.0, 0); seconds]);
            if let (Some((sum, number)), Some(wait)) = (slots.get_mut(second(inside)), life.wait_s()) {
                *sum += wait;
                *number += 1;
            }
        } else if let Some(slot) = life.left_us.and_then(|left| moves.get_mut(second(left))) {
            *slot -= 1;
        }
    }
    let mut outside = 0_i64;
    for (slot, change) in series.outside.iter_mut().zip(&moves) {
        outside += change;
        *slot = u32::try_from(outside).unwrap_or(0);
    }
    let mean = |(sum, number): (f64, u32)| (number > 0).then(|| sum / f64::from(number));
    series.wait_s =
        waits.into_iter().map(|(class, slots)| (class, slots.into_iter().map(mean).collect())).collect();
    series
}

/// The best second-long mean over `width` seconds: a peak that one lucky second does not make.
#[must_use]
pub fn best_mean(goodput: &[u32], width: usize) -> f64 {
    let width = width.clamp(1, goodput.len().max(1));
    let sums = goodput.windows(width).map(|window| window.iter().map(|it| f64::from(*it)).sum::<f64>());
    sums.fold(0.0, f64::max) / float(count(width))
}

/// Seconds from `mended_s` until a mean of three seconds reaches 95 % of the mean of the five before `broken_s`.
#[must_use]
pub fn recovery(goodput: &[u32], broken_s: f64, mended_s: f64) -> Option<f64> {
    let at = |second: f64| usize::try_from(floor(second)).unwrap_or(usize::MAX);
    let mean =
        |part: &[u32]| part.iter().map(|it| f64::from(*it)).sum::<f64>() / float(count(part.len().max(1)));
    let before = goodput.get(at(broken_s).saturating_sub(5)..at(broken_s))?;
    let wanted = 0.95 * mean(before);
    // Nobody came in before either: there is nothing to come back to.
    if wanted <= 0.0 {
        return None;
    }
    let after = goodput.get(at(mended_s)..)?;
    let found = after.windows(3).position(|window| mean(window) >= wanted)?;
    Some(float(count(found)))
}

/// Whether an answer is our fault: 5xx, but for 503 while something is down.
#[must_use]
pub fn broken(status_counts: &BTreeMap<String, u64>) -> u64 {
    status_counts
        .iter()
        .filter(|(name, _)| {
            let status = name.rsplit(' ').next().and_then(|status| status.parse::<u16>().ok());
            status.is_some_and(|status| status >= 500 && status != 503)
        })
        .map(|(_, times)| times)
        .sum()
}

/// The lanes' names in the order of who goes first.
pub const CLASSES: [&str; 4] = ["teachers", "lesson", "in-slot", "guardian"];

/// Routes that only a proxy's cache should answer.
#[must_use]
pub fn polls(figures: &Figures) -> u64 {
    figures
        .status_counts
        .iter()
        .filter(|(name, _)| name.starts_with(route::NOW))
        .map(|(_, times)| times)
        .sum()
}

/// A figure with as many digits as people read.
#[must_use]
pub fn short(value: f64) -> String {
    match () {
        () if !value.is_finite() => "–".to_owned(),
        () if value.abs() >= 100.0 => format!("{}", floor(value.abs().round())),
        () if value.abs() >= 10.0 => format!("{value:.1}"),
        () => format!("{value:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storm::life::Estimate;

    fn life(user: u64, school: usize, arrived_s: f64, inside_s: Option<f64>) -> Life {
        let us = |seconds: f64| floor(seconds * 1e6);
        let mut life = Life {
            user,
            role: "pupil",
            class: "in-slot",
            school: Some(school),
            arrived_us: us(arrived_s),
            knocked_us: inside_s.map(|at| us(at - 0.1)),
            inside_us: inside_s.map(us),
            home_us: inside_s.map(|at| us(at + 0.05)),
            end: if inside_s.is_some() { End::Inside } else { End::CutShort },
            posts: 1,
            hashes: u32::from(inside_s.is_some()),
            ..Life::default()
        };
        life.answered(route::SESSIONS, if inside_s.is_some() { 201 } else { 202 });
        life
    }

    #[test]
    fn goodput_counts_from_the_knock_and_from_the_arrival() {
        let lives = vec![
            life(0, 0, 0.0, Some(1.0)),
            life(1, 0, 0.0, Some(19.0)),
            life(2, 0, 1.0, None),
            life(3, 0, 1.0, Some(25.0)),
        ];
        let found = figures(&lives, 20_000_000, &[10], &Bell::default());
        assert_eq!((found.arrived, found.inside), (4, 3));
        assert!((found.goodput_per_s - 2.0 / 20.0).abs() < 1e-9, "the drain is no throughput");
        assert!((found.goodput_from_arrival - 1.0 / 20.0).abs() < 1e-9);
        assert_eq!(found.status_counts["POST /api/v1/sessions 201"], 3);
        assert!((found.wait_s["in-slot"].still_outside - 0.25).abs() < 1e-9);
    }

    #[test]
    fn equal_progress_is_fair_and_one_school_first_is_not() {
        let mut fair = Vec::new();
        let mut unfair = Vec::new();
        for user in 0..200 {
            let school = usize::try_from(user % 2).unwrap();
            let at = f64::from(u32::try_from(user).unwrap()) / 10.0;
            fair.push(life(user, school, 0.0, Some(at + 0.2)));
            let late = if school == 0 { at / 2.0 } else { 10.0 + at / 2.0 };
            unfair.push(life(user, school, 0.0, Some(late + 0.2)));
        }
        let of =
            |lives: &[Life]| figures(lives, 20_000_000, &[100, 100], &Bell::default()).jain_schools.unwrap();
        assert!(of(&fair) > 0.99, "{}", of(&fair));
        assert!(of(&unfair) < 0.6, "{}", of(&unfair));
        assert_eq!(jain(&[]), None);
        assert!((jain(&[1.0, 0.0]).unwrap() - 0.5).abs() < 1e-9);
    }

    #[test]
    fn first_come_first_served_displaces_nobody_and_a_lottery_does() {
        let ordered: Vec<Life> = (0..100)
            .map(|user| {
                life(
                    user,
                    0,
                    f64::from(u32::try_from(user).unwrap()),
                    Some(200.0 + f64::from(u32::try_from(user).unwrap())),
                )
            })
            .collect();
        let found = figures(&ordered, 400_000_000, &[100], &Bell::default());
        assert!(found.displacement_p99.unwrap() < 1e-9);
        assert!((found.order_correlation.unwrap() - 1.0).abs() < 1e-9);
        let mut reversed = ordered;
        for (at, life) in reversed.iter_mut().enumerate() {
            life.inside_us = Some(600_000_000 - 1_000_000 * count(at));
        }
        let found = figures(&reversed, 700_000_000, &[100], &Bell::default());
        assert!(found.displacement_p99.unwrap() > 0.9);
        assert!((found.order_correlation.unwrap() + 1.0).abs() < 1e-9);
    }

    #[test]
    fn a_lesson_is_full_with_nine_in_ten_and_its_teacher() {
        let mut lives: Vec<Life> = (0..10).map(|user| life(user, 0, 0.0, Some(5.0))).collect();
        lives[0].inside_us = None;
        lives.push(life(10, 0, 0.0, Some(2.0)));
        let bell = |teachers_by_us| Bell {
            full_by_us: 10_000_000,
            teachers_by_us,
            opens_us: None,
            classes: vec![((0..10).collect(), Some(10)), (vec![0, 1], None)],
        };
        let full = |by| figures(&lives, 20_000_000, &[11], &bell(by)).lessons_full_by_0905.unwrap();
        assert!((full(3_000_000) - 0.5).abs() < 1e-9);
        assert!(full(1_000_000).abs() < 1e-9, "the teacher was late");
        let teachers = |by| figures(&lives, 20_000_000, &[11], &bell(by)).teachers_in_by_0858.unwrap();
        assert!((teachers(3_000_000) - 1.0).abs() < 1e-9 && teachers(1_000_000).abs() < 1e-9);
    }

    #[test]
    fn an_estimate_holds_when_they_came_in_within_its_range() {
        let told = |inside: f64| Life {
            estimate: Some(Estimate { at_us: 1_000_000, eta_s: 10.0, low_s: 8.0, high_s: 14.0 }),
            ..life(0, 0, 0.0, Some(inside))
        };
        let found =
            figures(&[told(11.0), told(30.0), told(15.0), told(2.0)], 40_000_000, &[4], &Bell::default());
        assert!((found.eta_within_band.unwrap() - 0.5).abs() < 1e-9);
    }

    #[test]
    fn hostile_people_count_apart() {
        let mut lives = vec![life(0, 0, 0.0, Some(1.0)), life(1, 0, 0.0, Some(1.0))];
        lives[1].hostile = true;
        lives[1].hashes = 3;
        let found = figures(&lives, 10_000_000, &[4], &Bell::default());
        assert_eq!(found.arrived, 1);
        assert!((found.hash_cpu_share_hostile - 0.75).abs() < 1e-9);
        assert!((found.hostile_share - 0.5).abs() < 1e-9);
        assert!((found.hash_share_by_lane["none"] - 1.0).abs() < 1e-9);
        for life in &mut lives {
            life.lane = Some("suspect".to_owned());
        }
        lives[0].hostile = false;
        let found = figures(&lives, 10_000_000, &[4], &Bell::default());
        assert_eq!(found.people_suspected, 1);
        assert!((found.hash_share_by_lane["suspect"] - 1.0).abs() < 1e-9);
        assert_eq!(found.responses, 2);
    }

    #[test]
    fn seconds_add_up() {
        let gone = Life { left_us: Some(3_200_000), ..life(2, 0, 1.5, None) };
        let lives = [life(0, 0, 0.5, Some(2.5)), life(1, 0, 1.5, None), gone];
        let series = series(&lives, 4_000_000);
        assert_eq!(series.offered, [1, 2, 0, 0, 0]);
        assert_eq!(series.goodput, [0, 0, 1, 0, 0]);
        assert_eq!(series.outside, [1, 3, 2, 1, 1], "whoever gave up waits no more");
        assert!((best_mean(&series.goodput, 2) - 0.5).abs() < 1e-9);
        assert_eq!(series.wait_s["in-slot"][2], Some(2.0));
    }

    #[test]
    fn recovery_is_counted_from_the_mending() {
        let goodput = [10, 10, 10, 10, 10, 0, 0, 0, 2, 6, 10, 10, 10, 10];
        assert_eq!(recovery(&goodput, 5.0, 8.0), Some(2.0));
        assert_eq!(recovery(&goodput[..11], 5.0, 8.0), None);
        assert_eq!(recovery(&goodput, 5.0, 99.0), None);
        assert_eq!(recovery(&[0; 14], 5.0, 8.0), None);
    }

    #[test]
    fn territories_are_told_apart_where_there_are_several() {
        let mut lives = vec![life(0, 0, 0.0, Some(1.0)), life(1, 0, 0.0, Some(9.0))];
        let found = |lives: &[Life]| figures(lives, 10_000_000, &[4], &Bell::default()).wait_s_by_territory;
        (lives[0].territory, lives[1].territory) = (Some(0), Some(0));
        assert!(found(&lives).is_empty());
        lives[1].territory = Some(1);
        assert!((found(&lives)[&1].p99 - 9.0).abs() < 1e-9);
    }

    #[test]
    fn five_hundreds_are_ours_and_503_is_not() {
        let counts = [("POST /x 500", 2), ("POST /x 503", 9), ("GET /y 200", 1)];
        let counts = counts.into_iter().map(|(name, times)| (name.to_owned(), times)).collect();
        assert_eq!(broken(&counts), 2);
    }
}
