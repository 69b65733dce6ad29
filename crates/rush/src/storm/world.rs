//! The people of a storm: territories, schools with log-normal rosters, classes, teachers, guardians.
//!
//! They are put into the laboratory's own database by `COPY`, because an import of a hundred thousand people for each
//! storm would take longer than the storm. Everybody has the password of the demo territory, as the product hashed it.

use std::fmt::Write as _;

use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::number::{float, floor};

/// What kind of school, and so who signs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// 78 pupils, 8 teachers, 14 guardians of each hundred who sign in (Auvergne-Rhône-Alpes, 2020).
    Lycee,
    /// Parents of younger pupils come more often: 66, 8, 26.
    College,
    /// Guardians sign in for their children: 8 teachers, 92 guardians.
    Primary,
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Self::Lycee => "lycee",
            Self::College => "college",
            Self::Primary => "primary",
        }
    }

    /// Shares of pupils and teachers who sign in; the rest are guardians.
    fn shares(self) -> (f64, f64) {
        match self {
            Self::Lycee => (0.78, 0.08),
            Self::College => (0.66, 0.08),
            Self::Primary => (0.0, 0.08),
        }
    }

    fn programmes(self) -> &'static [&'static str] {
        match self {
            Self::Lycee => &["20010019110", "20111019110", "20211019110"],
            Self::College => &["10010012110", "10110001110", "10210001110", "10310019110"],
            Self::Primary => &[""],
        }
    }
}

/// What somebody is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    Pupil,
    Teacher,
    Guardian,
}

impl Role {
    /// As the contract writes it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Pupil => "pupil",
            Self::Teacher => "teacher",
            Self::Guardian => "guardian",
        }
    }
}

/// How many, and how unequal.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Size {
    #[serde(default = "one")]
    pub territories: u32,
    /// In each territory.
    pub schools: u32,
    /// Who sign in, in all territories together.
    pub people: u32,
    /// Of the logarithm of a school's roster: 0 makes all alike.
    #[serde(default = "sigma")]
    pub sigma: f64,
    #[serde(default = "class_size")]
    pub class_size: u32,
    /// Dealt to the schools in turn.
    #[serde(default = "lycees")]
    pub kinds: Vec<Kind>,
}

impl Size {
    /// The kind of that school, of the schools of all territories.
    #[must_use]
    pub fn kind_of(&self, school: usize) -> Kind {
        self.kinds.get(school % self.kinds.len().max(1)).copied().unwrap_or(Kind::Lycee)
    }

    /// Whether a school is of that kind.
    #[must_use]
    pub fn has(&self, kind: Kind) -> bool {
        let schools = usize::try_from(self.territories.saturating_mul(self.schools)).unwrap_or(usize::MAX);
        (0..schools).any(|school| self.kind_of(school) == kind)
    }
}

fn one() -> u32 {
    1
}

fn sigma() -> f64 {
    0.6
}

fn class_size() -> u32 {
    25
}

fn lycees() -> Vec<Kind> {
    vec![Kind::Lycee]
}

/// A school.
#[derive(Clone, Debug)]
pub struct School {
    pub id: String,
    pub territory: usize,
    pub kind: Kind,
    /// People who sign in.
    pub roster: u64,
}

/// A class, with the teacher of its nine-o'clock lesson.
#[derive(Clone, Debug)]
pub struct Class {
    pub id: String,
    pub school: usize,
    /// Its people who sign in: pupils, or their guardians in primary schools.
    pub members: Vec<usize>,
    pub teacher: Option<usize>,
}

/// Somebody who signs in.
#[derive(Clone, Debug)]
pub struct Person {
    pub id: String,
    pub login: String,
    pub role: Role,
    pub school: usize,
    /// Theirs, or their child's in a primary school.
    pub class: Option<usize>,
    /// The academy's key, which a desk names them by.
    pub join_key: String,
}

/// Everybody and everything.
#[derive(Clone, Debug, Default)]
pub struct World {
    pub territories: Vec<String>,
    pub schools: Vec<School>,
    pub classes: Vec<Class>,
    pub people: Vec<Person>,
}

impl World {
    /// The same seed invents the same world, identifiers included.
    #[must_use]
    pub fn invent(size: &Size, seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(7);
        let mut world =
            Self { territories: (0..size.territories).map(|_| id(&mut rng)).collect(), ..Self::default() };
        let weights: Vec<f64> =
            (0..size.territories * size.schools).map(|_| (size.sigma * normal(&mut rng)).exp()).collect();
        let total: f64 = weights.iter().sum();
        for (index, weight) in weights.iter().enumerate() {
            let roster = floor(f64::from(size.people) * weight / total).max(20);
            let kind = size.kind_of(index);
            let territory = index % world.territories.len().max(1);
            world.schools.push(School { id: id(&mut rng), territory, kind, roster });
            world.fill(index, kind, roster, size.class_size.max(1), &mut rng);
        }
        world
    }

    fn fill(&mut self, school: usize, kind: Kind, roster: u64, class_size: u32, rng: &mut ChaCha8Rng) {
        let (pupils, teachers) = kind.shares();
        let teachers = floor(float(roster) * teachers).max(1);
        let pupils = floor(float(roster) * pupils);
        let guardians = roster.saturating_sub(pupils + teachers);
        let teachers: Vec<usize> =
            (0..teachers).map(|at| self.person(school, Role::Teacher, at, None, rng)).collect();
        let first_class = self.classes.len();
        let in_classes = if kind == Kind::Primary { guardians } else { pupils };
        let role = if kind == Kind::Primary { Role::Guardian } else { Role::Pupil };
        for at in 0..in_classes {
            if at % u64::from(class_size) == 0 {
                let id = id(rng);
                self.classes.push(Class { id, school, members: Vec::new(), teacher: None });
            }
            let class = self.classes.len().checked_sub(1);
            let person = self.person(school, role, at, class, rng);
            if let Some(class) = self.classes.last_mut() {
                class.members.push(person);
            }
        }
        // A class is taught by somebody who teaches no other class of the school at that hour, as long as there is one.
        for (class, teacher) in self.classes.iter_mut().skip(first_class).zip(&teachers) {
            class.teacher = Some(*teacher);
        }
        if kind != Kind::Primary {
            for at in 0..guardians {
                self.person(school, Role::Guardian, at, None, rng);
            }
        }
    }

    fn person(
        &mut self,
        school: usize,
        role: Role,
        at: u64,
        class: Option<usize>,
        rng: &mut ChaCha8Rng,
    ) -> usize {
        let index = self.people.len();
        let word = match role {
            Role::Pupil => "eleve",
            Role::Teacher => "prof",
            Role::Guardian => "parent",
        };
        self.people.push(Person {
            id: id(rng),
            login: format!("tempete.{word}.{school}.{at}"),
            role,
            school,
            class,
            join_key: format!("{}", 1_000_000 + index),
        });
        index
    }

    /// The territory of a person.
    #[must_use]
    pub fn territory_of(&self, person: &Person) -> Option<&str> {
        let school = self.schools.get(person.school)?;
        self.territories.get(school.territory).map(String::as_str)
    }

    /// SQL that puts everybody in, for `psql`. Passwords and terms are those of the demo territory's accounts, which
    /// must be there; `secret` replaces the password's hash (of the scale model).
    #[must_use]
    pub fn script(&self, secret: Option<&str>) -> String {
        let mut sql = String::with_capacity(self.people.len() * 700);
        sql.push_str("BEGIN;\n");
        let copy = |sql: &mut String, table: &str, rows: &mut dyn Iterator<Item = String>| {
            let _ = writeln!(sql, "COPY {table} FROM STDIN;");
            for row in rows {
                sql.push_str(&row);
                sql.push('\n');
            }
            sql.push_str("\\.\n");
        };
        copy(
            &mut sql,
            "territory (territory_id, slug, name, created_at)",
            &mut self
                .territories
                .iter()
                .enumerate()
                .map(|(at, id)| format!("{id}\ttempete-{at}\tAcadémie de la tempête {at}\tnow")),
        );
        copy(
            &mut sql,
            "school (school_id, territory_id, uai, name, kind, tz, holiday_zone, created_at, updated_at)",
            &mut self.schools.iter().enumerate().filter_map(|(at, school)| {
                let territory = self.territories.get(school.territory)?;
                let kind = school.kind.word();
                Some(format!(
                    "{}\t{territory}\t{:07}Z\tÉtablissement {at}\t{kind}\tEurope/Paris\tC\tnow\tnow",
                    school.id,
                    9_100_000 + at
                ))
            }),
        );
        copy(
            &mut sql,
            "class (school_id, class_id, name)",
            &mut self.classes.iter().enumerate().filter_map(|(at, class)| {
                Some(format!("{}\t{}\tClasse {at}", self.schools.get(class.school)?.id, class.id))
            }),
        );
        let all = || {
            self.people.iter().enumerate().filter_map(|(at, person)| {
                let school = self.schools.get(person.school)?;
                Some((at, person, school, self.territories.get(school.territory)?))
            })
        };
        copy(
            &mut sql,
            "person (person_id, territory_id, last_name, first_name, created_at, updated_at)",
            &mut all().map(|(at, person, _, territory)| {
                format!("{}\t{territory}\tTempête {at}\tCamille\tnow\tnow", person.id)
            }),
        );
        copy(
            &mut sql,
            "join_key (territory_id, academy, join_key, person_id)",
            &mut all().map(|(_, person, _, territory)| {
                format!("{territory}\t25\t{}\t{}", person.join_key, person.id)
            }),
        );
        copy(
            &mut sql,
            "person_membership (person_id, school_id, role, territory_id, started_at)",
            &mut all().map(|(_, person, school, territory)| {
                format!("{}\t{}\t{}\t{territory}\tnow", person.id, school.id, person.role.word())
            }),
        );
        copy(
            &mut sql,
            "school_person (school_id, person_id, last_name, first_name, search, updated_at)",
            &mut all().map(|(at, person, school, _)| {
                format!("{}\t{}\tTempête {at}\tCamille\ttempete {at} camille\tnow", school.id, person.id)
            }),
        );
        copy(
            &mut sql,
            "membership (school_id, person_id, role, origin, started_at)",
            &mut all().map(|(_, person, school, _)| {
                format!("{}\t{}\t{}\tfeed\tnow", school.id, person.id, person.role.word())
            }),
        );
        self.copy_classes(&mut sql, &copy);
        copy(
            &mut sql,
            "login (login, person_id, territory_id)",
            &mut all()
                .map(|(_, person, _, territory)| format!("{}\t{}\t{territory}", person.login, person.id)),
        );
        sql.push_str(
            "INSERT INTO account (person_id, territory_id, login, state, terms_version, activated_at, updated_at)\n\
             SELECT l.person_id, l.territory_id, l.login, 'active', t.terms_version, now(), now() FROM login l,\n\
             (SELECT max(terms_version) AS terms_version FROM account) t WHERE l.login LIKE 'tempete.%';\n",
        );
        let secret = match secret {
            Some(phc) => format!("'{}'", phc.replace('\'', "''")),
            None => "(SELECT secret FROM credential ORDER BY person_id LIMIT 1)".to_owned(),
        };
        let _ = write!(
            sql,
            "INSERT INTO credential (person_id, kind, secret, changed_at)\n\
             SELECT person_id, 'password', {secret}, now() FROM account WHERE login LIKE 'tempete.%';\n\
             COMMIT;\nANALYZE;\n"
        );
        sql
    }

    fn copy_classes(
        &self,
        sql: &mut String,
        copy: &dyn Fn(&mut String, &str, &mut dyn Iterator<Item = String>),
    ) {
        let pupils = || {
            self.people
                .iter()
                .filter(|person| person.role == Role::Pupil)
                .filter_map(|person| Some((person, self.schools.get(person.school)?)))
        };
        let mef = |person: &Person| {
            let kind = self.schools.get(person.school).map_or(Kind::Lycee, |school| school.kind);
            let programmes = kind.programmes();
            let at = person.class.unwrap_or(0).checked_rem(programmes.len()).unwrap_or(0);
            programmes.get(at).copied().unwrap_or_default()
        };
        copy(
            sql,
            "pupil (school_id, person_id, mef_code)",
            &mut pupils().map(|(person, school)| format!("{}\t{}\t{}", school.id, person.id, mef(person))),
        );
        copy(
            sql,
            "class_pupil (school_id, class_id, person_id)",
            &mut pupils().filter_map(|(person, school)| {
                let class = self.classes.get(person.class?)?;
                Some(format!("{}\t{}\t{}", school.id, class.id, person.id))
            }),
        );
        copy(
            sql,
            "class_teacher (school_id, class_id, person_id)",
            &mut self.classes.iter().filter_map(|class| {
                let (school, teacher) = (self.schools.get(class.school)?, self.people.get(class.teacher?)?);
                Some(format!("{}\t{}\t{}", school.id, class.id, teacher.id))
            }),
        );
        // Guardians of primary pupils: the child has no account of its own, and its identifier is the guardian's with
        // its last digits turned.
        let children: Vec<(String, &Person, &School, &Class)> = self
            .people
            .iter()
            .filter(|person| person.role == Role::Guardian)
            .filter_map(|person| {
                let class = self.classes.get(person.class?)?;
                Some((child_of(&person.id), person, self.schools.get(person.school)?, class))
            })
            .collect();
        copy(
            sql,
            "person (person_id, territory_id, last_name, first_name, created_at, updated_at)",
            &mut children.iter().filter_map(|(child, _, school, _)| {
                let territory = self.territories.get(school.territory)?;
                Some(format!("{child}\t{territory}\tTempête\tLou\tnow\tnow"))
            }),
        );
        copy(
            sql,
            "school_person (school_id, person_id, last_name, first_name, search, updated_at)",
            &mut children.iter().map(|(child, _, school, _)| {
                format!("{}\t{child}\tTempête\tLou\ttempete lou\tnow", school.id)
            }),
        );
        copy(
            sql,
            "membership (school_id, person_id, role, origin, started_at)",
            &mut children
                .iter()
                .map(|(child, _, school, _)| format!("{}\t{child}\tpupil\tfeed\tnow", school.id)),
        );
        copy(
            sql,
            "person_membership (person_id, school_id, role, territory_id, started_at)",
            &mut children.iter().filter_map(|(child, _, school, _)| {
                let territory = self.territories.get(school.territory)?;
                Some(format!("{child}\t{}\tpupil\t{territory}\tnow", school.id))
            }),
        );
        copy(
            sql,
            "pupil (school_id, person_id)",
            &mut children.iter().map(|(child, _, school, _)| format!("{}\t{child}", school.id)),
        );
        copy(
            sql,
            "class_pupil (school_id, class_id, person_id)",
            &mut children
                .iter()
                .map(|(child, _, school, class)| format!("{}\t{}\t{child}", school.id, class.id)),
        );
        copy(
            sql,
            "guardian_link (school_id, pupil_id, guardian_id, kind, legal, contact_order)",
            &mut children.iter().map(|(child, guardian, school, _)| {
                format!("{}\t{child}\t{}\t1\t1\t1", school.id, guardian.id)
            }),
        );
    }

    /// SQL that gives these classes a lesson at nine, `from_s` seconds from now and an hour long, and takes the lessons of
    /// an earlier segment away.
    #[must_use]
    pub fn lessons(&self, classes: &[usize], from_s: f64) -> String {
        let mut sql = String::from("BEGIN;\nDELETE FROM lesson WHERE source_key LIKE 'tempete-%';\n");
        for (number, class) in classes.iter().filter_map(|at| Some((at, self.classes.get(*at)?))) {
            let Some(school) = self.schools.get(class.school) else { continue };
            let teacher = class
                .teacher
                .and_then(|at| self.people.get(at))
                .map_or_else(|| "'{}'".to_owned(), |teacher| format!("ARRAY['{}'::uuid]", teacher.id));
            let _ = writeln!(
                sql,
                "INSERT INTO lesson (school_id, lesson_id, subject_label, starts_at, ends_at, at_distance, class_ids, \
                 teacher_ids, source, source_key) VALUES ('{}', gen_random_uuid(), 'Mathématiques', \
                 now() + interval '{from_s} seconds', now() + interval '{from_s} seconds' + interval '1 hour', true, \
                 ARRAY['{}'::uuid], {teacher}, 'sts', 'tempete-{number}');",
                school.id, class.id,
            );
        }
        sql.push_str("COMMIT;\n");
        sql
    }
}

fn child_of(guardian: &str) -> String {
    guardian
        .char_indices()
        .map(|(at, digit)| match (at, digit.to_digit(16)) {
            (24.., Some(value)) => char::from_digit(15 - value, 16).unwrap_or(digit),
            _ => digit,
        })
        .collect()
}

/// An identifier of version 7, from the seed.
pub(super) fn id(rng: &mut ChaCha8Rng) -> String {
    let hex = format!("{:032x}", rng.random::<u128>());
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
    format!("01{}-{}-7{}-8{}-{}", part(0, 6), part(6, 10), part(10, 13), part(13, 16), part(16, 28))
}

/// Box and Muller's.
pub(super) fn normal(rng: &mut ChaCha8Rng) -> f64 {
    let (one, two) = (1.0 - rng.random::<f64>(), rng.random::<f64>());
    (-2.0 * one.ln()).sqrt() * (std::f64::consts::TAU * two).cos()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn size(kinds: Vec<Kind>) -> Size {
        Size { territories: 2, schools: 5, people: 4_000, sigma: 0.8, class_size: 25, kinds }
    }

    #[test]
    fn the_same_seed_invents_the_same_world() {
        let one = World::invent(&size(lycees()), 3);
        let two = World::invent(&size(lycees()), 3);
        assert_eq!(one.script(None), two.script(None));
        assert_ne!(one.script(None), World::invent(&size(lycees()), 4).script(None));
    }

    #[test]
    fn rosters_are_unequal_and_add_up() {
        let world = World::invent(&size(lycees()), 1);
        assert_eq!(world.schools.len(), 10);
        let sizes: Vec<u64> = world.schools.iter().map(|school| school.roster).collect();
        assert!(sizes.iter().max() > sizes.iter().min().map(|least| least * 2).as_ref(), "{sizes:?}");
        let people = u64::try_from(world.people.len()).unwrap();
        assert_eq!(people, sizes.iter().sum::<u64>());
        assert!((3_900..=4_000).contains(&people), "{people}");
        let pupils = world.people.iter().filter(|person| person.role == Role::Pupil).count();
        assert!((3_000..3_130).contains(&pupils), "{pupils}");
        let names: HashSet<_> = world.people.iter().map(|person| &person.login).collect();
        assert_eq!(names.len(), world.people.len());
    }

    #[test]
    fn in_primary_schools_guardians_sign_in_for_a_child_in_a_class() {
        let world = World::invent(&size(vec![Kind::Primary]), 1);
        assert!(world.people.iter().all(|person| person.role != Role::Pupil));
        assert!(world.classes.iter().all(|class| !class.members.is_empty()));
        let script = world.script(Some("$argon2id$x"));
        let guardian = world.people.iter().find(|person| person.role == Role::Guardian).unwrap();
        let child = child_of(&guardian.id);
        assert_ne!(child, guardian.id);
        assert_eq!(child.len(), 36);
        assert!(script.contains(&format!("{child}\t{}\t1\t1\t1", guardian.id)));
        assert!(script.contains("'$argon2id$x'"));
    }

    #[test]
    fn nobody_teaches_two_classes_at_nine() {
        let world = World::invent(&size(lycees()), 9);
        let teachers: Vec<_> = world.classes.iter().filter_map(|class| class.teacher).collect();
        assert_eq!(teachers.iter().collect::<HashSet<_>>().len(), teachers.len());
        assert!(world.classes.iter().all(|class| class.teacher.is_some()));
        assert_eq!(world.lessons(&[0, 1], 12.5).matches("INSERT INTO lesson").count(), 2);
    }
}
