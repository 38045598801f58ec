//! The programs in `examples`.

use std::collections::BTreeMap;
use std::env;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use serde_json::Value;

use crate::support::source::ROOT;

/// The path of the example of this `name`. Cargo builds the example if `cargo test` has not, as with
/// `--test spec`.
pub fn example(name: &str) -> PathBuf {
    static BUILT: Mutex<BTreeMap<String, PathBuf>> = Mutex::new(BTreeMap::new());
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    let program = built.entry(name.to_owned()).or_insert_with(|| build(name));
    program.clone()
}

fn build(name: &str) -> PathBuf {
    let mut cargo = Command::new(env!("CARGO"));
    // Other features, or environment variables of `cargo test` that build scripts read, would make
    // cargo build a hundred crates again.
    cargo
        .current_dir(ROOT)
        .args(["build", "--frozen", "--example", name])
        .args(cfg!(feature = "tls").then_some("--features=tls"))
        .args(["--message-format", "json-render-diagnostics"]);
    for (variable, _) in env::vars_os() {
        let said = variable.to_string_lossy();
        if said.starts_with("CARGO_PKG_") || said.starts_with("CARGO_MANIFEST_") {
            cargo.env_remove(&variable);
        }
    }
    let built = cargo.output().expect("there is a cargo");
    let errors = String::from_utf8_lossy(&built.stderr);
    assert!(built.status.success(), "{name} is not built:\n{errors}");
    let messages = String::from_utf8(built.stdout).unwrap();
    let program = messages.lines().find_map(|message| {
        let message: Value = serde_json::from_str(message).unwrap();
        let program = message["executable"].as_str()?;
        (message["target"]["name"] == name).then(|| program.into())
    });
    program.expect("cargo says where the example is")
}
