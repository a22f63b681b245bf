//! The authorisation identity, by one rule for every mechanism.

use crate::jid::Jid;

/// Whether `account` may act as `authzid`. RFC 6120 §6.3.8: absent or empty means the identity
/// that the credentials prove; anything else is a bare address and must be that same identity.
/// Nobody may act for somebody else, administrators included.
pub fn permits(authzid: Option<&str>, account: &Jid) -> bool {
    match authzid {
        None | Some("") => true,
        Some(text) => Jid::parse(text).is_ok_and(|wanted| wanted == *account),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_own_bare_address_is_permitted() {
        let juliet = Jid::parse("juliet@im.example").unwrap();
        let cases = [
            (None, true),
            (Some(""), true),
            (Some("juliet@im.example"), true),
            (Some("JULIET@IM.example"), true),
            (Some("romeo@im.example"), false),
            (Some("juliet@other.example"), false),
            (Some("juliet@im.example/balcony"), false),
            (Some("juliet"), false),
            (Some("@"), false),
        ];
        for (authzid, permitted) in cases {
            assert_eq!(permits(authzid, &juliet), permitted, "{authzid:?}");
        }
    }
}
