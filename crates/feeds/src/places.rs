//! What a school's UAI and academy say about it: the check letter, the time zone, the holiday zone.
//!
//! The directory files carry no time zone, so it is derived from the département in the first three digits.

use chrono_tz::Tz;

/// The 23 check letters of a UAI, in the order of the remainder.
const LETTERS: &[u8; 23] = b"ABCDEFGHJKLMNPRSTUVWXYZ";

/// The letter that ends the UAI whose seven digits are given: the number modulo 23.
pub fn uai_letter(digits: &str) -> Option<char> {
    if digits.len() != 7 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number: usize = digits.parse().ok()?;
    LETTERS.get(number % LETTERS.len()).map(|letter| char::from(*letter))
}

/// Whether a UAI has seven digits and the letter they call for. Real files hold a few that do not: warn, do not refuse.
pub fn uai_is_sound(uai: &str) -> bool {
    let Some((at, letter)) = uai.char_indices().last() else { return false };
    uai.get(..at).and_then(uai_letter) == Some(letter)
}

/// Whether a text has the form of a UAI, its letter right or not.
pub fn uai_is_formed(uai: &str) -> bool {
    uai.len() == 8
        && uai.bytes().take(7).all(|byte| byte.is_ascii_digit())
        && uai.bytes().skip(7).all(|byte| byte.is_ascii_uppercase())
}

/// The time zone of a school, from the département of its UAI; Paris for the mainland and anything unknown.
pub fn zone_of_uai(uai: &str) -> Tz {
    match uai.get(..3) {
        Some("971" | "977" | "978") => Tz::America__Guadeloupe,
        Some("972") => Tz::America__Martinique,
        Some("973") => Tz::America__Cayenne,
        Some("974") => Tz::Indian__Reunion,
        Some("975") => Tz::America__Miquelon,
        Some("976") => Tz::Indian__Mayotte,
        // UAIs number the Pacific in their own way: INSEE's 987 is French Polynesia, theirs is Wallis and Futuna.
        Some("983" | "988") => Tz::Pacific__Noumea,
        Some("984") => Tz::Pacific__Tahiti,
        Some("986" | "987") => Tz::Pacific__Wallis,
        _ => Tz::Europe__Paris,
    }
}

/// The holiday zone of an academy: `A`, `B`, `C`, `Corse`, or the overseas territory's own calendar by its name.
/// `academy` is the two-digit code of AAF headers (`codeAcademieExport`) and of STS (which pads it to three).
pub fn holiday_zone(academy: &str) -> Option<&'static str> {
    match academy.trim_start_matches('0') {
        // Besançon, Bordeaux, Clermont-Ferrand, Dijon, Grenoble, Limoges, Lyon, Poitiers.
        "3" | "4" | "6" | "7" | "8" | "22" | "10" | "13" => Some("A"),
        // Aix-Marseille, Amiens, Lille, Nancy-Metz, Nantes, Nice, Normandie (and Caen, Rouen), Orléans-Tours, Reims,
        // Rennes, Strasbourg.
        "2" | "20" | "9" | "12" | "17" | "23" | "70" | "5" | "21" | "18" | "19" | "14" | "15" => Some("B"),
        // Créteil, Montpellier, Paris, Toulouse, Versailles.
        "24" | "11" | "1" | "16" | "25" => Some("C"),
        "27" => Some("Corse"),
        "28" => Some("Réunion"),
        "31" => Some("Martinique"),
        "32" => Some("Guadeloupe"),
        "33" => Some("Guyane"),
        "40" => Some("Nouvelle-Calédonie"),
        "41" => Some("Polynésie"),
        "43" => Some("Mayotte"),
        "44" => Some("Saint-Pierre-et-Miquelon"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_letter_is_the_number_modulo_23() {
        assert!(uai_is_sound("0771991W"));
        assert!(!uai_is_sound("0123456A"));
        assert!(!uai_is_sound("077199W"));
        assert!(!uai_is_sound(""));
        assert!(!uai_is_sound("077199éW"));
        assert_eq!(uai_letter("0000000"), Some('A'));
        assert!(uai_is_formed("0123456A") && !uai_is_formed("0123456a"));
    }

    #[test]
    fn overseas_schools_keep_their_own_time() {
        assert_eq!(zone_of_uai("9740001A"), Tz::Indian__Reunion);
        assert_eq!(zone_of_uai("9830002K"), Tz::Pacific__Noumea);
        assert_eq!(zone_of_uai("9840002D"), Tz::Pacific__Tahiti);
        assert_eq!(zone_of_uai("9760127J"), Tz::Indian__Mayotte);
        assert_eq!(zone_of_uai("0750001A"), Tz::Europe__Paris);
        assert_eq!(zone_of_uai("é"), Tz::Europe__Paris);
    }

    #[test]
    fn academies_have_one_zone() {
        assert_eq!(holiday_zone("10"), Some("A"));
        assert_eq!(holiday_zone("024"), Some("C"));
        assert_eq!(holiday_zone("28"), Some("Réunion"));
        assert_eq!(holiday_zone("99"), None);
    }
}
