//! Rushes that are played again and again.

use super::{Cohort, Dice, Policy, Tickets, World};
use crate::{inlet::InletConfig, lane::Lane, lanes::Fairness, num};

/// One school, one lane: `times` the capacity of 80 sign-ins a second, evenly, for so many seconds.
pub fn storm(policy: Policy, times: f64, seconds: f64) -> World {
    let people = whole(80.0 * times * seconds);
    let cohort = Cohort {
        territory: 0,
        school: 0,
        roster: people,
        lane: Lane::InSlot,
        people,
        from_ms: 0,
        to_ms: whole(seconds * 1000.0),
    };
    World::small(policy, vec![cohort], seconds)
}

/// One school of 3 000 that comes at once, twenty of 150 to 900 in the half minute after (§A.5).
pub fn schools(fairness: Fairness) -> World {
    let mut dice = Dice::new(21);
    let mut cohorts = vec![Cohort {
        territory: 0,
        school: 0,
        roster: 3000,
        lane: Lane::InSlot,
        people: 3000,
        from_ms: 0,
        to_ms: 3000,
    }];
    for school in 1..=20 {
        let people = 150 + dice.below(751);
        cohorts.push(Cohort {
            territory: 0,
            school,
            roster: people,
            lane: Lane::InSlot,
            people,
            from_ms: 1000,
            to_ms: 11_000,
        });
    }
    World::small(Policy::Ticket(Tickets { fairness, ..Tickets::default() }), cohorts, 30.0)
}

/// Everybody of a school of the first territory, all in one lane.
fn cohort(school: u32, lane: Lane, people: u32, from_ms: u32, to_ms: u32) -> Cohort {
    Cohort { territory: 0, school, roster: people, lane, people, from_ms, to_ms }
}

/// Teachers at 60 % of the capacity for a minute, under ten times the capacity of pupils and guardians.
pub fn lanes(policy: Policy) -> World {
    let cohorts = vec![
        cohort(0, Lane::Lesson, 80 * 60 * 6 / 10, 0, 60_000),
        cohort(1, Lane::InSlot, 80 * 60 * 6, 0, 60_000),
        cohort(2, Lane::OutOfSlot, 80 * 60 * 2, 0, 60_000),
        cohort(3, Lane::Guardian, 80 * 60 * 2, 0, 60_000),
    ];
    World { horizon_s: 1200.0, ..World::small(policy, cohorts, 60.0) }
}

/// Lessons at nine that take nearly all that there is for a minute, their people around the hour as a bell; teachers who come
/// all along; and whoever has no lesson, pressing from before the bell's middle and told after half a minute that they will
/// wait for it to ring out. `foreseen`: the leader knows the lessons.
pub fn bell(foreseen: bool) -> World {
    const CLASSES: u32 = 1;
    let slices = (-6..=6i32).map(|slice| {
        let sigmas = f64::from(slice) * 0.4;
        (slice, (-sigmas * sigmas / 2.0).exp())
    });
    let whole_bell: f64 = slices.clone().map(|(_, height)| height).sum();
    // 6.2 s of the tale's sigma of 15.6 a slice, around the seventy-second.
    let mut cohorts: Vec<Cohort> = slices
        .map(|(slice, height)| {
            let from = u32::try_from(72_000 + slice * 6_200 - 3_100).unwrap_or(0);
            let people = whole(1_600.0 * height / whole_bell);
            Cohort { roster: 1_600, ..cohort(CLASSES, Lane::Lesson, people, from, from + 6_200) }
        })
        .collect();
    cohorts.push(cohort(2, Lane::Lesson, 7 * 300, 0, 300_000));
    cohorts.push(cohort(3, Lane::InSlot, 5_500, 40_000, 62_000));
    World {
        hash_s: 0.05,
        called: if foreseen { vec![CLASSES] } else { Vec::new() },
        horizon_s: 600.0,
        ..World::small(Policy::Ticket(Tickets::default()), cohorts, 110.0)
    }
}

/// A little more than there is room for, for five minutes: forty schools of log-normal size, of which every second one comes
/// with three times as many of its people as the others, and guardians behind. Nothing ends while people wait: those of the schools
/// that come less pass before them, and whoever has only a floor keeps it.
pub fn sustained() -> World {
    const SECONDS: f64 = 300.0;
    let sizes = sizes(40, &mut Dice::new(40));
    let sum: f64 = (0u32..).zip(&sizes).map(|(school, size)| size * f64::from(1 + 2 * (school % 2))).sum();
    let cohorts = (0u32..)
        .zip(sizes)
        .flat_map(|(school, size)| {
            let of = |part: f64| whole(80.0 * 1.2 * SECONDS * part * size / sum).max(1);
            let (all, times) = (of(1.0), 1 + 2 * (school % 2));
            let come = |lane, people| Cohort {
                roster: all * 3,
                ..cohort(school, lane, people, 0, whole(SECONDS * 1000.0))
            };
            [
                come(Lane::InSlot, of(0.97 * f64::from(times))),
                come(Lane::Guardian, of(0.03 * f64::from(times))),
            ]
        })
        .collect();
    World::small(Policy::Ticket(Tickets::default()), cohorts, SECONDS)
}

/// Log-normal sizes of schools.
fn sizes(schools: u32, dice: &mut Dice) -> Vec<f64> {
    (0..schools)
        .map(|_| {
            // The sum of twelve dice is nearly normal.
            let normal: f64 = (0..12).map(|_| dice.unit()).sum::<f64>() - 6.0;
            (0.8 * normal).exp()
        })
        .collect()
}

/// Two territories of one size: the first at twenty times its half of the capacity, the second at a fifth of its own.
pub fn bulkhead() -> World {
    let cohort = |territory, people| Cohort {
        territory,
        school: territory,
        roster: 20_000,
        lane: Lane::InSlot,
        people,
        from_ms: 0,
        to_ms: 30_000,
    };
    World::small(Policy::Ticket(Tickets::default()), vec![cohort(0, 40 * 20 * 30), cohort(1, 8 * 30)], 30.0)
}

/// A country at nine: `people` of `schools` schools of log-normal size in thirteen territories, most within two minutes
/// of the hour, on `nodes` nodes of two processors.
pub fn country(people: u32, schools: u32, nodes: u32) -> World {
    let mut dice = Dice::new(9);
    let sizes = sizes(schools, &mut dice);
    let sum: f64 = sizes.iter().sum();
    let mut cohorts = Vec::new();
    for (school, size) in (0u32..).zip(sizes) {
        let roster = whole(f64::from(people) * size / sum).max(12);
        let territory = school % 13;
        let from_ms = dice.below(20_000);
        let parts = [(Lane::Lesson, 0.08), (Lane::InSlot, 0.78), (Lane::Guardian, 0.14)];
        for (lane, part) in parts {
            cohorts.push(Cohort {
                territory,
                school,
                roster,
                lane,
                people: whole(f64::from(roster) * part).max(1),
                from_ms: if lane == Lane::Lesson { from_ms / 2 } else { 20_000 + from_ms },
                to_ms: if lane == Lane::Lesson { 60_000 } else { 140_000 },
            });
        }
    }
    World {
        nodes,
        storm_s: 140.0,
        horizon_s: 3600.0,
        ..World::small(Policy::Ticket(Tickets::default()), cohorts, 140.0)
    }
}

/// The rows of §A.5 that keep places: their names there, and how they are played.
pub fn ablations() -> Vec<(&'static str, Tickets, f64)> {
    let plain = Tickets {
        fairness: Fairness::Fifo,
        early: false,
        cached: false,
        inlet: InletConfig { feed_forward_most: 1.0, ..InletConfig::default() },
        ..Tickets::default()
    };
    let nominal = Tickets { nominal_eta: true, ..plain };
    let early = Tickets { early: true, ..plain };
    let forward = Tickets { inlet: InletConfig::default(), ..early };
    vec![
        (
            "ticket, fixed inlet 0.95 µ",
            Tickets { fixed: Some(0.95), inlet: deaf(plain.inlet), ..nominal },
            0.0,
        ),
        ("ticket + inlet on backlog", nominal, 0.0),
        ("same, 30 % abandon, ETA nominal", nominal, 0.3),
        ("same, 30 % abandon, ETA measured", plain, 0.3),
        ("same, 60 % abandon, ETA measured", plain, 0.6),
        ("same + early polls, 30 % abandon", early, 0.3),
        ("same + early polls, 60 % abandon", early, 0.6),
        ("same + feed-forward, 60 % abandon", forward, 0.6),
    ]
}

/// Ours with one thing changed each: what each mechanism is worth.
pub fn without() -> Vec<(&'static str, Tickets)> {
    let ours = Tickets::default();
    let inlet = ours.inlet;
    let gains = |gain| Tickets { inlet: InletConfig { gain_per_s: gain, fill_per_s: gain, ..inlet }, ..ours };
    vec![
        ("ours", ours),
        ("backlog = hashes queued only", Tickets { count_back: false, ..ours }),
        ("gain 0.3 a second both ways", gains(0.3)),
        ("gain 1 a second both ways", gains(1.0)),
        ("gain 3 a second both ways", gains(3.0)),
        ("no correction by the backlog", Tickets { inlet: deaf(inlet), ..ours }),
        ("newest first under a standing queue", Tickets { lifo: true, ..ours }),
        ("looks as late as the estimate says", Tickets { capped: false, ..ours }),
        ("looks at the end of the estimate", Tickets { early: false, ..ours }),
        ("enter without a place under 0.2 s", Tickets { direct_s: 0.2, ..ours }),
        ("estimate from the nominal speed", Tickets { nominal_eta: true, ..ours }),
        (
            "no feed-forward of no-shows",
            Tickets { inlet: InletConfig { feed_forward_most: 1.0, ..inlet }, ..ours },
        ),
        ("looks answered by the nodes", Tickets { cached: false, ..ours }),
        (
            "all of §B.4 and B.6 as written",
            Tickets {
                count_back: false,
                lifo: true,
                capped: false,
                direct_s: 0.2,
                inlet: InletConfig { gain_per_s: 1.5, fill_per_s: 1.5, target_jobs: 0.0, ..inlet },
                ..ours
            },
        ),
    ]
}

/// An inlet that the backlog does not move.
fn deaf(inlet: InletConfig) -> InletConfig {
    InletConfig { gain_per_s: 0.0, fill_per_s: 0.0, ..inlet }
}

fn whole(x: f64) -> u32 {
    u32::try_from(num::whole(x)).unwrap_or(u32::MAX)
}
