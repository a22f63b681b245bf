//! `docs/operators/properties.md` says what the server's properties are.

use std::fmt::Write as _;
use std::path::Path;

/// The page as it must be. `UPDATE_DOCS=1 cargo test -p hearth --test properties` writes it.
fn page() -> String {
    let mut page = String::from(
        "# Properties\n\n\
         Everything that is not in `hearth.toml` is a property: kept in the database, changed with\n\
         `hearth property set NAME VALUE` or `PUT /api/v1/properties/NAME`. Most changes take effect at once,\n\
         on every node; the others with the next start.\n\n\
         | Name | Default | Allowed | Effect | What it does |\n|---|---|---|---|---|\n",
    );
    let mut properties = hearth::server::properties();
    properties.sort_by_key(|property| property.name());
    for property in properties {
        let effect = if property.live() { "at once" } else { "next start" };
        let (name, default, range) = (property.name(), property.default(), property.range());
        let range = range.replace('|', "\\|");
        let line = format!("| `{name}` | `{default}` | {range} | {effect} | {} |", property.doc());
        writeln!(page, "{}", line.replace('\n', " ")).expect("a string takes everything");
    }
    page
}

#[test]
fn the_page_of_properties_is_true() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/operators/properties.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, page()).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(written, page(), "write it anew with UPDATE_DOCS=1");
}
