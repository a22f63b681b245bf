//! `hearth plugin new`: a project that builds a plugin, with a page, a property and a test.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::CliError;
use super::output::Output;
use crate::plugin_host::manifest::is_id;

const CRATE: &str = "hearth-plugin-api";
/// The template needs nothing newer, and whoever needs more asks for more.
const VERSION: &str = "1";

/// Each file, and its template.
const FILES: [(&str, &str); 4] = [
    ("Cargo.toml", include_str!("../../../plugin-api/template/Cargo.toml.in")),
    ("README.md", include_str!("../../../plugin-api/template/README.md.in")),
    (".gitignore", include_str!("../../../plugin-api/template/gitignore.in")),
    ("src/lib.rs", include_str!("../../../plugin-api/template/lib.rs.in")),
];

/// Names that the template uses for something else.
const TAKEN: [&str; 12] = [
    "Arc",
    "Capability",
    "Host",
    "Manifest",
    "Page",
    "PageRequest",
    "PageResponse",
    "Plugin",
    "Property",
    "Registrar",
    "Result",
    "Self",
];

/// Writes the project into a new folder of that name. `api` is the folder of the crate
/// `hearth-plugin-api`; without it the project asks crates.io.
pub fn create(output: Output, name: &str, api: Option<&Path>) -> Result<(), CliError> {
    if !is_id(name) {
        let rule = "a name has 1 to 40 of a-z, 0-9 and -, and begins with a letter";
        return Err(CliError::usage("this cannot name a plugin", name, rule));
    }
    let api = api.map(source).transpose()?;
    let files = FILES.map(|(file, template)| (file, fill(template, name, api.as_deref())));
    let folder = PathBuf::from(name);
    let unwritable = |error: std::io::Error| {
        CliError::failure(error, folder.display(), "choose another name or another folder")
    };
    fs::create_dir(&folder).map_err(unwritable)?;
    fs::create_dir(folder.join("src")).map_err(unwritable)?;
    for (file, text) in files {
        fs::write(folder.join(file), text).map_err(unwritable)?;
    }
    output.value(&json!({ "name": name, "folder": folder }), |_| {
        format!("created the plugin {name}: build it by `cd {name} && cargo build --release`")
    })
}

/// The whole path of the crate's folder.
fn source(folder: &Path) -> Result<PathBuf, CliError> {
    let remedy = "name the folder plugin-api of Hearth's source";
    let refused = |why: &dyn std::fmt::Display| CliError::usage(why, folder.display(), remedy);
    let folder = fs::canonicalize(folder).map_err(|error| refused(&error))?;
    let manifest =
        fs::read_to_string(folder.join("Cargo.toml")).map_err(|error| refused(&error))?;
    match manifest.contains(&format!("name = \"{CRATE}\"")) {
        true => Ok(folder),
        false => Err(refused(&format_args!("this is not the crate {CRATE}"))),
    }
}

fn fill(template: &str, name: &str, api: Option<&Path>) -> String {
    let place = match api {
        Some(folder) => format!("path = {}", toml::Value::from(folder.display().to_string())),
        None => format!("version = \"{VERSION}\""),
    };
    let values = [
        ("name", name.to_owned()),
        ("lib", name.replace('-', "_")),
        ("title", title(name)),
        ("type", type_name(name)),
        ("dependency", format!("{{ {place} }}")),
        ("test_dependency", format!("{{ {place}, features = [\"testing\"] }}")),
    ];
    let fill = |text: String, (key, value): &(&str, String)| {
        text.replace(&format!("{{{{{key}}}}}"), value)
    };
    values.iter().fold(template.to_owned(), fill)
}

/// `guest-book`: `Guest book`.
fn title(name: &str) -> String {
    capital(&name.replace('-', " "))
}

/// `guest-book`: `GuestBook`.
fn type_name(name: &str) -> String {
    let own: String = name.split('-').map(capital).collect();
    if TAKEN.contains(&&*own) { format!("{own}Plugin") } else { own }
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_what_rust_and_people_want() {
        for (name, title_of, type_of) in [
            ("guestbook", "Guestbook", "Guestbook"),
            ("guest-book-2", "Guest book 2", "GuestBook2"),
            ("page", "Page", "PagePlugin"),
            ("self", "Self", "SelfPlugin"),
        ] {
            assert_eq!((&*title(name), &*type_name(name)), (title_of, type_of));
        }
    }

    #[test]
    fn no_place_is_left_open() {
        for (file, template) in FILES {
            let text = fill(template, "guest-book", Some(Path::new("/a \"b\"")));
            assert!(!text.contains("{{"), "{file}: {text}");
        }
        let manifest = |api| fill(FILES[0].1, "guest-book", api);
        for (text, key) in
            [(manifest(None), "version"), (manifest(Some(Path::new("/a \"b\""))), "path")]
        {
            let read: toml::Table = toml::from_str(&text).expect("a manifest");
            assert!(read["dependencies"][CRATE].get(key).is_some(), "{text}");
            assert!(read["dev-dependencies"][CRATE].get("features").is_some(), "{text}");
        }
    }

    #[test]
    fn every_name_that_the_template_imports_is_known() {
        let text = FILES[3].1;
        let imports = text.split("use ").skip(1).filter_map(|rest| rest.split(';').next());
        let words = imports.flat_map(|import| import.split(|c: char| !c.is_ascii_alphanumeric()));
        for word in words.filter(|word| word.starts_with(|c: char| c.is_ascii_uppercase())) {
            assert!(TAKEN.contains(&word) || word == "FakeHost", "{word}");
        }
    }
}
