//! The median and the extremes of a few figures, and their form in a table.

/// The spread of the figures of several rounds.
#[derive(Clone)]
pub struct Spread {
    pub min: f64,
    pub median: f64,
    pub max: f64,
}

impl Spread {
    /// Returns the spread of `figures`, or `None` if there are none.
    pub fn of(figures: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut figures: Vec<f64> = figures.into_iter().collect();
        figures.sort_by(f64::total_cmp);
        let (&min, &max) = (figures.first()?, figures.last()?);
        let (low, high) = (figures[(figures.len() - 1) / 2], figures[figures.len() / 2]);
        Some(Self { min, median: f64::midpoint(low, high), max })
    }
}

/// Returns three significant digits, in thousands or millions for large figures: `0.0283`, `4.80`,
/// `2.41 M`.
pub fn shown(figure: f64) -> String {
    let (figure, unit) = match figure.abs() {
        million if million >= 1e6 => (figure / 1e6, " M"),
        thousand if thousand >= 1e4 => (figure / 1e3, " k"),
        _ => (figure, ""),
    };
    let whole_digits = if figure == 0.0 { 1 } else { figure.abs().log10().floor() as i32 + 1 };
    let decimals = usize::try_from(3 - whole_digits).unwrap_or(0).min(6);
    format!("{figure:.decimals$}{unit}")
}
