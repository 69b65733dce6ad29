//! What a refusal of the API says to the person at the form. What no form can mend has a page of its own.

use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde_json::Value;

use super::api::{Refused, RefusedField};
use crate::{
    pages::{FormError, Page, Site},
    words::{Lang, Words, fill},
};

/// A refusal that the person can do something about.
pub(super) struct Mended {
    pub(super) status: StatusCode,
    pub(super) error: FormError,
    pub(super) wait: Option<u64>,
}

impl Mended {
    /// The form again, with its status and its `Retry-After`.
    pub(super) fn answer(status: StatusCode, wait: Option<u64>, page: Page) -> Response {
        let page = page.status(status);
        wait.into_iter().fold(page, Page::retry_after).into_response()
    }
}

/// The error that a form shows for a refusal; the refusal itself, when no form can mend it.
pub(super) fn mend(site: &Site<'_>, refused: Refused) -> Result<Mended, Refused> {
    let (lang, w) = (site.lang, site.lang.words());
    let now = |text: &str| {
        Ok(Mended { status: refused.status, error: FormError::new(w.page_error_title, text), wait: None })
    };
    let seconds = refused.retry_after_s.unwrap_or(1).max(1);
    let later = |title, text| {
        let said = fill(text, &[("wait", &lang.wait(seconds))]);
        Ok(Mended { status: refused.status, error: FormError::new(title, said), wait: Some(seconds) })
    };
    match refused.code.as_str() {
        "bad-credentials" => now(w.page_bad_credentials),
        "bad-activation" => now(w.page_bad_activation),
        "account-blocked" => now(w.page_blocked),
        "account-merged" => {
            let login = refused.extra.get("login").and_then(Value::as_str).unwrap_or_default();
            now(&fill(w.page_account_merged, &[("login", login)]))
        }
        "bad-second-factor" | "factor-not-confirmed" => now(w.page_bad_code),
        "bad-code" => now(w.page_bad_sent_code),
        "post-unavailable" => now(w.page_post_unavailable),
        "right-withheld" => now(w.page_right_withheld),
        "already-active" => now(w.page_already_active),
        "too-many-attempts" => later(w.page_too_many_title, w.page_too_many),
        "overloaded" => later(w.page_busy_title, w.page_busy),
        "terms-not-accepted" => {
            let error = FormError::new(w.page_error_title, "").field("terms", w.page_terms_missing);
            Ok(Mended { status: refused.status, error, wait: None })
        }
        "password-refused" => {
            let first = FormError::new(w.page_error_title, w.page_password_refused);
            let error =
                refused.errors.iter().fold(first, |error, why| error.field("password", password(w, why)));
            Ok(Mended { status: refused.status, error, wait: None })
        }
        _ => Err(refused),
    }
}

fn password(w: &Words, why: &RefusedField) -> String {
    match why.code.as_str() {
        "too-short" => fill(w.page_password_too_short, &[("n", &figures(&why.detail))]),
        "too-long" => w.page_password_too_long.to_owned(),
        _ => w.page_password_common.to_owned(),
    }
}

/// The number that a sentence holds: the API's detail names the least length.
fn figures(detail: &str) -> String {
    detail.chars().skip_while(|c| !c.is_ascii_digit()).take_while(char::is_ascii_digit).collect()
}

/// The fields left empty, if any.
pub(super) fn required(lang: Lang, fields: &[(&'static str, &str, &'static str)]) -> Option<FormError> {
    let empty: Vec<_> = fields.iter().filter(|(_, value, _)| value.trim().is_empty()).collect();
    (!empty.is_empty()).then(|| {
        let first = FormError::new(lang.words().page_error_title, "");
        empty.into_iter().fold(first, |error, (id, _, text)| error.field(id, *text))
    })
}
