//! The program around the server: settings, security, log, process, signals.

#[cfg(feature = "tls")]
mod certificate;
pub(crate) mod log;
pub(crate) mod process;
pub(crate) mod security;
pub(crate) mod settings;
pub(crate) mod signals;
