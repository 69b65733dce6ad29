//! Whose days a person sees at home, and until when an answer stands.
#![warn(clippy::wildcard_enum_match_arm)]

use chrono::{DateTime, TimeDelta, Utc};
use preau_directory::{Audience, Context};
use preau_kernel::{Role, RoleSet};

use crate::{HomePerson, Relation};

/// Days gathered at once: on a Friday evening, the next lesson is on Monday.
pub const DAYS: u32 = 4;
/// How long an answer stands at most.
pub const STANDS: TimeDelta = TimeDelta::seconds(30);

/// Somebody whose day is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Whose {
    /// Whose.
    pub person: HomePerson,
    /// What they are to me.
    pub relation: Relation,
    /// Their classes, by name.
    pub classes: Vec<String>,
    /// Whose lessons are theirs.
    pub audience: Audience,
}

/// Whose days show to somebody with `roles`: one's own unless one is a guardian and nothing else, then one's children's.
pub fn whose_days(roles: RoleSet, context: &Context) -> Vec<Whose> {
    let own = roles.iter().any(|role| match role {
        Role::Pupil | Role::Teacher | Role::Staff | Role::SchoolAdmin | Role::Guest => true,
        Role::Guardian => false,
    });
    let me = own.then(|| Whose {
        person: HomePerson {
            id: context.person.id,
            first_name: context.person.first_name.clone(),
            last_name: context.person.last_name.clone(),
        },
        relation: Relation::Myself,
        classes: context.own_classes().map(|class| class.name.clone()).collect(),
        audience: context.audience(),
    });
    let children = context.children.iter().filter(|_| roles.has(Role::Guardian)).map(|child| Whose {
        person: HomePerson {
            id: child.id,
            first_name: child.first_name.clone(),
            last_name: child.last_name.clone(),
        },
        relation: Relation::Child,
        classes: child.classes.iter().map(|class| class.name.clone()).collect(),
        audience: child.audience(),
    });
    me.into_iter().chain(children).collect()
}

/// Until when an answer of `now` stands, given the instants at which something in it changes.
pub fn stands_until(now: DateTime<Utc>, changes: impl IntoIterator<Item = DateTime<Utc>>) -> DateTime<Utc> {
    changes.into_iter().filter(|at| *at > now).fold(now + STANDS, DateTime::min)
}

#[cfg(test)]
pub(crate) mod tests {
    use preau_directory::{Child, ClassName, PersonName, SchoolCard};
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    pub(crate) fn context() -> Context {
        let class = |n: u128, name: &str| ClassName { id: Uuid::from_u128(n).into(), name: name.to_owned() };
        Context {
            school: SchoolCard {
                id: Uuid::from_u128(1).into(),
                territory: Uuid::from_u128(2).into(),
                uai: "0750001A".to_owned(),
                name: "Collège Rosa-Parks".to_owned(),
                tz: chrono_tz::Europe::Paris,
            },
            person: PersonName {
                id: Uuid::from_u128(3).into(),
                title: "Mme".to_owned(),
                first_name: "Nadia".to_owned(),
                last_name: "Benali".to_owned(),
            },
            roles: RoleSet::of(&[Role::Guardian]),
            pupil_of: Vec::new(),
            groups: Vec::new(),
            teaches: vec![class(10, "3e B")],
            guest_of: vec![class(13, "5e C")],
            children: vec![Child {
                id: Uuid::from_u128(4).into(),
                first_name: "Lina".to_owned(),
                last_name: "Benali".to_owned(),
                classes: vec![class(11, "6e A")],
                groups: vec![Uuid::from_u128(12).into()],
            }],
        }
    }

    #[test]
    fn guardians_see_their_children_and_teachers_themselves() {
        let relations = |roles: &[Role]| {
            let days = whose_days(RoleSet::of(roles), &context());
            days.iter().map(|whose| whose.relation).collect::<Vec<_>>()
        };
        assert_eq!(relations(&[Role::Guardian]), [Relation::Child]);
        assert_eq!(relations(&[Role::Teacher]), [Relation::Myself]);
        assert_eq!(relations(&[Role::Teacher, Role::Guardian]), [Relation::Myself, Relation::Child]);
        assert_eq!(relations(&[Role::Staff]), [Relation::Myself]);
        assert_eq!(relations(&[Role::Guest]), [Relation::Myself]);
        assert_eq!(relations(&[]), []);
    }

    #[test]
    fn a_teacher_attends_no_class_that_they_teach() {
        let days = whose_days(RoleSet::of(&[Role::Teacher]), &context());
        assert_eq!(days[0].classes, ["3e B", "5e C"]);
        assert!(days[0].audience.classes.is_empty());
        assert_eq!(days[0].audience.teacher, Some(Uuid::from_u128(3).into()));
    }

    proptest! {
        #[test]
        fn an_answer_stands_until_something_changes(offsets in proptest::collection::vec(-100_i64..100, 0..6)) {
            let now: DateTime<Utc> = "2026-11-23T07:00:00Z".parse().unwrap();
            let changes: Vec<_> = offsets.iter().map(|seconds| now + TimeDelta::seconds(*seconds)).collect();
            let until = stands_until(now, changes.clone());
            prop_assert!(until > now && until <= now + STANDS);
            prop_assert!(!changes.iter().any(|at| *at > now && *at < until));
        }
    }
}
