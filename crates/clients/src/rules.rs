//! What clients, secrets and approvals must be. Pure.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Utc};
use preau_http::FieldError;
use preau_kernel::{FamilyId, PersonId, Reach, SchoolId, Scope, ScopeSet};
use preau_session::ACCESS_SECONDS;
use sha2::{Digest, Sha256};
use subtle::{ConditionallySelectable, ConstantTimeEq};

/// What makes a leaked secret recognisable to whoever scans repositories and logs.
const PREFIX: &str = "preau_cs_";
/// Days that a client lives, at most, before a person looks at it again.
pub(crate) const LONGEST_LIFE_DAYS: i64 = 400;
/// Days that an approval lives, at most.
pub(crate) const LONGEST_APPROVAL_DAYS: i64 = 92;
/// Schools of a client, at most.
pub(crate) const MOST_SCHOOLS: usize = 50;
/// Secrets in force at once.
pub(crate) const LIVE_SECRETS: usize = 2;
/// Hours for which a replaced secret goes on, at most.
pub(crate) const LONGEST_OVERLAP_HOURS: u16 = 720;
/// Wrong secrets of one client id that a node answers before it asks for patience.
const FREE_FAILURES: u32 = 10;

/// A client's secret: 256 random bits, so that a plain hash is enough at rest.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret([u8; 32]);

impl Secret {
    /// A secret of these bits.
    pub fn new(bits: [u8; 32]) -> Self {
        Self(bits)
    }

    /// Reads what a client shows; `None` for anything that is not the shape of a secret.
    pub fn parse(text: &str) -> Option<Self> {
        let bits = URL_SAFE_NO_PAD.decode(text.strip_prefix(PREFIX)?).ok()?;
        bits.try_into().ok().map(Self)
    }

    /// The text given once.
    pub fn reveal(&self) -> String {
        format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(self.0))
    }

    /// What is kept of it.
    pub fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.0).into()
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// A secret in force.
#[derive(Clone, Debug)]
pub(crate) struct Live {
    pub(crate) id: FamilyId,
    pub(crate) hash: Vec<u8>,
    pub(crate) ends_at: DateTime<Utc>,
}

/// Which of the secrets in force was shown, every one compared in constant time.
pub(crate) fn shown<'a>(live: &'a [Live], hash: &[u8; 32]) -> Option<&'a Live> {
    let mut found = usize::MAX;
    for (at, secret) in live.iter().enumerate() {
        let same = secret.hash.as_slice().ct_eq(hash.as_slice());
        let (before, here) =
            (u64::try_from(found).unwrap_or(u64::MAX), u64::try_from(at).unwrap_or(u64::MAX));
        found = usize::try_from(u64::conditional_select(&before, &here, same)).unwrap_or(usize::MAX);
    }
    live.get(found)
}

/// When a token signed now ends: five minutes, and not after the client or the secret it was obtained with.
pub(crate) fn token_ends_at(
    now: DateTime<Utc>,
    client: DateTime<Utc>,
    secret: DateTime<Utc>,
) -> DateTime<Utc> {
    (now + TimeDelta::seconds(ACCESS_SECONDS)).min(client).min(secret)
}

/// How long a client id that has shown so many wrong secrets is asked to wait. The right secret never waits: whoever only
/// knows the id cannot shut a client out, and 256 bits are not guessed.
pub(crate) fn wait_after(failures: u32) -> Duration {
    match failures.checked_sub(FREE_FAILURES) {
        None | Some(0) => Duration::ZERO,
        Some(more) => Duration::from_secs(1_u64.checked_shl(more).unwrap_or(60).min(60)),
    }
}

/// The scopes of a token: those asked for, all of them when none was. `None` when one was not given to the client.
pub(crate) fn granted(given: ScopeSet, asked: Option<&str>) -> Option<ScopeSet> {
    let Some(asked) = asked else { return Some(given) };
    let asked: ScopeSet = asked.parse().ok()?;
    (given.holds(asked) && !asked.is_empty()).then_some(asked)
}

/// The end of a day of UTC, which is the day's last instant plus one.
pub(crate) fn end_of(day: NaiveDate) -> DateTime<Utc> {
    (day + TimeDelta::days(1)).and_time(NaiveTime::MIN).and_utc()
}

/// What an administrator says of a client.
#[derive(Clone, Debug)]
pub(crate) struct Described<'a> {
    pub(crate) name: &'a str,
    pub(crate) purpose: &'a str,
    pub(crate) contact: &'a str,
    pub(crate) scopes: ScopeSet,
    pub(crate) schools: &'a [SchoolId],
    pub(crate) per_minute: i32,
    pub(crate) expires_on: NaiveDate,
}

/// What is wrong with it, field by field. `of_school`: the client belongs to that school and not to the territory.
pub(crate) fn faults(said: &Described<'_>, of_school: Option<SchoolId>, today: NaiveDate) -> Vec<FieldError> {
    let mut faults = Vec::new();
    let mut refuse = |field: &str, code: &'static str, detail: &str| {
        faults.push(FieldError { field: field.to_owned(), code, detail: detail.to_owned() });
    };
    let length = |text: &str| text.trim().chars().count();
    if !(1..=120).contains(&length(said.name)) {
        refuse("name", "length", "1 to 120 characters");
    }
    if !(10..=500).contains(&length(said.purpose)) {
        refuse("purpose", "length", "10 to 500 characters: what the data is for");
    }
    if !(3..=200).contains(&length(said.contact)) {
        refuse("contact", "length", "3 to 200 characters: whom to call");
    }
    if said.scopes.is_empty() {
        refuse("scopes", "empty", "a client that may do nothing is of no use");
    }
    let reaches = |reach: Reach| said.scopes.iter().any(|scope| scope.reach() == reach);
    if of_school.is_some() && reaches(Reach::Territory) {
        refuse("scopes", "territory", "a school does not give what concerns the whole territory");
    }
    if said.schools.len() > MOST_SCHOOLS {
        refuse("school_ids", "too-many", "50 schools at most");
    }
    if of_school.is_some_and(|school| said.schools != [school]) {
        refuse("school_ids", "other-school", "a school's client touches that school alone");
    }
    if reaches(Reach::School) && said.schools.is_empty() {
        refuse("school_ids", "empty", "these scopes are used in a school: say which");
    }
    if !(1..=6000).contains(&said.per_minute) {
        refuse("requests_per_minute", "range", "1 to 6000");
    }
    if said.expires_on <= today || said.expires_on > today + TimeDelta::days(LONGEST_LIFE_DAYS) {
        refuse("expires_on", "range", "a day to come, within 400 days");
    }
    faults
}

/// What is asked of a second person.
#[derive(Clone, Debug)]
pub(crate) struct AskedReading<'a> {
    pub(crate) records_per_day: i32,
    pub(crate) ends_on: NaiveDate,
    pub(crate) reason: &'a str,
}

/// What is wrong with it, field by field.
pub(crate) fn reading_faults(asked: &AskedReading<'_>, today: NaiveDate) -> Vec<FieldError> {
    let mut faults = Vec::new();
    let mut refuse = |field: &str, code: &'static str, detail: &str| {
        faults.push(FieldError { field: field.to_owned(), code, detail: detail.to_owned() });
    };
    if !(1..=100_000).contains(&asked.records_per_day) {
        refuse("records_per_day", "range", "1 to 100000");
    }
    if asked.ends_on < today || asked.ends_on > today + TimeDelta::days(LONGEST_APPROVAL_DAYS) {
        refuse("ends_on", "range", "today or later, within 92 days");
    }
    if !(10..=500).contains(&asked.reason.trim().chars().count()) {
        refuse("reason", "length", "10 to 500 characters: what the reading is for");
    }
    faults
}

/// Whether `person` may agree to a reading: neither who asked, nor whose reading it is.
pub(crate) fn may_decide(person: PersonId, asked_by: PersonId, credential: uuid::Uuid) -> bool {
    person != asked_by && person.uuid() != credential
}

/// The scopes of a list, each once.
pub(crate) fn set_of(scopes: &[Scope]) -> ScopeSet {
    scopes.iter().copied().collect()
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn live(id: u128, secret: &Secret) -> Live {
        Live {
            id: Uuid::from_u128(id).into(),
            hash: secret.hash().to_vec(),
            ends_at: at("2027-01-01T00:00:00Z"),
        }
    }

    #[test]
    fn secrets_round_trip_and_nothing_else_parses() {
        let secret = Secret::new([7; 32]);
        assert_eq!(Secret::parse(&secret.reveal()), Some(secret.clone()));
        assert_eq!(format!("{secret:?}"), "Secret(…)");
        let short = &secret.reveal()[..40];
        for bad in ["", "preau_cs_", "preau_cs_AAAA", short, &secret.reveal()[9..], &"x".repeat(900)] {
            assert_eq!(Secret::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn either_live_secret_is_found_and_no_other() {
        let (old, new, other) = (Secret::new([1; 32]), Secret::new([2; 32]), Secret::new([3; 32]));
        let both = [live(1, &old), live(2, &new)];
        assert_eq!(shown(&both, &old.hash()).unwrap().id, both[0].id);
        assert_eq!(shown(&both, &new.hash()).unwrap().id, both[1].id);
        assert!(shown(&both, &other.hash()).is_none() && shown(&[], &old.hash()).is_none());
    }

    #[test]
    fn a_token_outlives_neither_its_client_nor_its_secret() {
        let now = at("2026-11-23T08:00:00Z");
        let far = at("2027-01-01T00:00:00Z");
        assert_eq!(token_ends_at(now, far, far), at("2026-11-23T08:05:00Z"));
        assert_eq!(token_ends_at(now, at("2026-11-23T08:01:00Z"), far), at("2026-11-23T08:01:00Z"));
        assert_eq!(token_ends_at(now, far, at("2026-11-23T08:02:00Z")), at("2026-11-23T08:02:00Z"));
    }

    #[test]
    fn patience_grows_and_is_bounded() {
        assert_eq!(wait_after(FREE_FAILURES), Duration::ZERO);
        assert_eq!(wait_after(FREE_FAILURES + 1), Duration::from_secs(2));
        assert_eq!(wait_after(FREE_FAILURES + 70), Duration::from_secs(60));
        assert_eq!(wait_after(u32::MAX), Duration::from_secs(60));
    }

    #[test]
    fn a_token_holds_no_more_than_the_client() {
        let given = "directory:read timetable:read".parse().unwrap();
        assert_eq!(granted(given, None), Some(given));
        assert_eq!(granted(given, Some("timetable:read")).unwrap().words(), "timetable:read");
        for bad in ["directory:write", "directory:read directory:write", "anything", ""] {
            assert_eq!(granted(given, Some(bad)), None, "{bad}");
        }
    }

    #[test]
    fn each_field_is_held_to_its_rule() {
        let (ours, theirs) = (SchoolId::from(Uuid::from_u128(1)), SchoolId::from(Uuid::from_u128(2)));
        let today = "2026-11-23".parse().unwrap();
        let both = [ours, theirs];
        let many = vec![ours; MOST_SCHOOLS + 1];
        let good = Described {
            name: "Emplois du temps",
            purpose: "Affichage dans le hall",
            contact: "vie.scolaire@exemple.fr",
            scopes: set_of(&[Scope::TimetableRead]),
            schools: &both[..1],
            per_minute: 60,
            expires_on: "2027-07-31".parse().unwrap(),
        };
        assert!(faults(&good, Some(ours), today).is_empty());
        let bad = |change: &dyn Fn(&mut Described<'_>)| {
            let mut said = good.clone();
            change(&mut said);
            faults(&said, Some(ours), today).into_iter().map(|fault| fault.field).collect::<Vec<_>>()
        };
        assert_eq!(bad(&|said| said.name = " "), ["name"]);
        assert_eq!(bad(&|said| said.purpose = "court"), ["purpose"]);
        assert_eq!(bad(&|said| said.contact = ""), ["contact"]);
        assert_eq!(bad(&|said| said.scopes = ScopeSet::NONE), ["scopes"]);
        assert_eq!(bad(&|said| said.scopes = set_of(&[Scope::ImportsRead])), ["scopes"]);
        assert_eq!(bad(&|said| said.per_minute = 0), ["requests_per_minute"]);
        assert_eq!(bad(&|said| said.expires_on = today), ["expires_on"]);
        assert_eq!(bad(&|said| said.expires_on = today + TimeDelta::days(401)), ["expires_on"]);
        let widened = Described { schools: &both, ..good.clone() };
        assert_eq!(faults(&widened, Some(ours), today).len(), 1, "a school's client stays in its school");
        assert!(faults(&widened, None, today).is_empty());
        assert_eq!(faults(&Described { schools: &[], ..good.clone() }, None, today).len(), 1);
        assert_eq!(faults(&Described { schools: &many, ..good }, None, today).len(), 1);
    }

    #[test]
    fn nobody_agrees_with_themselves() {
        let (asker, other) = (PersonId::from(Uuid::from_u128(1)), PersonId::from(Uuid::from_u128(2)));
        assert!(!may_decide(asker, asker, Uuid::from_u128(9)));
        assert!(!may_decide(other, asker, other.uuid()), "asked by a friend for oneself");
        assert!(may_decide(other, asker, Uuid::from_u128(9)));
    }
}
