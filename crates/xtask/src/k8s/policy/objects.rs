//! The objects of a rendering, and how they are read.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Rendering;

/// Something that makes pods.
pub(super) struct Workload<'a> {
    pub(super) kind: &'a str,
    pub(super) name: &'a str,
    pub(super) pod: &'a Value,
    pub(super) labels: Labels,
    pub(super) object: &'a Value,
}

pub(super) type Labels = BTreeMap<String, String>;

impl Rendering {
    pub(super) fn of_kind(&self, kind: &'static str) -> impl Iterator<Item = &Value> {
        self.objects.iter().filter(move |object| text(object, "/kind") == kind)
    }

    pub(super) fn workloads(&self) -> Vec<Workload<'_>> {
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

    pub(super) fn config_maps(&self) -> BTreeMap<&str, &Value> {
        self.of_kind("ConfigMap").map(|map| (text(map, "/metadata/name"), map)).collect()
    }

    /// The edge's configuration.
    pub(in crate::k8s) fn haproxy(&self) -> Option<&str> {
        self.of_kind("ConfigMap").find_map(|map| map.pointer("/data/haproxy.cfg")?.as_str())
    }
}

impl<'a> Workload<'a> {
    pub(super) fn containers(&self) -> impl Iterator<Item = &'a Value> {
        ["/containers", "/initContainers"].into_iter().flat_map(|at| items(self.pod, at))
    }

    pub(super) fn ours(&self) -> Option<&'a Value> {
        self.containers().find(|container| name_of(text(container, "/image")) == "preau")
    }

    pub(super) fn lasts(&self) -> bool {
        self.kind != "Job"
    }

    pub(super) fn is(&self, component: &str) -> bool {
        self.labels.get("app.kubernetes.io/component").is_some_and(|it| it == component)
    }

    pub(super) fn has_port(&self, number: u64) -> bool {
        self.containers()
            .any(|it| items(it, "/ports").any(|port| whole(port, "/containerPort") == Some(number)))
    }

    /// What a setting is for this workload, from its own list or from the ConfigMaps that it reads.
    pub(super) fn setting(&self, rendering: &'a Rendering, name: &str) -> Option<&'a str> {
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

pub(super) fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

pub(super) fn whole(value: &Value, pointer: &str) -> Option<u64> {
    value.pointer(pointer).and_then(Value::as_u64)
}

pub(super) fn items<'a>(value: &'a Value, pointer: &str) -> impl Iterator<Item = &'a Value> {
    value.pointer(pointer).and_then(Value::as_array).into_iter().flatten()
}

pub(super) fn labels(value: Option<&Value>) -> Labels {
    let pairs = value.and_then(Value::as_object).into_iter().flatten();
    pairs.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
}

/// The image's name without its tag, whatever registry it comes from.
pub(super) fn name_of(image: &str) -> &str {
    let last = image.rsplit('/').next().unwrap_or(image);
    last.split([':', '@']).next().unwrap_or(last)
}

/// Whether a label selector (`matchLabels`, `matchExpressions` with In and Exists) chooses these labels. A bare map is a
/// Service's.
pub(super) fn chooses(selector: Option<&Value>, labels: &Labels) -> bool {
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

/// The number of a port that is told by name or number.
pub(super) fn resolve(container: &Value, port: &Value) -> Option<u64> {
    items(container, "/ports")
        .find(|own| own.get("name") == Some(port) || own.get("containerPort") == Some(port))
        .and_then(|own| whole(own, "/containerPort"))
}
