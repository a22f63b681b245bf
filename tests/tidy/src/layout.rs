//! The folders of the root and what a manifest may depend on.

use std::path::Path;

use crate::Violation;

/// Folders that must be there, each with the file that says what it is.
pub const FOLDERS: &[(&str, &str)] = &[
    ("core", "Cargo.toml"),
    ("plugin-api", "README.md"),
    ("plugins", "README.md"),
    ("enterprise-plugin", "README.md"),
    ("web", "README.md"),
    ("examples", "README.md"),
    ("tests", "run"),
];

/// What else may stand beside them. Hidden folders belong to tools, not to the project.
const BESIDE: &[&str] = &["docs", "packaging", "target", "hearth-home"];

pub fn folders(root: &Path) -> Vec<Violation> {
    let missing = FOLDERS.iter().filter(|(folder, file)| !root.join(folder).join(file).exists());
    let mut found: Vec<Violation> = missing
        .map(|(folder, file)| Violation {
            file: format!("{folder}/{file}"),
            line: 1,
            rule: "the top-level folders are fixed, and each says what it is".to_owned(),
            remedy: "put it back",
        })
        .collect();
    let entries = std::fs::read_dir(root).into_iter().flatten().flatten();
    for entry in entries.filter(|entry| entry.path().is_dir()) {
        let name = entry.file_name().to_string_lossy().into_owned();
        let known = FOLDERS.iter().any(|(folder, _)| *folder == name);
        if !known && !name.starts_with('.') && !BESIDE.contains(&name.as_str()) {
            found.push(Violation {
                file: name,
                line: 1,
                rule: "the top-level folders are fixed".to_owned(),
                remedy: "find the folder in which it belongs",
            });
        }
    }
    found
}

/// Dependencies that a manifest outside core must not name.
pub fn dependencies(file: &str, manifest: &str) -> Vec<Violation> {
    let forbidden: &[&str] = match file.split('/').next() {
        Some("plugin-api") => &["hearth", "tokio"],
        Some("plugins" | "enterprise-plugin" | "examples") => {
            &["hearth", "abi_stable", "async-ffi", "libloading"]
        }
        Some("core") => &["hearth-enterprise", "hearth-load", "hearth-tidy"],
        _ => &[],
    };
    let mut found = Vec::new();
    for (number, line) in manifest.lines().enumerate() {
        let name = line.split(['=', '.', ' ']).next().unwrap_or_default();
        // The API's own runtime is a feature, for plugins that want one.
        let feature = file == "plugin-api/Cargo.toml" && line.contains("optional = true");
        if forbidden.contains(&name) && line.contains('=') && !feature {
            found.push(Violation {
                file: file.to_owned(),
                line: number + 1,
                rule: format!("this crate must not depend on `{name}`"),
                remedy: "plugins of every kind use `hearth-plugin-api` only; the API uses neither core nor a runtime",
            });
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_and_a_strange_folder_are_found() {
        let nowhere = Path::new(env!("CARGO_MANIFEST_DIR"));
        let found = folders(nowhere);
        assert!(found.iter().any(|v| v.file == "core/Cargo.toml"));
        assert!(found.iter().any(|v| v.file == "src"));
    }

    #[test]
    fn a_forbidden_dependency_is_found() {
        assert_eq!(
            dependencies("plugins/x/Cargo.toml", "[dependencies]\nhearth = \"1\"\n").len(),
            1
        );
        assert_eq!(dependencies("plugin-api/Cargo.toml", "tokio.workspace = true\n").len(), 1);
        let abi = "abi_stable = \"0.11\"\n";
        assert_eq!(dependencies("examples/x/Cargo.toml", abi).len(), 1);
        for (file, good) in [
            ("plugins/x/Cargo.toml", "hearth-plugin-api.workspace = true\n"),
            ("plugin-api/Cargo.toml", "tokio = { workspace = true, optional = true }\n"),
        ] {
            assert!(dependencies(file, good).is_empty(), "{good}");
        }
    }
}
