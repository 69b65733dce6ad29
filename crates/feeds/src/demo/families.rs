//! Fills classes with children who have brothers, sisters, and parents who live together or not.

use chrono::{Days, NaiveDate};

use super::codes::{LANGUAGES, SECOND_LANGUAGE};
use super::dice::Dice;
use super::model::{Counters, Group, Guardian, Human, Link, Neighbourhood, Pupil};
use super::names;

const PUPIL_KEYS: u32 = 2_000_000;
const GUARDIAN_KEYS: u32 = 4_000_000;

/// Settles families until every place in every class of the neighbourhood is taken.
pub(super) fn settle(hood: &mut Neighbourhood, school_year: i32, counters: &mut Counters, dice: &mut Dice) {
    groups(hood);
    let mut places = places(hood);
    dice.shuffle(&mut places);
    while !places.is_empty() {
        let family = Family::new(counters, hood, dice);
        let children = match dice.below(10) {
            0..=4 => 1,
            5..=8 => 2,
            _ => 3,
        };
        for _ in 0..children {
            let Some((school, class)) = places.pop() else { break };
            if let Some(pupil) = family.child(hood, school, class, school_year, counters, dice) {
                hood.pupils.push(pupil);
            }
        }
    }
    // A new partner may have come into a family whose children all turned out to be the other parent's.
    let linked: std::collections::BTreeSet<u32> =
        hood.pupils.iter().flat_map(|pupil| pupil.links.iter().map(|link| link.guardian)).collect();
    hood.guardians.retain(|guardian| linked.contains(&guardian.human.key));
    // Files list a school's pupils together.
    hood.pupils.sort_by_key(|pupil| (pupil.school, pupil.class, pupil.human.key));
}

/// One second language in three groups a level, wherever the level has one.
fn groups(hood: &mut Neighbourhood) {
    for school in &mut hood.schools {
        let mut levels: Vec<(&'static str, usize)> = Vec::new();
        for class in &school.classes {
            if class.level.programme.iter().any(|(code, _)| *code == SECOND_LANGUAGE) {
                match levels.iter_mut().find(|(name, _)| *name == class.level.name) {
                    Some((_, count)) => *count += 1,
                    None => levels.push((class.level.name, 1)),
                }
            }
        }
        for (level, count) in levels {
            // Two languages for one class, three for more; then several groups of Spanish.
            let languages = if count == 1 { 2 } else { 3 };
            let short: String = level.chars().take(1).collect();
            for (subject, name) in LANGUAGES.into_iter().take(languages) {
                let times = count.div_ceil(if subject == SECOND_LANGUAGE { 2 } else { 4 });
                for number in 1..=times {
                    let name =
                        if times == 1 { format!("{short}{name}") } else { format!("{short}{name}-{number}") };
                    school.groups.push(Group { name, subject, level });
                }
            }
        }
    }
}

/// A place for each pupil, spread evenly over a school's classes.
fn places(hood: &Neighbourhood) -> Vec<(usize, usize)> {
    let mut places = Vec::new();
    for (at, school) in hood.schools.iter().enumerate() {
        let classes = school.classes.len().max(1);
        places.extend((0..usize::try_from(school.size).unwrap_or(0)).map(|number| (at, number % classes)));
    }
    places
}

struct Family {
    name: String,
    links: Vec<Link>,
    /// A half-sister or half-brother may have only the first link.
    blended: bool,
}

impl Family {
    /// Parents together, separated, alone, with a new partner, or a grandparent in charge.
    fn new(counters: &mut Counters, hood: &mut Neighbourhood, dice: &mut Dice) -> Self {
        let (mother_name, father_name) =
            (dice.word(names::FAMILIES).to_owned(), dice.word(names::FAMILIES).to_owned());
        let shape = dice.below(100);
        let together = shape < 62;
        let married = together && dice.chance(55);
        let mut adult = |woman: bool, last_name: &str, mail: Option<&str>, dice: &mut Dice| {
            counters.guardians += 1;
            let first_name = dice.word(if woman { names::GIRLS } else { names::BOYS });
            let key = GUARDIAN_KEYS + counters.guardians;
            let mail = mail.map_or_else(|| format!("g{key}"), str::to_owned);
            let title = if woman { "Mme" } else { "M." };
            let human = Human { key, first_name, last_name: last_name.to_owned(), title };
            hood.guardians.push(Guardian { human, mail: mail.clone() });
            (key, mail)
        };
        let link =
            |guardian, kind, financial, legal, contact| Link { guardian, kind, financial, legal, contact };
        let mut links = Vec::new();
        let (mother, mail) = adult(true, if married { &father_name } else { &mother_name }, None, dice);
        let name = if married || dice.chance(70) {
            father_name.clone()
        } else if dice.chance(50) {
            mother_name.clone()
        } else {
            format!("{mother_name}-{father_name}")
        };
        // Kinds of the national nomenclature: 10 father, 20 mother, 39 grandparent, 90 another link.
        links.push(link(mother, 20, 1, 1, 1));
        if shape < 90 {
            let shared = (together && dice.chance(30)).then_some(mail.as_str());
            let (father, _) = adult(false, &father_name, shared, dice);
            // Of separated parents one pays; both keep their rights but for a few.
            let legal = if !together && dice.chance(6) { 0 } else { 1 };
            links.push(link(father, 10, u8::from(together), legal, 2));
        }
        if !together && dice.chance(25) {
            let other = dice.word(names::FAMILIES).to_owned();
            let (partner, _) = adult(dice.chance(50), &other, None, dice);
            links.push(link(partner, 90, 0, 0, 3));
        }
        if shape >= 97 {
            let (elder, _) = adult(true, &mother_name, None, dice);
            links.push(link(elder, 39, 0, 2, 3));
        }
        Self { name, links, blended: !together && dice.chance(15) }
    }

    fn child(
        &self,
        hood: &Neighbourhood,
        school: usize,
        class: usize,
        school_year: i32,
        counters: &mut Counters,
        dice: &mut Dice,
    ) -> Option<Pupil> {
        counters.pupils += 1;
        let about = hood.schools.get(school)?;
        let level = about.classes.get(class)?.level;
        let girl = dice.chance(50);
        let first_name = dice.word(if girl { names::GIRLS } else { names::BOYS });
        // One in twelve is a year older than the class.
        let year = school_year - level.age - i32::from(dice.below(12) == 0);
        let born_on =
            NaiveDate::from_ymd_opt(year, 1, 1)?.checked_add_days(Days::new(dice.below(365).into()))?;
        let mut groups: Vec<usize> = (0..about.groups.len())
            .filter(|at| about.groups.get(*at).is_some_and(|group| group.level == level.name))
            .collect();
        dice.shuffle(&mut groups);
        let only_mother = self.blended && dice.chance(50);
        let links = self.links.iter().filter(|link| !only_mother || link.kind == 20).cloned().collect();
        let human = Human {
            key: PUPIL_KEYS + counters.pupils,
            first_name,
            last_name: self.name.clone(),
            title: if girl { "Mme" } else { "M." },
        };
        Some(Pupil { human, born_on, school, class, group: groups.first().copied(), links })
    }
}
