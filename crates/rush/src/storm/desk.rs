//! The stand-in desk (guichet): takes departures and signs answers, as ÉduConnect would, in the generator's own process.
//!
//! Only the signature is ours to pay here: what real people do at a real desk loads the desk, not a Préau.

use std::{path::Path, process::Command};

use anyhow::{Context as _, anyhow, bail};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use chrono::{TimeDelta, Utc};
use http::header;
use preau_saml::{
    SigningKey,
    stand_in::{Says, request_id},
};
use serde::Deserialize;

use crate::client::{Answer, Ask};

/// Its name in addresses, one for each territory.
fn slug(territory: usize) -> String {
    format!("tempete-{territory}")
}

const ENTITY: &str = "https://guichet.invalid/tempete";
/// Where a browser holds its place.
const TICKET: &str = "__Host-preau-ticket";
/// Where it keeps what a desk has said, while there is no room.
const KEPT: &str = "__Host-preau-retenu";

/// See the module.
pub struct Desk {
    key: SigningKey,
    /// What browsers call the Préau.
    public_url: String,
}

/// What a return from the desk gave.
pub struct Session {
    /// As a browser sends it back.
    pub cookie: String,
    pub family_id: Option<String>,
}

impl Desk {
    /// A desk with a key of its own, made by the `openssl` command in `folder`.
    ///
    /// # Errors
    /// There is no such command, or it fails.
    pub fn new(folder: &Path, public_url: &str) -> anyhow::Result<Self> {
        let (key, certificate) = (folder.join("desk.key"), folder.join("desk.crt"));
        let made = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-sha256", "-days", "30"])
            .args(["-subj", "/CN=guichet.invalid", "-keyout"])
            .arg(&key)
            .arg("-out")
            .arg(&certificate)
            .output()
            .context("cannot start openssl")?;
        if !made.status.success() {
            bail!("openssl: {}", String::from_utf8_lossy(&made.stderr).trim());
        }
        let key = SigningKey::parse(&std::fs::read_to_string(key)?, &std::fs::read_to_string(certificate)?)
            .map_err(|fault| anyhow!("the desk's key: {fault}"))?;
        Ok(Self { key, public_url: public_url.to_owned() })
    }

    /// SQL that makes each territory trust it.
    #[must_use]
    pub fn trust(&self, territories: &[String]) -> String {
        let certificate = self.key.certificate().base64();
        territories
            .iter()
            .enumerate()
            .map(|(at, territory)| {
                let slug = slug(at);
                format!(
                    "INSERT INTO federation_provider (territory_id, provider_id, slug, kind, name, entity_id, sign_in_url, \
                     certificates, academies, enabled, metadata_at, created_at, updated_at) VALUES ('{territory}', \
                     gen_random_uuid(), '{slug}', 'educonnect', 'Guichet de la tempête', '{ENTITY}', '{ENTITY}', \
                     ARRAY['{certificate}'], '{{}}', true, now(), now(), now());\n"
                )
            })
            .collect()
    }

    /// The way to the desk, with the ticket where a browser holds it.
    #[must_use]
    pub fn depart(&self, territory: usize, ticket: Option<&str>, claim: Option<&str>) -> Ask {
        asks(
            territory,
            "depart",
            [ticket.map(|ticket| format!("{TICKET}={ticket}")), claim.map(str::to_owned)],
        )
    }

    /// On with what the desk has said, which the browser `kept`: nobody is sent there twice.
    #[must_use]
    pub fn resume(&self, territory: usize, ticket: Option<&str>, kept: &str, claim: Option<&str>) -> Ask {
        let ticket = ticket.map(|ticket| format!("{TICKET}={ticket}"));
        asks(territory, "suite", [ticket, Some(format!("{KEPT}={kept}")), claim.map(str::to_owned)])
    }

    /// Whether an answer to [`Desk::depart`] leads to the desk.
    #[must_use]
    pub fn is_departure(&self, answer: &Answer) -> bool {
        answer.status == 303 && location(answer).is_some_and(|to| to.starts_with(ENTITY))
    }

    /// The signed way back for the person of that key; `None` when the departure was none.
    #[expect(
        clippy::disallowed_methods,
        reason = "a desk on the other side of the network has a clock of its own"
    )]
    #[must_use]
    pub fn answer(&self, territory: usize, departure: &Answer, join_key: &str) -> Option<Ask> {
        let asked = request_id(location(departure)?)?;
        let slug = slug(territory);
        let base = &self.public_url;
        let id = format!("_{join_key}-{asked}");
        let value = format!("{{AAF}}25|0910000Z|{join_key}");
        let says = Says {
            issuer: ENTITY,
            audience: &format!("{base}/federation/{slug}/metadata"),
            recipient: &format!("{base}/federation/{slug}/retour"),
            request_id: &asked,
            id: &id,
            now: Utc::now(),
            good_for: TimeDelta::minutes(5),
            name_id: join_key,
            session_index: join_key,
            attributes: &[("FrEduCtRefId", &[&value])],
        };
        let document = STANDARD.encode(says.response(&self.key).ok()?);
        let form = format!("SAMLResponse={}", escaped(&document));
        let ask = Ask::post("/federation/retour", Bytes::from(form));
        Some(
            Ask { path: format!("/federation/{slug}/retour").into(), ..ask }
                .with(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
                .with(header::ORIGIN, "https://guichet.invalid")
                .with(header::COOKIE, &jar(departure)),
        )
    }

    /// The session that an answer to the way back opens.
    #[must_use]
    pub fn session(&self, answer: &Answer) -> Option<Session> {
        let cookie = jar(answer);
        let token = cookie.split("; ").find_map(|one| one.strip_prefix("__Host-preau="))?;
        Some(Session { family_id: crate::flow::session_of(token), cookie })
    }
}

fn asks<const N: usize>(territory: usize, page: &str, cookies: [Option<String>; N]) -> Ask {
    let cookies: Vec<String> = cookies.into_iter().flatten().collect();
    let ask = Ask::plain(format!("/federation/{}/{page}", slug(territory)));
    if cookies.is_empty() { ask } else { ask.with(header::COOKIE, &cookies.join("; ")) }
}

fn location(answer: &Answer) -> Option<&str> {
    answer.headers.get(header::LOCATION)?.to_str().ok()
}

/// The cookies that an answer sets, as a browser sends them back.
pub(super) fn jar(answer: &Answer) -> String {
    let set: Vec<&str> = answer
        .headers
        .get_all(header::SET_COOKIE)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .filter(|line| !line.contains("Max-Age=0"))
        .filter_map(|line| line.split(';').next())
        .collect();
    set.join("; ")
}

fn escaped(base64: &str) -> String {
    base64.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D")
}

/// The place that a page of the queue holds in its cookie.
#[must_use]
pub(super) fn held(answer: &Answer) -> Option<String> {
    let cookies = jar(answer);
    let value = cookies.split("; ").find_map(|one| one.strip_prefix(TICKET)?.strip_prefix('='))?;
    let ticket = value.split('.').next()?;
    (!ticket.is_empty()).then(|| ticket.to_owned())
}

/// What the desk has said, as a page of the queue keeps it in its cookie.
#[must_use]
pub(super) fn kept(answer: &Answer) -> Option<String> {
    let cookies = jar(answer);
    let value = cookies.split("; ").find_map(|one| one.strip_prefix(KEPT)?.strip_prefix('='))?;
    (!value.is_empty()).then(|| value.to_owned())
}

/// What a problem document says.
#[derive(Deserialize)]
pub(super) struct Problem {
    pub(super) code: String,
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use http::HeaderMap;

    use super::*;

    fn answer(status: u16, headers: &[(header::HeaderName, &str)]) -> Answer {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(name, value.parse().unwrap());
        }
        let now = Instant::now();
        Answer {
            status,
            body: Bytes::new(),
            headers: map,
            etag: None,
            retry_after: None,
            sent: now,
            done: now,
        }
    }

    #[test]
    fn the_way_there_and_back() {
        let folder = tempfile::tempdir().unwrap();
        let desk = Desk::new(folder.path(), "http://localhost:1").unwrap();
        assert!(desk.trust(&["t".to_owned()]).contains("'tempete-0'"));
        let ask = desk.depart(2, Some("TICKET"), Some("__Host-preau-place=x"));
        assert_eq!(ask.path, "/federation/tempete-2/depart");
        assert_eq!(ask.headers[0].1, "__Host-preau-ticket=TICKET; __Host-preau-place=x");
        let waits = answer(202, &[(header::SET_COOKIE, "__Host-preau-ticket=ABC.e30; Path=/; Max-Age=9")]);
        assert!(!desk.is_departure(&waits));
        assert_eq!((held(&waits).as_deref(), kept(&waits)), (Some("ABC"), None));
        let known = answer(
            202,
            &[
                (header::SET_COOKIE, "__Host-preau-ticket=ABC; Path=/"),
                (header::SET_COOKIE, "__Host-preau-retenu=tempete-2:x.y; Path=/; Max-Age=300"),
            ],
        );
        assert_eq!(kept(&known).as_deref(), Some("tempete-2:x.y"));
        let ask = desk.resume(2, held(&known).as_deref(), "tempete-2:x.y", None);
        assert_eq!(ask.path, "/federation/tempete-2/suite");
        assert_eq!(ask.headers[0].1, "__Host-preau-ticket=ABC; __Host-preau-retenu=tempete-2:x.y");
        let inside = answer(
            303,
            &[
                (header::LOCATION, "/"),
                (header::SET_COOKIE, "__Host-preau=h.eyJzaWQiOiJmIn0.s; Path=/; HttpOnly"),
                (header::SET_COOKIE, "__Host-preau-depart=; Max-Age=0"),
            ],
        );
        let session = desk.session(&inside).unwrap();
        assert_eq!(session.family_id.as_deref(), Some("f"));
        assert_eq!(session.cookie, "__Host-preau=h.eyJzaWQiOiJmIn0.s");
        assert!(desk.answer(0, &inside, "1").is_none(), "a page of ours is no departure");
    }
}
