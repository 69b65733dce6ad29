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

/// Nodes do not migrate: they wait for the job that does. The release before runs on a newer schema for a while.
#[test]
fn a_node_is_ready_once_the_migrations_that_it_needs_are_applied() {
    play(async |stage| {
        let node = stage.cold_node(|_| {});
        let newest: i64 = stage.count("SELECT max(version) FROM _sqlx_migrations").await;
        let seen = async || {
            let missing = node.app.missing_migration().await.unwrap();
            node.app.warm().await.unwrap();
            (missing, node.app.is_ready())
        };
        for (before, after) in [
            (
                "UPDATE _sqlx_migrations SET success = false WHERE version = (SELECT max(version) FROM _sqlx_migrations)",
                "UPDATE _sqlx_migrations SET success = true",
            ),
            (
                "REVOKE SELECT ON _sqlx_migrations FROM preau_app",
                "GRANT SELECT ON _sqlx_migrations TO preau_app",
            ),
            ("ALTER TABLE _sqlx_migrations RENAME TO away", "ALTER TABLE away RENAME TO _sqlx_migrations"),
        ] {
            stage.sql(before).await;
            assert_eq!(seen().await, (Some(newest), false), "{before}");
            stage.sql(after).await;
        }
        stage
            .sql(
                "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
                 VALUES (99991231235959, 'of the release after', true, '', 0)",
            )
            .await;
        assert_eq!(seen().await, (None, true));
    });
}
