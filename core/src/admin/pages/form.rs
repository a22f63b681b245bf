//! What a form sends, and the form that is shown again with what was typed and what is wrong.

use std::collections::BTreeMap;

use crate::admin::api::Problem;

/// Names and values, of a form's body or of a query.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields(Vec<(String, String)>);

impl Fields {
    pub fn new(pairs: Vec<(String, String)>) -> Fields {
        Fields(pairs)
    }

    /// Reads `application/x-www-form-urlencoded`.
    pub fn parse(body: &[u8]) -> Fields {
        Fields(form_urlencoded::parse(body).into_owned().collect())
    }

    /// The first value of that name; empty when there is none.
    pub fn get(&self, name: &str) -> &str {
        self.find(name).unwrap_or_default()
    }

    /// `None`: it was not sent, or left empty.
    pub fn find(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(own, value)| own == name && !value.is_empty());
        found.map(|(_, value)| value.as_str())
    }

    /// Whether a box was ticked.
    pub fn has(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    /// Everything, as it was sent.
    pub fn pairs(&self) -> impl Iterator<Item = (String, String)> + '_ {
        self.0.iter().cloned()
    }

    /// Every value of that name, as of several boxes.
    pub fn all<'f>(&'f self, name: &str) -> impl Iterator<Item = &'f str> {
        self.0.iter().filter(move |(own, _)| own == name).map(|(_, value)| value.as_str())
    }
}

/// A time as the API takes it, of what a `datetime-local` sends: the script makes it UTC with its
/// mark, and without script it is taken for UTC.
pub fn moment(text: &str) -> String {
    match text.len() {
        16 => format!("{text}:00Z"),
        19 => format!("{text}Z"),
        _ => text.to_owned(),
    }
}

/// A form as it is shown: the macros of `parts/form.html` take it from the field `form` of the page.
#[derive(Clone, Debug, Default)]
pub struct Form {
    fields: Fields,
    errors: BTreeMap<&'static str, String>,
    error: Option<String>,
}

impl Form {
    /// A form as it was sent.
    pub fn sent(fields: &Fields) -> Form {
        Form { fields: fields.clone(), ..Form::default() }
    }

    /// A form that shows these values.
    pub fn filled<const N: usize>(values: [(&str, String); N]) -> Form {
        let pairs = values.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        Form { fields: Fields::new(pairs), ..Form::default() }
    }

    /// Says beside a field what is wrong with it.
    pub fn refuse(mut self, field: &'static str, why: impl Into<String>) -> Form {
        self.errors.entry(field).or_insert_with(|| why.into());
        self
    }

    /// Says on top of the form why it was refused.
    pub fn refuse_all(mut self, why: impl Into<String>) -> Form {
        self.error = Some(why.into());
        self
    }

    /// Says what the API found wrong: beside the field that it names, which has the same name here,
    /// otherwise on top.
    pub fn refuse_by(self, problem: &Problem) -> Form {
        match problem.field() {
            Some(field) => self.refuse(field, problem.to_string()),
            None => self.refuse_all(problem.to_string()),
        }
    }

    pub fn is_refused(&self) -> bool {
        !self.errors.is_empty() || self.error.is_some()
    }

    pub fn value(&self, name: &str) -> &str {
        self.fields.get(name)
    }

    pub fn has(&self, name: &str) -> bool {
        self.fields.has(name)
    }

    pub fn is(&self, name: &str, value: &str) -> bool {
        self.fields.all(name).any(|own| own == value)
    }

    /// A time as `datetime-local` takes it, in UTC.
    pub fn moment(&self, name: &str) -> &str {
        let text = self.value(name);
        text.get(..16).unwrap_or(text)
    }

    pub fn error(&self, name: &str) -> Option<&str> {
        self.errors.get(name).map(String::as_str)
    }

    /// What is wrong as a whole.
    pub fn problem(&self) -> Option<&str> {
        self.error.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_decoded() {
        let fields = Fields::parse(b"name=a%26b+c&empty=&on=1&group=x&group=y");
        assert_eq!(fields.get("name"), "a&b c");
        assert_eq!(fields.find("empty"), None);
        assert!(fields.has("on") && !fields.has("off"));
        assert_eq!(fields.all("group").collect::<Vec<_>>(), ["x", "y"]);
    }

    #[test]
    fn a_refused_form_keeps_what_was_typed() {
        let form = Form::sent(&Fields::parse(b"name=romeo"));
        assert!(!form.is_refused());
        let form = form.refuse_by(&Problem::Conflict("taken".to_owned()).at("name"));
        assert_eq!((form.value("name"), form.error("name")), ("romeo", Some("taken")));
        let form = form.refuse_by(&Problem::Internal);
        assert!(form.problem().is_some());
    }
}
