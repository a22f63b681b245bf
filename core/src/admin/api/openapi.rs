//! `/openapi.json`: the hand-kept description of the API. A test holds it against the routes.

use hyper::Method;

use super::{Access, Answer, Call, Problem, Route};

/// OpenAPI 3.1.
const DOCUMENT: &str = include_str!("openapi.json");

pub const ROUTES: &[Route] = &[Route {
    method: Method::GET,
    path: "/openapi.json",
    access: Access::Anyone,
    columns: &[],
    handler: |call| Box::pin(get(call)),
}];

async fn get(_: Call) -> Result<Answer, Problem> {
    let document: serde_json::Value = serde_json::from_str(DOCUMENT).map_err(|error| {
        tracing::error!(%error, "the description of the API is broken");
        Problem::Internal
    })?;
    Answer::ok(document)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn document() -> serde_json::Value {
        serde_json::from_str(DOCUMENT).expect("JSON")
    }

    #[test]
    fn describes_every_route_and_nothing_else() {
        let document = document();
        let mut described = BTreeSet::new();
        for (path, methods) in document["paths"].as_object().expect("paths") {
            for method in
                methods.as_object().expect("methods").keys().filter(|k| *k != "parameters")
            {
                described.insert(format!("{} {path}", method.to_uppercase()));
            }
        }
        let routed: BTreeSet<_> = super::super::routes()
            .map(|route| format!("{} {}", route.method, route.path))
            .collect();
        assert_eq!(described, routed);
    }

    #[test]
    fn every_operation_says_what_it_does_and_answers() {
        for (path, methods) in document()["paths"].as_object().expect("paths") {
            for (method, operation) in methods.as_object().expect("methods") {
                if method == "parameters" {
                    continue;
                }
                assert!(operation["summary"].is_string(), "{method} {path} has no summary");
                assert!(operation["operationId"].is_string(), "{method} {path} has no operationId");
                assert!(operation["responses"].is_object(), "{method} {path} has no responses");
            }
        }
    }

    #[test]
    fn every_open_segment_is_described() {
        for (path, methods) in document()["paths"].as_object().expect("paths") {
            let open = path.matches('{').count();
            let described = methods["parameters"].as_array().map_or(0, Vec::len);
            assert_eq!(open, described, "{path}");
        }
    }

    #[test]
    fn a_list_has_the_columns_of_its_items() {
        let document = document();
        for route in super::super::routes() {
            let operation = &document["paths"][route.path][route.method.as_str().to_lowercase()];
            let content = &operation["responses"]["200"]["content"];
            assert_eq!(
                content["text/csv"].is_object(),
                !route.columns.is_empty(),
                "{}",
                route.path
            );
            let schema = |value: &serde_json::Value| -> serde_json::Value {
                let target = value["$ref"].as_str().expect("a reference");
                document.pointer(&target[1..]).expect("a schema").clone()
            };
            if !route.columns.is_empty() {
                let page = schema(&content["application/json"]["schema"]);
                let item = schema(&page["properties"]["items"]["items"]);
                for column in route.columns {
                    assert!(item["properties"][column].is_object(), "{} {column}", route.path);
                }
            }
        }
    }

    #[test]
    fn references_lead_somewhere() {
        fn walk(value: &serde_json::Value, root: &serde_json::Value) {
            match value {
                serde_json::Value::Object(map) => {
                    if let Some(target) = map.get("$ref").and_then(|v| v.as_str()) {
                        assert!(root.pointer(&target[1..]).is_some(), "{target}");
                    }
                    map.values().for_each(|v| walk(v, root));
                }
                serde_json::Value::Array(items) => items.iter().for_each(|v| walk(v, root)),
                _ => {}
            }
        }
        walk(&document(), &document());
    }
}
