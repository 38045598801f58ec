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

/// The Rust files under `folder`: their relative paths without the extension, and their text.
pub fn sources(folder: &str) -> Vec<(String, String)> {
    let root = Path::new(ROOT).join(folder);
    let mut found = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else {
            continue;
        };
        for entry in entries {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(&root).unwrap().with_extension("");
                let name = name.to_string_lossy().replace('\\', "/");
                found.push((name, fs::read_to_string(path).unwrap()));
            }
        }
    }
    found.sort();
    found
}
