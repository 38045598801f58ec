//! The kinds of servers: how each is built and started.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use super::{SCRATCH, Server, run};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Kind {
    Floor,
    Ours,
    Jemalloc,
    Node,
    Express,
    Axum,
    /// `examples/notify.rs`, and the same with axum and with Node.
    Notify,
    NotifyAxum,
    NotifyNode,
    /// This kind and all following ones use TLS and HTTP/2.
    Http2,
    Http2Jemalloc,
    NodeHttp2,
    AxumHttp2,
}

impl Kind {
    /// Servers with HTTP/1.1 over plain TCP.
    pub(crate) const PLAIN: [Self; 6] = [
        Self::Floor,
        Self::Ours,
        Self::Jemalloc,
        Self::Node,
        Self::Express,
        Self::Axum,
    ];

    /// Servers with HTTP/2.
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
            Self::Notify => "notify.rs",
            Self::NotifyAxum => "axum, broadcast",
            Self::NotifyNode => "Node http, a set",
            Self::Http2 => "sse-clock, HTTP/2",
            Self::Http2Jemalloc => "sse-clock, HTTP/2, jemalloc",
            Self::NodeHttp2 => "Node http2",
            Self::AxumHttp2 => "axum, HTTP/2",
        }
    }

    /// Returns whether this is the server of this package.
    pub(crate) fn is_ours(self) -> bool {
        matches!(
            self,
            Self::Ours | Self::Jemalloc | Self::Http2 | Self::Http2Jemalloc
        )
    }

    /// Builds the server or installs its dependencies.
    ///
    /// # Errors
    /// If this server cannot be measured here, with the reason.
    pub(crate) fn prepare(self) -> Result<(), String> {
        let package = |manifest: &str, program: [&str; 2], features: &str| {
            let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
            cargo.args(["build", "--release", "--locked"]).args(program);
            cargo.args(["--features", features, "--manifest-path"]);
            cargo.arg(Path::new(ROOT).join(manifest));
            cargo.arg("--target-dir").arg(self.target_dir());
            run(&mut cargo).map(drop)
        };
        let ours = |features| package("Cargo.toml", ["--bin", "sse-clock"], features);
        let manifest = "bench/peers/axum/Cargo.toml";
        let axum = |bin, features| package(manifest, ["--bin", bin], features);
        match self {
            Self::Floor => Ok(()),
            Self::Ours => ours(""),
            Self::Jemalloc => ours("jemalloc"),
            Self::Http2 | Self::Http2Jemalloc => {
                forget_certificate();
                ours(if self == Self::Http2 {
                    "tls"
                } else {
                    "tls,jemalloc"
                })
            }
            Self::Axum => axum("axum-http1", ""),
            Self::Notify => package("Cargo.toml", ["--example", "notify"], ""),
            Self::NotifyAxum => axum("axum-notify", ""),
            Self::AxumHttp2 => {
                make_certificate()?;
                axum("axum-http2", "http2")
            }
            Self::NodeHttp2 => {
                Self::Node.prepare()?;
                make_certificate()
            }
            Self::Node | Self::NotifyNode => run(Command::new("node").arg("--version")).map(drop),
            Self::Express => {
                Self::Node.prepare()?;
                let folder = Path::new(ROOT).join("bench/peers/express");
                if folder.join("node_modules/express").exists() {
                    return Ok(());
                }
                run(Command::new("npm")
                    .args(["ci", "--no-audit", "--no-fund"])
                    .current_dir(folder))
                .map(drop)
            }
        }
    }

    fn target_dir(self) -> PathBuf {
        let target = Path::new(SCRATCH)
            .parent()
            .expect("cargo's scratch folder lies in its target folder");
        match self {
            Self::Jemalloc => target.join("jemalloc"),
            Self::Axum | Self::NotifyAxum => target.join("axum"),
            Self::Http2 => target.join("http2"),
            Self::Http2Jemalloc => target.join("http2-jemalloc"),
            Self::AxumHttp2 => target.join("axum-http2"),
            _ => target.to_owned(),
        }
    }

    pub(super) fn program(self) -> Result<Vec<String>, String> {
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
            Self::Express => script("bench/peers/express/server.js"),
            Self::NodeHttp2 => script("bench/peers/node/http2.js"),
            Self::Axum => vec![release("axum-http1")],
            Self::Notify => vec![release("examples/notify")],
            Self::NotifyAxum => vec![release("axum-notify")],
            Self::NotifyNode => script("bench/peers/node/notify.js"),
            Self::AxumHttp2 => vec![release("axum-http2")],
        })
    }

    pub(super) fn path(self, interval: Duration) -> String {
        match self {
            Self::Express => "/stream".into(),
            // At the default interval, the request is the common one without options.
            _ if self.is_ours() && interval != Duration::from_secs(1) => {
                format!("/events?interval={}", interval.as_millis())
            }
            _ => "/events".into(),
        }
    }
}

/// Returns the certificate file and the key file of all TLS servers.
pub(super) fn certificate() -> [PathBuf; 2] {
    ["cert.pem", "key.pem"].map(|name| Path::new(SCRATCH).join(name))
}

/// Removes the certificate, which is valid for 30 days. The next start of this server creates both
/// files.
fn forget_certificate() {
    for file in certificate() {
        let _ = fs::remove_file(file);
    }
}

fn make_certificate() -> Result<(), String> {
    Kind::Http2.prepare()?;
    Server::start(Kind::Http2, Duration::from_secs(1)).map(drop)
}
