//! The inner syntax of AAF values: `$`-separated parts, French dates, O/N flags. Pure functions.
//!
//! Each answers `None` for a value that has not that form; the caller counts it and goes on.

use chrono::NaiveDate;

use crate::record::{Function, InClass, InSchool, Relation};

/// `struct$NAME`: a class or group of a school. Names keep their blanks, dots and dashes.
pub fn in_school(value: &str) -> Option<InSchool> {
    let (school, name) = value.split_once('$')?;
    let name = name.trim();
    if name.contains('$') {
        return None;
    }
    Some(InSchool { school: key(school)?, name: key(name)? })
}

/// A class or group of a primary school: `struct$…$…$code$NAME`, or `struct$NAME`.
pub fn in_primary_school(value: &str) -> Option<InSchool> {
    let parts: Vec<&str> = value.split('$').collect();
    match parts.as_slice() {
        [school, name] | [school, _, _, _, name] => Some(InSchool { school: key(school)?, name: key(name)? }),
        _ => None,
    }
}

/// `struct$class$subject`, or `struct$class` when the subject is not given.
pub fn in_class(value: &str) -> Option<InClass> {
    let mut parts = value.split('$');
    let (school, class) = (key(parts.next()?)?, key(parts.next()?)?);
    let subject = parts.next().and_then(key);
    parts.next().is_none().then_some(InClass { school, class, subject })
}

/// `struct$code$label$posCode$posLabel`: a function in a school. `-` says "none" in the codes.
pub fn function(value: &str) -> Option<Function> {
    let parts: Vec<&str> = value.split('$').collect();
    let [school, code, label, position, position_label] = parts.as_slice() else { return None };
    let word = |text: &str| key(text).filter(|text| text != "-");
    Some(Function {
        school: key(school)?,
        code: word(code),
        label: word(label),
        position: word(position),
        position_label: word(position_label),
    })
}

/// `carer$link$financial$legal$contact$payment`: what a person is to a pupil.
///
/// Link 1 or 2, 10 or 20 are parents; legal 1 is a legal guardian, 2 a person in charge, 0 neither; contact is the order
/// in which to call (1 first, 0 when not given).
pub fn relation(value: &str) -> Option<Relation> {
    let parts: Vec<&str> = value.split('$').collect();
    let [person, link, financial, legal, contact, payment] = parts.as_slice() else { return None };
    let number = |text: &str| if text.trim().is_empty() { Some(0) } else { text.trim().parse::<u8>().ok() };
    Some(Relation {
        person: key(person)?,
        link: number(link)?,
        financial: number(financial)?,
        legal: number(legal)?,
        contact: number(contact)?,
        payment: number(payment)?,
    })
}

/// `dd/mm/yyyy`.
pub fn date(value: &str) -> Option<NaiveDate> {
    let value = value.trim();
    // As all are written; a format that is interpreted costs as much as ten attributes.
    if let [d, e, b'/', m, n, b'/', y @ ..] = value.as_bytes()
        && let [_, _, _, _] = y
        && [d, e, m, n].into_iter().chain(y).all(u8::is_ascii_digit)
    {
        let number =
            |digits: &[u8]| digits.iter().fold(0_u32, |sum, digit| sum * 10 + u32::from(digit - b'0'));
        let year = i32::try_from(number(y)).ok()?;
        return NaiveDate::from_ymd_opt(year, number(&[*m, *n]), number(&[*d, *e]));
    }
    NaiveDate::parse_from_str(value, "%d/%m/%Y").ok()
}

/// `O` or `N`.
pub fn flag(value: &str) -> Option<bool> {
    match value.trim() {
        "O" => Some(true),
        "N" => Some(false),
        _ => None,
    }
}

/// A text that is not blank, trimmed.
pub fn key(value: &str) -> Option<String> {
    let value = value.trim();
    (!value.is_empty()).then(|| value.to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn classes_and_groups_have_exactly_two_parts() {
        let class = in_school("3000$1AQUA 2.B_c-d").unwrap();
        assert_eq!((class.school.as_str(), class.name.as_str()), ("3000", "1AQUA 2.B_c-d"));
        for bad in ["3000", "3000$", "$3A", "3000$3A$x", ""] {
            assert_eq!(in_school(bad), None, "{bad}");
        }
    }

    #[test]
    fn classes_of_primary_schools_have_five_parts() {
        assert_eq!(in_primary_school("10$a$b$77$CP A").unwrap().name, "CP A");
        assert_eq!(in_primary_school("10$CP A").unwrap().school, "10");
        assert_eq!(in_primary_school("10$a$CP A"), None);
    }

    #[test]
    fn a_teacher_s_class_may_lack_its_subject() {
        assert_eq!(in_class("3000$3A$020700").unwrap().subject.as_deref(), Some("020700"));
        assert_eq!(in_class("3000$3A").unwrap().subject, None);
        assert_eq!(in_class("3000$3A$020700$x"), None);
    }

    #[test]
    fn functions_have_five_parts_and_a_dash_says_none() {
        let head = function("3000$DIR$DIRECTION$D0010$DIRECTION").unwrap();
        assert_eq!((head.code.as_deref(), head.position.as_deref()), (Some("DIR"), Some("D0010")));
        assert_eq!(function("3000$-$-$-$-").unwrap().code, None);
        assert_eq!(function("3000$DIR"), None);
    }

    #[test]
    fn relations_have_six_numbers() {
        let mother = relation("2000000$20$1$1$2$1").unwrap();
        assert_eq!((mother.link, mother.legal, mother.contact), (20, 1, 2));
        assert!(relation("2000000$1$1$1$$").is_some(), "empty flags are zero");
        for bad in ["2000000$1$1$1$1", "$1$1$1$1$1", "2000000$mère$1$1$1$1"] {
            assert_eq!(relation(bad), None, "{bad}");
        }
    }

    #[test]
    fn dates_are_french() {
        assert_eq!(date("18/08/2020"), NaiveDate::from_ymd_opt(2020, 8, 18));
        assert_eq!(date("2020-08-18"), None);
        assert_eq!(date("31/02/2020"), None);
    }

    proptest! {
        #[test]
        fn nothing_panics_and_what_is_read_was_there(value in "[\\PC$]{0,40}") {
            if let Some(class) = in_school(&value) {
                prop_assert!(value.contains(&class.school) && value.contains(&class.name));
            }
            let _ = (in_class(&value), function(&value), relation(&value), date(&value), flag(&value));
        }
    }
}
