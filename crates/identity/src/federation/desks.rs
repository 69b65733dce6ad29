//! The desks that are in use, as this node knows them.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use preau_db::DbError;
use preau_kernel::TerritoryId;
use preau_saml::Certificate;
use uuid::Uuid;

use super::{Error, Federation, Kind, queries};

/// All that are in use.
pub(super) type Known = Arc<Vec<Arc<Desk>>>;

/// A desk, ready to be used.
#[derive(Debug)]
pub(super) struct Desk {
    pub(super) territory: TerritoryId,
    pub(super) id: Uuid,
    pub(super) slug: String,
    pub(super) kind: Kind,
    pub(super) name: String,
    pub(super) entity_id: String,
    pub(super) sign_in: String,
    pub(super) logout: Option<String>,
    pub(super) certificates: Vec<Certificate>,
    pub(super) academies: Vec<String>,
    down: bool,
    valid_until: Option<DateTime<Utc>>,
}

/// Whether a desk may be gone to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = FederationState)]
pub enum DeskState {
    /// Yes.
    Open,
    /// No: it does not answer, an administrator says, or its metadata is out of date. Whoever has a password of their own
    /// here comes in by it.
    Down,
}

/// A desk as the sign-in page shows it.
#[derive(Clone, Debug, serde::Serialize, utoipa::ToSchema)]
#[schema(as = FederationDesk)]
pub struct DeskView {
    /// Its name in addresses.
    pub slug: String,
    /// Its name for people.
    pub name: String,
    /// What kind of desk it is.
    pub kind: Kind,
    /// Whether it may be gone to.
    pub state: DeskState,
    /// The territory whose people it identifies.
    pub territory_id: TerritoryId,
    /// Where a link leads (a link and not a form: our pages' forms stay on this site). `?vers=` says where one was going;
    /// `&partage` that the device is shared.
    pub depart: String,
}

impl Desk {
    fn from_row(row: queries::ProviderRow) -> Result<Self, DbError> {
        let certificates = row.certificates.iter().map(|it| Certificate::parse(it)).collect::<Result<_, _>>();
        Ok(Self {
            territory: row.territory_id.into(),
            id: row.provider_id,
            kind: Kind::from_word(&row.kind).ok_or(DbError::Corrupt("desk of unknown kind"))?,
            slug: row.slug,
            name: row.name,
            entity_id: row.entity_id,
            sign_in: row.sign_in_url,
            logout: row.logout_url,
            certificates: certificates.map_err(|_| DbError::Corrupt("certificate of a desk"))?,
            academies: row.academies,
            down: row.down,
            valid_until: row.valid_until,
        })
    }

    pub(super) fn state(&self, now: DateTime<Utc>) -> DeskState {
        let old = self.valid_until.is_some_and(|until| until <= now);
        if self.down || old { DeskState::Down } else { DeskState::Open }
    }
}

impl Federation {
    /// The desks in use, ÉduConnect first. At most ten seconds old on any node.
    ///
    /// # Errors
    /// Any database error.
    pub async fn desks(&self) -> Result<Vec<DeskView>, DbError> {
        let now = self.0.clock.now();
        let view = |desk: &Arc<Desk>| DeskView {
            slug: desk.slug.clone(),
            name: desk.name.clone(),
            kind: desk.kind,
            state: desk.state(now),
            territory_id: desk.territory,
            depart: format!("/federation/{}/depart", desk.slug),
        };
        Ok(self.known().await?.iter().map(view).collect())
    }

    pub(super) async fn desk(&self, slug: &str) -> Result<Arc<Desk>, Error> {
        let known = self.known().await?;
        known.iter().find(|desk| desk.slug == slug).cloned().ok_or(Error::NoSuchDesk)
    }

    pub(super) async fn desk_by_id(&self, id: Uuid) -> Result<Option<Arc<Desk>>, DbError> {
        Ok(self.known().await?.iter().find(|desk| desk.id == id).cloned())
    }

    /// One statement for all who ask at once; what was known before, while the database has no room to say.
    async fn known(&self) -> Result<Known, DbError> {
        let inner = &self.0;
        let read = async {
            let mut tx = inner.db.lookup().await?;
            let rows = queries::enabled(&mut tx).await?;
            tx.commit().await?;
            let desks = rows.into_iter().map(|row| Desk::from_row(row).map(Arc::new));
            let known = Arc::new(desks.collect::<Result<Vec<_>, _>>()?);
            inner.desks_before.insert((), Arc::clone(&known)).await;
            Ok::<_, DbError>(known)
        };
        match inner.desks.try_get_with((), read).await {
            Ok(known) => Ok(known),
            Err(error) => match inner.desks_before.get(&()).await {
                Some(before) => Ok(before),
                None => Err(Arc::try_unwrap(error).unwrap_or_else(|shared| again(&shared))),
            },
        }
    }

    pub(super) async fn forget_desks(&self) {
        self.0.desks.invalidate(&()).await;
        self.0.desks_before.invalidate(&()).await;
    }
}

/// The same fault for each of those who asked together.
fn again(error: &DbError) -> DbError {
    match error {
        DbError::Saturated => DbError::Saturated,
        DbError::Busy => DbError::Busy,
        DbError::Unavailable(_) => DbError::Unavailable(sqlx::Error::PoolTimedOut),
        DbError::Corrupt(what) => DbError::Corrupt(what),
        DbError::Walled(_) | DbError::Statement(_) => DbError::Corrupt("the desks cannot be read"),
    }
}
