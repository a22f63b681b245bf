//! Who must not know whom.

use std::collections::BTreeSet;

use crate::Violation;
use crate::paths::{NamedPath, module_of, named_paths};
use crate::source::Source;

/// One row: the modules `who` must not name any of `unknown`.
struct Row {
    /// Modules of core, `::` between levels. Empty means all of core.
    who: &'static [&'static str],
    /// Modules or file names (`http.rs`) to which the row does not apply.
    except: &'static [&'static str],
    /// `crate::…` or an external crate.
    unknown: &'static [&'static str],
    remedy: &'static str,
}

const ROWS: &[Row] = &[
    Row {
        who: &[
            "stream",
            "auth::mechanism",
            "auth::scram",
            "auth::plain",
            "auth::external",
            "auth::anonymous",
            "auth::fast",
        ],
        except: &[],
        unknown: &[
            "tokio",
            "crate::net",
            "crate::storage",
            "crate::session",
            "crate::router",
            "crate::xep",
            "crate::auth::accounts",
        ],
        remedy: "streams and mechanisms are pure: ask by `Output::Ask`, let the driver answer",
    },
    Row {
        who: &["net"],
        except: &[],
        unknown: &["crate::stanza", "crate::stream", "crate::session"],
        remedy: "`net` moves bytes; let the driver join it with streams",
    },
    Row {
        who: &["c2s", "s2s", "component"],
        except: &[],
        unknown: &["crate::storage", "crate::xep", "crate::admin"],
        remedy: "drivers join transport, stream, session and router; take the rest as a handle from `server.rs`",
    },
    Row {
        who: &["c2s"],
        except: &[],
        unknown: &["crate::s2s", "crate::component"],
        remedy: "drivers do not know each other; shared pieces belong in `transport` or `stream`",
    },
    Row {
        who: &["s2s"],
        except: &[],
        unknown: &["crate::c2s", "crate::component"],
        remedy: "drivers do not know each other; shared pieces belong in `transport` or `stream`",
    },
    Row {
        who: &["component"],
        except: &[],
        unknown: &["crate::c2s", "crate::s2s"],
        remedy: "drivers do not know each other; shared pieces belong in `transport` or `stream`",
    },
    Row {
        who: &["router"],
        except: &[],
        unknown: &[
            "crate::c2s",
            "crate::s2s",
            "crate::component",
            "crate::net",
            "crate::xep",
            "crate::plugin_host",
            "crate::admin",
            "crate::storage",
        ],
        remedy: "declare a trait in `router/` and let the other side register itself",
    },
    Row {
        who: &["xep"],
        except: &[],
        unknown: &["crate::net", "crate::c2s", "crate::s2s", "crate::component", "crate::admin"],
        remedy: "a XEP works through its declaration and the phases",
    },
    Row {
        who: &[],
        except: &["plugin_host"],
        unknown: &["hearth_plugin_api", "abi_stable", "async_ffi", "libloading"],
        remedy: "ABI types stay in `plugin_host/`; convert in its `bridge/`",
    },
    Row {
        who: &["plugin_host"],
        except: &["plugin_host::bridge"],
        unknown: &[
            "crate::router",
            "crate::session",
            "crate::stanza",
            "crate::im",
            "crate::xep",
            "crate::services",
            "crate::auth",
        ],
        remedy: "only a file of `bridge/` names both the plugin ABI and core's types",
    },
    Row {
        who: &[],
        except: &["http", "admin", "http.rs"],
        unknown: &["warp", "askama"],
        remedy: "web types stay in `http/`, `admin/` and `xep/*/http.rs`",
    },
    Row {
        who: &[],
        except: &["cli", "main.rs", "server"],
        unknown: &["crate::server", "hearth::server"],
        remedy: "`server.rs` hands out handles; take one as a parameter",
    },
    Row {
        who: &[],
        except: &["storage"],
        unknown: &["rusqlite", "tokio_postgres", "deadpool_postgres", "tokio_postgres_rustls"],
        remedy: "`storage::Db` is the one door to a database",
    },
];

/// Values that know nothing else of core.
const WORDS: &[&str] = &["jid", "host", "network", "ns", "xml", "stanza"];

/// Violations of the import table in one file of core. `xeps` are the modules below `xep/`.
pub fn check(source: &Source, xeps: &BTreeSet<String>) -> Vec<Violation> {
    let module = module_of(&source.path).join("::");
    let file = source.path.rsplit('/').next().unwrap_or_default();
    let mut found = Vec::new();
    for path in named_paths(source) {
        let mut report = |rule: String, remedy| {
            found.push(Violation { file: source.path.clone(), line: path.line, rule, remedy });
        };
        for row in ROWS.iter().filter(|row| row.applies(&module, file)) {
            if row.unknown.iter().any(|unknown| path.starts_with(unknown)) {
                report(format!("`{module}` must not know `{}`", path.text()), row.remedy);
            }
        }
        if below(&module, WORDS) && leaves_words(&path) {
            report(
                format!("`{module}` is a plain value and must not know `{}`", path.text()),
                "keep values free of the rest of core; put the code where both are known",
            );
        }
        if let Some(other) = other_xep(&module, &path, xeps) {
            report(
                format!("`{module}` must not know the XEP `{other}`"),
                "shared wire pieces go to `xep/kit`, shared behaviour to `services/`",
            );
        }
    }
    found.dedup();
    found
}

/// `plugin-api` is its own crate; its types belong to no runtime.
pub fn check_api(source: &Source) -> Vec<Violation> {
    let runtime = source.path.ends_with("/runtime.rs");
    let named = named_paths(source).into_iter().filter(|path| path.starts_with("tokio"));
    let violation = |path: NamedPath| Violation {
        file: source.path.clone(),
        line: path.line,
        rule: format!("`plugin-api` must not know `{}`", path.text()),
        remedy: "tokio stands in `runtime.rs` only, and in no signature",
    };
    named.filter(|_| !runtime).map(violation).collect()
}

impl Row {
    fn applies(&self, module: &str, file: &str) -> bool {
        (self.who.is_empty() || below(module, self.who))
            && !below(module, self.except)
            && !self.except.contains(&file)
    }
}

fn below(module: &str, roots: &[&str]) -> bool {
    roots.iter().any(|root| {
        module.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
    })
}

fn leaves_words(path: &NamedPath) -> bool {
    path.starts_with("crate") && !path.segments.get(1).is_some_and(|s| WORDS.contains(&s.as_str()))
}

fn other_xep<'p>(module: &str, path: &'p NamedPath, xeps: &BTreeSet<String>) -> Option<&'p str> {
    let own = module.strip_prefix("xep::")?.split("::").next()?;
    let other = path.segments.get(2).filter(|_| path.starts_with("crate::xep"))?;
    let foreign = own != "kit" && other != own && other != "kit" && xeps.contains(other);
    (foreign || (own == "kit" && other != "kit" && xeps.contains(other))).then_some(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(file: &str, text: &str) -> Vec<String> {
        let xeps = ["ping", "carbons", "kit"].map(str::to_owned).into();
        check(&Source::parse(file, text), &xeps).into_iter().map(|v| v.rule).collect()
    }

    #[test]
    fn each_row_catches_its_bad_import() {
        let bad = [
            ("core/src/jid.rs", "use crate::net::tls;"),
            ("core/src/xml/reader.rs", "use crate::clock::Now;"),
            ("core/src/stream/sasl.rs", "use tokio::time;"),
            ("core/src/auth/scram.rs", "use super::accounts::Accounts;"),
            ("core/src/net/listener.rs", "use crate::{jid, stream::Output};"),
            ("core/src/c2s/driver.rs", "fn f(db: crate::storage::Db) {}"),
            ("core/src/s2s/pool.rs", "use crate::c2s::driver;"),
            ("core/src/component/driver.rs", "use crate::s2s;"),
            ("core/src/router/local.rs", "use crate::xep::carbons;"),
            ("core/src/xep/ping/mod.rs", "use crate::admin::pages;"),
            ("core/src/xep/ping/mod.rs", "use super::carbons::copy;"),
            ("core/src/xep/kit/rsm.rs", "use crate::xep::ping;"),
            ("core/src/im/roster.rs", "use hearth_plugin_api::Host;"),
            ("core/src/plugin_host/guard.rs", "use crate::router::Router;"),
            ("core/src/im/roster.rs", "use warp::Filter;"),
            ("core/src/im/roster.rs", "use crate::server::Server;"),
            ("core/src/im/store.rs", "use rusqlite::Connection;"),
        ];
        for (file, text) in bad {
            assert_eq!(rules(file, text).len(), 1, "{file}: {text}: {:?}", rules(file, text));
        }
    }

    #[test]
    fn the_api_names_its_runtime_in_one_file() {
        let text = "use tokio::time;";
        assert_eq!(check_api(&Source::parse("plugin-api/src/host.rs", text)).len(), 1);
        assert!(check_api(&Source::parse("plugin-api/src/runtime.rs", text)).is_empty());
    }

    #[test]
    fn what_the_table_allows_passes() {
        let good = [
            ("core/src/stanza/error.rs", "use crate::{jid::Jid, xml::Element, ns};"),
            ("core/src/stream/component.rs", "use crate::xml; use super::features::F;"),
            ("core/src/xep/ping/mod.rs", "use crate::xep::{Xep, kit::rsm}; use super::kit::forms;"),
            ("core/src/xep/mod.rs", "use self::ping::PING; use crate::xep::carbons;"),
            ("core/src/xep/upload/http.rs", "use warp::Filter;"),
            ("core/src/cli/run.rs", "use crate::server;"),
            ("core/src/storage/sqlite.rs", "use rusqlite::Connection;"),
            ("core/src/net/tls.rs", "#[cfg(test)] mod tests { use crate::stream::X; }"),
        ];
        for (file, text) in good {
            assert_eq!(rules(file, text), Vec::<String>::new(), "{file}: {text}");
        }
    }
}
