//! Who comes in a segment, when, and how: computed from the scenario and its seed before anything is sent.

use std::time::Duration;

use rand::{Rng as _, SeedableRng as _, seq::SliceRandom as _};
use rand_chacha::ChaCha8Rng;

use super::{
    scenario::{Crowd, Manner, Scenario, Segment},
    world::{Kind, Person, Role, World, normal},
};
use crate::number::{count, floor};

/// How somebody proves who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Password,
    /// By the stand-in desk.
    Desk,
    /// With yesterday's refresh token.
    Refresh,
}

/// Somebody about to come.
#[derive(Clone, Debug)]
pub struct Coming {
    /// From the segment's beginning.
    pub at: Duration,
    /// In [`World::people`]; absent for those who are nobody.
    pub person: Option<usize>,
    pub crowd: usize,
    pub manner: Manner,
    pub way: Way,
    pub trusted: bool,
    pub typo: bool,
    /// How long it takes to type again what was wrong, in seconds.
    pub retypes_s: (f64, f64),
    /// Presses the button again and again.
    pub human: bool,
    /// Gives up for good after so much waiting.
    pub abandon: Option<Duration>,
    pub address: String,
    pub seed: u64,
}

/// A segment's people in order of arrival, and how often somebody had to come a second time because everybody had come.
#[derive(Clone, Debug, Default)]
pub struct Gathering {
    pub comings: Vec<Coming>,
    pub repeated: u64,
}

/// The classes whose lesson begins at nine: as many as `lessons.of_capacity` says of what `peak_per_s` lets in.
///
/// # Errors
/// An hour of the scenario is none.
pub fn classes_at_nine(scenario: &Scenario, world: &World, peak_per_s: f64) -> anyhow::Result<Vec<usize>> {
    let lessons = &scenario.lessons;
    let window = scenario.story.second(&lessons.full_by)? - scenario.story.second(&lessons.begin)?;
    let mut room = floor((lessons.of_capacity * peak_per_s * window).max(0.0));
    let mut rng = ChaCha8Rng::seed_from_u64(scenario.seed);
    rng.set_stream(11);
    let mut order: Vec<usize> = (0..world.classes.len()).collect();
    order.shuffle(&mut rng);
    let mut chosen = Vec::new();
    for at in order {
        let Some(class) = world.classes.get(at).filter(|class| class.teacher.is_some()) else { continue };
        let size = count(class.members.len()) + 1;
        if class.members.len() < 5 || size > room {
            continue;
        }
        room -= size;
        chosen.push(at);
    }
    chosen.sort_unstable();
    Ok(chosen)
}

/// Everybody of `segment`; rates are multiples of `peak_per_s`.
///
/// # Errors
/// An hour of the scenario is none.
pub fn gather(
    scenario: &Scenario,
    segment: &Segment,
    world: &World,
    at_nine: &[usize],
    peak_per_s: f64,
) -> anyhow::Result<Gathering> {
    let mut gathering = Gathering::default();
    for (index, crowd) in scenario.crowd.iter().enumerate() {
        if !segment.crowds.is_empty() && !segment.crowds.contains(&crowd.name) {
            continue;
        }
        let mut rng = ChaCha8Rng::seed_from_u64(scenario.seed);
        rng.set_stream(100 + count(index));
        let mut deck: Vec<usize> = eligible(crowd, world, at_nine);
        deck.shuffle(&mut rng);
        let instants = instants(scenario, segment, crowd, peak_per_s, deck.len(), &mut rng)?;
        let mut next = 0;
        for at in instants.into_iter().take(scenario.limits.users.saturating_sub(gathering.comings.len())) {
            let person = if crowd.manner.is_nobody() {
                None
            } else {
                if next == deck.len() {
                    next = 0;
                }
                let Some(&person) = deck.get(next) else { break };
                next += 1;
                Some(person)
            };
            gathering.comings.push(one(scenario, segment, crowd, index, world, person, at, &mut rng));
        }
        let drawn =
            gathering.comings.iter().filter(|coming| coming.crowd == index && coming.person.is_some());
        gathering.repeated += count(drawn.count()).saturating_sub(count(deck.len()));
    }
    gathering.comings.sort_by_key(|coming| coming.at);
    Ok(gathering)
}

#[expect(clippy::too_many_arguments, reason = "a coming is where everything of a scenario meets")]
fn one(
    scenario: &Scenario,
    segment: &Segment,
    crowd: &Crowd,
    index: usize,
    world: &World,
    person: Option<usize>,
    at: f64,
    rng: &mut ChaCha8Rng,
) -> Coming {
    let user = &scenario.user;
    // Drawn whether they are needed or not, so that a share that changes moves nobody else.
    let [trusted, typo, human, gives_up, patience, hashed, returning] =
        std::array::from_fn(|_| rng.random::<f64>());
    let at_home: [u8; 2] = rng.random();
    let someone = person.and_then(|person| world.people.get(person));
    let by_desk = someone.is_some_and(|person| person.role != Role::Teacher)
        && hashed >= segment.hashed.unwrap_or(user.hashed);
    let abandon = crowd.abandon.or(segment.abandon).unwrap_or(user.abandon);
    let (soon, late) = user.abandon_s;
    Coming {
        at: Duration::from_secs_f64(at.max(0.0)),
        person,
        crowd: index,
        manner: crowd.manner,
        way: match () {
            () if returning < user.returning && someone.is_some() => Way::Refresh,
            () if by_desk => Way::Desk,
            () => Way::Password,
        },
        trusted: trusted < crowd.trusted.or(segment.trusted).unwrap_or(user.trusted),
        typo: typo < crowd.typos.unwrap_or(user.typos),
        retypes_s: (2.0, 6.0),
        human: human < crowd.human.unwrap_or(user.human),
        abandon: (gives_up < abandon).then(|| Duration::from_secs_f64(soon + (late - soon) * patience)),
        address: crowd.address.clone().unwrap_or_else(|| {
            let [high, low] = at_home;
            format!("100.64.{high}.{low}")
        }),
        seed: rng.random(),
    }
}

/// Whether somebody belongs to a lesson at nine: its teacher, its pupils, and the guardians of primary pupils.
#[must_use]
pub fn has_lesson(world: &World, at_nine: &[usize], person: usize) -> bool {
    let Some(someone) = world.people.get(person) else { return false };
    match someone.role {
        Role::Teacher => {
            at_nine.iter().any(|at| world.classes.get(*at).is_some_and(|class| class.teacher == Some(person)))
        }
        _ => someone.class.is_some_and(|class| at_nine.binary_search(&class).is_ok()),
    }
}

/// The lane that a person would be in, by what they are: what the report groups waits by.
#[must_use]
pub fn class_of(world: &World, person: &Person, lesson: bool) -> &'static str {
    let primary = world.schools.get(person.school).is_some_and(|school| school.kind == Kind::Primary);
    match person.role {
        Role::Teacher => "lesson",
        _ if lesson => "lesson",
        Role::Pupil => "in-slot",
        Role::Guardian if primary => "in-slot",
        Role::Guardian => "guardian",
    }
}

fn eligible(crowd: &Crowd, world: &World, at_nine: &[usize]) -> Vec<usize> {
    world
        .people
        .iter()
        .enumerate()
        .filter(|(at, person)| {
            let school = world.schools.get(person.school);
            crowd.who.includes(person.role)
                && crowd.lesson.is_none_or(|wanted| wanted == has_lesson(world, at_nine, *at))
                && crowd
                    .territory
                    .is_none_or(|wanted| school.is_some_and(|school| school.territory == wanted))
                && crowd.kind.is_none_or(|wanted| school.is_some_and(|school| school.kind == wanted))
                && crowd.school.is_none_or(|wanted| person.school == wanted)
        })
        .map(|(at, _)| at)
        .collect()
}

/// Seconds at which somebody of the crowd comes, in no order.
fn instants(
    scenario: &Scenario,
    segment: &Segment,
    crowd: &Crowd,
    peak_per_s: f64,
    people: usize,
    rng: &mut ChaCha8Rng,
) -> anyhow::Result<Vec<f64>> {
    let x = if crowd.steady { 1.0 } else { segment.x };
    if let Some(points) = &crowd.rate {
        return Ok(along(points, peak_per_s * x, segment.seconds, rng));
    }
    if let Some(bell) = &crowd.bell {
        let (at, sigma) = (scenario.story.second(&bell.at)?, bell.sigma_min * scenario.story.minute_s);
        let come = (0..people).filter_map(|_| {
            let (draw, when) = (rng.random::<f64>(), at + sigma * normal(rng));
            (draw < bell.share && when < segment.seconds).then_some(when.max(0.0))
        });
        return Ok(come.collect());
    }
    let number = crowd.count.unwrap_or(0);
    Ok((0..number).map(|at| f64::from(at) / f64::from(number)).collect())
}

/// Independent arrivals whose rate follows `points`, thinned from the highest rate; the last point's rate goes on.
fn along(points: &[(f64, f64)], unit_per_s: f64, seconds: f64, rng: &mut ChaCha8Rng) -> Vec<f64> {
    let highest = points.iter().map(|(_, x)| *x).fold(0.0, f64::max) * unit_per_s;
    let mut found = Vec::new();
    if highest <= 0.0 {
        return found;
    }
    let mut at = 0.0;
    loop {
        at -= (1.0 - rng.random::<f64>()).ln() / highest;
        if at >= seconds {
            return found;
        }
        if rng.random::<f64>() * highest < rate_at(points, at) * unit_per_s {
            found.push(at);
        }
    }
}

fn rate_at(points: &[(f64, f64)], at: f64) -> f64 {
    let after = points.partition_point(|(second, _)| *second <= at);
    match (after.checked_sub(1).and_then(|before| points.get(before)), points.get(after)) {
        (Some((from, low)), Some((to, high))) => low + (high - low) * (at - from) / (to - from),
        (Some((_, last)), None) => *last,
        (None, _) => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn scenario(rest: &str) -> Scenario {
        Scenario::parse(&format!(
            "name = 'x'\ntitle = 'x'\nseed = 5\nworld = {{ schools = 6, people = 3000 }}\n\
             lessons = {{ of_capacity = 0.6 }}\n\
             [[segment]]\nname = 's'\nseconds = 30\nx = 10\n{rest}"
        ))
        .unwrap()
    }

    fn all(scenario: &Scenario) -> (World, Vec<usize>, Gathering) {
        let world = World::invent(&scenario.world, scenario.seed);
        let at_nine = classes_at_nine(scenario, &world, 40.0).unwrap();
        let gathering = gather(scenario, &scenario.segment[0], &world, &at_nine, 40.0).unwrap();
        (world, at_nine, gathering)
    }

    #[test]
    fn lessons_fill_their_share_of_what_the_peak_lets_in() {
        let (world, at_nine, _) = all(&scenario(""));
        let people: usize =
            at_nine.iter().filter_map(|at| world.classes.get(*at)).map(|class| class.members.len() + 1).sum();
        // 40/s for five minutes of three seconds, 60 % of them.
        assert!((335..=360).contains(&people), "{people}");
    }

    #[test]
    fn a_rate_is_a_multiple_of_the_peak_and_nobody_comes_twice_before_all_came() {
        let shape = "[[crowd]]\nname = 'c'\nlesson = false\nrate = [[0, 0.1], [10, 0.1], [10, 0.5]]\n";
        let (world, at_nine, gathering) = all(&scenario(shape));
        let late = gathering.comings.iter().filter(|coming| coming.at.as_secs() >= 10).count();
        // 0.1 × 40/s × 10 for 10 s, then 200/s for 20 s.
        assert!((3_700..4_300).contains(&late), "{late}");
        let early = gathering.comings.len() - late;
        assert!((340..460).contains(&early), "{early}");
        assert!(gathering.comings.windows(2).all(|pair| pair[0].at <= pair[1].at));
        assert!(gathering.repeated > 0);
        let first: HashSet<_> = gathering.comings[..1_000].iter().map(|coming| coming.person).collect();
        assert!(first.len() > 600);
        assert!(gathering.comings.iter().all(|coming| !has_lesson(&world, &at_nine, coming.person.unwrap())));
    }

    #[test]
    fn a_bell_brings_everybody_once() {
        let shape =
            "[[crowd]]\nname = 'c'\nlesson = true\nwho = 'pupil'\nbell = { at = '09:00', sigma_min = 1 }\n";
        let (world, at_nine, gathering) = all(&scenario(shape));
        let people: HashSet<_> = gathering.comings.iter().map(|coming| coming.person.unwrap()).collect();
        assert_eq!(people.len(), gathering.comings.len());
        assert!(people.len() > 250, "{}", people.len());
        let mean: f64 = gathering.comings.iter().map(|coming| coming.at.as_secs_f64()).sum::<f64>()
            / f64::from(u32::try_from(people.len()).unwrap());
        assert!((14.0..16.0).contains(&mean), "{mean}");
        let person = gathering.comings[0].person.unwrap();
        assert_eq!(class_of(&world, &world.people[person], has_lesson(&world, &at_nine, person)), "lesson");
        assert_eq!(gathering.repeated, 0);
    }

    #[test]
    fn the_same_seed_brings_the_same_people_and_shares_hold() {
        let shape =
            "[[crowd]]\nname = 'c'\nrate = [[0, 0.3], [9, 0.3]]\n[user]\nhashed = 0.3\nabandon = 0.5\n";
        let (_, _, one) = all(&scenario(shape));
        let (world, _, two) = all(&scenario(shape));
        let key = |gathering: &Gathering| {
            gathering.comings.iter().map(|coming| (coming.at, coming.person, coming.seed)).collect::<Vec<_>>()
        };
        assert_eq!(key(&one), key(&two));
        let all = f64::from(u32::try_from(two.comings.len()).unwrap());
        let share = |wanted: &dyn Fn(&Coming) -> bool| {
            f64::from(u32::try_from(two.comings.iter().filter(|coming| wanted(coming)).count()).unwrap())
                / all
        };
        let teachers = share(&|coming| world.people[coming.person.unwrap()].role == Role::Teacher);
        assert!((share(&|coming| coming.way == Way::Desk) - 0.7 * (1.0 - teachers)).abs() < 0.03);
        assert!((share(&|coming| coming.abandon.is_some()) - 0.5).abs() < 0.03);
        assert!((share(&|coming| coming.trusted) - 0.7).abs() < 0.03);
    }

    #[test]
    fn a_crowd_may_be_of_one_school() {
        let (world, _, gathering) =
            all(&scenario("[[crowd]]\nname = 'c'\nschool = 2\nrate = [[0, 0.1], [9, 0.1]]\n"));
        assert!(!gathering.comings.is_empty());
        assert!(gathering.comings.iter().all(|coming| world.people[coming.person.unwrap()].school == 2));
    }

    #[test]
    fn a_crowd_may_be_of_one_kind_of_schools() {
        let mut scenario = scenario("[[crowd]]\nname = 'c'\nkind = 'lycee'\nrate = [[0, 0.1], [9, 0.1]]\n");
        scenario.world.kinds = vec![Kind::Lycee, Kind::Primary];
        let (world, _, gathering) = all(&scenario);
        assert!(!gathering.comings.is_empty());
        let school = |coming: &Coming| &world.schools[world.people[coming.person.unwrap()].school];
        assert!(gathering.comings.iter().all(|coming| school(coming).kind == Kind::Lycee));
    }

    #[test]
    fn attackers_are_nobody_and_share_an_address() {
        let shape = "[[crowd]]\nname = 'c'\nmanner = 'stuffing'\naddress = '192.0.2.1'\ncount = 12\n";
        let (_, _, gathering) = all(&scenario(shape));
        assert_eq!(gathering.comings.len(), 12);
        assert!(gathering.comings.iter().all(|it| it.person.is_none() && it.address == "192.0.2.1"));
    }
}
