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

/// The buckets of one histogram, of all its labels and of as many nodes as were added.
#[derive(Clone, Debug, Default)]
pub(super) struct Buckets {
    /// Upper bound, how many stayed within it.
    within: Vec<(f64, f64)>,
}

impl Buckets {
    /// Adds what a node says of `name`.
    pub(super) fn add(&mut self, text: &str, name: &str) {
        for line in text.lines() {
            let Some((bound, times)) = bucket(line, name) else { continue };
            match self.within.iter_mut().find(|(known, _)| known.total_cmp(&bound).is_eq()) {
                Some((_, all)) => *all += times,
                None => self.within.push((bound, times)),
            }
        }
        self.within.sort_by(|one, two| one.0.total_cmp(&two.0));
    }

    /// What the share `at` of the values stays within, on a straight line between the bounds of its bucket; of a bucket without
    /// an upper bound, the lower one. None without a value.
    pub(super) fn quantile(&self, at: f64) -> Option<f64> {
        let all = self.within.last()?.1;
        let wanted = at * all;
        let found = self.within.iter().position(|(_, times)| all > 0.0 && *times >= wanted)?;
        let &(bound, times) = self.within.get(found)?;
        let (low, below) =
            found.checked_sub(1).and_then(|before| self.within.get(before)).copied().unwrap_or_default();
        let part = if times > below { (wanted - below) / (times - below) } else { 1.0 };
        Some(if bound.is_finite() { low + (bound - low) * part } else { low })
    }
}

fn bucket(line: &str, name: &str) -> Option<(f64, f64)> {
    let (labels, value) = line.strip_prefix(name)?.strip_prefix("_bucket{")?.split_once('}')?;
    let bound = labels.split(',').find_map(|one| one.trim().strip_prefix("le=\"")?.strip_suffix('"'))?;
    // Infinity is written `+Inf`, which Rust reads as well.
    Some((bound.parse().ok()?, value.trim().parse().ok()?))
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

    #[test]
    fn a_quantile_is_read_off_the_buckets_of_all_nodes_and_labels() {
        let node = "preau_wait_seconds_bucket{class=\"in-slot\",le=\"0.5\"} 45\n\
            preau_wait_seconds_bucket{class=\"in-slot\",le=\"1\"} 50\n\
            preau_wait_seconds_bucket{class=\"in-slot\",le=\"+Inf\"} 50\n\
            preau_wait_seconds_bucket{class=\"lesson\",le=\"0.5\"} 50\n\
            preau_wait_seconds_bucket{class=\"lesson\",le=\"1\"} 50\n\
            preau_wait_seconds_bucket{class=\"lesson\",le=\"+Inf\"} 50\n\
            preau_wait_seconds_sum{class=\"lesson\"} 2\npreau_wait_seconds_count{class=\"lesson\"} 50\n";
        let mut buckets = Buckets::default();
        assert_eq!(buckets.quantile(0.99), None);
        buckets.add(node, "preau_wait_seconds");
        buckets.add(node, "preau_wait_seconds");
        // 190 of 200 within half a second, the 198th four fifths of the way to one.
        assert!(buckets.quantile(0.99).is_some_and(|it| (it - 0.9).abs() < 1e-9), "{buckets:?}");
        assert!(buckets.quantile(0.5).is_some_and(|it| it < 0.5));
        buckets.add("preau_wait_seconds_bucket{le=\"+Inf\"} 800\n", "preau_wait_seconds");
        assert_eq!(buckets.quantile(0.99), Some(1.0), "a second at least");
        let mut none = Buckets::default();
        none.add("preau_wait_seconds_bucket{le=\"+Inf\"} 0\n", "preau_wait_seconds");
        assert_eq!(none.quantile(0.99), None);
    }
}
