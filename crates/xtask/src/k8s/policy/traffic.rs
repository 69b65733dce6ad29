//! Who may speak to whom, and through what.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{
    Facts, Rendering,
    objects::{Workload, chooses, items, resolve, text, whole},
};

/// Selectors choose pods, and ports lead to ports.
pub(super) fn services(it: &Rendering, _: &Facts) -> Vec<String> {
    let mut faults = Vec::new();
    let workloads = it.workloads();
    for service in it.of_kind("Service") {
        let name = text(service, "/metadata/name");
        let chosen: Vec<_> = workloads
            .iter()
            .filter(|it| it.lasts() && chooses(service.pointer("/spec/selector"), &it.labels))
            .collect();
        if chosen.is_empty() {
            faults.push(format!("{name} chooses no pod"));
        }
        for port in items(service, "/spec/ports") {
            let to = port.get("targetPort").or_else(|| port.get("port"));
            let leads = |workload: &&Workload<'_>| {
                workload.containers().any(|container| to.is_some_and(|to| resolve(container, to).is_some()))
            };
            if !chosen.iter().all(leads) {
                faults.push(format!("{name}: port {} leads nowhere", text(port, "/name")));
            }
        }
    }
    faults
}

/// Everything is shut, every policy is about pods that exist, and every served port is opened to somebody.
pub(super) fn network(it: &Rendering, _: &Facts) -> Vec<String> {
    let mut faults = Vec::new();
    let workloads = it.workloads();
    let policies: Vec<_> = it.of_kind("NetworkPolicy").collect();
    let shut = |policy: &&Value| {
        let kinds: Vec<_> = items(policy, "/spec/policyTypes").filter_map(Value::as_str).collect();
        policy.pointer("/spec/podSelector").and_then(Value::as_object).is_some_and(serde_json::Map::is_empty)
            && ["Ingress", "Egress"].iter().all(|kind| kinds.contains(kind))
            && policy.pointer("/spec/ingress").is_none()
            && policy.pointer("/spec/egress").is_none()
    };
    if !policies.iter().any(shut) {
        faults.push("nothing is shut by default".to_owned());
    }
    for policy in &policies {
        let name = text(policy, "/metadata/name");
        let about: Vec<_> =
            workloads.iter().filter(|it| chooses(policy.pointer("/spec/podSelector"), &it.labels)).collect();
        if about.is_empty() {
            faults.push(format!("{name} is about no pod"));
        }
        for port in items(policy, "/spec/ingress").flat_map(|rule| items(rule, "/ports")) {
            let number = whole(port, "/port");
            if !about.iter().any(|it| number.is_some_and(|number| it.has_port(number))) {
                faults.push(format!("{name}: nobody listens on {number:?}"));
            }
        }
        let ends = ["/spec/egress", "/spec/ingress"]
            .into_iter()
            .flat_map(|way| items(policy, way))
            .flat_map(|rule| ["/to", "/from"].into_iter().flat_map(move |end| items(rule, end)));
        for end in ends.filter(|end| end.pointer("/namespaceSelector/matchLabels").is_none()) {
            let Some(pods) = end.get("podSelector") else { continue };
            if it.whole && !workloads.iter().any(|it| chooses(Some(pods), &it.labels)) {
                faults.push(format!("{name} is towards no pod"));
            }
        }
    }
    for service in it.of_kind("Service") {
        for workload in workloads.iter().filter(|it| chooses(service.pointer("/spec/selector"), &it.labels)) {
            for port in items(service, "/spec/ports") {
                let to = port.get("targetPort").or_else(|| port.get("port"));
                let number = workload.containers().find_map(|container| resolve(container, to?));
                let opened = policies.iter().any(|policy| {
                    chooses(policy.pointer("/spec/podSelector"), &workload.labels)
                        && items(policy, "/spec/ingress")
                            .flat_map(|rule| items(rule, "/ports"))
                            .any(|port| whole(port, "/port") == number)
                });
                if !opened {
                    faults.push(format!("{}: {number:?} is served and shut", workload.name));
                }
            }
        }
    }
    faults
}

/// Each kind of node is given sign-ins by its hash threads, and as many servers as the autoscaler may make.
pub(super) fn edge(it: &Rendering, _: &Facts) -> Vec<String> {
    let Some(config) = it.haproxy() else { return vec!["no haproxy.cfg".to_owned()] };
    let mut faults = Vec::new();
    let mut shares = Vec::new();
    for line in config.lines().map(str::trim).filter(|line| line.starts_with("server-template ")) {
        let words: Vec<_> = line.split_whitespace().collect();
        let [_, role, slots, rest @ ..] = words.as_slice() else { continue };
        let role = *role;
        let workload = it.workloads().into_iter().find(|workload| workload.is(role));
        let Some(workload) = workload else {
            faults.push(format!("sends to {role}, which does not exist"));
            continue;
        };
        let most = it
            .of_kind("HorizontalPodAutoscaler")
            .find(|scaler| text(scaler, "/spec/scaleTargetRef/name") == role)
            .and_then(|scaler| whole(scaler, "/spec/maxReplicas"));
        if slots.parse().ok() < most {
            faults.push(format!("{slots} servers for {most:?} of {role}"));
        }
        if let [_, "weight", weight, ..] = rest {
            let threads =
                workload.setting(it, "PREAU_HASHING__THREADS").and_then(|it| it.parse::<u64>().ok());
            shares.push((role, threads, weight.parse::<u64>().ok()));
        }
    }
    let ratio = |share: &(&str, Option<u64>, Option<u64>)| match share {
        (_, Some(threads), Some(weight)) if *threads > 0 && weight % threads == 0 => Some(weight / threads),
        _ => None,
    };
    let ratios: BTreeSet<_> = shares.iter().map(ratio).collect();
    if shares.len() < 2 || ratios.len() != 1 || ratios.contains(&None) {
        faults.push(format!("weights are not as hash threads: {shares:?}"));
    }
    faults
}
