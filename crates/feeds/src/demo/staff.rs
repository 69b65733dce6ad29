//! Who runs the schools, and teachers hired as the timetable needs them, some of them in two schools.

use super::codes::Kind;
use super::dice::Dice;
use super::model::{Counters, Human, Neighbourhood, Post, Staff};
use super::names;

const STAFF_KEYS: u32 = 1_000_000;
/// Hours a week that one teacher gives.
const FULL: u32 = 18;

/// Hires everybody but the teachers of the collèges and lycées.
pub(super) fn hire(hood: &mut Neighbourhood, counters: &mut Counters, dice: &mut Dice) {
    for school in 0..hood.schools.len() {
        let Some(about) = hood.schools.get(school) else { continue };
        let (kind, size, classes) = (about.kind, about.size, about.classes.len());
        if kind == Kind::Primary {
            for class in 0..classes {
                let at = add(hood, counters, dice, school, "ENS", "ENSEIGNEMENT", "PROFESSEUR DES ECOLES");
                if let Some(teacher) = hood.staff.get_mut(at) {
                    teacher.head_of.push((school, class));
                    if class == 0 {
                        // The director of a primary school teaches as well.
                        teacher.posts.push(Post { school, code: "DIR", label: "DIRECTION" });
                    }
                }
            }
            continue;
        }
        add(hood, counters, dice, school, "DIR", "DIRECTION", "");
        if kind == Kind::Lycee || size > 400 {
            add(hood, counters, dice, school, "DIR", "DIRECTION", "");
        }
        add(hood, counters, dice, school, "ADF", "ADMINISTRATION ET FINANCES", "");
        add(hood, counters, dice, school, "DOC", "DOCUMENTATION", "");
        for _ in 0..=size / 300 {
            add(hood, counters, dice, school, "EDU", "EDUCATION", "");
            add(hood, counters, dice, school, "AED", "ASSISTANT D'EDUCATION", "");
        }
        teachers(hood, counters, dice, school);
    }
}

/// As many teachers of each discipline as the programmes of the school need; the last of a discipline may be one who
/// still has hours to give in a neighbouring school.
fn teachers(hood: &mut Neighbourhood, counters: &mut Counters, dice: &mut Dice, school: usize) {
    let Some(about) = hood.schools.get(school) else { return };
    let mut needs: Vec<(&'static str, u32)> = Vec::new();
    let mut need = |code: &str, hours: u32| {
        let Some(subject) = super::codes::subject_of(code) else { return };
        match needs.iter_mut().find(|(discipline, _)| *discipline == subject.discipline) {
            Some((_, sum)) => *sum += hours,
            None => needs.push((subject.discipline, hours)),
        }
    };
    for class in &about.classes {
        for (code, hours) in
            class.level.programme.iter().filter(|(code, _)| *code != super::codes::SECOND_LANGUAGE)
        {
            need(code, *hours);
        }
    }
    for group in &about.groups {
        need(group.subject, 3);
    }
    for (discipline, mut hours) in needs {
        // Somebody with hours left elsewhere comes for a small service.
        let elsewhere = hood.staff.iter().position(|teacher| {
            teacher.discipline == discipline && teacher.hours <= FULL / 2 && teacher.posts.len() == 1
        });
        if let (Some(teacher), true) =
            (elsewhere.and_then(|at| hood.staff.get_mut(at)), hours % FULL <= FULL / 2)
        {
            teacher.posts.push(Post { school, code: "ENS", label: "ENSEIGNEMENT" });
            teacher.hours += hours % FULL;
            hours -= hours % FULL;
        }
        while hours > 0 {
            let at = add(hood, counters, dice, school, "ENS", "ENSEIGNEMENT", discipline);
            if let Some(teacher) = hood.staff.get_mut(at) {
                teacher.hours = hours.min(FULL);
            }
            hours = hours.saturating_sub(FULL);
        }
    }
}

fn add(
    hood: &mut Neighbourhood,
    counters: &mut Counters,
    dice: &mut Dice,
    school: usize,
    code: &'static str,
    label: &'static str,
    discipline: &'static str,
) -> usize {
    counters.staff += 1;
    let woman = dice.chance(58);
    let human = Human {
        key: STAFF_KEYS + counters.staff,
        first_name: dice.word(if woman { names::GIRLS } else { names::BOYS }),
        last_name: dice.word(names::FAMILIES).to_owned(),
        title: if woman { "Mme" } else { "M." },
    };
    hood.staff.push(Staff {
        human,
        posts: vec![Post { school, code, label }],
        discipline,
        hours: 0,
        busy: Vec::new(),
        teaches: Vec::new(),
        head_of: Vec::new(),
    });
    hood.staff.len() - 1
}
