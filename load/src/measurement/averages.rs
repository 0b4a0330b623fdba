//! Averages and shares that are zero instead of a division by zero.

/// Returns `number` per second; zero if no time has passed.
#[must_use]
pub fn per_second(number: u64, seconds: f64) -> f64 {
    share(number as f64, seconds)
}

/// Returns the share of `part` in `all`; zero if `all` is zero.
#[must_use]
pub fn share(part: f64, all: f64) -> f64 {
    if all > 0.0 { part / all } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_of_nothing_is_zero() {
        assert_eq!((share(1.0, 4.0), share(1.0, 0.0), share(0.0, 0.0)), (0.25, 0.0, 0.0));
        assert_eq!((per_second(10, 4.0), per_second(10, 0.0)), (2.5, 0.0));
    }
}
