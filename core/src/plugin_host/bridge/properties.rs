//! A plugin's own properties: among the server's, under `plugin.<id>.<name>`.

use std::any::Any;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use hearth_plugin_api::{Error, ErrorKind, Offer};
use hearth_plugin_api::{Property, PropertyType, Scope};
use parking_lot::{Mutex, RwLock};

use super::Guest;
use super::sql::refused;
use crate::properties::{self as core, Declared, Kind, Live, PropertyError, Watched};

/// The values of a plugin's properties.
#[derive(Default)]
pub struct Own(RwLock<BTreeMap<String, Value>>);

/// A property whose changes can be followed.
pub(super) struct Followed {
    pub name: String,
    pub live: Live<String>,
    pub is_secret: bool,
}

enum Value {
    Live {
        live: Live<String>,
        is_secret: bool,
    },
    /// Of the start, for those that need a restart.
    Fixed(String),
}

impl Own {
    pub(super) fn get(&self, name: &str) -> Option<String> {
        match self.0.read().get(name)? {
            Value::Live { live, .. } => Some(live.get()),
            Value::Fixed(value) => Some(value.clone()),
        }
    }

    /// Those that take effect at once.
    pub(super) fn followed(&self) -> Vec<Followed> {
        let own = self.0.read();
        let followed = own.iter().filter_map(|(name, value)| match value {
            Value::Live { live, is_secret } => {
                Some(Followed { name: name.clone(), live: live.clone(), is_secret: *is_secret })
            }
            Value::Fixed(_) => None,
        });
        followed.collect()
    }
}

/// A property as the server's list of properties takes it.
struct Declaration {
    name: &'static str,
    doc: &'static str,
    choices: &'static [&'static str],
    property: Property,
}

/// Declarations live as long as the process, as the libraries that they come from do. Loading the
/// same plugin again finds the same.
fn declaration(id: &str, property: &Property) -> Result<&'static Declaration, Error> {
    static KNOWN: Mutex<Option<HashMap<String, &'static Declaration>>> = Mutex::new(None);
    let key = format!("{id} {}", serde_json::to_string(property)?);
    let mut known = KNOWN.lock();
    let known = known.get_or_insert_default();
    Ok(known.entry(key).or_insert_with(|| {
        Box::leak(Box::new(Declaration {
            name: format!("plugin.{id}.{}", property.name).leak(),
            doc: property.doc.clone().leak(),
            choices: choices(property).leak(),
            property: property.clone(),
        }))
    }))
}

fn choices(property: &Property) -> Vec<&'static str> {
    match &property.type_ {
        PropertyType::Choice { choices } => {
            choices.iter().map(|choice| &*choice.clone().leak()).collect()
        }
        _ => Vec::new(),
    }
}

impl Declared for Declaration {
    fn name(&self) -> &'static str {
        self.name
    }

    fn default(&self) -> String {
        self.property.default.clone()
    }

    fn doc(&self) -> &'static str {
        self.doc
    }

    fn scope(&self) -> core::Scope {
        match self.property.scope {
            Scope::Global => core::Scope::Global,
            Scope::Host => core::Scope::Host,
            Scope::Node => core::Scope::Node,
        }
    }

    fn live(&self) -> bool {
        true
    }

    fn range(&self) -> String {
        self.property.range()
    }

    fn check(&self, value: &str) -> Result<(), PropertyError> {
        self.property.check(value).map_err(|_| PropertyError::Invalid {
            name: self.name,
            value: if self.is_secret() { "…".to_owned() } else { value.to_owned() },
            range: self.property.range(),
        })
    }

    fn kind(&self) -> Kind {
        match &self.property.type_ {
            PropertyType::Bool => Kind::Switch,
            PropertyType::Int { .. } => Kind::Number,
            PropertyType::Choice { .. } => Kind::Choice(self.choices),
            _ => Kind::Text,
        }
    }

    fn is_secret(&self) -> bool {
        self.property.type_ == PropertyType::Secret
    }

    fn watched(&'static self) -> Box<dyn Watched> {
        let live = Live::fixed(self.property.default.clone());
        Box::new(Cell { declared: self, live })
    }
}

struct Cell {
    declared: &'static Declaration,
    live: Live<String>,
}

impl Watched for Cell {
    fn take(&self, text: Option<&str>) {
        let allowed = text.filter(|text| self.declared.property.check(text).is_ok());
        self.live.set(allowed.unwrap_or(&self.declared.property.default).to_owned());
    }

    fn show(&self) -> String {
        self.live.get()
    }

    fn live(&self) -> &dyn Any {
        &self.live
    }
}

/// Enters a plugin's properties into the server's list.
pub(super) async fn declare<'o>(
    guest: &Arc<Guest>,
    offers: impl Iterator<Item = &'o Offer>,
) -> Result<(), Error> {
    let offered = offers.filter_map(|offer| match offer {
        Offer::Property(property) => Some(property),
        _ => None,
    });
    let declared = offered.map(|property| declaration(guest.id(), property));
    let declared: Vec<&'static Declaration> = declared.collect::<Result<_, _>>()?;
    let properties = &guest.seams.properties;
    let list: Vec<&'static dyn Declared> = declared.iter().map(|d| *d as _).collect();
    properties.declare(&list).await.map_err(refused)?;
    let mut own = guest.properties.0.write();
    for declared in declared {
        let Some(live) = properties.find_live::<String>(declared.name) else { continue };
        let value = match declared.property.restart {
            true => Value::Fixed(live.get()),
            false => Value::Live { live, is_secret: declared.is_secret() },
        };
        own.insert(declared.property.name.clone(), value);
    }
    Ok(())
}

/// Takes them out of the list, when the plugin stops.
pub(super) fn withdraw(guest: &Arc<Guest>) {
    let prefix = format!("plugin.{}.", guest.id());
    guest.seams.properties.withdraw(&prefix);
}

pub(super) async fn set(guest: &Arc<Guest>, name: &str, value: Option<&str>) -> Result<(), Error> {
    let full = format!("plugin.{}.{name}", guest.id());
    let actor = format!("plugin {}", guest.id());
    let properties = &guest.seams.properties;
    let done = match value {
        Some(value) => properties.set(&full, value, &actor).await,
        None => properties.reset(&full, &actor).await,
    };
    done.map_err(|error| {
        let kind = match error {
            PropertyError::Unknown { .. } => ErrorKind::NotFound,
            PropertyError::Invalid { .. } => ErrorKind::Invalid,
            PropertyError::Storage(_) => ErrorKind::Unavailable,
        };
        Error::new(kind, error.to_string())
    })
}

/// One of the server's own; those of other plugins are theirs.
pub(super) fn of_server(guest: &Arc<Guest>, name: &str) -> Option<String> {
    if name.starts_with("plugin.") {
        return None;
    }
    guest.seams.properties.entry(name).ok().map(|entry| entry.value)
}
