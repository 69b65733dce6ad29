//! What a scenario may ask for.

use anyhow::{Context as _, bail};

use super::{Crowd, MODES, Manner, Scenario, Segment, Supervise};
use crate::number::count;

/// Nodes that one core is cut for, at most.
const MOST_NODES: u32 = 64;
/// Times that a segment is played, at most.
const MOST_TIMES: u32 = 50;

impl Scenario {
    pub(super) fn check(&self) -> anyhow::Result<()> {
        for (name, share) in [
            ("user.trusted", self.user.trusted),
            ("user.typos", self.user.typos),
            ("user.human", self.user.human),
            ("user.abandon", self.user.abandon),
            ("user.hashed", self.user.hashed),
            ("user.returning", self.user.returning),
            ("user.sign_out", self.user.sign_out),
            ("limits.late_share", self.limits.late_share),
        ] {
            if !(0.0..=1.0).contains(&share) {
                bail!("{name} is a share between 0 and 1, got {share}");
            }
        }
        for (name, (from, to)) in [
            ("user.reload_s", self.user.reload_s),
            ("user.hang_s", self.user.hang_s),
            ("user.abandon_s", self.user.abandon_s),
        ] {
            if !(from > 0.0 && to >= from && to < 86_400.0) {
                bail!("{name} is a range of seconds, got {from}..{to}");
            }
        }
        if !(self.story.minute_s > 0.0 && self.story.minute_s <= 60.0) {
            bail!("story.minute_s is between 0 and 60");
        }
        for hour in [&self.lessons.begin, &self.lessons.full_by, &self.lessons.teachers_by] {
            self.story.second(hour)?;
        }
        if self.segment.is_empty() {
            bail!("a scenario without a segment does nothing");
        }
        if !(1..=MOST_NODES).contains(&self.nodes) || self.world.schools == 0 || self.world.territories == 0 {
            bail!("at least one node, school and territory, and at most {MOST_NODES} nodes");
        }
        for segment in &self.segment {
            self.check_segment(segment).with_context(|| format!("segment `{}`", segment.name))?;
        }
        for plan in &self.plan {
            plan.check().with_context(|| format!("plan `{}`", plan.name))?;
        }
        for crowd in &self.crowd {
            self.check_crowd(crowd).with_context(|| format!("crowd `{}`", crowd.name))?;
        }
        Ok(())
    }

    fn check_segment(&self, segment: &Segment) -> anyhow::Result<()> {
        if !MODES.contains(&segment.mode.as_str()) {
            bail!("mode `{}` is none of {MODES:?}", segment.mode);
        }
        if !(segment.seconds > 0.0 && segment.seconds <= 14_400.0) {
            bail!("seconds must be positive, and four hours at most");
        }
        for name in &segment.crowds {
            if !self.crowd.iter().any(|crowd| crowd.name == *name) {
                bail!("no crowd is named `{name}`");
            }
        }
        if segment.trusted.is_some_and(|share| !(0.0..=1.0).contains(&share)) {
            bail!("trusted is a share between 0 and 1");
        }
        if let Some(supervised) = &segment.supervise {
            supervised.check()?;
        }
        if !(1..=MOST_TIMES).contains(&segment.repeat) {
            bail!("repeat: between once and {MOST_TIMES} times");
        }
        if let Some(step) = segment.step
            && !(step.up_s >= 0.0 && step.down_s > step.up_s && step.down_s < segment.seconds)
        {
            bail!("step: up before down, and both before the segment ends");
        }
        for fault in &segment.fault {
            fault.check(segment.seconds + segment.drain_s)?;
        }
        Ok(())
    }

    fn check_crowd(&self, crowd: &Crowd) -> anyhow::Result<()> {
        match (&crowd.rate, &crowd.bell, crowd.count) {
            (Some(points), None, None) => {
                let ordered = points.windows(2).all(|pair| matches!(pair, [one, two] if one.0 <= two.0));
                if points.len() < 2 || !ordered || points.iter().any(|(at, x)| *at < 0.0 || *x < 0.0) {
                    bail!("rate: at least two points, in order, not negative");
                }
            }
            (None, Some(bell), None) => {
                self.story.second(&bell.at)?;
                if !(bell.sigma_min > 0.0 && (0.0..=1.0).contains(&bell.share)) {
                    bail!("bell: sigma_min is positive and share between 0 and 1");
                }
            }
            (None, None, Some(_)) => {}
            _ => bail!("exactly one of rate, bell and count says when it comes"),
        }
        let schools = u64::from(self.world.territories) * u64::from(self.world.schools);
        match crowd.school {
            Some(school) if count(school) >= schools => bail!("school: there are {schools}, from 0 on"),
            None if crowd.manner == Manner::Drawer => bail!("school: whose places a drawer draws"),
            _ => {}
        }
        if crowd.kind.is_some_and(|kind| !self.world.has(kind)) {
            bail!("kind: no school of the world is of it");
        }
        Ok(())
    }
}

impl Supervise {
    fn check(&self) -> anyhow::Result<()> {
        if !(1..=MOST_NODES).contains(&self.most) || self.least == 0 || self.least > self.most {
            bail!("supervise: between one and {MOST_NODES} nodes, `least` not above `most`");
        }
        if !(0.5..=60.0).contains(&self.every_s) {
            bail!("supervise: every_s is between half a second and a minute");
        }
        Ok(())
    }
}
