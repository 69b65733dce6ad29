//! Gathering the day, and keeping the answer while it stands.

use std::{
    ops::Deref,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use axum::http::HeaderValue;
use chrono::{DateTime, TimeDelta, Utc};
use futures::{StreamExt, TryStreamExt, stream};
use preau_directory::{ClassName, Context, Contexts, Generation, Generations};
use preau_http::{Degraded, IfNoneMatch, Tagged, X_DEGRADED};
use preau_kernel::{Clock, Member, Membership, PersonId, Principal, SchoolId};
use preau_timetable::{Timetable, day_bounds};
use smallvec::SmallVec;

use crate::{Error, HomeSchool, HomeUser, HomeView, parts, rules, rungs};

/// Gathers days. Cheap to clone; clones share what is kept.
#[derive(Clone)]
pub struct Home(Arc<Inner>);

struct Inner {
    clock: Clock,
    contexts: Contexts,
    timetable: Timetable,
    generations: Generations,
    rendered: moka::sync::Cache<PersonId, Arc<Rendered>>,
    away: Away,
}

/// Somebody's day, written and tagged.
#[derive(Debug)]
pub struct Rendered {
    /// What the pages render.
    pub view: HomeView,
    /// What the API answers.
    pub tagged: Tagged,
    until: DateTime<Utc>,
    /// When the oldest of what it is made of was read.
    read_at: DateTime<Utc>,
    stands_in: bool,
    memberships: SmallVec<[Membership; 2]>,
    vouched_by: SmallVec<[Generation; 2]>,
}

/// Somebody's day, as they are shown it.
#[derive(Debug)]
pub struct Day {
    rendered: Arc<Rendered>,
    stands_in: bool,
}

/// Since when PostgreSQL did not answer, in milliseconds since 1970; 0 when it did.
#[derive(Debug, Default)]
struct Away(AtomicI64);

/// While PostgreSQL is away, one person asks it in so long, and whoever has a day is shown that one.
const ASKS_EVERY: TimeDelta = TimeDelta::seconds(1);
/// What `X-Degraded` says of a day that stands in for PostgreSQL: the rungs' own names, for the same is given up.
const STALE: HeaderValue = HeaderValue::from_static("polling,home-stale");

/// Schools gathered side by side for one person.
const SIDE_BY_SIDE: usize = 4;

impl Home {
    /// Keeps at most about `capacity_bytes` of answers.
    pub fn new(
        clock: Clock,
        contexts: Contexts,
        timetable: Timetable,
        generations: Generations,
        capacity_bytes: u64,
    ) -> Self {
        let rendered = moka::sync::Cache::builder()
            .max_capacity(capacity_bytes)
            // The view beside the body is about as large, its lessons being shared.
            .weigher(|_, day: &Arc<Rendered>| u32::try_from(2 * day.tagged.body().len()).unwrap_or(u32::MAX))
            // Past the half-minute for which a day stands, it waits for a storm: see `home_of`.
            .time_to_live(Duration::from_secs(600))
            .build();
        Self(Arc::new(Inner { clock, contexts, timetable, generations, rendered, away: Away::default() }))
    }

    /// The day of `me`: the one kept while it stands, or a new one. While many are coming in, one kept for ten minutes at
    /// most will do: to half of the people from the second level on, to all from the third. So it will while PostgreSQL is away.
    /// A day of a school that has changed since will never do.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn home_of(&self, me: &Principal, degraded: &Degraded) -> Result<Day, Error> {
        let now = self.0.clock.now();
        let spares =
            |kept: &Rendered| kept.will_do(me, now) && degraded.sheds_early(&rungs::HOME_STALE, rungs::HALF);
        let kept = match self.0.rendered.get(&me.person()) {
            Some(rendered) if rendered.stands(me, now) || spares(&rendered) => {
                return Ok(Day { rendered, stands_in: false });
            }
            kept => kept.filter(|kept| kept.will_do(me, now)),
        };
        if let Some(rendered) = &kept
            && self.0.away.lately(now)
        {
            return Ok(Day { rendered: Arc::clone(rendered), stands_in: true });
        }
        match self.gather(me, now).await {
            Ok(rendered) => {
                let rendered = Arc::new(rendered);
                self.0.rendered.insert(me.person(), Arc::clone(&rendered));
                if !rendered.stands_in {
                    self.0.away.ended();
                }
                Ok(Day { stands_in: rendered.stands_in, rendered })
            }
            Err(err) if err.is_away() => {
                let now = self.0.clock.now();
                self.0.away.begun(now);
                // Once more: the school may have changed while we asked.
                let rendered = kept.filter(|kept| kept.will_do(me, now)).ok_or(err)?;
                Ok(Day { rendered, stands_in: true })
            }
            Err(err) => Err(err),
        }
    }

    /// Forgets what is kept of a school: its people or its lessons have changed.
    pub fn invalidate_school(&self, school: SchoolId) {
        self.0.generations.bump(school);
    }

    #[tracing::instrument(level = "debug", name = "home.gather", skip_all)]
    async fn gather(&self, me: &Principal, now: DateTime<Utc>) -> Result<Rendered, Error> {
        // Before anything is read: see `Generations::of`.
        let vouched_by =
            me.memberships().iter().map(|membership| self.0.generations.of(membership.school)).collect();
        let schools: Vec<Gathered> = stream::iter(me.members())
            .map(|member| self.school(member, now))
            .buffered(SIDE_BY_SIDE)
            .try_filter_map(async |gathered| Ok(gathered))
            .try_collect()
            .await?;

        let user = match schools.first() {
            Some(first) => {
                user(me.person(), &first.context.person.first_name, &first.context.person.last_name)
            }
            None => {
                let name = self.0.contexts.name_of(me.person()).await?;
                let (first, last) =
                    name.as_ref().map_or(("", ""), |name| (&name.first_name, &name.last_name));
                user(me.person(), first, last)
            }
        };
        let read_at = schools.iter().map(|school| school.read_at).fold(now, DateTime::min);
        let stands_in = schools.iter().any(|school| school.stands_in);
        let until = match stands_in {
            true => now,
            false => {
                rules::stands_until(now, schools.iter().flat_map(|school| school.changes.iter().copied()))
            }
        };
        let view = HomeView {
            user,
            schools: schools.into_iter().map(|school| school.shown).collect(),
            generated_at: now,
        };
        let tagged = Tagged::of(&view, &(&view.user, &view.schools)).map_err(Error::Unwritable)?;
        let memberships = me.memberships().into();
        Ok(Rendered { view, tagged, until, read_at, stands_in, memberships, vouched_by })
    }

    /// One school's part: a statement for who I am there, a shared one for its lessons. `None` when the school has no record
    /// of the person any more.
    async fn school(&self, member: Member, now: DateTime<Utc>) -> Result<Option<Gathered>, Error> {
        let Some(context) = self.0.contexts.of(member.school(), member.person()).await? else {
            return Ok(None);
        };
        let tz = context.school.tz;
        let date = now.with_timezone(&tz).date_naive();
        let days = self.0.timetable.shared(&self.0.clock, member.school(), tz, date, rules::DAYS).await?;

        let whose = rules::whose_days(member.roles(), &context);
        let (views, changes): (Vec<_>, Vec<_>) =
            whose.into_iter().map(|whose| parts::lessons(whose, &days, now)).unzip();
        let midnight = day_bounds(date, tz).1;
        let shown = HomeSchool {
            id: context.school.id,
            uai: context.school.uai.clone(),
            name: context.school.name.clone(),
            tz: tz.name().to_owned(),
            date,
            roles: member.roles().iter().collect(),
            classes: classes(&context),
            views,
        };
        Ok(Some(Gathered {
            context,
            shown,
            changes: changes.into_iter().flatten().chain([midnight]).collect(),
            read_at: days.read_at(),
            stands_in: days.stands_in(),
        }))
    }
}

/// A school's part of the day, who I am there, when it changes, and how its lessons were come by.
struct Gathered {
    context: Arc<Context>,
    shown: HomeSchool,
    changes: Vec<DateTime<Utc>>,
    read_at: DateTime<Utc>,
    stands_in: bool,
}

fn user(id: PersonId, first_name: &str, last_name: &str) -> HomeUser {
    HomeUser { id, first_name: first_name.to_owned(), last_name: last_name.to_owned(), lang: "fr" }
}

/// My classes, then my children's, each once.
fn classes(context: &Context) -> Vec<ClassName> {
    let of_children = context.children.iter().flat_map(|child| &child.classes);
    let mut classes: Vec<ClassName> = Vec::new();
    for class in context.own_classes().chain(of_children) {
        if !classes.iter().any(|known| known.id == class.id) {
            classes.push(class.clone());
        }
    }
    classes
}

impl Day {
    /// Whether PostgreSQL was away, and this was read some minutes ago.
    pub fn stands_in(&self) -> bool {
        self.stands_in
    }

    /// 304 to who holds this day already, 200 to the rest.
    pub fn answer(&self, held: &IfNoneMatch) -> axum::response::Response {
        let mut response = self.tagged.answer(held);
        if self.stands_in {
            response.headers_mut().insert(X_DEGRADED, STALE);
        }
        response
    }
}

impl Deref for Day {
    type Target = Rendered;

    fn deref(&self) -> &Rendered {
        &self.rendered
    }
}

impl Away {
    /// Whether to show what one has rather than ask. True to all but one in so long.
    fn lately(&self, now: DateTime<Utc>) -> bool {
        let asked_at = self.0.load(Ordering::Acquire);
        let (now, again_at) = (now.timestamp_millis(), asked_at + ASKS_EVERY.num_milliseconds());
        let asks = || self.0.compare_exchange(asked_at, now, Ordering::AcqRel, Ordering::Acquire).is_ok();
        asked_at != 0 && (now < again_at || !asks())
    }

    fn begun(&self, now: DateTime<Utc>) {
        self.0.store(now.timestamp_millis(), Ordering::Release);
    }

    /// Looks before it writes: all cores share this line.
    fn ended(&self) {
        if self.0.load(Ordering::Acquire) != 0 {
            self.0.store(0, Ordering::Release);
        }
    }
}

impl Rendered {
    /// Whether this is of the same memberships, of schools that have not changed, and not older than a storm excuses.
    fn will_do(&self, me: &Principal, now: DateTime<Utc>) -> bool {
        now >= self.view.generated_at
            && now - self.read_at < rungs::OLDEST
            && self.memberships[..] == *me.memberships()
            && self.vouched_by.iter().all(Generation::holds)
    }

    /// Whether this still answers `me` at `now`.
    fn stands(&self, me: &Principal, now: DateTime<Utc>) -> bool {
        now < self.until
            && now >= self.view.generated_at
            && self.memberships[..] == *me.memberships()
            && self.vouched_by.iter().all(Generation::holds)
    }
}

#[cfg(test)]
mod tests {
    use preau_kernel::{FamilyId, Role, RoleSet, Token};
    use uuid::Uuid;

    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        "2026-11-23T08:00:00Z".parse::<DateTime<Utc>>().unwrap() + TimeDelta::seconds(seconds)
    }

    fn school() -> SchoolId {
        Uuid::from_u128(1).into()
    }

    fn me(roles: &[Role]) -> Principal {
        Principal::verified(Token {
            family: FamilyId::from(Uuid::nil()),
            person: Uuid::from_u128(2).into(),
            territory: Uuid::from_u128(3).into(),
            territory_admin: false,
            memberships: [Membership { school: school(), roles: RoleSet::of(roles) }].into_iter().collect(),
            permission_version: 1,
            issued_at: at(0),
            strong_at: None,
        })
    }

    /// Told now, of lessons read a minute ago.
    fn day(me: &Principal, generations: &Generations) -> Rendered {
        Rendered {
            view: HomeView {
                user: user(me.person(), "Lina", "Martin"),
                schools: Vec::new(),
                generated_at: at(0),
            },
            tagged: Tagged::of(&(), &()).unwrap(),
            until: at(30),
            read_at: at(-60),
            stands_in: false,
            memberships: me.memberships().into(),
            vouched_by: [generations.of(school())].into_iter().collect(),
        }
    }

    #[test]
    fn a_day_will_do_until_what_it_is_made_of_is_ten_minutes_old() {
        let (me, generations) = (me(&[Role::Pupil]), Generations::new());
        let day = day(&me, &generations);
        assert!(day.stands(&me, at(29)) && !day.stands(&me, at(30)));
        assert!(day.will_do(&me, at(539)) && !day.will_do(&me, at(540)));
        assert!(!day.will_do(&me, at(-1)), "a clock that went back");
    }

    #[test]
    fn a_day_that_is_known_to_be_wrong_will_not_do_for_a_second() {
        let (pupil, generations) = (me(&[Role::Pupil]), Generations::new());
        let day = day(&pupil, &generations);
        assert!(!day.will_do(&me(&[Role::Guardian]), at(1)), "somebody is something else since");
        generations.bump(school());
        assert!(!day.will_do(&pupil, at(1)) && !day.stands(&pupil, at(1)));
    }

    #[test]
    fn while_postgresql_is_away_one_person_asks_it_in_a_second() {
        let away = Away::default();
        assert!(!away.lately(at(0)), "it is not");
        away.begun(at(0));
        assert!(away.lately(at(0)));
        assert!(!away.lately(at(1)), "this one asks");
        assert!((0..100).all(|_| away.lately(at(1))));
        assert!(!away.lately(at(2)));
        away.ended();
        assert!((0..100).all(|_| !away.lately(at(2))));
    }
}
