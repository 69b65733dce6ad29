//! Every route × everybody, against a table written by hand. A new route is red until somebody adds its line, which is a
//! decision, and is reviewed as one.

use std::collections::BTreeMap;

use http::StatusCode;
use preau_http::{RouteRow, Who};
use preau_kernel::{Role, RoleSet};
use preau_tests::{Answer, Client, Persona, Stage, play};
use uuid::Uuid;

use crate::world::{Ask, Target, World};

/// Who may call an operation.
#[derive(Clone, Copy, Debug, PartialEq)]
enum May {
    /// Anybody, on purpose.
    Anyone,
    /// A page or form for browsers: strangers are shown the way in.
    Browser,
    /// Whoever has a session.
    SignedIn,
    /// These, in the school of the path; its territory's administrators where its own are named.
    School(&'static [Role]),
    /// Administrators of the territory of the path.
    Territory,
}

/// Whoever belongs to the school: its guests do not.
const ANY_MEMBER: May =
    May::School(&[Role::Pupil, Role::Guardian, Role::Teacher, Role::Staff, Role::SchoolAdmin]);
/// Its guests too: what shows nobody but oneself.
const ALSO_GUESTS: May = May::School(&Role::ALL);

/// The decisions.
const TABLE: &[(&str, May)] = &[
    // Identity.
    ("create_session", May::Anyone),
    ("create_queue_ticket", May::Anyone),
    ("get_queue_now", May::Anyone),
    ("list_queue_schools", May::Anyone),
    ("refresh_session", May::Anyone),
    ("create_activation", May::Anyone),
    ("delete_current_session", May::SignedIn),
    ("list_sessions", May::SignedIn),
    ("delete_session", May::SignedIn),
    ("update_password", May::SignedIn),
    ("accept_terms", May::SignedIn),
    ("create_activation_code", May::School(&[Role::Teacher, Role::SchoolAdmin])),
    // Accounts.
    ("get_account", May::SignedIn),
    ("update_email", May::SignedIn),
    ("delete_email", May::SignedIn),
    ("confirm_email", May::SignedIn),
    ("update_mobile", May::SignedIn),
    ("delete_mobile", May::SignedIn),
    ("confirm_mobile", May::SignedIn),
    ("create_email_confirmation", May::Anyone),
    ("create_login_reminder", May::Anyone),
    ("create_password_reset", May::Anyone),
    ("complete_password_reset", May::Anyone),
    ("get_passphrase", May::Anyone),
    ("get_terms", May::Anyone),
    ("create_reset_code", May::School(&[Role::Teacher, Role::SchoolAdmin])),
    ("list_activation_sheets", May::School(&[Role::Teacher, Role::SchoolAdmin])),
    ("create_activation_sheets", May::School(&[Role::Teacher, Role::SchoolAdmin])),
    ("export_activation_sheets", May::School(&[Role::Teacher, Role::SchoolAdmin])),
    ("create_cards", May::School(&[Role::Teacher, Role::SchoolAdmin])),
    ("get_class_rights", May::School(&[Role::Teacher, Role::SchoolAdmin])),
    ("update_class_rights", May::School(&[Role::SchoolAdmin])),
    ("update_account_block", May::School(&[Role::Teacher, Role::SchoolAdmin])),
    ("delete_account_block", May::School(&[Role::Teacher, Role::SchoolAdmin])),
    ("list_profile_blocks", May::School(&[Role::SchoolAdmin])),
    ("update_profile_block", May::School(&[Role::SchoolAdmin])),
    ("update_account_demand", May::School(&[Role::SchoolAdmin])),
    ("delete_account_demand", May::School(&[Role::SchoolAdmin])),
    ("delete_profile_block", May::School(&[Role::SchoolAdmin])),
    ("list_device_profiles", May::Anyone),
    ("create_device_profile", May::SignedIn),
    ("create_profile_session", May::Anyone),
    ("delete_device_profile", May::Anyone),
    // Second factors.
    ("create_passkey_challenge", May::Anyone),
    ("create_proof_challenge", May::SignedIn),
    ("create_proof", May::SignedIn),
    ("get_second_factors", May::SignedIn),
    ("create_totp_enrolment", May::SignedIn),
    ("update_totp", May::SignedIn),
    ("delete_totp", May::SignedIn),
    ("create_passkey_enrolment", May::SignedIn),
    ("create_passkey", May::SignedIn),
    ("update_passkey", May::SignedIn),
    ("delete_passkey", May::SignedIn),
    ("create_recovery_codes", May::SignedIn),
    ("list_security_events", May::SignedIn),
    ("delete_second_factors", May::School(&[Role::SchoolAdmin])),
    ("get_school_factor_policy", May::School(&[Role::SchoolAdmin])),
    ("update_school_factor_policy", May::School(&[Role::SchoolAdmin])),
    ("get_territory_factor_policy", May::Territory),
    ("update_territory_factor_policy", May::Territory),
    // Desks.
    ("list_federation_desks", May::Anyone),
    ("list_federation_providers", May::Territory),
    ("get_federation_provider", May::Territory),
    ("create_federation_provider", May::Territory),
    ("update_federation_provider", May::Territory),
    ("depart_to_desk", May::Browser),
    ("submit_desk_return", May::Browser),
    ("show_desk_return", May::Browser),
    ("submit_desk_choice", May::Browser),
    ("get_desk_metadata", May::Anyone),
    ("show_desk_sign_out", May::Browser),
    ("submit_desk_sign_out", May::Browser),
    // Directory.
    ("list_classes", ALSO_GUESTS),
    ("get_class", ANY_MEMBER),
    ("list_people", ANY_MEMBER),
    ("get_person", ANY_MEMBER),
    ("list_groups", ANY_MEMBER),
    ("list_group_members", ANY_MEMBER),
    ("list_subjects", ANY_MEMBER),
    // Plans of hours, and suspensions.
    ("list_slots", May::Anyone),
    ("get_account_slot", May::SignedIn),
    ("list_slot_plans", ANY_MEMBER),
    ("create_slot_plan", May::School(&[Role::SchoolAdmin])),
    ("preview_slot_plan", May::School(&[Role::SchoolAdmin])),
    ("get_slot_plan", May::School(&[Role::SchoolAdmin])),
    ("update_slot_plan", May::School(&[Role::SchoolAdmin])),
    ("delete_slot_plan", May::School(&[Role::SchoolAdmin])),
    ("set_slot_plan_mode", May::School(&[Role::SchoolAdmin])),
    ("list_slot_plan_versions", May::School(&[Role::SchoolAdmin])),
    ("list_slot_exceptions", May::School(&[Role::SchoolAdmin])),
    ("create_slot_exception", May::School(&[Role::SchoolAdmin])),
    ("delete_slot_exception", May::School(&[Role::SchoolAdmin])),
    ("list_suspensions", May::School(&[Role::SchoolAdmin])),
    ("create_suspension", May::School(&[Role::SchoolAdmin])),
    ("delete_suspension", May::School(&[Role::SchoolAdmin])),
    ("get_forecast", May::Territory),
    // The desk.
    ("get_load", May::Territory),
    ("list_load_orders", May::Territory),
    ("create_load_order", May::Territory),
    ("end_load_order", May::Territory),
    ("list_load_events", May::Territory),
    ("export_load_events", May::Territory),
    ("list_school_load_orders", May::School(&[Role::SchoolAdmin])),
    ("list_territory_slot_plans", May::Territory),
    ("create_territory_slot_plan", May::Territory),
    ("preview_territory_slot_plan", May::Territory),
    ("get_territory_slot_plan", May::Territory),
    ("update_territory_slot_plan", May::Territory),
    ("delete_territory_slot_plan", May::Territory),
    ("set_territory_slot_plan_mode", May::Territory),
    ("list_territory_slot_plan_versions", May::Territory),
    ("list_territory_slot_exceptions", May::Territory),
    ("create_territory_slot_exception", May::Territory),
    ("delete_territory_slot_exception", May::Territory),
    ("list_territory_suspensions", May::Territory),
    ("create_territory_suspension", May::Territory),
    ("delete_territory_suspension", May::Territory),
    ("show_slots", May::Anyone),
    ("show_schools", May::Anyone),
    // Administration, and who may write to whom.
    ("list_administered_people", May::School(&[Role::SchoolAdmin])),
    ("create_person", May::School(&[Role::SchoolAdmin])),
    ("create_class_pupils", May::School(&[Role::Teacher, Role::SchoolAdmin])),
    ("delete_class_pupil", May::School(&[Role::Teacher, Role::SchoolAdmin])),
    ("delete_taught_pupil", May::School(&[Role::Teacher, Role::SchoolAdmin])),
    ("get_administered_person", May::School(&[Role::SchoolAdmin])),
    ("update_person", May::School(&[Role::SchoolAdmin])),
    ("attach_person", May::School(&[Role::SchoolAdmin])),
    ("set_membership", May::School(&[Role::SchoolAdmin])),
    ("end_membership", May::School(&[Role::SchoolAdmin])),
    ("appoint_administrator", May::School(&[Role::SchoolAdmin])),
    ("dismiss_administrator", May::School(&[Role::SchoolAdmin])),
    ("create_class", May::School(&[Role::SchoolAdmin])),
    ("get_administered_class", May::School(&[Role::SchoolAdmin])),
    ("update_class", May::School(&[Role::SchoolAdmin])),
    ("end_class", May::School(&[Role::SchoolAdmin])),
    ("add_class_pupil", May::School(&[Role::SchoolAdmin])),
    ("remove_class_pupil", May::School(&[Role::SchoolAdmin])),
    ("set_class_teacher", May::School(&[Role::SchoolAdmin])),
    ("remove_class_teacher", May::School(&[Role::SchoolAdmin])),
    ("create_group", May::School(&[Role::SchoolAdmin])),
    ("get_administered_group", May::School(&[Role::SchoolAdmin])),
    ("update_group", May::School(&[Role::SchoolAdmin])),
    ("end_group", May::School(&[Role::SchoolAdmin])),
    ("add_group_pupil", May::School(&[Role::SchoolAdmin])),
    ("remove_group_pupil", May::School(&[Role::SchoolAdmin])),
    ("set_group_teacher", May::School(&[Role::SchoolAdmin])),
    ("remove_group_teacher", May::School(&[Role::SchoolAdmin])),
    ("set_guardian_link", May::School(&[Role::SchoolAdmin])),
    ("delete_guardian_link", May::School(&[Role::SchoolAdmin])),
    ("create_bulk_change", May::School(&[Role::SchoolAdmin])),
    ("get_bulk_change", May::School(&[Role::SchoolAdmin])),
    ("apply_bulk_change", May::School(&[Role::SchoolAdmin])),
    ("export_list", May::School(&[Role::SchoolAdmin])),
    ("list_delegations", May::School(&[Role::SchoolAdmin])),
    ("create_delegation", May::School(&[Role::SchoolAdmin])),
    ("revoke_delegation", May::School(&[Role::SchoolAdmin])),
    ("list_school_journal", May::School(&[Role::SchoolAdmin])),
    ("verify_school_journal", May::School(&[Role::SchoolAdmin])),
    ("list_school_duplicates", May::School(&[Role::SchoolAdmin])),
    ("set_school_duplicate_verdict", May::School(&[Role::SchoolAdmin])),
    ("merge_school_duplicate", May::School(&[Role::SchoolAdmin])),
    ("set_communication_rules", May::School(&[Role::SchoolAdmin])),
    ("preview_communication_rules", May::School(&[Role::SchoolAdmin])),
    ("list_schools", May::Territory),
    ("get_territory_counters", May::Territory),
    ("look_up_people", May::Territory),
    ("list_territory_journal", May::Territory),
    ("verify_territory_journal", May::Territory),
    ("create_year_transition", May::Territory),
    ("list_year_transitions", May::Territory),
    ("get_year_transition", May::Territory),
    ("move_year_transition", May::Territory),
    ("create_duplicate_search", May::Territory),
    ("list_territory_duplicates", May::Territory),
    ("set_territory_duplicate_verdict", May::Territory),
    ("create_merge", May::Territory),
    ("list_merges", May::Territory),
    ("get_merge", May::Territory),
    ("undo_merge", May::Territory),
    ("get_contact", May::School(&[Role::Teacher, Role::Staff, Role::SchoolAdmin])),
    ("get_communication_rules", May::School(&[Role::Teacher, Role::Staff, Role::SchoolAdmin])),
    ("list_writable_people", ALSO_GUESTS),
    // The day.
    ("get_timetable", ALSO_GUESTS),
    ("get_home", May::SignedIn),
    // Feeds.
    ("create_upload", May::Territory),
    ("create_directory_import", May::Territory),
    ("create_timetable_import", May::Territory),
    ("list_feed_holds", May::Territory),
    ("create_feed_decision", May::Territory),
    ("get_feed_report", May::Territory),
    ("get_feed_schedule", May::Territory),
    ("update_feed_schedule", May::Territory),
    ("list_jobs", May::Territory),
    ("get_job", May::Territory),
    ("cancel_job", May::Territory),
    // Clients and approvals.
    ("create_oauth_token", May::Anyone),
    ("get_oauth_metadata", May::Anyone),
    ("list_client_scopes", May::SignedIn),
    ("list_school_clients", May::School(&[Role::SchoolAdmin])),
    ("create_school_client", May::School(&[Role::SchoolAdmin])),
    ("get_school_client", May::School(&[Role::SchoolAdmin])),
    ("update_school_client", May::School(&[Role::SchoolAdmin])),
    ("delete_school_client", May::School(&[Role::SchoolAdmin])),
    ("create_school_client_secret", May::School(&[Role::SchoolAdmin])),
    ("delete_school_client_secret", May::School(&[Role::SchoolAdmin])),
    ("list_territory_clients", May::Territory),
    ("create_territory_client", May::Territory),
    ("get_territory_client", May::Territory),
    ("update_territory_client", May::Territory),
    ("delete_territory_client", May::Territory),
    ("create_territory_client_secret", May::Territory),
    ("delete_territory_client_secret", May::Territory),
    ("list_read_approvals", May::School(&[Role::SchoolAdmin])),
    ("create_read_approval", May::School(&[Role::SchoolAdmin])),
    ("create_read_decision", May::School(&[Role::SchoolAdmin])),
    ("delete_read_approval", May::School(&[Role::SchoolAdmin])),
    ("list_territory_read_approvals", May::Territory),
    // Pages.
    ("show_day", May::Browser),
    ("show_week", May::Browser),
    ("show_devices", May::Browser),
    ("submit_device_end", May::Browser),
    ("show_sign_in", May::Browser),
    ("submit_sign_in", May::Browser),
    ("submit_lane", May::Browser),
    ("submit_sign_out", May::Browser),
    ("show_activation", May::Browser),
    ("submit_activation", May::Browser),
    ("show_terms", May::Browser),
    ("submit_terms", May::Browser),
    ("show_email", May::Browser),
    ("show_email_code", May::Browser),
    ("show_email_link", May::Browser),
    ("show_forgotten_login", May::Browser),
    ("show_forgotten_password", May::Browser),
    ("show_mobile", May::Browser),
    ("show_mobile_code", May::Browser),
    ("show_profile", May::Browser),
    ("show_profile_add", May::Browser),
    ("show_profiles", May::Browser),
    ("show_reset", May::Browser),
    ("show_reset_link", May::Browser),
    ("show_sheets", May::Browser),
    ("submit_email", May::Browser),
    ("submit_email_code", May::Browser),
    ("submit_email_link", May::Browser),
    ("submit_forgotten_login", May::Browser),
    ("submit_forgotten_password", May::Browser),
    ("submit_mobile", May::Browser),
    ("submit_mobile_code", May::Browser),
    ("submit_profile", May::Browser),
    ("submit_profile_add", May::Browser),
    ("submit_profile_end", May::Browser),
    ("submit_reset", May::Browser),
    ("submit_sheets", May::Browser),
    ("show_second_step", May::Browser),
    ("submit_second_step", May::Browser),
    ("submit_passkey_sign_in", May::Browser),
    ("show_account", May::Browser),
    ("show_password", May::Browser),
    ("submit_password", May::Browser),
    ("show_second_factor", May::Browser),
    ("submit_second_factor", May::Browser),
    ("submit_first_code", May::Browser),
    ("submit_recovery_codes", May::Browser),
    ("show_second_factor_end", May::Browser),
    ("submit_second_factor_end", May::Browser),
    ("show_passkeys", May::Browser),
    ("submit_new_passkey", May::Browser),
    ("submit_passkey", May::Browser),
    ("submit_passkey_end", May::Browser),
    ("show_proof", May::Browser),
    ("submit_proof", May::Browser),
    ("show_administration", May::Browser),
    ("show_people", May::Browser),
    ("show_school_section", May::Browser),
    ("show_territory_section", May::Browser),
    ("show_person", May::Browser),
    ("submit_code", May::Browser),
    ("submit_block", May::Browser),
    ("submit_unblock", May::Browser),
    ("show_status", May::Anyone),
    ("show_priority", May::Anyone),
    ("show_load", May::Browser),
    ("show_load_orders", May::Browser),
    ("submit_load_order", May::Browser),
    ("submit_load_order_end", May::Browser),
    ("show_load_events", May::Browser),
    ("show_school_load", May::Browser),
    ("get_shell", May::Anyone),
    ("get_asset", May::Anyone),
    ("get_service_worker", May::Anyone),
    ("get_manifest", May::Anyone),
];

/// Operations that also ask for a recent proof of who asks (`Policy::sudo`).
const PROVEN: &[&str] = &[
    "appoint_administrator",
    "dismiss_administrator",
    "move_year_transition",
    "merge_school_duplicate",
    "create_merge",
    "undo_merge",
    "create_federation_provider",
    "update_federation_provider",
    "update_email",
    "delete_email",
    "update_mobile",
    "delete_mobile",
    "update_profile_block",
    "update_account_demand",
    "delete_account_demand",
    "create_school_client",
    "update_school_client",
    "create_school_client_secret",
    "create_territory_client",
    "update_territory_client",
    "create_territory_client_secret",
    "set_slot_plan_mode",
    "create_suspension",
    "create_load_order",
    "set_territory_slot_plan_mode",
    "create_territory_suspension",
    "create_read_decision",
    "create_feed_decision",
    "delete_totp",
    "delete_passkey",
    "create_recovery_codes",
    "delete_second_factors",
    "update_school_factor_policy",
    "update_territory_factor_policy",
];

/// Forms that another site sends by nature (`Policy::from_elsewhere`): a desk's.
const FROM_ELSEWHERE: &[&str] = &["submit_desk_return", "submit_desk_sign_out"];

/// What is wrong with a table of routes, beside the decisions.
fn faults<'a>(routes: impl IntoIterator<Item = (&'a str, Who, bool)>) -> Vec<String> {
    let mut undone: BTreeMap<&str, May> = TABLE.iter().copied().collect();
    let mut faults = Vec::new();
    for (operation, who, sudo) in routes {
        if sudo != PROVEN.contains(&operation) && undone.contains_key(operation) {
            faults.push(format!("{operation}: whether it asks for a proof was decided otherwise"));
        }
        match undone.remove(operation) {
            None => faults.push(format!("{operation}: nobody has decided who may call it")),
            Some(may) if !same(may, who) => faults.push(format!("{operation}: decided {may:?}, is {who:?}")),
            Some(_) => {}
        }
    }
    faults.extend(undone.keys().map(|operation| format!("{operation}: decided, and not there")));
    faults
}

fn same(may: May, who: Who) -> bool {
    match (may, who) {
        (May::Anyone, Who::Anyone)
        | (May::Browser, Who::Browser)
        | (May::SignedIn, Who::SignedIn)
        | (May::Territory, Who::TerritoryAdmin) => true,
        (May::School(roles), Who::InSchool(allowed)) => RoleSet::of(roles) == allowed,
        _ => false,
    }
}

fn policies(table: &[RouteRow]) -> Vec<(&str, Who, bool)> {
    table.iter().map(|row| (row.operation_id.as_str(), row.who(), row.sudo)).collect()
}

#[test]
fn every_route_was_decided() {
    play(async |stage| {
        let node = stage.cold_node(|_| {});
        assert_eq!(faults(policies(&node.table)), [""; 0]);
        for row in node.table.iter() {
            let elsewhere = row.policy.ends_with(", from elsewhere");
            assert_eq!(
                elsewhere,
                FROM_ELSEWHERE.contains(&row.operation_id.as_str()),
                "{}",
                row.operation_id
            );
        }
        let patterns: Vec<_> = node.table.iter().map(|row| (&row.method, &row.path)).collect();
        for (at, pattern) in patterns.iter().enumerate() {
            assert!(!patterns[..at].contains(pattern), "{pattern:?} twice");
        }
    });
}

#[test]
fn flipping_any_policy_is_seen() {
    play(async |stage| {
        let node = stage.cold_node(|_| {});
        let table = policies(&node.table);
        let others =
            [Who::Anyone, Who::Browser, Who::SignedIn, Who::TerritoryAdmin, Who::InSchool(RoleSet::NONE)];
        let narrower_and_wider = |roles: RoleSet| {
            Role::ALL.map(|role| {
                let flipped: RoleSet =
                    Role::ALL.into_iter().filter(|one| roles.has(*one) != (*one == role)).collect();
                Who::InSchool(flipped)
            })
        };
        for (at, &(operation, who, sudo)) in table.iter().enumerate() {
            let mut mutants: Vec<Who> = others.into_iter().filter(|other| *other != who).collect();
            if let Who::InSchool(roles) = who {
                mutants.extend(narrower_and_wider(roles));
            }
            for mutant in mutants {
                let mut mutated = table.clone();
                mutated[at].1 = mutant;
                assert_eq!(faults(mutated).len(), 1, "{operation} as {mutant:?}");
            }
            let mut mutated = table.clone();
            mutated[at].2 = !sudo;
            assert_eq!(faults(mutated).len(), 1, "{operation} with its proof flipped");
            let mut without = table.clone();
            without.remove(at);
            assert_eq!(faults(without).len(), 1, "{operation} taken away");
        }
        let mut more = table.clone();
        more.push(("read_everything", Who::Anyone, false));
        assert_eq!(faults(more).len(), 1);
    });
}

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
        // Whom they let through depends on what else is there: second_factor.rs follows each to its end.
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

fn decided(row: &RouteRow) -> May {
    let found = TABLE.iter().find(|(operation, _)| *operation == row.operation_id);
    found.unwrap_or_else(|| panic!("{}: nobody has decided who may call it", row.operation_id)).1
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
