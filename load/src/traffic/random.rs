//! Random numbers from a seed.

/// Returns the random number with this index of the sequence that `seed` starts: SplitMix64
/// (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014), whose numbers can
/// be computed in any order.
#[must_use]
pub(super) const fn number(seed: u64, index: u64) -> u64 {
    const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut bits = seed.wrapping_add(index.wrapping_add(1).wrapping_mul(GAMMA));
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_those_of_the_published_generator() {
        let numbers = [0, 1, 2].map(|index| number(1_234_567, index));
        assert_eq!(
            numbers,
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]
        );
    }
}
