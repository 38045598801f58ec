//! A point of the benchmark, and the figures that a measurement records.

use std::time::Duration;

use crate::servers::Kind;

pub(crate) const CPU: &str = "CPU per event, µs";
pub(crate) const USER: &str = "user, µs";
pub(crate) const SYSTEM: &str = "system, µs";
pub(crate) const MEMORY: &str = "memory per stream, KiB";
pub(crate) const P99: &str = "p99, ms";
pub(crate) const RATE: &str = "events per second";
pub(crate) const FAST: Duration = Duration::from_millis(25);

type Measure = Box<dyn Fn(Kind) -> Result<Sample, String>>;

/// One point, with the servers to measure.
pub(crate) struct Point {
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    pub(crate) about: &'static str,
    pub(crate) kinds: Vec<Kind>,
    pub(crate) rounds: usize,
    pub(crate) ratios: Vec<Ratio>,
    /// Why the point cannot be measured on this machine.
    pub(crate) lacks: Option<String>,
    pub(crate) measure: Measure,
}

/// One measured number and its decimal places.
#[derive(Clone, Copy)]
pub(crate) struct Figure {
    pub(crate) name: &'static str,
    pub(crate) value: f64,
    pub(crate) digits: usize,
}

/// The figures of one server at one point in one round.
#[derive(Clone, Default)]
pub(crate) struct Sample {
    pub(crate) figures: Vec<Figure>,
    pub(crate) notes: Vec<String>,
}

impl Sample {
    pub(crate) fn with(mut self, name: &'static str, value: f64, digits: usize) -> Self {
        self.figures.push(Figure {
            name,
            value,
            digits,
        });
        self
    }

    pub(crate) fn get(&self, name: &str) -> Option<f64> {
        self.figures
            .iter()
            .find(|figure| figure.name == name)
            .map(|figure| figure.value)
    }
}

/// The ratio of a figure to the same figure of another server in the same round.
#[derive(Clone, Copy)]
pub(crate) struct Ratio {
    pub(crate) name: &'static str,
    pub(crate) figure: &'static str,
    pub(crate) base: Kind,
}

impl Ratio {
    pub(crate) const fn new(name: &'static str, figure: &'static str, base: Kind) -> Self {
        Self { name, figure, base }
    }
}
