//! What a place is worth when its turn has come: once, to whom it belongs.

use std::sync::Arc;

use preau_admission::{Declared, Lane, Order, Orders, Person, Profile, Reason, orders::Act};
use preau_kernel::PersonId;
use preau_overload::{Asks, Door, Pass, Place, Redeemed, Verified};
use preau_tests::{Stage, play};
use uuid::Uuid;

use super::{back, crowd, door, enter, pupil, school, second, shown, territory, wait};

#[test]
fn a_place_lets_one_person_in_and_a_lie_costs_it() {
    play(async |stage| {
        let door = door(&stage, 5.0);
        let places = crowd(&door, 0, 10).await;
        let teacher = Asks {
            declared: Some(Declared { profile: Profile::Teacher, school_id: Some(school(0)) }),
            subject: [9; 8],
            ..Asks::default()
        };
        let lied = wait(&door, teacher).await;
        assert_eq!((lied.class, lied.reason), (Lane::Lesson, Reason::Teacher));
        for _ in 0..6 {
            second(&stage, &[&door]).await;
        }
        let (lina, omar) = (verified(1, Profile::Pupil), verified(2, Profile::Pupil));
        let pass = enter(&door, shown(&places[0])).await.expect("the turn has come");
        assert_eq!(door.redeem(&pass, &lina).await, Redeemed::In);
        let again = enter(&door, shown(&places[0])).await.expect("shown again");
        assert_eq!(
            door.redeem(&again, &lina).await,
            Redeemed::In,
            "an answer that was lost costs nobody the place"
        );
        let Redeemed::Replayed(tail) = door.redeem(&again, &omar).await else { panic!("handed on") };
        assert!(tail.tag >= places.last().unwrap().tag && tail.class == Lane::InSlot);

        let pass = enter(&door, shown(&lied)).await.expect("the turn of teachers has come");
        let Redeemed::Liar(tail) = door.redeem(&pass, &omar).await else {
            panic!("a pupil who said teacher")
        };
        assert_eq!(tail.class, Lane::InSlot);
        assert!(tail.tag >= places.last().unwrap().tag, "behind those who told the truth");
        let pass = enter(&door, shown(&lied)).await.expect("again");
        assert_eq!(door.redeem(&pass, &verified(3, Profile::Teacher)).await, Redeemed::In);
    });
}

/// Else whoever has waited once could guess at everybody's secret for hours, in the lane of that place.
#[test]
fn a_place_is_not_leave_to_guess() {
    play(async |stage| {
        let door = door(&stage, 5.0);
        let place = crowd(&door, 0, 3).await.remove(0);
        for _ in 0..3 {
            second(&stage, &[&door]).await;
        }
        for guess in 0..5 {
            let pass = enter(&door, shown(&place)).await;
            let pass = pass.unwrap_or_else(|| panic!("whoever mistypes {guess} times keeps the place"));
            door.wrong_secret(&pass);
        }
        let behind = wait(&door, shown(&place)).await;
        assert_ne!(behind.ticket, place.ticket);
        assert_eq!(behind.class, Lane::Suspect);
    });
}

fn verified(person: u128, profile: Profile) -> Verified {
    Verified {
        person: PersonId::from(Uuid::from_u128(person)),
        people: vec![Person {
            profile: Some(profile),
            territory: territory(),
            school: Some(school(0)),
            mef: None,
            siblings: Vec::new(),
            class: None,
            primary: false,
            tz: "Europe/Paris".parse().unwrap(),
        }],
        returning: None,
    }
}

fn left_by(mark: u8, who: Verified) -> Verified {
    Verified { returning: Some([mark; 8]), ..who }
}

/// The turn of a place at the front: three seconds at most, while thirty wait behind it.
async fn at_the_front(stage: &Stage, doors: &[&Door], place: &Place) -> Pass {
    for _ in 0..3 {
        second(stage, doors).await;
        if let Some(pass) = enter(doors[0], shown(place)).await {
            return pass;
        }
    }
    panic!("not at the front: {place:?}")
}

#[test]
fn whoever_left_comes_back_to_the_front_once() {
    play(async |stage| {
        let (door, other) = (door(&stage, 1.0), door(&stage, 1.0));
        let places = crowd(&door, 0, 30).await;
        other.turn().await;
        let last = places.last().unwrap().tag;
        let left = stage.clock().now();
        let waiting = |lane: usize| door.status().territories[0].lanes[lane].waiting;
        let at = wait(&door, back(pupil(0, 7_000), left, 5)).await;
        assert_eq!((at.class, at.reason, at.position), (Lane::Lesson, Reason::Returning, 1));
        door.turn().await;
        assert_eq!(waiting(1), 1);
        // The answer was lost, on another node: the turn, and nobody is counted twice.
        let twice = wait(&other, back(pupil(0, 7_000), left, 5)).await;
        assert!(twice.tag < at.tag && twice.reason == Reason::Returning);
        door.turn().await;
        assert_eq!(waiting(1), 1, "one leave is one person");

        let both = [&door, &other];
        let lina = left_by(5, verified(1, Profile::Pupil));
        let pass = at_the_front(&stage, &both, &at).await;
        // As by a desk, on the other node.
        let pass = other.from_state(&door.to_state(&pass).unwrap()).unwrap();
        assert_eq!(other.redeem(&pass, &lina).await, Redeemed::In);
        assert_eq!(door.redeem(&pass, &lina).await, Redeemed::In, "an answer that was lost");
        for place in [twice, wait(&door, back(pupil(0, 7_000), left, 5)).await] {
            let pass = at_the_front(&stage, &both, &place).await;
            let Redeemed::Replayed(tail) = other.redeem(&pass, &lina).await else { panic!("used twice") };
            assert_eq!((tail.class, tail.reason), (Lane::InSlot, Reason::OtherDevice), "the own lane");
            assert!(tail.tag >= last);
        }

        // Another's leave is worth nothing, however high one stands: a place as if one came now.
        for (who, lane) in [(Profile::Pupil, Lane::InSlot), (Profile::Teacher, Lane::Lesson)] {
            let mark = 6 + u8::from(who == Profile::Teacher);
            let stolen = wait(&door, back(pupil(0, 8_000), left, mark)).await;
            let pass = at_the_front(&stage, &both, &stolen).await;
            for thief in [verified(2, who), left_by(5, verified(2, who))] {
                let Redeemed::Liar(place) = door.redeem(&pass, &thief).await else { panic!("stolen") };
                assert_eq!(place.class, lane);
                assert!(lane != Lane::InSlot || place.tag >= last);
            }
        }

        // Not for suspects, not from the future, not after ten minutes.
        let failing = wait(&door, Asks { failing: true, ..back(pupil(0, 9_000), left, 8) }).await;
        assert_eq!(failing.class, Lane::Suspect);
        for (subject, left) in
            [(9_001, left + chrono::Duration::minutes(2)), (9_002, left - chrono::Duration::minutes(10))]
        {
            let plain = wait(&door, back(pupil(0, subject), left, 9)).await;
            assert_eq!((plain.class, plain.reason), (Lane::InSlot, Reason::Pupil));
        }
    });
}

#[test]
fn a_ticket_of_another_epoch_is_none_and_its_holder_waits_like_a_newcomer() {
    play(async |stage| {
        let (one, two) = (door(&stage, 1.0), door(&stage, 1.0));
        let places = crowd(&one, 0, 10).await;
        let order = |epoch, made_at| Order {
            id: Uuid::from_u128(u128::from(epoch)),
            act: Act::Epoch { epoch },
            territory: None,
            author: "exploitation".to_owned(),
            reason: "essai".to_owned(),
            made_at,
            until: None,
        };
        let now = stage.clock().now();
        for door in [&one, &two] {
            door.obey(Arc::new(Orders(vec![order(7, now)])));
        }
        second(&stage, &[&one, &two]).await;
        let (mut last, mut drawn) = (0, Vec::new());
        for (place, subject) in places.iter().zip(0..) {
            let asks = Asks { ticket: Some(place.ticket.clone()), ..pupil(0, 50_000 + subject) };
            let again = wait(&two, asks).await;
            assert_ne!(again.ticket, place.ticket, "it is worth nothing");
            assert!(again.tag > last, "and gains nothing: one after the other");
            last = again.tag;
            drawn.push(again);
        }
        one.turn().await;
        two.turn().await;
        for place in &drawn {
            assert_eq!(wait(&one, shown(place)).await.ticket, place.ticket);
        }
    });
}

#[test]
fn a_pass_crosses_a_redirect_and_is_no_ticket() {
    play(async |stage| {
        let (one, two) = (door(&stage, 0.0), door(&stage, 0.0));
        let pass = enter(&one, pupil(0, 1)).await.expect("nobody waits");
        let state = one.to_state(&pass).expect("keys are there");
        let carried = two.from_state(&state).expect("another node reads it");
        assert_eq!(carried.lane(), pass.lane());
        assert!(two.from_state(&state[..state.len() - 2]).is_none());
        stage.advance(chrono::Duration::minutes(11));
        assert!(two.from_state(&state).is_none(), "ten minutes");
        let busy = door(&stage, 0.001);
        busy.turn().await;
        let sealed = state[1..].trim_end_matches('.').to_owned();
        let place = wait(&busy, Asks { ticket: Some(sealed.clone()), ..pupil(0, 1) }).await;
        assert_ne!(place.ticket, sealed, "what is carried is no place");
    });
}
