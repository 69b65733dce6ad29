//! The routes say what was decided, and a change of any policy shows.

use std::collections::BTreeMap;

use preau_http::{RouteRow, Who};
use preau_kernel::{Role, RoleSet};
use preau_tests::play;

use super::{FROM_ELSEWHERE, May, PROVEN, TABLE};

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
