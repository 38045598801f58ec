//! The conformance suite, and other clients against it.

pub mod cases;
pub mod clients;
pub mod judge;
pub mod known;
pub mod reference_client;
pub mod runners;
pub mod schema;
