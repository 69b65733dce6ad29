//! Everybody asks for everything: whoever may is let in, whoever may not is told so and changes nothing.

use http::StatusCode;
use preau_http::RouteRow;
use preau_kernel::Role;
use preau_tests::{Answer, Client, Persona, Stage, play};
use uuid::Uuid;

use super::{FROM_ELSEWHERE, May, decided};
use crate::world::{Ask, Target, World};

/// Somebody who asks.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Actor {
    Nobody,
    Expired,
    Revoked,
    Member(Role),
    /// Administers another school of the territory.
    Neighbour,
    /// Administers a school of another territory.
    Foreigner,
    TerritoryAdmin,
    ForeignTerritoryAdmin,
}

const ACTORS: [Actor; 13] = [
    Actor::Nobody,
    Actor::Expired,
    Actor::Revoked,
    Actor::Member(Role::Pupil),
    Actor::Member(Role::Guardian),
    Actor::Member(Role::Teacher),
    Actor::Member(Role::Staff),
    Actor::Member(Role::SchoolAdmin),
    Actor::Member(Role::Guest),
    Actor::Neighbour,
    Actor::Foreigner,
    Actor::TerritoryAdmin,
    Actor::ForeignTerritoryAdmin,
];

/// What an actor must be told.
fn told(may: May, actor: Actor) -> Option<StatusCode> {
    use Actor::*;
    let open = matches!(may, May::Anyone | May::Browser);
    match (may, actor) {
        _ if open => None,
        (_, Nobody | Expired | Revoked) => Some(StatusCode::UNAUTHORIZED),
        (May::Anyone | May::Browser | May::SignedIn, _) => None,
        (May::School(roles), Member(role)) => (!roles.contains(&role)).then_some(StatusCode::FORBIDDEN),
        (May::School(roles), TerritoryAdmin) if roles.contains(&Role::SchoolAdmin) => None,
        (May::School(_), _) => Some(StatusCode::NOT_FOUND),
        (May::Territory, TerritoryAdmin) => None,
        (May::Territory, Member(_) | Neighbour) => Some(StatusCode::FORBIDDEN),
        (May::Territory, Foreigner | ForeignTerritoryAdmin) => Some(StatusCode::NOT_FOUND),
    }
}

impl World {
    fn persona(&self, actor: Actor) -> Option<&Persona> {
        Some(match actor {
            Actor::Nobody => return None,
            Actor::Expired | Actor::Revoked | Actor::Member(Role::SchoolAdmin) => &self.admin,
            Actor::Member(Role::Pupil) => &self.pupil,
            Actor::Member(Role::Guardian) => &self.guardian,
            Actor::Member(Role::Teacher) => &self.teacher,
            Actor::Member(Role::Staff) => &self.staff,
            Actor::Member(Role::Guest) => &self.guest,
            Actor::Neighbour => &self.neighbour,
            Actor::Foreigner => &self.foreigner,
            Actor::TerritoryAdmin => &self.territory_admin,
            Actor::ForeignTerritoryAdmin => &self.foreign_territory_admin,
        })
    }

    async fn client(&self, actor: Actor) -> Client {
        let Some(persona) = self.persona(actor) else { return self.node.stranger() };
        let family = self.stage.family(persona).await;
        let age =
            if actor == Actor::Expired { chrono::Duration::seconds(300) } else { chrono::Duration::zero() };
        // Proven, so that what is told is about the actor; what a missing proof is told has its own test.
        let proven = Some(self.stage.clock().now());
        let token = self.node.token_proven(persona, family, age, proven).await;
        if actor == Actor::Revoked {
            self.node.app.revoked.add_family(family);
        }
        self.node.bearer(token)
    }

    /// Everybody, each with one session: for requests that use nothing up.
    async fn clients(&self) -> Vec<(Actor, Client)> {
        let mut clients = Vec::new();
        for actor in ACTORS {
            clients.push((actor, self.client(actor).await));
        }
        clients
    }
}

async fn new_world(stage: Stage) -> World {
    let world = World::new(stage).await;
    // Somebody who has not come yet, whom a teacher and administrators may hand a code.
    world
        .stage
        .sql(&format!("UPDATE account SET state = 'imported' WHERE person_id = '{}'", world.pupil.id))
        .await;
    world
}

#[test]
fn denials_say_what_was_decided_and_change_nothing() {
    play(async |stage| {
        let world = new_world(stage).await;
        let clients = world.clients().await;
        let mut denials = 0;
        for row in world.node.table.iter() {
            let may = decided(row);
            let told = |actor| told(may, actor);
            if ACTORS.into_iter().all(|actor| told(actor).is_none()) {
                continue;
            }
            // One request serves everybody: whoever is denied uses nothing up. It is made before the picture of the database,
            // for what it is about is written for it.
            let target = world.own_target(Some(&world.admin)).await;
            let ask = world.ask(row, &target).await;
            let absent = absent(&world, row, target).await;
            let before = world.stage.fingerprint().await;
            for (actor, client) in &clients {
                let Some(status) = told(*actor) else { continue };
                let answer = ask.by(client).await;
                let name = format!("{} for {actor:?}", row.operation_id);
                assert_eq!(answer.status, status, "{name}: {}", String::from_utf8_lossy(&answer.body));
                if status == StatusCode::NOT_FOUND {
                    let absent = absent.by(client).await;
                    assert_eq!(seen(&answer), seen(&absent), "{name}: foreign and absent differ");
                }
                denials += 1;
            }
            assert_eq!(world.stage.fingerprint().await, before, "{} was denied and wrote", row.operation_id);
        }
        assert!(denials > 1000, "{denials}");
    });
}

/// Whether it is a form, which a browser sends: pages.rs follows those to their end.
fn is_form(row: &RouteRow) -> bool {
    decided(row) == May::Browser && row.method != "GET"
}

#[test]
fn whoever_may_reads() {
    play(async |stage| {
        let world = new_world(stage).await;
        let clients = world.clients().await;
        let mut answers = 0;
        for row in world.node.table.iter().filter(|row| row.method == "GET") {
            let may = decided(row);
            // Reading uses nothing up: everybody asks the same.
            let target = world.own_target(Some(&world.admin)).await;
            let ask = world.ask(row, &target).await;
            for (actor, client) in clients.iter().filter(|(actor, _)| told(may, *actor).is_none()) {
                is_let_in(row, *actor, &ask.by(client).await);
                answers += 1;
            }
        }
        assert!(answers > 500, "{answers}");
    });
}

#[test]
fn whoever_may_writes() {
    play(async |stage| {
        let world = new_world(stage).await;
        let mut answers = 0;
        for row in world.node.table.iter().filter(|row| row.method != "GET" && !is_form(row)) {
            let may = decided(row);
            for actor in ACTORS.into_iter().filter(|actor| told(may, *actor).is_none()) {
                let target = world.own_target(world.persona(actor)).await;
                let ask = world.ask(row, &target).await;
                is_let_in(row, actor, &ask.by(&world.client(actor).await).await);
                answers += 1;
            }
        }
        assert!(answers > 300, "{answers}");
    });
}

#[test]
fn no_form_is_taken_from_another_site() {
    play(async |stage| {
        let world = new_world(stage).await;
        let clients = world.clients().await;
        for row in world.node.table.iter().filter(|row| is_form(row)) {
            let target = world.own_target(Some(&world.admin)).await;
            let ask = world.ask(row, &target).await;
            let before = world.stage.fingerprint().await;
            for (actor, client) in &clients {
                let answer = ask.by(&client.clone().with("origin", "https://evil.example")).await;
                let name = format!("{} for {actor:?}", row.operation_id);
                if FROM_ELSEWHERE.contains(&row.operation_id.as_str()) {
                    // Taken, and not believed: it holds nothing that a desk signed.
                    assert!(answer.status.is_client_error(), "{name}: {}", answer.status);
                } else {
                    assert_eq!(answer.status, StatusCode::FORBIDDEN, "{name}");
                }
            }
            assert_eq!(world.stage.fingerprint().await, before, "{}", row.operation_id);
        }
    });
}

/// Holds an answer to somebody who may ask.
fn is_let_in(row: &RouteRow, actor: Actor, answer: &Answer) {
    let name = format!("{} for {actor:?}: {}", row.operation_id, String::from_utf8_lossy(&answer.body));
    match row.operation_id.as_str() {
        // Whom they let through depends on what else is there: `second_factor` follows each to its end.
        "create_proof_challenge"
        | "create_proof"
        | "update_totp"
        | "create_passkey"
        | "create_recovery_codes"
            if !answer.status.is_success() =>
        {
            let known = [
                "second-factor-setup",
                "bad-credentials",
                "challenge-ended",
                "no-second-factor",
                "second-factor-required",
            ];
            assert!(known.contains(&answer.code().as_str()), "{name}");
        }
        // The browser program may not be built, and this file is not in it.
        "get_asset" => assert_eq!(answer.status, StatusCode::NOT_FOUND, "{name}"),
        "get_shell" | "get_service_worker" => assert!(!answer.status.is_server_error(), "{name}"),
        // A page says what the API answers to whoever looks at it: pages.rs and the API's own rows tell.
        _ if decided(row) == May::Browser && answer.status.is_client_error() => assert!(
            ["/administration", "/federation", "/compte", "/fiches", "/profils"]
                .iter()
                .any(|reserved| row.path.starts_with(reserved)),
            "{} {name}",
            answer.status
        ),
        _ => assert!(
            answer.status.is_success() || answer.status == StatusCode::SEE_OTHER,
            "{} {name}",
            answer.status
        ),
    }
}

#[test]
fn keyed_writes_need_their_key() {
    play(async |stage| {
        let world = new_world(stage).await;
        for row in world.node.table.iter() {
            let unsafe_method = !matches!(row.method.as_str(), "GET" | "PUT" | "DELETE");
            assert!(!row.keyed || unsafe_method, "{}: idempotent by nature", row.operation_id);
            if !row.keyed {
                continue;
            }
            let target = world.own_target(Some(&world.territory_admin)).await;
            let mut ask = world.ask(row, &target).await;
            ask.headers.clear();
            let client = world.client(Actor::TerritoryAdmin).await;
            // The first use of a school by its territory is journaled, whatever comes of it.
            ask.by(&client).await.refused(400, "idempotency-key-missing");
            let before = world.stage.fingerprint().await;
            ask.by(&client).await.refused(400, "idempotency-key-missing");
            ask.headers.push(("idempotency-key", "court".to_owned()));
            ask.by(&client).await.refused(400, "idempotency-key-malformed");
            assert_eq!(world.stage.fingerprint().await, before);
        }
    });
}

#[test]
fn dangerous_routes_want_a_recent_proof() {
    play(async |stage| {
        let world = new_world(stage).await;
        let now = world.stage.clock().now();
        let proofs = [None, Some(now - chrono::Duration::minutes(10))];
        let zero = chrono::Duration::zero();
        for row in world.node.table.iter().filter(|row| row.sudo) {
            let may = decided(row);
            let mut asked = Vec::new();
            for actor in ACTORS.into_iter().filter(|actor| told(may, *actor).is_none()) {
                let Some(persona) = world.persona(actor) else { continue };
                let target = world.own_target(Some(persona)).await;
                let ask = world.ask(row, &target).await;
                let family = world.stage.family(persona).await;
                for strong_at in proofs {
                    let token = world.node.token_proven(persona, family, zero, strong_at).await;
                    let client = world.node.bearer(token);
                    // The first use of a school by its territory is journaled, whatever comes of it.
                    ask.by(&client).await.refused(403, "proof-required");
                    asked.push((client, ask.clone()));
                }
            }
            let before = world.stage.fingerprint().await;
            for (client, ask) in asked {
                ask.by(&client).await.refused(403, "proof-required");
            }
            assert_eq!(world.stage.fingerprint().await, before, "{} wrote", row.operation_id);
        }
    });
}

/// The same request about things that are nowhere.
async fn absent(world: &World, row: &RouteRow, target: Target) -> Ask {
    let nowhere: Uuid = world.stage.clock().mint();
    let target = Target { school: nowhere, territory: nowhere, ..target };
    world.ask(row, &target).await
}

/// All that a client sees of an answer.
fn seen(answer: &Answer) -> impl PartialEq + std::fmt::Debug + use<> {
    let headers: Vec<(String, Vec<u8>)> =
        answer.headers.iter().map(|(name, value)| (name.to_string(), value.as_bytes().to_vec())).collect();
    (answer.status, headers, answer.body.to_vec())
}
