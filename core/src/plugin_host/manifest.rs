//! What a plugin says of itself, as the probe prints it and the database keeps it; and what of it
//! the server refuses.

pub use hearth_plugin_api::Manifest;
pub use hearth_plugin_api::manifest::is_id;

/// Why a manifest is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// Told by the rules that authors can read.
    #[error("{0}")]
    Rules(String),
    #[error("its manifest has the version `{0}`: use numbers like 1.2.3")]
    Version(String),
    #[error("it needs a server of version {needed} or later, this one is {ours}")]
    Server { needed: String, ours: String },
}

const LONGEST_VERSION: usize = 48;

/// Checks what becomes part of file names, tables and paths, and the wanted server version.
pub fn check(manifest: &Manifest, server: &str) -> Result<(), ManifestError> {
    manifest.check().map_err(|error| ManifestError::Rules(error.message))?;
    let version = &manifest.version;
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
    if numbers(version).is_none()
        || version.len() > LONGEST_VERSION
        || !version.chars().all(is_plain)
    {
        return Err(ManifestError::Version(version.chars().take(LONGEST_VERSION).collect()));
    }
    match numbers(&manifest.min_server) > numbers(server) {
        true => Err(ManifestError::Server {
            needed: manifest.min_server.clone(),
            ours: server.to_owned(),
        }),
        false => Ok(()),
    }
}

/// The name of its file: unique, and made of nothing but what was checked.
pub fn file_name(manifest: &Manifest, sha256: &[u8; 32]) -> String {
    format!("{}-{}-{}.so", manifest.id, manifest.version, &hex(sha256)[..12])
}

/// `1.2.3`, without what follows a hyphen or a plus sign.
fn numbers(version: &str) -> Option<Vec<u32>> {
    let release = version.split(['-', '+']).next().filter(|release| !release.is_empty())?;
    release.split('.').map(|number| number.parse().ok()).collect()
}

/// Hexadecimal digits of a hash.
pub fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(id: &str, version: &str, min_server: &str) -> Manifest {
        Manifest {
            id: id.to_owned(),
            version: version.to_owned(),
            min_server: min_server.to_owned(),
            ..Manifest::default()
        }
    }

    #[test]
    fn ids_and_versions_can_be_file_names() {
        assert_eq!(check(&manifest("hello-plugin", "1.0.0-rc.1+b", ""), "0.1.0"), Ok(()));
        for id in ["", "Hello", "../x", "a/b", "1a", "a_b", &"a".repeat(49)] {
            let checked = check(&manifest(id, "1", ""), "0.1.0");
            assert!(matches!(checked, Err(ManifestError::Rules(_))), "{id}");
        }
        for version in ["one", "1/2", "1.0-../x", "1..2"] {
            let checked = check(&manifest("a", version, ""), "0.1.0");
            assert!(matches!(checked, Err(ManifestError::Version(_))), "{version}");
        }
    }

    #[test]
    fn a_newer_server_may_be_demanded() {
        for (needed, ours, fits) in [
            ("0.1.0", "0.1.0", true),
            ("0.1", "0.1.0", true),
            ("0.2.0", "0.10.0", true),
            ("0.2.0", "0.1.9", false),
            ("1.0.0", "0.9.9", false),
            ("", "0.1.0", true),
        ] {
            assert_eq!(
                check(&manifest("a", "1", needed), ours).is_ok(),
                fits,
                "{needed} on {ours}"
            );
        }
    }

    #[test]
    fn the_file_name_tells_versions_apart() {
        let name = file_name(&manifest("hello", "1.2.3", ""), &[0xab; 32]);
        assert_eq!(name, "hello-1.2.3-abababababab.so");
    }
}
