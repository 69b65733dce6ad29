//! Plots as inline SVG: lines over seconds, bars, nothing to load and nothing to run.

use std::fmt::Write as _;

use super::tally::short;
use crate::number::{count, float};

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 220.0;
const LEFT: f64 = 52.0;
const RIGHT: f64 = 8.0;
const TOP: f64 = 26.0;
const BOTTOM: f64 = 26.0;
/// Told apart by people who see colours differently (Okabe and Ito), in the order of use.
const COLOURS: [&str; 6] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"];

/// A line of a plot; gaps where nothing was.
#[derive(Clone, Debug)]
pub struct Line {
    pub name: String,
    pub values: Vec<Option<f64>>,
}

impl Line {
    /// A line without gaps.
    #[must_use]
    pub fn whole(name: &str, values: &[u32]) -> Self {
        Self { name: name.to_owned(), values: values.iter().map(|value| Some(f64::from(*value))).collect() }
    }

    /// Each second as the mean of itself and the `width − 1` before it, so that an eye can follow it.
    #[must_use]
    pub fn smooth(mut self, width: usize) -> Self {
        let raw = self.values.clone();
        for (at, value) in self.values.iter_mut().enumerate() {
            let from = (at + 1).saturating_sub(width);
            let window: Vec<f64> = raw.get(from..=at).unwrap_or_default().iter().flatten().copied().collect();
            *value = (!window.is_empty()).then(|| window.iter().sum::<f64>() / float(count(window.len())));
        }
        self
    }
}

/// A mark on the time axis: an hour of the tale, a fault.
#[derive(Clone, Debug)]
pub struct Mark {
    pub at_s: f64,
    pub name: String,
}

/// Lines over seconds.
#[must_use]
pub fn lines(title: &str, unit: &str, lines: &[Line], marks: &[Mark]) -> String {
    let seconds = float(count(lines.iter().map(|line| line.values.len()).max().unwrap_or(1).max(2) - 1));
    let highest = lines.iter().flat_map(|line| &line.values).flatten().copied().fold(0.0, f64::max);
    let top = round_up(highest);
    let x = |second: f64| LEFT + (WIDTH - LEFT - RIGHT) * second / seconds;
    let y = |value: f64| TOP + (HEIGHT - TOP - BOTTOM) * (1.0 - value / top);
    let mut svg = opening(title);
    axes(&mut svg, top, seconds, unit, &x, &y);
    for mark in marks.iter().filter(|mark| mark.at_s >= 0.0 && mark.at_s <= seconds) {
        let at = x(mark.at_s);
        let _ = write!(
            svg,
            "<path d=\"M{at:.1} {TOP}V{:.1}\" stroke=\"#999\" stroke-dasharray=\"3 3\"/><text x=\"{at:.1}\" y=\"{:.1}\" \
             text-anchor=\"middle\">{}</text>",
            HEIGHT - BOTTOM,
            TOP - 2.0,
            escape(&mark.name)
        );
    }
    for (line, colour) in lines.iter().zip(COLOURS.iter().cycle()) {
        let mut path = String::new();
        let mut pen_up = true;
        for (second, value) in line.values.iter().enumerate() {
            match value {
                Some(value) => {
                    let letter = if pen_up { 'M' } else { 'L' };
                    let _ = write!(path, "{letter}{:.1} {:.1}", x(float(count(second))), y(*value));
                    pen_up = false;
                }
                None => pen_up = true,
            }
        }
        let _ = write!(svg, "<path d=\"{path}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.6\"/>");
    }
    legend(&mut svg, &lines.iter().map(|line| line.name.as_str()).collect::<Vec<_>>());
    svg.push_str("</svg>");
    svg
}

/// Bars in groups: one group a segment, one bar a name.
#[must_use]
pub fn bars(title: &str, unit: &str, names: &[&str], groups: &[(String, Vec<Option<f64>>)]) -> String {
    let highest = groups.iter().flat_map(|(_, values)| values).flatten().copied().fold(0.0, f64::max);
    let top = round_up(highest);
    let y = |value: f64| TOP + (HEIGHT - TOP - BOTTOM) * (1.0 - value / top);
    let mut svg = opening(title);
    axes(&mut svg, top, 0.0, unit, &|_| LEFT, &y);
    let group_width = (WIDTH - LEFT - RIGHT) / float(count(groups.len().max(1)));
    let bar = group_width * 0.8 / float(count(names.len().max(1)));
    for (at, (name, values)) in groups.iter().enumerate() {
        let from = LEFT + group_width * (float(count(at)) + 0.1);
        for ((index, value), colour) in values.iter().enumerate().zip(COLOURS.iter().cycle()) {
            let left = from + bar * float(count(index));
            match value {
                Some(value) => {
                    let _ = write!(
                        svg,
                        "<rect x=\"{left:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\" fill=\"{colour}\"/>\
                         <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
                        y(*value),
                        bar * 0.92,
                        HEIGHT - BOTTOM - y(*value),
                        left + bar * 0.46,
                        y(*value) - 2.0,
                        short(*value)
                    );
                }
                None => {
                    let _ = write!(
                        svg,
                        "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">–</text>",
                        left + bar * 0.46,
                        HEIGHT - BOTTOM - 2.0
                    );
                }
            }
        }
        let _ = write!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            from + group_width * 0.4,
            HEIGHT - 10.0,
            escape(name)
        );
    }
    legend(&mut svg, names);
    svg.push_str("</svg>");
    svg
}

/// Plots below each other, as one file.
#[must_use]
pub fn stack(plots: &[String]) -> String {
    let height = HEIGHT * float(count(plots.len()));
    let mut svg = format!("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\">");
    for (index, plot) in plots.iter().enumerate() {
        let top = HEIGHT * float(count(index));
        let inner = plot.strip_prefix("<svg ").unwrap_or(plot);
        let _ = write!(svg, "<svg y=\"{top}\" width=\"{WIDTH}\" height=\"{HEIGHT}\" {inner}");
    }
    svg.push_str("</svg>\n");
    svg
}

fn opening(title: &str) -> String {
    let title = escape(title);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{title}\" \
         font-family=\"system-ui,sans-serif\" font-size=\"10\" fill=\"#333\"><rect width=\"{WIDTH}\" height=\"{HEIGHT}\" \
         fill=\"#fff\"/><text x=\"{LEFT}\" y=\"12\" font-size=\"12\" font-weight=\"600\">{title}</text>"
    )
}

fn axes(
    svg: &mut String,
    top: f64,
    seconds: f64,
    unit: &str,
    x: &dyn Fn(f64) -> f64,
    y: &dyn Fn(f64) -> f64,
) {
    for part in [0.0, 0.25, 0.5, 0.75, 1.0] {
        let at = y(top * part);
        let _ = write!(
            svg,
            "<path d=\"M{LEFT} {at:.1}H{:.1}\" stroke=\"#ddd\"/><text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            WIDTH - RIGHT,
            LEFT - 4.0,
            at + 3.0,
            tick(top * part)
        );
    }
    let _ = write!(svg, "<text x=\"4\" y=\"{:.1}\">{}</text>", TOP - 4.0, escape(unit));
    if seconds > 0.0 {
        for part in [0.0, 0.25, 0.5, 0.75, 1.0] {
            let _ = write!(
                svg,
                "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{} s</text>",
                x(seconds * part),
                HEIGHT - 12.0,
                tick(seconds * part)
            );
        }
    }
}

fn legend(svg: &mut String, names: &[&str]) {
    let mut right = WIDTH - RIGHT;
    for (name, colour) in names.iter().zip(COLOURS.iter().cycle()).collect::<Vec<_>>().into_iter().rev() {
        let width = 18.0 + 5.6 * float(count(name.chars().count()));
        right -= width;
        let _ = write!(
            svg,
            "<rect x=\"{right:.1}\" y=\"5\" width=\"9\" height=\"9\" fill=\"{colour}\"/><text x=\"{:.1}\" y=\"13\">{}</text>",
            right + 12.0,
            escape(name)
        );
    }
}

fn tick(value: f64) -> String {
    if value.fract().abs() < 1e-9 { format!("{value:.0}") } else { short(value) }
}

/// 1, 2, 4, 5 or 8 times a power of ten, not below `value`.
fn round_up(value: f64) -> f64 {
    if value <= 0.0 {
        return 1.0;
    }
    let power = 10_f64.powf(value.log10().floor());
    [1.0, 2.0, 4.0, 5.0, 8.0, 10.0]
        .into_iter()
        .map(|part| part * power)
        .find(|it| *it >= value)
        .unwrap_or(value)
}

/// For text and attributes of SVG and HTML.
#[must_use]
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tops_are_round_and_not_below() {
        for (value, top) in [(0.0, 1.0), (0.3, 0.4), (7.0, 8.0), (81.0, 100.0), (450.0, 500.0)] {
            assert!((round_up(value) - top).abs() < 1e-9, "{value}: {}", round_up(value));
        }
    }

    #[test]
    fn gaps_lift_the_pen_and_names_are_escaped() {
        let line = Line { name: "a<b".to_owned(), values: vec![Some(1.0), None, Some(3.0), Some(4.0)] };
        let svg = lines("Waits", "s", &[line], &[Mark { at_s: 1.0, name: "9:00".to_owned() }]);
        assert_eq!(svg.matches("fill=\"none\"").count(), 1);
        let path = svg.split("<path d=\"").last().unwrap();
        assert_eq!(path.split('"').next().unwrap().matches('M').count(), 2);
        assert!(svg.contains("a&lt;b") && svg.contains("9:00"));
        assert!(svg.starts_with("<svg") && svg.ends_with("</svg>"));
    }

    #[test]
    fn bars_show_values_and_absences() {
        let svg = bars("x", "/s", &["one", "two"], &[("ticket".to_owned(), vec![Some(40.0), None])]);
        assert!(svg.contains(">40.0<") && svg.contains(">–<"));
    }

    #[test]
    fn stacked_plots_stand_below_each_other() {
        let one = bars("x", "/s", &["one"], &[("ticket".to_owned(), vec![Some(40.0)])]);
        let svg = stack(&[one.clone(), one]);
        assert_eq!(svg.matches("<svg ").count(), 3);
        assert_eq!(svg.matches("</svg>").count(), 3);
        assert!(svg.contains("viewBox=\"0 0 720 440\"") && svg.contains("<svg y=\"220\""));
    }

    #[test]
    fn smoothing_keeps_the_mean() {
        let line = Line::whole("x", &[0, 10, 0, 10]).smooth(2);
        assert_eq!(line.values, [Some(0.0), Some(5.0), Some(5.0), Some(5.0)]);
    }
}
