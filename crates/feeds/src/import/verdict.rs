//! Whether a school's changes are believed as they come, or wait for a human. Pure.

use serde::{Deserialize, Serialize};

/// What a delivery would do to a school.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub struct Counts {
    /// People whom nobody had heard of.
    pub created: u64,
    /// People known elsewhere, or who had left, and are members now.
    pub arrived: u64,
    /// Members of whom something changes.
    pub updated: u64,
    /// Members who leave for another school of the delivery.
    pub moved: u64,
    /// Members who leave.
    pub left: u64,
    /// Pupils among those who leave.
    pub pupils_left: u64,
    /// Pupils before.
    pub pupils_before: u64,
    /// Members before, as far as the delivery speaks of them.
    pub members_before: u64,
    /// People who become administrators of the school.
    pub new_administrators: u64,
}

/// What decides beside the counts.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Circumstances {
    /// The school had members from a feed before: a first delivery has nobody to lose and nobody to promote.
    pub(super) known_school: bool,
    /// A whole delivery of an academy that holds no pupil at all.
    pub(super) without_pupils: bool,
}

/// More than 5 % of the pupils would disappear.
pub(super) const PUPILS_GONE: &str = "feed-too-many-pupils-gone";
/// Two fifths of everybody would leave.
pub(super) const DEPARTURES: &str = "feed-too-many-departures";
/// Somebody would become an administrator.
pub(super) const ADMINISTRATOR: &str = "feed-new-administrator";
/// A delivery of everything without a pupil.
pub(super) const NO_PUPILS: &str = "feed-no-pupils";

/// The reasons for which a human is to look; none, and the school is merged.
pub(super) fn reasons(counts: &Counts, circumstances: Circumstances) -> Vec<&'static str> {
    if !circumstances.known_school {
        return Vec::new();
    }
    let mut reasons = Vec::new();
    // One pupil is one family that moves, even where it is a tenth of the school.
    if counts.pupils_left > 1 && counts.pupils_left * 20 > counts.pupils_before {
        reasons.push(PUPILS_GONE);
    }
    let leaving = counts.left + counts.moved;
    if leaving >= 20 && leaving * 5 >= counts.members_before * 2 {
        reasons.push(DEPARTURES);
    }
    if counts.new_administrators > 0 {
        reasons.push(ADMINISTRATOR);
    }
    if circumstances.without_pupils && counts.pupils_before > 0 {
        reasons.push(NO_PUPILS);
    }
    reasons
}

/// Whether what would be done now is no more than what a human has looked at.
pub(super) fn is_covered(now: &Counts, approved: &Counts) -> bool {
    now.pupils_left <= approved.pupils_left
        && now.left + now.moved <= approved.left + approved.moved
        && now.new_administrators <= approved.new_administrators
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: Circumstances = Circumstances { known_school: true, without_pupils: false };

    fn leaving(left: u64, before: u64) -> Counts {
        Counts {
            left,
            pupils_left: left,
            pupils_before: before,
            members_before: before * 3,
            ..Counts::default()
        }
    }

    #[test]
    fn five_in_a_hundred_leave_and_six_wait() {
        assert!(reasons(&leaving(5, 100), KNOWN).is_empty());
        assert_eq!(reasons(&leaving(6, 100), KNOWN), [PUPILS_GONE]);
        assert!(reasons(&leaving(1, 4), KNOWN).is_empty(), "a family moves");
        assert_eq!(reasons(&leaving(100, 100), KNOWN), [PUPILS_GONE]);
    }

    #[test]
    fn an_administrator_waits_except_in_a_new_school() {
        let counts = Counts { new_administrators: 1, ..Counts::default() };
        assert_eq!(reasons(&counts, KNOWN), [ADMINISTRATOR]);
        assert!(reasons(&counts, Circumstances::default()).is_empty());
    }

    #[test]
    fn everybody_but_the_pupils_may_be_halved_by_a_wrong_file_too() {
        let counts = Counts { left: 200, members_before: 400, pupils_before: 400, ..Counts::default() };
        assert_eq!(reasons(&counts, KNOWN), [DEPARTURES]);
        assert!(reasons(&Counts { left: 19, members_before: 19, ..counts }, KNOWN).is_empty());
    }

    #[test]
    fn a_delivery_of_everything_without_pupils_waits_where_there_are_some() {
        let nobody = Circumstances { without_pupils: true, ..KNOWN };
        assert_eq!(reasons(&leaving(0, 3), nobody), [NO_PUPILS]);
        assert!(reasons(&leaving(0, 0), nobody).is_empty());
    }

    #[test]
    fn an_approval_is_for_what_was_shown() {
        let shown = leaving(10, 100);
        assert!(is_covered(&leaving(9, 100), &shown) && is_covered(&shown, &shown));
        assert!(!is_covered(&leaving(11, 100), &shown));
        assert!(!is_covered(&Counts { new_administrators: 1, ..shown }, &shown));
    }
}
