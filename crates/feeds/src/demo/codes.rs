//! Subjects, MEFs and programmes: the national codes are facts, the weekly hours an approximation.

/// Kinds of schools.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Primary,
    College,
    Lycee,
}

impl Kind {
    /// The kinds go round: collège, lycée, primary school, collège.
    pub(super) fn of(index: u32) -> Self {
        match index % 4 {
            0 | 3 => Self::College,
            1 => Self::Lycee,
            _ => Self::Primary,
        }
    }

    /// Size beside the others.
    pub(super) fn weight(self) -> u64 {
        match self {
            Self::Primary => 7,
            Self::College => 12,
            Self::Lycee => 14,
        }
    }

    /// Levels, youngest first.
    pub(super) fn levels(self) -> &'static [Level] {
        match self {
            Self::Primary => PRIMARY,
            Self::College => COLLEGE,
            Self::Lycee => LYCEE,
        }
    }

    /// `ENTStructureTypeStruct` and its code.
    pub(super) fn aaf_type(self) -> (&'static str, &'static str) {
        match self {
            Self::Primary => ("ECOLE", "151"),
            Self::College => ("COLLEGE", "340"),
            Self::Lycee => ("LYCEE GENERAL", "302"),
        }
    }

    /// As in a name.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Primary => "École",
            Self::College => "Collège",
            Self::Lycee => "Lycée",
        }
    }
}

/// A level: its MEF, the age at which one is usually in it, and what is taught.
#[derive(Debug)]
pub(super) struct Level {
    /// As in class names.
    pub(super) name: &'static str,
    /// MEF code of the national nomenclature.
    pub(super) mef: &'static str,
    /// Its statistical code.
    pub(super) stat11: &'static str,
    /// Its label there.
    pub(super) mef_label: &'static str,
    /// `ENTEleveNivFormation`
    pub(super) training: &'static str,
    pub(super) age: i32,
    /// Subject code and hours a week. The second language is taught in groups.
    pub(super) programme: &'static [(&'static str, u32)],
}

/// A subject of the national nomenclature.
#[derive(Debug)]
pub(super) struct Subject {
    pub(super) code: &'static str,
    /// As an ENT shows it.
    pub(super) label: &'static str,
    /// The discipline of who teaches it.
    pub(super) discipline: &'static str,
    /// Where it is taught, when not in the class's own room.
    pub(super) room: Option<&'static str>,
}

/// The subject whose hours stand for any second language.
pub(super) const SECOND_LANGUAGE: &str = "030602";
/// The second languages taught in groups, and how their groups are called.
pub(super) const LANGUAGES: [(&str, &str); 3] = [("030602", "ESP2"), ("030102", "ALL2"), ("030902", "ITA2")];
/// Taught every other week.
pub(super) const FORTNIGHTLY: [&str; 2] = ["008400", "043800"];

const fn subject(
    code: &'static str,
    label: &'static str,
    discipline: &'static str,
    room: Option<&'static str>,
) -> Subject {
    Subject { code, label, discipline, room }
}

pub(super) const SUBJECTS: &[Subject] = &[
    subject("020700", "Français", "LETTRES", None),
    subject("061300", "Mathématiques", "MATHEMATIQUES", None),
    subject("040600", "Histoire et géographie", "HISTOIRE-GEOGRAPHIE", None),
    subject("043800", "Enseignement moral et civique", "HISTOIRE-GEOGRAPHIE", None),
    subject("030201", "Anglais LV1", "ANGLAIS", None),
    subject("030602", "Espagnol LV2", "ESPAGNOL", None),
    subject("030102", "Allemand LV2", "ALLEMAND", None),
    subject("030902", "Italien LV2", "ITALIEN", None),
    subject("100100", "Éducation physique et sportive", "EPS", Some("Gymnase")),
    subject("062900", "Sciences de la vie et de la Terre", "SVT", Some("Labo SVT")),
    subject("062300", "Physique-chimie", "PHYSIQUE-CHIMIE", Some("Labo PC")),
    subject("070800", "Technologie", "TECHNOLOGIE", Some("Techno")),
    subject("090100", "Arts plastiques", "ARTS PLASTIQUES", Some("Arts")),
    subject("081300", "Éducation musicale", "EDUCATION MUSICALE", Some("Musique")),
    subject("008400", "Vie de classe", "LETTRES", None),
    subject("050700", "Sciences économiques et sociales", "SES", None),
    subject("074600", "Sciences numériques et technologie", "MATHEMATIQUES", Some("Info 1")),
    subject("065300", "Enseignement scientifique", "PHYSIQUE-CHIMIE", None),
    subject("010300", "Philosophie", "PHILOSOPHIE", None),
];

/// The subject of this code.
pub(super) fn subject_of(code: &str) -> Option<&'static Subject> {
    SUBJECTS.iter().find(|subject| subject.code == code)
}

const SIXTH: &[(&str, u32)] = &[
    ("020700", 5),
    ("061300", 4),
    ("040600", 3),
    ("030201", 4),
    ("100100", 4),
    ("062900", 1),
    ("062300", 1),
    ("070800", 1),
    ("090100", 1),
    ("081300", 1),
    ("008400", 1),
];
const CYCLE_4: &[(&str, u32)] = &[
    ("020700", 4),
    ("061300", 4),
    ("040600", 3),
    ("043800", 1),
    ("030201", 3),
    ("030602", 3),
    ("100100", 3),
    ("062900", 2),
    ("062300", 2),
    ("070800", 1),
    ("090100", 1),
    ("081300", 1),
    ("008400", 1),
];
const SECONDE: &[(&str, u32)] = &[
    ("020700", 4),
    ("061300", 4),
    ("040600", 3),
    ("043800", 1),
    ("030201", 3),
    ("030602", 3),
    ("100100", 2),
    ("062900", 2),
    ("062300", 3),
    ("050700", 2),
    ("074600", 2),
];
const PREMIERE: &[(&str, u32)] = &[
    ("020700", 4),
    ("061300", 4),
    ("040600", 3),
    ("043800", 1),
    ("030201", 3),
    ("030602", 2),
    ("100100", 2),
    ("062900", 3),
    ("062300", 4),
    ("065300", 2),
];
const TERMINALE: &[(&str, u32)] = &[
    ("010300", 4),
    ("061300", 6),
    ("040600", 3),
    ("043800", 1),
    ("030201", 2),
    ("030602", 2),
    ("100100", 2),
    ("062900", 4),
    ("062300", 5),
    ("065300", 2),
];
const SCHOOL: &[(&str, u32)] =
    &[("020700", 6), ("061300", 4), ("040600", 2), ("030201", 1), ("100100", 2), ("090100", 1)];

const fn level(
    name: &'static str,
    [mef, stat11, mef_label]: [&'static str; 3],
    training: &'static str,
    age: i32,
    programme: &'static [(&'static str, u32)],
) -> Level {
    Level { name, mef, stat11, mef_label, training, age, programme }
}

const PRIMARY: &[Level] = &[
    level("CP", ["00110002110", "11210010002", "CP"], "CP", 6, SCHOOL),
    level("CE1", ["00210002210", "11220010002", "CE1"], "CE1", 7, SCHOOL),
    level("CE2", ["00210002220", "11230010002", "CE2"], "CE2", 8, SCHOOL),
    level("CM1", ["00310002210", "11240010002", "CM1"], "CM1", 9, SCHOOL),
    level("CM2", ["00310002220", "11250010002", "CM2"], "CM2", 10, SCHOOL),
];
const COLLEGE: &[Level] = &[
    level("6e", ["10010012110", "21110010012", "6EME"], "6EME", 11, SIXTH),
    level("5e", ["10110001110", "21120010001", "5EME"], "5EME", 12, CYCLE_4),
    level("4e", ["10210001110", "21150010001", "4EME"], "4EME", 13, CYCLE_4),
    level("3e", ["10310019110", "21160010019", "3EME"], "3EME", 14, CYCLE_4),
];
const LYCEE: &[Level] = &[
    level("2de", ["20010014110", "22111410014", "2DE DETERMINATION"], "2NDE GENERALE", 15, SECONDE),
    level("1re", ["20111010110", "22121111010", "PREMIERE SCIENTIFIQUE SVT"], "1ERE GENERALE", 16, PREMIERE),
    level(
        "Tle",
        ["20211010110", "22131111010", "TERMINALE SCIENTIFIQUE SVT"],
        "TERMINALE GENERALE",
        17,
        TERMINALE,
    ),
];
/// All levels of all kinds, for the file of MEFs.
pub(super) fn all_levels() -> impl Iterator<Item = &'static Level> {
    PRIMARY.iter().chain(COLLEGE).chain(LYCEE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_programme_is_of_known_subjects_and_fits_a_week() {
        for level in all_levels() {
            assert!(level.programme.iter().all(|(code, _)| subject_of(code).is_some()), "{}", level.name);
            assert!(level.programme.iter().map(|(_, hours)| hours).sum::<u32>() <= 36, "{}", level.name);
            assert_eq!((level.mef.len(), level.stat11.len()), (11, 11));
        }
    }
}
