//! The cookies of the console (RFC 6265).

use hyper::header::{COOKIE, HeaderMap, HeaderValue};

/// The browser's choice of a language, which is no secret.
pub const LANGUAGE: &str = "hearth-language";
/// The same of light or dark; written by `hearth.js`.
pub const THEME: &str = "hearth-theme";

/// The name of the session's cookie. Cookies do not know ports: the encrypted port's has a name of
/// its own, or the plain one could not replace it. Browsers take a name with `__Host-` only when it
/// is `Secure` and for this host alone.
pub fn session_name(secure: bool) -> &'static str {
    if secure { "__Host-hearth" } else { "hearth" }
}

/// The value of a cookie.
pub fn get<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let lines = headers.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok());
    let pairs =
        lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.filter(|(own, _)| *own == name).map(|(_, value)| value).next()
}

/// `Set-Cookie` of a session; an empty id takes it away.
pub fn session(id: &str, secure: bool) -> Option<HeaderValue> {
    let name = session_name(secure);
    let gone = if id.is_empty() { "; Max-Age=0" } else { "" };
    let secure = if secure { "; Secure" } else { "" };
    let cookie = format!("{name}={id}; Path=/; HttpOnly; SameSite=Strict{secure}{gone}");
    HeaderValue::try_from(cookie).ok()
}

/// `Set-Cookie` of the language.
pub fn language(code: &str) -> Option<HeaderValue> {
    let year = 365 * 24 * 3600;
    let cookie = format!("{LANGUAGE}={code}; Path=/; HttpOnly; SameSite=Lax; Max-Age={year}");
    HeaderValue::try_from(cookie).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_a_cookie_among_others() {
        let mut headers = HeaderMap::new();
        headers.append(COOKIE, HeaderValue::from_static("a=1; hearth=secret; hearth2=x"));
        headers.append(COOKIE, HeaderValue::from_static("b=2"));
        assert_eq!(get(&headers, "hearth"), Some("secret"));
        assert_eq!(get(&headers, "b"), Some("2"));
        assert_eq!(get(&headers, "c"), None);
    }

    #[test]
    fn the_session_is_for_this_site_and_no_script() {
        let plain = session("abc", false).expect("a header");
        assert_eq!(plain, "hearth=abc; Path=/; HttpOnly; SameSite=Strict");
        let secure = session("abc", true).expect("a header");
        assert_eq!(secure, "__Host-hearth=abc; Path=/; HttpOnly; SameSite=Strict; Secure");
        let gone = session("", false).expect("a header");
        assert_eq!(gone, "hearth=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0");
    }
}
