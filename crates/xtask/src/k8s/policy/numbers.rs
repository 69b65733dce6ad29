//! The namespace, and how many of each there are: budgets, autoscaling, the migration, PostgreSQL's connections.

use super::{
    Facts, Rendering,
    objects::{Workload, chooses, items, text, whole},
};

/// One namespace, which refuses pods that the restricted standard refuses.
pub(super) fn namespace(it: &Rendering, _: &Facts) -> Vec<String> {
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

/// Every Deployment has a budget, every budget has pods, and none forbids all disruption.
pub(super) fn disruption(it: &Rendering, _: &Facts) -> Vec<String> {
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
pub(super) fn autoscaling(it: &Rendering, _: &Facts) -> Vec<String> {
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

/// Whoever says how many nodes are wanted takes one that hashes for its hash threads, and one that answers for its processors.
pub(super) fn signal(it: &Rendering, facts: &Facts) -> Vec<String> {
    let workloads = it.workloads();
    let number = |text: &str| text.parse::<f64>().ok();
    let of = |role| workloads.iter().find(|workload| workload.is(role));
    let threads =
        of("hashing").and_then(|hashing| hashing.setting(it, "PREAU_HASHING__THREADS")).and_then(number);
    // A part of a processor ("100m") is asked where machines are few: it says nothing of a node.
    let cores =
        of("api").and_then(Workload::ours).and_then(|ours| number(text(ours, "/resources/requests/cpu")));
    let mut faults = Vec::new();
    for workload in
        workloads.iter().filter(|it| it.ours().is_some_and(|ours| text(ours, "/args/0") == "serve"))
    {
        let told = |name, default| workload.setting(it, name).map_or(Some(default), number);
        let said = told("PREAU_ADMISSION__REPLICAS__THREADS", facts.replica_threads);
        if said != threads {
            faults.push(format!("{}: takes a hashing node for {said:?} threads: {threads:?}", workload.name));
        }
        let said = told("PREAU_ADMISSION__REPLICAS__CORES", facts.replica_cores);
        if cores.is_some() && said != cores {
            faults.push(format!("{}: takes an api node for {said:?} processors: {cores:?}", workload.name));
        }
    }
    faults
}

/// A Job, once a release, with an end.
pub(super) fn migration(it: &Rendering, facts: &Facts) -> Vec<String> {
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

/// All pools at their largest leave PostgreSQL a fifth of its connections. Only where the rendering has a PostgreSQL.
pub(super) fn connections(it: &Rendering, facts: &Facts) -> Vec<String> {
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
