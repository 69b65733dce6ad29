//! Where somebody who has come in stands, for the banner.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use preau_admission::{Mef, Person, Profile, slots::Standing};
use preau_directory::studies::{Studies, studies_of};
use preau_kernel::{Membership, Principal, Role, SchoolId};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{Error, Plans, SlotProfile};

/// Where I stand in one of my schools.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SlotStandingKind {
    /// No plan shares out this hour among people like me.
    Free,
    /// These are my hours.
    Inside,
    /// My hours are others.
    Outside,
    /// The use of my profile is suspended; the minimum stays open.
    Suspended,
}

/// My hours in one of my schools.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct SlotStanding {
    /// The school.
    pub school_id: SchoolId,
    /// As a pupil, or as a guardian.
    pub profile: SlotProfile,
    /// Where I stand now.
    pub standing: SlotStandingKind,
    /// Until when these are my hours, or the suspension lasts.
    pub until: Option<DateTime<Utc>>,
    /// When my next hours begin.
    pub opens_at: Option<DateTime<Utc>>,
    /// My hours of today.
    pub today: Vec<SlotSpan>,
    /// The name of the plan that holds.
    pub plan: Option<String>,
    /// Why I am suspended.
    pub reason: Option<String>,
    /// The zone in which hours are told.
    pub tz: String,
}

/// From one instant to another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct SlotSpan {
    /// From.
    pub from: DateTime<Utc>,
    /// To.
    pub to: DateTime<Utc>,
}

/// My hours, in each of my schools where I study or my children do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct SlotStandings {
    /// One a school and profile.
    pub items: Vec<SlotStanding>,
}

/// The profiles that have hours. Whoever works in the school comes when they like.
fn profiles(membership: &Membership) -> Vec<SlotProfile> {
    let works =
        [Role::Teacher, Role::Staff, Role::SchoolAdmin].iter().any(|role| membership.roles.has(*role));
    let held = [SlotProfile::Pupil, SlotProfile::Guardian].into_iter();
    held.filter(|profile| !works && membership.roles.has(profile.role())).collect()
}

/// Somebody as the door sees them.
fn person(me: &Principal, school: SchoolId, profile: SlotProfile, studies: &Studies, tz: Tz) -> Person {
    let code = |text: &String| text.parse::<Mef>().ok();
    Person {
        profile: Some(match profile {
            SlotProfile::Pupil => Profile::Pupil,
            SlotProfile::Guardian => Profile::Guardian,
        }),
        territory: me.territory(),
        school: Some(school),
        mef: studies.mef.as_ref().and_then(code),
        siblings: studies.siblings.iter().filter_map(code).collect(),
        class: studies.class,
        primary: studies.primary,
        tz,
    }
}

impl Plans {
    /// Where `me` stands now, in every school where that is a question. Reads nothing where no plan or suspension holds.
    pub(crate) async fn standings(&self, me: &Principal) -> Result<Vec<SlotStanding>, Error> {
        let (now, table) = (self.clock.now(), self.watch.table());
        let known = self.watch.plans();
        let mut items = Vec::new();
        if table.is_empty() {
            return Ok(items);
        }
        for membership in me.memberships() {
            let asked = profiles(membership);
            if asked.is_empty() {
                continue;
            }
            let Some(facts) = self.db.school_facts(membership.school).await? else { continue };
            let tz: Tz = facts.tz.parse().map_err(|_| preau_db::DbError::Corrupt("time zone of a school"))?;
            for profile in asked {
                let roles = preau_kernel::RoleSet::of(&[profile.role()]);
                let place = (facts.territory, membership.school);
                let studies =
                    studies_of(&self.db, place, (me.person(), roles), table.has_sibling_rule()).await?;
                let who = person(me, membership.school, profile, &studies, tz);
                let today = now.with_timezone(&tz).date_naive();
                let (standing, until, opens_at) = match table.standing(&who, now) {
                    Standing::Free => (SlotStandingKind::Free, None, None),
                    Standing::Inside { until } => (SlotStandingKind::Inside, Some(until), None),
                    Standing::Outside { opens_at } => (SlotStandingKind::Outside, None, opens_at),
                    Standing::Suspended { until } => (SlotStandingKind::Suspended, Some(until), None),
                };
                let plan = table.plan(&who, today).map(|plan| plan.id);
                items.push(SlotStanding {
                    school_id: membership.school,
                    profile,
                    standing,
                    until,
                    opens_at,
                    today: table
                        .windows(&who, today)
                        .into_iter()
                        .map(|(from, to)| SlotSpan { from, to })
                        .collect(),
                    plan: known
                        .iter()
                        .find(|known| Some(known.row.plan_id) == plan)
                        .map(|known| known.row.name.clone()),
                    reason: table.suspension(&who, now).map(|suspension| suspension.reason.clone()),
                    tz: tz.name().to_owned(),
                });
            }
        }
        Ok(items)
    }
}
