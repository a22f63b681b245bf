//! Whether a form was sent by one of our own pages. Beside the token of the session this also covers
//! the sign-in, for which there is no session yet.

use hyper::header::{HOST, HeaderMap, ORIGIN};

/// False when the browser says that another site has sent it. A client that says nothing is no
/// browser: nobody can make it send what it does not want to.
pub fn is_ours(headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("unreadable"));
    let site_fits =
        text("sec-fetch-site").is_none_or(|site| matches!(site, "same-origin" | "none"));
    let origin_fits = text(ORIGIN.as_str()).is_none_or(|origin| {
        let authority = origin.split_once("://").map(|(_, authority)| authority);
        authority.is_some() && authority == text(HOST.as_str())
    });
    site_fits && origin_fits
}

#[cfg(test)]
mod tests {
    use hyper::header::{HeaderName, HeaderValue};

    use super::*;

    #[test]
    fn other_sites_are_refused() {
        let table: [(&[(&str, &str)], bool); 9] = [
            (&[], true),
            (&[("sec-fetch-site", "same-origin")], true),
            (&[("sec-fetch-site", "none")], true),
            (&[("sec-fetch-site", "cross-site")], false),
            (&[("sec-fetch-site", "same-site")], false),
            (&[("origin", "https://chat.example:9091")], true),
            (&[("origin", "https://chat.example:9092")], false),
            (&[("origin", "null")], false),
            (&[("sec-fetch-site", "same-origin"), ("origin", "https://evil.example")], false),
        ];
        for (given, expected) in table {
            let mut headers = HeaderMap::new();
            headers.insert(HOST, HeaderValue::from_static("chat.example:9091"));
            for (name, value) in given {
                let name = HeaderName::try_from(*name).expect("a name");
                headers.insert(name, HeaderValue::try_from(*value).expect("a value"));
            }
            assert_eq!(is_ours(&headers), expected, "{given:?}");
        }
    }
}
