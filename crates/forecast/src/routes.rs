//! What a territory may ask of tomorrow.

use std::sync::Arc;

use axum::extract::State;
use preau_db::{Db, DbError};
use preau_http::{AdminOf, FieldError, Policy, Problem, Reply, Routes, TerritoryPath, ValidQuery};
use preau_kernel::TerritoryId;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;

use crate::{
    crowd::{Costs, Effect, Forecast, Part, Plan, Slot, Week, forecast},
    queries,
    wave::Shape,
};

/// What the answer is made of.
#[derive(Clone, Debug)]
pub struct ForecastState {
    db: Db,
    costs: Arc<Costs>,
    week: Arc<Week>,
}

impl ForecastState {
    /// With these costs, and what that week teaches.
    pub fn new(db: Db, costs: Costs, week: Week) -> Self {
        Self { db, costs: Arc::new(costs), week: Arc::new(week) }
    }

    /// Accounts of a territory, by département, for the operator.
    ///
    /// # Errors
    /// Any [`DbError`].
    pub async fn parts(&self, territory: TerritoryId) -> Result<Vec<Part>, DbError> {
        queries::parts(&mut self.db.in_territory_for_work(territory).await?).await
    }

    /// What closing does, as that week taught it.
    pub fn effect(&self) -> Effect {
        self.week.teaches()
    }

    /// What to expect.
    pub fn forecast(&self, plan: &Plan) -> Forecast {
        forecast(plan, &self.costs, &self.effect())
    }
}

/// The feature's routes.
pub fn routes(state: ForecastState) -> Routes {
    Routes::new().add(Policy::territory_admin(), routes!(get_forecast)).with_state(state)
}

/// What if.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct WhatIf {
    /// Départements whose schools are closed, separated by commas: `77,93`. `all` closes every one.
    closed: Option<String>,
    /// Windows: the hour that each opens and the share of pupils that it is for: `8=0.5,13=0.5`.
    slots: Option<String>,
    /// Share of pupils who keep to their window, 0 to 1.
    #[param(minimum = 0, maximum = 1)]
    obedience: Option<f64>,
    /// Share of pupils whose class has a lesson at nine, 0 to 1.
    #[param(minimum = 0, maximum = 1)]
    lessons: Option<f64>,
    /// Cores that will hash. Without it: as many as nobody waits with.
    #[param(minimum = 0.1, maximum = 100_000)]
    hashing_cores: Option<f64>,
}

/// A département's accounts.
#[derive(Debug, Serialize, ToSchema)]
struct ForecastPart {
    /// Its number.
    department: String,
    /// Accounts of pupils, teachers, staff and guardians.
    accounts: u64,
    /// Whether the question closes it.
    closed: bool,
}

/// What to expect of a day, and of what it is concluded.
#[derive(Debug, Serialize, ToSchema)]
struct TerritoryForecast {
    /// The figures.
    #[serde(flatten)]
    forecast: Forecast,
    /// Who has accounts.
    parts: Vec<ForecastPart>,
    /// What closing does.
    effect: Effect,
    /// Where that is known from.
    source: String,
}

impl WhatIf {
    /// The plan over `parts`, or the name of the field that cannot be.
    fn plan(&self, mut parts: Vec<Part>) -> Result<Plan, &'static str> {
        for name in self.closed.as_deref().into_iter().flat_map(|list| list.split(',')).map(str::trim) {
            let (mut known, all) = (false, name == "all");
            for part in parts.iter_mut().filter(|part| all || part.name == name.trim_start_matches('0')) {
                (part.closed, known) = (true, true);
            }
            if !(known || all) {
                return Err("closed");
            }
        }
        let share = |value: Option<f64>, otherwise: f64, field| match value {
            None => Ok(otherwise),
            Some(value) if (0.0..=1.0).contains(&value) => Ok(value),
            Some(_) => Err(field),
        };
        if self.hashing_cores.is_some_and(|cores| !(0.1..=100_000.0).contains(&cores)) {
            return Err("hashing_cores");
        }
        Ok(Plan {
            parts,
            slots: self.slots.as_deref().map_or(Some(Vec::new()), slots).ok_or("slots")?,
            obedience: share(self.obedience, 0.8, "obedience")?,
            lessons_share: share(self.lessons, 0.0, "lessons")?,
            hashing_cores: self.hashing_cores,
            shape: Shape::Bell,
        })
    }
}

/// `8=0.5,13=0.5`: at most 24, whose shares come to one at most.
fn slots(text: &str) -> Option<Vec<Slot>> {
    let one = |text: &str| {
        let (from, share) = text.split_once('=')?;
        let slot = Slot { from_h: from.trim().parse().ok()?, share: share.trim().parse().ok()? };
        ((0.0..24.0).contains(&slot.from_h) && (0.0..=1.0).contains(&slot.share)).then_some(slot)
    };
    let slots: Vec<Slot> = text.split(',').take(25).map(one).collect::<Option<_>>()?;
    (slots.len() <= 24 && slots.iter().map(|slot| slot.share).sum::<f64>() <= 1.001).then_some(slots)
}

fn invalid(field: &'static str) -> Problem {
    let error = FieldError {
        field: field.to_owned(),
        code: "invalid-field",
        detail: "see the description".to_owned(),
    };
    Problem::bad_request("invalid-field", "the question cannot be read").with_errors(vec![error])
}

/// What to expect of a day
///
/// How many will come at once, what must be there for nobody to wait, and what each lane waits with what there is, if
/// these départements close. Concluded from the accounts, the costs measured, and the one week in which a
/// département closed before the others; figures of closed places are told with the range of what other places saw.
#[utoipa::path(
    get, path = "/api/v1/territories/{territory_id}/forecast", operation_id = "get_forecast", tag = "operations",
    params(TerritoryPath, WhatIf),
    responses((status = OK, body = TerritoryForecast)),
)]
#[tracing::instrument(name = "forecast.get", skip_all, fields(territory.id = %admin.territory()))]
async fn get_forecast(
    State(state): State<ForecastState>,
    AdminOf(admin): AdminOf,
    ValidQuery(asked): ValidQuery<WhatIf>,
) -> Result<Reply<TerritoryForecast>, Problem> {
    let mut tx = state.db.in_territory(&admin).await?;
    let plan = asked.plan(queries::parts(&mut tx).await?).map_err(invalid)?;
    let parts = plan.parts.iter().map(|part| ForecastPart {
        department: part.name.clone(),
        accounts: part.pupils + part.teachers + part.guardians + part.primary_guardians,
        closed: part.closed,
    });
    tx.commit().await?;
    Ok(Reply(TerritoryForecast {
        parts: parts.collect(),
        effect: state.effect(),
        source: state.week.source.clone(),
        forecast: state.forecast(&plan),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_read_and_nonsense_is_not() {
        let read = slots("8=0.5, 13=0.5").unwrap();
        assert_eq!(
            read.iter().map(|slot| (slot.from_h, slot.share)).collect::<Vec<_>>(),
            [(8.0, 0.5), (13.0, 0.5)]
        );
        for nonsense in ["", "8", "25=0.1", "8=1.5", "8=0.6,13=0.6", "8=NaN", "nan=0.1", "8=-1"] {
            assert!(slots(nonsense).is_none(), "{nonsense}");
        }
        let parts = || vec![Part { name: "77".to_owned(), pupils: 10, ..Part::default() }];
        let asked = |closed: &str| WhatIf { closed: Some(closed.to_owned()), ..WhatIf::default() };
        assert!(asked("077").plan(parts()).unwrap().parts.iter().all(|part| part.closed));
        assert!(asked("all").plan(parts()).unwrap().parts.iter().all(|part| part.closed));
        assert_eq!(asked("78").plan(parts()).unwrap_err(), "closed");
        assert_eq!(
            WhatIf { lessons: Some(f64::NAN), ..WhatIf::default() }.plan(parts()).unwrap_err(),
            "lessons"
        );
    }
}
