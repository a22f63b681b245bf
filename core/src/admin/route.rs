//! Tables of routes, of the API and of the console alike: a path and a method name one handler, and
//! who may call it. Nothing else is served.

use hyper::Method;

use crate::http::decode_segment;

/// Who may call a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    Administrator,
    Anyone,
}

/// One line of a table. A segment `{name}` of the path is open.
pub struct Route<H> {
    pub method: Method,
    pub path: &'static str,
    pub access: Access,
    /// The fields of an item that make a list a table; empty for what is no list.
    pub columns: &'static [&'static str],
    pub handler: H,
}

impl<H> Route<H> {
    /// A route for administrators, as all are that do not say otherwise.
    pub const fn new(method: Method, path: &'static str, handler: H) -> Route<H> {
        Route { method, path, access: Access::Administrator, columns: &[], handler }
    }

    /// A list, paged by key, that can also be had as CSV.
    pub const fn list(
        path: &'static str,
        columns: &'static [&'static str],
        handler: H,
    ) -> Route<H> {
        Route { method: Method::GET, path, access: Access::Administrator, columns, handler }
    }

    /// A route for everybody who reaches the port.
    pub const fn open(method: Method, path: &'static str, handler: H) -> Route<H> {
        Route { method, path, access: Access::Anyone, columns: &[], handler }
    }

    /// The open segments of a path that this route answers.
    fn matches(&self, segments: &[String]) -> Option<Vec<String>> {
        let own: Vec<_> = split(self.path).collect();
        let fits = |(own, asked): (&&str, &String)| own.starts_with('{') || *own == asked;
        if own.len() != segments.len() || !own.iter().zip(segments).all(fits) {
            return None;
        }
        let open = own.iter().zip(segments).filter(|(own, _)| own.starts_with('{'));
        Some(open.map(|(_, asked)| asked.clone()).collect())
    }
}

/// The segments of a path; a slash at its end means nothing.
pub fn split(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|segment| !segment.is_empty())
}

/// The decoded segments of a path. The listener has refused paths that are not canonical, so each
/// segment has one meaning.
pub fn segments(path: &str) -> Vec<String> {
    split(path).filter_map(decode_segment).map(|segment| segment.into_owned()).collect()
}

/// Why no route was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Missing {
    Path,
    /// The path takes these methods.
    Method(String),
}

/// Finds the route of a call, and its open segments. A fixed segment goes before an open one.
pub fn find<'r, H: 'r>(
    routes: impl Iterator<Item = &'r Route<H>>,
    method: &Method,
    segments: &[String],
) -> Result<(&'r Route<H>, Vec<String>), Missing> {
    let mut on_path: Vec<_> =
        routes.filter_map(|route| Some((route, route.matches(segments)?))).collect();
    let Some(fewest) = on_path.iter().map(|(_, open)| open.len()).min() else {
        return Err(Missing::Path);
    };
    on_path.retain(|(_, open)| open.len() == fewest);
    match on_path.iter().position(|(route, _)| route.method == *method) {
        Some(at) => Ok(on_path.swap_remove(at)),
        None => {
            let methods: Vec<_> = on_path.iter().map(|(route, _)| route.method.as_str()).collect();
            Err(Missing::Method(methods.join(", ")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &[Route<()>] = &[
        Route::new(Method::GET, "/users", ()),
        Route::new(Method::POST, "/users", ()),
        Route::new(Method::GET, "/users/{name}", ()),
        Route::new(Method::DELETE, "/users/{name}", ()),
        Route::new(Method::GET, "/users/search", ()),
        Route::new(Method::PUT, "/users/{name}/password", ()),
    ];

    fn look(method: Method, path: &str) -> Result<(&'static str, Vec<String>), Missing> {
        let segments: Vec<_> = split(path).map(str::to_owned).collect();
        find(TABLE.iter(), &method, &segments).map(|(route, open)| (route.path, open))
    }

    #[test]
    fn finds_the_route_and_its_open_segments() {
        assert_eq!(look(Method::GET, "/users"), Ok(("/users", vec![])));
        assert_eq!(look(Method::GET, "/users/"), Ok(("/users", vec![])));
        let romeo = vec!["romeo".to_owned()];
        assert_eq!(
            look(Method::PUT, "/users/romeo/password"),
            Ok(("/users/{name}/password", romeo))
        );
        assert_eq!(look(Method::GET, "/users/search"), Ok(("/users/search", vec![])));
    }

    #[test]
    fn tells_a_wrong_method_from_a_wrong_path() {
        assert_eq!(look(Method::PATCH, "/users"), Err(Missing::Method("GET, POST".to_owned())));
        assert_eq!(look(Method::GET, "/user"), Err(Missing::Path));
        assert_eq!(look(Method::GET, "/users/a/b/c"), Err(Missing::Path));
        assert_eq!(look(Method::GET, "/"), Err(Missing::Path));
    }
}
