//! The signals that the process gets from the operating system.

use std::{future, io};

use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// The names of the signals that have come.
///
/// SIGINT, SIGTERM and SIGHUP begin the shutdown, elsewhere ctrl-C. SIGUSR1 and SIGUSR2, which end a
/// process by default, are logged and ignored.
pub(crate) struct Signals(UnboundedReceiver<&'static str>);

impl Signals {
    /// Takes the signals over from the operating system's defaults.
    pub(crate) fn listen() -> io::Result<Self> {
        #[cfg(unix)]
        use tokio::signal::unix::{SignalKind, signal};
        let (sender, receiver) = unbounded_channel();
        #[cfg(unix)]
        for (name, kind) in [
            ("SIGINT", SignalKind::interrupt()),
            ("SIGTERM", SignalKind::terminate()),
            ("SIGHUP", SignalKind::hangup()),
            ("SIGUSR1", SignalKind::user_defined1()),
            ("SIGUSR2", SignalKind::user_defined2()),
        ] {
            let (mut signal, sender) = (signal(kind)?, sender.clone());
            tokio::spawn(async move {
                while signal.recv().await.is_some() && sender.send(name).is_ok() {}
            });
        }
        #[cfg(not(unix))]
        tokio::spawn(async move {
            while tokio::signal::ctrl_c().await.is_ok() && sender.send("ctrl-C").is_ok() {}
        });
        Ok(Self(receiver))
    }

    /// Waits for the next signal to stop, and returns its name.
    pub(crate) async fn stop(&mut self) -> &'static str {
        loop {
            match self.0.recv().await {
                Some(name @ ("SIGUSR1" | "SIGUSR2")) => tracing::info!("{name} means nothing here"),
                Some(name) => return name,
                None => future::pending().await,
            }
        }
    }
}
