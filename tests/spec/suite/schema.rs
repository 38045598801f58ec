//! `docs/cases.schema.json` describes the cases: every field is required, and there are no others.

use std::path::Path;
use std::process::Command;

use crate::support::npm;
use crate::support::source::ROOT;

#[test]
fn the_cases_are_what_their_schema_says() {
    let Some(folder) = npm("ajv") else {
        return;
    };
    let file = |name: &str| Path::new(ROOT).join(name);
    let output = Command::new("node")
        .arg(folder.join("schema.js"))
        .args([file("docs/cases.schema.json"), file("public/cases.json")])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
}
