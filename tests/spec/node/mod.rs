//! The Node examples: what a plain request gets.

pub mod both_streams;
pub mod minimal_example;
pub mod parity;
pub mod routes;
