//! The command line, and `PORT` from the environment.

use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use longhaul::host::Host;
use sse_clock::options::number;

/// A Server-Sent Events server: the Node http example in Rust, and a test server for SSE clients
#[derive(Debug, Parser)]
#[command(version)]
pub(crate) struct Settings {
    /// Where to listen: localhost, an address of this machine, or 0.0.0.0 or :: to open the
    /// server to the network
    #[arg(long, default_value = "localhost")]
    host: String,

    /// The TCP port; 0 takes a free one
    #[arg(long, env = "PORT", default_value_t = PORT, value_parser = port)]
    pub(crate) port: u16,

    /// Connections at a time; later clients wait [default: what the limit of open files allows]
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    pub(crate) max_connections: Option<usize>,

    /// Seconds that shutdown waits for streams that cannot be written to
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = seconds)]
    pub(crate) drain: Duration,

    /// Shut down when stdin is closed, as it is when the process that started the server ends
    #[arg(long)]
    pub(crate) until_stdin_closes: bool,

    /// Speak HTTPS: HTTP/2 if the client offers it, else HTTP/1.1 [in builds with --features tls]
    #[arg(long)]
    pub(crate) tls: bool,

    /// The certificate, a PEM file; if it and the key do not exist, the server makes and keeps both
    #[arg(long, value_name = "FILE")]
    cert: Option<PathBuf>,

    /// The key of the certificate, a PEM file
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
}

/// The files of a certificate and its key.
pub(crate) type Files<'a> = (&'a Path, &'a Path);

const NO_TLS: &str = "this build has no TLS; to build one with TLS: \
    cargo run --features tls -- --tls";

const PORT: u16 = 3000;

/// An empty `PORT` is none, as in Node's `process.env.PORT || 3000`.
fn port(text: &str) -> Result<u16, &'static str> {
    if text.is_empty() {
        return Ok(PORT);
    }
    number(text).ok_or("a port is 0 to 65535, from --port or PORT in the environment")
}

fn at_least_one(text: &str) -> Result<usize, &'static str> {
    let connections = number(text).filter(|connections| *connections > 0);
    connections.ok_or("a number of connections is needed, at least 1")
}

fn seconds(text: &str) -> Result<Duration, &'static str> {
    let seconds = number(text).filter(|seconds| *seconds <= 3600);
    let drain = seconds.map(Duration::from_secs);
    drain.ok_or("a number of seconds is needed, at most 3600")
}

impl Settings {
    /// Returns the settings that this process was started with, or the exit status, once the help,
    /// the version or the error has been printed.
    pub(crate) fn from_process() -> Result<Self, ExitCode> {
        Self::try_parse().map_err(|error| {
            if !error.use_stderr() {
                drop(error.print());
                return ExitCode::SUCCESS;
            }
            let text = error.to_string();
            let line = text.lines().next().unwrap_or_default();
            drop(writeln!(io::stderr(), "{line} (see sse-clock --help)"));
            ExitCode::from(2)
        })
    }

    /// Returns the host to listen on, or `InvalidData` if it is neither `localhost` nor an address.
    pub(crate) fn host(&self) -> io::Result<Host> {
        let parsed = self.host.parse();
        parsed.map_err(|_| io::Error::from(ErrorKind::InvalidData))
    }

    /// Returns the files of the certificate, if both flags are set, or one line for the user: a flag
    /// without the other, or without `--tls`, or a build without TLS.
    pub(crate) fn files(&self) -> Result<Option<Files<'_>>, String> {
        match (&self.cert, &self.key) {
            _ if self.tls && cfg!(not(feature = "tls")) => Err(NO_TLS.into()),
            (None, None) => Ok(None),
            (Some(_), None) => Err("--cert FILE needs --key FILE".into()),
            (None, Some(_)) => Err("--key FILE needs --cert FILE".into()),
            (Some(_), Some(_)) if !self.tls => Err("--cert and --key need --tls".into()),
            (Some(cert), Some(key)) => Ok(Some((cert, key))),
        }
    }

    /// One line for the user: why the host and port cannot be bound.
    pub(crate) fn explain(&self, error: &io::Error) -> String {
        let Self { host, port, .. } = self;
        match error.kind() {
            ErrorKind::AddrInUse => {
                format!("port {port} is in use: stop its owner, or choose another with --port")
            }
            ErrorKind::PermissionDenied => {
                format!("port {port} needs privileges: choose one above 1023 with --port")
            }
            ErrorKind::InvalidData if host.contains('%') => {
                format!(
                    "host {host:?} names a zone, which is not supported: try --host localhost or ::"
                )
            }
            ErrorKind::InvalidData => {
                format!("host {host:?} is no address: try --host localhost, 127.0.0.1 or 0.0.0.0")
            }
            ErrorKind::AddrNotAvailable | ErrorKind::Unsupported | ErrorKind::InvalidInput => {
                format!("host {host} is no address of this machine: try --host localhost")
            }
            _ => format!("cannot listen on {host}, port {port}: {error}"),
        }
    }
}
