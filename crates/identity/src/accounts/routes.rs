//! Translation between HTTP and [`Accounts`].

use axum::{
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use chrono::{DateTime, Utc};
use preau_http::{InSchool, Me, Policy, Problem, Reply, Routes, ValidJson, ValidPath, ValidQuery};
use preau_kernel::{ClassId, Member, Page, PersonId, Priority, Role, SchoolId};
use serde::{Deserialize, Serialize};
use utoipa_axum::routes;

use super::{
    AccountRule, Accounts, Audience, Block, Channel, ContactKind, DeviceProfile, Error, ProfileBlock, Proof,
    Sheet, Sheets, Standing, TermsVersion, devices, passphrase, sheets,
};
use crate::{ActivationCode, routes::created};

const PAPER: [Role; 2] = [Role::Teacher, Role::SchoolAdmin];

/// The routes of accounts.
pub fn routes(accounts: Accounts) -> Routes {
    let essential = |policy: Policy| policy.priority(Priority::Essential);
    Routes::new()
        .add(Policy::signed_in(), routes!(get_account))
        .add(Policy::signed_in().sudo(), routes!(update_email))
        .add(Policy::signed_in().sudo(), routes!(delete_email))
        .add(Policy::signed_in(), routes!(confirm_email))
        .add(Policy::signed_in().sudo(), routes!(update_mobile))
        .add(Policy::signed_in().sudo(), routes!(delete_mobile))
        .add(Policy::signed_in(), routes!(confirm_mobile))
        .add(Policy::anyone(), routes!(create_email_confirmation))
        .add(Policy::anyone(), routes!(create_login_reminder))
        .add(Policy::anyone(), routes!(create_password_reset))
        .add(essential(Policy::anyone()), routes!(complete_password_reset))
        .add(Policy::anyone(), routes!(get_passphrase))
        .add(Policy::anyone(), routes!(get_terms))
        .add(Policy::in_school(&PAPER), routes!(create_reset_code))
        .add(Policy::in_school(&PAPER), routes!(list_activation_sheets))
        .add(Policy::in_school(&PAPER), routes!(create_activation_sheets))
        .add(Policy::in_school(&PAPER), routes!(export_activation_sheets))
        .add(Policy::in_school(&PAPER), routes!(create_cards))
        .add(Policy::in_school(&PAPER), routes!(get_class_rights))
        .add(Policy::in_school(&[Role::SchoolAdmin]), routes!(update_class_rights))
        .add(Policy::in_school(&PAPER), routes!(update_account_block))
        .add(Policy::in_school(&PAPER), routes!(delete_account_block))
        .add(Policy::in_school(&[Role::SchoolAdmin]), routes!(list_profile_blocks))
        .add(Policy::in_school(&[Role::SchoolAdmin]).sudo(), routes!(update_profile_block))
        .add(Policy::in_school(&[Role::SchoolAdmin]), routes!(delete_profile_block))
        .add(Policy::anyone(), routes!(list_device_profiles))
        .add(Policy::signed_in(), routes!(create_device_profile))
        .add(essential(Policy::anyone()), routes!(create_profile_session))
        .add(Policy::anyone(), routes!(delete_device_profile))
        .with_state(accounts)
}

/// My account: what the school and I have put in it, and what holds me at the door.
#[utoipa::path(
    get, path = "/api/v1/account", tag = "accounts", operation_id = "get_account",
    responses((status = OK, body = Standing)),
)]
async fn get_account(State(accounts): State<Accounts>, Me(me): Me) -> Result<Reply<Standing>, Problem> {
    Ok(Reply(accounts.standing(me.person()).await?))
}

/// An e-mail address to use from now on.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct UpdateEmail {
    #[schema(max_length = 254)]
    email: String,
}

/// A mobile number to use from now on.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct UpdateMobile {
    /// `+` and digits, or the ten digits of a French mobile.
    #[schema(max_length = 40)]
    mobile: String,
}

/// A code was sent.
#[derive(Serialize, utoipa::ToSchema)]
struct ContactChange {
    /// Until when it is good.
    expires_at: DateTime<Utc>,
}

/// Use another e-mail address. A code and a link are sent there; the present one stays until it is confirmed.
#[utoipa::path(
    put, path = "/api/v1/account/email", tag = "accounts", operation_id = "update_email",
    request_body = UpdateEmail,
    responses((status = ACCEPTED, body = ContactChange)),
)]
#[tracing::instrument(level = "debug", name = "identity.update_email", skip_all)]
async fn update_email(
    State(accounts): State<Accounts>,
    Me(me): Me,
    ValidJson(body): ValidJson<UpdateEmail>,
) -> Result<(StatusCode, Reply<ContactChange>), Problem> {
    let expires_at = accounts.change_contact(me.person(), ContactKind::Email, &body.email).await?;
    Ok((StatusCode::ACCEPTED, Reply(ContactChange { expires_at })))
}

/// Use another mobile number. A code is sent there.
#[utoipa::path(
    put, path = "/api/v1/account/mobile", tag = "accounts", operation_id = "update_mobile",
    request_body = UpdateMobile,
    responses((status = ACCEPTED, body = ContactChange)),
)]
#[tracing::instrument(level = "debug", name = "identity.update_mobile", skip_all)]
async fn update_mobile(
    State(accounts): State<Accounts>,
    Me(me): Me,
    ValidJson(body): ValidJson<UpdateMobile>,
) -> Result<(StatusCode, Reply<ContactChange>), Problem> {
    let expires_at = accounts.change_contact(me.person(), ContactKind::Mobile, &body.mobile).await?;
    Ok((StatusCode::ACCEPTED, Reply(ContactChange { expires_at })))
}

/// The code that was sent.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct ConfirmContact {
    #[schema(max_length = 32)]
    code: String,
}

/// Confirm my e-mail address with the code that was sent there.
#[utoipa::path(
    post, path = "/api/v1/account/email/confirmation", tag = "accounts", operation_id = "confirm_email",
    request_body = ConfirmContact,
    responses((status = NO_CONTENT)),
)]
async fn confirm_email(
    State(accounts): State<Accounts>,
    Me(me): Me,
    ValidJson(body): ValidJson<ConfirmContact>,
) -> Result<StatusCode, Problem> {
    accounts.confirm_contact(me.person(), ContactKind::Email, &body.code).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Confirm my mobile number with the code that was sent there.
#[utoipa::path(
    post, path = "/api/v1/account/mobile/confirmation", tag = "accounts", operation_id = "confirm_mobile",
    request_body = ConfirmContact,
    responses((status = NO_CONTENT)),
)]
async fn confirm_mobile(
    State(accounts): State<Accounts>,
    Me(me): Me,
    ValidJson(body): ValidJson<ConfirmContact>,
) -> Result<StatusCode, Problem> {
    accounts.confirm_contact(me.person(), ContactKind::Mobile, &body.code).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Give up my e-mail address. No feed brings it back.
#[utoipa::path(
    delete, path = "/api/v1/account/email", tag = "accounts", operation_id = "delete_email",
    responses((status = NO_CONTENT)),
)]
async fn delete_email(State(accounts): State<Accounts>, Me(me): Me) -> Result<StatusCode, Problem> {
    accounts.remove_contact(me.person(), ContactKind::Email).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Give up my mobile number. No feed brings it back.
#[utoipa::path(
    delete, path = "/api/v1/account/mobile", tag = "accounts", operation_id = "delete_mobile",
    responses((status = NO_CONTENT)),
)]
async fn delete_mobile(State(accounts): State<Accounts>, Me(me): Me) -> Result<StatusCode, Problem> {
    accounts.remove_contact(me.person(), ContactKind::Mobile).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The token of a link.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct ConfirmByLink {
    /// The last part of the address in the mail.
    #[schema(max_length = 100)]
    token: String,
}

/// Confirm an e-mail address with the link that was sent there, from any device.
#[utoipa::path(
    post, path = "/api/v1/email-confirmations", tag = "accounts", operation_id = "create_email_confirmation",
    request_body = ConfirmByLink,
    responses((status = NO_CONTENT)),
)]
async fn create_email_confirmation(
    State(accounts): State<Accounts>,
    ValidJson(body): ValidJson<ConfirmByLink>,
) -> Result<StatusCode, Problem> {
    accounts.confirm_by_link(&body.token).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Somebody who forgot a login name.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct RemindLogin {
    #[schema(max_length = 254)]
    email: String,
}

/// Ask for the login names of the people behind an e-mail address, mailed there. The answer never says whether there are any.
#[utoipa::path(
    post, path = "/api/v1/login-reminders", tag = "accounts", operation_id = "create_login_reminder",
    request_body = RemindLogin,
    responses((status = ACCEPTED)),
)]
#[tracing::instrument(level = "debug", name = "identity.remind_login", skip_all)]
async fn create_login_reminder(
    State(accounts): State<Accounts>,
    ValidJson(body): ValidJson<RemindLogin>,
) -> Result<StatusCode, Problem> {
    accounts.ask_for_logins(&body.email).await?;
    Ok(StatusCode::ACCEPTED)
}

/// Somebody who forgot a password.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct ForgetPassword {
    /// Login name, or e-mail address.
    #[schema(max_length = 254)]
    identifier: String,
    /// How the way back in is sent.
    channel: Channel,
}

/// Ask for a way back in: a link by e-mail, or a code by text message. The answer never says whether anybody is there.
#[utoipa::path(
    post, path = "/api/v1/password-resets", tag = "accounts", operation_id = "create_password_reset",
    request_body = ForgetPassword,
    responses((status = ACCEPTED)),
)]
#[tracing::instrument(level = "debug", name = "identity.forget_password", skip_all)]
async fn create_password_reset(
    State(accounts): State<Accounts>,
    ValidJson(body): ValidJson<ForgetPassword>,
) -> Result<StatusCode, Problem> {
    accounts.ask_for_password(&body.identifier, body.channel).await?;
    Ok(StatusCode::ACCEPTED)
}

/// A new password, with what shows that one may choose it: a link's token, or a code with its login name.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct CompleteReset {
    #[serde(default)]
    #[schema(max_length = 100)]
    token: Option<String>,
    #[serde(default)]
    #[schema(max_length = 80)]
    login: Option<String>,
    #[serde(default)]
    #[schema(max_length = 64)]
    code: Option<String>,
    #[schema(max_length = 128)]
    password: String,
}

/// Choose a new password. Every device is signed out; one signs in afterwards, with the second factor if there is one.
#[utoipa::path(
    post, path = "/api/v1/password-resets/completion", tag = "accounts", operation_id = "complete_password_reset",
    request_body = CompleteReset,
    responses(
        (status = NO_CONTENT),
        (status = UNAUTHORIZED, description = "`bad-reset`", body = preau_http::ProblemBody, content_type = "application/problem+json"),
    ),
)]
#[tracing::instrument(level = "debug", name = "identity.reset_password", skip_all)]
async fn complete_password_reset(
    State(accounts): State<Accounts>,
    ValidJson(body): ValidJson<CompleteReset>,
) -> Result<StatusCode, Problem> {
    let proof = match (body.token, body.login, body.code) {
        (Some(token), None, None) => Proof::Link(token),
        (None, Some(login), Some(code)) => Proof::Code { login, code },
        _ => return Err(Error::BadReset.into()),
    };
    accounts.reset_password(proof, &body.password).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A passphrase.
#[derive(Serialize, utoipa::ToSchema)]
struct Passphrase {
    /// Four French words and hyphens: 41 bits.
    passphrase: String,
}

/// A passphrase that was drawn just now, for whoever does not want to think of one.
#[utoipa::path(
    get, path = "/api/v1/passphrase", tag = "accounts", operation_id = "get_passphrase",
    responses((status = OK, body = Passphrase)),
)]
async fn get_passphrase() -> Result<Response, Problem> {
    let passphrase = passphrase().ok_or(crate::Error::NoKey)?;
    let mut response = Reply(Passphrase { passphrase }).into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// The terms in force.
#[utoipa::path(
    get, path = "/api/v1/terms", tag = "accounts", operation_id = "get_terms",
    responses((status = OK, body = TermsVersion)),
)]
async fn get_terms(State(accounts): State<Accounts>) -> Result<Reply<TermsVersion>, Problem> {
    Ok(Reply(accounts.terms().in_force().await?))
}

/// `{school_id}` and `{person_id}` of the path.
#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Path)]
struct PersonPath {
    #[serde(rename = "school_id")]
    #[param(rename = "school_id")]
    _school: SchoolId,
    person_id: PersonId,
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

/// `{school_id}` of the path.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Path)]
struct SchoolPath {
    #[expect(dead_code, reason = "read by the policy, named here for the document")]
    school_id: SchoolId,
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
    let text = sheets::csv(&make(&accounts, &member, body).await?);
    let mut response = unkept((StatusCode::CREATED, text).into_response());
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/csv; charset=utf-8"));
    headers.insert(
        header::CONTENT_DISPOSITION,
        HeaderValue::from_static("attachment; filename=\"fiches.csv\""),
    );
    Ok(response)
}

async fn make(accounts: &Accounts, member: &Member, body: CreateSheets) -> Result<Sheets, Error> {
    let audience = audience(body.audience, body.class_id, body.person_ids)?;
    accounts.make_sheets(member, &audience).await
}

/// Secrets are in no cache.
fn unkept(mut response: Response) -> Response {
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
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

/// Block an account: a teacher, the pupils of a class taught; an administrator, anybody of the school but themselves.
#[utoipa::path(
    put, path = "/api/v1/schools/{school_id}/people/{person_id}/block", tag = "accounts",
    operation_id = "update_account_block",
    params(PersonPath), request_body = Block,
    responses((status = NO_CONTENT)),
)]
#[tracing::instrument(level = "debug", name = "identity.block", skip_all, fields(school.id = %member.school()))]
async fn update_account_block(
    State(accounts): State<Accounts>,
    InSchool(member): InSchool,
    ValidPath(at): ValidPath<PersonPath>,
    ValidJson(body): ValidJson<Block>,
) -> Result<StatusCode, Problem> {
    accounts.block(&member, at.person_id, &body).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Lift the block of an account.
#[utoipa::path(
    delete, path = "/api/v1/schools/{school_id}/people/{person_id}/block", tag = "accounts",
    operation_id = "delete_account_block",
    params(PersonPath),
    responses((status = NO_CONTENT)),
)]
#[tracing::instrument(level = "debug", name = "identity.unblock", skip_all, fields(school.id = %member.school()))]
async fn delete_account_block(
    State(accounts): State<Accounts>,
    InSchool(member): InSchool,
    ValidPath(at): ValidPath<PersonPath>,
) -> Result<StatusCode, Problem> {
    accounts.unblock(&member, at.person_id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The profiles that are shut out of the school.
#[utoipa::path(
    get, path = "/api/v1/schools/{school_id}/profile-blocks", tag = "accounts", operation_id = "list_profile_blocks",
    params(SchoolPath),
    responses((status = OK, body = Page<ProfileBlock>)),
)]
async fn list_profile_blocks(
    State(accounts): State<Accounts>,
    InSchool(member): InSchool,
) -> Result<Reply<Page<ProfileBlock>>, Problem> {
    Ok(Reply(Page { items: accounts.profile_blocks(&member).await?, next_cursor: None }))
}

/// `{school_id}` and `{role}` of the path.
#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Path)]
struct RolePath {
    #[serde(rename = "school_id")]
    #[param(rename = "school_id")]
    _school: SchoolId,
    #[param(inline)]
    role: Role,
}

/// Shut a whole profile out of the school.
#[utoipa::path(
    put, path = "/api/v1/schools/{school_id}/profile-blocks/{role}", tag = "accounts",
    operation_id = "update_profile_block",
    params(RolePath), request_body = Block,
    responses((status = NO_CONTENT)),
)]
#[tracing::instrument(level = "debug", name = "identity.block_profile", skip_all, fields(school.id = %member.school()))]
async fn update_profile_block(
    State(accounts): State<Accounts>,
    InSchool(member): InSchool,
    ValidPath(at): ValidPath<RolePath>,
    ValidJson(body): ValidJson<Block>,
) -> Result<StatusCode, Problem> {
    accounts.block_profile(&member, at.role, &body).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Let a profile in again.
#[utoipa::path(
    delete, path = "/api/v1/schools/{school_id}/profile-blocks/{role}", tag = "accounts",
    operation_id = "delete_profile_block",
    params(RolePath),
    responses((status = NO_CONTENT)),
)]
#[tracing::instrument(level = "debug", name = "identity.unblock_profile", skip_all, fields(school.id = %member.school()))]
async fn delete_profile_block(
    State(accounts): State<Accounts>,
    InSchool(member): InSchool,
    ValidPath(at): ValidPath<RolePath>,
) -> Result<StatusCode, Problem> {
    accounts.unblock_profile(&member, at.role).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The people on this device, last used first. The device is the one of the `__Host-preau-profiles` cookie.
#[utoipa::path(
    get, path = "/api/v1/device/profiles", tag = "accounts", operation_id = "list_device_profiles",
    responses((status = OK, body = Page<DeviceProfile>)),
)]
async fn list_device_profiles(
    State(accounts): State<Accounts>,
    headers: HeaderMap,
) -> Result<Reply<Page<DeviceProfile>>, Problem> {
    Ok(Reply(Page { items: accounts.device_profiles(&headers).await?, next_cursor: None }))
}

/// A PIN: 4 to 6 digits.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct ProfilePin {
    #[schema(max_length = 32)]
    pin: String,
}

/// Keep me on this device, under a PIN.
#[utoipa::path(
    post, path = "/api/v1/device/profiles", tag = "accounts", operation_id = "create_device_profile",
    request_body = ProfilePin,
    responses(
        (status = NO_CONTENT),
        (status = CONFLICT, description = "`shared-device`", body = preau_http::ProblemBody, content_type = "application/problem+json"),
    ),
)]
#[tracing::instrument(level = "debug", name = "identity.add_profile", skip_all)]
async fn create_device_profile(
    State(accounts): State<Accounts>,
    Me(me): Me,
    headers: HeaderMap,
    ValidJson(body): ValidJson<ProfilePin>,
) -> Result<Response, Problem> {
    let cookie = accounts.add_profile(&me, &headers, &body.pin).await?;
    let mut response = StatusCode::NO_CONTENT.into_response();
    if let Some(cookie) = cookie {
        devices::give(response.headers_mut(), &cookie);
    }
    Ok(response)
}

/// `{person_id}` of the path.
#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Path)]
struct ProfilePath {
    person_id: PersonId,
}

/// The PIN of somebody on this device.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct SwitchProfile {
    #[schema(max_length = 32)]
    pin: String,
    /// Whether the tokens are wanted in the body.
    #[serde(default)]
    tokens: bool,
}

/// Switch to somebody on this device. Five wrong PINs take them off it.
#[utoipa::path(
    post, path = "/api/v1/device/profiles/{person_id}/session", tag = "accounts",
    operation_id = "create_profile_session",
    params(ProfilePath), request_body = SwitchProfile,
    responses(
        (status = CREATED, body = crate::routes::SessionCreated),
        (status = UNAUTHORIZED, description = "`bad-pin` with `tries_left`, or `profile-gone`", body = preau_http::ProblemBody, content_type = "application/problem+json"),
    ),
)]
#[tracing::instrument(level = "debug", name = "identity.switch_profile", skip_all)]
async fn create_profile_session(
    State(accounts): State<Accounts>,
    headers: HeaderMap,
    ValidPath(at): ValidPath<ProfilePath>,
    ValidJson(body): ValidJson<SwitchProfile>,
) -> Result<Response, Problem> {
    Ok(created(accounts.switch_profile(&headers, at.person_id, &body.pin).await?, body.tokens))
}

/// Take somebody off this device, and close their session here.
#[utoipa::path(
    delete, path = "/api/v1/device/profiles/{person_id}", tag = "accounts", operation_id = "delete_device_profile",
    params(ProfilePath),
    responses((status = NO_CONTENT)),
)]
#[tracing::instrument(level = "debug", name = "identity.remove_profile", skip_all)]
async fn delete_device_profile(
    State(accounts): State<Accounts>,
    headers: HeaderMap,
    ValidPath(at): ValidPath<ProfilePath>,
) -> Result<StatusCode, Problem> {
    accounts.remove_profile(&headers, at.person_id).await?;
    Ok(StatusCode::NO_CONTENT)
}
