//! The axes of a chart: positions of values, and ticks.

use crate::measurement::format;

/// Minimum ratio of the largest and smallest value for a logarithmic axis; on a linear axis, the
/// smallest would touch the bottom.
const LOGARITHMIC_FROM: f64 = 30.0;

/// Tick labels of a percentile axis.
const PERCENTILES: [&str; 9] = [
    "0 %",
    "90 %",
    "99 %",
    "99.9 %",
    "99.99 %",
    "99.999 %",
    "99.9999 %",
    "99.99999 %",
    "99.999999 %",
];

/// One axis.
#[derive(Clone, Debug)]
pub(super) struct Axis {
    /// The quantity and its unit.
    pub(super) label: String,
    /// The values with a tick, and their labels.
    pub(super) ticks: Vec<(f64, String)>,
    from: f64,
    to: f64,
    is_logarithmic: bool,
    /// Formats a value between the ticks.
    pub(super) show: fn(f64) -> String,
}

impl Axis {
    /// An axis of durations in seconds: linear from zero, or logarithmic if the values differ by a
    /// large factor.
    pub(super) fn durations(label: &str, values: impl Iterator<Item = f64> + Clone) -> Self {
        let (min, max) = (
            values.clone().filter(|value| *value > 0.0).fold(f64::MAX, f64::min),
            values.fold(0.0, f64::max),
        );
        if max / min < LOGARITHMIC_FROM || max == 0.0 {
            return Self { show: format::seconds, ..Self::from_zero(label, max, tick_of_duration) };
        }
        let axis = Self::logarithmic(&format!("{label} (logarithmic)"), min, max, tick_of_duration);
        Self { show: format::seconds, ..axis }
    }

    /// An axis of numbers from zero.
    pub(super) fn numbers(label: &str, values: impl Iterator<Item = f64>) -> Self {
        Self::from_zero(label, values.fold(0.0, f64::max), tick_of_number)
    }

    /// An axis of rates from the lowest to the highest, with about `marks` ticks.
    pub(super) fn rates(
        label: &str,
        values: impl Iterator<Item = f64> + Clone,
        marks: usize,
    ) -> Self {
        let (min, max) = (values.clone().fold(f64::MAX, f64::min), values.fold(0.0, f64::max));
        if max / min < LOGARITHMIC_FROM || min <= 0.0 {
            return Self::from_zero(label, max, tick_of_number);
        }
        let mut axis =
            Self::logarithmic(&format!("{label} (logarithmic)"), min, max, tick_of_number);
        if axis.ticks.len() > marks {
            let is_decade = |value: f64| (value.log10() - value.log10().round()).abs() < 1e-6;
            axis.ticks.retain(|(value, _)| is_decade(*value));
        }
        axis
    }

    /// An axis of time from 0 to `seconds`, with about `marks` ticks.
    pub(super) fn time(seconds: f64, marks: usize) -> Self {
        const MINUTES_FROM: f64 = 300.0;
        let (unit, label) =
            if seconds > MINUTES_FROM { (60.0, "minutes") } else { (1.0, "seconds") };
        let to = seconds.max(f64::MIN_POSITIVE);
        let step = round_step(to / unit / marks as f64);
        let ticks =
            multiples(step, to / unit).map(|value| (value * unit, tick_of_number(value))).collect();
        Self {
            label: format!("{label} since the start of the measurement window"),
            ticks,
            from: 0.0,
            to,
            is_logarithmic: false,
            show: |seconds| format!("{seconds:.1} s"),
        }
    }

    /// An axis of percentiles of `count` values, on which each step to the right leaves a tenth of
    /// them.
    ///
    /// Values are places, which [`quantile_at`] converts to quantiles.
    pub(super) fn percentiles(count: u64, marks: usize) -> Self {
        let to = percentile_place_max(count);
        let every = if to as usize > marks { 2 } else { 1 };
        let ticks =
            PERCENTILES.iter().enumerate().map(|(place, text)| (place as f64, (*text).to_owned()));
        let ticks = ticks.filter(|(place, _)| *place <= to).step_by(every).collect();
        Self {
            label: "share of the replies (logarithmic in what is left)".into(),
            ticks,
            from: 0.0,
            to,
            is_logarithmic: false,
            show: |place| format!("{} of the replies", format::percent(quantile_at(place))),
        }
    }

    /// Returns the position of `value`: 0 at the start of the axis, 1 at its end.
    pub(super) fn place(&self, value: f64) -> f64 {
        let place = if self.is_logarithmic {
            (value.max(self.from) / self.from).ln() / (self.to / self.from).ln()
        } else {
            (value - self.from) / (self.to - self.from)
        };
        place.clamp(0.0, 1.0)
    }

    fn from_zero(label: &str, max: f64, text: fn(f64) -> String) -> Self {
        const MARKS: f64 = 5.0;
        let max = if max > 0.0 { max } else { 1.0 };
        let step = round_step(max / MARKS);
        let to = (max / step).ceil() * step;
        let ticks = multiples(step, to).map(|value| (value, text(value))).collect();
        Self { label: label.into(), ticks, from: 0.0, to, is_logarithmic: false, show: figure }
    }

    fn logarithmic(label: &str, min: f64, max: f64, text: fn(f64) -> String) -> Self {
        const DECADES_MANY: f64 = 3.0;
        let steps: &[f64] =
            if (max / min).log10() > DECADES_MANY { &[1.0] } else { &[1.0, 2.0, 5.0] };
        let marks = || {
            (-12..=20).flat_map(|decade| steps.iter().map(move |step| step * 10_f64.powi(decade)))
        };
        let from = marks().take_while(|mark| *mark <= min * 1.001).last().unwrap_or(min);
        let to = marks().find(|mark| *mark >= max * 0.999).unwrap_or(max);
        let inside = (from * 0.999)..=(to * 1.001);
        let ticks =
            marks().filter(|mark| inside.contains(mark)).map(|mark| (mark, text(mark))).collect();
        Self { label: label.into(), ticks, from, to, is_logarithmic: true, show: figure }
    }
}

/// Formats a number with three significant digits.
fn figure(value: f64) -> String {
    format::rate(value).trim_end_matches("/s").to_owned()
}

/// Returns the quantile at a place on the percentile axis: 0 at 0, 0.9 at 1, 0.99 at 2.
pub(super) fn quantile_at(place: f64) -> f64 {
    1.0 - 10_f64.powf(-place)
}

/// Returns the place of the last of `count` values, the end of the axis.
pub(super) fn percentile_place_max(count: u64) -> f64 {
    (count as f64).log10().clamp(1.0, (PERCENTILES.len() - 1) as f64)
}

/// Rounds up to the next of 1, 2, 5, 10, 20, ...
fn round_step(step: f64) -> f64 {
    let decade = 10_f64.powf(step.log10().floor());
    let rest = step / decade;
    let round = [1.0, 2.0, 5.0].into_iter().find(|round| rest <= round * 1.000_001).unwrap_or(10.0);
    round * decade
}

/// Returns 0, `step`, 2 `step`, ... up to `to`.
fn multiples(step: f64, to: f64) -> impl Iterator<Item = f64> {
    // The step is derived from `to`, so there are far fewer ticks.
    (0..100)
        .map(move |place| f64::from(place) * step)
        .take_while(move |value| *value <= to * 1.000_001)
}

fn tick_of_duration(seconds: f64) -> String {
    const UNITS: [(f64, &str); 3] = [(1.0, "s"), (1e-3, "ms"), (1e-6, "us")];
    let unit = UNITS.into_iter().find(|(unit, _)| seconds >= unit * 0.999).unwrap_or((1e-9, "ns"));
    if seconds == 0.0 { "0".into() } else { format!("{} {}", trimmed(seconds / unit.0), unit.1) }
}

fn tick_of_number(number: f64) -> String {
    if number >= 999.5 { format::count(number.round() as u64) } else { trimmed(number) }
}

/// Formats a number with at most three decimals and no trailing zeros.
fn trimmed(number: f64) -> String {
    let text = format!("{number:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(axis: &Axis) -> Vec<&str> {
        axis.ticks.iter().map(|(_, text)| text.as_str()).collect()
    }

    #[test]
    fn similar_durations_start_at_zero_with_round_ticks() {
        let axis = Axis::durations("latency", [0.9e-3, 4.2e-3].into_iter());
        assert_eq!(texts(&axis), ["0", "1 ms", "2 ms", "3 ms", "4 ms", "5 ms"]);
        assert!((axis.place(2.5e-3) - 0.5).abs() < 1e-9);
        assert_eq!((axis.place(0.0), axis.place(1.0)), (0.0, 1.0));
    }

    #[test]
    fn durations_of_a_wide_range_are_logarithmic() {
        let axis = Axis::durations("latency", [110e-6, 45e-3].into_iter());
        assert_eq!(
            texts(&axis),
            ["100 us", "200 us", "500 us", "1 ms", "2 ms", "5 ms", "10 ms", "20 ms", "50 ms"]
        );
        assert!(axis.label.ends_with("(logarithmic)"));
        let wide = Axis::durations("latency", [1e-6, 2.0].into_iter());
        assert_eq!(
            texts(&wide),
            ["1 us", "10 us", "100 us", "1 ms", "10 ms", "100 ms", "1 s", "10 s"]
        );
        assert!((wide.place(1e-3) - 3.0 / 7.0).abs() < 1e-9);
    }

    #[test]
    fn no_values_still_have_an_axis() {
        for axis in [
            Axis::durations("latency", std::iter::empty()),
            Axis::numbers("replies", [0.0].into_iter()),
            Axis::rates("due", std::iter::empty(), 8),
            Axis::time(0.0, 8),
            Axis::percentiles(0, 8),
        ] {
            assert!(!axis.ticks.is_empty() && axis.place(0.5).is_finite(), "{axis:?}");
        }
    }

    #[test]
    fn time_is_in_seconds_or_in_minutes() {
        assert_eq!(texts(&Axis::time(10.0, 5)), ["0", "2", "4", "6", "8", "10"]);
        assert_eq!(texts(&Axis::time(0.5, 5)), ["0", "0.1", "0.2", "0.3", "0.4", "0.5"]);
        let hour = Axis::time(3_600.0, 6);
        assert_eq!(texts(&hour), ["0", "10", "20", "30", "40", "50", "60"]);
        assert!(hour.label.starts_with("minutes"));
    }

    #[test]
    fn the_percentile_axis_ends_at_the_last_value() {
        let axis = Axis::percentiles(20_000, 4);
        assert_eq!(texts(&axis), ["0 %", "90 %", "99 %", "99.9 %", "99.99 %"]);
        assert_eq!(
            texts(&Axis::percentiles(2_000_000, 4)),
            ["0 %", "99 %", "99.99 %", "99.9999 %"]
        );
        assert!((quantile_at(3.0) - 0.999).abs() < 1e-9);
    }

    #[test]
    fn rates_have_as_many_ticks_as_fit() {
        let rates = || [900.0, 64_000.0].into_iter();
        assert_eq!(texts(&Axis::rates("due", rates(), 4)), ["1,000", "10,000", "100,000"]);
        assert_eq!(texts(&Axis::rates("due", rates(), 9)).len(), 8);
    }

    #[test]
    fn large_numbers_are_grouped() {
        assert_eq!(
            texts(&Axis::numbers("replies", [51_000.0].into_iter()))[..3],
            ["0", "20,000", "40,000"]
        );
    }
}
