//! Debian's nginx with the configuration of the README.

use std::env;
use std::fs::{self, File};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::{eventually, port_of_our_own, there_is};

const CONFIGURATION: &str = include_str!("../../nginx/nginx.conf");

/// The paths that an installed nginx takes from Debian or root, here in the working directory.
const FOLDERS: &str = "http {
    access_log access.log;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
";

/// A load balancer; dropping the value ends nginx with its workers.
#[derive(Debug)]
pub struct Nginx {
    pub address: SocketAddr,
    master: Child,
    folder: PathBuf,
}

impl Nginx {
    /// Starts nginx in front of the replicas on these ports; `None` where nginx is missing.
    #[track_caller]
    pub fn start(replicas: [u16; 2]) -> Option<Self> {
        Self::configured(CONFIGURATION, replicas)
    }

    /// Starts nginx with its own defaults for requests to the replicas and for buffering.
    #[track_caller]
    pub fn start_by_default(replicas: [u16; 2]) -> Option<Self> {
        let is_set = |line: &&str| {
            let name = line.trim_start();
            name.starts_with("proxy_") && !name.starts_with("proxy_pass ")
        };
        let lines = CONFIGURATION.lines().filter(|line| !is_set(line));
        Self::configured(&lines.collect::<Vec<_>>().join("\n"), replicas)
    }

    #[track_caller]
    fn configured(text: &str, replicas: [u16; 2]) -> Option<Self> {
        if !there_is("nginx") {
            return None;
        }
        let port = port_of_our_own();
        let folder = env::temp_dir().join(format!("sse-clock-nginx-{port}"));
        fs::create_dir_all(&folder).unwrap();
        let configuration = folder.join("nginx.conf");
        fs::write(&configuration, at_home(text, port, replicas)).unwrap();
        let master = Command::new("nginx")
            .arg("-p")
            .arg(&folder)
            .arg("-c")
            .arg(configuration)
            .args(["-g", "daemon off; pid pid; error_log stderr;"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(folder.join("log")).unwrap())
            .spawn()
            .unwrap();
        let mut nginx = Self {
            address: ([127, 0, 0, 1], port).into(),
            master,
            folder,
        };
        eventually("nginx listens", || {
            let ended = nginx.master.try_wait().unwrap();
            assert_eq!(ended, None, "{}", nginx.log());
            TcpStream::connect(nginx.address).is_ok()
        });
        Some(nginx)
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // SIGKILL would end the master and leave its workers running.
        let _ = kill_process(Pid::from_child(&self.master), Signal::TERM);
        let _ = self.master.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// A configuration with a folder and ports of the test.
fn at_home(text: &str, port: u16, [one, other]: [u16; 2]) -> String {
    let replaced = [
        ("listen 8080;", format!("listen 127.0.0.1:{port};")),
        ("127.0.0.1:3001", format!("127.0.0.1:{one}")),
        ("127.0.0.1:3002", format!("127.0.0.1:{other}")),
        ("http {\n", FOLDERS.to_owned()),
    ];
    replaced
        .iter()
        .fold(text.to_owned(), |text, (written, ours)| {
            assert_eq!(text.matches(written).count(), 1, "{written:?}");
            text.replace(written, ours)
        })
}
