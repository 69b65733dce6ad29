//! Every route × programs: without its scope, with it, and of another school. A route that is not in the table here is
//! closed to every program, whatever its other scopes.

use std::collections::BTreeMap;

use http::StatusCode;
use preau_http::{RouteRow, Who};
use preau_kernel::{Reach, Scope};
use preau_tests::{Answer, Client, play};

use crate::world::World;

/// The decisions: which scope opens what.
const SCOPES: &[(&str, Scope)] = &[
    ("list_classes", Scope::DirectoryRead),
    ("get_class", Scope::DirectoryRead),
    ("list_people", Scope::DirectoryRead),
    ("get_person", Scope::DirectoryRead),
    ("list_groups", Scope::DirectoryRead),
    ("list_group_members", Scope::DirectoryRead),
    ("list_subjects", Scope::DirectoryRead),
    ("get_timetable", Scope::TimetableRead),
    ("list_jobs", Scope::ImportsRead),
    ("get_job", Scope::ImportsRead),
    ("cancel_job", Scope::ImportsWrite),
    ("create_upload", Scope::ImportsWrite),
    ("create_directory_import", Scope::ImportsWrite),
    ("create_timetable_import", Scope::ImportsWrite),
];

/// What is wrong with the scopes of a table of routes.
fn faults<'a>(rows: impl IntoIterator<Item = (&'a str, Who, bool, Option<Scope>)>) -> Vec<String> {
    let mut undone: BTreeMap<&str, Scope> = SCOPES.iter().copied().collect();
    let mut faults = Vec::new();
    for (operation, who, sudo, scope) in rows {
        let decided = undone.remove(operation);
        if decided != scope {
            faults.push(format!("{operation}: decided {decided:?}, is {scope:?}"));
        }
        let reach = scope.map(Scope::reach);
        let fits = match who {
            Who::InSchool(_) => reach != Some(Reach::Territory),
            Who::TerritoryAdmin => reach != Some(Reach::School),
            Who::Anyone | Who::SignedIn | Who::Browser => reach.is_none(),
        };
        if !fits || sudo && scope.is_some() {
            faults.push(format!("{operation}: {scope:?} can open nothing there"));
        }
    }
    faults.extend(undone.keys().map(|operation| format!("{operation}: decided, and not there")));
    faults
}

fn scopes(table: &[RouteRow]) -> Vec<(&str, Who, bool, Option<Scope>)> {
    table.iter().map(|row| (row.operation_id.as_str(), row.who(), row.sudo, row.scope)).collect()
}

#[test]
fn every_scope_was_decided_and_any_change_shows() {
    play(async |stage| {
        let node = stage.cold_node(|_| {});
        let table = scopes(&node.table);
        assert_eq!(faults(table.clone()), [""; 0]);
        for at in 0..table.len() {
            for scope in Scope::ALL.into_iter().map(Some).chain([None]).filter(|scope| *scope != table[at].3)
            {
                let mut mutated = table.clone();
                mutated[at].3 = scope;
                assert!(!faults(mutated).is_empty(), "{} as {scope:?}", table[at].0);
            }
        }
    });
}

/// Every scope but one.
fn others(scope: Option<Scope>) -> Vec<Scope> {
    Scope::ALL.into_iter().filter(|other| Some(*other) != scope).collect()
}

#[test]
fn programs_are_told_what_was_decided_and_denials_write_nothing() {
    play(async |stage| {
        let world = World::new(stage).await;
        let next_door = world.here.school("Lycée Voisin").await;
        let theirs = &world.foreign.school;
        let elsewhere = world.here.program(&[&next_door], &Scope::ALL).await;
        let foreign = theirs.territory.program(&[theirs], &Scope::ALL).await;
        let (mut denials, mut answers) = (0, 0);
        for row in world.node.table.iter() {
            if matches!(row.who(), Who::Anyone | Who::Browser) {
                continue;
            }
            let target = world.own_target(None).await;
            let without = world.here.program(&[&world.school], &others(row.scope)).await;
            let in_school = matches!(row.who(), Who::InSchool(_));
            let of_territory = matches!(row.who(), Who::TerritoryAdmin);
            let mut told = vec![(&without, StatusCode::FORBIDDEN, "insufficient-scope")];
            if in_school {
                told.push((&elsewhere, StatusCode::NOT_FOUND, "not-found"));
            }
            if in_school || of_territory {
                told.push((&foreign, StatusCode::NOT_FOUND, "not-found"));
            }
            let mut asked = Vec::new();
            for (program, status, code) in told {
                let client = world.node.program(program);
                asked.push((client, world.ask(row, &target).await, status, code));
            }
            let before = world.stage.fingerprint().await;
            for (client, ask, status, code) in asked {
                let answer = ask.by(&client).await;
                assert_eq!((answer.status, answer.code().as_str()), (status, code), "{}", row.operation_id);
                denials += 1;
            }
            assert_eq!(world.stage.fingerprint().await, before, "{} was denied and wrote", row.operation_id);
            if let Some(scope) = row.scope {
                let with = world.here.program(&[&world.school], &[scope]).await;
                let answer = world.ask(row, &target).await.by(&world.node.program(&with)).await;
                assert!(answer.status.is_success(), "{}: {}", row.operation_id, said(&answer));
                answers += 1;
            }
        }
        assert_eq!(answers, SCOPES.len());
        assert!(denials > 100, "{denials}");
    });
}

fn said(answer: &Answer) -> String {
    format!("{} {}", answer.status, String::from_utf8_lossy(&answer.body))
}

/// Where anybody may come, a program comes as nobody: it is shown the way in, not somebody's day.
#[test]
fn pages_take_no_program_for_a_person() {
    play(async |stage| {
        let world = World::new(stage).await;
        let program = world.here.program(&[&world.school], &Scope::ALL).await;
        let token = world.node.app.client_tokens.sign(&program.token(&world.stage)).expect("a token");
        let stranger = world.node.stranger();
        let by_header = world.node.bearer(&token);
        let by_cookie = stranger.clone().with("cookie", &format!("__Host-preau={token}"));
        let mut pages = 0;
        for row in world.node.table.iter().filter(|row| row.who() == Who::Browser && row.method == "GET") {
            let target = world.own_target(None).await;
            let path = world.ask(row, &target).await.path;
            let wanted = shown(&stranger, &path).await;
            assert_eq!(shown(&by_header, &path).await, wanted, "{path} by header");
            assert_eq!(shown(&by_cookie, &path).await.0, wanted.0, "{path} by cookie");
            pages += 1;
        }
        assert!(pages > 5, "{pages}");
        // Nor does its cookie open anything under /api.
        by_cookie.get(&world.school.url("people")).await.refused(401, "unauthorized");
    });
}

async fn shown(client: &Client, path: &str) -> (StatusCode, Option<String>) {
    let answer = client.get(path).await;
    // A desk is asked under a new number each time.
    let place = answer.header("location").and_then(|place| place.split('?').next());
    (answer.status, place.map(str::to_owned))
}
