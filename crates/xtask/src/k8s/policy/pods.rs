//! What a pod is: its image, what it may do, what it is asked and given, and how it ends.

use serde_json::Value;

use super::{
    Facts, Rendering,
    objects::{Workload, chooses, items, labels, name_of, resolve, text, whole},
};

/// At most, after http.drain_ms: 10 s for connections and 15 s for work (crates/server/src/serve.rs).
const FINISHING_S: u64 = 25;

/// A tag that says which release; ours is the workspace's version in the base.
pub(super) fn image(it: &Rendering, facts: &Facts) -> Vec<String> {
    let mut faults = Vec::new();
    for workload in it.workloads() {
        for container in workload.containers() {
            let image = text(container, "/image");
            let tag = image.rsplit('/').next().and_then(|last| last.split_once(':')).map(|(_, tag)| tag);
            match tag {
                None | Some("" | "latest") => {
                    faults.push(format!("{}: {image} says no release", workload.name))
                }
                Some(tag) if name_of(image) == "preau" && !it.whole && tag != facts.version => {
                    faults.push(format!("{}: {image}, yet this is {}", workload.name, facts.version));
                }
                Some(_) => {}
            }
        }
    }
    faults
}

/// The restricted standard, a root file system that cannot be written, and no token of the cluster.
pub(super) fn confinement(it: &Rendering, _: &Facts) -> Vec<String> {
    let mut faults = Vec::new();
    for workload in it.workloads() {
        let mut say = |what: &str| faults.push(format!("{}: {what}", workload.name));
        let pod = workload.pod;
        if pod.pointer("/securityContext/runAsNonRoot") != Some(&Value::Bool(true)) {
            say("may run as root");
        }
        if whole(pod, "/securityContext/runAsUser").is_none_or(|user| user == 0) {
            say("names no user, or root");
        }
        if text(pod, "/securityContext/seccompProfile/type") != "RuntimeDefault" {
            say("has no seccomp profile");
        }
        if pod.pointer("/automountServiceAccountToken") != Some(&Value::Bool(false)) {
            say("is given a token of the cluster");
        }
        for shared in ["/hostNetwork", "/hostPID", "/hostIPC"] {
            if pod.pointer(shared) == Some(&Value::Bool(true)) {
                say("shares the host's namespaces");
            }
        }
        if items(pod, "/volumes").any(|volume| volume.get("hostPath").is_some()) {
            say("mounts the host");
        }
        for container in workload.containers() {
            let context = |at: &str| container.pointer(&format!("/securityContext/{at}"));
            if context("allowPrivilegeEscalation") != Some(&Value::Bool(false)) {
                say("may gain privileges");
            }
            if context("readOnlyRootFilesystem") != Some(&Value::Bool(true)) {
                say("may write its own root");
            }
            if context("privileged") == Some(&Value::Bool(true)) || context("runAsUser").is_some() {
                say("overrides the pod's user");
            }
            let dropped = context("capabilities/drop").and_then(Value::as_array);
            if !dropped.is_some_and(|list| list.iter().any(|it| it == "ALL"))
                || context("capabilities/add").is_some()
            {
                say("keeps capabilities");
            }
        }
    }
    faults
}

/// All three on everything that lasts, on ports that exist; ours on the second port, readiness apart from life.
pub(super) fn probes(it: &Rendering, facts: &Facts) -> Vec<String> {
    let mut faults = Vec::new();
    for workload in it.workloads().into_iter().filter(Workload::lasts) {
        let ours = workload.ours();
        for container in workload.containers() {
            for (probe, path) in
                [("startupProbe", "/livez"), ("livenessProbe", "/livez"), ("readinessProbe", "/readyz")]
            {
                let mut say = |what: &str| faults.push(format!("{}: {probe} {what}", workload.name));
                let Some(asked) = container.get(probe) else {
                    say("is missing");
                    continue;
                };
                let port = asked.pointer("/httpGet/port").or_else(|| asked.pointer("/tcpSocket/port"));
                let number = port.map(|port| resolve(container, port));
                if number == Some(None) {
                    say("asks a port that the container does not have");
                }
                if ours == Some(container) {
                    if number != Some(Some(facts.probe_port)) {
                        say("is not on the second port");
                    }
                    if text(asked, "/httpGet/path") != path {
                        say("asks another path than the server has");
                    }
                }
            }
        }
    }
    faults
}

/// Ports as in config/default.toml, and listened on from outside the pod.
pub(super) fn ports(it: &Rendering, facts: &Facts) -> Vec<String> {
    let mut faults = Vec::new();
    for workload in it.workloads().into_iter().filter(Workload::lasts) {
        let Some(container) = workload.ours() else { continue };
        for (port, expected, setting) in [
            ("http", facts.http_port, "PREAU_HTTP__LISTEN"),
            ("probes", facts.probe_port, "PREAU_HTTP__PROBE_LISTEN"),
        ] {
            let own = items(container, "/ports").find(|own| text(own, "/name") == port);
            let Some(own) = own else {
                if port == "probes" || !workload.is("worker") {
                    faults.push(format!("{}: no port {port}", workload.name));
                }
                continue;
            };
            let number = whole(own, "/containerPort");
            let listen = workload.setting(it, setting).unwrap_or_default();
            if number != Some(expected) || listen != format!("0.0.0.0:{expected}") {
                faults.push(format!("{}: {port} is {number:?}, {setting} is {listen:?}", workload.name));
            }
        }
    }
    faults
}

/// Requests for all, memory that is really there, and no CPU limit: throttling at nine o'clock helps nobody.
pub(super) fn resources(it: &Rendering, _: &Facts) -> Vec<String> {
    let mut faults = Vec::new();
    for workload in it.workloads() {
        for container in workload.containers() {
            let given = |at: &str| container.pointer(&format!("/resources/{at}"));
            if given("requests/cpu").is_none() || given("requests/memory").is_none() {
                faults.push(format!("{}: asks for no CPU or memory", workload.name));
            }
            if given("limits/memory") != given("requests/memory") {
                faults.push(format!("{}: its memory may be taken from it", workload.name));
            }
            if given("limits/cpu").is_some() {
                faults.push(format!("{}: is throttled", workload.name));
            }
        }
    }
    faults
}

/// Pods of a Deployment are apart, and count their own kind.
pub(super) fn spread(it: &Rendering, _: &Facts) -> Vec<String> {
    let mut faults = Vec::new();
    for workload in it.workloads().iter().filter(|it| it.kind == "Deployment") {
        let rules: Vec<_> = items(workload.pod, "/topologySpreadConstraints").collect();
        if !rules.iter().any(|rule| text(rule, "/topologyKey") == "kubernetes.io/hostname") {
            faults.push(format!("{}: all its pods may be on one machine", workload.name));
        }
        if rules.iter().any(|rule| !chooses(rule.get("labelSelector"), &workload.labels)) {
            faults.push(format!("{}: spreads others' pods", workload.name));
        }
        let own = labels(workload.object.pointer("/spec/selector/matchLabels"));
        if own.iter().any(|(key, value)| workload.labels.get(key) != Some(value)) {
            faults.push(format!("{}: does not choose its own pods", workload.name));
        }
    }
    faults
}

/// Long enough for what is under way: preStop, then the drain, then the rest.
pub(super) fn drain(it: &Rendering, facts: &Facts) -> Vec<String> {
    let mut faults = Vec::new();
    for workload in it.workloads().iter().filter(|it| it.kind == "Deployment") {
        let pause =
            workload.containers().filter_map(|it| whole(it, "/lifecycle/preStop/sleep/seconds")).max();
        let Some(pause) = pause else {
            faults.push(format!("{}: is stopped while it is still sent requests", workload.name));
            continue;
        };
        let grace = whole(workload.pod, "/terminationGracePeriodSeconds").unwrap_or(30);
        let asked = workload.setting(it, "PREAU_HTTP__DRAIN_MS").and_then(|value| value.parse().ok());
        let drained = asked.unwrap_or(facts.drain_ms).div_ceil(1000);
        let needed = if workload.ours().is_some() { pause + drained + FINISHING_S } else { pause };
        if grace <= needed {
            faults.push(format!("{}: killed after {grace} s, may need {needed}", workload.name));
        }
    }
    faults
}
