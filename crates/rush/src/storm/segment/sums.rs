//! What a segment is compared with: the hours of the tale, PostgreSQL's rows, the CPU time.

use std::collections::HashSet;

use super::Played;
use crate::{
    cpu::{Reading, Spent, Watch},
    number::{count, float, floor},
    reconcile::{Claim, Reconciled},
    storm::{
        life::Life,
        scenario::{Break, Segment},
        stage::Stage,
        tally::Bell,
        user::route,
    },
};

impl Stage {
    /// The hours of the tale, and who had a lesson; without lessons, nobody had.
    pub(super) fn bell(&self, segment: &Segment, played: &Played) -> anyhow::Result<Bell> {
        let lessons = &self.scenario.lessons;
        let at = |hour: &str| {
            anyhow::Ok(floor(
                self.scenario.story.second(hour)?.clamp(0.0, segment.seconds + segment.drain_s) * 1e6,
            ))
        };
        let user = |person: &usize| played.users.get(person).copied();
        let classes = self.at_nine.iter().filter_map(|at| self.world.classes.get(*at));
        Ok(Bell {
            full_by_us: at(&lessons.full_by)?,
            teachers_by_us: at(&lessons.teachers_by)?,
            opens_us: segment
                .fault
                .iter()
                .find(|fault| fault.act == Break::CloseLanes)
                .map(|fault| floor((fault.at_s + fault.for_s) * 1e6)),
            classes: classes
                .map(|class| {
                    let pupils: Vec<u64> = class.members.iter().filter_map(user).collect();
                    (pupils, class.teacher.as_ref().and_then(user))
                })
                // A class of which nobody meant to come has no lesson in this segment.
                .filter(|(pupils, _)| !pupils.is_empty())
                .collect(),
        })
    }

    /// Against PostgreSQL: every session that somebody was told of is a row, and every row is somebody's, but for those that
    /// strangers, requests given up and nodes that went away explain (`untold`, beside what lives say).
    pub(super) async fn sessions(
        &self,
        since: &str,
        lives: &[Life],
        untold: u64,
    ) -> anyhow::Result<Reconciled> {
        let rows = self
            .lab
            .sql_as_superuser(&format!(
                "SELECT family_id FROM session_family WHERE created_at >= '{}';\n",
                since.replace('\'', "")
            ))
            .await?;
        let family = |id: &str| Claim { person_id: String::new(), family_id: id.to_owned() };
        let rows: HashSet<Claim> = rows.lines().map(|line| family(line.trim())).collect();
        let entered = lives.iter().filter(|life| life.inside_us.is_some() && life.way != "refresh");
        let told: Vec<Claim> =
            entered.clone().filter_map(|life| life.family_id.as_deref()).map(family).collect();
        let answered = count(entered.count());
        let in_vain: u64 = lives
            .iter()
            .flat_map(|life| route::LETS_IN.map(|route| life.unanswered.get(route)))
            .flatten()
            .map(|times| u64::from(*times))
            .sum();
        Ok(Reconciled::compare(answered, in_vain + untold, &told, &rows))
    }

    /// People of nine-o'clock lessons who came, as a share of what the peak lets in between the beginning and the hour by
    /// which they should be full. None without lessons.
    pub(super) fn lessons_of_capacity(
        &self,
        segment: &Segment,
        lives: &[Life],
    ) -> anyhow::Result<Option<f64>> {
        let lessons = &self.scenario.lessons;
        let story = &self.scenario.story;
        let room =
            self.unit_per_s(segment) * (story.second(&lessons.full_by)? - story.second(&lessons.begin)?);
        let came = lives.iter().filter(|life| life.lesson && !life.hostile).count();
        Ok((room > 0.0 && came > 0 && !self.at_nine.is_empty()).then(|| float(count(came)) / room))
    }

    /// CPU time since `before`; none when a watched process has ended.
    pub(super) fn spent(&self, watch: &Watch, before: &Reading) -> Option<Spent> {
        watch.read().ok().map(|now| now.since(before))
    }
}
