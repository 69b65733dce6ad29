//! How likely two records are one person.

/// What two records share.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Shared {
    pub(super) first_name: bool,
    /// The first names only begin alike: `Jean` and `Jean-Paul`.
    pub(super) first_name_begins: bool,
    pub(super) birth: bool,
    pub(super) email: bool,
    pub(super) ine: bool,
    pub(super) school: bool,
}

/// Below it nobody is asked to look.
pub(super) const THRESHOLD: i16 = 60;

/// A score of 0 to 100 for two records with one last name, and what it is made of.
pub(super) fn score(shared: Shared) -> (i16, Vec<&'static str>) {
    let parts = [
        (true, 30, "last-name"),
        (shared.first_name, 25, "first-name"),
        (shared.first_name_begins && !shared.first_name, 15, "first-name-begins"),
        (shared.birth, 30, "birth-date"),
        (shared.email, 20, "email"),
        (shared.school, 10, "same-school"),
        (shared.ine, 60, "ine"),
    ];
    let held: Vec<_> = parts.into_iter().filter(|(holds, _, _)| *holds).collect();
    let sum: i16 = held.iter().map(|(_, points, _)| points).sum();
    (sum.min(100), held.into_iter().map(|(_, _, code)| code).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn namesakes_of_one_school_are_looked_at_only_with_something_more() {
        let same = Shared { first_name: true, ..Shared::default() };
        assert!(score(same).0 < THRESHOLD, "two Martin Lina of two schools are two people");
        assert!(score(Shared { school: true, ..same }).0 >= THRESHOLD);
        assert!(score(Shared { birth: true, ..same }).0 >= THRESHOLD);
        assert!(score(Shared { email: true, ..same }).0 >= THRESHOLD);
        let begins = Shared { first_name_begins: true, ..Shared::default() };
        assert!(score(Shared { school: true, ..begins }).0 < THRESHOLD);
        assert!(score(Shared { birth: true, ..begins }).0 >= THRESHOLD);
        assert!(score(Shared { email: true, school: true, ..Shared::default() }).0 >= THRESHOLD);
        let all = Shared { first_name: true, birth: true, email: true, ine: true, school: true, ..begins };
        assert_eq!(score(all).0, 100);
        assert_eq!(score(Shared { ine: true, ..Shared::default() }).1, ["last-name", "ine"]);
    }
}
