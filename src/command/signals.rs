//! The signals that ask the process to stop.

use std::io;

/// The signals of the process: SIGINT, SIGTERM and SIGHUP begin the shutdown.
///
/// SIGUSR1 and SIGUSR2, which end a process by default, are logged and ignored.
#[cfg(unix)]
#[derive(Debug)]
pub(crate) struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    hangup: tokio::signal::unix::Signal,
    user: [tokio::signal::unix::Signal; 2],
}

#[cfg(unix)]
impl Signals {
    /// Takes the signals over from the operating system's defaults.
    ///
    /// # Errors
    ///
    /// When the operating system does not let the process listen for them.
    pub(crate) fn listen() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
            user: [
                signal(SignalKind::user_defined1())?,
                signal(SignalKind::user_defined2())?,
            ],
        })
    }

    /// Waits for the next signal to stop, and returns its name.
    pub(crate) async fn stop(&mut self) -> &'static str {
        let [user1, user2] = &mut self.user;
        loop {
            tokio::select! {
                _ = self.interrupt.recv() => return "SIGINT",
                _ = self.terminate.recv() => return "SIGTERM",
                _ = self.hangup.recv() => return "SIGHUP",
                _ = user1.recv() => tracing::info!("SIGUSR1 means nothing here"),
                _ = user2.recv() => tracing::info!("SIGUSR2 means nothing here"),
            }
        }
    }
}

/// The signals of the process: ctrl-C begins the shutdown.
#[cfg(not(unix))]
#[derive(Debug)]
pub(crate) struct Signals;

#[cfg(not(unix))]
impl Signals {
    /// Takes the signals over from the operating system's defaults.
    ///
    /// # Errors
    ///
    /// None on this platform.
    pub(crate) fn listen() -> io::Result<Self> {
        Ok(Self)
    }

    /// Waits for the next signal to stop, and returns its name.
    pub(crate) async fn stop(&mut self) -> &'static str {
        match tokio::signal::ctrl_c().await {
            Ok(()) => "ctrl-C",
            Err(_) => std::future::pending().await,
        }
    }
}
