//! What a waiting browser reads: the 202 of a sign-in and the shared snapshot, and the place that it computes itself.

use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use serde::Deserialize;

use crate::number::float;

/// The body of a 202: a place.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct Place {
    pub ticket: String,
    #[serde(default)]
    pub position: u64,
    #[serde(default)]
    pub eta_s: f64,
    #[serde(default)]
    pub eta_low_s: f64,
    #[serde(default)]
    pub eta_high_s: f64,
    #[serde(default)]
    pub poll_after_ms: u64,
    #[serde(default)]
    pub class: String,
    #[serde(default)]
    pub reason: String,
    /// The clear copy of what the ticket says of its place.
    #[serde(default)]
    pub tag: u64,
    #[serde(default)]
    pub territory_id: Option<String>,
    /// Of a dated ticket: RFC 3339.
    #[serde(default)]
    pub opens_at: Option<String>,
}

impl Place {
    /// Reads a 202; `None` when it holds no ticket.
    #[must_use]
    pub fn read(body: &[u8]) -> Option<Self> {
        let place: Self = serde_json::from_slice(body).ok()?;
        (!place.ticket.is_empty()).then_some(place)
    }
}

/// `GET /api/v1/queue/now`, as far as a browser needs it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct Now {
    #[serde(default)]
    pub epoch: u64,
    #[serde(default)]
    pub pressure: f64,
    #[serde(default)]
    pub territories: Vec<TerritoryNow>,
}

/// A territory in which somebody waits.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct TerritoryNow {
    pub territory_id: String,
    #[serde(default)]
    pub lanes: Vec<LaneNow>,
}

/// A lane in which somebody waits.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct LaneNow {
    pub class: String,
    pub threshold: u64,
    #[serde(default)]
    pub waiting: u64,
    /// Look again after this many seconds at most.
    #[serde(default)]
    pub look_max_s: f64,
    /// `[tag, people ahead of it, seconds at best, as estimated, at worst]`, sorted; straight lines between.
    #[serde(default)]
    pub sketch: Vec<[f64; 5]>,
}

/// Where somebody stands by a snapshot.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Stand {
    /// It is their turn, or nobody waits in their lane.
    Turn,
    /// So many are ahead of them (themselves included); how long that takes, at best and as estimated, and when to look again at the
    /// latest.
    Behind { position: f64, best_s: f64, eta_s: f64, look_max_s: f64 },
}

impl Now {
    /// Where the holder of `place` stands. A lane that is not told is a lane in which nobody waits.
    #[must_use]
    pub fn stand(&self, place: &Place) -> Stand {
        let territory = self
            .territories
            .iter()
            .find(|one| place.territory_id.as_ref().is_none_or(|wanted| *wanted == one.territory_id));
        let lane =
            territory.and_then(|territory| territory.lanes.iter().find(|lane| lane.class == place.class));
        match lane {
            Some(lane) if lane.threshold < place.tag => {
                let [_, before, best_s, eta_s, _] = lane.at(place.tag);
                Stand::Behind {
                    position: before + 1.0,
                    best_s,
                    eta_s,
                    look_max_s: if lane.look_max_s >= 1.0 { lane.look_max_s } else { 30.0 },
                }
            }
            _ => Stand::Turn,
        }
    }

    /// How many wait in all.
    #[must_use]
    pub fn waiting(&self) -> u64 {
        self.territories.iter().flat_map(|territory| &territory.lanes).map(|lane| lane.waiting).sum()
    }
}

impl LaneNow {
    /// The sketch at a tag: the last point's after it.
    fn at(&self, tag: u64) -> [f64; 5] {
        let tag = float(tag);
        let mut before = [0.0; 5];
        for &point in &self.sketch {
            let ([from, ..], [to, ..]) = (before, point);
            if tag <= to {
                let part = if to > from { (tag - from) / (to - from) } else { 1.0 };
                for (here, there) in before.iter_mut().zip(point) {
                    *here += (there - *here) * part;
                }
                return before;
            }
            before = point;
        }
        before
    }
}

/// Reads each snapshot once, however many users are shown the same bytes: their browsers would each read it, but not
/// on the generator's core.
#[derive(Debug, Default)]
pub struct Snapshots {
    last: Mutex<Option<(Bytes, Arc<Now>)>>,
}

impl Snapshots {
    /// The snapshot of `body`; `None` when it is none.
    #[must_use]
    pub fn read(&self, body: &Bytes) -> Option<Arc<Now>> {
        let mut last = self.last.lock();
        if let Some((known, now)) = &*last
            && known == body
        {
            return Some(Arc::clone(now));
        }
        let now: Arc<Now> = Arc::new(serde_json::from_slice(body).ok()?);
        *last = Some((body.clone(), Arc::clone(&now)));
        Some(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: &str = r#"{"at":"2026-11-22T08:00:00Z","mode":"ticket","epoch":3,"pressure":1.2,"territories":[
        {"territory_id":"t","lanes":[{"class":"in-slot","threshold":100,"rate_per_s":40.5,"waiting":60,
         "sketch":[[100,0,0,0,0],[200,40,1,2,9],[400,60,2,4,12]]}]}]}"#;

    fn place(class: &str, tag: u64) -> Place {
        Place {
            ticket: "x".to_owned(),
            class: class.to_owned(),
            tag,
            territory_id: Some("t".to_owned()),
            ..Place::default()
        }
    }

    #[test]
    fn a_place_is_read_off_the_sketch() {
        let now: Now = serde_json::from_str(NOW).unwrap();
        assert_eq!(now.waiting(), 60);
        let at = |tag| match now.stand(&place("in-slot", tag)) {
            Stand::Turn => [0.0; 3],
            Stand::Behind { position, best_s, eta_s, look_max_s } => {
                assert!((look_max_s - 30.0).abs() < 1e-9, "an older Préau says nothing");
                [position, best_s, eta_s]
            }
        };
        for (tag, expected) in [
            (100, [0.0; 3]),
            (150, [21.0, 0.5, 1.0]),
            (200, [41.0, 1.0, 2.0]),
            (300, [51.0, 1.5, 3.0]),
            (400, [61.0, 2.0, 4.0]),
            (900, [61.0, 2.0, 4.0]),
        ] {
            let close = at(tag).iter().zip(expected).all(|(one, other)| (one - other).abs() < 1e-9);
            assert!(close, "{tag}: {:?}", at(tag));
        }
    }

    #[test]
    fn a_lane_that_is_not_told_is_empty() {
        let now: Now = serde_json::from_str(NOW).unwrap();
        assert_eq!(now.stand(&place("lesson", 1_000)), Stand::Turn);
        let elsewhere = Place { territory_id: Some("other".to_owned()), ..place("in-slot", 300) };
        assert_eq!(now.stand(&elsewhere), Stand::Turn);
    }

    #[test]
    fn the_same_bytes_are_read_once() {
        let snapshots = Snapshots::default();
        let body = Bytes::from_static(NOW.as_bytes());
        let (one, two) = (snapshots.read(&body).unwrap(), snapshots.read(&body).unwrap());
        assert!(Arc::ptr_eq(&one, &two));
        assert!(snapshots.read(&Bytes::from_static(b"<html>")).is_none());
    }

    #[test]
    fn a_202_without_a_ticket_is_no_place() {
        assert!(Place::read(b"{}").is_none());
        let text =
            br#"{"ticket":"abc","position":7,"eta_s":3,"eta_low_s":2,"eta_high_s":5,"poll_after_ms":3000,
            "class":"guardian","reason":"guardian","tag":77,"territory_id":"t"}"#;
        let read = Place::read(text).unwrap();
        assert_eq!((read.position, read.tag, read.class.as_str()), (7, 77, "guardian"));
    }
}
