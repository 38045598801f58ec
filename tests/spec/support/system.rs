//! Signals, the limit of open files and the user: what only Unix has, and its place on Windows.

#[cfg(unix)]
mod unix {
    use std::io;
    use std::process::Child;

    pub use rustix::param::clock_ticks_per_second;
    pub use rustix::process::Signal;
    use rustix::process::{Pid, Resource, Rlimit, geteuid, getrlimit, kill_process, setrlimit};

    /// Sends `signal` to a process that this process has started.
    pub fn send(signal: Signal, process: &Child) -> io::Result<()> {
        Ok(kill_process(Pid::from_child(process), signal)?)
    }

    pub fn is_root() -> bool {
        geteuid().is_root()
    }

    /// Raises the limit of open files as far as the system allows, and returns the new limit.
    pub fn raise_file_limit() -> usize {
        let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
        let raised = Rlimit {
            current: maximum,
            maximum,
        };
        // macOS refuses a limit above its own: the present one stays.
        let _ = setrlimit(Resource::Nofile, raised);
        let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        usize::try_from(files).unwrap()
    }
}

#[cfg(windows)]
mod windows {
    use std::io;
    use std::process::{Child, Command};

    /// A signal of Unix by its name.
    #[derive(Clone, Copy, Debug, PartialEq)]
    pub struct Signal(&'static str);

    impl Signal {
        pub const CONT: Self = Self("CONT");
        pub const HUP: Self = Self("HUP");
        pub const INT: Self = Self("INT");
        pub const KILL: Self = Self("KILL");
        pub const PIPE: Self = Self("PIPE");
        pub const STOP: Self = Self("STOP");
        pub const TERM: Self = Self("TERM");
        pub const USR1: Self = Self("USR1");
        pub const USR2: Self = Self("USR2");
    }

    /// Ends a process, as `KILL` does on Unix.
    ///
    /// # Panics
    ///
    /// Panics for any other signal: `tests/platforms/windows.txt` lists the tests that need one.
    pub fn send(signal: Signal, process: &Child) -> io::Result<()> {
        assert_eq!(signal, Signal::KILL, "Windows has no such signal");
        let id = process.id().to_string();
        let ended = Command::new("taskkill")
            .args(["/F", "/PID", &id])
            .output()?;
        let error = || io::Error::other(String::from_utf8_lossy(&ended.stderr));
        ended.status.success().then_some(()).ok_or_else(error)
    }

    pub fn is_root() -> bool {
        false
    }

    /// # Panics
    ///
    /// Panics, because only `/proc` counts ticks.
    pub fn clock_ticks_per_second() -> u64 {
        unreachable!("there is no /proc")
    }

    /// Windows has no limit of open files.
    pub fn raise_file_limit() -> usize {
        usize::MAX
    }
}

#[cfg(unix)]
pub use unix::*;
#[cfg(windows)]
pub use windows::*;
