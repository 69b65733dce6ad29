//! Gathering the day, and keeping the answer while it stands.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use futures::{StreamExt, TryStreamExt, stream};
use preau_directory::{ClassName, Context, Contexts, Generation, Generations};
use preau_http::{Degraded, IfNoneMatch, Tagged};
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
}

/// Somebody's day, written and tagged.
#[derive(Debug)]
pub struct Rendered {
    /// What the pages render.
    pub view: HomeView,
    /// What the API answers.
    pub tagged: Tagged,
    until: DateTime<Utc>,
    memberships: SmallVec<[Membership; 2]>,
    vouched_by: SmallVec<[Generation; 2]>,
}

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
        Self(Arc::new(Inner { clock, contexts, timetable, generations, rendered }))
    }

    /// The day of `me`: the one kept while it stands, or a new one. While many are coming in, one kept for ten minutes at
    /// most will do: to half of the people from the second level on, to all from the third.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn home_of(&self, me: &Principal, degraded: &Degraded) -> Result<Arc<Rendered>, Error> {
        let now = self.0.clock.now();
        if let Some(kept) = self.0.rendered.get(&me.person()) {
            let good_enough =
                || kept.will_do(me, now) && degraded.sheds_early(&rungs::HOME_STALE, rungs::HALF);
            if kept.stands(me, now) || good_enough() {
                return Ok(kept);
            }
        }
        let rendered = Arc::new(self.gather(me, now).await?);
        self.0.rendered.insert(me.person(), Arc::clone(&rendered));
        Ok(rendered)
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
        let until =
            rules::stands_until(now, schools.iter().flat_map(|school| school.changes.iter().copied()));
        let view = HomeView {
            user,
            schools: schools.into_iter().map(|school| school.shown).collect(),
            generated_at: now,
        };
        let tagged = Tagged::of(&view, &(&view.user, &view.schools)).map_err(Error::Unwritable)?;
        Ok(Rendered { view, tagged, until, memberships: me.memberships().into(), vouched_by })
    }

    /// One school's part: a statement for who I am there, a shared one for its lessons. `None` when the school has no record
    /// of the person any more.
    async fn school(&self, member: Member, now: DateTime<Utc>) -> Result<Option<Gathered>, Error> {
        let Some(context) = self.0.contexts.of(member.school(), member.person()).await? else {
            return Ok(None);
        };
        let tz = context.school.tz;
        let date = now.with_timezone(&tz).date_naive();
        let days = self.0.timetable.shared(member.school(), tz, date, rules::DAYS).await?;

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
        }))
    }
}

/// A school's part of the day, who I am there, and when it changes.
struct Gathered {
    context: Arc<Context>,
    shown: HomeSchool,
    changes: Vec<DateTime<Utc>>,
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

impl Rendered {
    /// 304 to who holds this day already, 200 to the rest.
    pub fn answer(&self, held: &IfNoneMatch) -> axum::response::Response {
        self.tagged.answer(held)
    }

    /// Whether this is of the same day and the same memberships, and not older than a storm excuses.
    fn will_do(&self, me: &Principal, now: DateTime<Utc>) -> bool {
        now >= self.view.generated_at
            && now - self.view.generated_at <= rungs::OLDEST
            && self.memberships[..] == *me.memberships()
    }

    /// Whether this still answers `me` at `now`.
    fn stands(&self, me: &Principal, now: DateTime<Utc>) -> bool {
        now < self.until
            && now >= self.view.generated_at
            && self.memberships[..] == *me.memberships()
            && self.vouched_by.iter().all(Generation::holds)
    }
}
