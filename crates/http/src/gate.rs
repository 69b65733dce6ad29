//! What the policy of a route needs of the process. Left on each request by the composition root.

use std::{sync::Arc, time::Duration};

use preau_db::{Db, DbError, KeyRing, Purpose, journal};
use preau_kernel::{Clock, CursorKey, Member, PersonId, Principal, SchoolId, TerritoryId};
use tokio_util::task::TaskTracker;

use crate::{Brownout, Suspensions, budget::Quotas};

/// The gatekeeper's tools.
pub struct Gate {
    /// For a school's territory, and the journal.
    pub db: Db,
    /// For the instant of an act.
    pub clock: Clock,
    /// Signs cursors.
    pub keys: KeyRing,
    /// Shutdown waits for the changes that run on it.
    pub tasks: TaskTracker,
    /// Scheme, host and port of our own pages.
    pub origin: String,
    /// The ladder of what is given up under load, and where we stand on it.
    pub brownout: Brownout,
    /// Profiles whose use is suspended for a time.
    pub suspensions: Suspensions,
    /// Whether the comparison of the path with the token is taken away, so that a test can show that row-level
    /// security stands alone.
    #[cfg(debug_assertions)]
    pub wall_off: bool,
    pub(crate) quotas: Quotas,
    journaled: moka::sync::Cache<(PersonId, SchoolId), ()>,
    strict: moka::sync::Cache<(TerritoryId, Option<SchoolId>), bool>,
}

/// A school that closes its administration to those who have shown no second factor has closed it on every node after so long.
const STRICT_KNOWN_FOR: Duration = Duration::from_secs(60);

impl Gate {
    /// A gate for pages served from `origin`.
    pub fn new(db: Db, clock: Clock, keys: KeyRing, tasks: TaskTracker, origin: String) -> Self {
        let journaled = moka::sync::Cache::builder()
            .max_capacity(50_000)
            .time_to_live(Duration::from_secs(15 * 60))
            .build();
        let strict = moka::sync::Cache::builder().max_capacity(50_000).time_to_live(STRICT_KNOWN_FOR).build();
        Self {
            db,
            clock,
            keys,
            tasks,
            origin,
            brownout: Brownout::default(),
            suspensions: Suspensions::default(),
            #[cfg(debug_assertions)]
            wall_off: false,
            quotas: Quotas::new(),
            journaled,
            strict,
        }
    }

    /// Whether administration of the school, or of the territory, is closed to sessions that have shown no second factor.
    pub(crate) async fn is_strict(
        &self,
        territory: TerritoryId,
        school: Option<SchoolId>,
    ) -> Result<bool, DbError> {
        if let Some(known) = self.strict.get(&(territory, school)) {
            return Ok(known);
        }
        let scopes: Vec<_> = school.map(SchoolId::uuid).into_iter().chain([territory.uuid()]).collect();
        let strict = self.db.administrators_prove(&scopes).await?;
        self.strict.insert((territory, school), strict);
        Ok(strict)
    }

    /// Shares the gate.
    pub fn shared(self) -> Arc<Self> {
        Arc::new(self)
    }

    /// The key that signs cursors now.
    pub fn cursor_key(&self) -> Option<CursorKey> {
        self.keys.signing(Purpose::Cursor).map(|key| CursorKey::new(key.bytes))
    }

    /// The proof of a territory's administrator in one of its schools. Its first use in a quarter of an hour is
    /// written in the school's journal, where the head of the school can read it.
    pub(crate) async fn as_territory_admin(
        &self,
        principal: &Principal,
        school: SchoolId,
    ) -> Result<Option<Member>, DbError> {
        let Some(admin) = principal.territory_admin() else { return Ok(None) };
        let Some(facts) = self.db.school_facts(school).await? else { return Ok(None) };
        let Some(member) = admin.member_of(school, facts.territory) else { return Ok(None) };
        if !self.journaled.contains_key(&(admin.person(), school)) {
            let mut tx = self.db.in_school(&member).await?;
            let act = journal::Act {
                actor: Some(admin.person()),
                act: "territory.enter-school",
                subject: Some(school.uuid()),
                detail: serde_json::json!({}),
            };
            journal::append(&mut tx, self.clock.now(), act).await?;
            tx.commit().await?;
            self.journaled.insert((admin.person(), school), ());
        }
        Ok(Some(member))
    }

    /// With the wall off, anybody's first membership passes for one in the school of the path: statements bind that
    /// school, while row-level security still sees the one proven. Never compiled in release builds.
    #[cfg(debug_assertions)]
    pub(crate) fn wall_off(&self, principal: &Principal, school: SchoolId) -> Option<Member> {
        let proven = if self.wall_off { principal.members().next() } else { None };
        proven.map(|member| member.pretending_to_ask(school))
    }

    #[cfg(not(debug_assertions))]
    pub(crate) fn wall_off(&self, _: &Principal, _: SchoolId) -> Option<Member> {
        None
    }
}
