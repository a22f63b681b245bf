//! A property as a field of a form.

use serde::Deserialize;

use super::Visit;
use super::form::{Fields, Form};

/// A property, as the API shows it.
#[derive(Deserialize)]
pub struct Property {
    pub name: String,
    pub value: String,
    pub default: String,
    pub changed: bool,
    pub kind: Kind,
    pub choices: Vec<String>,
    pub takes: String,
    pub doc: String,
    pub scope: String,
    pub live: bool,
    pub pending: bool,
}

#[derive(Clone, Copy, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Switch,
    Choice,
    Number,
    Duration,
    Text,
    Words,
}

/// The field by which a property is edited: the macro `property` of `parts/property.html` takes it.
pub struct Editor {
    /// The name of the field in the form.
    pub name: String,
    pub label: String,
    pub hint: String,
    pub kind: Kind,
    /// Values and their texts.
    pub options: Vec<(String, String)>,
}

impl Editor {
    pub fn new(
        visit: &Visit,
        property: &Property,
        name: &str,
        label: String,
        hint: String,
    ) -> Editor {
        let text = |word: &String| {
            let key = format!("choice.{}.{word}", property.name);
            let text = String::from(visit.t(&key));
            // Only the pages of settings name their words.
            (word.clone(), if text == key { word.clone() } else { text })
        };
        let options = property.choices.iter().map(text).collect();
        Editor { name: name.to_owned(), label, hint, kind: property.kind, options }
    }

    /// What was sent for it: a box that is not ticked is not sent.
    pub fn sent(kind: Kind, fields: &Fields, name: &str) -> String {
        match (kind, fields.get(name)) {
            (Kind::Switch, "") => "false".to_owned(),
            (_, value) => value.trim().to_owned(),
        }
    }
}

/// A form that shows the values of properties, under these names.
pub fn filled<'p>(values: impl Iterator<Item = (&'p str, &'p Property)>) -> Form {
    let shown = |(name, property): (&str, &Property)| {
        let is_off = property.kind == Kind::Switch && property.value == "false";
        (name.to_owned(), if is_off { String::new() } else { property.value.clone() })
    };
    Form::sent(&Fields::new(values.map(shown).collect()))
}
