//! What a node knows of plans, exceptions and suspensions by heart, and how it stays fresh.

use std::{collections::HashSet, sync::Arc, time::Duration};

use chrono::{DateTime, Datelike, NaiveDate, TimeDelta, Utc};
use chrono_tz::Tz;
use futures::StreamExt;
use parking_lot::{Mutex, RwLock};
use preau_admission::{
    Person, Profile,
    slots::{self, Days, Kept, Posture, Rule, Table},
};
use preau_cache::{Cache, keys};
use preau_db::{Db, DbError};
use preau_http::{Suspension, Suspensions};
use preau_kernel::{Clock, Level, SchoolId, TerritoryId};
use uuid::Uuid;

use crate::{
    ForcedMode,
    queries::{self, Everything, ExceptionRow, PlanRow, SchoolRow, SuspensionRow},
    rules::{PlanContent, PlanMode, SlotProfile, SlotWindow},
};

/// Who is told of a new table.
type Told = Box<dyn Fn(Arc<Table>) + Send + Sync>;

/// What a node knows. Cheap to clone; clones are the same.
#[derive(Clone)]
pub struct Watch(Arc<Inner>);

struct Inner {
    clock: Clock,
    table: RwLock<Arc<Table>>,
    plans: RwLock<Arc<[Known]>>,
    /// The installation's only territory; nothing where there are several.
    only: RwLock<Option<TerritoryId>>,
    suspensions: Suspensions,
    /// The generation last read; a reading that finds another one reads all.
    seen: Mutex<Option<i64>>,
    told: Mutex<Vec<Told>>,
}

/// A plan that holds or is to come, as everybody may know it.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub(crate) row: PlanRow,
    pub(crate) territory: TerritoryId,
    pub(crate) school: Option<SchoolRow>,
}

impl Watch {
    /// Knows nothing yet: nobody is kept out.
    pub fn new(clock: Clock) -> Self {
        Self(Arc::new(Inner {
            clock,
            table: RwLock::default(),
            plans: RwLock::default(),
            only: RwLock::default(),
            suspensions: Suspensions::default(),
            seen: Mutex::default(),
            told: Mutex::default(),
        }))
    }

    /// The table that decides at the door.
    pub fn table(&self) -> Arc<Table> {
        Arc::clone(&self.0.table.read())
    }

    /// The suspensions, for the policy of every route.
    pub fn suspensions(&self) -> Suspensions {
        self.0.suspensions.clone()
    }

    pub(crate) fn plans(&self) -> Arc<[Known]> {
        Arc::clone(&self.0.plans.read())
    }

    /// The name of the plan that holds on a day in the installation's only territory. Of several, nobody knows yet whose it
    /// would be.
    pub fn name_on(&self, day: NaiveDate) -> Option<String> {
        let only = (*self.0.only.read())?;
        self.on(day, only, None, |known| known.row.name.clone())
    }

    /// The hours of pupils that begin on a day, as the door chooses the plan: the school's own before its territory's.
    pub fn pupils_on(
        &self,
        day: NaiveDate,
        territory: TerritoryId,
        school: Option<SchoolId>,
    ) -> Vec<SlotWindow> {
        let of_day = |window: &&SlotWindow| {
            window.profile == SlotProfile::Pupil
                && window.days.iter().any(|one| one.weekday() == day.weekday())
        };
        let windows = |known: &Known| known.row.content.windows.iter().filter(of_day).cloned().collect();
        self.on(day, territory, school, windows).unwrap_or_default()
    }

    fn on<T>(
        &self,
        day: NaiveDate,
        territory: TerritoryId,
        school: Option<SchoolId>,
        told: impl FnOnce(&Known) -> T,
    ) -> Option<T> {
        // Of a person, the table asks for a plan by the place alone.
        let anybody = Person {
            profile: None,
            territory,
            school,
            mef: None,
            siblings: Vec::new(),
            class: None,
            primary: false,
            tz: Tz::UTC,
        };
        let plan = self.table().plan(&anybody, day)?.id;
        self.plans().iter().find(|known| known.row.plan_id == plan).map(told)
    }

    /// Calls `tell` with the table that is known, and with each new one.
    pub fn on_change(&self, tell: impl Fn(Arc<Table>) + Send + Sync + 'static) {
        tell(self.table());
        self.0.told.lock().push(Box::new(tell));
    }

    /// Reads everything again where something has changed since the last reading. One small statement where nothing has.
    ///
    /// # Errors
    /// Any [`DbError`]; what was known stays known.
    pub async fn refresh(&self, db: &Db) -> Result<(), DbError> {
        let mut tx = db.lookup().await?;
        let generation = queries::generation(&mut tx).await?;
        if *self.0.seen.lock() == Some(generation) {
            return tx.commit().await;
        }
        let all = queries::everything(&mut tx, self.0.clock.now()).await?;
        tx.commit().await?;
        // Territories come with the installation, years apart: who comes later is counted with the next change.
        let territories = db.territories().await?;
        *self.0.only.write() = match territories.as_slice() {
            [only] => Some(*only),
            _ => None,
        };
        self.learn(all)?;
        *self.0.seen.lock() = Some(generation);
        Ok(())
    }

    fn learn(&self, all: Everything) -> Result<(), DbError> {
        let found = Found { schools: all.schools };
        let primary: Arc<HashSet<SchoolId>> = Arc::new(all.primary.into_iter().collect());
        let yesterday = self.0.clock.now().date_naive() - TimeDelta::days(2);
        let mut known = Vec::new();
        let mut plans = Vec::new();
        for row in all.plans {
            if row.content.ends_on.is_some_and(|last| last < yesterday) {
                continue;
            }
            let Some((territory, school)) = found.place(row.scope_id, row.of_school) else { continue };
            plans.push(plan(&row, scope(territory, school))?);
            known.push(Known { territory, school: school.cloned(), row });
        }
        let mut exceptions = Vec::new();
        for row in all.exceptions {
            let Some((territory, school)) = found.place(row.scope_id, row.of_school) else { continue };
            exceptions.extend(exception(&row, territory, school)?);
        }
        let (mut at_the_door, mut behind_it) = (Vec::new(), Vec::new());
        for row in all.suspensions {
            let Some((territory, school)) = found.place(row.scope_id, row.of_school) else { continue };
            let profile =
                SlotProfile::parse(&row.profile).ok_or(DbError::Corrupt("a profile that nobody knows"))?;
            at_the_door.push(suspension(&row, profile, scope(territory, school)));
            let spared = match profile {
                SlotProfile::Guardian => Arc::clone(&primary),
                SlotProfile::Pupil => Arc::default(),
            };
            behind_it.push(Suspension { spared, ..closing(row, profile, territory, school) });
        }
        let table = Arc::new(Table::new(plans, at_the_door, exceptions));
        self.0.suspensions.learn(behind_it);
        *self.0.plans.write() = known.into();
        *self.0.table.write() = Arc::clone(&table);
        for tell in self.0.told.lock().iter() {
            tell(Arc::clone(&table));
        }
        Ok(())
    }
}

/// Schools that have something of their own.
struct Found {
    schools: Vec<SchoolRow>,
}

impl Found {
    /// The territory and school of a scope; nothing for a school that is no more.
    fn place(&self, scope: Uuid, of_school: bool) -> Option<(TerritoryId, Option<&SchoolRow>)> {
        if !of_school {
            return Some((scope.into(), None));
        }
        let school = self.schools.iter().find(|school| school.school_id.uuid() == scope)?;
        Some((school.territory_id, Some(school)))
    }
}

fn scope(territory: TerritoryId, school: Option<&SchoolRow>) -> slots::Scope {
    school.map_or(slots::Scope::Territory(territory), |school| slots::Scope::School(school.school_id))
}

/// A plan as the door reads it.
fn plan(row: &PlanRow, scope: slots::Scope) -> Result<slots::Plan, DbError> {
    let forced = match (&row.forced, row.forced_until) {
        (Some(mode), Some(until)) => Some((posture_of(ForcedMode::parse(mode)?), until)),
        _ => None,
    };
    Ok(slots::Plan {
        id: row.plan_id,
        version: u32::try_from(row.version).unwrap_or_default(),
        scope,
        ceiling: ceiling_of(row.content.mode),
        forced,
        from: row.content.starts_on,
        until: row.content.ends_on,
        siblings: row.content.siblings,
        rules: rules_of(&row.content),
    })
}

fn posture_of(mode: ForcedMode) -> Posture {
    match mode {
        ForcedMode::Off => Posture::Open,
        ForcedMode::Soft => Posture::Soft,
        ForcedMode::Hard => Posture::Hard,
    }
}

fn ceiling_of(mode: PlanMode) -> Posture {
    match mode {
        PlanMode::Advice => Posture::Open,
        PlanMode::Soft => Posture::Soft,
        PlanMode::Hard => Posture::Hard,
    }
}

/// The windows of a plan as the door's rules. In the first degree guardians have the hours of the child for whom they sign
/// in, and never those of guardians.
pub(crate) fn rules_of(content: &PlanContent) -> Vec<Rule> {
    content.windows.iter().flat_map(rules_of_window).collect()
}

fn rules_of_window(window: &SlotWindow) -> Vec<Rule> {
    let rule = |profile: Profile, primary: Option<bool>| Rule {
        profiles: vec![profile],
        mef: codes_of(&window.levels),
        primary,
        days: Days::of(window.days.iter().map(|day| day.weekday())),
        from: window.from.time(),
        to: window.to.time(),
    };
    match window.profile {
        SlotProfile::Pupil => vec![rule(Profile::Pupil, None), rule(Profile::Guardian, Some(true))],
        SlotProfile::Guardian => vec![rule(Profile::Guardian, Some(false))],
    }
}

fn codes_of(levels: &[Level]) -> Vec<String> {
    levels.iter().flat_map(|level| level.codes()).map(|&code| code.to_owned()).collect()
}

fn exception(
    row: &ExceptionRow,
    territory: TerritoryId,
    school: Option<&SchoolRow>,
) -> Result<Option<slots::Exception>, DbError> {
    let levels: Vec<Level> = row
        .levels
        .iter()
        .map(|level| level.parse())
        .collect::<Result<_, _>>()
        .map_err(|_| DbError::Corrupt("a level that nobody knows"))?;
    let scope = match (row.class_id, school) {
        (Some(class), Some(_)) => slots::ExceptionScope::Class(class.into()),
        (None, Some(school)) => slots::ExceptionScope::School(school.school_id),
        (None, None) => slots::ExceptionScope::Territory(territory),
        // A class without its school: nothing that an administrator can write.
        (Some(_), None) => return Ok(None),
    };
    Ok(Some(slots::Exception {
        scope,
        mef: codes_of(&levels),
        profile: None,
        from: row.starts_at,
        until: row.ends_at,
        inside: true,
    }))
}

fn suspension(row: &SuspensionRow, profile: SlotProfile, scope: slots::Scope) -> slots::Suspension {
    slots::Suspension {
        id: row.suspension_id,
        scope,
        profile: match profile {
            SlotProfile::Pupil => Profile::Pupil,
            SlotProfile::Guardian => Profile::Guardian,
        },
        services: row.services.clone(),
        from: row.starts_at,
        until: row.ends_at,
        reason: row.reason.clone(),
        author: row.made_by.to_string(),
        kept: vec![Kept::Absences, Kept::Signatures, Kept::ChildDay],
    }
}

fn closing(
    row: SuspensionRow,
    profile: SlotProfile,
    territory: TerritoryId,
    school: Option<&SchoolRow>,
) -> Suspension {
    Suspension {
        id: row.suspension_id,
        profile: profile.role(),
        territory,
        school: school.map(|school| school.school_id),
        spared: Arc::default(),
        services: row.services,
        from: row.starts_at,
        until: row.ends_at,
        reason: row.reason,
    }
}

impl Known {
    /// Whether it concerns somebody of that school.
    pub(crate) fn concerns(&self, territory: TerritoryId, school: SchoolId) -> bool {
        match &self.school {
            Some(own) => own.school_id == school,
            None => self.territory == territory,
        }
    }

    /// What somebody has forced, while it lasts.
    pub(crate) fn forced(&self, now: DateTime<Utc>) -> Option<ForcedMode> {
        let mode =
            self.row.forced.as_deref().filter(|_| self.row.forced_until.is_some_and(|until| now < until))?;
        ForcedMode::parse(mode).ok()
    }

    /// Whether it holds now or within a fortnight.
    pub(crate) fn is_near(&self, now: DateTime<Utc>) -> bool {
        let today = now.date_naive();
        self.row.content.starts_on <= today + TimeDelta::days(14)
            && self.row.content.ends_on.is_none_or(|last| today <= last)
    }
}

/// How often a node asks whether anything has changed.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// While something cannot be read.
const READING: Duration = Duration::from_secs(5);

/// Keeps what a node knows fresh: every few seconds, and at once when another node says that something has changed. Never
/// ends; the caller stops it.
pub async fn keep_fresh(watch: Watch, db: Db, cache: Cache) {
    loop {
        let mut hints = cache.subscribe(keys::PLANS_CHANGED).await.ok().map(Box::pin);
        let subscribed_at = tokio::time::Instant::now();
        loop {
            match tokio::time::timeout(READING, watch.refresh(&db)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    let error: &dyn std::error::Error = &error;
                    tracing::warn!(error, "plans could not be read");
                }
                Err(_) => tracing::warn!("plans were not read in time"),
            }
            match &mut hints {
                Some(stream) => {
                    if matches!(tokio::time::timeout(LOOK_EVERY, stream.next()).await, Ok(None)) {
                        break;
                    }
                }
                None => tokio::time::sleep(LOOK_EVERY).await,
            }
            // Without a subscription, or with one whose death nobody has told us of, ask for a new one now and then.
            if subscribed_at.elapsed() > Duration::from_secs(60) {
                break;
            }
        }
    }
}
