//! A neighbourhood: up to four schools and the people they share.

use chrono::NaiveDate;

use super::codes::{Kind, Level};
use super::names;
use crate::places;

/// Numbers given out so far, one after the other through all neighbourhoods.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) pupils: u32,
    pub(super) guardians: u32,
    pub(super) staff: u32,
}

#[derive(Debug, Default)]
pub(super) struct Neighbourhood {
    pub(super) schools: Vec<School>,
    pub(super) pupils: Vec<Pupil>,
    pub(super) guardians: Vec<Guardian>,
    pub(super) staff: Vec<Staff>,
    pub(super) lessons: Vec<Lesson>,
}

#[derive(Debug)]
pub(super) struct School {
    /// Its number in the whole demonstration.
    pub(super) index: u32,
    pub(super) key: String,
    pub(super) uai: String,
    pub(super) kind: Kind,
    pub(super) patron: &'static str,
    pub(super) city: &'static str,
    pub(super) size: u32,
    pub(super) classes: Vec<Class>,
    pub(super) groups: Vec<Group>,
}

impl School {
    pub(super) fn full_name(&self) -> String {
        format!("{} {}", self.kind.word(), self.patron)
    }
}

#[derive(Debug)]
pub(super) struct Class {
    pub(super) name: String,
    pub(super) level: &'static Level,
    pub(super) room: String,
}

/// A group of second language, across the classes of a level.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) name: String,
    pub(super) subject: &'static str,
    /// Level it is taken from, by name.
    pub(super) level: &'static str,
}

/// Class or group, by its place in the school.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Division {
    Class(usize),
    Group(usize),
}

#[derive(Debug)]
pub(super) struct Human {
    pub(super) key: u32,
    pub(super) first_name: &'static str,
    pub(super) last_name: String,
    pub(super) title: &'static str,
}

#[derive(Debug)]
pub(super) struct Pupil {
    pub(super) human: Human,
    pub(super) born_on: NaiveDate,
    pub(super) school: usize,
    pub(super) class: usize,
    pub(super) group: Option<usize>,
    pub(super) links: Vec<Link>,
}

#[derive(Clone, Debug)]
pub(super) struct Link {
    pub(super) guardian: u32,
    pub(super) kind: u8,
    pub(super) financial: u8,
    pub(super) legal: u8,
    pub(super) contact: u8,
}

#[derive(Debug)]
pub(super) struct Guardian {
    pub(super) human: Human,
    /// Before the `@`; couples may share one.
    pub(super) mail: String,
}

#[derive(Debug)]
pub(super) struct Staff {
    pub(super) human: Human,
    pub(super) posts: Vec<Post>,
    /// What they can teach; empty for who does not.
    pub(super) discipline: &'static str,
    /// Hours given so far.
    pub(super) hours: u32,
    /// Day × slot taken, over all schools.
    pub(super) busy: Vec<(u32, u32)>,
    /// Who is taught what, by place of the school.
    pub(super) teaches: Vec<(usize, Division, &'static str)>,
    pub(super) head_of: Vec<(usize, usize)>,
}

/// A function in a school.
#[derive(Clone, Copy, Debug)]
pub(super) struct Post {
    pub(super) school: usize,
    pub(super) code: &'static str,
    pub(super) label: &'static str,
}

#[derive(Debug)]
pub(super) struct Lesson {
    pub(super) school: usize,
    pub(super) division: Division,
    pub(super) subject: &'static str,
    /// Place in the neighbourhood's staff.
    pub(super) teacher: usize,
    /// 1 is Monday.
    pub(super) day: u32,
    /// Minutes after midnight.
    pub(super) start: u32,
    pub(super) minutes: u32,
    pub(super) room: String,
    pub(super) at_distance: bool,
    /// Only formats that can say so do: the teacher is absent in the second and third weeks.
    pub(super) cancelled: bool,
}

impl Neighbourhood {
    /// The schools of a neighbourhood whose first one has this number, with their classes and rooms.
    pub(super) fn found(first: u32, sizes: &[(Kind, u32)]) -> Self {
        let pick = |words: &[&'static str], at: u32| {
            let length = u32::try_from(words.len()).unwrap_or(1).max(1);
            words.get(usize::try_from(at % length).unwrap_or(0)).copied().unwrap_or_default()
        };
        let schools = sizes
            .iter()
            .zip(first..)
            .map(|((kind, size), index)| {
                // The fourth of all lies on Réunion, with its own clock.
                let overseas = index == 3;
                let digits =
                    if overseas { "9749001".to_owned() } else { format!("069{:04}", 9_999 - index % 5_000) };
                let letter = places::uai_letter(&digits).unwrap_or('A');
                School {
                    index,
                    key: (1_000 + index).to_string(),
                    uai: format!("{digits}{letter}"),
                    kind: *kind,
                    patron: pick(names::PATRONS, index),
                    city: if overseas { names::OVERSEAS_TOWN } else { pick(names::TOWNS, index / 4) },
                    size: *size,
                    classes: classes(*kind, *size),
                    groups: Vec::new(),
                }
            })
            .collect();
        Self { schools, ..Self::default() }
    }
}

/// About 28 pupils a class, at least one class a level where there are pupils enough to fill half of it.
fn classes(kind: Kind, size: u32) -> Vec<Class> {
    let levels = kind.levels();
    let count = ((size + 14) / 28).max(1);
    let of_levels = u32::try_from(levels.len()).unwrap_or(1);
    (0..count)
        .filter_map(|number| {
            // Class k of n belongs to level k·L/n: levels come in order and differ by at most one class.
            let level = number * of_levels / count;
            let rank = (0..number).filter(|other| other * of_levels / count == level).count();
            let level = levels.get(usize::try_from(level).ok()?)?;
            let letter = char::from(b'A' + u8::try_from(rank % 26).ok()?);
            let name = match (kind, rank / 26) {
                (Kind::Lycee, _) => format!("{} {}", level.name, rank + 1),
                (_, 0) => format!("{} {letter}", level.name),
                (_, more) => format!("{} {letter}{more}", level.name),
            };
            Some(Class {
                name,
                level,
                room: format!("{}{:02}", if number % 2 == 0 { "A1" } else { "B2" }, number / 2 + 1),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_of_about_28_in_order_of_level() {
        let names = |kind, size| classes(kind, size).into_iter().map(|class| class.name).collect::<Vec<_>>();
        assert_eq!(names(Kind::College, 107), ["6e A", "5e A", "4e A", "3e A"]);
        assert_eq!(names(Kind::Lycee, 168), ["2de 1", "2de 2", "1re 1", "1re 2", "Tle 1", "Tle 2"]);
        assert_eq!(names(Kind::Primary, 0), ["CP A"]);
        assert_eq!(classes(Kind::College, 2_800).len(), 100);
    }
}
