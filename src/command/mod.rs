//! What the command is beside its server: settings, log, process, signals.

pub(crate) mod log;
pub(crate) mod process;
pub(crate) mod settings;
pub(crate) mod signals;
