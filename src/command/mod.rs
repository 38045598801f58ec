//! The program around the server: settings, certificate, log, operating system.

#[cfg(feature = "tls")]
pub(crate) mod certificate;
pub(crate) mod log;
pub(crate) mod os;
pub(crate) mod settings;
