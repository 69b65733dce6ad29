//! What the routes of a school and those of a territory do alike: look the cursor or the key up, open the transaction of
//! the scope, act, commit, tell the other nodes, answer. Each route keeps its own path, policy and words.

use axum::{
    extract::FromRequestParts,
    http::{StatusCode, request::Parts},
    response::{IntoResponse, Response},
};
use preau_db::{DbError, SchoolTx, TerritoryTx, Tx};
use preau_http::{Cursors, IfMatch, IfNoneMatch, Keyed, ListQuery, Problem, Reply, ValidQuery, once};
use preau_kernel::{CursorKey, Limit, Member, Page, PersonId, TerritoryAdmin};
use serde::{Serialize, de::DeserializeOwned};
use uuid::Uuid;

use crate::{
    Error, Plans, ProfileSuspension, Scope, SlotException, SlotPlan, SlotPlanVersion, SlotPreview,
    acts::{NewForcedMode, NewProfileSuspension, NewSlotException},
    preview::Roster,
    queries,
    rules::NewSlotPlan,
};

/// Who acts, and upon what: the proof that the route's policy gave.
pub(super) trait Hand {
    /// The transaction of the scope.
    type Tx: ScopeTx;

    fn person(&self) -> PersonId;

    async fn open(&self, app: &Plans) -> Result<(Scope, Self::Tx), Problem>;

    /// Who there is in the scope.
    async fn roster(&self, app: &Plans) -> Result<Roster, Problem>;
}

/// A transaction that can be ended without knowing whose it is.
pub(super) trait ScopeTx: Tx {
    async fn end(self) -> Result<(), DbError>;
}

impl ScopeTx for SchoolTx {
    async fn end(self) -> Result<(), DbError> {
        self.commit().await
    }
}

impl ScopeTx for TerritoryTx {
    async fn end(self) -> Result<(), DbError> {
        self.commit().await
    }
}

impl Hand for Member {
    type Tx = SchoolTx;

    fn person(&self) -> PersonId {
        Member::person(self)
    }

    async fn open(&self, app: &Plans) -> Result<(Scope, SchoolTx), Problem> {
        let facts = app.db.school_facts(self.asked()).await?.ok_or_else(Problem::not_found)?;
        let scope = Scope { territory: facts.territory, school: Some(self.asked()) };
        Ok((scope, app.db.in_school(self).await?))
    }

    async fn roster(&self, app: &Plans) -> Result<Roster, Problem> {
        let (scope, tx) = self.open(app).await?;
        Ok(app.count(scope.territory, tx).await?)
    }
}

impl Hand for TerritoryAdmin {
    type Tx = TerritoryTx;

    fn person(&self) -> PersonId {
        TerritoryAdmin::person(self)
    }

    async fn open(&self, app: &Plans) -> Result<(Scope, TerritoryTx), Problem> {
        let scope = Scope { territory: self.territory(), school: None };
        Ok((scope, app.db.in_territory(self).await?))
    }

    async fn roster(&self, app: &Plans) -> Result<Roster, Problem> {
        let mut tx = app.db.in_territory(self).await?;
        let counted = queries::sum_levels(&mut tx).await?;
        tx.commit().await?;
        Ok(counted)
    }
}

/// Which page of a list is asked for.
pub(super) struct Asked {
    key: CursorKey,
    query: ListQuery,
}

impl<S: Send + Sync> FromRequestParts<S> for Asked {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Cursors(key) = Cursors::from_request_parts(parts, state).await?;
        let ValidQuery(query) = ValidQuery::from_request_parts(parts, state).await?;
        Ok(Self { key, query })
    }
}

/// The page that is asked for of what `read` finds after a place; `place` is where a row stands. The list is named by its
/// operation, so that cursors do not travel between lists.
async fn page<H: Hand, R, P: Serialize + DeserializeOwned>(
    (app, hand): (&Plans, &H),
    (list, asked): (&'static str, &Asked),
    read: impl AsyncFnOnce(&mut H::Tx, Scope, Option<P>, Limit) -> Result<Vec<R>, Error>,
    place: impl FnOnce(&R) -> P,
) -> Result<Reply<Page<R>>, Problem> {
    let Asked { key, query } = asked;
    let before = query.after(list, key)?;
    let (scope, mut tx) = hand.open(app).await?;
    let rows = read(&mut tx, scope, before, query.limit).await?;
    tx.end().await?;
    Ok(Reply(Page::cut(rows, query.limit, |last| key.seal(list, &place(last)))))
}

/// What `read` finds in the scope.
async fn seen<H: Hand, T>(
    (app, hand): (&Plans, &H),
    read: impl AsyncFnOnce(&mut H::Tx, Scope) -> Result<T, Error>,
) -> Result<T, Problem> {
    let (scope, mut tx) = hand.open(app).await?;
    let found = read(&mut tx, scope).await?;
    tx.end().await?;
    Ok(found)
}

/// Changes something of the scope; every node hears of it once it is committed.
async fn changed<H: Hand, T>(
    (app, hand): (&Plans, &H),
    act: impl AsyncFnOnce(&mut H::Tx, Scope) -> Result<T, Problem>,
) -> Result<T, Problem> {
    let (scope, mut tx) = hand.open(app).await?;
    let done = act(&mut tx, scope).await?;
    tx.end().await?;
    app.spread().await;
    Ok(done)
}

/// Makes something of the scope, once for each key of the operation.
async fn made<H: Hand, T, A: Serialize>(
    (app, hand): (&Plans, &H),
    (operation, write): (&'static str, &Keyed<T>),
    act: impl AsyncFnOnce(&mut H::Tx, Scope) -> Result<A, Error>,
) -> Result<Response, Problem> {
    changed((app, hand), async |tx, scope| {
        once(tx, operation, write, app.now(), async |tx| Ok((StatusCode::CREATED, act(tx, scope).await?)))
            .await
    })
    .await
}

pub(super) async fn list_plans<H: Hand>(
    app: &Plans,
    hand: &H,
    list: &'static str,
    asked: &Asked,
) -> Result<Reply<Page<SlotPlan>>, Problem> {
    let read = async |tx: &mut H::Tx, scope, before, limit| app.list(tx, scope, before, limit).await;
    page((app, hand), (list, asked), read, |last| last.id).await
}

pub(super) async fn create_plan<H: Hand>(
    app: &Plans,
    hand: &H,
    operation: &'static str,
    write: &Keyed<NewSlotPlan>,
) -> Result<Response, Problem> {
    made((app, hand), (operation, write), async |tx, scope| {
        app.create(tx, scope, Some(write.person), &write.body).await
    })
    .await
}

pub(super) async fn preview_plan<H: Hand>(
    app: &Plans,
    hand: &H,
    plan: &NewSlotPlan,
) -> Result<Reply<SlotPreview>, Problem> {
    let roster = hand.roster(app).await?;
    seen((app, hand), async |tx, scope| app.preview(tx, scope, plan, &roster).await).await.map(Reply)
}

pub(super) async fn get_plan<H: Hand>(
    app: &Plans,
    hand: &H,
    plan: Uuid,
    held: &IfNoneMatch,
) -> Result<Response, Problem> {
    let plan = seen((app, hand), async |tx, scope| app.find(tx, scope, plan).await).await?;
    Ok(plan.tagged()?.answer(held))
}

pub(super) async fn update_plan<H: Hand>(
    app: &Plans,
    hand: &H,
    (plan, read): (Uuid, &IfMatch),
    new: &NewSlotPlan,
) -> Result<Response, Problem> {
    let held = |before: &SlotPlan| read.must_hold(&before.tagged()?);
    let plan =
        changed((app, hand), async |tx, scope| app.change(tx, scope, hand.person(), plan, new, held).await)
            .await?;
    Ok(plan.tagged()?.answer_changed())
}

pub(super) async fn withdraw_plan<H: Hand>(app: &Plans, hand: &H, plan: Uuid) -> Result<Response, Problem> {
    changed((app, hand), async |tx, scope| Ok(app.withdraw(tx, scope, hand.person(), plan).await?)).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

pub(super) async fn force_plan<H: Hand>(
    app: &Plans,
    hand: &H,
    plan: Uuid,
    wanted: &NewForcedMode,
) -> Result<Reply<SlotPlan>, Problem> {
    changed((app, hand), async |tx, scope| {
        Ok(Reply(app.force(tx, scope, hand.person(), plan, wanted).await?))
    })
    .await
}

pub(super) async fn list_versions<H: Hand>(
    app: &Plans,
    hand: &H,
    plan: Uuid,
    list: &'static str,
    asked: &Asked,
) -> Result<Reply<Page<SlotPlanVersion>>, Problem> {
    let read =
        async |tx: &mut H::Tx, scope, before, limit| app.versions(tx, scope, plan, before, limit).await;
    page((app, hand), (list, asked), read, |last| last.version).await
}

pub(super) async fn list_exceptions<H: Hand>(
    app: &Plans,
    hand: &H,
    list: &'static str,
    asked: &Asked,
) -> Result<Reply<Page<SlotException>>, Problem> {
    let read = async |tx: &mut H::Tx, scope, before, limit| app.exceptions(tx, scope, before, limit).await;
    page((app, hand), (list, asked), read, |last| last.id).await
}

pub(super) async fn create_exception<H: Hand>(
    app: &Plans,
    hand: &H,
    operation: &'static str,
    write: &Keyed<NewSlotException>,
) -> Result<Response, Problem> {
    made((app, hand), (operation, write), async |tx, scope| {
        app.except(tx, scope, write.person, &write.body).await
    })
    .await
}

pub(super) async fn end_exception<H: Hand>(
    app: &Plans,
    hand: &H,
    exception: Uuid,
) -> Result<Response, Problem> {
    changed((app, hand), async |tx, scope| {
        Ok(app.end_exception(tx, scope, hand.person(), exception).await?)
    })
    .await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

pub(super) async fn list_suspensions<H: Hand>(
    app: &Plans,
    hand: &H,
    list: &'static str,
    asked: &Asked,
) -> Result<Reply<Page<ProfileSuspension>>, Problem> {
    let read = async |tx: &mut H::Tx, scope, before, limit| app.suspended(tx, scope, before, limit).await;
    page((app, hand), (list, asked), read, |last| last.id).await
}

pub(super) async fn create_suspension<H: Hand>(
    app: &Plans,
    hand: &H,
    operation: &'static str,
    write: &Keyed<NewProfileSuspension>,
) -> Result<Response, Problem> {
    made((app, hand), (operation, write), async |tx, scope| {
        app.suspend(tx, scope, write.person, &write.body).await
    })
    .await
}

pub(super) async fn lift_suspension<H: Hand>(
    app: &Plans,
    hand: &H,
    suspension: Uuid,
) -> Result<Response, Problem> {
    changed((app, hand), async |tx, scope| Ok(app.lift(tx, scope, hand.person(), suspension).await?)).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
