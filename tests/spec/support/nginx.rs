//! Debian's nginx with the configuration in `tests/nginx`.

use std::net::SocketAddr;

use crate::support::port_of_our_own;
use crate::support::reverse_proxy::{Program, ReverseProxy, replace_each_once};

const CONFIGURATION: &str = include_str!("../../nginx/nginx.conf");

/// The paths that an installed nginx takes from Debian or root, here in the working directory.
pub const FOLDERS: &str = "http {
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
    _proxy: ReverseProxy,
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
    fn configured(text: &str, [one, other]: [u16; 2]) -> Option<Self> {
        let port = port_of_our_own();
        let replaced = [
            ("listen 8080;", format!("listen 127.0.0.1:{port};")),
            ("127.0.0.1:3001", format!("127.0.0.1:{one}")),
            ("127.0.0.1:3002", format!("127.0.0.1:{other}")),
            ("http {\n", FOLDERS.to_owned()),
        ];
        let text = replace_each_once(text, &replaced);
        let proxy = ReverseProxy::start(Program::Nginx, port, &[("nginx.conf", text)])?;
        Some(Self {
            address: proxy.address,
            _proxy: proxy,
        })
    }
}
