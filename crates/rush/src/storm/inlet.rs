//! How evenly people come in, whatever the number of nodes: goal G14. Pure.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::number::{count, float, floor};

/// After a change of the number of nodes, so many seconds tell nothing: the newcomer's share is being measured.
const SETTLES_S: usize = 5;

/// From that second of the segment on, so many nodes were ready.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stretch {
    pub from_s: f64,
    pub nodes: u32,
}

/// What so many nodes let in.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Inlet {
    pub nodes: u32,
    /// Whole seconds that were counted: those in which the number had settled.
    pub seconds: u64,
    pub let_in: u64,
    pub let_in_per_s: f64,
    /// Let in ÷ the inlet that was set (`ADMISSION__INLET_PER_S`); absent where it was measured.
    pub of_inlet: Option<f64>,
}

/// By number of nodes: people let in, per second of `let_in`, over the first `window_s` seconds.
#[must_use]
pub fn by_nodes(
    let_in: &[u32],
    stretches: &[Stretch],
    window_s: f64,
    inlet_per_s: Option<f64>,
) -> Vec<Inlet> {
    let whole = |second: f64| usize::try_from(floor(second)).unwrap_or(usize::MAX);
    let window = whole(window_s).min(let_in.len());
    let ends = stretches.iter().skip(1).map(|next| whole(next.from_s.ceil())).chain([window]);
    let mut found: BTreeMap<u32, (u64, u64)> = BTreeMap::new();
    for (stretch, end) in stretches.iter().zip(ends) {
        let from = whole(stretch.from_s.ceil()).saturating_add(SETTLES_S);
        let Some(part) = let_in.get(from..end.min(window)).filter(|part| !part.is_empty()) else { continue };
        let (seconds, people) = found.entry(stretch.nodes).or_default();
        *seconds += count(part.len());
        *people += part.iter().map(|it| u64::from(*it)).sum::<u64>();
    }
    found
        .into_iter()
        .map(|(nodes, (seconds, let_in))| {
            let let_in_per_s = float(let_in) / float(seconds);
            let of_inlet = inlet_per_s.map(|inlet| let_in_per_s / inlet);
            Inlet { nodes, seconds, let_in, let_in_per_s, of_inlet }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_of_nodes_has_its_own_settled_seconds() {
        let mut let_in = vec![40_u32; 40];
        let_in[20..25].fill(0); // the change
        let_in[38] = 999; // the drain
        let stretches = [Stretch { from_s: 0.0, nodes: 1 }, Stretch { from_s: 19.5, nodes: 2 }];
        let found = by_nodes(&let_in, &stretches, 38.0, Some(40.0));
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].nodes, found[0].seconds, found[0].let_in), (1, 15, 600));
        assert_eq!((found[1].nodes, found[1].seconds, found[1].let_in), (2, 13, 520));
        assert!(found.iter().all(|it| it.of_inlet.is_some_and(|of| (of - 1.0).abs() < 1e-9)));
    }

    #[test]
    fn seconds_of_the_same_number_add_up_and_short_stretches_tell_nothing() {
        let stretches = [(0.0, 2), (10.0, 3), (12.0, 2)].map(|(from_s, nodes)| Stretch { from_s, nodes });
        let found = by_nodes(&[10; 24], &stretches, 24.0, None);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].nodes, found[0].seconds, found[0].of_inlet), (2, 12, None));
        assert!(by_nodes(&[10; 4], &stretches, 4.0, None).is_empty());
    }
}
