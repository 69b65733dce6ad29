//! Rules of ours that no schema knows (reference: the restricted Pod Security standard, and what fell in 2020). Pure: a
//! rendering and the facts it has to agree with in, faults in words out.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// What `kustomize` made of one folder.
pub(super) struct Rendering {
    pub(super) objects: Vec<Value>,
    /// An overlay can be applied as it is; the base lacks its stores.
    pub(super) whole: bool,
}

/// What the product says of itself.
pub(super) struct Facts {
    /// Every `PREAU_SECTION__KEY` that `config/default.toml` has.
    pub(super) settings: BTreeSet<String>,
    pub(super) http_port: u64,
    pub(super) probe_port: u64,
    pub(super) drain_ms: u64,
    /// Connections of one node, unless it is told otherwise.
    pub(super) pool: u64,
    pub(super) door_pool: u64,
    pub(super) version: String,
    /// deploy/README.md, which has to name the secrets that an installation brings.
    pub(super) readme: String,
}

type Rule = fn(&Rendering, &Facts) -> Vec<String>;

/// Each with the words that a fault of it begins with.
pub(super) const RULES: &[(&str, Rule)] = &[
    ("namespace", namespace),
    ("image", image),
    ("confinement", confinement),
    ("probes", probes),
    ("ports", ports),
    ("resources", resources),
    ("settings", settings),
    ("references", references),
    ("secrets", secrets),
    ("disruption", disruption),
    ("autoscaling", autoscaling),
    ("services", services),
    ("network", network),
    ("spread", spread),
    ("drain", drain),
    ("migration", migration),
    ("edge", edge),
    ("connections", connections),
];

/// Everything that is wrong.
pub(super) fn faults(rendering: &Rendering, facts: &Facts) -> Vec<String> {
    RULES
        .iter()
        .flat_map(|(name, rule)| {
            rule(rendering, facts).into_iter().map(move |fault| format!("{name}: {fault}"))
        })
        .collect()
}

/// Settings whose value nobody may read in a repository.
const SECRET: [&str; 4] =
    ["PREAU_DATABASE__URL", "PREAU_DATABASE__OWNER_URL", "PREAU_REDIS__URL", "PREAU_SECRETS__MASTER_KEY"];
/// At most, after http.drain_ms: 10 s for connections and 15 s for work (crates/server/src/serve.rs).
const FINISHING_S: u64 = 25;

/// Something that makes pods.
struct Workload<'a> {
    kind: &'a str,
    name: &'a str,
    pod: &'a Value,
    labels: Labels,
    object: &'a Value,
}

type Labels = BTreeMap<String, String>;

impl Rendering {
    fn of_kind(&self, kind: &'static str) -> impl Iterator<Item = &Value> {
        self.objects.iter().filter(move |object| text(object, "/kind") == kind)
    }

    fn workloads(&self) -> Vec<Workload<'_>> {
        self.objects
            .iter()
            .filter_map(|object| {
                Some(Workload {
                    kind: text(object, "/kind"),
                    name: text(object, "/metadata/name"),
                    pod: object.pointer("/spec/template/spec")?,
                    labels: labels(object.pointer("/spec/template/metadata/labels")),
                    object,
                })
            })
            .collect()
    }

    fn config_maps(&self) -> BTreeMap<&str, &Value> {
        self.of_kind("ConfigMap").map(|map| (text(map, "/metadata/name"), map)).collect()
    }

    /// The edge's configuration.
    pub(super) fn haproxy(&self) -> Option<&str> {
        self.of_kind("ConfigMap").find_map(|map| map.pointer("/data/haproxy.cfg")?.as_str())
    }
}

impl<'a> Workload<'a> {
    fn containers(&self) -> impl Iterator<Item = &'a Value> {
        ["/containers", "/initContainers"].into_iter().flat_map(|at| items(self.pod, at))
    }

    fn ours(&self) -> Option<&'a Value> {
        self.containers().find(|container| name_of(text(container, "/image")) == "preau")
    }

    fn lasts(&self) -> bool {
        self.kind != "Job"
    }

    fn is(&self, component: &str) -> bool {
        self.labels.get("app.kubernetes.io/component").is_some_and(|it| it == component)
    }

    fn has_port(&self, number: u64) -> bool {
        self.containers()
            .any(|it| items(it, "/ports").any(|port| whole(port, "/containerPort") == Some(number)))
    }

    /// What a setting is for this workload, from its own list or from the ConfigMaps that it reads.
    fn setting(&self, rendering: &'a Rendering, name: &str) -> Option<&'a str> {
        let container = self.ours()?;
        let own = items(container, "/env").find(|env| text(env, "/name") == name);
        own.and_then(|env| env.pointer("/value")?.as_str()).or_else(|| {
            let maps = rendering.config_maps();
            items(container, "/envFrom").find_map(|from| {
                maps.get(text(from, "/configMapRef/name"))?.pointer("/data")?.get(name)?.as_str()
            })
        })
    }
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn whole(value: &Value, pointer: &str) -> Option<u64> {
    value.pointer(pointer).and_then(Value::as_u64)
}

fn items<'a>(value: &'a Value, pointer: &str) -> impl Iterator<Item = &'a Value> {
    value.pointer(pointer).and_then(Value::as_array).into_iter().flatten()
}

fn labels(value: Option<&Value>) -> Labels {
    let pairs = value.and_then(Value::as_object).into_iter().flatten();
    pairs.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
}

/// The image's name without its tag, whatever registry it comes from.
fn name_of(image: &str) -> &str {
    let last = image.rsplit('/').next().unwrap_or(image);
    last.split([':', '@']).next().unwrap_or(last)
}

/// Whether a label selector (`matchLabels`, `matchExpressions` with In and Exists) chooses these labels. A bare map is a
/// Service's.
fn chooses(selector: Option<&Value>, labels: &Labels) -> bool {
    let Some(selector) = selector else { return false };
    let pairs = |value: Option<&Value>| {
        let pairs = value.and_then(Value::as_object).into_iter().flatten();
        pairs.into_iter().all(|(key, value)| labels.get(key).map(String::as_str) == value.as_str())
    };
    if selector.get("matchLabels").is_none() && selector.get("matchExpressions").is_none() {
        return pairs(Some(selector));
    }
    pairs(selector.get("matchLabels"))
        && items(selector, "/matchExpressions").all(|rule| {
            let held = labels.get(text(rule, "/key"));
            match text(rule, "/operator") {
                "In" => items(rule, "/values").any(|value| value.as_str() == held.map(String::as_str)),
                "Exists" => held.is_some(),
                _ => false,
            }
        })
}

/// One namespace, which refuses pods that the restricted standard refuses.
fn namespace(it: &Rendering, _: &Facts) -> Vec<String> {
    let mut faults = Vec::new();
    let spaces: Vec<_> = it.of_kind("Namespace").collect();
    match spaces.as_slice() {
        [space] => {
            if text(space, "/metadata/labels/pod-security.kubernetes.io~1enforce") != "restricted" {
                faults.push("Pod Security is not enforced as restricted".to_owned());
            }
            let name = text(space, "/metadata/name");
            for object in it.objects.iter().filter(|object| text(object, "/kind") != "Namespace") {
                if text(object, "/metadata/namespace") != name {
                    faults.push(format!("{} is elsewhere", text(object, "/metadata/name")));
                }
            }
        }
        _ => faults.push("there must be one".to_owned()),
    }
    faults
}

/// A tag that says which release; ours is the workspace's version in the base.
fn image(it: &Rendering, facts: &Facts) -> Vec<String> {
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
fn confinement(it: &Rendering, _: &Facts) -> Vec<String> {
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
fn probes(it: &Rendering, facts: &Facts) -> Vec<String> {
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

/// The number of a port that is told by name or number.
fn resolve(container: &Value, port: &Value) -> Option<u64> {
    items(container, "/ports")
        .find(|own| own.get("name") == Some(port) || own.get("containerPort") == Some(port))
        .and_then(|own| whole(own, "/containerPort"))
}

/// Ports as in config/default.toml, and listened on from outside the pod.
fn ports(it: &Rendering, facts: &Facts) -> Vec<String> {
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
fn resources(it: &Rendering, _: &Facts) -> Vec<String> {
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

/// Every variable is one that the program reads, and it is started as something that it does.
fn settings(it: &Rendering, facts: &Facts) -> Vec<String> {
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
fn references(it: &Rendering, facts: &Facts) -> Vec<String> {
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
fn secrets(it: &Rendering, _: &Facts) -> Vec<String> {
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

/// Every Deployment has a budget, every budget has pods, and none forbids all disruption.
fn disruption(it: &Rendering, _: &Facts) -> Vec<String> {
    let mut faults = Vec::new();
    let workloads = it.workloads();
    for workload in workloads.iter().filter(|it| it.kind == "Deployment") {
        if !it
            .of_kind("PodDisruptionBudget")
            .any(|budget| chooses(budget.pointer("/spec/selector"), &workload.labels))
        {
            faults.push(format!("{} has no budget", workload.name));
        }
    }
    for budget in it.of_kind("PodDisruptionBudget") {
        let name = text(budget, "/metadata/name");
        if !workloads.iter().any(|workload| chooses(budget.pointer("/spec/selector"), &workload.labels)) {
            faults.push(format!("{name} chooses no pod"));
        }
        let most = budget.pointer("/spec/maxUnavailable");
        if most.is_none_or(|most| most == 0 || most == "0" || most == "0%") {
            faults.push(format!("{name} lets no machine be drained"));
        }
    }
    faults
}

/// By the product's own signal, for the role that it scales; quick up, slow down; and nobody else sets the number.
fn autoscaling(it: &Rendering, _: &Facts) -> Vec<String> {
    let mut faults = Vec::new();
    let workloads = it.workloads();
    for role in ["api", "hashing"] {
        if !it
            .of_kind("HorizontalPodAutoscaler")
            .any(|scaler| text(scaler, "/spec/scaleTargetRef/name") == role)
        {
            faults.push(format!("nothing scales {role}"));
        }
    }
    for scaler in it.of_kind("HorizontalPodAutoscaler") {
        let name = text(scaler, "/metadata/name");
        let mut say = |what: &str| faults.push(format!("{name}: {what}"));
        let target = text(scaler, "/spec/scaleTargetRef/name");
        match workloads.iter().find(|it| it.kind == "Deployment" && it.name == target) {
            None => say("scales what does not exist"),
            Some(target) if target.object.pointer("/spec/replicas").is_some() => {
                say("fights with the Deployment's own `replicas`");
            }
            Some(_) => {}
        }
        let ours = items(scaler, "/spec/metrics").find(|metric| {
            text(metric, "/external/metric/name") == "preau_desired_replicas"
                && text(metric, "/external/metric/selector/matchLabels/role") == target
        });
        if ours.map(|metric| text(metric, "/external/target/averageValue")) != Some("1") {
            say("does not follow preau_desired_replicas of its role");
        }
        if whole(scaler, "/spec/behavior/scaleUp/stabilizationWindowSeconds") != Some(0) {
            say("hesitates to grow");
        }
        if whole(scaler, "/spec/behavior/scaleDown/stabilizationWindowSeconds").is_none_or(|wait| wait < 900)
        {
            say("shrinks before the storm is over");
        }
        if !it.whole && whole(scaler, "/spec/minReplicas").is_none_or(|least| least < 2) {
            say("would run one pod");
        }
    }
    faults
}

/// Selectors choose pods, and ports lead to ports.
fn services(it: &Rendering, _: &Facts) -> Vec<String> {
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
fn network(it: &Rendering, _: &Facts) -> Vec<String> {
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

/// Pods of a Deployment are apart, and count their own kind.
fn spread(it: &Rendering, _: &Facts) -> Vec<String> {
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
fn drain(it: &Rendering, facts: &Facts) -> Vec<String> {
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

/// A Job, once a release, with an end.
fn migration(it: &Rendering, facts: &Facts) -> Vec<String> {
    let jobs: Vec<_> = it
        .workloads()
        .into_iter()
        .filter(|job| job.kind == "Job" && job.ours().is_some_and(|it| text(it, "/args/0") == "migrate"))
        .collect();
    let [job] = jobs.as_slice() else { return vec!["there must be one Job that migrates".to_owned()] };
    let mut faults = Vec::new();
    let expected = format!("migrate-{}", facts.version.replace('.', "-"));
    if job.name != expected {
        faults.push(format!("{} would not run again: this is {expected}", job.name));
    }
    if whole(job.object, "/spec/activeDeadlineSeconds").is_none()
        || whole(job.object, "/spec/backoffLimit").is_none()
    {
        faults.push(format!("{} may go on for ever", job.name));
    }
    let secret = "/valueFrom/secretKeyRef/name";
    if !job.ours().is_some_and(|it| items(it, "/env").any(|env| text(env, secret) == "preau-owner")) {
        faults.push(format!("{} has not the owner's role", job.name));
    }
    faults
}

/// Each kind of node is given sign-ins by its hash threads, and as many servers as the autoscaler may make.
fn edge(it: &Rendering, _: &Facts) -> Vec<String> {
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

/// All pools at their largest leave PostgreSQL a fifth of its connections. Only where the rendering has a PostgreSQL.
fn connections(it: &Rendering, facts: &Facts) -> Vec<String> {
    let workloads = it.workloads();
    let allowed = workloads.iter().flat_map(Workload::containers).find_map(|container| {
        items(container, "/args")
            .find_map(|arg| arg.as_str()?.strip_prefix("max_connections=")?.parse::<u64>().ok())
    });
    let Some(allowed) = allowed else { return Vec::new() };
    let mut all = 0;
    for workload in workloads.iter().filter(|it| it.lasts() && it.ours().is_some()) {
        let most = it
            .of_kind("HorizontalPodAutoscaler")
            .find(|scaler| text(scaler, "/spec/scaleTargetRef/name") == workload.name)
            .map_or_else(
                || whole(workload.object, "/spec/replicas"),
                |scaler| whole(scaler, "/spec/maxReplicas"),
            );
        let told = |name, default| {
            workload.setting(it, name).and_then(|value| value.parse::<u64>().ok()).unwrap_or(default)
        };
        let each = told("PREAU_DATABASE__MAX_CONNECTIONS", facts.pool)
            + told("PREAU_DATABASE__DOOR_CONNECTIONS", facts.door_pool);
        all += most.unwrap_or(1) * each;
    }
    if all * 5 > allowed * 4 {
        return vec![format!("{all} of PostgreSQL's {allowed}")];
    }
    Vec::new()
}
