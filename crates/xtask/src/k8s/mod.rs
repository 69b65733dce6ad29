//! The manifests of deploy/k8s, rendered and checked without a cluster: Kubernetes' own schemas, HAProxy's own parser, and
//! the rules that no schema knows (`policy`). What a control plane alone can prove is said in deploy/README.md.

mod breaches;
mod policy;

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::cargo::Metadata;
use crate::place::Place;
use crate::{cluster_tools, sh};
use policy::{Facts, Rendering};

/// The oldest and the newest release whose schemas are asked: `preStop.sleep` is stable in the first.
const RELEASES: [&str; 2] = ["1.34", "1.37"];
const BASE: &str = "deploy/k8s/base";
/// Where breaches are committed: it has stores, so that every rule has something to say.
const TRIED: &str = "deploy/k8s/overlays/dev";
const OVERLAYS: &str = "deploy/k8s/overlays";

/// Renders the base and each overlay, and checks them.
pub(crate) fn check(place: &Place) -> Result<()> {
    let facts = facts(place)?;
    let scratch = place.local.join("k8s");
    std::fs::create_dir_all(&scratch)?;
    let mut folders = vec![place.root.join(BASE)];
    for entry in std::fs::read_dir(place.root.join(OVERLAYS))? {
        folders.push(entry?.path());
    }
    folders.sort();
    let mut faults = Vec::new();
    let mut count = 0;
    for folder in &folders {
        let name = folder.strip_prefix(&place.root)?.display().to_string();
        let text = sh::read(sh::command(place, cluster_tools::kubectl(place)).arg("kustomize").arg(folder))?;
        let file = scratch.join(name.replace('/', "-")).with_extension("yaml");
        std::fs::write(&file, text)?;
        against_schemas(place, &file)?;
        let objects = objects(place, &file)?;
        count += objects.len();
        let rendering = Rendering { objects, whole: name != BASE };
        edge(place, &rendering, &scratch)?;
        faults
            .extend(policy::faults(&rendering, &facts).into_iter().map(|fault| format!("  {name}: {fault}")));
        if name == TRIED {
            faults.extend(let_through(&rendering, &facts));
        }
    }
    if !faults.is_empty() {
        bail!("manifests:\n{}", faults.join("\n"));
    }
    println!("  {} renderings, {count} objects, {} rules", folders.len(), policy::RULES.len());
    Ok(())
}

/// Breaches that the rules do not see, and rules that no breach tries.
fn let_through(rendering: &Rendering, facts: &Facts) -> Vec<String> {
    let mut faults = Vec::new();
    for breach in breaches::BREACHES {
        let (rule, kind, name, at, _) = breach;
        let seen = breaches::commit(rendering, breach).is_some_and(|broken| {
            policy::faults(&broken, facts).iter().any(|it| it.starts_with(&format!("{rule}: ")))
        });
        if !seen {
            faults
                .push(format!("  the rule \"{rule}\" lets {kind} {name} {at} through, or that is not there"));
        }
    }
    for (rule, _) in
        policy::RULES.iter().filter(|(rule, _)| !breaches::BREACHES.iter().any(|it| it.0 == *rule))
    {
        faults.push(format!("  the rule \"{rule}\" has no breach"));
    }
    faults
}

/// Strictly: an unknown field is an error. It reports the first error of each object only.
fn against_schemas(place: &Place, file: &Path) -> Result<()> {
    for release in RELEASES {
        let mut validate = sh::command(place, place.tools().join("bin/kubernetes-validate"));
        sh::quiet(validate.args(["--strict", "--kubernetes-version", release]).arg(file))?;
    }
    Ok(())
}

/// YAML read by the Python that holds the tools, which spares this crate a parser.
fn objects(place: &Place, file: &Path) -> Result<Vec<Value>> {
    const READ: &str =
        "import json,sys,yaml; print(json.dumps([o for o in yaml.safe_load_all(open(sys.argv[1])) if o]))";
    let json = sh::read(sh::command(place, place.tools().join("bin/python")).args(["-c", READ]).arg(file))?;
    serde_json::from_str(&json).context("rendered manifests")
}

/// HAProxy reads the configuration that the edge will be given.
fn edge(place: &Place, rendering: &Rendering, scratch: &Path) -> Result<()> {
    let text = rendering.haproxy().context("a ConfigMap holds haproxy.cfg")?;
    let file = scratch.join("haproxy.cfg");
    std::fs::write(&file, text)?;
    let mut haproxy = sh::command(place, sh::which(place, "haproxy").context("haproxy is not installed")?);
    sh::quiet(
        haproxy
            .env("NAMESPACE", "preau")
            .env("CLUSTER_DOMAIN", "cluster.local")
            .args(["-q", "-c", "-f"])
            .arg(&file),
    )
}

/// What the manifests have to agree with, read from the sources themselves.
fn facts(place: &Place) -> Result<Facts> {
    let defaults: toml::Table =
        toml::from_str(&std::fs::read_to_string(place.root.join("config/default.toml"))?)?;
    let mut settings = BTreeSet::new();
    name_settings("PREAU_", &defaults, &mut settings);
    let setting = |section: &str, key: &str| {
        let value = defaults.get(section).and_then(|table| table.get(key));
        value.with_context(|| format!("config/default.toml: {section}.{key}"))
    };
    let number = |section, key| -> Result<u64> {
        let value = setting(section, key)?.as_integer().and_then(|number| u64::try_from(number).ok());
        value.with_context(|| format!("config/default.toml: {section}.{key} is a number"))
    };
    let replica = |key| -> Result<f64> {
        let value = setting("admission", "replicas")?.get(key).and_then(toml::Value::as_float);
        value.with_context(|| format!("config/default.toml: admission.replicas.{key} is a number"))
    };
    let port = |key| -> Result<u64> {
        let listen = setting("http", key)?.as_str().and_then(|at| at.rsplit_once(':'));
        listen
            .and_then(|(_, port)| port.parse().ok())
            .with_context(|| format!("config/default.toml: http.{key} ends in a port"))
    };
    let version = Metadata::workspace(place)?
        .packages
        .into_iter()
        .find(|package| package.name == "preau-server")
        .map(|package| package.version)
        .context("preau-server has a version")?;
    Ok(Facts {
        settings,
        http_port: port("listen")?,
        probe_port: port("probe_listen")?,
        drain_ms: number("http", "drain_ms")?,
        pool: number("database", "max_connections")?,
        door_pool: number("database", "door_connections")?,
        replica_threads: replica("threads")?,
        replica_cores: replica("cores")?,
        version,
        readme: std::fs::read_to_string(place.root.join("deploy/README.md"))?,
    })
}

/// The variables that set what a table holds, and what a table within it does: `__` goes down.
fn name_settings(above: &str, table: &toml::Table, names: &mut BTreeSet<String>) {
    for (key, value) in table {
        let name = format!("{above}{}", key.to_uppercase());
        if let toml::Value::Table(below) = value {
            name_settings(&format!("{name}__"), below, names);
        } else {
            names.insert(name);
        }
    }
}
