//! The report for people: one HTML file with its plots inside.

use std::fmt::Write as _;

use super::{
    goals, picture,
    plot::{self, Line, Mark, escape},
    report::{Report, SegmentReport},
    tally::{CLASSES, Series, short},
};
use crate::number::count;

const STYLE: &str = "body{font:15px/1.45 system-ui,sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem;color:#222}\
table{border-collapse:collapse;margin:1rem 0;font-variant-numeric:tabular-nums}td,th{border:1px solid #ccc;padding:.25rem .5rem;text-align:right}\
th:first-child,td:first-child{text-align:left}svg{width:100%;height:auto;border:1px solid #eee;margin:.4rem 0}.no{color:#b00020}.plots{break-inside:avoid}";

/// The whole page.
#[must_use]
pub fn page(report: &Report) -> String {
    let mut html = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>{name}</title><style>{STYLE}</style><h1>{title}</h1><p>Scenario <code>{name}</code>, seed {seed}, {at}. \
         {processor}, {cores} cores; {pinned}{quota}; {postgres}.</p>",
        name = escape(&report.scenario),
        title = escape(&report.title),
        seed = report.seed,
        at = escape(&report.started_at),
        processor = escape(&report.machine.processor),
        cores = report.machine.cores,
        pinned = escape(&report.machine.pinned),
        quota = report
            .machine
            .node_quota
            .map_or_else(String::new, |quota| format!("; each node held to {:.2} of its core", quota)),
        postgres = escape(&report.machine.postgres),
    );
    if report.scale_model {
        html.push_str(
            "<p><strong>A scale model of the hash.</strong> Its figures are of the protocol; none of them says how many \
             passwords a core verifies.</p>",
        );
    }
    match report.verdict.ok {
        true => html.push_str(
            "<p>The run counts: lines of users, PostgreSQL's sessions and the proxy's log agree exactly.</p>",
        ),
        false => {
            html.push_str("<p class=\"no\">The run does not count:</p><ul class=\"no\">");
            for reason in &report.verdict.reasons {
                let _ = write!(html, "<li>{}</li>", escape(reason));
            }
            html.push_str("</ul>");
        }
    }
    html.push_str(&overview(report));
    // A report of numbers and words has no way to fail.
    let value = serde_json::to_value(report).unwrap_or_default();
    let _ = write!(html, "<div class=plots>{}</div>", picture::parts(&value).concat());
    html.push_str(&goals::html(&goals::check(&[value])));
    for segment in &report.segments {
        html.push_str(&section(segment));
    }
    html
}

fn overview(report: &Report) -> String {
    let mut html = String::from(
        "<table><tr><th>segment<th>mode<th>offered /s<th>× peak<th>goodput /s<th>of peak<th>in the crowd<th>from arrival /s<th>bare refusals\
         <th>places lost<th>Jain<th>displaced p99<th>ETA held<th>posts/success<th>lessons full\
         <th>teachers by 8:58<th>late sends</tr>",
    );
    let some = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), short);
    let percent =
        |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |it| format!("{:.1} %", it * 100.0));
    for segment in &report.segments {
        let figures = &segment.figures;
        let _ = write!(
            html,
            "<tr><td>{}<td>{}<td>{}<td>{}<td>{}<td>{}<td>{}<td>{}<td>{}<td>{}<td>{}<td>{}<td>{}<td>{}<td>{}<td>{}<td>{:.2} %</tr>",
            escape(&segment.name),
            escape(&segment.mode),
            short(figures.offered_per_s),
            some(segment.offered_x),
            short(figures.goodput_per_s),
            percent(segment.goodput_ratio),
            percent(segment.goodput_in_crowd),
            short(figures.goodput_from_arrival),
            figures.bare_refusals,
            figures.places_lost,
            some(figures.jain_schools),
            percent(figures.displacement_p99),
            percent(figures.eta_within_band),
            some(figures.posts_per_success),
            percent(figures.lessons_full_by_0905),
            percent(figures.teachers_in_by_0858),
            segment.late_sends_ratio * 100.0,
        );
    }
    html.push_str("</table>");
    html
}

fn section(segment: &SegmentReport) -> String {
    let figures = &segment.figures;
    let mut html = format!("<h2>{} ({})</h2>", escape(&segment.name), escape(&segment.mode));
    let marks: Vec<Mark> = segment
        .faults
        .iter()
        .flat_map(|fault| {
            let name = format!("{:?}", fault.act);
            [
                Mark { at_s: fault.at_s, name },
                Mark { at_s: fault.at_s + fault.for_s, name: "mended".to_owned() },
            ]
        })
        .collect();
    let series = &segment.series;
    html.push_str("<div class=plots>");
    html.push_str(&plot::lines(
        "Offered and let in",
        "/s",
        &[
            Line::whole("offered", &series.offered).smooth(2),
            Line::whole("let in", &series.goodput).smooth(2),
        ],
        &marks,
    ));
    html.push_str(&plot::lines(
        "Waiting outside",
        "people",
        &[Line::whole("outside", &series.outside)],
        &marks,
    ));
    let waits: Vec<Line> = series
        .wait_s
        .iter()
        .map(|(class, values)| Line { name: (*class).to_owned(), values: values.clone() }.smooth(2))
        .collect();
    html.push_str(&plot::lines("Wait of those let in, by class", "s", &waits, &marks));
    html.push_str(&more(series, &marks));
    html.push_str("</div><table><tr><th>class<th>came<th>inside<th>p50 s<th>p90 s<th>p99 s<th>knock to day p99 s<th>still outside</tr>");
    let lanes = segment.wait_s_by_lane.iter().map(|(lane, waits)| (format!("told « {lane} »"), waits));
    let classes = CLASSES.iter().filter_map(|class| Some(((*class).to_owned(), figures.wait_s.get(class)?)));
    for (class, waits) in classes.chain(lanes) {
        let _ = write!(
            html,
            "<tr><td>{}<td>{}<td>{}<td>{}<td>{}<td>{}<td>{}<td>{:.1} %</tr>",
            escape(&class),
            waits.arrived,
            waits.inside,
            short(waits.p50),
            short(waits.p90),
            short(waits.p99),
            short(waits.home_p99),
            waits.still_outside * 100.0
        );
    }
    html.push_str("</table><table><tr><th>CPU<th>s<th>of one core</tr>");
    for (name, seconds) in &segment.server_cpu_s {
        let _ = write!(
            html,
            "<tr><td>{}<td>{seconds:.2}<td>{:.1} %</tr>",
            escape(name),
            seconds / (segment.duration_s + segment.drain_s) * 100.0
        );
    }
    let _ = write!(
        html,
        "<tr><td>others<td>{:.2}<td></tr><tr><td>stolen<td>{:.2}<td></tr></table>",
        segment.foreign_cpu_s, segment.stolen_cpu_s
    );
    html.push_str("<table><tr><th>memory<th>first MB<th>last MB<th>most MB</tr>");
    for (name, span) in &segment.used.server_rss_mb {
        let [first, last, max] = [span.first, span.last, span.max].map(short);
        let _ = write!(html, "<tr><td>{name}<td>{first}<td>{last}<td>{max}</tr>");
    }
    let told = |value: Option<f64>, unit: &str| {
        value.map_or_else(|| "not told".to_owned(), |value| format!("{}{unit}", short(value)))
    };
    let _ = write!(
        html,
        "</table><p>Seats taken at the end: {}; passwords waited for a thread (p99): {}.</p>",
        told(segment.used.seats.map(|span| span.last), ""),
        told(segment.used.hash_wait_p99_s, " s"),
    );
    let _ = write!(
        html,
        "<p>{} answers, {} requests without one; nodes spent {} µs beside hashing for each arrival; {} of the looks at the \
         queue were answered by the proxy's cache.</p>",
        figures.responses,
        figures.unanswered,
        segment.node_cpu_us_per_arrival.map_or_else(|| "–".to_owned(), short),
        segment.snapshot_cached.map_or_else(|| "–".to_owned(), |share| format!("{:.1} %", share * 100.0)),
    );
    if !segment.events.is_empty() {
        html.push_str(
            "<details><summary>What the door decided</summary><table><tr><th>what<th>at s<th>from<th>to</tr>",
        );
        for event in &segment.events {
            let [what, from, to] = [&event.what, &event.from, &event.to].map(|word| escape(word));
            let _ = write!(html, "<tr><td>{what}<td>{}<td>{from}<td>{to}</tr>", short(event.at_s));
        }
        html.push_str("</table></details>");
    }
    html.push_str("<details><summary>Answers</summary><table><tr><th>route and status<th>times</tr>");
    for (name, times) in &figures.status_counts {
        let _ = write!(html, "<tr><td>{}<td>{times}</tr>", escape(name));
    }
    let _ = write!(html, "</table></details><!-- {} statuses -->", count(figures.status_counts.len()));
    html
}

/// What is drawn where there is something of it: fairness, lessons, and what the servers used.
fn more(series: &Series, marks: &[Mark]) -> String {
    let line = |name: &str, values: &[Option<f64>]| Line { name: name.to_owned(), values: values.to_vec() };
    let memory = series.rss_mb.iter().map(|(name, values)| line(name, values)).collect();
    let drawn: [(&str, &str, Vec<Line>); 5] = [
        ("Jain's index between schools in which somebody waits", "", vec![line("Jain", &series.jain)]),
        ("Nine-o'clock lessons that are full", "share", vec![line("full", &series.lessons_full)]),
        (
            "CPU of the nodes",
            "cores",
            vec![line("nodes", &series.node_cpu), line("of it hashing", &series.hash_cpu)],
        ),
        ("Memory in RAM", "MB", memory),
        ("Seats taken", "people", vec![line("seats", &series.seats)]),
    ];
    let mut html = String::new();
    for (title, unit, lines) in drawn {
        if lines.iter().any(|line| line.values.iter().any(Option::is_some)) {
            html.push_str(&plot::lines(title, unit, &lines, marks));
        }
    }
    html
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storm::tally::Waits;

    #[test]
    fn a_page_is_whole_and_loads_nothing() {
        let report = super::super::report::sample();
        let html = page(&report);
        assert!(html.contains("<svg") && html.contains("let in"));
        assert!(html.contains("<td>G14") && html.contains("not measured here"));
        for outside in ["<script", "src=", "<link", "@import"] {
            assert!(!html.contains(outside), "{outside}");
        }
        assert!(html.contains("does not count"), "a run that was not concluded does not count");
    }

    #[test]
    fn teachers_in_time_stand_beside_the_lessons_that_are_full() {
        let mut report = super::super::report::sample();
        let figures = &mut report.segments[0].figures;
        (figures.lessons_full_by_0905, figures.teachers_in_by_0858) = (Some(0.5), Some(0.933));
        let html = page(&report);
        assert!(html.contains("<th>lessons full<th>teachers by 8:58"), "{html}");
        assert!(html.contains("<td>50.0 %<td>93.3 %<td>"), "{html}");
    }

    #[test]
    fn what_changes_by_the_second_is_drawn_where_there_is_something_of_it() {
        let mut report = super::super::report::sample();
        let titles = ["Jain's index between", "lessons that are full", "CPU of the nodes", "Memory in RAM"];
        assert!(titles.iter().all(|title| !page(&report).contains(title)));
        let series = &mut report.segments[0].series;
        series.jain = vec![None, Some(0.97)];
        series.lessons_full = vec![Some(0.0), Some(1.0)];
        series.node_cpu = vec![Some(0.4), None];
        series.rss_mb.insert("node", vec![Some(80.0), Some(81.0)]);
        let event = serde_json::json!({ "at_s": 61.5, "what": "slots", "from": "open", "to": "soft" });
        report.segments[0].events = vec![serde_json::from_value(event).unwrap()];
        report.segments[0].wait_s_by_lane.insert("out-of-slot".to_owned(), Waits::default());
        let html = page(&report);
        assert!(html.contains("told « out-of-slot »") && html.contains("<td>slots<td>61.5<td>open<td>soft"));
        assert!(titles.iter().all(|title| html.contains(title)), "{html}");
    }
}
