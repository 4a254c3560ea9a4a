//! Small tools over the random number generator: chances, durations from a table of quantiles, and choice by
//! weight. All draw whole numbers, so that a seed gives the same traffic on every machine.

use rand_chacha::rand_core::RngCore;

/// A probability, as a bound on 32 random bits.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Chance(u64);

impl Chance {
    /// `share` from 0 to 1; what lies outside is cut.
    pub(crate) fn new(share: f64) -> Self {
        Chance((share.clamp(0.0, 1.0) * 4_294_967_296.0).round() as u64)
    }

    pub(crate) fn hit(self, rng: &mut impl RngCore) -> bool {
        self.0 > 0 && u64::from(rng.next_u32()) < self.0
    }

    /// Counts hits until the first miss, at most `most`.
    pub(crate) fn streak(self, rng: &mut impl RngCore, most: u8) -> u8 {
        let mut count = 0;
        while count < most && self.hit(rng) {
            count += 1;
        }
        count
    }
}

/// Uniform in `[0, bound)`; 0 for a bound of 0. The bias is below 2^-32 times the bound.
pub(crate) fn below(rng: &mut impl RngCore, bound: u64) -> u64 {
    if bound <= u64::from(u32::MAX) {
        (u64::from(rng.next_u32()) * bound) >> 32
    } else {
        ((u128::from(rng.next_u64()) * u128::from(bound)) >> 64) as u64
    }
}

/// Number of quantiles in a table of durations.
const QUANTILES: usize = 4096;

/// A distribution of durations as its quantiles, in milliseconds or in another unit of the caller.
#[derive(Debug, Clone)]
pub(crate) struct Durations {
    values: Vec<u32>,
    sums: Vec<u64>,
}

impl Durations {
    /// Log-normal with the given median and spread of the logarithm, plus `shift`, cut at `most`.
    pub(crate) fn log_normal(median: f64, sigma: f64, shift: f64, most: f64) -> Self {
        Durations::from_quantiles(|p| (shift + median * (sigma * inverse_normal(p)).exp()).min(most))
    }

    /// Exponential with the given mean.
    pub(crate) fn exponential(mean: f64) -> Self {
        Durations::from_quantiles(|p| -mean * (1.0 - p).ln())
    }

    fn from_quantiles(quantile: impl Fn(f64) -> f64) -> Self {
        let values: Vec<u32> = (0..QUANTILES)
            .map(|i| {
                quantile((i as f64 + 0.5) / QUANTILES as f64).round().clamp(1.0, f64::from(u32::MAX)) as u32
            })
            .collect();
        let mut sum = 0;
        let sums = values
            .iter()
            .map(|value| {
                sum += u64::from(*value);
                sum
            })
            .collect();
        Durations { values, sums }
    }

    /// All durations multiplied by `factor`, at least 1.
    pub(crate) fn scaled(&self, factor: f64) -> Self {
        Durations::from_quantiles(|p| {
            f64::from(self.values[((p * QUANTILES as f64) as usize).min(QUANTILES - 1)]) * factor
        })
    }

    pub(crate) fn mean(&self) -> f64 {
        self.sums.last().map_or(0.0, |sum| *sum as f64 / QUANTILES as f64)
    }

    pub(crate) fn sample(&self, rng: &mut impl RngCore) -> u64 {
        u64::from(self.values[below(rng, QUANTILES as u64) as usize])
    }

    /// What is left of a duration that is running at a random moment: long ones are met more often.
    pub(crate) fn residual(&self, rng: &mut impl RngCore) -> u64 {
        let total = self.sums.last().copied().unwrap_or(0);
        let point = below(rng, total);
        let i = self.sums.partition_point(|sum| *sum <= point);
        below(rng, u64::from(self.values[i.min(QUANTILES - 1)]))
    }
}

/// Choice of an index by weight in constant time (Walker's alias method).
#[derive(Debug, Clone)]
pub(crate) struct Weighted {
    /// For each index: keep it when 32 random bits lie below the bound, else take the other.
    slots: Vec<(u32, u32)>,
}

impl Weighted {
    /// Weights 1, 1/2^s, 1/3^s, … : Zipf's law with exponent `s`.
    pub(crate) fn zipf(count: usize, exponent: f64) -> Self {
        let weights: Vec<f64> = (1..=count).map(|rank| (rank as f64).powf(-exponent)).collect();
        let total: f64 = weights.iter().sum();
        let mut scaled: Vec<f64> = weights.iter().map(|w| w * count as f64 / total).collect();
        let (mut small, mut large): (Vec<usize>, Vec<usize>) = (0..count).partition(|i| scaled[*i] < 1.0);
        let mut slots: Vec<(u32, u32)> = (0..count).map(|i| (u32::MAX, i as u32)).collect();
        while let (Some(low), Some(high)) = (small.pop(), large.pop()) {
            slots[low] = ((scaled[low] * f64::from(u32::MAX)).round() as u32, high as u32);
            scaled[high] -= 1.0 - scaled[low];
            if scaled[high] < 1.0 { small.push(high) } else { large.push(high) }
        }
        Weighted { slots }
    }

    pub(crate) fn sample(&self, rng: &mut impl RngCore) -> usize {
        let bits = rng.next_u64();
        let i = (((bits >> 32) * self.slots.len() as u64) >> 32) as usize;
        let (keep, other) = self.slots[i];
        if (bits as u32) <= keep { i } else { other as usize }
    }
}

/// Quantile function of the standard normal distribution, by P. J. Acklam's rational approximation (relative
/// error below 1.2e-9; far finer than the table needs). `p` strictly between 0 and 1.
fn inverse_normal(p: f64) -> f64 {
    const A: [f64; 6] = [
        -3.969683028665376e1,
        2.209460984245205e2,
        -2.759285104469687e2,
        1.38357751867269e2,
        -3.066479806614716e1,
        2.506628277459239,
    ];
    const B: [f64; 5] = [
        -5.447609879822406e1,
        1.615858368580409e2,
        -1.556989798598866e2,
        6.680131188771972e1,
        -1.328068155288572e1,
    ];
    const C: [f64; 6] = [
        -7.784894002430293e-3,
        -3.223964580411365e-1,
        -2.400758277161838,
        -2.549732539343734,
        4.374664141464968,
        2.938163982698783,
    ];
    const D: [f64; 4] = [7.784695709041462e-3, 3.224671290700398e-1, 2.445134137142996, 3.754408661907416];
    let poly = |coefficients: &[f64], x: f64| coefficients.iter().fold(0.0, |sum, c| sum * x + c);
    let tail = |p: f64| {
        let q = (-2.0 * p.ln()).sqrt();
        poly(&C, q) / (poly(&D, q) * q + 1.0)
    };
    if p < 0.02425 {
        tail(p)
    } else if p > 1.0 - 0.02425 {
        -tail(1.0 - p)
    } else {
        let q = p - 0.5;
        let r = q * q;
        poly(&A, r) * q / (poly(&B, r) * r + 1.0)
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::SeedableRng;

    use super::*;

    #[test]
    fn normal_quantiles() {
        for (p, z) in [(0.5, 0.0), (0.975, 1.959964), (0.01, -2.326348), (0.999, 3.090232)] {
            assert!((inverse_normal(p) - z).abs() < 1e-5, "{p}: {}", inverse_normal(p));
        }
    }

    #[test]
    fn durations_have_their_means() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let table = Durations::log_normal(12_000.0, 1.0, 0.0, 1_200_000.0);
        let expected = 12_000.0 * 0.5f64.exp();
        assert!((table.mean() / expected - 1.0).abs() < 0.02, "{}", table.mean());
        assert!((table.scaled(0.5).mean() / expected * 2.0 - 1.0).abs() < 0.02);
        assert!((Durations::exponential(5_000.0).mean() / 5_000.0 - 1.0).abs() < 0.01);
        // Renewal theory: the mean residual is E[x²] / 2E[x], here median * e^(3/2) / 2.
        let n = 100_000;
        let residual = (0..n).map(|_| table.residual(&mut rng) as f64).sum::<f64>() / f64::from(n);
        let expected = 12_000.0 * 1.5f64.exp() / 2.0;
        assert!((residual / expected - 1.0).abs() < 0.06, "{residual} {expected}");
    }

    #[test]
    fn zipf_has_its_weights() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let zipf = Weighted::zipf(10, 1.0);
        let mut counts = [0u32; 10];
        for _ in 0..200_000 {
            counts[zipf.sample(&mut rng)] += 1;
        }
        let harmonic: f64 = (1..=10).map(|i| 1.0 / f64::from(i)).sum();
        for (i, count) in counts.into_iter().enumerate() {
            let expected = 200_000.0 / harmonic / (i as f64 + 1.0);
            assert!((f64::from(count) / expected - 1.0).abs() < 0.05, "rank {i}: {count} {expected}");
        }
    }

    #[test]
    fn chances_at_the_ends() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        assert!((0..1000).all(|_| Chance::new(1.0).hit(&mut rng)));
        assert!((0..1000).all(|_| !Chance::new(0.0).hit(&mut rng)));
        assert_eq!(Chance::new(1.0).streak(&mut rng, 4), 4);
        assert!((0..1000).all(|_| below(&mut rng, 7) < 7));
        assert_eq!(below(&mut rng, 0), 0);
    }
}
