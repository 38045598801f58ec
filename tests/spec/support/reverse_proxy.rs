//! A reverse proxy as a process, with a configuration and a folder of the test.

use std::env;
use std::fs::{self, File};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::support::system::{self, Signal};
use crate::support::{eventually, there_is};

/// The programs that [`ReverseProxy`] starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    Nginx,
    #[cfg(feature = "tls")]
    Haproxy,
    #[cfg(feature = "tls")]
    Caddy,
}

impl Program {
    /// The name of the command.
    pub fn name(self) -> &'static str {
        match self {
            Self::Nginx => "nginx",
            #[cfg(feature = "tls")]
            Self::Haproxy => "haproxy",
            #[cfg(feature = "tls")]
            Self::Caddy => "caddy",
        }
    }

    /// The command that serves in the foreground with the `configuration` in `folder`.
    fn command(self, folder: &Path, configuration: &str) -> Command {
        let mut command = Command::new(self.name());
        match self {
            Self::Nginx => command
                .arg("-p")
                .arg(folder)
                .arg("-c")
                .arg(folder.join(configuration))
                .args(["-g", "daemon off; pid pid; error_log stderr;"]),
            #[cfg(feature = "tls")]
            Self::Haproxy => command.args(["-db", "-f", configuration]),
            #[cfg(feature = "tls")]
            Self::Caddy => command
                .args(["run", "--adapter", "caddyfile", "--config", configuration])
                .env("HOME", folder)
                .env("XDG_CONFIG_HOME", folder)
                .env("XDG_DATA_HOME", folder),
        };
        command
    }

    /// The signal that ends the process and its streams at once.
    fn stop(self) -> Signal {
        match self {
            // SIGKILL would end the master and leave its workers running.
            Self::Nginx => Signal::TERM,
            // At SIGTERM Caddy waits for its streams.
            #[cfg(feature = "tls")]
            Self::Haproxy | Self::Caddy => Signal::KILL,
        }
    }
}

/// A running proxy. Dropping the value ends the process and removes the folder.
#[derive(Debug)]
pub struct ReverseProxy {
    pub address: SocketAddr,
    program: Program,
    process: Child,
    folder: PathBuf,
}

impl ReverseProxy {
    /// Starts `program`, which listens on `port`, in a folder that contains `files`: their names and
    /// contents, first the configuration. Returns `None` if the program is missing.
    #[track_caller]
    pub fn start(program: Program, port: u16, files: &[(&str, String)]) -> Option<Self> {
        let name = program.name();
        if !there_is(name) {
            return None;
        }
        let folder = env::temp_dir().join(format!("sse-clock-{name}-{port}"));
        fs::create_dir_all(&folder).unwrap();
        for (file, content) in files {
            fs::write(folder.join(file), content).unwrap();
        }
        let process = program
            .command(&folder, files[0].0)
            .current_dir(&folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(folder.join("log")).unwrap())
            .spawn()
            .unwrap();
        let mut proxy = Self {
            address: ([127, 0, 0, 1], port).into(),
            program,
            process,
            folder,
        };
        eventually("the proxy listens", || {
            let ended = proxy.process.try_wait().unwrap();
            assert_eq!(ended, None, "{name}: {}", proxy.log());
            TcpStream::connect(proxy.address).is_ok()
        });
        Some(proxy)
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }
}

impl Drop for ReverseProxy {
    fn drop(&mut self) {
        let _ = system::send(self.program.stop(), &self.process);
        let _ = self.process.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Returns the configuration `text` with each written part replaced.
///
/// # Panics
///
/// Panics if a part occurs more or less than once.
#[track_caller]
pub fn replace_each_once(text: &str, replaced: &[(&str, String)]) -> String {
    replaced
        .iter()
        .fold(text.to_owned(), |text, (written, ours)| {
            assert_eq!(text.matches(written).count(), 1, "{written:?}");
            text.replace(written, ours)
        })
}
