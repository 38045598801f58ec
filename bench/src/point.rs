//! A point of the benchmark, the figures that a measurement records, and their medians.

use std::collections::BTreeMap;

use crate::servers::Kind;

pub(crate) const CPU: &str = "CPU per event, µs";
pub(crate) const USER: &str = "user, µs";
pub(crate) const SYSTEM: &str = "system, µs";
pub(crate) const MEMORY: &str = "memory per stream, KiB";
pub(crate) const P99: &str = "p99, ms";
pub(crate) const RATE: &str = "events per second";
pub(crate) const LOST: &str = "lost";
pub(crate) const CPU_OVER_FLOOR: &str = "CPU over the floor's";
pub(crate) const CPU_OVER_AXUM: &str = "CPU over axum's";
pub(crate) const USER_OVER_AXUM: &str = "user over axum's";
pub(crate) const MEMORY_OVER_NODE: &str = "memory over Node's";

type Measure = Box<dyn Fn(Kind) -> Result<Sample, String>>;

/// One point, with the servers to measure.
#[must_use]
pub struct Point {
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

/// All rounds of one point.
pub(crate) struct Outcome {
    pub(crate) point: Point,
    pub(crate) rounds: Vec<BTreeMap<Kind, Sample>>,
    /// The nanoseconds of a read from memory before each measurement.
    pub(crate) reads: Vec<f64>,
    pub(crate) left_out: Vec<String>,
    pub(crate) failures: Vec<String>,
}

impl Outcome {
    /// Returns the median over the rounds.
    pub(crate) fn median(&self, kind: Kind, name: &str) -> Option<f64> {
        median(
            self.rounds
                .iter()
                .filter_map(|round| round.get(&kind)?.get(name))
                .collect(),
        )
    }

    /// Returns the median of the ratios, each taken within its round.
    pub(crate) fn ratio(&self, kind: Kind, ratio: &Ratio) -> Option<f64> {
        let of = |round: &BTreeMap<Kind, Sample>| {
            let base = round.get(&ratio.base)?.get(ratio.figure)?;
            Some(round.get(&kind)?.get(ratio.figure)? / base)
        };
        median(self.rounds.iter().filter_map(of).collect())
    }

    /// Returns the median of the figure or ratio called `name`, and its decimal places.
    pub(crate) fn figure(&self, kind: Kind, name: &str) -> Option<(f64, usize)> {
        if let Some(ratio) = self.point.ratios.iter().find(|ratio| ratio.name == name) {
            return Some((self.ratio(kind, ratio)?, 2));
        }
        let mut figures = self.sample(kind)?.figures.iter();
        let digits = figures.find(|figure| figure.name == name)?.digits;
        Some((self.median(kind, name)?, digits))
    }

    pub(crate) fn sample(&self, kind: Kind) -> Option<&Sample> {
        self.rounds.iter().find_map(|round| round.get(&kind))
    }
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        odd if odd % 2 == 1 => Some(values[middle]),
        _ => Some(f64::midpoint(values[middle - 1], values[middle])),
    }
}

/// Returns a number with commas between thousands.
pub(crate) fn grouped(value: f64, digits: usize) -> String {
    let mut plain = format!("{value:.digits$}");
    if plain.parse() == Ok(0.0) {
        // Without the sign of a number just below zero.
        plain = format!("{:.digits$}", 0.0);
    }
    let (whole, rest) = plain
        .find('.')
        .map_or((plain.as_str(), ""), |dot| plain.split_at(dot));
    let (sign, whole) = whole
        .strip_prefix('-')
        .map_or(("", whole), |whole| ("-", whole));
    let mut text = String::new();
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    format!("{sign}{text}{rest}")
}
