//! A coherent invented académie, written as the files that real ones deliver.
//!
//! [`generate`] writes an AAF delivery and, for each school, a timetable: an STS pair, or an iCalendar file for the first
//! school. Schools come in neighbourhoods of four, whose families and teachers are shared: siblings in several schools,
//! separated parents, teachers in two schools. Memory holds one neighbourhood at a time, so a thousand schools cost no more
//! than four. The same plan writes the same bytes. Nobody in it exists; subject and MEF codes do.

mod changes;
mod codes;
mod dice;
mod families;
mod grid;
mod model;
mod names;
mod staff;
mod write_aaf;
mod write_ics;
mod write_sts;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use chrono::{Days, NaiveDate};
use serde::Serialize;

pub use changes::changes;
use codes::Kind;
use dice::Dice;
use model::{Counters, Neighbourhood};

/// What to invent.
#[derive(Clone, Debug)]
pub struct DemoPlan {
    /// Schools: every fourth a primary school; the fourth of all lies overseas.
    pub schools: u32,
    /// Pupils, in all.
    pub pupils: u32,
    /// The same seed writes the same files.
    pub seed: u64,
    /// A day in the first week of the timetables.
    pub first_week: NaiveDate,
    /// Weeks of timetable; 0 writes none.
    pub weeks: u32,
    /// Days a week with lessons, from Monday: 5, or 6 and 7 for demonstrations at a weekend, whose days repeat Monday's.
    pub days: u32,
}

impl DemoPlan {
    /// Four schools and four hundred pupils over four weeks, of which the one with `today` in it is the second.
    pub fn small(today: NaiveDate) -> Self {
        let first_week = today.checked_sub_days(Days::new(7)).unwrap_or(today);
        Self { schools: 4, pupils: 400, seed: 1, first_week, weeks: 4, days: 5 }
    }

    fn mondays(&self) -> Vec<NaiveDate> {
        let first = self.first_week.week(chrono::Weekday::Mon).first_day();
        (0..self.weeks).filter_map(|week| first.checked_add_days(Days::new(u64::from(week) * 7))).collect()
    }

    /// The year in which the school year of the timetables began.
    fn school_year(&self) -> i32 {
        use chrono::Datelike;
        let first = self.first_week;
        if first.month() >= 8 { first.year() } else { first.year() - 1 }
    }
}

/// What was written.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Demo {
    /// Name of the invented académie.
    pub territory: String,
    /// Folder of the AAF delivery, below the output folder.
    pub aaf: PathBuf,
    /// The schools that have timetables.
    pub schools: Vec<DemoSchool>,
    /// Pupils written.
    pub pupils: u64,
    /// Guardians written.
    pub guardians: u64,
    /// Teachers and other staff written.
    pub staff: u64,
}

/// One school of the demonstration.
#[derive(Clone, Debug, Serialize)]
pub struct DemoSchool {
    /// UAI, with the right letter.
    pub uai: String,
    /// Name.
    pub name: String,
    /// Its timetable files, below the output folder.
    pub timetable: DemoTimetable,
}

/// The timetable files of a school.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DemoTimetable {
    /// An STS pair.
    Sts {
        /// `sts_emp_<UAI>_<year>.xml`
        down: PathBuf,
        /// `emp_sts_<UAI>_<year>.xml`
        up: PathBuf,
    },
    /// An iCalendar file.
    Ics {
        /// `edt_<UAI>.ics`
        file: PathBuf,
    },
}

/// Name of the invented académie.
pub const TERRITORY: &str = "Académie de démonstration";
/// Its two-digit code, which no academy has.
pub const ACADEMY: &str = "97";

/// Writes the plan's files into `out`, which is created. `progress` is told the schools written so far.
///
/// # Errors
/// What the file system answers.
pub fn generate(plan: &DemoPlan, out: &Path, progress: &mut dyn FnMut(u32)) -> io::Result<Demo> {
    let folder = out.join("aaf");
    fs::create_dir_all(&folder)?;
    let mut delivery = write_aaf::Delivery::create(&folder, plan.first_week)?;
    let mut demo = Demo { territory: TERRITORY.to_owned(), aaf: PathBuf::from("aaf"), ..Demo::default() };
    let mut counters = Counters::default();
    delivery.nomenclatures()?;
    let shares = shares(plan);
    let mut schools = 0;
    for (index, sizes) in shares.chunks(4).enumerate() {
        let hood = u32::try_from(index).unwrap_or(u32::MAX);
        let mut dice = Dice::new(plan.seed, hood);
        let mut hood = Neighbourhood::found(hood * 4, sizes);
        families::settle(&mut hood, plan.school_year(), &mut counters, &mut dice);
        staff::hire(&mut hood, &mut counters, &mut dice);
        grid::plan(&mut hood, plan.days, &mut dice);
        delivery.write(&hood)?;
        // A directory alone, of any size, when no week is asked for.
        for school in (0..hood.schools.len()).filter(|_| plan.weeks > 0) {
            demo.schools.push(timetable(plan, &hood, school, out)?);
        }
        schools += u32::try_from(hood.schools.len()).unwrap_or(u32::MAX);
        let count = |len: usize| u64::try_from(len).unwrap_or(u64::MAX);
        demo.pupils += count(hood.pupils.len());
        demo.guardians += count(hood.guardians.len());
        demo.staff += count(hood.staff.len());
        progress(schools);
    }
    delivery.finish()?;
    Ok(demo)
}

/// Pupils a school, by the weight of its kind, so that the sum is the plan's.
fn shares(plan: &DemoPlan) -> Vec<(Kind, u32)> {
    let kinds: Vec<Kind> = (0..plan.schools).map(Kind::of).collect();
    let total: u64 = kinds.iter().map(|kind| kind.weight()).sum();
    let (mut seen, mut given) = (0_u64, 0_u64);
    let mut shares = Vec::with_capacity(kinds.len());
    for kind in kinds {
        seen += kind.weight();
        let until = u64::from(plan.pupils) * seen / total.max(1);
        shares.push((kind, u32::try_from(until - given).unwrap_or(u32::MAX)));
        given = until;
    }
    shares
}

fn timetable(plan: &DemoPlan, hood: &Neighbourhood, school: usize, out: &Path) -> io::Result<DemoSchool> {
    let Some(about) = hood.schools.get(school) else { return Err(io::ErrorKind::NotFound.into()) };
    let below = PathBuf::from("timetables").join(&about.uai);
    fs::create_dir_all(out.join(&below))?;
    let mondays = plan.mondays();
    let timetable = if about.index == 0 {
        let file = below.join(format!("edt_{}.ics", about.uai));
        write_ics::write(&out.join(&file), hood, school, &mondays)?;
        DemoTimetable::Ics { file }
    } else {
        let year = plan.school_year();
        let down = below.join(format!("sts_emp_{}_{year}.xml", about.uai));
        let up = below.join(format!("emp_sts_{}_{year}.xml", about.uai));
        write_sts::down(&out.join(&down), hood, school, year)?;
        write_sts::up(&out.join(&up), hood, school, year, &mondays)?;
        DemoTimetable::Sts { down, up }
    };
    Ok(DemoSchool { uai: about.uai.clone(), name: about.full_name(), timetable })
}

#[cfg(test)]
#[path = "demo_tests.rs"]
mod tests;
