//! What a path names before anything of a feature, for the document: the policy has read it.

use preau_kernel::{SchoolId, TerritoryId};
use serde::Deserialize;
use utoipa::IntoParams;

/// `/api/v1/schools/{school_id}/…`.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "describes the path; the policy has read it")]
pub struct SchoolPath {
    /// The school.
    school_id: SchoolId,
}

/// `/api/v1/territories/{territory_id}/…`.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "describes the path; the policy has read it")]
pub struct TerritoryPath {
    /// The territory.
    territory_id: TerritoryId,
}
