//! Who sees whom, from roles alone (`reference/features.md` §B3, the part that gates seeing). A new role does not compile
//! until each question here is answered for it.
#![warn(clippy::wildcard_enum_match_arm)]

use preau_kernel::{Role, RoleSet};

use crate::groups::{ClassPart, GroupRef, SchoolPart};

/// The function code of direction in the national directory.
pub const DIRECTION: &str = "DIR";
/// Functions of the staff who live with the classes: education (CPE), supervision, assistants.
pub const SCHOOL_LIFE: [&str; 3] = ["EDU", "SUR", "AED"];

/// How far a person sees in a school.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sight {
    /// Everybody. The rest is then of no matter.
    pub everybody: bool,
    /// The pupils and teachers of one's own classes and groups, and one's guardians.
    pub as_pupil: bool,
    /// One's children, and their teachers.
    pub as_guardian: bool,
    /// Staff who have one of these functions.
    pub functions: Vec<&'static str>,
}

/// How far these roles see.
pub fn sight(roles: RoleSet) -> Sight {
    let mut sight = Sight::default();
    for role in roles.iter() {
        match role {
            Role::Pupil => {
                sight.as_pupil = true;
                sight.functions.extend(SCHOOL_LIFE);
            }
            Role::Guardian => {
                sight.as_guardian = true;
                sight.functions.extend(SCHOOL_LIFE);
                sight.functions.push(DIRECTION);
            }
            Role::Teacher | Role::Staff | Role::SchoolAdmin => sight.everybody = true,
            // Whom the matrix opens to them they find among those whom they may write to, and nowhere else.
            Role::Guest => {}
        }
    }
    sight
}

/// What ties the person asking to the person whose day is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tie {
    /// They are one.
    pub myself: bool,
    /// The other is a pupil here.
    pub pupil: bool,
    /// The other is my child, by a link of legal guardian or of person in charge.
    pub child: bool,
    /// I teach one of the other's classes or groups.
    pub taught: bool,
}

/// Whether a day may be seen.
pub fn may_see_day(roles: RoleSet, tie: Tie) -> bool {
    tie.myself
        || tie.pupil
            && roles.iter().any(|role| match role {
                Role::Pupil | Role::Guest => false,
                Role::Guardian => tie.child,
                Role::Teacher => tie.taught,
                Role::Staff | Role::SchoolAdmin => true,
            })
}

/// What of a person's family the person asking may see: a pupil's guardians, a guardian's children.
pub fn may_see_family(roles: RoleSet, myself: bool) -> bool {
    myself || sight(roles).everybody
}

/// The automatic groups of a class that show to a pupil of it (`own`) or to a guardian of one.
pub fn class_parts(own: bool) -> &'static [ClassPart] {
    if own { &[ClassPart::Pupils, ClassPart::Teachers] } else { &[ClassPart::Teachers] }
}

/// The automatic groups of the whole school that show to these roles.
pub fn school_groups(roles: RoleSet) -> Vec<GroupRef> {
    let whole = SchoolPart::ALL.map(GroupRef::School);
    let sight = sight(roles);
    if sight.everybody {
        return whole.into_iter().chain([GroupRef::HeadTeachers, GroupRef::Direction]).collect();
    }
    if sight.as_guardian { vec![GroupRef::Direction] } else { Vec::new() }
}

/// The folded names that begin with `query`, as a half-open range; all of them when there is none.
pub fn names_like(query: &str) -> (String, String) {
    let from = preau_kernel::fold(query);
    // Folded text is letters, digits and spaces: `{` follows them all.
    let below = format!("{from}{{");
    (from, below)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CHILD: Tie = Tie { myself: false, pupil: true, child: true, taught: false };
    const TAUGHT: Tie = Tie { myself: false, pupil: true, child: false, taught: true };
    const PUPIL: Tie = Tie { myself: false, pupil: true, child: false, taught: false };
    const STRANGER: Tie = Tie { myself: false, pupil: false, child: false, taught: false };

    #[test]
    fn a_day_is_the_business_of_few() {
        let may = |role, tie| may_see_day(RoleSet::of(&[role]), tie);
        for role in Role::ALL {
            assert!(may(role, Tie { myself: true, ..STRANGER }), "{role} and their own day");
            assert!(!may(role, STRANGER), "{role} and somebody who is not a pupil");
        }
        assert!(!may(Role::Pupil, PUPIL) && !may(Role::Pupil, CHILD) && !may(Role::Pupil, TAUGHT));
        assert!(may(Role::Guardian, CHILD) && !may(Role::Guardian, PUPIL) && !may(Role::Guardian, TAUGHT));
        assert!(may(Role::Teacher, TAUGHT) && !may(Role::Teacher, PUPIL) && !may(Role::Teacher, CHILD));
        assert!(may(Role::Staff, PUPIL) && may(Role::SchoolAdmin, PUPIL));
        assert!(!may(Role::Guest, PUPIL) && !may(Role::Guest, CHILD) && !may(Role::Guest, TAUGHT));
    }

    #[test]
    fn families_see_their_own_circle_and_adults_see_the_school() {
        let pupil = sight(RoleSet::of(&[Role::Pupil]));
        assert!(pupil.as_pupil && !pupil.everybody && !pupil.functions.contains(&DIRECTION));
        let guardian = sight(RoleSet::of(&[Role::Guardian]));
        assert!(guardian.as_guardian && !guardian.as_pupil && guardian.functions.contains(&DIRECTION));
        assert!(sight(RoleSet::of(&[Role::Guardian, Role::Teacher])).everybody);
        assert_eq!(sight(RoleSet::NONE), Sight::default());
        assert_eq!(sight(RoleSet::of(&[Role::Guest])), Sight::default());
    }

    #[test]
    fn no_family_sees_the_guardians_of_a_class() {
        for own in [true, false] {
            assert!(!class_parts(own).contains(&ClassPart::Guardians));
        }
        assert_eq!(school_groups(RoleSet::of(&[Role::Pupil])), []);
        assert_eq!(school_groups(RoleSet::of(&[Role::Guest])), []);
        assert_eq!(school_groups(RoleSet::of(&[Role::Guardian])), [GroupRef::Direction]);
    }

    proptest! {
        #[test]
        fn a_range_holds_every_name_that_begins_so(query in "[A-Za-zé ]{0,8}", rest in "[a-z0-9 ]{0,8}") {
            let (from, below) = names_like(&query);
            let name = format!("{from}{rest}");
            prop_assert!(from <= name && name < below);
        }

        #[test]
        fn more_roles_never_see_less(bits in proptest::collection::vec(0_usize..6, 0..6), more in 0_usize..6) {
            let roles: RoleSet = bits.into_iter().map(|bit| Role::ALL[bit]).collect();
            let wider = roles.with(Role::ALL[more]);
            for tie in [CHILD, TAUGHT, PUPIL, STRANGER] {
                prop_assert!(!may_see_day(roles, tie) || may_see_day(wider, tie));
            }
            prop_assert!(!sight(roles).everybody || sight(wider).everybody);
        }
    }
}
