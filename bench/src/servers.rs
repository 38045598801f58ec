//! The measured servers: each starts on a free port and is stopped by its process id.

mod kind;

use std::{
    fs,
    fs::File,
    net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

pub(crate) use kind::Kind;
use kind::certificate;

/// The folder for the files of a run.
pub(crate) const SCRATCH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/tmp");
const POLL_INTERVAL: Duration = Duration::from_millis(1);

/// The URL to request, and the interval of the events.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) address: SocketAddrV4,
    pub(crate) path: String,
    pub(crate) interval: Duration,
}

/// A server process, killed on drop.
pub(crate) struct Server {
    kind: Kind,
    child: Child,
    pub(crate) target: Target,
    log: PathBuf,
}

impl Server {
    pub(crate) fn start(kind: Kind, interval: Duration) -> Result<Self, String> {
        Self::start_under(&[], kind, interval)
    }

    /// Starts the server as the last arguments of another command, such as a profiler.
    pub(crate) fn start_under(
        wrapper: &[String],
        kind: Kind,
        interval: Duration,
    ) -> Result<Self, String> {
        Self::start_on(free_port()?, wrapper, kind, interval)
    }

    /// Kills the server and starts a new process on the same port.
    pub(crate) fn kill_and_start_again(self) -> Result<Self, String> {
        let (kind, target) = (self.kind, self.target.clone());
        drop(self);
        Self::start_on(target.address.port(), &[], kind, target.interval)
    }

    fn start_on(
        port: u16,
        wrapper: &[String],
        kind: Kind,
        interval: Duration,
    ) -> Result<Self, String> {
        let words = [wrapper, &kind.program()?].concat();
        let log = Path::new(SCRATCH).join(format!("server-{port}.log"));
        let stderr =
            File::create(&log).map_err(|e| format!("cannot write {}: {e}", log.display()))?;
        let [cert, key] = certificate();
        let child = Command::new(&words[0])
            .args(&words[1..])
            .env_remove("RUST_LOG")
            .env_remove("NODE_OPTIONS")
            .env_remove("_RJEM_MALLOC_CONF")
            .env("HOST", "127.0.0.1")
            .env("PORT", port.to_string())
            .env("INTERVAL", interval.as_millis().to_string())
            .env("CERT", cert)
            .env("KEY", key)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(stderr)
            .spawn()
            .map_err(|e| format!("cannot start {}: {e}", words[0]))?;
        let target = Target {
            address: SocketAddrV4::new(Ipv4Addr::LOCALHOST, port),
            path: kind.path(interval),
            interval,
        };
        let mut server = Self {
            kind,
            child,
            target,
            log,
        };
        let patience = Duration::from_secs(if wrapper.is_empty() { 10 } else { 60 });
        server.wait_until_it_listens(patience)?;
        Ok(server)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Returns the file with the server's stderr, which is removed on drop.
    pub(crate) fn log(&self) -> &Path {
        &self.log
    }

    pub(crate) fn has_exited(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Sends SIGTERM and waits at most `patience` for the exit.
    pub(crate) fn stop(&mut self, patience: Duration) -> Result<ExitStatus, String> {
        self.stop_while(patience, || {
            sleep(POLL_INTERVAL);
            Ok(())
        })
    }

    /// Sends SIGTERM and repeats `wait` until the exit, at most for `patience`.
    pub(crate) fn stop_while(
        &mut self,
        patience: Duration,
        mut wait: impl FnMut() -> Result<(), String>,
    ) -> Result<ExitStatus, String> {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, Signal::TERM).map_err(|e| format!("cannot signal the server: {e}"))?;
        let begin = Instant::now();
        while begin.elapsed() < patience {
            match self.child.try_wait() {
                Ok(Some(status)) => return Ok(status),
                Ok(None) => wait()?,
                Err(error) => return Err(format!("its exit status is unknown: {error}")),
            }
        }
        let patience = patience.as_secs();
        Err(format!("it did not exit within {patience} s of SIGTERM"))
    }

    /// Returns whether the server accepts connections and its certificate exists. The port opens
    /// before the certificate is written.
    fn listens(&self) -> bool {
        let is_made = |file: &PathBuf| file.metadata().is_ok_and(|file| file.len() > 0);
        let needs_none = !Kind::SECURE.contains(&self.kind);
        TcpStream::connect(self.target.address).is_ok()
            && (needs_none || certificate().iter().all(is_made))
    }

    fn wait_until_it_listens(&mut self, patience: Duration) -> Result<(), String> {
        let begin = Instant::now();
        while !self.listens() {
            if self.has_exited() {
                let log = fs::read_to_string(&self.log).unwrap_or_default();
                let why = log.lines().rev().find(|line| !line.trim().is_empty());
                return Err(format!(
                    "it ended before it listened: {}",
                    why.unwrap_or("it said nothing")
                ));
            }
            if begin.elapsed() > patience {
                return Err(format!("it did not listen within {} s", patience.as_secs()));
            }
            sleep(POLL_INTERVAL);
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_file(&self.log);
    }
}

/// Returns a free port below the kernel's ephemeral range, so that no client takes the port during
/// a restart.
fn free_port() -> Result<u16, String> {
    let first = 10_000 + std::process::id() as u16 % 20_000;
    let is_free = |port: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
    let free = (first..32_000).chain(10_000..first).find(is_free);
    free.ok_or_else(|| "no port is free".into())
}

/// Runs a command and returns its stdout. An error line of its stderr is the reason for a failure.
pub(crate) fn run(command: &mut Command) -> Result<String, String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let name = name.rsplit('/').next().unwrap_or_default().to_owned();
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("{name} is not to be had: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let line = said.lines().find(|line| line.starts_with("error"));
    let line = line.or_else(|| said.lines().rev().find(|line| !line.trim().is_empty()));
    Err(format!(
        "{name} failed: {}",
        line.unwrap_or("it said nothing")
    ))
}
