//! Between the arguments of a command, a JSON object of which there is a schema, and a form.

use serde_json::{Map, Value};

use crate::xep::kit::forms::{Field, Type, Values};

/// The one field of a command that does not say which arguments it takes.
const WHOLE: &str = "arguments";
/// Octets of an answer that a client is shown: what is sent at once has bounds, at clients as well.
const SHOWN: usize = 64 << 10;

/// What is to be asked for.
pub fn fields(schema: &Value) -> Vec<Field> {
    let Some(properties) = schema["properties"].as_object() else {
        let description = "A JSON object; it may stay empty.".to_owned();
        return vec![Field { description, ..Field::new(WHOLE, Type::TextMulti) }];
    };
    let required: Vec<_> = array(&schema["required"]).filter_map(Value::as_str).collect();
    let field = |(name, schema): (&String, &Value)| Field {
        description: schema["description"].as_str().unwrap_or_default().to_owned(),
        is_required: required.contains(&name.as_str()),
        values: lines(&schema["default"]),
        options: array(&schema["enum"]).flat_map(lines).collect(),
        ..Field::new(name, type_of(schema))
    };
    properties.iter().map(field).collect()
}

fn type_of(schema: &Value) -> Type {
    match schema["type"].as_str() {
        _ if schema["enum"].is_array() => Type::ListSingle,
        Some("boolean") => Type::Boolean,
        Some("array" | "object") => Type::TextMulti,
        // JSON Schema §8: a document within a string.
        _ if schema["contentMediaType"].is_string() => Type::TextMulti,
        _ => Type::TextSingle,
    }
}

/// The arguments that were filled in, or what is wrong with them. An empty field is none.
pub fn read(schema: &Value, values: &Values) -> Result<Value, String> {
    let text = |name: &str| {
        let text = values.get(name)?.join("\n");
        (!text.is_empty()).then_some(text)
    };
    let Some(properties) = schema["properties"].as_object() else {
        return text(WHOLE).map_or(Ok(Value::Null), |text| value(WHOLE, "object", text));
    };
    let mut arguments = Map::new();
    for (name, schema) in properties {
        if let Some(text) = text(name) {
            let type_ = schema["type"].as_str().unwrap_or("string");
            arguments.insert(name.clone(), value(name, type_, text)?);
        }
    }
    Ok(Value::Object(arguments))
}

fn value(name: &str, type_: &str, text: String) -> Result<Value, String> {
    let wrong = || format!("the field `{name}` does not hold what it must: {type_}");
    match (type_, text.trim()) {
        ("string", _) => Ok(Value::String(text)),
        // XEP-0004 §3.3: both lexical forms.
        ("boolean", "1" | "true") => Ok(Value::Bool(true)),
        ("boolean", "0" | "false") => Ok(Value::Bool(false)),
        ("boolean", _) => Err(wrong()),
        (_, text) => serde_json::from_str(text).map_err(|_| wrong()),
    }
}

/// What a command answered, as lines of text: JSON, but for a mere text.
pub fn lines(answer: &Value) -> Vec<String> {
    match answer {
        Value::Null => Vec::new(),
        Value::String(text) => text.lines().map(str::to_owned).collect(),
        other => format!("{other:#}").lines().map(str::to_owned).collect(),
    }
}

/// As many of the lines as a client is shown, and whether these are all.
pub fn shown(mut lines: Vec<String>) -> (Vec<String>, bool) {
    let mut room = SHOWN;
    let fits = |line: &&String| {
        let left = room.checked_sub("<value></value>".len() + line.len());
        left.inspect(|&left| room = left).is_some()
    };
    let (all, fitting) = (lines.len(), lines.iter().take_while(fits).count());
    lines.truncate(fitting);
    (lines, fitting == all)
}

fn array(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn schema() -> Value {
        json!({
            "type": "object",
            "required": ["to"],
            "properties": {
                "to": { "type": "string", "description": "Whom." },
                "text": { "type": "string", "contentMediaType": "text/plain" },
                "kind": { "enum": ["normal", "headline"], "default": "normal" },
                "count": { "type": "integer" },
                "urgent": { "type": "boolean", "default": true },
                "tags": { "type": "array" },
            },
        })
    }

    fn filled_in(fields: &[(&str, &[&str])]) -> Values {
        let owned = |values: &[&str]| values.iter().map(|&value| value.to_owned()).collect();
        fields.iter().map(|(name, values)| ((*name).to_owned(), owned(values))).collect()
    }

    #[test]
    fn each_argument_has_a_field() {
        let fields = fields(&schema());
        let of = |name: &str| fields.iter().find(|field| field.var == name).unwrap().clone();
        let types = ["to", "text", "kind", "count", "urgent", "tags"].map(|name| of(name).type_);
        let [single, multi] = [Type::TextSingle, Type::TextMulti];
        assert_eq!(types, [single, multi, Type::ListSingle, single, Type::Boolean, multi]);
        assert!(of("to").is_required && !of("text").is_required);
        assert_eq!(of("to").description, "Whom.");
        assert_eq!(
            (of("kind").values, of("urgent").values),
            (vec!["normal".into()], vec!["true".into()])
        );
        assert_eq!(of("kind").options, ["normal", "headline"]);
    }

    #[test]
    fn what_is_filled_in_becomes_arguments() {
        let values = filled_in(&[
            ("to", &["all"]),
            ("text", &["one", "", "two"]),
            ("kind", &["headline"]),
            ("count", &[" 7 "]),
            ("urgent", &["0"]),
            ("tags", &["[1,", "2]"]),
            ("FORM_TYPE", &["whatever"]),
        ]);
        let arguments = json!({
            "to": "all", "text": "one\n\ntwo", "kind": "headline", "count": 7, "urgent": false,
            "tags": [1, 2],
        });
        assert_eq!(read(&schema(), &values), Ok(arguments));
        let empty = filled_in(&[("to", &[""]), ("count", &[])]);
        assert_eq!(read(&schema(), &empty), Ok(json!({})));
    }

    #[test]
    fn what_no_argument_can_be_is_refused_by_name() {
        for (name, text) in [("count", "seven"), ("urgent", "perhaps"), ("tags", "[")] {
            let error = read(&schema(), &filled_in(&[(name, &[text])])).unwrap_err();
            assert!(error.contains(&format!("`{name}`")), "{error}");
        }
    }

    #[test]
    fn arguments_that_are_not_declared_are_json() {
        let schema = json!({ "type": "object" });
        let fields = fields(&schema);
        assert_eq!(
            fields.iter().map(|f| (&*f.var, f.type_)).collect::<Vec<_>>(),
            [("arguments", Type::TextMulti)]
        );
        let given = filled_in(&[("arguments", &["{ \"n\":", "2 }"])]);
        assert_eq!(read(&schema, &given), Ok(json!({ "n": 2 })));
        assert_eq!(read(&schema, &filled_in(&[])), Ok(Value::Null));
        assert!(read(&schema, &filled_in(&[("arguments", &["n = 2"])])).is_err());
        assert!(super::fields(&json!({ "properties": {} })).is_empty(), "it says: none");
    }

    #[test]
    fn an_answer_is_lines_of_json() {
        assert_eq!(lines(&json!({ "a": [1] })), ["{", "  \"a\": [", "    1", "  ]", "}"]);
        assert_eq!(lines(&json!("two\nlines")), ["two", "lines"]);
        assert_eq!(lines(&Value::Null), Vec::<String>::new());
    }

    #[test]
    fn a_long_answer_is_cut() {
        let two = || vec!["a".to_owned(), "b".to_owned()];
        assert_eq!(shown(two()), (two(), true));
        let long = "c".repeat(SHOWN - 2 * 16 - 15);
        for (last, is_whole) in [(long.clone(), true), (long + "c", false)] {
            let lines = [two(), vec![last]].concat();
            let (shown, is_all) = shown(lines);
            assert_eq!((shown.len(), is_all), (2 + usize::from(is_whole), is_whole));
        }
    }
}
