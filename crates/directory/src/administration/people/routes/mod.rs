//! People over HTTP, for administrators of a school and whom they delegate to.

mod contact;
mod list;
mod memberships;
mod records;

use preau_http::{Policy, Routes};
use preau_kernel::{PersonId, Role, SchoolId};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::routes;

use crate::DirectoryState;

/// The routes of people.
pub(in crate::administration) fn routes(state: DirectoryState) -> Routes {
    let admin = Policy::in_school(&[Role::SchoolAdmin]).or_power(super::POWER);
    let adults = Policy::in_school(&[Role::Teacher, Role::Staff, Role::SchoolAdmin]);
    Routes::new()
        .add(admin, routes!(list::list_administered_people))
        .add(admin.keyed(), routes!(records::create_person))
        .add(admin, routes!(records::get_administered_person))
        .add(admin, routes!(records::update_person))
        .add(admin.keyed(), routes!(memberships::attach_person))
        .add(admin, routes!(memberships::set_membership))
        .add(admin, routes!(memberships::end_membership))
        .add(adults, routes!(contact::get_contact))
        .with_state(state)
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
struct AdministeredPersonPath {
    /// The school.
    #[serde(rename = "school_id")]
    _school_id: SchoolId,
    /// The person.
    person_id: PersonId,
}
