//! A run in one picture: what each segment let in, second by second, and what came of it. For the README.

use serde_json::Value;

use super::plot::{self, Line};

/// Both plots of a `storm.json` below each other, as one SVG file. The same report draws the same bytes.
#[must_use]
pub fn svg(report: &Value) -> String {
    plot::stack(&parts(report))
}

/// What came in each second, and what share of the peak and of the lessons that was.
#[must_use]
pub fn parts(report: &Value) -> [String; 2] {
    let open = |segment: &&Value| segment.get("closed").and_then(Value::as_bool) != Some(true);
    let segments = report.get("segments").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let played: Vec<&Value> = segments.iter().filter(open).collect();
    let name = |segment: &Value| segment.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
    let goodput = |segment: &Value| -> Vec<Option<f64>> {
        let seconds = segment.pointer("/series/goodput").and_then(Value::as_array);
        seconds.into_iter().flatten().map(Value::as_f64).collect()
    };
    let lines: Vec<Line> = played
        .iter()
        .map(|segment| Line { name: name(segment), values: goodput(segment) }.smooth(3))
        .collect();
    let percent = |segment: &Value, figure: &str| {
        segment.get(figure).and_then(Value::as_f64).map(|share| share * 100.0)
    };
    let groups: Vec<(String, Vec<Option<f64>>)> = played
        .iter()
        .map(|segment| {
            let shares = ["goodput_ratio", "lessons_full_by_0905"].map(|figure| percent(segment, figure));
            (name(segment), shares.to_vec())
        })
        .collect();
    [
        plot::lines("Let in each second", "/s", &lines, &[]),
        plot::bars(
            "Goodput of the peak, and nine-o'clock lessons full by 9:05",
            "%",
            &["goodput", "lessons"],
            &groups,
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_saved_report_draws_the_same_picture_as_the_run_did() {
        let report = super::super::report::sample();
        let value = serde_json::to_value(&report).unwrap();
        let saved: Value = serde_json::from_slice(&serde_json::to_vec_pretty(&value).unwrap()).unwrap();
        assert_eq!(svg(&value), svg(&saved));
        assert!(svg(&value).contains("Let in each second") && svg(&value).contains("lessons"));
    }

    #[test]
    fn peaks_are_no_part_of_it() {
        let segment = |name: &str, closed: bool| serde_json::json!({ "name": name, "closed": closed, "goodput_ratio": 0.9, "series": { "goodput": [1, 2, 3] } });
        let picture =
            svg(&serde_json::json!({ "segments": [segment("peak", true), segment("ticket", false)] }));
        assert!(picture.contains(">ticket<") && !picture.contains(">peak<"));
    }
}
