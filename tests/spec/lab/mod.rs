//! The laboratory: what a query string asks for.

pub mod anything;
pub mod cors;
pub mod due_ticks;
pub mod echo;
pub mod event_format;
pub mod faults;
pub mod injection;
pub mod options;
pub mod post;
pub mod resume;
pub mod scenario;
pub mod size;
pub mod stats;
pub mod wall_clock;
pub mod wire;
