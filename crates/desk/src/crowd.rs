//! Attack or crowd? What the door counts, put into words that somebody without time can act on. Pure.

use serde::Serialize;
use utoipa::ToSchema;

/// What was counted over some minutes, on all nodes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct Signs {
    /// Seconds that were counted.
    pub seconds: f64,
    /// Secrets that were checked.
    pub tried: u64,
    /// Wrong ones.
    pub failed: u64,
    /// Wrong ones from devices that never came in before.
    pub failed_unknown_device: u64,
    /// Different identifiers among the wrong ones.
    pub failing_identifiers: u64,
    /// Tickets that were forged, foreign or stale.
    pub bad_tickets: u64,
    /// Bytes received.
    pub bytes_in: u64,
    /// Bytes sent.
    pub bytes_out: u64,
    /// People waiting for their turn.
    pub waiting: u64,
}

/// What it looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum VerdictCode {
    /// Nothing out of the ordinary.
    Calm,
    /// Many people, and they are who they say.
    Crowd,
    /// Lists of stolen names and passwords are being tried.
    Stuffing,
    /// Somebody insists on few identifiers.
    Guessing,
    /// Machines ask much and never come in.
    Flood,
    /// A crowd, and an attack hidden in it.
    Both,
}

/// A figure, and what it says.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Evidence {
    /// Its name.
    pub code: &'static str,
    /// Its value.
    pub value: f64,
    /// From where on it speaks of an attack.
    pub suspicious_from: f64,
    /// Whether it does.
    pub suspicious: bool,
    /// The same in French.
    pub sentence: String,
}

/// What it looks like, in French, and why.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Verdict {
    /// What it looks like.
    pub code: VerdictCode,
    /// In a sentence.
    pub sentence: &'static str,
    /// What to do about it.
    pub advice: &'static str,
    /// The figures it rests on.
    pub evidence: Vec<Evidence>,
    /// What was counted.
    pub signs: Signs,
}

/// A school's share of wrong passwords is 5 to 15 %, and a morning in September 40 %; stolen lists fail nine times in ten.
const FAILING_RATIO: f64 = 0.8;
/// A school's worst morning has typos of many people, and each has typed two or three times.
const FAILING_IDENTIFIERS: f64 = 50.0;
/// Known devices are left alone by whoever has only names.
const UNKNOWN_DEVICES: f64 = 0.9;
/// Somebody who insists tries one name again and again.
const TRIES_A_NAME: f64 = 8.0;
/// Below this nothing can be said.
const ENOUGH_TRIED: u64 = 50;
/// People are sent ten times what they send: whoever sends more than is answered is no reader.
const IN_OVER_OUT: f64 = 1.0;
/// Bytes a second below which that says nothing: an administrator's upload is as large.
const MUCH_IN_PER_S: f64 = 2e6;
/// Forged tickets: nobody makes one by mistake, though an old page may show a few.
const BAD_TICKETS_PER_S: f64 = 5.0;

/// Looks at the figures.
pub fn verdict(signs: Signs) -> Verdict {
    let failing = ratio(signs.failed, signs.tried);
    let unknown = ratio(signs.failed_unknown_device, signs.failed);
    let a_name = ratio(signs.failed, signs.failing_identifiers);
    let in_over_out = kilobytes(signs.bytes_in) / kilobytes(signs.bytes_out).max(1.0);
    let per_s = |n: u64| if signs.seconds > 0.0 { count(n) / signs.seconds } else { 0.0 };
    let enough = signs.tried >= ENOUGH_TRIED;
    let line = |code, value: f64, from: f64, counts: bool, sentence: String| Evidence {
        code,
        value,
        suspicious_from: from,
        suspicious: counts && value >= from,
        sentence,
    };
    let evidence = vec![
        line(
            "failing-ratio",
            failing,
            FAILING_RATIO,
            enough,
            format!(
                "{} mots de passe faux sur {} essayés ({} %). Un jour ordinaire : 5 à 15 % ; une rentrée : jusqu’à 40 %.",
                signs.failed,
                signs.tried,
                percent(failing)
            ),
        ),
        line(
            "failing-identifiers",
            count(signs.failing_identifiers),
            FAILING_IDENTIFIERS,
            enough,
            format!("{} identifiants différents ont échoué.", signs.failing_identifiers),
        ),
        line(
            "unknown-devices",
            unknown,
            UNKNOWN_DEVICES,
            enough && signs.failed >= ENOUGH_TRIED / 2,
            format!("{} % des échecs viennent d’appareils jamais vus.", percent(unknown)),
        ),
        line(
            "tries-a-name",
            a_name,
            TRIES_A_NAME,
            enough && signs.failing_identifiers > 0,
            format!(
                "{} essais faux par identifiant. Une personne qui se trompe essaie deux ou trois fois.",
                format!("{a_name:.1}").replace('.', ",")
            ),
        ),
        line(
            "bad-tickets",
            per_s(signs.bad_tickets),
            BAD_TICKETS_PER_S,
            true,
            format!("{} tickets forgés, rejoués ou étrangers.", signs.bad_tickets),
        ),
        line(
            "bytes-in-over-out",
            in_over_out,
            IN_OVER_OUT,
            signs.seconds > 0.0 && kilobytes(signs.bytes_in) * 1e3 / signs.seconds >= MUCH_IN_PER_S,
            format!(
                "{} reçus, {} envoyés. D’ordinaire le service envoie dix fois plus qu’il ne reçoit.",
                bytes(signs.bytes_in),
                bytes(signs.bytes_out)
            ),
        ),
    ];
    let says = |code: &str| evidence.iter().any(|one| one.code == code && one.suspicious);
    // Three signs together: each alone has an innocent cause.
    let stuffing = says("failing-ratio") && says("failing-identifiers") && says("unknown-devices");
    let guessing = says("failing-ratio") && says("tries-a-name");
    let flood = says("bad-tickets") || says("bytes-in-over-out");
    let right = signs.tried.saturating_sub(signs.failed);
    let crowd = signs.waiting > 0 && right > 0;
    let attack = stuffing || guessing || flood;
    let code = match (attack, crowd) {
        (false, false) => VerdictCode::Calm,
        (false, true) => VerdictCode::Crowd,
        // A crowd is told from its attack by those who come in: a tenth of the tries at least are right.
        (true, true) if right * 10 >= signs.tried => VerdictCode::Both,
        _ if stuffing => VerdictCode::Stuffing,
        _ if guessing => VerdictCode::Guessing,
        _ => VerdictCode::Flood,
    };
    Verdict { code, sentence: code.sentence(), advice: code.advice(), evidence, signs }
}

impl VerdictCode {
    /// In French.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Calm => "Rien d’inhabituel.",
            Self::Crowd => {
                "C’est une foule : beaucoup de monde, et presque tous entrent avec leur vrai mot de passe."
            }
            Self::Stuffing => {
                "C’est une attaque : des listes de noms et de mots de passe volés sont essayées depuis des appareils inconnus."
            }
            Self::Guessing => "C’est une attaque : quelqu’un insiste sur quelques identifiants.",
            Self::Flood => {
                "C’est une attaque par le nombre : des machines demandent beaucoup et n’entrent jamais."
            }
            Self::Both => "C’est une foule, et une attaque s’y cache.",
        }
    }

    /// What to do, in French.
    pub fn advice(self) -> &'static str {
        match self {
            Self::Calm => "Rien à faire.",
            Self::Crowd => {
                "Laissez faire : la file garde la place de chacun. Ne coupez personne par adresse : un établissement entier a la même."
            }
            Self::Stuffing | Self::Both => {
                "Les appareils inconnus qui échouent passent déjà en dernier et n’ont que 3 % du débit. Prévenez l’ANSSI avec ces chiffres ; ne coupez aucune adresse d’établissement."
            }
            Self::Guessing => {
                "Les identifiants visés attendent déjà entre deux essais. Prévenez leurs titulaires ; rien n’est bloqué pour les autres."
            }
            Self::Flood => {
                "Limitez les connexions chez l’hébergeur (couches réseau). Le service tient : un ticket forgé lui coûte 5 µs."
            }
        }
    }
}

fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { count(part) / count(whole) }
}

/// Counts here are far below 2^32; what is not may as well be that.
fn count(n: u64) -> f64 {
    u32::try_from(n).map_or(f64::from(u32::MAX), f64::from)
}

fn percent(share: f64) -> String {
    format!("{:.0}", share * 100.0)
}

/// A count of bytes may not fit the 32 bits of `count`.
fn kilobytes(n: u64) -> f64 {
    count(n / 1000)
}

fn bytes(n: u64) -> String {
    let kilo = kilobytes(n);
    let text = if kilo >= 1e6 {
        format!("{:.1} Go", kilo / 1e6)
    } else if kilo >= 1e3 {
        format!("{:.1} Mo", kilo / 1e3)
    } else {
        format!("{kilo:.0} ko")
    };
    text.replace('.', ",")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signs() -> Signs {
        Signs {
            seconds: 60.0,
            tried: 1000,
            failed: 100,
            failing_identifiers: 60,
            bytes_in: 2_000_000,
            bytes_out: 30_000_000,
            ..Signs::default()
        }
    }

    #[test]
    fn an_ordinary_morning_is_calm() {
        assert_eq!(verdict(signs()).code, VerdictCode::Calm);
        assert_eq!(verdict(Signs::default()).code, VerdictCode::Calm);
    }

    #[test]
    fn september_without_cookies_is_a_crowd() {
        // Forty per cent of failures, from devices that nobody knows, of a thousand different pupils.
        let september = Signs {
            tried: 2500,
            failed: 1000,
            failed_unknown_device: 1000,
            failing_identifiers: 600,
            waiting: 900,
            ..signs()
        };
        assert_eq!(verdict(september).code, VerdictCode::Crowd);
    }

    #[test]
    fn stolen_lists_are_an_attack_with_or_without_a_crowd() {
        let lists = Signs {
            tried: 10_000,
            failed: 9_950,
            failed_unknown_device: 9_900,
            failing_identifiers: 9_000,
            ..signs()
        };
        assert_eq!(verdict(lists).code, VerdictCode::Stuffing);
        let hidden = Signs { tried: 12_000, failed: 9_950, waiting: 800, ..lists };
        assert_eq!(verdict(hidden).code, VerdictCode::Both);
        let known = Signs { failed_unknown_device: 900, ..lists };
        assert_eq!(verdict(known).code, VerdictCode::Calm, "known devices that fail are people's");
    }

    #[test]
    fn insisting_on_few_names_is_guessing() {
        let one =
            Signs { tried: 400, failed: 390, failed_unknown_device: 200, failing_identifiers: 3, ..signs() };
        assert_eq!(verdict(one).code, VerdictCode::Guessing);
    }

    #[test]
    fn asking_without_coming_in_is_a_flood() {
        let flood =
            Signs { tried: 20, failed: 0, bytes_in: 3_000_000_000, bytes_out: 100_000_000, ..signs() };
        let told = verdict(flood);
        assert_eq!(told.code, VerdictCode::Flood);
        assert!(told.evidence.iter().any(|one| one.sentence.contains("3,0 Go reçus")), "{:?}", told.evidence);
        let forged = Signs { bad_tickets: 3_000, ..signs() };
        assert_eq!(verdict(forged).code, VerdictCode::Flood);
        let upload = Signs { bytes_in: 100_000_000, bytes_out: 30_000_000, ..signs() };
        assert_eq!(verdict(upload).code, VerdictCode::Calm, "an administrator sends a file");
    }
}
