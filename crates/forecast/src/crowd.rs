//! From accounts and closures to a crowd: what one closed territory's week teaches about the others.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    measure,
    wave::{Class, Door, Lane, Rush, Shape, cores_without_wait, hashes_per_core, wave},
    whole,
};

/// A quantity as it was observed on an ordinary day and on closed days, in the same unit.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Observed {
    /// Visits a day, on average.
    pub visits: f64,
    /// The busiest moment's arrivals.
    pub peak: f64,
    /// How long a visit lasts.
    pub session: f64,
}

/// What a place that closed before the others saw (`config/forecast/haut-rhin-2020.toml`).
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Week {
    /// Where the figures come from.
    pub source: String,
    /// Before it closed.
    pub ordinary: Observed,
    /// While it was closed.
    pub closed: Observed,
    /// How far other places were from this one, as a factor either way.
    pub spread: f64,
}

/// What closing does to a school's visits.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[schema(as = ForecastEffect)]
pub struct Effect {
    /// Visits a day, as a multiple.
    pub visits: f64,
    /// How much more closely they come: a peak grows by `visits × gathering`.
    pub gathering: f64,
    /// Length of a visit, as a multiple.
    pub session: f64,
    /// Other places lie within this factor either way.
    pub spread: f64,
}

impl Week {
    /// What it teaches. Nothing else is known of the places that will close.
    pub fn teaches(&self) -> Effect {
        let visits = self.closed.visits / self.ordinary.visits;
        Effect {
            visits,
            gathering: self.closed.peak / self.ordinary.peak / visits,
            session: self.closed.session / self.ordinary.session,
            spread: self.spread,
        }
    }

    /// The week of the Haut-Rhin, as the program ships it.
    ///
    /// # Errors
    /// A file that was shipped broken.
    pub fn haut_rhin() -> Result<Self, toml::de::Error> {
        toml::from_str(include_str!("../../../config/forecast/haut-rhin-2020.toml"))
    }
}

/// What things cost, measured (`preau-rush capacity` prints them), and how people use the product on an ordinary day.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Costs {
    /// CPU seconds of a password hash.
    pub hash_s: f64,
    /// Share of a core that hashing may use.
    pub usable: f64,
    /// Share of sign-ins that need a hash; the others come by a desk or a refresh.
    pub hashed_share: f64,
    /// CPU seconds that drawing a place takes from the cores that hash, for each who comes while others wait; 0 where other
    /// nodes draw them.
    #[serde(default)]
    pub arrival_s: f64,
    /// CPU seconds that a second of somebody's waiting takes from them: places that are shown too early; 0 as above.
    #[serde(default)]
    pub waiting_s: f64,
    /// CPU seconds of a request.
    pub request_s: f64,
    /// Requests a second of somebody who is in.
    pub requests_per_seat: f64,
    /// Seconds of an ordinary visit.
    pub session_s: f64,
    /// Statements a request that no cache answers.
    pub queries_per_request: f64,
    /// Share of requests that a cache answers.
    pub cached_share: f64,
    /// Seconds of a statement.
    pub query_s: f64,
    /// Cores of a hashing node.
    pub hashing_cores: f64,
    /// Cores of another node.
    pub api_cores: f64,
    /// Visits a day and account.
    pub visits_per_account: f64,
    /// Share of a day's visits that gather around nine.
    pub rush_share: f64,
    /// How closely, on an ordinary day: the standard deviation in seconds.
    pub rush_sigma_s: f64,
    /// Sign-ins a second at the height of an ordinary morning, as measured; 0: estimated from the accounts.
    pub usual_peak_per_s: f64,
    /// Hashing cores that a storm was tried with (deploy/CAPACITY.md); 0: none was.
    pub tested_hashing_cores: f64,
}

/// People who have accounts in one place, and whether it will be closed.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// Name: a département's number, say.
    pub name: String,
    /// Pupils who sign in themselves.
    #[serde(default)]
    pub pupils: u64,
    /// Teachers and staff.
    #[serde(default)]
    pub teachers: u64,
    /// Guardians.
    #[serde(default)]
    pub guardians: u64,
    /// Guardians of primary pupils, whose sign-in is the child's.
    #[serde(default)]
    pub primary_guardians: u64,
    /// Its schools are closed that day.
    #[serde(default)]
    pub closed: bool,
}

/// A window that part of the pupils are asked to keep to.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Slot {
    /// When it opens, in hours of the day.
    pub from_h: f64,
    /// Which share of the pupils it is for.
    pub share: f64,
}

/// The day that is asked about.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// Who has accounts.
    pub parts: Vec<Part>,
    /// Windows, if any.
    pub slots: Vec<Slot>,
    /// Share of pupils who keep to their window.
    pub obedience: f64,
    /// Share of the pupils whose class has a lesson at nine.
    pub lessons_share: f64,
    /// Cores that will hash; none: as many as nobody waits with.
    pub hashing_cores: Option<f64>,
    /// How people are spread around nine, and around the opening of a window.
    pub shape: Shape,
}

/// A figure and how far it may be off.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[schema(as = ForecastBand)]
pub struct Band {
    /// The most likely.
    pub likely: u64,
    /// Lowest that other places' experience allows.
    pub low: u64,
    /// Highest.
    pub high: u64,
}

impl Band {
    /// Around `value`, by `factor` either way. What no closure touches is known.
    fn around(value: f64, factor: f64) -> Self {
        Self { likely: whole(value), low: whole(value / factor), high: whole(value * factor) }
    }

    /// Whether it holds `value`.
    pub fn holds(self, value: u64) -> bool {
        (self.low..=self.high).contains(&value)
    }
}

/// What must be there.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[schema(as = ForecastNeeds)]
pub struct Needs {
    /// Cores that hash, with which nobody waits.
    pub hashing_cores: u64,
    /// Nodes that hash.
    pub hashing_nodes: u64,
    /// Other nodes.
    pub api_nodes: u64,
    /// People inside at once.
    pub seats: u64,
    /// Requests a second.
    pub requests_per_s: u64,
    /// Connections to PostgreSQL at work.
    pub connections: u64,
}

/// The answer.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Forecast {
    /// Accounts, of open and closed places.
    pub accounts: u64,
    /// Of those, in places that are closed.
    pub closed_accounts: u64,
    /// Visits in the day.
    pub visits: Band,
    /// Sign-ins a second at the height.
    pub peak_per_s: Band,
    /// The same on an ordinary day.
    pub usual_peak_per_s: u64,
    /// Visits, as a multiple of an ordinary day's.
    pub visits_times: f64,
    /// The height, as a multiple of an ordinary day's.
    pub peak_times: f64,
    /// What must be there for nobody to wait, at the likely height.
    pub needs: Needs,
    /// Whether a storm of this height was ever tried here. Where it is false, somebody should know the evening before.
    pub tried: bool,
    /// Cores that will hash, for what follows.
    pub hashing_cores: f64,
    /// What each lane waits with those.
    pub lanes: Vec<Lane>,
}

const NINE_S: f64 = 9.0 * 3600.0;

/// What to expect of the day.
pub fn forecast(plan: &Plan, costs: &Costs, effect: &Effect) -> Forecast {
    let crowd = Crowd::of(plan, costs, effect);
    let (peak, _) = wave(&crowd.rushes, &Door::strict(f64::MAX));
    // The wider the closure, the more of the figure is a guess.
    let guessed = effect.spread.powf(crowd.closed_accounts / crowd.accounts.max(1.0));
    let cores = cores_without_wait(peak, costs.hashes(), costs.hash_s, costs.usable);
    let given = plan.hashing_cores.unwrap_or(cores);
    let door = costs.door(given);
    let (_, lanes) = wave(&crowd.rushes, &door);
    // Those who are in at the height: arrivals, as fast as they are let in, times the length of a visit.
    let seats = peak.min(door.per_s) * costs.session_s * crowd.session_times;
    let requests = seats * costs.requests_per_seat;
    let queries =
        requests * (1.0 - costs.cached_share) * costs.queries_per_request + 2.0 * peak.min(door.per_s);
    Forecast {
        accounts: whole(crowd.accounts),
        closed_accounts: whole(crowd.closed_accounts),
        visits: Band::around(crowd.visits, guessed),
        peak_per_s: Band::around(peak, guessed),
        usual_peak_per_s: whole(crowd.usual_peak),
        visits_times: times(crowd.visits, crowd.usual_visits),
        peak_times: times(peak, crowd.usual_peak),
        needs: Needs {
            hashing_cores: whole(cores.ceil()),
            hashing_nodes: whole((cores / costs.hashing_cores).ceil()),
            api_nodes: whole((requests * costs.request_s / 0.6 / costs.api_cores).ceil()),
            seats: whole(seats),
            requests_per_s: whole(requests),
            connections: whole((queries * costs.query_s / 0.7).ceil()),
        },
        tried: cores <= costs.tested_hashing_cores,
        hashing_cores: given,
        lanes,
    }
}

impl Costs {
    /// Hashes a sign-in. Where nobody hashes, one in a thousand: a core that lets in without end is no number.
    fn hashes(&self) -> f64 {
        self.hashed_share.max(1e-3)
    }

    /// What so many cores that hash let in.
    pub fn door(&self, cores: f64) -> Door {
        let per_core = hashes_per_core(self.hash_s, self.usable) / self.hashes();
        Door {
            arrival: self.arrival_s * per_core,
            waiting: self.waiting_s * per_core,
            ..Door::with_floors(cores * per_core)
        }
    }
}

/// As a multiple. Of nobody, nobody is as many.
fn times(value: f64, usual: f64) -> f64 {
    if usual > 0.0 { value / usual } else { 1.0 }
}

struct Crowd {
    rushes: Vec<Rush>,
    accounts: f64,
    closed_accounts: f64,
    visits: f64,
    usual_visits: f64,
    usual_peak: f64,
    session_times: f64,
}

impl Crowd {
    fn of(plan: &Plan, costs: &Costs, effect: &Effect) -> Self {
        let people =
            |part: &Part| measure(part.pupils + part.teachers + part.guardians + part.primary_guardians);
        let accounts: f64 = plan.parts.iter().map(people).sum();
        let closed_accounts: f64 = plan.parts.iter().filter(|part| part.closed).map(people).sum();
        let estimated =
            plan.shape.peak_of(accounts * costs.visits_per_account * costs.rush_share, costs.rush_sigma_s);
        // A measured height corrects how often people come; how they gather stays.
        let correction = if costs.usual_peak_per_s > 0.0 && estimated > 0.0 {
            costs.usual_peak_per_s / estimated
        } else {
            1.0
        };
        let each = costs.visits_per_account * correction;
        let mut rushes = Vec::new();
        let (mut visits, mut lengths) = (0.0, 0.0);
        for part in &plan.parts {
            let (times, gathering, session) =
                if part.closed { (effect.visits, effect.gathering, effect.session) } else { (1.0, 1.0, 1.0) };
            let day = people(part) * each * times;
            visits += day;
            lengths += day * session;
            let coming = each * times * costs.rush_share;
            rushes.extend(rushes_of(part, plan, coming, costs.rush_sigma_s / gathering));
        }
        Self {
            rushes,
            accounts,
            closed_accounts,
            visits,
            usual_visits: accounts * each,
            usual_peak: estimated * correction,
            session_times: lengths / visits.max(1.0),
        }
    }
}

/// Who of a part comes when: `coming` of each, around nine or around the opening of their window.
fn rushes_of(part: &Part, plan: &Plan, coming: f64, sigma_s: f64) -> Vec<Rush> {
    let children = measure(part.pupils + part.primary_guardians) * coming;
    let rush = |class, people, at_s| Rush { class, people, at_s, sigma_s, shape: plan.shape };
    let mut rushes = vec![
        rush(Class::Lesson, measure(part.teachers) * coming, NINE_S),
        rush(Class::Lesson, children * plan.lessons_share, NINE_S),
        rush(Class::Guardian, measure(part.guardians) * coming, NINE_S),
    ];
    let others = children * (1.0 - plan.lessons_share);
    // Advice moves those who follow it. A window that nobody has is nine o'clock, for whoever is in none.
    let mut left = others;
    for slot in &plan.slots {
        let keeping = others * slot.share * plan.obedience;
        left -= keeping;
        rushes.push(rush(Class::InSlot, keeping, slot.from_h * 3600.0));
    }
    let class = if plan.slots.is_empty() { Class::InSlot } else { Class::OutOfSlot };
    rushes.push(rush(class, left.max(0.0), NINE_S));
    rushes.retain(|rush| rush.people > 0.0);
    rushes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wave::peak_of;

    fn costs() -> Costs {
        let config: toml::Table = toml::from_str(include_str!("../../../config/default.toml")).unwrap();
        config.get("forecast").unwrap().clone().try_into().unwrap()
    }

    fn country(closed: bool) -> Vec<Part> {
        vec![Part {
            name: "France".to_owned(),
            pupils: 12_500_000,
            teachers: 1_000_000,
            closed,
            ..Part::default()
        }]
    }

    fn academy(closed_77: bool, closed_rest: bool) -> Plan {
        let part = |name: &str, pupils, closed| Part {
            name: name.to_owned(),
            pupils,
            teachers: pupils / 10,
            guardians: pupils / 6,
            closed,
            ..Part::default()
        };
        Plan {
            parts: vec![
                part("77", 130_000, closed_77),
                part("93", 140_000, closed_rest),
                part("94", 110_000, closed_rest),
            ],
            obedience: 0.8,
            ..Plan::default()
        }
    }

    #[test]
    fn where_everybody_comes_by_a_desk_hashing_lets_in_whoever_comes() {
        let effect = Week::haut_rhin().unwrap().teaches();
        let desks = Costs { hashed_share: 0.0, arrival_s: 1e-4, waiting_s: 1e-5, ..costs() };
        let plan = Plan { hashing_cores: Some(4.0), ..academy(true, true) };
        let told = forecast(&plan, &desks, &effect);
        assert!(told.needs.hashing_cores <= 1, "{:?}", told.needs);
        assert!(told.lanes.iter().all(|lane| lane.people > 0 && lane.wait_mean_s == 0), "{:?}", told.lanes);
    }

    #[test]
    fn given_only_the_week_of_the_haut_rhin_it_tells_the_next_one() {
        let effect = Week::haut_rhin().unwrap().teaches();
        let told = forecast(&Plan { parts: country(true), ..Plan::default() }, &costs(), &effect);
        // Visits ×5 and peaks ×10, when everybody closes: carried through.
        assert!((told.visits_times - 5.0).abs() < 0.01 && (told.peak_times - 10.0).abs() < 0.01, "{told:?}");
        let times = |value: f64| Band::around(value * 1000.0, effect.spread);
        // Auvergne-Rhône-Alpes: visits ×3, in a week in which many were refused.
        assert!(times(told.visits_times).holds(3_000), "{effect:?}");
        // The vendor's own month: 40 million visits in an ordinary November, 200 million expected.
        assert_eq!(whole(40.0 * told.visits_times), 200);
        // The rendez-vous of the capacity model, reached from the other side: 60 % of the pupils within σ = 5 minutes.
        let rendezvous = peak_of(7_500_000.0, 300.0);
        assert!(told.peak_per_s.holds(whole(rendezvous)), "{:?} does not hold {rendezvous}", told.peak_per_s);
        // It would not have been told by last November's figures.
        let blind = forecast(&Plan { parts: country(false), ..Plan::default() }, &costs(), &effect);
        assert!(!blind.peak_per_s.holds(whole(rendezvous)) && blind.peak_times < 1.01);
        assert_eq!(blind.peak_per_s.low, blind.peak_per_s.high, "nothing is guessed of an ordinary day");
    }

    /// Held out, and missed: in closed weeks the lycées of Auvergne-Rhône-Alpes counted 1.6 million visits of 453,000 accounts,
    /// seven in ten a school day. The model's ordinary day is an assumption, not a measure: `usual_peak_per_s` is there to
    /// replace it.
    #[test]
    fn without_a_measured_morning_the_number_of_visits_is_told_too_high() {
        let effect = Week::haut_rhin().unwrap().teaches();
        let lycees =
            Part { pupils: 356_000, teachers: 35_000, guardians: 62_000, closed: true, ..Part::default() };
        let told = forecast(&Plan { parts: vec![lycees], ..Plan::default() }, &costs(), &effect);
        let counted = 1_600_000 / 5;
        assert!(!told.visits.holds(counted) && told.visits.low > counted, "{:?}", told.visits);
    }

    #[test]
    fn one_departement_more_is_a_part_of_the_whole() {
        let effect = Week::haut_rhin().unwrap().teaches();
        let [usual, one, all] = [(false, false), (true, false), (true, true)]
            .map(|(closed_77, rest)| forecast(&academy(closed_77, rest), &costs(), &effect));
        assert!((usual.peak_times - 1.0).abs() < 0.01 && (all.peak_times - 10.0).abs() < 0.01);
        // The share of 77 times nine, above the rest.
        let share = measure(one.closed_accounts) / measure(one.accounts);
        assert!((one.peak_times - (1.0 + share * 9.0)).abs() < 0.05, "{one:?}");
        let cores = |told: &Forecast| told.needs.hashing_cores;
        assert!(cores(&usual) < cores(&one) && cores(&one) < cores(&all) && !all.tried);
    }

    #[test]
    fn windows_spare_machines_or_waiting_but_nobody_is_lost() {
        let effect = Week::haut_rhin().unwrap().teaches();
        let mut plan = academy(true, true);
        plan.hashing_cores = Some(2.0);
        let at_once = forecast(&plan, &costs(), &effect);
        plan.slots = vec![Slot { from_h: 8.0, share: 0.5 }, Slot { from_h: 13.0, share: 0.5 }];
        let apart = forecast(&plan, &costs(), &effect);
        assert!(apart.peak_per_s.likely < at_once.peak_per_s.likely);
        let longest = |told: &Forecast, class| {
            told.lanes
                .iter()
                .filter(|lane| lane.class == class)
                .map(|lane| lane.wait_max_s)
                .max()
                .unwrap_or(0)
        };
        assert!(longest(&apart, Class::InSlot) < longest(&at_once, Class::InSlot), "{apart:?} {at_once:?}");
        assert_eq!(longest(&at_once, Class::Lesson), 0, "teachers");
        let people = |told: &Forecast| told.lanes.iter().map(|lane| lane.people).sum::<u64>();
        assert!(people(&apart).abs_diff(people(&at_once)) < 50);
    }

    #[test]
    fn a_place_without_accounts_expects_nobody() {
        let effect = Week::haut_rhin().unwrap().teaches();
        let told = forecast(&Plan::default(), &costs(), &effect);
        assert_eq!((told.accounts, told.peak_per_s.likely, told.lanes.len()), (0, 0, 0));
        assert!(told.visits_times.is_finite() && told.peak_times.is_finite(), "JSON has no other numbers");
    }

    #[test]
    fn a_measured_morning_counts_for_more_than_an_estimate() {
        let effect = Week::haut_rhin().unwrap().teaches();
        let measured = Costs { usual_peak_per_s: 50.0, ..costs() };
        let told = forecast(&academy(true, true), &measured, &effect);
        assert_eq!((told.usual_peak_per_s, told.peak_per_s.likely), (50, 500));
    }
}
