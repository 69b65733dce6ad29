//! The level at which a pupil studies (niveau): what a national programme code (MEF) says, or the words of a school.
#![warn(clippy::wildcard_enum_match_arm)]

use crate::words::words;

/// A level. The words are those that schools write; apprentices and holders of a baccalauréat are levels of their own,
/// because their hours are.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    serde::Serialize,
    serde::Deserialize,
    utoipa::ToSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// École maternelle.
    Maternelle,
    /// Cours préparatoire.
    Cp,
    /// Cours élémentaire, first year.
    Ce1,
    /// Cours élémentaire, second year.
    Ce2,
    /// Cours moyen, first year.
    Cm1,
    /// Cours moyen, second year.
    Cm2,
    /// Classes of the first degree outside the ordinary cursus (initiation, adaptation, intégration).
    Ecole,
    /// Sixième, SEGPA included.
    #[serde(rename = "6e")]
    Sixieme,
    /// Cinquième, SEGPA included.
    #[serde(rename = "5e")]
    Cinquieme,
    /// Quatrième, SEGPA included.
    #[serde(rename = "4e")]
    Quatrieme,
    /// Troisième, SEGPA included.
    #[serde(rename = "3e")]
    Troisieme,
    /// Classes of a collège outside the ordinary cursus (relais, UPI).
    College,
    /// Seconde générale et technologique.
    Seconde,
    /// Première générale et technologique.
    Premiere,
    /// Terminale générale et technologique.
    Terminale,
    /// Certificat d'aptitude professionnelle, in one, two or three years, and mention complémentaire.
    Cap,
    /// Seconde professionnelle, and first year of a BEP.
    SecondePro,
    /// Première professionnelle, and the years before the last of other professional diplomas.
    PremierePro,
    /// Terminale professionnelle, and last year of other professional diplomas.
    TerminalePro,
    /// Section de technicien supérieur: BTS, DMA, DTS and their upgrading classes.
    Bts,
    /// Classe préparatoire aux grandes écoles.
    Cpge,
    /// Any other diploma after the baccalauréat.
    Postbac,
    /// Apprentices and classes that lead there (CPA, DIMA, brevet professionnel).
    Cfa,
    /// A programme that no level describes: health and social diplomas, insertion.
    Other,
}

/// Programme codes of a level. `?` stands for any one character: the tenth tells the year.
///
/// Read from the national nomenclature (2,504 codes): the first three characters name the kind of programme (dispositif
/// de formation), the ninth its length in years and the tenth the year.
const CODES: [(Level, &[&str]); 24] = [
    (Level::Maternelle, &["000", "004"]),
    (Level::Cp, &["001"]),
    (Level::Ce1, &["002??????1"]),
    (Level::Ce2, &["002??????2"]),
    (Level::Cm1, &["003??????1"]),
    (Level::Cm2, &["003??????2"]),
    (Level::Ecole, &["060", "061", "062"]),
    (Level::Sixieme, &["100", "164"]),
    (Level::Cinquieme, &["101", "165"]),
    (Level::Quatrieme, &["102", "166"]),
    (Level::Troisieme, &["103", "167"]),
    (Level::College, &["105", "106"]),
    (Level::Seconde, &["200", "210", "220"]),
    (Level::Premiere, &["201", "211", "213", "221", "223", "231", "232"]),
    (Level::Terminale, &["202", "212", "214", "222", "224"]),
    (Level::Cap, &["240", "241", "242", "253", "270", "271"]),
    (Level::SecondePro, &["243", "244??????1", "272??????1", "247??????1", "276??????1"]),
    (
        Level::PremierePro,
        &["245??????1", "246??????1", "273??????1", "247??????2", "276??????2", "250", "251??????1"],
    ),
    (
        Level::TerminalePro,
        &[
            "244??????2",
            "272??????2",
            "246??????2",
            "273??????2",
            "247??????3",
            "247??????4",
            "276??????3",
            "251??????2",
        ],
    ),
    (Level::Bts, &["310", "311", "312", "313", "315", "316", "318", "320", "370", "371"]),
    (Level::Cpge, &["300", "301"]),
    (Level::Postbac, &["330", "350", "410", "412", "414", "415"]),
    (Level::Cfa, &["112", "115", "254"]),
    (Level::Other, &["290", "291", "292", "293", "390", "391", "392", "701", "702", "74", "75"]),
];

impl Level {
    /// Every level, the youngest first.
    pub const ALL: [Self; 24] = [
        Self::Maternelle,
        Self::Cp,
        Self::Ce1,
        Self::Ce2,
        Self::Cm1,
        Self::Cm2,
        Self::Ecole,
        Self::Sixieme,
        Self::Cinquieme,
        Self::Quatrieme,
        Self::Troisieme,
        Self::College,
        Self::Seconde,
        Self::Premiere,
        Self::Terminale,
        Self::Cap,
        Self::SecondePro,
        Self::PremierePro,
        Self::TerminalePro,
        Self::Bts,
        Self::Cpge,
        Self::Postbac,
        Self::Cfa,
        Self::Other,
    ];

    /// The word used in the database, in JSON and in files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Maternelle => "maternelle",
            Self::Cp => "cp",
            Self::Ce1 => "ce1",
            Self::Ce2 => "ce2",
            Self::Cm1 => "cm1",
            Self::Cm2 => "cm2",
            Self::Ecole => "ecole",
            Self::Sixieme => "6e",
            Self::Cinquieme => "5e",
            Self::Quatrieme => "4e",
            Self::Troisieme => "3e",
            Self::College => "college",
            Self::Seconde => "seconde",
            Self::Premiere => "premiere",
            Self::Terminale => "terminale",
            Self::Cap => "cap",
            Self::SecondePro => "seconde-pro",
            Self::PremierePro => "premiere-pro",
            Self::TerminalePro => "terminale-pro",
            Self::Bts => "bts",
            Self::Cpge => "cpge",
            Self::Postbac => "postbac",
            Self::Cfa => "cfa",
            Self::Other => "other",
        }
    }

    /// As a school writes it, in French.
    pub fn in_french(self) -> &'static str {
        match self {
            Self::Maternelle => "Maternelle",
            Self::Cp => "CP",
            Self::Ce1 => "CE1",
            Self::Ce2 => "CE2",
            Self::Cm1 => "CM1",
            Self::Cm2 => "CM2",
            Self::Ecole => "École, autres classes",
            Self::Sixieme => "6e",
            Self::Cinquieme => "5e",
            Self::Quatrieme => "4e",
            Self::Troisieme => "3e",
            Self::College => "Collège, autres classes",
            Self::Seconde => "2de",
            Self::Premiere => "1re",
            Self::Terminale => "Terminale",
            Self::Cap => "CAP",
            Self::SecondePro => "2de pro",
            Self::PremierePro => "1re pro",
            Self::TerminalePro => "Terminale pro",
            Self::Bts => "BTS",
            Self::Cpge => "CPGE",
            Self::Postbac => "Autres post-bac",
            Self::Cfa => "CFA",
            Self::Other => "Autres formations",
        }
    }

    /// Programme codes of this level, as prefixes; `?` stands for any one character.
    pub fn codes(self) -> &'static [&'static str] {
        CODES.iter().find(|(level, _)| *level == self).map_or(&[], |(_, codes)| codes)
    }

    /// The level of a programme code (MEF). `None` for a code of no known kind, or too short to tell.
    pub fn of_mef(code: &str) -> Option<Self> {
        CODES
            .iter()
            .find(|(_, codes)| codes.iter().any(|prefix| is_like(code, prefix)))
            .map(|(level, _)| *level)
    }

    /// The level that the words of a feed or a school mean: `6EME`, `CM2`, `2NDE GENERALE`, `TERMINALE PROFESSIONNELLE`,
    /// `BTS 1ERE ANNEE`. Case, accents and blanks do not count.
    pub fn of_words(words: &str) -> Option<Self> {
        let folded: String = words
            .chars()
            .flat_map(char::to_lowercase)
            .filter_map(|letter| match letter {
                'é' | 'è' | 'ê' => Some('e'),
                letter if letter.is_ascii_alphanumeric() => Some(letter),
                _ => None,
            })
            .collect();
        let text = folded.as_str();
        let has = |part: &str| text.contains(part);
        let starts = |part: &str| text.starts_with(part);
        let pro = has("pro") && !has("prof") || has("professionnel");
        // The most particular first: « 1ère année de BTS » is no « 1ère ».
        Some(match () {
            () if has("cfa") || has("apprenti") => Self::Cfa,
            () if has("cpge") || has("prepaauxgrandes") || has("preparatoire") && !has("cours") => Self::Cpge,
            () if has("bts") || has("technsup") || has("techniciensup") => Self::Bts,
            () if starts("cap") || text.ends_with("cap") || has("aptitudeprof") => Self::Cap,
            () if starts("petitesection") || starts("moyennesection") || starts("grandesection") => {
                Self::Maternelle
            }
            () if has("maternel") || ["ps", "ms", "gs", "tps"].contains(&text) => Self::Maternelle,
            () if starts("cp") || starts("courspreparatoire") => Self::Cp,
            () if starts("ce1") || starts("courselementaire1") => Self::Ce1,
            () if starts("ce2") || starts("courselementaire2") => Self::Ce2,
            () if starts("cm1") || starts("coursmoyen1") => Self::Cm1,
            () if starts("cm2") || starts("coursmoyen2") => Self::Cm2,
            () if starts("6") || starts("sixieme") => Self::Sixieme,
            () if starts("5") || starts("cinquieme") => Self::Cinquieme,
            () if starts("4") || starts("quatrieme") => Self::Quatrieme,
            () if starts("3") || starts("troisieme") => Self::Troisieme,
            () if starts("2") || starts("seconde") => {
                if pro {
                    Self::SecondePro
                } else {
                    Self::Seconde
                }
            }
            () if starts("1") || starts("premiere") => {
                if pro {
                    Self::PremierePro
                } else {
                    Self::Premiere
                }
            }
            () if starts("t") && (has("erm") || starts("tle")) => {
                if pro {
                    Self::TerminalePro
                } else {
                    Self::Terminale
                }
            }
            () if has("bacpro") => Self::TerminalePro,
            () => return None,
        })
    }

    /// A programme code that says this level and no more, for a pupil whose feed gives a level without a code.
    pub fn plain_code(self) -> &'static str {
        match self {
            Self::Maternelle => "00010001330",
            Self::Cp => "00110002110",
            Self::Ce1 => "00210002210",
            Self::Ce2 => "00210002220",
            Self::Cm1 => "00310002210",
            Self::Cm2 => "00310002220",
            Self::Ecole => "06110004110",
            Self::Sixieme => "10010012110",
            Self::Cinquieme => "10110001110",
            Self::Quatrieme => "10210001110",
            Self::Troisieme => "10310019110",
            Self::College => "10510015110",
            Self::Seconde => "20010014110",
            Self::Premiere => "20111010110",
            Self::Terminale => "20211010110",
            Self::Cap => "24100000210",
            Self::SecondePro => "24700000310",
            Self::PremierePro => "24700000320",
            Self::TerminalePro => "24700000330",
            Self::Bts => "31000000210",
            Self::Cpge => "30100000210",
            Self::Postbac => "41200000310",
            Self::Cfa => "25400000210",
            Self::Other => "74020999110",
        }
    }

    /// Whether it is of the first degree: the guardian signs in for the child.
    pub fn is_primary(self) -> bool {
        self <= Self::Ecole
    }
}

/// Whether a programme code begins so; `?` is any one character.
fn is_like(code: &str, prefix: &str) -> bool {
    code.len() >= prefix.len()
        && code.bytes().zip(prefix.bytes()).all(|(is, wanted)| wanted == b'?' || is == wanted)
}

words!(Level, "level");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_round_trip() {
        for level in Level::ALL {
            assert_eq!(level.as_str().parse::<Level>().unwrap(), level);
            assert_eq!(serde_json::to_value(level).unwrap(), level.as_str());
            assert_eq!(Level::of_mef(level.plain_code()), Some(level), "{level}");
        }
        assert!("5eme".parse::<Level>().is_err());
    }

    #[test]
    fn codes_of_two_levels_never_meet() {
        for (level, codes) in CODES {
            for code in codes {
                let filled: String = code.replace('?', "0");
                let found: Vec<_> =
                    CODES.iter().filter(|(_, all)| all.iter().any(|other| is_like(&filled, other))).collect();
                assert_eq!(found.len(), 1, "{code} of {level}");
            }
        }
    }

    #[test]
    fn the_year_is_in_the_code() {
        for (code, level) in [
            ("00210002210", Level::Ce1),
            ("00210002220", Level::Ce2),
            ("24722303310", Level::SecondePro),
            ("24722002320", Level::PremierePro),
            ("24721201330", Level::TerminalePro),
            ("1001000G11A", Level::Sixieme),
            ("16410002110", Level::Sixieme),
        ] {
            assert_eq!(Level::of_mef(code), Some(level), "{code}");
        }
        for unknown in ["", "2", "247", "99910001110", "002"] {
            assert_eq!(Level::of_mef(unknown), None, "{unknown}");
        }
    }

    #[test]
    fn the_words_of_feeds_are_understood() {
        for (words, level) in [
            ("6EME", Level::Sixieme),
            ("5 EME SECTION SPORTIVE", Level::Cinquieme),
            ("CM2", Level::Cm2),
            ("COURS PREPARATOIRE", Level::Cp),
            ("2NDE GENERALE", Level::Seconde),
            ("2NDE PRO", Level::SecondePro),
            ("1ERE GENERALE", Level::Premiere),
            ("PREMIERE PROFESSIONNELLE", Level::PremierePro),
            ("TERMINALE GENERALE", Level::Terminale),
            ("Terminale professionnelle", Level::TerminalePro),
            ("Tle", Level::Terminale),
            ("1ERE ANNEE BTS", Level::Bts),
            ("CPGE 2", Level::Cpge),
            ("CAP EN 2 ANS", Level::Cap),
            ("APPRENTI CAP", Level::Cfa),
            ("Sixième", Level::Sixieme),
            ("Moyenne section", Level::Maternelle),
        ] {
            assert_eq!(Level::of_words(words), Some(level), "{words}");
        }
        for unknown in ["", "ULIS", "—"] {
            assert_eq!(Level::of_words(unknown), None, "{unknown}");
        }
    }
}
