//! Profiles whose use is suspended for a time: asked by the policy of every route, without I/O.

use std::{collections::HashSet, sync::Arc};

use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use parking_lot::RwLock;
use preau_kernel::{Principal, Role, RoleSet, SchoolId, TerritoryId};
use uuid::Uuid;

use crate::Problem;

/// What a suspension may close: the tags of the document under which features have their routes. Whatever is not here
/// (signing in and out, one's account, the administration) stays open to everybody, and so does every route that its
/// feature has marked as kept (`Policy::kept`).
pub const SERVICES: [&str; 4] = ["communication", "directory", "files", "timetable"];

/// A profile is suspended in a school or a territory, until an instant that is always known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suspension {
    /// Its id.
    pub id: Uuid,
    /// Whose use is suspended.
    pub profile: Role,
    /// Where: in all schools of the territory, unless [`Self::school`] says one.
    pub territory: TerritoryId,
    /// In this school alone.
    pub school: Option<SchoolId>,
    /// Not in these: primary schools, where the guardian signs in for the child.
    pub spared: Arc<HashSet<SchoolId>>,
    /// What is closed, of [`SERVICES`]; all of it when empty.
    pub services: Vec<String>,
    /// From when.
    pub from: DateTime<Utc>,
    /// Until when. It ends by itself.
    pub until: DateTime<Utc>,
    /// Why, in words that those concerned read.
    pub reason: String,
}

impl Suspension {
    fn closes(&self, school: Option<SchoolId>, service: &str, now: DateTime<Utc>) -> bool {
        self.from <= now
            && now < self.until
            && (self.school.is_none() || self.school == school)
            && !school.is_some_and(|school| self.spared.contains(&school))
            && (self.services.is_empty() || self.services.iter().any(|closed| closed == service))
    }

    /// What those concerned are told.
    pub(crate) fn problem(&self) -> Problem {
        Problem::new(StatusCode::FORBIDDEN, "suspended", "the use of this is suspended for a time")
            .with("until", self.until.to_rfc3339_opts(chrono::SecondsFormat::Secs, true).into())
            .with("reason", self.reason.clone().into())
    }
}

/// The suspensions that a node knows. Cheap to clone; clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Suspensions(Arc<RwLock<Arc<[Suspension]>>>);

impl Suspensions {
    /// Replaces them all.
    pub fn learn(&self, known: Vec<Suspension>) {
        *self.0.write() = known.into();
    }

    /// The suspension that closes `service` to `principal` now: in the school of the path, or, for a route of no school,
    /// in every school of theirs. Whoever is something else there as well (a teacher whose child is in the school) goes
    /// on; so does whoever administers the territory.
    pub fn closing(
        &self,
        principal: &Principal,
        school: Option<SchoolId>,
        service: &str,
        now: DateTime<Utc>,
    ) -> Option<Suspension> {
        let known = Arc::clone(&self.0.read());
        if known.is_empty() || !SERVICES.contains(&service) || principal.territory_admin().is_some() {
            return None;
        }
        let closing_in = |school: SchoolId, roles: RoleSet| {
            let of_here = |one: &&Suspension| {
                one.territory == principal.territory() && one.closes(Some(school), service, now)
            };
            let mut last: Option<&Suspension> = None;
            for role in roles.iter() {
                // The role that stays open longest is the one that counts.
                let one = known
                    .iter()
                    .filter(of_here)
                    .filter(|one| one.profile == role)
                    .max_by_key(|one| one.until)?;
                last = match last {
                    Some(other) if other.until <= one.until => Some(other),
                    _ => Some(one),
                };
            }
            last.cloned()
        };
        let mut ending: Option<Suspension> = None;
        for membership in principal.memberships() {
            if school.is_some_and(|school| school != membership.school) {
                continue;
            }
            let one = closing_in(membership.school, membership.roles)?;
            if ending.as_ref().is_none_or(|other| one.until < other.until) {
                ending = Some(one);
            }
        }
        ending
    }
}

#[cfg(test)]
mod tests {
    use preau_kernel::{Membership, Token};

    use super::*;

    const HERE: u128 = 1;
    const THERE: u128 = 2;

    fn now() -> DateTime<Utc> {
        "2020-03-19T09:00:00Z".parse().unwrap()
    }

    fn principal(memberships: &[(u128, &[Role])], admin: bool) -> Principal {
        Principal::verified(Token {
            family: Uuid::from_u128(9).into(),
            person: Uuid::from_u128(8).into(),
            territory: Uuid::from_u128(7).into(),
            territory_admin: admin,
            memberships: memberships
                .iter()
                .map(|(school, roles)| Membership {
                    school: Uuid::from_u128(*school).into(),
                    roles: RoleSet::of(roles),
                })
                .collect(),
            permission_version: 1,
            issued_at: now(),
            strong_at: None,
        })
    }

    fn suspension(profile: Role, school: Option<u128>, services: &[&str], hours: i64) -> Suspension {
        Suspension {
            id: Uuid::from_u128(5),
            profile,
            territory: Uuid::from_u128(7).into(),
            school: school.map(|school| Uuid::from_u128(school).into()),
            spared: Arc::default(),
            services: services.iter().map(|&service| service.to_owned()).collect(),
            from: now() - chrono::Duration::hours(1),
            until: now() + chrono::Duration::hours(hours),
            reason: "Priorité aux élèves".to_owned(),
        }
    }

    fn closed(
        known: Vec<Suspension>,
        who: &Principal,
        school: Option<u128>,
        service: &str,
        after: i64,
    ) -> bool {
        let suspensions = Suspensions::default();
        suspensions.learn(known);
        let at = now() + chrono::Duration::hours(after);
        suspensions.closing(who, school.map(|school| Uuid::from_u128(school).into()), service, at).is_some()
    }

    #[test]
    fn a_suspension_closes_what_it_says_to_whom_it_says_and_lifts_itself() {
        let guardian = principal(&[(HERE, &[Role::Guardian])], false);
        let all = || vec![suspension(Role::Guardian, None, &[], 2)];
        assert!(closed(all(), &guardian, Some(HERE), "timetable", 0));
        assert!(!closed(all(), &guardian, Some(HERE), "timetable", 2), "its end has come");
        assert!(!closed(all(), &guardian, Some(HERE), "timetable", -2), "it has not begun");
        assert!(!closed(all(), &guardian, None, "identity", 0), "nobody is kept from signing out");
        assert!(!closed(all(), &principal(&[(HERE, &[Role::Pupil])], false), Some(HERE), "timetable", 0));
        let some = || vec![suspension(Role::Guardian, Some(HERE), &["directory"], 2)];
        assert!(closed(some(), &guardian, Some(HERE), "directory", 0));
        assert!(!closed(some(), &guardian, Some(HERE), "timetable", 0));
    }

    #[test]
    fn whoever_is_something_else_as_well_goes_on() {
        let all = || vec![suspension(Role::Guardian, None, &[], 2)];
        let teacher = principal(&[(HERE, &[Role::Guardian, Role::Teacher])], false);
        assert!(!closed(all(), &teacher, Some(HERE), "directory", 0));
        let both = principal(&[(HERE, &[Role::Guardian]), (THERE, &[Role::Teacher])], false);
        assert!(closed(all(), &both, Some(HERE), "directory", 0));
        assert!(!closed(all(), &both, Some(THERE), "directory", 0));
        assert!(!closed(all(), &both, None, "directory", 0), "open in one school is open");
        assert!(!closed(all(), &principal(&[(HERE, &[Role::Guardian])], true), Some(HERE), "directory", 0));
        let one_school = || vec![suspension(Role::Guardian, Some(HERE), &[], 2)];
        let two = principal(&[(HERE, &[Role::Guardian]), (THERE, &[Role::Guardian])], false);
        assert!(!closed(one_school(), &two, None, "timetable", 0));
        assert!(closed(all(), &two, None, "timetable", 0));
    }

    #[test]
    fn a_primary_school_is_spared() {
        let mut all = suspension(Role::Guardian, None, &[], 2);
        all.spared = Arc::new(HashSet::from([Uuid::from_u128(HERE).into()]));
        let guardian = principal(&[(HERE, &[Role::Guardian]), (THERE, &[Role::Guardian])], false);
        assert!(!closed(vec![all.clone()], &guardian, Some(HERE), "timetable", 0));
        assert!(closed(vec![all], &guardian, Some(THERE), "timetable", 0));
    }

    #[test]
    fn those_concerned_are_told_until_when_and_why() {
        let told = suspension(Role::Guardian, None, &[], 2).problem();
        assert_eq!((told.status(), told.code()), (StatusCode::FORBIDDEN, "suspended"));
    }
}
