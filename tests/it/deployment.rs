//! What deploy/ says of the product is so.

use std::collections::BTreeSet;

use preau_tests::{play, workspace};

/// The edge sends what asks for a password to the nodes that hash most: each of those paths is one that somebody posts to.
#[test]
fn what_the_edge_sends_to_hashing_nodes_exists() {
    play(async |stage| {
        let node = stage.cold_node(|_| {});
        let written: BTreeSet<_> = node
            .table
            .iter()
            .filter(|row| row.method == "POST" || row.method == "PUT")
            .map(|row| row.path.clone())
            .collect();
        let edge = std::fs::read_to_string(workspace().join("deploy/k8s/base/haproxy.cfg")).unwrap();
        let paths: Vec<_> = edge
            .lines()
            .filter_map(|line| line.trim().strip_prefix("acl hashes path "))
            .flat_map(str::split_whitespace)
            .collect();
        assert!(paths.len() > 6, "{paths:?}");
        for path in &paths {
            assert!(written.contains(*path), "{path} is no route that is written to");
        }
        assert!(paths.contains(&"/api/v1/sessions") && paths.contains(&"/connexion"));
        let snapshot = edge.lines().find_map(|line| line.trim().strip_prefix("acl snapshot path ")).unwrap();
        assert!(node.table.iter().any(|row| row.method == "GET" && row.path == snapshot), "{snapshot}");
    });
}
