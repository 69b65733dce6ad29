//! What is printed: codes, sheets, cards; and what a school lets teachers do.

use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use chrono::{DateTime, Utc};
use preau_http::{InSchool, Policy, Problem, Reply, Routes, ValidJson, ValidPath, ValidQuery, spreadsheet};
use preau_kernel::{ClassId, Member, Page, PersonId, Power, Role, SchoolId};
use serde::{Deserialize, Serialize};
use utoipa_axum::routes;

use super::{PAPER, PersonPath, SchoolPath, unkept};
use crate::{
    ActivationCode,
    accounts::{AccountRule, Accounts, Audience, Error, Sheet, Sheets, csv},
};

pub(super) fn routes(accounts: Accounts) -> Routes {
    Routes::new()
        .add(Policy::in_school(&PAPER).or_power(Power::ResetPasswords), routes!(create_activation_code))
        .add(Policy::in_school(&PAPER).or_power(Power::ResetPasswords), routes!(create_reset_code))
        .add(Policy::in_school(&PAPER), routes!(list_activation_sheets))
        .add(Policy::in_school(&PAPER), routes!(create_activation_sheets))
        .add(Policy::in_school(&PAPER), routes!(export_activation_sheets))
        .add(Policy::in_school(&PAPER), routes!(create_cards))
        .add(Policy::in_school(&PAPER), routes!(get_class_rights))
        .add(Policy::in_school(&[Role::SchoolAdmin]), routes!(update_class_rights))
        .with_state(accounts)
}

/// A code for paper. It is shown once.
#[derive(Serialize, utoipa::ToSchema)]
struct ActivationCodeMade {
    /// Login name that it goes with.
    login: String,
    /// The code.
    code: String,
    /// Until when it is good.
    expires_at: DateTime<Utc>,
}

/// Make an activation code for a person of the school. The one before it is void.
#[utoipa::path(
    post, path = "/api/v1/schools/{school_id}/people/{person_id}/activation-code", tag = "accounts",
    operation_id = "create_activation_code",
    params(PersonPath),
    responses(
        (status = CREATED, body = ActivationCodeMade),
        (status = FORBIDDEN, description = "`right-withheld`", body = preau_http::ProblemBody, content_type = "application/problem+json"),
        (status = CONFLICT, description = "`already-active`", body = preau_http::ProblemBody, content_type = "application/problem+json"),
    ),
)]
#[tracing::instrument(level = "debug", name = "identity.make_code", skip_all, fields(school.id = %member.school()))]
async fn create_activation_code(
    State(accounts): State<Accounts>,
    InSchool(member): InSchool,
    ValidPath(at): ValidPath<PersonPath>,
) -> Result<(StatusCode, Reply<ActivationCodeMade>), Problem> {
    let made = accounts.make_activation_code(&member, at.person_id).await?;
    let body =
        ActivationCodeMade { login: made.login, code: made.code.printed(), expires_at: made.expires_at };
    Ok((StatusCode::CREATED, Reply(body)))
}

/// How long a code is good.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct CreateResetCode {
    #[schema(minimum = 1, maximum = 24)]
    hours: i64,
}

/// A code to hand over. It is shown once.
#[derive(Serialize, utoipa::ToSchema)]
struct ResetCodeMade {
    /// Login name that it goes with.
    login: String,
    /// The code.
    code: String,
    /// Until when it is good.
    expires_at: DateTime<Utc>,
}

/// Make a code with which a person of the school chooses a new password. The one before it is void.
#[utoipa::path(
    post, path = "/api/v1/schools/{school_id}/people/{person_id}/reset-code", tag = "accounts",
    operation_id = "create_reset_code",
    params(PersonPath), request_body = CreateResetCode,
    responses(
        (status = CREATED, body = ResetCodeMade),
        (status = CONFLICT, description = "`not-activated`", body = preau_http::ProblemBody, content_type = "application/problem+json"),
    ),
)]
#[tracing::instrument(level = "debug", name = "identity.make_reset_code", skip_all, fields(school.id = %member.school()))]
async fn create_reset_code(
    State(accounts): State<Accounts>,
    InSchool(member): InSchool,
    ValidPath(at): ValidPath<PersonPath>,
    ValidJson(body): ValidJson<CreateResetCode>,
) -> Result<(StatusCode, Reply<ResetCodeMade>), Problem> {
    let made = accounts.make_reset_code(&member, at.person_id, body.hours).await?;
    let body = ResetCodeMade { login: made.login, code: made.code.printed(), expires_at: made.expires_at };
    Ok((StatusCode::CREATED, Reply(body)))
}

/// Whom sheets are for.
#[derive(Clone, Copy, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
enum SheetAudience {
    /// The pupils of `class_id`.
    Pupils,
    /// The guardians of the pupils of `class_id`. Administrators only.
    Guardians,
    /// Everybody who works in the school. Administrators only.
    Adults,
    /// Its guests. Administrators only.
    Guests,
    /// Those of `person_ids`. Administrators only.
    People,
}

/// Whom sheets are made for.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct CreateSheets {
    audience: SheetAudience,
    #[serde(default)]
    class_id: Option<ClassId>,
    /// 200 at most.
    #[serde(default)]
    person_ids: Vec<PersonId>,
}

/// Whom sheets would be for.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct SheetsQuery {
    #[param(inline)]
    audience: SheetAudience,
    class_id: Option<ClassId>,
}

fn audience(
    audience: SheetAudience,
    class: Option<ClassId>,
    people: Vec<PersonId>,
) -> Result<Audience, Error> {
    let class = class.ok_or(Error::Field("class_id", "missing"));
    Ok(match audience {
        SheetAudience::Pupils => Audience::Pupils(class?),
        SheetAudience::Guardians => Audience::Guardians(class?),
        SheetAudience::Adults => Audience::Adults,
        SheetAudience::Guests => Audience::Guests,
        SheetAudience::People => Audience::People(people),
    })
}

/// Sheets to print, eight to a page.
#[derive(Serialize, utoipa::ToSchema)]
struct ActivationSheets {
    school_name: String,
    /// Where one activates.
    url: String,
    /// In the order of names.
    items: Vec<ActivationSheet>,
}

/// One person's sheet.
#[derive(Serialize, utoipa::ToSchema)]
struct ActivationSheet {
    person_id: PersonId,
    last_name: String,
    first_name: String,
    /// The class; empty for an adult.
    class: String,
    /// Login name; empty without an account.
    login: String,
    /// Where the account stands: only `imported` has a code.
    state: String,
    /// The code, shown once. Absent where none was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    /// Until when the code on paper is good.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<DateTime<Utc>>,
}

impl From<Sheet> for ActivationSheet {
    fn from(sheet: Sheet) -> Self {
        Self {
            person_id: sheet.person,
            last_name: sheet.last_name,
            first_name: sheet.first_name,
            class: sheet.class,
            login: sheet.login,
            state: sheet.state,
            code: sheet.code.as_ref().map(ActivationCode::printed),
            expires_at: sheet.expires_at,
        }
    }
}

impl From<Sheets> for ActivationSheets {
    fn from(sheets: Sheets) -> Self {
        Self {
            school_name: sheets.school,
            url: sheets.url,
            items: sheets.items.into_iter().map(ActivationSheet::from).collect(),
        }
    }
}

/// Where the accounts of a class stand, before sheets are made.
#[utoipa::path(
    get, path = "/api/v1/schools/{school_id}/activation-sheets", tag = "accounts",
    operation_id = "list_activation_sheets",
    params(SchoolPath, SheetsQuery),
    responses((status = OK, body = ActivationSheets)),
)]
async fn list_activation_sheets(
    State(accounts): State<Accounts>,
    InSchool(member): InSchool,
    ValidQuery(query): ValidQuery<SheetsQuery>,
) -> Result<Reply<ActivationSheets>, Problem> {
    let audience = audience(query.audience, query.class_id, Vec::new())?;
    Ok(Reply(accounts.list_sheets(&member, &audience).await?.into()))
}

/// Make activation sheets: a fresh code for everybody of the audience who has not activated yet. Codes before are void.
#[utoipa::path(
    post, path = "/api/v1/schools/{school_id}/activation-sheets", tag = "accounts",
    operation_id = "create_activation_sheets",
    params(SchoolPath), request_body = CreateSheets,
    responses((status = CREATED, body = ActivationSheets)),
)]
#[tracing::instrument(level = "debug", name = "identity.make_sheets", skip_all, fields(school.id = %member.school()))]
async fn create_activation_sheets(
    State(accounts): State<Accounts>,
    InSchool(member): InSchool,
    ValidJson(body): ValidJson<CreateSheets>,
) -> Result<Response, Problem> {
    let made: ActivationSheets = make(&accounts, &member, body).await?.into();
    Ok(unkept((StatusCode::CREATED, Reply(made)).into_response()))
}

/// The same as a CSV file for a spreadsheet: semicolons, UTF-8 with a mark.
#[utoipa::path(
    post, path = "/api/v1/schools/{school_id}/activation-sheets/csv", tag = "accounts",
    operation_id = "export_activation_sheets",
    params(SchoolPath), request_body = CreateSheets,
    responses((status = CREATED, body = String, content_type = "text/csv")),
)]
#[tracing::instrument(level = "debug", name = "identity.export_sheets", skip_all, fields(school.id = %member.school()))]
async fn export_activation_sheets(
    State(accounts): State<Accounts>,
    InSchool(member): InSchool,
    ValidJson(body): ValidJson<CreateSheets>,
) -> Result<Response, Problem> {
    let text = csv(&make(&accounts, &member, body).await?);
    Ok(unkept((StatusCode::CREATED, spreadsheet::file("fiches.csv", text)).into_response()))
}

async fn make(accounts: &Accounts, member: &Member, body: CreateSheets) -> Result<Sheets, Error> {
    let audience = audience(body.audience, body.class_id, body.person_ids)?;
    accounts.make_sheets(member, &audience).await
}

/// `{school_id}` and `{class_id}` of the path.
#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Path)]
struct ClassPath {
    #[serde(rename = "school_id")]
    #[param(rename = "school_id")]
    _school: SchoolId,
    class_id: ClassId,
}

/// A young pupil's card. It is shown once.
#[derive(Serialize, utoipa::ToSchema)]
struct PupilCard {
    person_id: PersonId,
    last_name: String,
    first_name: String,
    login: String,
    /// Three French words and hyphens: 30 bits.
    passphrase: String,
}

/// Give every pupil of a class of a primary school a new passphrase, for cards. Their devices are signed out.
#[utoipa::path(
    post, path = "/api/v1/schools/{school_id}/classes/{class_id}/cards", tag = "accounts", operation_id = "create_cards",
    params(ClassPath),
    responses((status = CREATED, body = Page<PupilCard>)),
)]
#[tracing::instrument(level = "debug", name = "identity.make_cards", skip_all, fields(school.id = %member.school()))]
async fn create_cards(
    State(accounts): State<Accounts>,
    InSchool(member): InSchool,
    ValidPath(at): ValidPath<ClassPath>,
) -> Result<Response, Problem> {
    let cards = accounts.make_cards(&member, at.class_id).await?;
    let items = cards
        .into_iter()
        .map(|card| PupilCard {
            person_id: card.person,
            last_name: card.last_name,
            first_name: card.first_name,
            login: card.login,
            passphrase: card.passphrase,
        })
        .collect();
    Ok(unkept((StatusCode::CREATED, Reply(Page { items, next_cursor: None })).into_response()))
}

/// What the school lets the teachers of a class do.
#[utoipa::path(
    get, path = "/api/v1/schools/{school_id}/class-rights", tag = "accounts", operation_id = "get_class_rights",
    params(SchoolPath),
    responses((status = OK, body = AccountRule)),
)]
async fn get_class_rights(
    State(accounts): State<Accounts>,
    InSchool(member): InSchool,
) -> Result<Reply<AccountRule>, Problem> {
    Ok(Reply(accounts.account_rule(&member).await?))
}

/// Say what the school lets the teachers of a class do.
#[utoipa::path(
    put, path = "/api/v1/schools/{school_id}/class-rights", tag = "accounts", operation_id = "update_class_rights",
    params(SchoolPath), request_body = AccountRule,
    responses((status = NO_CONTENT)),
)]
async fn update_class_rights(
    State(accounts): State<Accounts>,
    InSchool(member): InSchool,
    ValidJson(body): ValidJson<AccountRule>,
) -> Result<StatusCode, Problem> {
    accounts.set_account_rule(&member, body).await?;
    Ok(StatusCode::NO_CONTENT)
}
