//! What a node says of itself in Prometheus' text format.

/// The value of the first sample of `name` whose labels hold `label` (`role="all"`); with an empty `label`, of the first
/// sample at all.
pub(super) fn value(text: &str, name: &str, label: &str) -> Option<f64> {
    text.lines().find_map(|line| {
        let rest = line.strip_prefix(name)?;
        let (labels, value) = match rest.strip_prefix('{') {
            Some(inner) => inner.split_once('}')?,
            // A longer name that begins alike is another metric.
            None => ("", rest.strip_prefix(' ')?),
        };
        let right = label.is_empty() || labels.split(',').any(|one| one.trim() == label);
        right.then(|| value.split_ascii_whitespace().next()?.parse().ok()).flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# TYPE preau_leader gauge\npreau_leader_terms 9\npreau_leader 1\n\
        preau_desired_replicas{role=\"api\"} 2\npreau_desired_replicas{role=\"all\"} 3.5\n";

    #[test]
    fn samples_are_told_apart_by_whole_name_and_label() {
        assert_eq!(value(TEXT, "preau_leader", ""), Some(1.0));
        assert_eq!(value(TEXT, "preau_desired_replicas", "role=\"all\""), Some(3.5));
        assert_eq!(value(TEXT, "preau_desired_replicas", "role=\"hashing\""), None);
        assert_eq!(value(TEXT, "preau_desired", ""), None);
    }
}
