//! Rules of ours that no schema knows (reference: the restricted Pod Security standard, and what fell in 2020). Pure: a
//! rendering and the facts it has to agree with in, faults in words out.

mod numbers;
mod objects;
mod pods;
mod traffic;
mod words;

use std::collections::BTreeSet;

use serde_json::Value;

/// What `kustomize` made of one folder.
pub(super) struct Rendering {
    pub(super) objects: Vec<Value>,
    /// An overlay can be applied as it is; the base lacks its stores.
    pub(super) whole: bool,
}

/// What the product says of itself.
pub(super) struct Facts {
    /// Every `PREAU_SECTION__KEY` that `config/default.toml` has, `PREAU_SECTION__PART__KEY` too.
    pub(super) settings: BTreeSet<String>,
    pub(super) http_port: u64,
    pub(super) probe_port: u64,
    pub(super) drain_ms: u64,
    /// Connections of one node, unless it is told otherwise.
    pub(super) pool: u64,
    pub(super) door_pool: u64,
    /// What a node is taken for when nodes are counted, unless it is told otherwise: hash threads, processors.
    pub(super) replica_threads: f64,
    pub(super) replica_cores: f64,
    pub(super) version: String,
    /// deploy/README.md, which has to name the secrets that an installation brings.
    pub(super) readme: String,
}

type Rule = fn(&Rendering, &Facts) -> Vec<String>;

/// Each with the words that a fault of it begins with.
pub(super) const RULES: &[(&str, Rule)] = &[
    ("namespace", numbers::namespace),
    ("image", pods::image),
    ("confinement", pods::confinement),
    ("probes", pods::probes),
    ("ports", pods::ports),
    ("resources", pods::resources),
    ("settings", words::settings),
    ("references", words::references),
    ("secrets", words::secrets),
    ("disruption", numbers::disruption),
    ("autoscaling", numbers::autoscaling),
    ("signal", numbers::signal),
    ("services", traffic::services),
    ("network", traffic::network),
    ("spread", pods::spread),
    ("drain", pods::drain),
    ("migration", numbers::migration),
    ("edge", traffic::edge),
    ("connections", numbers::connections),
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
