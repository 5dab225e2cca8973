//! Folds over the rows of a frame. A fold is a monoid, so that a frame can be joined from two parts.

use std::fmt::Debug;
use std::marker::PhantomData;

/// An associative gathering of values in their order.
pub trait Fold {
    type Value: Copy;
    type State: Copy + Debug;

    /// Of no values: joined to any state it changes nothing. It also stands for an unknown value.
    const EMPTY: Self::State;

    fn of(value: Self::Value) -> Self::State;

    fn join(earlier: Self::State, later: Self::State) -> Self::State;
}

/// The sum of doubles.
#[derive(Debug, Clone, Copy)]
pub struct Sum;

impl Fold for Sum {
    type Value = f64;
    type State = f64;

    const EMPTY: f64 = 0.0;

    #[inline(always)]
    fn of(value: f64) -> f64 {
        value
    }

    #[inline(always)]
    fn join(earlier: f64, later: f64) -> f64 {
        earlier + later
    }
}

/// Values in a total order. A NaN is above all doubles, whatever its sign.
pub trait Ranked: Copy + Debug {
    const LOWEST: Self;
    const HIGHEST: Self;

    fn is_above(self, other: Self) -> bool;
}

impl Ranked for f64 {
    const LOWEST: Self = f64::NEG_INFINITY;
    const HIGHEST: Self = f64::NAN;

    #[inline(always)]
    fn is_above(self, other: Self) -> bool {
        self > other || (self.is_nan() && !other.is_nan())
    }
}

macro_rules! ranked_integers {
    ($($kind:ty),*) => {$(
        impl Ranked for $kind {
            const LOWEST: Self = <$kind>::MIN;
            const HIGHEST: Self = <$kind>::MAX;

            #[inline(always)]
            fn is_above(self, other: Self) -> bool {
                self > other
            }
        }
    )*};
}

ranked_integers!(i32, i64, u64);

/// The greatest value; [`Ranked::LOWEST`] of none.
#[derive(Debug, Clone, Copy)]
pub struct Greatest<T>(PhantomData<T>);

impl<T: Ranked> Fold for Greatest<T> {
    type Value = T;
    type State = T;

    const EMPTY: T = T::LOWEST;

    #[inline(always)]
    fn of(value: T) -> T {
        value
    }

    #[inline(always)]
    fn join(earlier: T, later: T) -> T {
        if later.is_above(earlier) { later } else { earlier }
    }
}

/// The least value; [`Ranked::HIGHEST`] of none.
#[derive(Debug, Clone, Copy)]
pub struct Least<T>(PhantomData<T>);

impl<T: Ranked> Fold for Least<T> {
    type Value = T;
    type State = T;

    const EMPTY: T = T::HIGHEST;

    #[inline(always)]
    fn of(value: T) -> T {
        value
    }

    #[inline(always)]
    fn join(earlier: T, later: T) -> T {
        if earlier.is_above(later) { later } else { earlier }
    }
}

/// Count, mean and squared distance from the mean, by the rule of Chan, Golub and LeVeque. The mean is kept in two
/// doubles: distances stay exact to the last places where prices are far larger than what they move.
#[derive(Debug, Clone, Copy)]
pub struct Moments;

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MomentsState {
    pub count: f64,
    mean: f64,
    mean_rest: f64,
    squares: f64,
}

impl Fold for Moments {
    type Value = f64;
    type State = MomentsState;

    const EMPTY: MomentsState = MomentsState { count: 0.0, mean: 0.0, mean_rest: 0.0, squares: 0.0 };

    #[inline(always)]
    fn of(value: f64) -> MomentsState {
        // A distance from an infinity is not a number, nor is a variance around it.
        MomentsState {
            count: 1.0,
            mean: value,
            mean_rest: 0.0,
            squares: if value.is_finite() { 0.0 } else { f64::NAN },
        }
    }

    #[inline(always)]
    fn join(earlier: MomentsState, later: MomentsState) -> MomentsState {
        if earlier.count == 0.0 {
            return later;
        }
        if later.count == 0.0 {
            return earlier;
        }
        let count = earlier.count + later.count;
        let weight = later.count / count;
        let (step, step_rest) = two_sum(later.mean, -earlier.mean);
        let step = step + (step_rest + (later.mean_rest - earlier.mean_rest));
        let (mean, rest) = two_sum(earlier.mean, step * weight);
        let mean_rest = earlier.mean_rest + rest;
        let squares = earlier.squares + later.squares + step * step * (earlier.count * weight);
        MomentsState { count, mean, mean_rest, squares }
    }
}

impl MomentsState {
    /// `None` of no values.
    #[inline]
    pub fn mean(&self) -> Option<f64> {
        (self.count > 0.0).then_some(self.mean)
    }

    /// `None` of fewer than two values.
    #[inline]
    pub fn sample_variance(&self) -> Option<f64> {
        (self.count > 1.0).then(|| self.squares / (self.count - 1.0))
    }

    /// `None` of no values.
    #[inline]
    pub fn population_variance(&self) -> Option<f64> {
        (self.count > 0.0).then(|| self.squares / self.count)
    }

    /// Distance of a value from the mean.
    #[inline]
    pub fn distance(&self, value: f64) -> f64 {
        (value - self.mean) - self.mean_rest
    }
}

/// The rounded sum and what the rounding lost (Knuth).
#[inline(always)]
fn two_sum(a: f64, b: f64) -> (f64, f64) {
    let sum = a + b;
    let of_b = sum - a;
    (sum, (a - (sum - of_b)) + (b - of_b))
}
