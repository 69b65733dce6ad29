//! The rules of the door: names, passwords, waiting. Pure.

use std::time::Duration;

use preau_http::FieldError;
use preau_kernel::{Role, RoleSet};

/// A login name as typed, in the form it is stored in; `None` for what cannot be one.
pub fn login_name(typed: &str) -> Option<String> {
    let name = typed.trim().to_lowercase();
    let fits = (2..=80).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'.' || byte == b'-');
    fits.then_some(name)
}

/// Why a password is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Fewer characters than the profile asks for.
    TooShort {
        /// Characters needed.
        least: usize,
    },
    /// More than 128 characters.
    TooLong,
    /// A common password, a breached one, one's own name or school: quickly guessed.
    TooCommon,
}

impl From<Refusal> for FieldError {
    fn from(refusal: Refusal) -> Self {
        let (code, detail) = match refusal {
            Refusal::TooShort { least } => ("too-short", format!("at least {least} characters")),
            Refusal::TooLong => ("too-long", "at most 128 characters".to_owned()),
            Refusal::TooCommon => ("too-common", "too easy to guess".to_owned()),
        };
        Self { field: "password".to_owned(), code, detail }
    }
}

/// Characters a password needs: 12 for those who work in a school or come to it from outside, 8 for the others, whom
/// throttling protects (CNIL 2022-100).
pub fn least_length(roles: RoleSet, territory_admin: bool) -> usize {
    let works_there = territory_admin
        || roles.iter().any(|role| match role {
            Role::Teacher | Role::Staff | Role::SchoolAdmin | Role::Guest => true,
            Role::Pupil | Role::Guardian => false,
        });
    if works_there { 12 } else { 8 }
}

/// What French people choose, which the estimator's own lists (30,000 leaked passwords, names, English words) lack or rank
/// low: keyboards, first words, pets, clubs, towns, months. Ours, from what is commonly reported; most common first.
const COMMON_HERE: &[&str] = &[
    "azerty",
    "azertyuiop",
    "motdepasse",
    "azertyui",
    "qsdfghjklm",
    "wxcvbn",
    "azeqsd",
    "aqwzsx",
    "aqwxsz",
    "azer",
    "poiuytreza",
    "doudou",
    "loulou",
    "chouchou",
    "soleil",
    "marseille",
    "nicolas",
    "camille",
    "bonjour",
    "coucou",
    "jetaime",
    "chocolat",
    "vanille",
    "princesse",
    "maison",
    "famille",
    "maman",
    "papa",
    "mamie",
    "papy",
    "cheval",
    "chaton",
    "minou",
    "toutou",
    "titi",
    "nounours",
    "lapin",
    "chien",
    "dauphin",
    "tigrou",
    "caramel",
    "nutella",
    "fraise",
    "cerise",
    "pamplemousse",
    "etoile",
    "lumiere",
    "liberte",
    "france",
    "paris",
    "lyon",
    "toulouse",
    "bordeaux",
    "nantes",
    "lille",
    "bretagne",
    "corse",
    "reunion",
    "martinique",
    "guadeloupe",
    "guyane",
    "mayotte",
    "algerie",
    "maroc",
    "tunisie",
    "portugal",
    "psg",
    "olympique",
    "football",
    "rugby",
    "zidane",
    "mbappe",
    "griezmann",
    "pokemon",
    "naruto",
    "minecraft",
    "fortnite",
    "roblox",
    "tiktok",
    "youtube",
    "instagram",
    "snapchat",
    "ecole",
    "maternelle",
    "college",
    "lycee",
    "classe",
    "prof",
    "professeur",
    "eleve",
    "cartable",
    "education",
    "academie",
    "pronote",
    "ent",
    "bienvenue",
    "changeme",
    "provisoire",
    "secret",
    "connexion",
    "identifiant",
    "ordinateur",
    "janvier",
    "fevrier",
    "mars",
    "avril",
    "mai",
    "juin",
    "juillet",
    "aout",
    "septembre",
    "octobre",
    "novembre",
    "decembre",
    "printemps",
    "automne",
    "hiver",
    "vacances",
    "noel",
    "anniversaire",
    "amour",
    "bisous",
    "coeur",
    "toujours",
    "jamais",
    "merci",
    "bravo",
    "super",
    "genial",
];

/// Checks a new password. `context` holds the words that somebody who knows the person would try first.
///
/// # Errors
/// Every rule that is broken. There is no rule of composition.
pub fn password(password: &str, least: usize, context: &[&str]) -> Result<(), Vec<Refusal>> {
    let length = password.chars().count();
    let mut refused = Vec::new();
    if length < least {
        refused.push(Refusal::TooShort { least });
    }
    if length > 128 {
        // Not measured any further: estimating a novel costs.
        return Err(vec![Refusal::TooLong]);
    }
    let words: Vec<&str> = context.iter().chain(COMMON_HERE).copied().collect();
    let guessable = zxcvbn::zxcvbn(password, &words).score() < zxcvbn::Score::Three;
    if guessable {
        refused.push(Refusal::TooCommon);
    }
    if refused.is_empty() { Ok(()) } else { Err(refused) }
}

/// Failures that cost nothing: typos.
const FREE_FAILURES: u32 = 5;

/// How long an identifier waits after its `failures`-th failure within an hour. Five are free, then 15 s doubling to a
/// quarter of an hour: fewer than 20 passwords are checked an hour whatever the number of nodes.
pub fn wait_after(failures: u32) -> Duration {
    match failures.checked_sub(FREE_FAILURES) {
        None => Duration::ZERO,
        Some(beyond) => {
            Duration::from_secs(15_u64.saturating_mul(2_u64.saturating_pow(beyond.min(10))).min(900))
        }
    }
}

/// What a person will recognise a device by, from its `User-Agent`: a browser and a system, nothing finer.
pub fn device_label(user_agent: &str) -> String {
    let has = |word: &str| user_agent.contains(word);
    let browser = [
        ("Edg", "Edge"),
        ("OPR", "Opera"),
        ("Firefox", "Firefox"),
        ("Chrom", "Chrome"),
        ("Safari", "Safari"),
    ]
    .into_iter()
    .find(|(mark, _)| has(mark))
    .map(|(_, name)| name);
    let system = [
        ("Android", "Android"),
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("CrOS", "ChromeOS"),
        ("Windows", "Windows"),
        ("Mac OS", "Mac"),
        ("Linux", "Linux"),
    ]
    .into_iter()
    .find(|(mark, _)| has(mark))
    .map(|(_, name)| name);
    match (browser, system) {
        (Some(browser), Some(system)) => format!("{browser}, {system}"),
        (Some(one), None) | (None, Some(one)) => one.to_owned(),
        (None, None) => "Application".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logins_are_folded_and_bounded() {
        assert_eq!(login_name("  Camille.DUPONT2 ").unwrap(), "camille.dupont2");
        for bad in ["", "a", "élodie", "x'--", &"a".repeat(81)] {
            assert_eq!(login_name(bad), None);
        }
    }

    #[test]
    fn passwords_have_a_length_and_no_composition() {
        assert!(password("cheval batterie agrafe lune", 12, &[]).is_ok());
        assert_eq!(
            password("azerty", 8, &[]).unwrap_err(),
            [Refusal::TooShort { least: 8 }, Refusal::TooCommon]
        );
        assert_eq!(password("motdepasse123", 12, &[]).unwrap_err(), [Refusal::TooCommon]);
        for common in
            ["Doudou2026!", "azertyuiop12", "M@rseille13", "septembre2026", "qsdfghjklm12", "bonjourbonjour"]
        {
            assert_eq!(password(common, 8, &[]).unwrap_err(), [Refusal::TooCommon], "{common}");
        }
        assert_eq!(password(&"é".repeat(129), 8, &[]).unwrap_err(), [Refusal::TooLong]);
        assert_eq!(password("camilledupont", 8, &["camille", "dupont"]).unwrap_err(), [Refusal::TooCommon]);
    }

    #[test]
    fn those_who_work_in_a_school_need_more() {
        assert_eq!(least_length(RoleSet::of(&[Role::Pupil]), false), 8);
        assert_eq!(least_length(RoleSet::of(&[Role::Guardian, Role::Teacher]), false), 12);
        assert_eq!(least_length(RoleSet::of(&[Role::Guest]), false), 12);
        assert_eq!(least_length(RoleSet::NONE, true), 12);
    }

    #[test]
    fn fewer_than_twenty_guesses_an_hour_are_checked() {
        let mut elapsed = Duration::ZERO;
        let mut checked = 0_u32;
        while elapsed < Duration::from_secs(3600) {
            checked += 1;
            elapsed += wait_after(checked);
        }
        assert!(checked <= 20, "{checked}");
        assert_eq!(wait_after(4), Duration::ZERO, "typos are free");
    }

    #[test]
    fn devices_are_told_apart_coarsely() {
        let chrome =
            "Mozilla/5.0 (Linux; Android 13; SM-A127F) AppleWebKit/537.36 Chrome/120.0 Mobile Safari/537.36";
        assert_eq!(device_label(chrome), "Chrome, Android");
        assert_eq!(device_label("curl/8.0"), "Application");
    }
}
