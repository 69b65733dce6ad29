//! What a pod is told: settings, and where they and the secrets come from.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{
    Facts, Rendering,
    objects::{items, text},
};

/// Settings whose value nobody may read in a repository.
const SECRET: [&str; 4] =
    ["PREAU_DATABASE__URL", "PREAU_DATABASE__OWNER_URL", "PREAU_REDIS__URL", "PREAU_SECRETS__MASTER_KEY"];

/// Every variable is one that the program reads, and it is started as something that it does.
pub(super) fn settings(it: &Rendering, facts: &Facts) -> Vec<String> {
    let mut faults = Vec::new();
    let mut named = BTreeSet::new();
    for workload in it.workloads() {
        let Some(container) = workload.ours() else { continue };
        named.extend(items(container, "/env").map(|env| text(env, "/name")));
        let command = text(container, "/args/0");
        if !["serve", "worker", "migrate"].contains(&command) {
            faults.push(format!("{}: preau {command:?}", workload.name));
        }
    }
    for map in it.of_kind("ConfigMap") {
        let keys = map.get("data").and_then(Value::as_object).into_iter().flat_map(|data| data.keys());
        named.extend(keys.map(String::as_str).filter(|key| key.starts_with("PREAU_")));
    }
    for name in named {
        if !facts.settings.contains(name) {
            faults.push(format!("{name} is not in config/default.toml"));
        }
    }
    faults
}

/// ConfigMaps are in the rendering; secrets, which are not, are named with their key in deploy/README.md.
pub(super) fn references(it: &Rendering, facts: &Facts) -> Vec<String> {
    let mut faults = Vec::new();
    let maps = it.config_maps();
    for workload in it.workloads() {
        let volumes = items(workload.pod, "/volumes").map(|volume| text(volume, "/configMap/name"));
        let read = workload
            .containers()
            .flat_map(|container| items(container, "/envFrom").map(|from| text(from, "/configMapRef/name")));
        for map in volumes.chain(read).filter(|name| !name.is_empty()) {
            if !maps.contains_key(map) {
                faults.push(format!("{}: no ConfigMap {map}", workload.name));
            }
        }
        for secret in workload.containers().flat_map(|container| items(container, "/env")) {
            let (name, key) =
                (text(secret, "/valueFrom/secretKeyRef/name"), text(secret, "/valueFrom/secretKeyRef/key"));
            let told = |word: &str| facts.readme.contains(&format!("`{word}`"));
            if !(name.is_empty() || told(name) && told(key)) {
                faults.push(format!("{}: deploy/README.md does not tell of {name}/{key}", workload.name));
            }
        }
        let account = text(workload.pod, "/serviceAccountName");
        if !account.is_empty()
            && !it.of_kind("ServiceAccount").any(|it| text(it, "/metadata/name") == account)
        {
            faults.push(format!("{}: no ServiceAccount {account}", workload.name));
        }
    }
    faults
}

/// None in the repository, none in the open, and the owner's role only where it migrates.
pub(super) fn secrets(it: &Rendering, _: &Facts) -> Vec<String> {
    let mut faults: Vec<String> = it
        .of_kind("Secret")
        .map(|secret| format!("{} is in the repository", text(secret, "/metadata/name")))
        .collect();
    for map in it.of_kind("ConfigMap") {
        for name in SECRET.iter().filter(|name| map.pointer(&format!("/data/{name}")).is_some()) {
            faults.push(format!("{name} is in a ConfigMap"));
        }
    }
    for workload in it.workloads() {
        for env in workload.containers().flat_map(|container| items(container, "/env")) {
            let name = text(env, "/name");
            if SECRET.contains(&name) && env.get("value").is_some() {
                faults.push(format!("{}: {name} is in the open", workload.name));
            }
            if text(env, "/valueFrom/secretKeyRef/name") == "preau-owner" && workload.lasts() {
                faults.push(format!("{} holds the owner's role", workload.name));
            }
        }
    }
    faults
}
