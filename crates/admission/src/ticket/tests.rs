use proptest::prelude::*;

use super::*;

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn ticket() -> Ticket {
    Ticket {
        id: [1, 2, 3, 4, 5, 6, 7, 8],
        epoch: 7,
        territory: Uuid::from_u128(11).into(),
        school: Some(Uuid::from_u128(12).into()),
        lane: Lane::InSlot,
        reason: Reason::Pupil,
        second: true,
        tag: 3_700_000_000_123,
        subject: [9; 8],
        issued: at("2026-11-23T08:00:00Z"),
        not_before: Some(at("2026-11-23T07:00:00Z")),
    }
}

fn keys(names: &[u128]) -> TicketKeys {
    TicketKeys::new(names.iter().map(|name| (Uuid::from_u128(*name), [u8::try_from(*name).unwrap(); 32])))
}

#[test]
fn a_ticket_opens_as_it_was_sealed_and_is_short() {
    let text = ticket().seal(&keys(&[1])).unwrap();
    assert_eq!(text.len(), LENGTH);
    const { assert!(LENGTH <= 128) };
    assert_eq!(keys(&[2, 1]).open(&text, 7, ticket().issued), Ok(ticket()));
}

#[test]
fn bad_tickets_are_told_apart() {
    let (text, ring, now) = (ticket().seal(&keys(&[1])).unwrap(), keys(&[1]), ticket().issued);
    assert_eq!(ring.open(&text, 8, now), Err(TicketFault::Foreign));
    assert_eq!(keys(&[2]).open(&text, 7, now), Err(TicketFault::UnknownKey));
    assert_eq!(ring.open(&text[1..], 7, now), Err(TicketFault::Malformed));
    assert_eq!(ring.open("", 7, now), Err(TicketFault::Malformed));
    assert_eq!(ring.open(&"é".repeat(61), 7, now), Err(TicketFault::Malformed));
    assert_eq!(ring.open(&text, 7, now + LIFE + SKEW), Ok(ticket()));
    assert_eq!(ring.open(&text, 7, now + LIFE + SKEW + Duration::seconds(1)), Err(TicketFault::Expired));
    // Same name, another key.
    let other = TicketKeys::new([(Uuid::from_u128(1), [2; 32])]);
    assert_eq!(other.open(&text, 7, now), Err(TicketFault::Forged));
    assert_eq!(ticket().seal(&keys(&[])), None);
}

#[test]
fn a_place_sealed_anew_is_the_same_place_and_one_text_a_second() {
    let (ring, later) = (keys(&[1]), ticket().issued + Duration::hours(3));
    let (first, anew) = (ticket().seal(&ring).unwrap(), ticket().renewed(later).seal(&ring).unwrap());
    assert_eq!(ring.open(&anew, 7, later), Ok(Ticket { issued: later, ..ticket() }));
    // A nonce that is used twice seals the same twice.
    assert_eq!(ticket().renewed(later).renewed(later).seal(&ring), Some(anew.clone()));
    let rotated = ticket().renewed(later).seal(&keys(&[2])).unwrap();
    assert!(first != anew && same_place(&first, &anew) && same_place(&first, &rotated));
    let another = Ticket { id: [8; 8], ..ticket() }.seal(&ring).unwrap();
    assert!(!same_place(&first, &another) && !same_place(&first, &first[1..]) && !same_place("", ""));
}

#[test]
fn a_dated_ticket_lives_from_its_hour_on() {
    let (ring, issued) = (keys(&[1]), ticket().issued);
    for (away, lives) in [(Duration::hours(5), Duration::hours(9)), (Duration::days(40), AHEAD + LIFE)] {
        let dated = Ticket { not_before: Some(issued + away), ..ticket() };
        let text = dated.seal(&ring).unwrap();
        assert_eq!(ring.open(&text, 7, issued + lives + SKEW), Ok(dated), "{away}");
        let late = issued + lives + SKEW + Duration::seconds(1);
        assert_eq!(ring.open(&text, 7, late), Err(TicketFault::Expired), "{away}");
    }
}

#[test]
fn nodes_whose_clocks_differ_by_half_a_minute_honour_one_another() {
    let (text, ring) = (ticket().seal(&keys(&[1])).unwrap(), keys(&[1]));
    assert_eq!(ring.open(&text, 7, ticket().issued - SKEW), Ok(ticket()));
    assert_eq!(ring.open(&text, 7, ticket().issued - SKEW - Duration::seconds(1)), Err(TicketFault::Future));
}

proptest! {
    #[test]
    fn no_single_change_opens(byte in 0..LENGTH, to in "[A-Za-z0-9_-]") {
        let text = ticket().seal(&keys(&[1])).unwrap();
        prop_assume!(text[byte..=byte] != to);
        let mut forged = text.clone();
        forged.replace_range(byte..=byte, &to);
        // Four bits at the end of the text code nothing; the decoder refuses them when they are not zero.
        prop_assert!(keys(&[1]).open(&forged, 7, ticket().issued).is_err());
    }

    #[test]
    fn no_text_panics(text in "\\PC{0,140}") {
        prop_assert!(keys(&[1]).open(&text, 7, ticket().issued).is_err());
    }
}
