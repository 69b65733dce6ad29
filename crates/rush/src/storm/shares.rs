//! Shares that grow or sink while a segment is played: Jain's index between schools, lessons that are full; and the waits of
//! one school. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    life::Life,
    tally::{Bell, ENOUGH, Waits, jain, waits_of},
};
use crate::number::{count, float, floor};

/// Jain's index of roster progress between schools in which somebody waits, looked at every ten seconds (or five times a
/// segment that is shorter than fifty): the second of the look, and the index then. A look at which fewer than two schools had
/// somebody waiting is left out.
#[must_use]
pub fn jain_over_time(people: &[&Life], window_us: u64, rosters: &[u64]) -> Vec<(f64, f64)> {
    let step = jain_step_us(window_us);
    let mut found = Vec::new();
    let mut at = step;
    while at <= window_us {
        let mut schools: BTreeMap<usize, (u64, bool)> = BTreeMap::new();
        for life in people.iter().filter(|life| life.class == "in-slot" && life.arrived_us <= at) {
            let Some(school) = life.school else { continue };
            let (inside, waits) = schools.entry(school).or_default();
            match life.inside_us {
                Some(since) if since <= at => *inside += 1,
                _ => *waits = true,
            }
        }
        let progress: Vec<f64> = schools
            .iter()
            .filter(|(_, (_, waits))| *waits)
            .filter_map(|(school, (inside, _))| {
                let roster = rosters.get(*school).copied().filter(|roster| *roster >= 1)?;
                Some(float(*inside) / float(roster))
            })
            .collect();
        if progress.len() > 1 {
            found.extend(jain(&progress).map(|index| (float(at) / 1e6, index)));
        }
        at += step;
    }
    found
}

fn jain_step_us(window_us: u64) -> u64 {
    (window_us / 5).clamp(1, 10_000_000)
}

/// The same for a plot: each look stands for the seconds since the one before it.
#[must_use]
pub fn jain_by_second(looks: &[(f64, f64)], window_us: u64, seconds: usize) -> Vec<Option<f64>> {
    let step_s = float(jain_step_us(window_us)) / 1e6;
    let slot = |second: f64| usize::try_from(floor(second.max(0.0))).unwrap_or(usize::MAX).min(seconds);
    let mut line = vec![None; seconds];
    for (at_s, index) in looks {
        for cell in line.get_mut(slot(at_s - step_s)..slot(*at_s)).into_iter().flatten() {
            *cell = Some(*index);
        }
    }
    line
}

/// By second, the share of the lessons that have nine in ten of those who came, and the teacher, inside; empty without lessons.
#[must_use]
pub fn lessons_full_by_second(lives: &[Life], bell: &Bell, seconds: usize) -> Vec<Option<f64>> {
    if bell.classes.is_empty() {
        return Vec::new();
    }
    let inside: BTreeMap<u64, u64> =
        lives.iter().filter_map(|life| Some((life.user, life.inside_us?))).collect();
    let full_at = |(pupils, teacher): &(Vec<u64>, Option<u64>)| -> Option<u64> {
        let mut there: Vec<u64> = pupils.iter().filter_map(|user| inside.get(user).copied()).collect();
        there.sort_unstable();
        let ninth = *there.get((pupils.len() * 9).div_ceil(10).checked_sub(1)?)?;
        match teacher {
            Some(teacher) => Some(ninth.max(*inside.get(teacher)?)),
            None => Some(ninth),
        }
    };
    let mut full: Vec<u64> = bell.classes.iter().filter_map(full_at).collect();
    full.sort_unstable();
    let all = float(count(bell.classes.len()));
    (1..=count(seconds))
        .map(|second| Some(float(count(full.partition_point(|at| *at < second * 1_000_000))) / all))
        .collect()
}

/// Of all who came in while somebody whom a lesson calls was on the way in, the share that the line let in as guardians: what a
/// door where lessons go first gives them by its floor, and no more (`reference/overload.md` §E, S2). `None` of fewer than
/// [`ENOUGH`], and where no guardian waited. Whoever mistyped or presses at whim is late by their own doing.
#[must_use]
pub fn guardians_before_lessons(lives: &[Life]) -> Option<f64> {
    let people = || lives.iter().filter(|life| !life.hostile);
    let called = people().filter(|life| life.class == "lesson" && !life.human && life.typo_posts == 0);
    let mut waits: Vec<(u64, u64)> =
        called.map(|life| (life.arrived_us, life.inside_us.or(life.left_us).unwrap_or(u64::MAX))).collect();
    waits.sort_unstable();
    // Those that overlap are one: from who came first of them until who was in last.
    let mut whiles: Vec<(u64, u64)> = Vec::new();
    for (from, until) in waits {
        match whiles.last_mut() {
            Some(last) if from <= last.1 => last.1 = last.1.max(until),
            _ => whiles.push((from, until)),
        }
    }
    let meanwhile = |at: u64| {
        let begun = whiles.partition_point(|(from, _)| *from <= at);
        begun.checked_sub(1).and_then(|last| whiles.get(last)).is_some_and(|(_, until)| at <= *until)
    };
    let came_in: Vec<&Life> = people().filter(|life| life.inside_us.is_some_and(meanwhile)).collect();
    let waited = |life: &Life| life.lane.as_deref() == Some("guardian");
    let guardians = came_in.iter().filter(|life| waited(life)).count();
    (people().any(waited) && came_in.len() >= ENOUGH)
        .then(|| float(count(guardians)) / float(count(came_in.len())))
}

/// Waits of the people, not hostile, of each of these schools (in [`super::world::World::schools`]).
#[must_use]
pub fn waits_of_schools(lives: &[Life], schools: &BTreeSet<usize>) -> BTreeMap<usize, Waits> {
    let of = |school: usize| -> Vec<&Life> {
        lives.iter().filter(|life| !life.hostile && life.school == Some(school)).collect()
    };
    schools.iter().map(|school| (*school, waits_of(&of(*school)))).collect()
}

/// Waits of people, not hostile, by the lane that they were told last.
#[must_use]
pub fn waits_by_lane(lives: &[Life]) -> BTreeMap<String, Waits> {
    let mut by_lane: BTreeMap<&str, Vec<&Life>> = BTreeMap::new();
    for life in lives.iter().filter(|life| !life.hostile) {
        if let Some(lane) = &life.lane {
            by_lane.entry(lane).or_default().push(life);
        }
    }
    by_lane.into_iter().map(|(lane, lives)| (lane.to_owned(), waits_of(&lives))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn life(user: u64, school: usize, inside_s: Option<f64>) -> Life {
        let inside_us = inside_s.map(|at| floor(at * 1e6));
        Life { user, class: "in-slot", school: Some(school), inside_us, ..Life::default() }
    }

    #[test]
    fn the_index_is_looked_at_while_two_schools_wait_and_stands_for_the_seconds_before() {
        // The second school's only pupil comes in at fifteen seconds: then nobody is compared with the first any more.
        let lives = [life(0, 0, None), life(1, 0, Some(1.0)), life(2, 1, Some(15.0)), life(3, 1, None)];
        let mut people: Vec<&Life> = lives.iter().collect();
        let looks = jain_over_time(&people, 50_000_000, &[10, 10]);
        assert_eq!(looks.len(), 5);
        assert_eq!(looks[0], (10.0, 0.5), "one school has everything");
        assert_eq!(looks[1], (20.0, 1.0));
        let line = jain_by_second(&looks, 50_000_000, 60);
        assert_eq!((line[0], line[9], line[10], line[49]), (Some(0.5), Some(0.5), Some(1.0), Some(1.0)));
        assert_eq!(line[50], None, "nobody looks during the drain");
        people.truncate(2);
        assert!(
            jain_over_time(&people, 50_000_000, &[10, 10]).is_empty(),
            "a school alone is compared with none"
        );
    }

    #[test]
    fn lessons_fill_up_second_by_second() {
        let mut lives: Vec<Life> = (0..10).map(|user| life(user, 0, Some(2.5))).collect();
        lives[9].inside_us = None;
        lives.push(life(10, 0, Some(4.5)));
        let classes = vec![((0..10).collect(), Some(10)), (vec![0, 1], None), (vec![9], None)];
        let bell = Bell { classes, ..Bell::default() };
        let third = 1.0 / 3.0;
        let line = lessons_full_by_second(&lives, &bell, 6);
        let expected = [0.0, 0.0, third, third, 2.0 * third, 2.0 * third];
        assert!(
            line.iter().zip(expected).all(|(cell, wanted)| (cell.unwrap() - wanted).abs() < 1e-9),
            "{line:?}"
        );
        assert!(lessons_full_by_second(&lives, &Bell::default(), 6).is_empty());
    }

    #[test]
    fn guardians_are_counted_while_a_lesson_s_people_come_in_and_no_longer() {
        let called = |user: u64, from_s: u64, inside_s: f64| Life {
            class: "lesson",
            arrived_us: from_s * 1_000_000,
            ..life(user, 0, Some(inside_s))
        };
        let guardian = |user: u64, lane: Option<&str>, inside_s: f64| Life {
            class: "guardian",
            lane: lane.map(str::to_owned),
            ..life(user, 0, Some(inside_s))
        };
        let mut lives: Vec<Life> = (0..30).map(|user| called(user, 1, 2.0 + float(user))).collect();
        lives.push(guardian(30, Some("guardian"), 10.0));
        lives.push(guardian(31, Some("guardian"), 60.0));
        lives.push(guardian(32, None, 11.0));
        let share = |lives: &[Life]| guardians_before_lessons(lives).unwrap();
        let found = share(&lives);
        assert!(
            (found - 1.0 / 32.0).abs() < 1e-9,
            "{found}: one after them, and one walked in, for there was room"
        );
        let mut mistyped = called(33, 1, 70.0);
        mistyped.typo_posts = 1;
        lives.push(mistyped);
        assert!((share(&lives) - found).abs() < 1e-9);
        lives.push(called(34, 50, 65.0));
        assert!((share(&lives) - 2.0 / 34.0).abs() < 1e-9, "a second bell");
        assert_eq!(guardians_before_lessons(&lives[..30]), None, "no guardian waited");
        assert_eq!(guardians_before_lessons(&lives[20..32]), None, "too few");
    }

    #[test]
    fn a_school_s_waits_are_of_its_people_and_not_of_those_who_attack_it() {
        let mut lives = vec![life(0, 3, Some(4.0)), life(1, 3, Some(90.0)), life(2, 1, Some(90.0))];
        lives[1].hostile = true;
        let found = waits_of_schools(&lives, &BTreeSet::from([3]));
        assert_eq!(found.len(), 1);
        assert_eq!((found[&3].arrived, found[&3].p50), (1, 4.0));
    }

    #[test]
    fn waits_are_told_apart_by_the_lane_that_people_were_told() {
        let mut lives = vec![life(0, 3, Some(4.0)), life(1, 3, Some(9.0)), life(2, 1, None)];
        lives[1].lane = Some("out-of-slot".to_owned());
        lives[2].lane = Some("out-of-slot".to_owned());
        let found = waits_by_lane(&lives);
        assert_eq!(found.len(), 1);
        assert_eq!((found["out-of-slot"].arrived, found["out-of-slot"].inside), (2, 1));
    }
}
