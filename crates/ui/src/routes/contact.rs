//! One's own e-mail address and mobile number: another one counts once its code has come back.

use axum::{
    Form,
    http::{Method, StatusCode},
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use serde_json::json;

use super::{
    Sent,
    access::incomplete,
    account::facts,
    api::{Call, Refused},
    browser::Browser,
    see_other,
    words::{Mended, mend, required},
};
use crate::{
    pages::{self, Facts, Field, FormError, FormPage, Kind},
    words::Words,
};

/// Which of the two.
#[derive(Clone, Copy)]
enum What {
    Email,
    Mobile,
}

impl What {
    fn page(self) -> &'static str {
        match self {
            Self::Email => "/compte/courriel",
            Self::Mobile => "/compte/mobile",
        }
    }

    fn code_page(self) -> &'static str {
        match self {
            Self::Email => "/compte/courriel/code",
            Self::Mobile => "/compte/mobile/code",
        }
    }

    fn api(self) -> &'static str {
        match self {
            Self::Email => "/api/v1/account/email",
            Self::Mobile => "/api/v1/account/mobile",
        }
    }

    fn form(self, w: &'static Words, value: &str) -> FormPage<'static> {
        let (title, lead, field) = match self {
            Self::Email => (
                w.page_email_change,
                w.page_email_change_lead,
                Field::new("value", w.page_email, Kind::Email),
            ),
            Self::Mobile => (
                w.page_mobile_change,
                w.page_mobile_change_lead,
                Field::new("value", w.page_mobile, Kind::Tel),
            ),
        };
        FormPage {
            title,
            lead,
            action: self.page(),
            fields: vec![field.value(value)],
            submit: w.page_send_code,
            links: vec![("/compte", w.page_back_account)],
            ..FormPage::default()
        }
    }

    fn code_form(self, w: &'static Words, sent_to: &str) -> FormPage<'static> {
        FormPage {
            title: w.page_confirm_code,
            lead: match self {
                Self::Email => w.page_code_mailed,
                Self::Mobile => w.page_code_texted,
            },
            action: self.code_page(),
            fields: vec![Field::new("code", w.page_second_code, Kind::Code).hint(sent_to)],
            submit: w.page_confirm,
            links: vec![(self.page(), w.page_start_over), ("/compte", w.page_back_account)],
            ..FormPage::default()
        }
    }
}

fn waiting(what: What, facts: &Facts) -> Option<&str> {
    match what {
        What::Email => facts.email_waiting.as_deref(),
        What::Mobile => facts.mobile_waiting.as_deref(),
    }
}

fn present(what: What, facts: &Facts) -> &str {
    match what {
        What::Email => facts.email.as_deref(),
        What::Mobile => facts.mobile.as_deref(),
    }
    .unwrap_or_default()
}

async fn show(browser: Browser, what: What) -> Response {
    let site = browser.site();
    browser
        .at_gate(async |visitor| {
            let facts = facts(&browser, visitor).await?.unwrap_or_default();
            Ok(pages::form(&site, what.form(site.lang.words(), present(what, &facts))).into_response())
        })
        .await
}

async fn show_code(browser: Browser, what: What) -> Response {
    let site = browser.site();
    browser
        .at_gate(async |visitor| {
            let facts = facts(&browser, visitor).await?.unwrap_or_default();
            let Some(sent_to) = waiting(what, &facts) else { return Ok(see_other(what.page())) };
            Ok(pages::form(&site, what.code_form(site.lang.words(), sent_to)).into_response())
        })
        .await
}

async fn submit(browser: Browser, what: What, form: Sent<ValueForm>) -> Response {
    let Ok(Form(form)) = form else { return browser.explain(incomplete()) };
    let site = browser.site();
    let w = site.lang.words();
    let again = |status, error, wait| {
        let page = FormPage { error: Some(error), ..what.form(w, &form.value) };
        Mended::answer(status, wait, pages::form(&site, page))
    };
    browser
        .at_gate(async |visitor| {
            let (missing, name) = match what {
                What::Email => (w.page_email_missing, "email"),
                What::Mobile => (w.page_mobile_missing, "mobile"),
            };
            if let Some(error) = required(site.lang, &[("value", &form.value, missing)]) {
                return Ok(again(StatusCode::UNPROCESSABLE_ENTITY, error, None));
            }
            let call = Call::new(Method::PUT, what.api()).json(json!({ name: form.value.trim() }));
            match browser.ask_as(&visitor.me, call).await {
                Ok(_) => Ok(see_other(what.code_page())),
                Err(refused) if refused.code == "against-the-rules" => {
                    let error = FormError::new(w.page_error_title, "").field("value", missing);
                    Ok(again(refused.status, error, None))
                }
                Err(refused) => {
                    let mended = mend(&site, refused)?;
                    Ok(again(mended.status, mended.error, mended.wait))
                }
            }
        })
        .await
}

async fn submit_code(browser: Browser, what: What, form: Sent<OneCode>) -> Response {
    let Ok(Form(form)) = form else { return browser.explain(incomplete()) };
    let site = browser.site();
    let w = site.lang.words();
    browser
        .at_gate(async |visitor| {
            let call =
                Call::post(format!("{}/confirmation", what.api())).json(json!({ "code": form.code.trim() }));
            match browser.ask_as(&visitor.me, call).await {
                Ok(_) => Ok(see_other(match what {
                    What::Email => "/compte?fait=courriel",
                    What::Mobile => "/compte?fait=mobile",
                })),
                Err(refused) => {
                    let mended = mend(&site, refused)?;
                    let facts = facts(&browser, visitor).await?.unwrap_or_default();
                    let sent_to = waiting(what, &facts).unwrap_or_default();
                    let page = FormPage { error: Some(mended.error), ..what.code_form(w, sent_to) };
                    Ok::<_, Refused>(Mended::answer(mended.status, mended.wait, pages::form(&site, page)))
                }
            }
        })
        .await
}

#[derive(Deserialize)]
pub(super) struct ValueForm {
    #[serde(default)]
    value: String,
}

#[derive(Deserialize)]
pub(super) struct OneCode {
    #[serde(default)]
    code: String,
}

/// The form for another e-mail address.
#[utoipa::path(get, path = "/compte/courriel", operation_id = "show_email", responses((status = OK)))]
pub(super) async fn show_email(browser: Browser) -> Response {
    show(browser, What::Email).await
}

/// Use another e-mail address.
#[utoipa::path(post, path = "/compte/courriel", operation_id = "submit_email", responses((status = SEE_OTHER)))]
#[tracing::instrument(level = "debug", name = "ui.email", skip_all)]
pub(super) async fn submit_email(browser: Browser, form: Sent<ValueForm>) -> Response {
    submit(browser, What::Email, form).await
}

/// The form for the code that was mailed.
#[utoipa::path(get, path = "/compte/courriel/code", operation_id = "show_email_code", responses((status = OK)))]
pub(super) async fn show_email_code(browser: Browser) -> Response {
    show_code(browser, What::Email).await
}

/// Confirm an e-mail address by its code.
#[utoipa::path(post, path = "/compte/courriel/code", operation_id = "submit_email_code", responses((status = SEE_OTHER)))]
#[tracing::instrument(level = "debug", name = "ui.email_code", skip_all)]
pub(super) async fn submit_email_code(browser: Browser, form: Sent<OneCode>) -> Response {
    submit_code(browser, What::Email, form).await
}

/// The form for another mobile number.
#[utoipa::path(get, path = "/compte/mobile", operation_id = "show_mobile", responses((status = OK)))]
pub(super) async fn show_mobile(browser: Browser) -> Response {
    show(browser, What::Mobile).await
}

/// Use another mobile number.
#[utoipa::path(post, path = "/compte/mobile", operation_id = "submit_mobile", responses((status = SEE_OTHER)))]
#[tracing::instrument(level = "debug", name = "ui.mobile", skip_all)]
pub(super) async fn submit_mobile(browser: Browser, form: Sent<ValueForm>) -> Response {
    submit(browser, What::Mobile, form).await
}

/// The form for the code that was sent to the telephone.
#[utoipa::path(get, path = "/compte/mobile/code", operation_id = "show_mobile_code", responses((status = OK)))]
pub(super) async fn show_mobile_code(browser: Browser) -> Response {
    show_code(browser, What::Mobile).await
}

/// Confirm a mobile number by its code.
#[utoipa::path(post, path = "/compte/mobile/code", operation_id = "submit_mobile_code", responses((status = SEE_OTHER)))]
#[tracing::instrument(level = "debug", name = "ui.mobile_code", skip_all)]
pub(super) async fn submit_mobile_code(browser: Browser, form: Sent<OneCode>) -> Response {
    submit_code(browser, What::Mobile, form).await
}
