//! Search filters (RFC 4515) from templates.

use ldap3::ldap_escape;

/// Where the user's name stands in a template.
pub const USER: &str = "{user}";

/// The filter for one user. A name cannot widen it: RFC 4515 §3 escapes stand for `*`, `(`, `)`, `\`
/// and NUL.
pub fn of_user(template: &str, user: &str) -> String {
    template.replace(USER, &ldap_escape(user))
}

/// The filter for all users, or those with a text in one of these attributes.
pub fn of_users(template: &str, attributes: &[&str], search: &str) -> String {
    narrowed(&template.replace(USER, "*"), attributes, search)
}

/// A filter and a text in one of these attributes, if there is a text.
pub fn narrowed(filter: &str, attributes: &[&str], search: &str) -> String {
    if search.is_empty() {
        return filter.to_owned();
    }
    let search = ldap_escape(search);
    let any: String =
        attributes.iter().map(|attribute| format!("({attribute}=*{search}*)")).collect();
    format!("(&{filter}(|{any}))")
}

/// A filter and an attribute with just this value.
pub fn with(filter: &str, attribute: &str, value: &str) -> String {
    format!("(&{filter}({attribute}={}))", ldap_escape(value))
}

/// Whether it is a filter at all.
pub fn is_filter(filter: &str) -> bool {
    ldap3::parse_filter(filter).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_widen_a_filter() {
        let table = [
            ("juliet", "(uid=juliet)"),
            ("*", r"(uid=\2a)"),
            ("x)(uid=*", r"(uid=x\29\28uid=\2a)"),
            (r"a\b", r"(uid=a\5cb)"),
            ("nul\0", r"(uid=nul\00)"),
            ("größe", "(uid=größe)"),
        ];
        for (user, expected) in table {
            assert_eq!(of_user("(uid={user})", user), expected);
            assert!(is_filter(expected), "{expected}");
        }
    }

    #[test]
    fn lists_are_searched_in_several_attributes() {
        let all = of_users("(&(objectClass=person)(uid={user}))", &["uid", "cn"], "");
        assert_eq!(all, "(&(objectClass=person)(uid=*))");
        let some = of_users("(uid={user})", &["uid", "cn"], "a*");
        assert_eq!(some, r"(&(uid=*)(|(uid=*a\2a*)(cn=*a\2a*)))");
        assert!(is_filter(&some) && !is_filter("(uid=") && !is_filter("uid"));
    }
}
