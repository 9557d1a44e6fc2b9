//! Means of several runs, and how sure one can be of them.

/// What independent runs of the same measurement gave.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sample {
    runs: u32,
    mean: f64,
    /// The sum of the squared distances from the mean.
    squares: f64,
}

impl Sample {
    /// Adds a run. By Welford's method, which does not subtract large sums from one another.
    pub fn add(&mut self, value: f64) {
        self.runs += 1;
        let before = value - self.mean;
        self.mean += before / f64::from(self.runs);
        self.squares += before * (value - self.mean);
    }

    /// How many runs there were.
    pub fn runs(&self) -> u32 {
        self.runs
    }

    /// Their mean; 0 if there were none.
    pub fn mean(&self) -> f64 {
        self.mean
    }

    /// Their standard deviation, with n - 1 degrees of freedom; 0 for fewer than two runs.
    pub fn deviation(&self) -> f64 {
        match self.runs {
            0 | 1 => 0.0,
            runs => (self.squares / f64::from(runs - 1)).sqrt(),
        }
    }

    /// Half the width of the mean's 95 % confidence interval, by Student's t; 0 for fewer than two runs.
    pub fn half_width95(&self) -> f64 {
        match self.runs {
            0 | 1 => 0.0,
            runs => student95(runs - 1) * self.deviation() / f64::from(runs).sqrt(),
        }
    }
}

impl Extend<f64> for Sample {
    fn extend<I: IntoIterator<Item = f64>>(&mut self, values: I) {
        values.into_iter().for_each(|value| self.add(value));
    }
}

impl FromIterator<f64> for Sample {
    fn from_iter<I: IntoIterator<Item = f64>>(values: I) -> Self {
        let mut sample = Self::default();
        sample.extend(values);
        sample
    }
}

/// The 97.5 % quantile of Student's t with so many degrees of freedom (1 or more).
///
/// The first ten are from the table; the rest are the expansion around the normal quantile (Abramowitz and Stegun,
/// 26.7.5), which is right to three digits after the point there.
fn student95(freedom: u32) -> f64 {
    const TABLE: [f64; 10] = [12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060, 2.2622, 2.2281];
    const Z: f64 = 1.959_964;
    let index = (freedom as usize).saturating_sub(1);
    TABLE.get(index).copied().unwrap_or_else(|| {
        let n = f64::from(freedom);
        let first = (Z.powi(3) + Z) / 4.0;
        let second = (5.0 * Z.powi(5) + 16.0 * Z.powi(3) + 3.0 * Z) / 96.0;
        let third = (3.0 * Z.powi(7) + 19.0 * Z.powi(5) + 17.0 * Z.powi(3) - 15.0 * Z) / 384.0;
        Z + first / n + second / n.powi(2) + third / n.powi(3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn students_quantiles_are_the_tables() {
        for (freedom, expected) in [(1, 12.7062), (10, 2.2281), (11, 2.2010), (19, 2.0930), (30, 2.0423), (99, 1.9842)]
        {
            assert!((student95(freedom) - expected).abs() < 2e-4, "{freedom}: {}", student95(freedom));
        }
    }

    #[test]
    fn a_sample_knows_its_mean_and_how_sure_it_is() {
        let sample: Sample = [2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0].into_iter().collect();
        assert_eq!((sample.runs(), sample.mean()), (8, 5.0));
        assert!((sample.deviation() - (32.0_f64 / 7.0).sqrt()).abs() < 1e-12);
        assert!((sample.half_width95() - 2.3646 * (4.0_f64 / 7.0).sqrt()).abs() < 1e-12);
    }

    #[test]
    fn one_run_or_none_has_no_interval() {
        assert_eq!(Sample::default().half_width95(), 0.0);
        let one: Sample = [3.0].into_iter().collect();
        assert_eq!((one.mean(), one.half_width95()), (3.0, 0.0));
    }
}
