//! Plans, exceptions and suspensions over HTTP.

mod of_school;
mod of_scope;
mod of_territory;
mod shown;

use preau_http::{Policy, Routes};
use preau_kernel::{Power, Priority, Role};
use utoipa_axum::routes;

use crate::Plans;

/// The routes of plans, exceptions and suspensions. None names a scope: programs share nobody's hours out.
pub fn routes(plans: Plans) -> Routes {
    let school = Policy::in_school(&[Role::SchoolAdmin]).priority(Priority::Background);
    let territory = Policy::territory_admin().priority(Priority::Background);
    // The head of a school sees who was suspended, by whom and why, without administering anything.
    let head = school.or_power(Power::ReadJournal);
    Routes::new()
        .add(Policy::anyone().priority(Priority::Essential), routes!(shown::list_slots))
        .add(Policy::signed_in().priority(Priority::Essential).kept(), routes!(shown::get_account_slot))
        .add(Policy::any_member(), routes!(of_school::list_slot_plans))
        .add(school.keyed(), routes!(of_school::create_slot_plan))
        .add(school, routes!(of_school::preview_slot_plan))
        .add(school, routes!(of_school::get_slot_plan))
        .add(school, routes!(of_school::update_slot_plan))
        .add(school, routes!(of_school::delete_slot_plan))
        .add(school.sudo(), routes!(of_school::set_slot_plan_mode))
        .add(school, routes!(of_school::list_slot_plan_versions))
        .add(school, routes!(of_school::list_slot_exceptions))
        .add(school.keyed(), routes!(of_school::create_slot_exception))
        .add(school, routes!(of_school::delete_slot_exception))
        .add(head, routes!(of_school::list_suspensions))
        .add(school.keyed().sudo(), routes!(of_school::create_suspension))
        .add(school, routes!(of_school::delete_suspension))
        .add(territory, routes!(of_territory::list_territory_slot_plans))
        .add(territory.keyed(), routes!(of_territory::create_territory_slot_plan))
        .add(territory, routes!(of_territory::preview_territory_slot_plan))
        .add(territory, routes!(of_territory::get_territory_slot_plan))
        .add(territory, routes!(of_territory::update_territory_slot_plan))
        .add(territory, routes!(of_territory::delete_territory_slot_plan))
        .add(territory.sudo(), routes!(of_territory::set_territory_slot_plan_mode))
        .add(territory, routes!(of_territory::list_territory_slot_plan_versions))
        .add(territory, routes!(of_territory::list_territory_slot_exceptions))
        .add(territory.keyed(), routes!(of_territory::create_territory_slot_exception))
        .add(territory, routes!(of_territory::delete_territory_slot_exception))
        .add(territory, routes!(of_territory::list_territory_suspensions))
        .add(territory.keyed().sudo(), routes!(of_territory::create_territory_suspension))
        .add(territory, routes!(of_territory::delete_territory_suspension))
        .with_state(plans)
}
