//! Staff and guests, and what the words for functions and subjects mean.

use std::collections::BTreeSet;
use std::io::Read;

use preau_kernel::fold;

use super::row::{Row, header};
use crate::csv::Profile;
use crate::csv::columns::Field;
use crate::record::{Function, Guest, InClass, Staff};
use crate::report::Report;

pub(super) fn guest<R: Read>(row: &Row<'_, R>, report: &mut Report) -> Guest {
    let born_on = row.day(report).map(|day| day.to_string()).unwrap_or_default();
    let key = row.key("guest", &[row.last_name(), row.one(Field::FirstName), &born_on], report);
    Guest { names: row.names(key), school: row.school.clone(), classes: row.in_school(Field::Class) }
}

pub(super) fn staff<R: Read>(row: &Row<'_, R>, profile: Profile, report: &mut Report) -> Staff {
    let born_on = row.day(report).map(|day| day.to_string()).unwrap_or_default();
    let key = row.key("staff", &[row.last_name(), row.one(Field::FirstName), &born_on], report);
    let function = |code: &str| Function {
        school: row.school.clone(),
        code: Some(code.to_owned()),
        ..Function::default()
    };
    let teacher = profile == Profile::Teacher;
    let mut codes: BTreeSet<&str> = row.all(Field::Function).into_iter().filter_map(function_code).collect();
    if profile == Profile::Staff
        && row.all(Field::Function).iter().any(|words| function_code(words).is_none())
    {
        report.warn("csv-unknown-function", row.table.place(), header(row.columns, Field::Function));
    }
    if fold(row.one(Field::Director)).starts_with('o') {
        codes.insert("DIR");
    }
    if teacher && !codes.contains("DOC") {
        codes.insert("ENS");
    }
    let subjects = if teacher { subjects(row) } else { Vec::new() };
    let taught = |class: String| {
        let each = |subject| InClass { school: row.school.clone(), class: class.clone(), subject };
        if subjects.is_empty() {
            vec![each(None)]
        } else {
            subjects.iter().cloned().map(Some).map(each).collect()
        }
    };
    Staff {
        names: row.names(key),
        teacher,
        school: Some(row.school.clone()),
        functions: codes.into_iter().map(function).collect(),
        classes: row.list(Field::Class).into_iter().flat_map(taught).collect(),
        groups: row.list(Field::Group).into_iter().flat_map(taught).collect(),
        head_of: row.in_school(Field::HeadOf),
        sts_ids: Vec::new(),
    }
}

/// Longest name of a subject.
const SUBJECT_NAME: usize = 60;

/// What a teacher teaches: what the columns of subjects say, and what the templates of French ENTs put in that of functions.
fn subjects<R: Read>(row: &Row<'_, R>) -> Vec<String> {
    let functions = row.all(Field::Function).into_iter().filter(|words| is_subject(words)).map(str::to_owned);
    let mut found: Vec<String> = Vec::new();
    for words in row.list(Field::Subject).into_iter().chain(functions) {
        let words: String = words.chars().take(SUBJECT_NAME).collect();
        if !found.iter().any(|known| fold(known) == fold(&words)) {
            found.push(words);
        }
    }
    found
}

/// Whether the words in a column of functions are what somebody teaches, and not what they are.
fn is_subject(words: &str) -> bool {
    const TEACHERS: [&str; 16] = [
        "contractuel",
        "contractuelle",
        "ens",
        "enseignant",
        "enseignante",
        "instituteur",
        "institutrice",
        "maitre",
        "maitresse",
        "pe",
        "prof",
        "professeur",
        "professeure",
        "remplacant",
        "remplacante",
        "stagiaire",
    ];
    let folded = fold(words);
    function_code(words).is_none()
        && !folded.is_empty()
        && !folded.split(' ').any(|word| TEACHERS.contains(&word))
}

/// The national code of a function said in words; `None` for a subject taught, and for what nobody knows.
fn function_code(words: &str) -> Option<&'static str> {
    let words = fold(words);
    let has = |parts: &[&str]| parts.iter().any(|part| words.split(' ').any(|word| word == *part));
    match () {
        // A conseiller principal d'éducation is no principal: looked for first.
        () if has(&["cpe", "education", "edu"]) && !has(&["physique", "musicale", "civique"]) => Some("EDU"),
        () if has(&[
            "direction",
            "directeur",
            "directrice",
            "principal",
            "principale",
            "proviseur",
            "dir",
        ]) =>
        {
            Some("DIR")
        }
        () if has(&["aed", "surveillant", "surveillante", "assistant", "assistante", "aesh", "avs"]) => {
            Some("AED")
        }
        () if has(&["doc", "documentaliste", "documentation", "cdi"]) => Some("DOC"),
        () if has(&["psychologue", "psyen", "orientation", "cop", "ori"]) => Some("ORI"),
        () if has(&[
            "gestionnaire",
            "intendant",
            "intendante",
            "secretaire",
            "secretariat",
            "agent",
            "adf",
        ]) =>
        {
            Some("ADF")
        }
        () => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_in_words() {
        for (words, code) in [
            ("Direction", Some("DIR")),
            ("Principal adjoint", Some("DIR")),
            ("CPE", Some("EDU")),
            ("Conseiller principal d'éducation", Some("EDU")),
            ("AED", Some("AED")),
            ("Professeur documentaliste", Some("DOC")),
            ("Education Physique et Sportive", None),
            ("Mathématiques", None),
            ("", None),
        ] {
            assert_eq!(function_code(words), code, "{words}");
        }
    }

    #[test]
    fn a_subject_is_no_function() {
        for words in ["Mathématiques", "Education Physique et Sportive", "Français"] {
            assert!(is_subject(words), "{words}");
        }
        for words in ["", "Enseignante", "Professeur des écoles", "PE", "CPE", "Professeur documentaliste"] {
            assert!(!is_subject(words), "{words}");
        }
    }
}
