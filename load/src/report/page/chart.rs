//! Line charts as SVG, with colours and fonts of the surrounding page.

use std::fmt::Write;

use super::escape::escaped;
use super::scale::Axis;

const FONT_PX: f64 = 12.0;

/// Width of a digit in a wide font; most letters are narrower.
const LETTER_PX: f64 = 7.6;

/// Space right of the plot for half of the last tick label.
const RIGHT_PX: f64 = 14.0;

/// A line of a chart.
#[derive(Clone, Debug)]
pub(super) struct Series {
    /// Its name in the legend.
    pub(super) name: &'static str,
    /// The CSS class with its colour and dashes.
    pub(super) class: &'static str,
    /// Its points from left to right; a value of `None` is a gap.
    pub(super) points: Vec<(f64, Option<f64>)>,
}

/// A chart.
pub(super) struct Chart {
    /// Text alternative of the chart.
    pub(super) description: String,
    /// Creates the horizontal axis for a number of ticks that fits.
    pub(super) x: Box<dyn Fn(usize) -> Axis>,
    /// The vertical axis.
    pub(super) y: Axis,
    pub(super) series: Vec<Series>,
    /// Height of the plot without its labels.
    pub(super) height: f64,
}

/// The area of the plot in the drawing.
struct PlotArea {
    left: f64,
    right: f64,
    top: f64,
    bottom: f64,
}

impl PlotArea {
    fn x(&self, axis: &Axis, value: f64) -> f64 {
        self.left + axis.place(value) * (self.right - self.left)
    }

    fn y(&self, axis: &Axis, value: f64) -> f64 {
        self.bottom - axis.place(value) * (self.bottom - self.top)
    }
}

impl Chart {
    /// Returns the chart twice, for a wide window or paper and for a narrow window, so that its
    /// text keeps its size.
    pub(super) fn svg(&self) -> String {
        format!("{}{}", self.drawing(900.0, "wide"), self.drawing(400.0, "narrow"))
    }

    fn drawing(&self, width: f64, class: &str) -> String {
        const MARK_EVERY_PX: f64 = 80.0;
        // Space for `100,000`: charts below each other share their time axis.
        const LEFT_MIN_PX: f64 = 58.0;
        let legend = self.legend(width);
        let labels = self.y.ticks.iter().map(|(_, text)| text.chars().count()).max().unwrap_or(0);
        let left = (labels as f64 * LETTER_PX + 10.0).max(LEFT_MIN_PX);
        let top = legend.rows as f64 * 20.0 + 26.0;
        let area = PlotArea { left, right: width - RIGHT_PX, top, bottom: top + self.height };
        let x = (self.x)(((area.right - area.left) / MARK_EVERY_PX) as usize);
        let height = area.bottom + 62.0;
        let mut svg = format!(
            "<svg class=\"{class}\" viewBox=\"0 0 {width:.0} {height:.0}\" role=\"img\" \
             aria-label=\"{}\">\n{}",
            escaped(&self.description),
            legend.svg,
        );
        self.axes(&mut svg, &area, &x);
        for series in &self.series {
            self.line(&mut svg, &area, &x, series);
        }
        self.values(&mut svg, &area, &x);
        svg.push_str("</svg>\n");
        svg
    }

    /// Returns the names of the lines, in as many rows as needed.
    fn legend(&self, width: f64) -> Legend {
        const SAMPLE_PX: f64 = 26.0;
        let mut legend = Legend { svg: String::new(), rows: 1 };
        let mut x = 2.0;
        for series in &self.series {
            let room = SAMPLE_PX + 6.0 + series.name.chars().count() as f64 * LETTER_PX + 18.0;
            if x + room > width && x > 2.0 {
                (x, legend.rows) = (2.0, legend.rows + 1);
            }
            let y = legend.rows as f64 * 20.0 - 8.0;
            // Writing to a string cannot fail.
            let _ = writeln!(
                legend.svg,
                "<path class=\"line {}\" d=\"M{x:.1} {y:.1}h{SAMPLE_PX}\"/><text x=\"{:.1}\" \
                 y=\"{:.1}\">{}</text>",
                series.class,
                x + SAMPLE_PX + 6.0,
                y + FONT_PX / 3.0,
                escaped(series.name),
            );
            x += room;
        }
        legend
    }

    fn axes(&self, svg: &mut String, area: &PlotArea, x: &Axis) {
        let PlotArea { left, right, top, bottom } = area;
        let _ = writeln!(
            svg,
            "<text class=\"label\" x=\"2\" y=\"{:.1}\">{}</text>",
            top - 10.0,
            escaped(&self.y.label)
        );
        for (value, text) in &self.y.ticks {
            let y = area.y(&self.y, *value);
            let _ = writeln!(
                svg,
                "<path class=\"grid\" d=\"M{left:.1} {y:.1}H{right:.1}\"/>\
                 <text class=\"end\" x=\"{:.1}\" y=\"{:.1}\">{text}</text>",
                left - 6.0,
                y + FONT_PX / 3.0,
            );
        }
        for (value, text) in &x.ticks {
            let place = area.x(x, *value);
            // At the right edge, a centred label could be cut off.
            let text_x =
                place.min(right + RIGHT_PX - text.chars().count() as f64 * LETTER_PX / 2.0);
            let _ = writeln!(
                svg,
                "<path class=\"tick\" d=\"M{place:.1} {bottom:.1}v5\"/>\
                 <text class=\"middle\" x=\"{text_x:.1}\" y=\"{:.1}\">{text}</text>",
                bottom + 18.0,
            );
        }
        let _ = writeln!(
            svg,
            "<path class=\"axis\" d=\"M{left:.1} {bottom:.1}H{right:.1}\"/>\
             <text class=\"label middle\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            left.midpoint(*right),
            bottom + 38.0,
            escaped(&x.label),
        );
    }

    /// Adds strips that show the values at their place below the chart while the pointer or the
    /// focus is on them. Long charts have a strip for every few places.
    fn values(&self, svg: &mut String, area: &PlotArea, x: &Axis) {
        const STRIPS_MAX: usize = 50;
        let Some(first) = self.series.first() else { return };
        let every = first.points.len().div_ceil(STRIPS_MAX).max(1);
        let width = (area.right - area.left) / first.points.len().div_ceil(every).max(1) as f64;
        // A line of another length, such as a bound, has no value at a place.
        let lines: Vec<&Series> =
            self.series.iter().filter(|series| series.points.len() == first.points.len()).collect();
        for (index, (at, _)) in first.points.iter().enumerate().step_by(every) {
            let value = |series: &&Series| {
                let (_, value) = series.points.get(index)?;
                Some(format!("{} {}", series.name, (self.y.show)((*value)?)))
            };
            let values: Vec<String> = lines.iter().filter_map(value).collect();
            if values.is_empty() {
                continue;
            }
            let text = escaped(&format!("{}: {}", (x.show)(*at), values.join(", ")));
            let left = (area.x(x, *at) - width / 2.0).max(area.left);
            let _ = writeln!(
                svg,
                "<g class=\"value\" tabindex=\"0\"><rect x=\"{left:.1}\" y=\"{:.1}\" \
                 width=\"{width:.1}\" height=\"{:.1}\"/>\
                 <text x=\"2\" y=\"{:.1}\">{text}</text></g>",
                area.top,
                area.bottom - area.top,
                area.bottom + 56.0,
            );
        }
    }

    fn line(&self, svg: &mut String, area: &PlotArea, x: &Axis, series: &Series) {
        let place =
            |(at, value): &(f64, Option<f64>)| Some((area.x(x, *at), area.y(&self.y, (*value)?)));
        let points: Vec<Option<(f64, f64)>> = series.points.iter().map(place).collect();
        let mut path = String::new();
        for part in points.split(Option::is_none) {
            let mut pen = 'M';
            for (x, y) in part.iter().flatten() {
                let _ = write!(path, "{pen}{x:.1} {y:.1}");
                pen = 'L';
            }
            // A point without neighbours is a line of no length, drawn as a dot by its round cap.
            if part.len() == 1 {
                path.push_str("h0.01");
            }
        }
        if !path.is_empty() {
            let _ = writeln!(svg, "<path class=\"line {}\" d=\"{path}\"/>", series.class);
        }
    }
}

struct Legend {
    svg: String,
    rows: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(points: Vec<(f64, Option<f64>)>) -> Chart {
        Chart {
            description: "what <it> shows".into(),
            x: Box::new(|marks| Axis::time(10.0, marks)),
            y: Axis::numbers("replies per second", [100.0].into_iter()),
            series: vec![Series { name: "right & wrong", class: "p50", points }],
            height: 200.0,
        }
    }

    /// Returns the data of the first path of class `line` after the legend.
    fn line(svg: &str) -> String {
        let after_axes = &svg[svg.find("class=\"axis\"").expect("axes")..];
        let start = after_axes
            .find("class=\"line p50\" d=\"")
            .map(|at| at + "class=\"line p50\" d=\"".len());
        start.map_or(String::new(), |at| {
            after_axes[at..].split('"').next().unwrap_or_default().to_owned()
        })
    }

    #[test]
    fn a_line_goes_from_corner_to_corner_of_the_plot() {
        let svg = chart(vec![(0.0, Some(0.0)), (10.0, Some(100.0))]).drawing(400.0, "narrow");
        assert_eq!(line(&svg), "M58.0 246.0L386.0 46.0", "{svg}");
    }

    #[test]
    fn a_missing_value_is_a_gap_and_a_single_one_a_dot() {
        let svg = chart(vec![(0.0, Some(1.0)), (1.0, None), (2.0, Some(1.0)), (3.0, Some(2.0))])
            .drawing(400.0, "narrow");
        let line = line(&svg);
        assert_eq!(
            (line.matches('M').count(), line.matches('L').count(), line.matches("h0.01").count()),
            (2, 1, 1),
            "{line}"
        );
    }

    #[test]
    fn a_chart_without_points_has_axes_and_no_line() {
        let svg = chart(Vec::new()).drawing(400.0, "narrow");
        assert!(svg.contains(">100</text>") && line(&svg).is_empty(), "{svg}");
    }

    #[test]
    fn each_place_shows_its_values_on_hover_and_focus() {
        let svg = chart(vec![(0.0, Some(0.0)), (10.0, Some(100.0))]).drawing(400.0, "narrow");
        assert_eq!(svg.matches("<g class=\"value\" tabindex=\"0\">").count(), 2, "{svg}");
        assert!(svg.contains(">10.0 s: right &amp; wrong 100</text>"), "{svg}");
        let many = (0..600).map(|at| (f64::from(at) / 60.0, Some(1.0))).collect();
        assert_eq!(chart(many).drawing(400.0, "narrow").matches("<g class=\"value\"").count(), 50);
    }

    #[test]
    fn texts_are_escaped() {
        let svg = chart(Vec::new()).drawing(400.0, "narrow");
        assert!(
            svg.contains("what &lt;it&gt; shows") && svg.contains("right &amp; wrong"),
            "{svg}"
        );
    }
}
