//! Whom a desk means: its attributes, as the directory's keys. Pure.

use preau_kernel::{Role, RoleSet, fold};
use serde::{Deserialize, Serialize};

/// What kind of desk it is: which attributes say who comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = FederationKind)]
pub enum Kind {
    /// ÉduConnect, and desks of academies for families: pupils and guardians, by `FrEduCtRefId` or `FrEduVecteur`.
    Educonnect,
    /// An academy's own desk: those who work in schools, by their academic address.
    Agents,
}

impl Kind {
    /// The word in the database and in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Educonnect => "educonnect",
            Self::Agents => "agents",
        }
    }

    /// From that word.
    pub(super) fn from_word(word: &str) -> Option<Self> {
        [Self::Educonnect, Self::Agents].into_iter().find(|kind| kind.as_str() == word)
    }

    /// Whether somebody of these roles comes by this desk. An academic address says which agent comes, so it opens no
    /// account that is a family's only; and the other way round. No desk knows a school's guests.
    pub(super) fn admits(self, roles: RoleSet, territory_admin: bool) -> bool {
        let works_there = territory_admin || roles.meets(RoleSet::ADULTS);
        match self {
            Self::Educonnect => roles.has(Role::Pupil) || roles.has(Role::Guardian),
            Self::Agents => works_there,
        }
    }
}

/// An academy's code as one number is written in many ways: without the zeros in front, and without the `P` that private
/// schools' deliveries put there.
pub(super) fn plain_academy(code: &str) -> &str {
    let code = code.trim();
    code.strip_prefix(['P', 'p']).unwrap_or(code).trim_start_matches('0')
}

/// A person's key in an academy's directory, under each of the names that the academy may have been imported by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reference {
    pub(super) academies: Vec<String>,
    pub(super) key: String,
}

/// More than any family has; past it an answer is no family's.
const MOST_REFERENCES: usize = 40;

/// Reads `FrEduCtRefId`: `{AAF}academy|…|key`, one value a child or guardian record. Other prefixes (`{ECT}`…) are other
/// directories'. `academies` are those of the desk, plain; none: all.
pub(super) fn references<'a>(values: impl Iterator<Item = &'a str>, academies: &[String]) -> Vec<Reference> {
    let mut found: Vec<Reference> = Vec::new();
    for value in values.take(MOST_REFERENCES) {
        let Some(rest) = value.trim().strip_prefix("{AAF}") else { continue };
        let mut parts = rest.split('|');
        let (Some(academy), Some(_), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            continue;
        };
        let (academy, key) = (plain_academy(academy), key.trim());
        let sane = |text: &str| {
            (1..=64).contains(&text.len())
                && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\')
        };
        if !sane(academy) || !sane(key) || !(academies.is_empty() || academies.iter().any(|it| it == academy))
        {
            continue;
        }
        let padded = format!("{academy:0>2}");
        let mut names = vec![academy.to_owned(), format!("P{academy}")];
        if padded != academy {
            names.extend([format!("P{padded}"), padded]);
        }
        let reference = Reference { academies: names, key: key.to_owned() };
        if !found.contains(&reference) {
            found.push(reference);
        }
    }
    found
}

/// One value of `FrEduVecteur`: a child in a school, and a guardian of theirs where it is not the child who comes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Vector {
    /// The child comes.
    pub(super) pupil: bool,
    /// The child's number (`ENTEleveStructRattachId`).
    pub(super) number: String,
    /// The school's national code.
    pub(super) uai: String,
    /// The guardian's folded name, as directories of schools hold it: family name, given name.
    pub(super) name: String,
}

/// More than the children of any family; what is kept of somebody who must wait fits in a cookie.
const MOST_VECTORS: usize = 20;

/// Reads `FrEduVecteur`: `profile|family name|given name|child's number|UAI`, one value a child and school. Profiles: 1 and 2,
/// a guardian in the first and second degree; 3 and 4, the pupil. A guardian without a name could be any of the child's.
pub(super) fn vectors<'a>(values: impl Iterator<Item = &'a str>) -> Vec<Vector> {
    let mut found: Vec<Vector> = Vec::new();
    for value in values.take(MOST_VECTORS) {
        let parts: Vec<&str> = value.split('|').map(str::trim).collect();
        let [profile, last_name, first_name, number, uai] = parts.as_slice() else { continue };
        let pupil = match *profile {
            "1" | "2" => false,
            "3" | "4" => true,
            _ => continue,
        };
        let uai = uai.to_ascii_uppercase();
        let is_uai = uai.len() == 8
            && uai.bytes().take(7).all(|byte| byte.is_ascii_digit())
            && uai.ends_with(|last: char| last.is_ascii_uppercase());
        let is_number =
            (1..=32).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let name = if pupil { String::new() } else { fold(&format!("{last_name} {first_name}")) };
        let is_named = pupil || !(fold(last_name).is_empty() || fold(first_name).is_empty());
        if !(is_uai && is_number && is_named && name.len() <= 400) {
            continue;
        }
        let vector = Vector { pupil, number: (*number).to_owned(), uai, name };
        if !found.contains(&vector) {
            found.push(vector);
        }
    }
    found
}

/// An academic address, if it can be one.
pub(super) fn address(said: &str) -> Option<&str> {
    let said = said.trim();
    let (name, host) = said.split_once('@')?;
    let fits =
        said.len() <= 254 && !name.is_empty() && host.contains('.') && !said.contains(char::is_whitespace);
    fits.then_some(said)
}

/// An address of a desk that browsers may be sent to: TLS, or this very machine (tests, development).
pub(super) fn is_desk_url(url: &str) -> bool {
    let plain = url.len() <= 1024
        && url.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte));
    let rest = |scheme| {
        url.strip_prefix(scheme).map(|rest: &str| rest.split(['/', '?', '#']).next().unwrap_or_default())
    };
    let host_fits = |host: &str| !host.is_empty() && !host.contains('@');
    let local = |host: &str| ["localhost", "127.0.0.1"].contains(&host.split(':').next().unwrap_or_default());
    plain && (rest("https://").is_some_and(host_fits) || rest("http://").is_some_and(local))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(values: &[&str], academies: &[&str]) -> Vec<(String, String)> {
        let academies: Vec<String> = academies.iter().map(|&it| it.to_owned()).collect();
        let found = references(values.iter().copied(), &academies);
        found.into_iter().map(|it| (it.academies.join(","), it.key)).collect()
    }

    #[test]
    fn references_are_read_whatever_the_zeros() {
        let both = [("7,P7,P07,07".to_owned(), "1234567".to_owned())];
        assert_eq!(keys(&["{AAF}07|0750001T|1234567"], &[]), both);
        assert_eq!(keys(&["{AAF}7|x|1234567"], &["7"]), both);
        assert_eq!(keys(&["{AAF}P07|x|1234567|more"], &[]), both);
        assert_eq!(keys(&["{AAF}25|x|9"], &[]), [("25,P25".to_owned(), "9".to_owned())]);
    }

    #[test]
    fn several_values_are_several_people_and_the_same_twice_is_one() {
        let values = ["{AAF}25|x|1", "{ECT}1|x|2", "{AAF}25|y|1", "{AAF}25|x|3"];
        let found = keys(&values, &[]);
        assert_eq!(found.iter().map(|(_, key)| key.as_str()).collect::<Vec<_>>(), ["1", "3"]);
        assert_eq!(keys(&["{AAF}25|x|1"; 100], &[]).len(), 1);
    }

    #[test]
    fn what_is_no_reference_is_nobody() {
        for bad in [
            "",
            "{AAF}",
            "{AAF}25",
            "{AAF}25|x",
            "{AAF}|x|1",
            "{AAF}25|x|",
            "AAF25|x|1",
            "{AAF}25|x|a b",
            "{AAF}000|x|1",
        ] {
            assert_eq!(keys(&[bad], &[]), [], "{bad}");
        }
        assert_eq!(keys(&["{AAF}25|x|1"], &["7"]), [], "an academy that this desk does not speak for");
    }

    #[test]
    fn vectors_name_a_child_in_a_school_and_a_guardian() {
        let read = |values: &[&str]| vectors(values.iter().copied());
        let vector = |pupil, number: &str, name: &str| Vector {
            pupil,
            number: number.to_owned(),
            uai: "0790031E".to_owned(),
            name: name.to_owned(),
        };
        assert_eq!(read(&["4|||701294|0790031E"]), [vector(true, "701294", "")]);
        assert_eq!(read(&["3|MARTIN|Lina|701294| 0790031e "]), [vector(true, "701294", "")]);
        assert_eq!(
            read(&[
                "2|LŒUILLET-ROUX|Zoé|701294|0790031E",
                "1|Loeuillet Roux|ZOE|701294|0790031E",
                "2|A|B|9|0790031E"
            ]),
            [vector(false, "701294", "loeuillet roux zoe"), vector(false, "9", "a b")]
        );
        for bad in [
            "",
            "4",
            "5|||701294|0790031E",
            "4|||701294",
            "4||||0790031E",
            "4|||701294|0790031",
            "4|||701294|07900311",
            "4|||70 12|0790031E",
            "2||Paul|701294|0790031E",
            "2|MARTIN||701294|0790031E",
            "4|||701294|0790031E|more",
        ] {
            assert_eq!(read(&[bad]), [], "{bad}");
        }
        assert_eq!(read(&["4|||701294|0790031E"; 100]).len(), 1);
    }

    #[test]
    fn a_desk_opens_its_own_peoples_accounts() {
        let guardian = RoleSet::of(&[Role::Guardian]);
        let teacher = RoleSet::of(&[Role::Teacher]);
        assert!(Kind::Educonnect.admits(guardian, false) && !Kind::Educonnect.admits(teacher, false));
        assert!(Kind::Agents.admits(teacher, false) && !Kind::Agents.admits(guardian, false));
        assert!(Kind::Agents.admits(RoleSet::NONE, true));
        assert!(Kind::Educonnect.admits(RoleSet::of(&[Role::Teacher, Role::Guardian]), false));
        let guest = RoleSet::of(&[Role::Guest]);
        assert!(!Kind::Educonnect.admits(guest, false) && !Kind::Agents.admits(guest, false));
    }

    #[test]
    fn browsers_are_sent_to_desks_over_tls() {
        for good in
            ["https://educonnect.test/idp/sso?x=1", "http://127.0.0.1:8888/saml", "http://localhost/x"]
        {
            assert!(is_desk_url(good), "{good}");
        }
        for bad in [
            "http://educonnect.test/",
            "javascript:alert(1)",
            "https://",
            "https://a@b.test/",
            "//x.test",
            "https://x.test/\r\n",
            "http://localhost.evil.test/",
        ] {
            assert!(!is_desk_url(bad), "{bad}");
        }
        assert_eq!(address(" a.b@ac-test.fr "), Some("a.b@ac-test.fr"));
        assert_eq!(address("a.b"), None);
    }
}
