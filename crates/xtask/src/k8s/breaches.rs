//! One breach for each rule, made in a rendering that passes: a rule that lets its own breach through is no rule.

use serde_json::{Value, json};

use super::policy::Rendering;

/// A rule's name; the kind and name of an object; where in it; what to put there (null: take it away).
type Breach = (&'static str, &'static str, &'static str, &'static str, fn() -> Value);

#[rustfmt::skip]
pub(super) const BREACHES: &[Breach] = &[
    ("namespace", "Namespace", "preau", "/metadata/labels/pod-security.kubernetes.io~1enforce", || json!("baseline")),
    ("namespace", "Service", "api", "/metadata/namespace", || json!("default")),
    ("image", "Deployment", "api", "/spec/template/spec/containers/0/image", || json!("preau:latest")),
    ("image", "Deployment", "edge", "/spec/template/spec/containers/0/image", || json!("haproxy")),
    ("confinement", "Deployment", "worker", "/spec/template/spec/securityContext/runAsUser", || json!(0)),
    ("confinement", "Deployment", "api", "/spec/template/spec/containers/0/securityContext/readOnlyRootFilesystem", || json!(false)),
    ("confinement", "Deployment", "api", "/spec/template/spec/containers/0/securityContext/capabilities/drop", || json!([])),
    ("confinement", "Deployment", "hashing", "/spec/template/spec/automountServiceAccountToken", || json!(true)),
    ("confinement", "Deployment", "hashing", "/spec/template/spec/hostNetwork", || json!(true)),
    ("probes", "Deployment", "api", "/spec/template/spec/containers/0/readinessProbe", || Value::Null),
    ("probes", "Deployment", "api", "/spec/template/spec/containers/0/livenessProbe/httpGet/port", || json!("http")),
    ("probes", "Deployment", "worker", "/spec/template/spec/containers/0/readinessProbe/httpGet/path", || json!("/livez")),
    ("ports", "Deployment", "api", "/spec/template/spec/containers/0/ports/0/containerPort", || json!(8081)),
    ("resources", "Deployment", "worker", "/spec/template/spec/containers/0/resources/limits/cpu", || json!("1")),
    ("resources", "Deployment", "edge", "/spec/template/spec/containers/0/resources/limits/memory", || json!("2Gi")),
    ("settings", "Deployment", "api", "/spec/template/spec/containers/0/env/0/name", || json!("PREAU_HASHING__TREADS")),
    ("settings", "Deployment", "worker", "/spec/template/spec/containers/0/args/0", || json!("work")),
    ("references", "Deployment", "api", "/spec/template/spec/containers/0/envFrom/0/configMapRef/name", || json!("preau-0")),
    ("references", "Deployment", "api", "/spec/template/spec/containers/0/env/1/valueFrom/secretKeyRef/key", || json!("dsn")),
    ("secrets", "Deployment", "api", "/spec/template/spec/containers/0/env/1/value", || json!("postgres://x:y@z/preau")),
    ("secrets", "Deployment", "api", "/spec/template/spec/containers/0/env/1/valueFrom/secretKeyRef/name", || json!("preau-owner")),
    ("disruption", "PodDisruptionBudget", "worker", "/spec/selector/matchLabels/app.kubernetes.io~1component", || json!("jobs")),
    ("disruption", "PodDisruptionBudget", "api", "/spec/maxUnavailable", || json!(0)),
    ("autoscaling", "HorizontalPodAutoscaler", "hashing", "/spec/scaleTargetRef/name", || json!("hash")),
    ("autoscaling", "HorizontalPodAutoscaler", "api", "/spec/metrics/0/external/metric/selector/matchLabels/role", || json!("hashing")),
    ("autoscaling", "Deployment", "api", "/spec/replicas", || json!(3)),
    ("autoscaling", "HorizontalPodAutoscaler", "api", "/spec/behavior/scaleDown/stabilizationWindowSeconds", || json!(60)),
    ("signal", "Deployment", "hashing", "/spec/template/spec/containers/0/env/0/value", || json!("8")),
    ("signal", "Deployment", "api", "/spec/template/spec/containers/0/resources/requests/cpu", || json!("4")),
    ("signal", "Deployment", "api", "/spec/template/spec/containers/0/env/0", || json!({ "name": "PREAU_ADMISSION__REPLICAS__THREADS", "value": "1" })),
    ("services", "Service", "api", "/spec/selector/app.kubernetes.io~1component", || json!("nodes")),
    ("services", "Service", "edge", "/spec/ports/0/targetPort", || json!("https")),
    ("network", "NetworkPolicy", "deny-all", "/spec/policyTypes", || json!(["Ingress"])),
    ("network", "NetworkPolicy", "nodes", "/spec/ingress/0/ports/0/port", || json!(8081)),
    ("network", "NetworkPolicy", "stores", "/spec/egress/0/to/0/podSelector/matchLabels/preau.store", || json!("pg")),
    ("spread", "Deployment", "hashing", "/spec/template/spec/topologySpreadConstraints", || json!([])),
    ("spread", "Deployment", "hashing", "/spec/template/spec/topologySpreadConstraints/0/labelSelector/matchLabels/app.kubernetes.io~1component", || json!("api")),
    ("drain", "Deployment", "api", "/spec/template/spec/terminationGracePeriodSeconds", || json!(30)),
    ("drain", "Deployment", "edge", "/spec/template/spec/containers/0/lifecycle", || Value::Null),
    ("migration", "Job", "migrate-0-1-0", "/metadata/name", || json!("migrate")),
    ("migration", "Job", "migrate-0-1-0", "/spec/activeDeadlineSeconds", || Value::Null),
    ("edge", "Deployment", "hashing", "/spec/template/spec/containers/0/env/0/value", || json!("8")),
    ("edge", "HorizontalPodAutoscaler", "api", "/spec/maxReplicas", || json!(65)),
    ("connections", "HorizontalPodAutoscaler", "api", "/spec/maxReplicas", || json!(40)),
];

/// The rendering with one breach.
pub(super) fn commit(rendering: &Rendering, breach: &Breach) -> Option<Rendering> {
    let (_, kind, name, at, value) = breach;
    let mut objects = rendering.objects.clone();
    let object = objects.iter_mut().find(|object| {
        object.pointer("/kind").and_then(Value::as_str) == Some(kind)
            && object.pointer("/metadata/name").and_then(Value::as_str) == Some(name)
    })?;
    let (parent, key) = at.rsplit_once('/')?;
    let key = key.replace("~1", "/");
    match object.pointer_mut(parent)? {
        Value::Array(list) => *list.get_mut(key.parse::<usize>().ok()?)? = value(),
        Value::Object(map) if value().is_null() => drop(map.remove(&key)?),
        Value::Object(map) => drop(map.insert(key, value())),
        _ => return None,
    }
    Some(Rendering { objects, whole: rendering.whole })
}
