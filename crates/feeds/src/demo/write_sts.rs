//! The invented timetable of a school as an STS pair, in ISO-8859-15 and padded as the real ones are.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::Path;

use chrono::NaiveDate;
use encoding_rs::ISO_8859_15;
use quick_xml::escape::escape;

use super::codes::{FORTNIGHTLY, SUBJECTS};
use super::model::{Division, Lesson, Neighbourhood, Staff};

/// How STS names a member of staff.
pub(super) fn id(staff: &Staff) -> String {
    (staff.human.key - 500_000).to_string()
}

/// Lessons of one division, by subject and teacher.
type Services<'a> = BTreeMap<Division, BTreeMap<(&'static str, usize), Vec<&'a Lesson>>>;

/// The file that comes down: subjects, staff, classes.
pub(super) fn down(path: &Path, hood: &Neighbourhood, school: usize, year: i32) -> io::Result<()> {
    let Some(about) = hood.schools.get(school) else { return Ok(()) };
    let mut xml = format!(
        "<?xml version=\"1.0\" encoding=\"ISO-8859-15\"?>\n<STS_EDT>\n<PARAMETRES>\n<UAJ CODE=\"{}\"/>\n\
         <ANNEE_SCOLAIRE ANNEE=\"{year}\">\n<DATE_DEBUT>\n    {year}-09-01\n</DATE_DEBUT>\n<DATE_FIN>\n    {}-08-31\n</DATE_FIN>\n\
         </ANNEE_SCOLAIRE>\n</PARAMETRES>\n<NOMENCLATURES>\n<MATIERES>\n",
        about.uai,
        year + 1
    );
    for subject in SUBJECTS {
        let _ = write!(
            xml,
            "<MATIERE CODE=\"{}\">\n<LIBELLE_LONG>\n    {}\n</LIBELLE_LONG>\n<LIBELLE_EDITION>\n    {}\n</LIBELLE_EDITION>\n</MATIERE>\n",
            subject.code,
            escape(subject.label.to_uppercase()),
            escape(subject.label)
        );
    }
    xml.push_str("</MATIERES>\n</NOMENCLATURES>\n<DONNEES>\n<INDIVIDUS>\n");
    for staff in hood.staff.iter().filter(|staff| staff.posts.iter().any(|post| post.school == school)) {
        let _ = write!(
            xml,
            "<INDIVIDU ID=\"{}\" TYPE=\"epp\">\n<NOM_USAGE>\n    {}\n</NOM_USAGE>\n<PRENOM>\n    {}\n</PRENOM>\n<FONCTION>\n    {}\n\
             </FONCTION>\n</INDIVIDU>\n",
            id(staff),
            escape(&staff.human.last_name),
            escape(staff.human.first_name),
            staff.posts.first().map_or("ENS", |post| post.code)
        );
    }
    xml.push_str("</INDIVIDUS>\n<STRUCTURE>\n<DIVISIONS>\n");
    for class in &about.classes {
        let _ = writeln!(xml, "<DIVISION CODE=\"{}\"/>", escape(&class.name));
    }
    xml.push_str("</DIVISIONS>\n<GROUPES>\n");
    for group in &about.groups {
        let _ = writeln!(xml, "<GROUPE CODE=\"{}\"/>", escape(&group.name));
    }
    xml.push_str("</GROUPES>\n</STRUCTURE>\n</DONNEES>\n</STS_EDT>\n");
    fs::write(path, ISO_8859_15.encode(&xml).0)
}

/// The file that goes up: weeks, rooms, lessons. It cannot say "cancelled".
pub(super) fn up(
    path: &Path,
    hood: &Neighbourhood,
    school: usize,
    year: i32,
    mondays: &[NaiveDate],
) -> io::Result<()> {
    let Some(about) = hood.schools.get(school) else { return Ok(()) };
    let mut xml = format!(
        "<?xml version=\"1.0\" encoding=\"ISO-8859-15\"?>\n<EDT_STS>\n<PARAMETRES>\n<UAJ>{}</UAJ>\n\
         <ANNEE_SCOLAIRE>{year}</ANNEE_SCOLAIRE>\n</PARAMETRES>\n<DONNEES>\n<ALTERNANCES>\n",
        about.uai
    );
    for (code, step) in [("H", 1), ("A", 2)] {
        let _ = write!(xml, "<ALTERNANCE CODE=\"{code}\">\n<SEMAINES>\n");
        for monday in mondays.iter().step_by(step) {
            let _ = writeln!(xml, "<DATE_DEBUT_SEMAINE>{monday}</DATE_DEBUT_SEMAINE>");
        }
        xml.push_str("</SEMAINES>\n</ALTERNANCE>\n");
    }
    xml.push_str("</ALTERNANCES>\n<SALLES_COURS>\n<SALLE_COURS CODE=\"VISIO\"><LOCALISATION>À distance</LOCALISATION></SALLE_COURS>\n</SALLES_COURS>\n<STRUCTURE>\n");
    let mut services = Services::new();
    for lesson in hood.lessons.iter().filter(|lesson| lesson.school == school) {
        services
            .entry(lesson.division)
            .or_default()
            .entry((lesson.subject, lesson.teacher))
            .or_default()
            .push(lesson);
    }
    for (open, element, close) in
        [("<DIVISIONS>\n", "DIVISION", "</DIVISIONS>\n"), ("<GROUPES>\n", "GROUPE", "</GROUPES>\n")]
    {
        xml.push_str(open);
        for (division, lessons) in &services {
            let name = match division {
                Division::Class(at) if element == "DIVISION" => {
                    about.classes.get(*at).map(|class| class.name.as_str())
                }
                Division::Group(at) if element == "GROUPE" => {
                    about.groups.get(*at).map(|group| group.name.as_str())
                }
                _ => None,
            };
            if let Some(name) = name {
                let _ = write!(xml, "<{element} CODE=\"{}\">\n<SERVICES>\n", escape(name));
                for ((subject, teacher), lessons) in lessons {
                    service(&mut xml, hood, subject, *teacher, lessons);
                }
                let _ = write!(xml, "</SERVICES>\n</{element}>\n");
            }
        }
        xml.push_str(close);
    }
    xml.push_str("</STRUCTURE>\n</DONNEES>\n</EDT_STS>\n");
    fs::write(path, ISO_8859_15.encode(&xml).0)
}

fn service(xml: &mut String, hood: &Neighbourhood, subject: &str, teacher: usize, lessons: &[&Lesson]) {
    let Some(staff) = hood.staff.get(teacher) else { return };
    let _ = write!(
        xml,
        "<SERVICE CODE_MATIERE=\"{subject}\" CODE_MOD_COURS=\"CG\">\n<ENSEIGNANTS>\n<ENSEIGNANT TYPE=\"epp\" ID=\"{}\">\n<COURS_RATTACHES>\n",
        id(staff)
    );
    for lesson in lessons {
        let _ = write!(
            xml,
            "<COURS>\n<CODE_ALTERNANCE>{}</CODE_ALTERNANCE>\n<JOUR>{}</JOUR>\n<HEURE_DEBUT>{:02}{:02}</HEURE_DEBUT>\n\
             <DUREE>{:02}{:02}</DUREE>\n<CODE_SALLE>{}</CODE_SALLE>\n</COURS>\n",
            if FORTNIGHTLY.contains(&subject) { "A" } else { "H" },
            lesson.day,
            lesson.start / 60,
            lesson.start % 60,
            lesson.minutes / 60,
            lesson.minutes % 60,
            if lesson.at_distance { "VISIO" } else { &lesson.room },
        );
    }
    xml.push_str("</COURS_RATTACHES>\n</ENSEIGNANT>\n</ENSEIGNANTS>\n</SERVICE>\n");
}
