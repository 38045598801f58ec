//! The servers to measure: how each is built, started on a free port, and stopped by its own process id.

use std::{
    env, fs,
    fs::File,
    io::Error,
    net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::client::Target;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const SCRATCH: &str = env!("CARGO_TARGET_TMPDIR");
const LOOK: Duration = Duration::from_millis(1);

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Kind {
    Floor,
    Ours,
    Jemalloc,
    Node,
    Express,
    Axum,
    /// This and the others below: over TLS and HTTP/2.
    Http2,
    Http2Jemalloc,
    NodeHttp2,
    AxumHttp2,
}

impl Kind {
    /// Those that speak HTTP/1.1 in the clear.
    pub(crate) const PLAIN: [Self; 6] = [
        Self::Floor,
        Self::Ours,
        Self::Jemalloc,
        Self::Node,
        Self::Express,
        Self::Axum,
    ];

    /// Those that speak HTTP/2.
    pub(crate) const SECURE: [Self; 4] = [
        Self::Http2,
        Self::Http2Jemalloc,
        Self::NodeHttp2,
        Self::AxumHttp2,
    ];

    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Floor => "the floor",
            Self::Ours => "sse-clock",
            Self::Jemalloc => "sse-clock, jemalloc",
            Self::Node => "Node http",
            Self::Express => "Express",
            Self::Axum => "axum",
            Self::Http2 => "sse-clock, HTTP/2",
            Self::Http2Jemalloc => "sse-clock, HTTP/2, jemalloc",
            Self::NodeHttp2 => "Node http2",
            Self::AxumHttp2 => "axum, HTTP/2",
        }
    }

    /// Whether it is the server of this package.
    pub(crate) fn is_ours(self) -> bool {
        matches!(
            self,
            Self::Ours | Self::Jemalloc | Self::Http2 | Self::Http2Jemalloc
        )
    }

    /// Builds or installs what it needs.
    ///
    /// # Errors
    /// The reason why this server cannot be measured here.
    pub(crate) fn prepare(self) -> Result<(), String> {
        let package = |manifest: &str, bin: &str, features: &str| {
            let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
            cargo.args(["build", "--release", "--locked", "--bin", bin]);
            cargo.args(["--features", features, "--manifest-path"]);
            cargo.arg(Path::new(ROOT).join(manifest));
            cargo.arg("--target-dir").arg(self.target_dir());
            run(&mut cargo)
        };
        let ours = |features| package("Cargo.toml", "sse-clock", features);
        let axum = |bin, features| package("benches/peers/axum/Cargo.toml", bin, features);
        match self {
            Self::Floor => Ok(()),
            Self::Ours => ours(""),
            Self::Jemalloc => ours("jemalloc"),
            Self::Http2 => ours("tls"),
            Self::Http2Jemalloc => ours("tls,jemalloc"),
            Self::Axum => axum("axum-http1", ""),
            Self::AxumHttp2 => {
                make_certificate()?;
                axum("axum-http2", "http2")
            }
            Self::NodeHttp2 => {
                Self::Node.prepare()?;
                make_certificate()
            }
            Self::Node => run(Command::new("node").arg("--version")),
            Self::Express => {
                Self::Node.prepare()?;
                let folder = Path::new(ROOT).join("benches/peers/express");
                if folder.join("node_modules/express").exists() {
                    return Ok(());
                }
                run(Command::new("npm")
                    .args(["ci", "--no-audit", "--no-fund"])
                    .current_dir(folder))
            }
        }
    }

    fn target_dir(self) -> PathBuf {
        let target = Path::new(SCRATCH)
            .parent()
            .expect("cargo's scratch folder lies in its target folder");
        match self {
            Self::Jemalloc => target.join("jemalloc"),
            Self::Axum => target.join("axum"),
            Self::Http2 => target.join("http2"),
            Self::Http2Jemalloc => target.join("http2-jemalloc"),
            Self::AxumHttp2 => target.join("axum-http2"),
            _ => target.to_owned(),
        }
    }

    fn program(self) -> Result<Vec<String>, String> {
        let release = |name: &str| {
            self.target_dir()
                .join("release")
                .join(name)
                .display()
                .to_string()
        };
        let own = || env::current_exe().map(|path| path.display().to_string());
        let script = |path: &str| {
            vec![
                "node".into(),
                Path::new(ROOT).join(path).display().to_string(),
            ]
        };
        Ok(match self {
            Self::Floor => vec![
                own().map_err(|e| format!("no path to this program: {e}"))?,
                "floor".into(),
            ],
            Self::Ours | Self::Jemalloc => {
                let flags = ["--host", "127.0.0.1"].map(String::from);
                [&[release("sse-clock")], &flags[..]].concat()
            }
            Self::Http2 | Self::Http2Jemalloc => {
                let [cert, key] = certificate().map(|file| file.display().to_string());
                let flags = ["--host", "127.0.0.1", "--tls"].map(String::from);
                let files = ["--cert".into(), cert, "--key".into(), key];
                [&[release("sse-clock")], &flags[..], &files].concat()
            }
            Self::Node => script("tests/twins/http.js"),
            Self::Express => script("benches/peers/express/server.js"),
            Self::NodeHttp2 => script("benches/peers/node/http2.js"),
            Self::Axum => vec![release("axum-http1")],
            Self::AxumHttp2 => vec![release("axum-http2")],
        })
    }

    fn path(self, interval: Duration) -> String {
        match self {
            Self::Express => "/stream".into(),
            // The plain request is the one that people send.
            _ if self.is_ours() && interval != Duration::from_secs(1) => {
                format!("/events?interval={}", interval.as_millis())
            }
            _ => "/events".into(),
        }
    }
}

/// A server that runs until this is dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) target: Target,
    complaints: PathBuf,
}

impl Server {
    pub(crate) fn start(kind: Kind, interval: Duration) -> Result<Self, String> {
        Self::start_under(&[], kind, interval)
    }

    /// Starts it as the last arguments of another command, such as a profiler.
    pub(crate) fn start_under(
        wrapper: &[String],
        kind: Kind,
        interval: Duration,
    ) -> Result<Self, String> {
        let port = free_port()?;
        let words = [wrapper, &kind.program()?].concat();
        let complaints = Path::new(SCRATCH).join(format!("server-{port}.log"));
        let log = File::create(&complaints)
            .map_err(|e| format!("cannot write {}: {e}", complaints.display()))?;
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
            .stderr(log)
            .spawn()
            .map_err(|e| format!("cannot start {}: {e}", words[0]))?;
        let target = Target {
            address: SocketAddrV4::new(Ipv4Addr::LOCALHOST, port),
            path: kind.path(interval),
            interval,
        };
        let mut server = Self {
            child,
            target,
            complaints,
        };
        let patience = Duration::from_secs(if wrapper.is_empty() { 10 } else { 60 });
        server.wait_until_it_listens(patience)?;
        Ok(server)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn terminate(&self) -> Result<(), String> {
        let pid = i32::try_from(self.pid())
            .ok()
            .and_then(Pid::from_raw)
            .expect("a child has an id");
        kill_process(pid, Signal::TERM).map_err(|e| format!("cannot signal the server: {e}"))
    }

    pub(crate) fn has_exited(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Asks it to end, and waits.
    pub(crate) fn stop(mut self, patience: Duration) -> Result<(), String> {
        self.terminate()?;
        let begin = Instant::now();
        while !self.has_exited() {
            if begin.elapsed() > patience {
                return Err(format!(
                    "it did not exit within {} s of SIGTERM",
                    patience.as_secs()
                ));
            }
            sleep(LOOK);
        }
        Ok(())
    }

    fn wait_until_it_listens(&mut self, patience: Duration) -> Result<(), String> {
        let begin = Instant::now();
        while TcpStream::connect(self.target.address).is_err() {
            if self.has_exited() {
                let log = fs::read_to_string(&self.complaints).unwrap_or_default();
                let why = log.lines().rev().find(|line| !line.trim().is_empty());
                return Err(format!(
                    "it ended before it listened: {}",
                    why.unwrap_or("it said nothing")
                ));
            }
            if begin.elapsed() > patience {
                return Err(format!("it did not listen within {} s", patience.as_secs()));
            }
            sleep(LOOK);
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_file(&self.complaints);
    }
}

/// The files of the certificate that every server over TLS shows, and of its key.
fn certificate() -> [PathBuf; 2] {
    ["cert.pem", "key.pem"].map(|name| Path::new(SCRATCH).join(name))
}

/// This server makes both anew when it starts without them; they live for thirty days.
fn make_certificate() -> Result<(), String> {
    Kind::Http2.prepare()?;
    for file in certificate() {
        let _ = fs::remove_file(file);
    }
    Server::start(Kind::Http2, Duration::from_secs(1)).map(drop)
}

fn free_port() -> Result<u16, String> {
    let port = |listener: TcpListener| Ok(listener.local_addr()?.port());
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(port)
        .map_err(|error: Error| format!("no free port: {error}"))
}

/// Runs a command to its end; its last line is the reason when it fails.
pub(crate) fn run(command: &mut Command) -> Result<(), String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let name = name.rsplit('/').next().unwrap_or_default().to_owned();
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("{name} is not to be had: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let line = said.lines().find(|line| line.starts_with("error"));
    let line = line.or_else(|| said.lines().rev().find(|line| !line.trim().is_empty()));
    Err(format!(
        "{name} failed: {}",
        line.unwrap_or("it said nothing")
    ))
}
