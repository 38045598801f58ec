//! What a process with many connections asks of the operating system: open files, small pages,
//! and signals.

use std::{future, io};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// Raises the limit of open files, and returns how many connections then fit.
///
/// On Unix the function raises the soft limit of the process (`RLIMIT_NOFILE`) to the hard limit,
/// which needs no privileges. If the system refuses, the present limit stays. A limit that is
/// infinite or larger counts as 1,048,576 files. The function opens no file.
///
/// The result is a number of connections, at least 1, for [`Limits::max_connections`]. Each
/// connection needs one file descriptor. The result leaves 48 file descriptors, and 8 for each
/// core, for the listeners and other files of the process. A program that opens more files
/// subtracts them.
///
/// On systems other than Unix the function changes nothing. The result is 16,384 less the same
/// reserve.
///
/// [`Limits::max_connections`]: crate::Limits::max_connections
///
/// # Examples
///
/// ```
/// let mut limits = longhaul::Limits::default();
/// limits.max_connections = longhaul::process::raise_open_files_limit();
/// ```
#[must_use]
pub fn raise_open_files_limit() -> usize {
    open_files().saturating_sub(reserved_files()).max(1)
}

/// Returns how many file descriptors are kept free: standard streams, and a few for each core.
fn reserved_files() -> usize {
    48 + 8 * std::thread::available_parallelism().map_or(1, usize::from)
}

#[cfg(unix)]
fn open_files() -> usize {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // If the system call fails, the present limit stays.
    let _ = setrlimit(Resource::Nofile, limit);
    let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    usize::try_from(files).unwrap_or(usize::MAX).min(1 << 20)
}

#[cfg(not(unix))]
fn open_files() -> usize {
    16_384
}

/// Asks the kernel not to use transparent huge pages for this process.
///
/// Where the kernel uses them by default, the half-empty buffers of connections take whole huge
/// pages (2 MiB on x86-64), and each connection costs more resident memory. Call the function once,
/// before the process has allocated much. Child processes inherit the setting.
///
/// The function does nothing on systems other than Linux. A refusal of the kernel is ignored,
/// because the process works as well without the setting.
pub fn disable_transparent_huge_pages() {
    #[cfg(target_os = "linux")]
    let _ = rustix::thread::disable_transparent_huge_pages(true);
}

/// Returns a future that resolves at the first signal to stop, for [`serve`](crate::serve).
///
/// [`Signals`] lists the signals. A later signal is ignored as long as the process runs.
///
/// # Errors
///
/// Returns the error of the operating system.
///
/// # Panics
///
/// Panics outside a tokio runtime with I/O enabled.
pub fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    let mut signals = Signals::listen()?;
    Ok(async move {
        signals.stop().await;
    })
}

/// The signals that ask the process to stop.
///
/// - On Unix: SIGINT, SIGTERM and SIGHUP. SIGUSR1 and SIGUSR2, which end a process by default, are
///   logged and ignored.
/// - On Windows: Ctrl-C and Ctrl-Break in the console, the closing of the console, the end of the
///   user's session, and the shutdown of the system. After the last three Windows ends the process
///   within seconds.
#[derive(Debug)]
pub struct Signals(UnboundedReceiver<&'static str>);

impl Signals {
    /// Takes the signals over from the operating system's defaults, in a runtime of tokio.
    ///
    /// # Errors
    ///
    /// Returns the error of the operating system.
    ///
    /// # Panics
    ///
    /// Panics outside a runtime with I/O enabled.
    pub fn listen() -> io::Result<Self> {
        let (sender, receiver) = unbounded_channel();
        forward(&sender)?;
        Ok(Self(receiver))
    }

    /// Waits for the next signal to stop, and returns its name.
    pub async fn stop(&mut self) -> &'static str {
        loop {
            match self.0.recv().await {
                Some(name @ ("SIGUSR1" | "SIGUSR2")) => tracing::info!("{name} means nothing here"),
                Some(name) => return name,
                None => future::pending().await,
            }
        }
    }
}

/// Sends the name of each signal that the process gets.
#[cfg(unix)]
fn forward(sender: &UnboundedSender<&'static str>) -> io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    for (name, kind) in [
        ("SIGINT", SignalKind::interrupt()),
        ("SIGTERM", SignalKind::terminate()),
        ("SIGHUP", SignalKind::hangup()),
        ("SIGUSR1", SignalKind::user_defined1()),
        ("SIGUSR2", SignalKind::user_defined2()),
    ] {
        let (mut signal, sender) = (signal(kind)?, sender.clone());
        tokio::spawn(
            async move { while signal.recv().await.is_some() && sender.send(name).is_ok() {} },
        );
    }
    Ok(())
}

/// Sends the name of each event of the console that the process gets.
///
/// tokio has a type for each event.
#[cfg(windows)]
fn forward(sender: &UnboundedSender<&'static str>) -> io::Result<()> {
    use tokio::signal::windows as console;
    macro_rules! forward {
        ($($name:literal: $event:expr),*) => {$({
            let (mut event, sender) = ($event?, sender.clone());
            tokio::spawn(async move {
                while event.recv().await.is_some() && sender.send($name).is_ok() {}
            });
        })*};
    }
    forward! {
        "Ctrl-C": console::ctrl_c(),
        "Ctrl-Break": console::ctrl_break(),
        "console closed": console::ctrl_close(),
        "end of the session": console::ctrl_logoff(),
        "shutdown of the system": console::ctrl_shutdown()
    }
    Ok(())
}

#[cfg(not(any(unix, windows)))]
fn forward(_: &UnboundedSender<&'static str>) -> io::Result<()> {
    Ok(())
}
