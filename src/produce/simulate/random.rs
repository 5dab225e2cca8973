//! The random numbers of the simulation: xoshiro256++, seeded through SplitMix64.
//!
//! A seed has to give the same ticks in every version of the program. `rand` promises that neither for its generators
//! nor for how it makes numbers of a range, so that the first come from `rand_xoshiro` and the others are made here.

use rand::{RngCore, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

pub(super) type SimulationRng = Xoshiro256PlusPlus;

pub(super) fn seeded(seed: u64) -> SimulationRng {
    SimulationRng::seed_from_u64(seed)
}

/// Uniform in `[0, 1)`.
#[inline]
pub(super) fn uniform(random: &mut SimulationRng) -> f64 {
    (random.next_u64() >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
}

/// Uniform in `[low, high)`.
pub(super) fn between(random: &mut SimulationRng, low: f64, high: f64) -> f64 {
    low + (high - low) * uniform(random)
}

/// Uniform in `[0, count)`; the bias is below `count / 2^32`.
#[inline]
pub(super) fn index(random: &mut SimulationRng, count: u32) -> usize {
    ((u64::from(random.next_u32()) * u64::from(count)) >> 32) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Computed from the algorithms of Blackman and Vigna, <https://prng.di.unimi.it>.
    #[test]
    fn agrees_with_the_reference() {
        for (seed, expected) in [
            (0, [5_987_356_902_031_041_503, 7_051_070_477_665_621_255, 6_633_766_593_972_829_180]),
            (7, [1_021_219_803_524_665_661, 3_174_977_118_032_272_916, 13_236_943_193_235_544_178]),
            (u64::MAX, [6_254_647_548_650_071_986, 16_610_832_622_747_802_512, 16_422_857_234_328_439_435]),
        ] {
            let mut random = seeded(seed);
            assert_eq!([(); 3].map(|()| random.next_u64()), expected, "{seed}");
        }
    }

    #[test]
    fn uniform_numbers_are_uniform() {
        let mut random = seeded(7);
        let mean = (0..100_000).map(|_| uniform(&mut random)).sum::<f64>() / 100_000.0;
        assert!((mean - 0.5).abs() < 0.005, "{mean}");
        assert!((0..10_000).all(|_| index(&mut random, 3) < 3));
    }
}
