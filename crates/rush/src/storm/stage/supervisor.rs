//! The supervisor: nodes come and go as they themselves say that they are wanted.
//!
//! It stands for the autoscaler of a cluster: it reads `preau_desired_replicas` at the nodes' second port, starts a node at
//! a free place behind the proxy or tells one to go, and waits for neither.

use super::Stage;
use crate::{
    progress::say,
    storm::{
        inlet::Stretch,
        scenario::{Segment, Supervise},
    },
};

/// What is to be done about the number of nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    Start(u32),
    Stop(u32),
    Nothing,
}

/// `standing` are there, ready or on their way to be.
fn order(supervise: &Supervise, wanted: Option<u32>, standing: u32) -> Order {
    // Whoever says nothing changes nothing: a supervisor that hears nobody must not empty the house.
    let Some(wanted) = wanted else { return Order::Nothing };
    let wanted = wanted.clamp(supervise.least, supervise.most);
    match (wanted.checked_sub(standing), standing.checked_sub(wanted)) {
        (Some(more @ 1..), _) => Order::Start(more),
        (_, Some(fewer @ 1..)) => Order::Stop(fewer),
        _ => Order::Nothing,
    }
}

impl Stage {
    /// One look at the nodes, `second` seconds into the segment, and what follows from it.
    pub(in crate::storm) async fn supervise(
        &mut self,
        supervise: &Supervise,
        segment: &Segment,
        second: f64,
        stretches: &mut Vec<Stretch>,
    ) -> anyhow::Result<()> {
        let (wanted, ready) = self.wanted().await;
        if stretches.last().is_none_or(|last| last.nodes != ready) {
            stretches.push(Stretch { from_s: second, nodes: ready });
        }
        let standing = u32::try_from(self.pids().len())?;
        let order = order(supervise, wanted, standing);
        match order {
            Order::Start(more) => {
                for _ in 0..more {
                    self.launch_node(segment)?;
                }
            }
            Order::Stop(fewer) => {
                for _ in 0..fewer {
                    if let Some(node) = self.take_node(false) {
                        self.leaving.spawn(node.stop());
                    }
                }
            }
            Order::Nothing => return Ok(()),
        }
        say(&format!("  supervisor: {standing} nodes, {} wanted: {order:?}", wanted.unwrap_or(standing)));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_house_follows_the_word_within_its_walls_and_silence_changes_nothing() {
        let supervise = Supervise { least: 1, most: 4, every_s: 2.0 };
        let order = |wanted, standing| order(&supervise, wanted, standing);
        assert_eq!(order(Some(3), 1), Order::Start(2));
        assert_eq!(order(Some(64), 1), Order::Start(3));
        assert_eq!(order(Some(2), 4), Order::Stop(2));
        assert_eq!(order(Some(0), 2), Order::Stop(1));
        assert_eq!(order(Some(2), 2), Order::Nothing);
        assert_eq!(order(None, 3), Order::Nothing);
    }
}
