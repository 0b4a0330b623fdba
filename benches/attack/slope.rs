//! The growth of a figure with time, by linear regression.

/// A straight line through points, by least squares.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Slope {
    /// The growth of the figure per unit of time.
    pub per_unit: f64,
    /// The standard error of the slope: the growth that the scatter of the points alone may cause.
    pub error: f64,
}

impl Slope {
    /// Returns the line through `points` of time and figure. Returns `None` for fewer than three
    /// points, or if all have the same time, because these have no scatter around a line.
    pub fn of(points: &[(f64, f64)]) -> Option<Self> {
        let count = points.len() as f64;
        if points.len() < 3 {
            return None;
        }
        let (sum_time, sum_figure) =
            points.iter().fold((0.0, 0.0), |(t, f), point| (t + point.0, f + point.1));
        let (mean_time, mean_figure) = (sum_time / count, sum_figure / count);
        // The line goes through the means, so that large figures with small differences lose no
        // digits.
        let centred =
            || points.iter().map(|(time, figure)| (time - mean_time, figure - mean_figure));
        let time_squares: f64 = centred().map(|(time, _)| time * time).sum();
        if time_squares == 0.0 {
            return None;
        }
        let per_unit = centred().map(|(time, figure)| time * figure).sum::<f64>() / time_squares;
        let residual_squares: f64 =
            centred().map(|(time, figure)| (figure - per_unit * time).powi(2)).sum();
        let error = (residual_squares / (count - 2.0) / time_squares).sqrt();
        Some(Self { per_unit, error })
    }
}
