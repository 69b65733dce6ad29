//! Who may touch whose account, and what an address is. Pure.

use preau_kernel::{Role, SchoolId};
use preau_session::Profile;

/// In what capacity somebody touches an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    /// As an administrator of the school.
    Office,
    /// By a power that an administrator delegated.
    Power,
    /// As the teacher of a class.
    Class,
}

/// Whether somebody of this school may, in that capacity, touch the account of somebody who is all that elsewhere: an
/// account opens every school of its person, so nobody may reach through it what they could not reach themselves.
pub(super) fn may_touch(school: SchoolId, by: By, target: &Profile) -> bool {
    let administers = |but: Option<SchoolId>| {
        target.memberships.iter().any(|m| Some(m.school) != but && m.roles.has(Role::SchoolAdmin))
    };
    let allowed = match by {
        By::Office => !administers(Some(school)),
        By::Power => !administers(None),
        // Those who are pupils and nothing more.
        By::Class => target.memberships.iter().all(|m| m.roles.iter().all(|role| role == Role::Pupil)),
    };
    allowed && !target.territory_admin
}

/// An e-mail address as it is kept: trimmed, in lower case. `None` for what is not one.
pub(crate) fn email(typed: &str) -> Option<String> {
    let address = typed.trim().to_lowercase();
    let plain = address.is_ascii() && !address.bytes().any(|byte| byte.is_ascii_control() || byte == b' ');
    (plain && preau_post::Post::is_address(&address) && address.contains('.')).then_some(address)
}

/// A mobile number as it is kept: `+` and digits. French numbers may be typed the French way, those of the overseas
/// departments included.
pub(super) fn mobile(typed: &str) -> Option<String> {
    if typed.len() > 40 {
        return None;
    }
    let digits: String =
        typed.chars().filter(|c| !matches!(c, ' ' | '.' | '-' | '(' | ')' | '\u{a0}' | '\u{202f}')).collect();
    let number = match digits.strip_prefix("00") {
        Some(abroad) => format!("+{abroad}"),
        None => digits,
    };
    if let Some(abroad) = number.strip_prefix('+') {
        let fits = (8..=15).contains(&abroad.len()) && abroad.bytes().all(|byte| byte.is_ascii_digit());
        return fits.then_some(number);
    }
    let national = number.strip_prefix('0').filter(|rest| {
        rest.len() == 9 && rest.bytes().all(|byte| byte.is_ascii_digit()) && rest.starts_with(['6', '7'])
    })?;
    let code = match national.get(..3) {
        Some("690" | "691") => "590",
        Some("692" | "693" | "639") => "262",
        Some("694") => "594",
        Some("696" | "697") => "596",
        _ => "33",
    };
    Some(format!("+{code}{national}"))
}

/// A PIN is 4 to 6 digits, and neither one digit over and over nor a run of them.
pub(super) fn pin(typed: &str) -> Option<String> {
    let pin = super::secret::typed_digits(typed, 4..=6)?;
    let steps: Vec<i16> = pin
        .as_bytes()
        .windows(2)
        .filter_map(|pair| Some(i16::from(*pair.get(1)?) - i16::from(*pair.first()?)))
        .collect();
    let plain = [0, 1, -1].iter().any(|step| steps.iter().all(|one| one == step));
    (!plain).then_some(pin)
}

#[cfg(test)]
mod tests {
    use preau_kernel::{Membership, RoleSet};
    use uuid::Uuid;

    use super::*;

    fn school(number: u128) -> SchoolId {
        Uuid::from_u128(number).into()
    }

    fn target(memberships: &[(u128, &[Role])], territory_admin: bool) -> Profile {
        Profile {
            territory: Uuid::nil().into(),
            territory_admin,
            memberships: memberships
                .iter()
                .map(|(number, roles)| Membership { school: school(*number), roles: RoleSet::of(roles) })
                .collect(),
            permission_version: 1,
            active: true,
            terms_version: String::new(),
            second_factor: false,
            demands: Vec::new(),
        }
    }

    #[test]
    fn nobody_reaches_through_an_account_what_they_could_not_reach_themselves() {
        let pupil = target(&[(1, &[Role::Pupil])], false);
        let guardian_and_teacher = target(&[(1, &[Role::Guardian]), (2, &[Role::Teacher])], false);
        let admin_elsewhere = target(&[(1, &[Role::Teacher]), (2, &[Role::SchoolAdmin])], false);
        let colleague = target(&[(1, &[Role::SchoolAdmin])], false);
        let territory = target(&[(1, &[Role::Staff])], true);
        for (who, whose, may) in [
            (By::Office, &pupil, true),
            (By::Office, &guardian_and_teacher, true),
            (By::Office, &colleague, true),
            (By::Office, &admin_elsewhere, false),
            (By::Office, &territory, false),
            (By::Power, &guardian_and_teacher, true),
            (By::Power, &colleague, false),
            (By::Power, &admin_elsewhere, false),
            (By::Class, &pupil, true),
            (By::Class, &guardian_and_teacher, false),
            (By::Class, &colleague, false),
        ] {
            assert_eq!(may_touch(school(1), who, whose), may, "{who:?} {:?}", whose.memberships);
        }
    }

    #[test]
    fn addresses_and_numbers_are_folded() {
        assert_eq!(email(" Claire.Durand@Example.ORG ").unwrap(), "claire.durand@example.org");
        for bad in ["", "claire", "claire@", "@x.fr", "a b@x.fr", "é@x.fr", "a@x", "a@x.fr\r\nBcc: b@x.fr"] {
            assert!(email(bad).is_none(), "{bad}");
        }
        for (typed, kept) in [
            ("06 12 34 56 78", "+33612345678"),
            ("07.12.34.56.78", "+33712345678"),
            ("0692 12 34 56", "+262692123456"),
            ("0033 6 12 34 56 78", "+33612345678"),
            ("+32 470 12 34 56", "+32470123456"),
        ] {
            assert_eq!(mobile(typed).unwrap(), kept);
        }
        for bad in ["", "01 42 00 00 00", "06 12 34", "+33 6 12 34 56 78 90 12 34", "06123456ab"] {
            assert!(mobile(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn pins_that_everybody_tries_first_are_refused() {
        for bad in ["", "123", "1234567", "0000", "1234", "987654", "12a4"] {
            assert!(pin(bad).is_none(), "{bad}");
        }
        assert_eq!(pin("27 18").unwrap(), "2718");
    }
}
