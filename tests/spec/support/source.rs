//! The files of this package as text.

use std::fs;
use std::path::Path;

/// The folder of the package.
pub const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// The text of `file`, a path relative to [`ROOT`].
pub fn read(file: &str) -> String {
    fs::read_to_string(Path::new(ROOT).join(file)).unwrap()
}

/// The lines of code in `source`, without unit tests, comments and blank lines.
pub fn code(source: &str) -> Vec<&str> {
    let product = source.split("#[cfg(test)]").next().unwrap();
    let lines = product.lines().map(str::trim_start);
    lines
        .filter(|line| !line.is_empty() && !line.starts_with("//"))
        .collect()
}
