//! XEP-0004: Data Forms.

use std::collections::BTreeMap;

use crate::ns;
use crate::xep::Xep;
use crate::xml::Element;

pub static XEP: Xep =
    Xep { number: 4, name: "Data Forms", version: "2.13.1", features: &[ns::DATA_FORMS], iqs: &[] };

/// What a field takes (§3.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    Boolean,
    ListSingle,
    TextMulti,
    TextSingle,
}

impl Type {
    fn as_str(self) -> &'static str {
        match self {
            Type::Boolean => "boolean",
            Type::ListSingle => "list-single",
            Type::TextMulti => "text-multi",
            Type::TextSingle => "text-single",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    pub var: String,
    pub type_: Type,
    pub label: String,
    /// For people; may be empty.
    pub description: String,
    pub is_required: bool,
    /// What is in it, or proposed.
    pub values: Vec<String>,
    /// Of a list.
    pub options: Vec<String>,
}

impl Field {
    /// An empty field that is labelled with its name.
    pub fn new(var: &str, type_: Type) -> Field {
        Field {
            var: var.to_owned(),
            type_,
            label: var.to_owned(),
            description: String::new(),
            is_required: false,
            values: Vec::new(),
            options: Vec::new(),
        }
    }

    fn element(&self) -> Element {
        let field = Element::new("field", ns::DATA_FORMS)
            .with_attr("var", &self.var)
            .with_attr("type", self.type_.as_str())
            .with_attr("label", &self.label);
        let description = (!self.description.is_empty()).then(|| text("desc", &self.description));
        let required = self.is_required.then(|| Element::new("required", ns::DATA_FORMS));
        let option = |value: &String| {
            Element::new("option", ns::DATA_FORMS)
                .with_attr("label", value)
                .with_child(text("value", value))
        };
        field
            .with_children(description)
            .with_children(required)
            .with_children(self.values.iter().map(|value| text("value", value)))
            .with_children(self.options.iter().map(option))
    }
}

/// What was filled in, by the names of the fields.
pub type Values = BTreeMap<String, Vec<String>>;

/// A form to be filled in.
pub fn form(title: &str, instructions: &str, fields: &[Field]) -> Element {
    x("form")
        .with_child(text("title", title))
        .with_child(text("instructions", instructions))
        .with_children(fields.iter().map(Field::element))
}

/// What came out.
pub fn result(title: &str, fields: &[Field]) -> Element {
    x("result").with_child(text("title", title)).with_children(fields.iter().map(Field::element))
}

/// The values of a form that was filled in; `None`: it is not one.
pub fn submitted(x: &Element) -> Option<Values> {
    if !x.is("x", ns::DATA_FORMS) || x.attr("type") != Some("submit") {
        return None;
    }
    let fields = x.children().filter(|child| child.is("field", ns::DATA_FORMS));
    let values = |field: &Element| {
        let values = field.children().filter(|child| child.is("value", ns::DATA_FORMS));
        values.map(|value| value.text().into_owned()).collect()
    };
    fields.map(|field| Some((field.attr("var")?.to_owned(), values(field)))).collect()
}

fn x(type_: &str) -> Element {
    Element::new("x", ns::DATA_FORMS).with_attr("type", type_)
}

fn text(name: &str, text: &str) -> Element {
    Element::new(name, ns::DATA_FORMS).with_text(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_says_what_is_wanted() {
        let field = Field {
            description: "Which?".to_owned(),
            is_required: true,
            values: vec!["a".to_owned()],
            options: vec!["a".to_owned(), "b".to_owned()],
            ..Field::new("letter", Type::ListSingle)
        };
        assert_eq!(
            String::from_utf8(form("Letters", "Choose.", &[field]).to_bytes().to_vec()).unwrap(),
            "<x xmlns='jabber:x:data' type='form'><title>Letters</title>\
             <instructions>Choose.</instructions>\
             <field var='letter' type='list-single' label='letter'><desc>Which?</desc><required/>\
             <value>a</value><option label='a'><value>a</value></option>\
             <option label='b'><value>b</value></option></field></x>"
        );
    }

    #[test]
    fn only_a_submitted_form_has_values() {
        let read = |inside: &str, type_: &str| {
            let x = format!("<x xmlns='jabber:x:data' type='{type_}'>{inside}</x>");
            submitted(&Element::parse(x.as_bytes()).unwrap())
        };
        let two = "<field var='a'><value>1</value><value>2</value></field><field var='b'/>";
        let values = read(two, "submit").unwrap();
        assert_eq!((&values["a"][..], &values["b"][..]), (&["1".into(), "2".into()][..], &[][..]));
        assert_eq!(read("", "submit"), Some(BTreeMap::new()));
        assert_eq!(read(two, "form"), None);
        assert_eq!(read("<field><value>of nothing</value></field>", "submit"), None);
    }
}
