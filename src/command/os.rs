//! What the process asks of the operating system: open files, small pages, and signals.

use std::{future, io};

use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// File descriptors that are not connections: standard streams, and a few on each core.
fn own_files() -> usize {
    48 + 8 * std::thread::available_parallelism().map_or(1, usize::from)
}

/// Raises the limit of open files to what the system allows, and says how many connections fit.
#[cfg(unix)]
pub(crate) fn room_for_connections() -> usize {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // If the system call fails, the present limit stays.
    let _ = setrlimit(Resource::Nofile, limit);
    let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let files = usize::try_from(files).unwrap_or(usize::MAX).min(1 << 20);
    files.saturating_sub(own_files()).max(1)
}

/// Says how many connections fit where there is no limit of open files to ask for.
#[cfg(not(unix))]
pub(crate) fn room_for_connections() -> usize {
    16_384 - own_files()
}

/// Keeps the kernel from backing the half-empty buffers of connections with huge pages.
pub(crate) fn disable_transparent_huge_pages() {
    #[cfg(target_os = "linux")]
    let _ = rustix::thread::disable_transparent_huge_pages(true);
}

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
