//! `emp_sts` (root `EDT_STS`): the lessons of a school's timetable program, and the weeks in which they take place.

use std::collections::BTreeMap;

use chrono::NaiveDate;

use crate::lessons::Audience;
use crate::xml::Visit;

/// What the file says.
#[derive(Debug, Default)]
pub struct Up {
    /// The school.
    pub uai: String,
    /// Alternation code → a day in each of its weeks.
    pub alternations: BTreeMap<String, Vec<NaiveDate>>,
    /// Room code → where it is.
    pub rooms: BTreeMap<String, String>,
    /// The lessons.
    pub courses: Vec<Course>,
    alternation: String,
    room: String,
    audience: Option<Audience>,
    subject: String,
    teacher: String,
    course: Option<Course>,
}

/// A lesson of the weekly grid, as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Course {
    /// Class or group.
    pub audience: Audience,
    /// Subject code.
    pub subject: String,
    /// `ENSEIGNANT@ID`
    pub teacher: String,
    /// Alternation code.
    pub alternation: String,
    /// 1 (Monday) to 7.
    pub day: String,
    /// `hhmm`
    pub start: String,
    /// `hhmm`
    pub duration: String,
    /// Room code, possibly empty.
    pub room: String,
}

impl Visit for Up {
    fn open(&mut self, path: &[&str], attribute: &dyn Fn(&str) -> Option<String>) {
        let code = |name| attribute(name).unwrap_or_default();
        match path {
            [_, "DONNEES", "ALTERNANCES", "ALTERNANCE"] => {
                self.alternation = code("CODE");
                self.alternations.entry(self.alternation.clone()).or_default();
            }
            [_, "DONNEES", "SALLES_COURS", "SALLE_COURS"] => self.room = code("CODE"),
            [_, "DONNEES", "STRUCTURE", "DIVISIONS", "DIVISION"] => {
                self.audience = Some(Audience::Class(code("CODE")))
            }
            [_, "DONNEES", "STRUCTURE", "GROUPES", "GROUPE"] => {
                self.audience = Some(Audience::Group(code("CODE")))
            }
            [.., "SERVICES", "SERVICE"] => self.subject = code("CODE_MATIERE"),
            [.., "ENSEIGNANTS", "ENSEIGNANT"] => self.teacher = code("ID"),
            [.., "COURS_RATTACHES", "COURS"] => {
                self.course = self.audience.clone().map(|audience| Course {
                    audience,
                    subject: self.subject.clone(),
                    teacher: self.teacher.clone(),
                    alternation: String::new(),
                    day: String::new(),
                    start: String::new(),
                    duration: String::new(),
                    room: String::new(),
                });
            }
            _ => {}
        }
    }

    fn close(&mut self, path: &[&str], text: &str) {
        match path {
            [_, "PARAMETRES", "UAJ"] => self.uai = text.to_owned(),
            [_, "DONNEES", "ALTERNANCES", "ALTERNANCE", "SEMAINES", "DATE_DEBUT_SEMAINE"] => {
                if let (Ok(week), Some(weeks)) = (text.parse(), self.alternations.get_mut(&self.alternation))
                {
                    // A year has 53 weeks; more are repetitions.
                    if weeks.len() < 60 && !weeks.contains(&week) {
                        weeks.push(week);
                    }
                }
            }
            [_, "DONNEES", "SALLES_COURS", "SALLE_COURS", "LOCALISATION"] => {
                self.rooms.insert(self.room.clone(), text.to_owned());
            }
            [.., "COURS_RATTACHES", "COURS"] => self.courses.extend(self.course.take()),
            [.., "COURS_RATTACHES", "COURS", name] => {
                let Some(course) = self.course.as_mut() else { return };
                let field = match *name {
                    "CODE_ALTERNANCE" => &mut course.alternation,
                    "JOUR" => &mut course.day,
                    "HEURE_DEBUT" => &mut course.start,
                    "DUREE" => &mut course.duration,
                    "CODE_SALLE" => &mut course.room,
                    _ => return,
                };
                text.clone_into(field);
            }
            _ => {}
        }
    }
}
