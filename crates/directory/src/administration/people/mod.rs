//! People of a school, as its administrators see and change them.

pub(super) mod queries;
mod routes;
pub(super) mod rules;

use chrono::{DateTime, NaiveDate, Utc};
use preau_db::DbError;
use preau_http::Tagged;
use preau_kernel::{Member, PersonId, Power, Principal, Role, login_stem};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use self::queries::{AccountRow, Held, ListedRow, Record, Standing};
use crate::{
    ClassName, DirectoryState, Office,
    administration::Error,
    queries as directory,
    register::{self, Enrolment, NewRecord, Shown},
    routes::Relative,
};

pub(super) use routes::routes;

/// Where an account stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum AccountState {
    /// Nobody has come yet.
    Imported,
    /// In use.
    Active,
    /// Missing from its feed: to be deleted unless it comes back.
    PreDeleted,
    /// Gone.
    Deleted,
    /// Part of another account now.
    Merged,
}

impl AccountState {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Imported => "imported",
            Self::Active => "active",
            Self::PreDeleted => "pre-deleted",
            Self::Deleted => "deleted",
            Self::Merged => "merged",
        }
    }

    pub(crate) fn read(word: &str) -> Result<Self, DbError> {
        const ALL: [AccountState; 5] = [
            AccountState::Imported,
            AccountState::Active,
            AccountState::PreDeleted,
            AccountState::Deleted,
            AccountState::Merged,
        ];
        ALL.into_iter().find(|state| state.as_str() == word).ok_or(DbError::Corrupt("state of an account"))
    }
}

/// Who says that somebody is what they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = MembershipOrigin)]
pub(crate) enum Origin {
    /// A feed.
    Feed,
    /// An administrator.
    Hand,
}

/// Which people.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct PeopleFilter {
    /// Only those who have this role.
    pub(crate) role: Option<Role>,
    /// Only pupils, teachers and guests of this class, and guardians of its pupils.
    pub(crate) class_id: Option<preau_kernel::ClassId>,
    /// Only those whose name begins so: last name, then first name, accents and case aside.
    pub(crate) q: Option<String>,
    /// Only those whose account stands there.
    pub(crate) state: Option<AccountState>,
    /// Only those who have come at least once, or who never have.
    #[serde(default, deserialize_with = "truth")]
    pub(crate) activated: Option<bool>,
    /// Only those who are blocked now, or who are not.
    #[serde(default, deserialize_with = "truth")]
    pub(crate) blocked: Option<bool>,
    /// Only those who are here by a feed, or by hand.
    #[param(inline)]
    pub(crate) origin: Option<Origin>,
}

/// Query strings hold text, and flattened structs hide from serde that `true` is a truth.
fn truth<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<bool>, D::Error> {
    let text = <std::borrow::Cow<'de, str> as Deserialize>::deserialize(deserializer)?;
    text.parse().map(Some).map_err(|_| serde::de::Error::custom("true or false"))
}

impl PeopleFilter {
    /// Whether it asks something that only accounts know.
    pub(crate) fn asks_accounts(&self) -> bool {
        self.state.is_some() || self.activated.is_some() || self.blocked.is_some()
    }
}

/// A person in an administrator's list.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AdministeredPersonSummary {
    /// The person.
    pub(crate) id: PersonId,
    /// `M.` or `Mme`; empty when the directory gives none.
    pub(crate) title: String,
    /// First name.
    pub(crate) first_name: String,
    /// Last name.
    pub(crate) last_name: String,
    /// What they are here now.
    pub(crate) memberships: Vec<Held>,
    /// Classes, as a pupil or a guest.
    pub(crate) classes: Vec<ClassName>,
    /// Login name.
    #[schema(required = true)]
    pub(crate) login: Option<String>,
    /// Where the account stands.
    #[schema(required = true)]
    pub(crate) state: Option<AccountState>,
    /// When it was activated.
    #[schema(required = true)]
    pub(crate) activated_at: Option<DateTime<Utc>>,
    /// Whether it is blocked now.
    pub(crate) blocked: bool,
    /// Until when, if that is known.
    #[schema(required = true)]
    pub(crate) blocked_until: Option<DateTime<Utc>>,
}

/// A person, as an administrator sees them.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AdministeredPerson {
    /// The person.
    id: PersonId,
    /// `M.` or `Mme`; empty when the directory gives none.
    title: String,
    /// First name.
    first_name: String,
    /// Last name.
    last_name: String,
    /// Who wrote the names: `feed` or `hand`.
    names_origin: String,
    /// Birth date.
    #[schema(required = true)]
    birth_on: Option<NaiveDate>,
    /// National pupil id.
    #[schema(required = true)]
    ine: Option<String>,
    /// E-mail address.
    #[schema(required = true)]
    email: Option<String>,
    /// Who gave it: `feed` or `hand`.
    email_origin: String,
    /// Mobile number.
    #[schema(required = true)]
    mobile: Option<String>,
    /// Who gave it: `feed` or `hand`.
    mobile_origin: String,
    /// Login name.
    #[schema(required = true)]
    login: Option<String>,
    /// Names of accounts that were merged into this one; they open it, too.
    other_logins: Vec<String>,
    /// Where the account stands.
    #[schema(required = true)]
    state: Option<AccountState>,
    /// When it was activated.
    #[schema(required = true)]
    activated_at: Option<DateTime<Utc>>,
    /// Whether it is blocked now.
    blocked: bool,
    /// Until when, if that is known.
    #[schema(required = true)]
    blocked_until: Option<DateTime<Utc>>,
    /// Why.
    block_reason: String,
    /// What they are and were here.
    memberships: Vec<Held>,
    /// Classes, as a pupil.
    pupil_of: Vec<ClassName>,
    /// Classes, as a teacher.
    teaches: Vec<ClassName>,
    /// Classes, as a guest.
    guest_of: Vec<ClassName>,
    /// Guardians, in the order in which the school calls them.
    guardians: Vec<Relative>,
    /// Children in this school.
    children: Vec<Relative>,
}

fn is_blocked(at: Option<DateTime<Utc>>, until: Option<DateTime<Utc>>, now: DateTime<Utc>) -> bool {
    at.is_some() && until.is_none_or(|until| until > now)
}

/// A row of the list with its account.
pub(crate) fn summary(
    row: ListedRow,
    account: Option<AccountRow>,
    now: DateTime<Utc>,
) -> Result<AdministeredPersonSummary, DbError> {
    let blocked = account.as_ref().is_some_and(|it| is_blocked(it.blocked_at, it.blocked_until, now));
    Ok(AdministeredPersonSummary {
        id: row.id,
        title: row.title,
        first_name: row.first_name,
        last_name: row.last_name,
        memberships: row.memberships,
        classes: row.classes,
        state: account.as_ref().map(|it| AccountState::read(&it.state)).transpose()?,
        activated_at: account.as_ref().and_then(|it| it.activated_at),
        blocked,
        blocked_until: account.as_ref().filter(|_| blocked).and_then(|it| it.blocked_until),
        login: account.map(|it| it.login),
    })
}

/// A person whom the school has, or once had, with their record held for a change.
pub(crate) struct Known {
    pub(crate) id: PersonId,
    pub(crate) record: Record,
    pub(crate) held: Vec<Held>,
}

impl Known {
    /// The person, where the school has a membership of theirs, ended or not.
    ///
    /// # Errors
    /// [`Error::NotFound`] otherwise; the database's.
    pub(crate) async fn find(office: &mut Office, id: PersonId) -> Result<Self, Error> {
        let held = queries::held(office, id).await?;
        if held.is_empty() {
            return Err(Error::NotFound);
        }
        let record = queries::record(office.territory_tx(), id).await?.ok_or(Error::NotFound)?;
        Ok(Self { id, record, held })
    }

    /// Whether they are this here now.
    pub(crate) fn is(&self, role: Role) -> bool {
        self.held.iter().any(|held| held.role == role && held.ended_at.is_none())
    }

    /// The person as an administrator sees them.
    ///
    /// # Errors
    /// The database's.
    pub(crate) async fn shown(
        self,
        office: &mut Office,
        now: DateTime<Utc>,
    ) -> Result<AdministeredPerson, Error> {
        let ties = directory::ties(office, self.id).await?;
        let Record { login, other_logins, state, .. } = &self.record;
        let blocked = is_blocked(self.record.blocked_at, self.record.blocked_until, now);
        Ok(AdministeredPerson {
            id: self.id,
            login: login.clone(),
            other_logins: other_logins.clone(),
            state: state.as_deref().map(AccountState::read).transpose()?,
            title: self.record.title,
            first_name: self.record.first_name,
            last_name: self.record.last_name,
            names_origin: self.record.names_origin,
            birth_on: self.record.birth_on,
            ine: self.record.ine,
            email: self.record.email,
            email_origin: self.record.email_origin,
            mobile: self.record.mobile,
            mobile_origin: self.record.mobile_origin,
            activated_at: self.record.activated_at,
            blocked,
            blocked_until: self.record.blocked_until.filter(|_| blocked),
            block_reason: if blocked { self.record.block_reason } else { String::new() },
            memberships: self.held,
            pupil_of: ties.pupil_of,
            teaches: ties.teaches,
            guest_of: ties.guest_of,
            guardians: ties.guardians.into_iter().map(Into::into).collect(),
            children: ties.children.into_iter().map(Into::into).collect(),
        })
    }
}

/// The person with the tag of what two administrators may change.
pub(crate) fn tagged(person: &AdministeredPerson) -> Result<Tagged, preau_http::Problem> {
    Tagged::of(person, person)
}

/// Whether `member` may change `person`: nobody changes by a delegation, or from a school, who could then open doors that
/// are not theirs.
///
/// # Errors
/// [`Error::Forbidden`]; the database's.
pub(crate) async fn may_change(
    office: &mut Office,
    me: &Principal,
    member: &Member,
    person: PersonId,
) -> Result<Standing, Error> {
    let standing = queries::standing(office, person).await?;
    let of_territory = me.territory_admin().is_some_and(|admin| admin.territory() == office.territory());
    let above = (standing.administers_territory || standing.administers_elsewhere) && !of_territory;
    let beside = standing.administers_here && !member.is(Role::SchoolAdmin);
    let myself = person == member.person();
    if (above || beside) && !myself { Err(Error::Forbidden) } else { Ok(standing) }
}

/// Whether the role is one that a list of people gives: administrators are appointed, by a route of their own.
///
/// # Errors
/// [`Error::Refused`].
pub(crate) fn plain_role(role: Role) -> Result<Role, Error> {
    match role {
        Role::SchoolAdmin => {
            Err(Error::Refused("role-by-appointment", "administrators are appointed one by one"))
        }
        Role::Pupil | Role::Guardian | Role::Teacher | Role::Staff | Role::Guest => Ok(role),
    }
}

/// Makes people: their record, their names here, what they are here, and an account with a login name, as a feed does.
///
/// # Errors
/// The database's.
pub(crate) async fn make(
    office: &mut Office,
    new: &[NewRecord],
    enrolments: &[Enrolment],
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    let school = office.school();
    let shown: Vec<Shown> = new
        .iter()
        .map(|record| Shown {
            person_id: record.person_id,
            last_name: record.last_name.clone(),
            first_name: record.first_name.clone(),
            title: record.title.clone(),
        })
        .collect();
    let wanting: Vec<register::Wanting> = new
        .iter()
        .map(|record| (login_stem(&record.first_name, &record.last_name), record.person_id))
        .collect();
    let tx = office.territory_tx();
    register::make_records(tx, new, now).await?;
    register::show_names(tx, school, &shown, now).await?;
    register::begin_memberships(tx, school, enrolments, now).await?;
    register::open_accounts(tx, &wanting, now).await?;
    Ok(())
}

/// Shows a person's names as they are now in every school that has them, this one last.
///
/// # Errors
/// The database's.
pub(crate) async fn show_everywhere(
    app: &DirectoryState,
    office: &mut Office,
    known: &Known,
    elsewhere: &[preau_kernel::SchoolId],
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    let here = office.school();
    let shown = [Shown {
        person_id: known.id,
        last_name: known.record.last_name.clone(),
        first_name: known.record.first_name.clone(),
        title: known.record.title.clone(),
    }];
    for school in elsewhere {
        let tx = office.territory_tx();
        tx.enter_school(*school).await?;
        register::show_names(tx, *school, &shown, now).await?;
        preau_db::outbox::push(tx, &app.clock, *school, "directory.changed", &serde_json::json!({})).await?;
    }
    let tx = office.territory_tx();
    tx.enter_school(here).await?;
    register::show_names(tx, here, &shown, now).await
}

/// The power that opens the routes of people besides administrators.
pub(super) const POWER: Power = Power::ManagePeople;
