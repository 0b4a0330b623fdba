//! The Mann-Whitney U test: whether the values of one sample tend to be larger than those of
//! another (H. B. Mann, D. R. Whitney: "On a test of whether one of two random variables is
//! stochastically larger than the other", 1947).
//!
//! The test compares ranks, so it needs no normal distribution, and one outlier weighs no more than
//! any other value.

/// Minimum size of a sample for the normal approximation.
pub const SAMPLE_MIN: usize = 8;

/// Returns the two-sided p-value for two samples: the probability of a difference at least this
/// large between samples of one distribution. Returns `None` if a sample has fewer than
/// [`SAMPLE_MIN`] values.
///
/// The value is that of the normal approximation, with the corrections for ties and for continuity.
#[must_use]
pub fn mann_whitney_p(first: &[f64], second: &[f64]) -> Option<f64> {
    if first.len().min(second.len()) < SAMPLE_MIN {
        return None;
    }
    let mut all: Vec<(f64, bool)> = first.iter().map(|value| (*value, true)).collect();
    all.extend(second.iter().map(|value| (*value, false)));
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut rank_sum, mut ties, mut before) = (0.0, 0.0, 0.0);
    for equal in all.chunk_by(|a, b| a.0 == b.0) {
        let number = equal.len() as f64;
        let rank = before + f64::midpoint(1.0, number);
        rank_sum += rank * equal.iter().filter(|(_, is_first)| *is_first).count() as f64;
        ties += number * number * number - number;
        before += number;
    }
    let (n, m) = (first.len() as f64, second.len() as f64);
    let all = n + m;
    let u = rank_sum - n * (n + 1.0) / 2.0;
    let variance = n * m / 12.0 * (all + 1.0 - ties / (all * (all - 1.0)));
    let distance = ((u - n * m / 2.0).abs() - 0.5).max(0.0);
    // All values are equal: no difference is visible.
    if variance <= 0.0 {
        return Some(1.0);
    }
    Some((2.0 * upper_tail(distance / variance.sqrt())).min(1.0))
}

/// Returns the share of the standard normal distribution above `z`, which is not negative, with an
/// error below 7.5e-8 (M. Abramowitz, I. Stegun: "Handbook of Mathematical Functions", 26.2.17).
fn upper_tail(z: f64) -> f64 {
    const COEFFICIENTS: [f64; 5] =
        [0.319_381_530, -0.356_563_782, 1.781_477_937, -1.821_255_978, 1.330_274_429];
    let t = 1.0 / (1.0 + 0.231_641_9 * z);
    let density = (-z * z / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt();
    density * t * COEFFICIENTS.iter().rev().fold(0.0, |sum, coefficient| sum * t + coefficient)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn p(first: &[f64], second: &[f64]) -> f64 {
        mann_whitney_p(first, second).expect("enough values")
    }

    #[test]
    fn the_value_is_that_of_counted_pairs() {
        // U as the number of pairs in which the first value is larger, and the tail as erfc.
        let upto = |from: u32| (from..from + 10).map(f64::from).collect::<Vec<_>>();
        for (first, second, expected) in [
            (upto(1), upto(11), 0.000_182_671_8),
            (upto(1), upto(4), 0.058_116_875_6),
            (vec![1.0, 1.0, 2.0, 2.0, 2.0, 3.0, 4.0, 5.0], upto(2), 0.006_337_512_5),
        ] {
            let found = p(&first, &second);
            assert!((found - expected).abs() < 1e-6, "{found} instead of {expected}");
            assert!((p(&second, &first) - found).abs() < 1e-9, "the order does not matter");
        }
    }

    #[test]
    fn equal_values_show_no_difference() {
        assert_eq!(p(&[5.0; 10], &[5.0; 20]), 1.0);
    }

    #[test]
    fn small_samples_have_no_value() {
        assert_eq!(mann_whitney_p(&[1.0; 7], &[2.0; 100]), None);
    }
}
