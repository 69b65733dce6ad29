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

/// The holiday zone of a school (`A`, `B`, `C`, `Corse`, `Outre-mer`), from the département of its UAI.
pub fn holiday_zone_of_uai(uai: &str) -> &'static str {
    match uai.get(..3).unwrap_or_default() {
        // Académies of Besançon, Bordeaux, Clermont-Ferrand, Dijon, Grenoble, Limoges, Lyon, Poitiers.
        "025" | "039" | "070" | "090" | "024" | "033" | "040" | "047" | "064" | "003" | "015" | "043"
        | "063" | "021" | "058" | "071" | "089" | "007" | "026" | "038" | "073" | "074" | "019" | "023"
        | "087" | "001" | "042" | "069" | "016" | "017" | "079" | "086" => "A",
        // Créteil, Montpellier, Paris, Toulouse, Versailles.
        "077" | "093" | "094" | "011" | "030" | "034" | "048" | "066" | "075" | "009" | "012" | "031"
        | "032" | "046" | "065" | "081" | "082" | "078" | "091" | "092" | "095" => "C",
        "620" | "720" | "02A" | "02B" => "Corse",
        overseas if overseas.starts_with("97") || overseas.starts_with("98") => "Outre-mer",
        _ => "B",
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
    fn holidays_follow_the_departement() {
        for (uai, zone) in [
            ("0690001A", "A"),
            ("0771991W", "C"),
            ("0130001A", "B"),
            ("6200001A", "Corse"),
            ("9740001A", "Outre-mer"),
        ] {
            assert_eq!(holiday_zone_of_uai(uai), zone, "{uai}");
        }
    }
}
