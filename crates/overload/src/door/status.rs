//! What the operator's desk is shown: what the leader published, and what each node said of itself.

use std::collections::HashMap;

use preau_admission::{
    Lane,
    eta::{self, Rates},
    status::{Crowd, LaneStatus, NodeStatus, SchoolStatus, Status, TerritoryStatus},
};
use preau_kernel::{SchoolId, TerritoryId};

use super::{Door, Inner};

/// Schools shown of a territory.
const SCHOOLS: usize = 50;

impl Door {
    /// The installation as this node knows it.
    pub fn status(&self) -> Status {
        self.0.status()
    }
}

impl Inner {
    fn status(&self) -> Status {
        let view = self.view.load();
        let beats = self.beats.load();
        let effective = self.effective.load();
        let roster = self.roster.load();
        let drained = effective.drained();
        let mut drawn: HashMap<SchoolId, u64> = HashMap::new();
        for (school, count) in beats.iter().flat_map(|beat| &beat.schools) {
            *drawn.entry(*school).or_default() += u64::from(*count);
        }
        let territories = view.snapshot.lanes.iter().map(|(territory, lanes)| TerritoryStatus {
            territory_id: *territory,
            posture: view.snapshot.posture(*territory),
            lanes: Lane::ALL
                .into_iter()
                .map(|lane| {
                    let snap = lanes.get(lane);
                    let order = effective.lane(*territory, lane);
                    let no_show =
                        |&&(of, other, _): &&(TerritoryId, Lane, f64)| of == *territory && other == lane;
                    LaneStatus {
                        class: lane,
                        arrivals_per_s: *view.board.arrivals.get(lane),
                        admitted_per_s: *view.board.admitted.get(lane),
                        waiting: snap.waiting,
                        called: super::whole(snap.rates.to_come),
                        eta_last: if snap.waiting == 0 {
                            eta::Eta::default()
                        } else {
                            eta::estimate(
                                snap.waiting,
                                if view.snapshot.frozen { Rates::default() } else { snap.rates },
                            )
                        },
                        no_show: view.board.no_show.iter().find(no_show).map_or(0.0, |(.., share)| *share),
                        closed: order.closed,
                        floor: order.floor,
                    }
                })
                .collect(),
            schools: schools(&drawn, |school| {
                roster.get(school).filter(|row| row.territory == *territory).map(|row| row.people)
            }),
        });
        let nodes = beats.iter().map(|beat| NodeStatus {
            node: beat.node.clone(),
            at: beat.at,
            hash_per_s: beat.hash_per_s,
            hashed_per_s: beat.hashed_per_s,
            hash_queue: beat.queued,
            db_in_flight: beat.db_in_flight,
            db_limit: beat.db_limit,
            drained: beat.draining || drained.contains(beat.node.as_str()),
            version: beat.version.clone(),
        });
        let crowd = beats.iter().fold(Crowd::default(), |sum, beat| Crowd {
            attempts: sum.attempts + beat.crowd.attempts,
            failed: sum.failed + beat.crowd.failed,
            failing_logins: sum.failing_logins + beat.crowd.failing_logins,
            unknown_devices: sum.unknown_devices + beat.crowd.unknown_devices,
            bad_tickets: sum.bad_tickets + beat.crowd.bad_tickets,
            bytes_in: sum.bytes_in + beat.crowd.bytes_in,
            bytes_out: sum.bytes_out + beat.crowd.bytes_out,
        });
        Status {
            at: view.snapshot.at,
            mode: self.mode(),
            epoch: view.snapshot.epoch,
            leader: view.leader.clone(),
            shared: self.alone.lock().is_none(),
            frozen: view.snapshot.frozen,
            pressure: view.snapshot.pressure,
            parts: view.board.parts,
            level: view.snapshot.level,
            seats: view.board.seats,
            seats_max: view.board.seats_max,
            territories: territories.collect(),
            nodes: nodes.collect(),
            crowd,
            desired: view.board.desired,
        }
    }
}

fn schools(drawn: &HashMap<SchoolId, u64>, people: impl Fn(SchoolId) -> Option<u32>) -> Vec<SchoolStatus> {
    let mut schools: Vec<SchoolStatus> = drawn
        .iter()
        .filter_map(|(school, count)| {
            let people = people(*school)?;
            Some(SchoolStatus { school_id: *school, drawn: *count, admitted: 0, people })
        })
        .collect();
    schools.sort_by_key(|school| (std::cmp::Reverse(school.drawn), school.school_id));
    schools.truncate(SCHOOLS);
    schools
}
