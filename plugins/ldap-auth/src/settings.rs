//! The properties, and what they say together.

use std::fmt;
use std::time::Duration;

use hearth_plugin_api::{Host, Property};

use crate::error::LdapFault;
use crate::filter;

/// Everything that an administrator decides, in the order in which the page shows it.
pub fn properties() -> Vec<Property> {
    vec![
        Property::lines(
            "servers",
            "",
            "One per line, the preferred first: ldap://host or ldaps://host, with a port if it is \
             not 389 or 636. Empty: nobody is asked.",
        ),
        Property::bool("starttls", true, "Encrypt ldap:// connections by StartTLS."),
        Property::bool(
            "allow-cleartext",
            false,
            "Let passwords cross the network in the clear, when StartTLS is off.",
        ),
        Property::lines(
            "ca",
            "",
            "Certificates (PEM) of the authority that the servers' certificates must come from. \
             Empty: those that the system trusts.",
        ),
        Property::text("bind-dn", "", "The account that searches. Empty: anonymous."),
        Property::secret("bind-password", "Its password."),
        Property::text("base-dn", "", "Where users are: dc=example,dc=org."),
        Property::text(
            "user-filter",
            "(&(objectClass=person)(uid={user}))",
            "Which entry a user is; {user} stands for the name that he signs in with.",
        ),
        Property::text("user-attribute", "uid", "The attribute with that name."),
        Property::text("name-attribute", "cn", "The attribute with the name for people."),
        Property::text("email-attribute", "mail", "The attribute with the e-mail address."),
        Property::text("group-base-dn", "", "Where groups are. Empty: where users are."),
        Property::text(
            "group-filter",
            "(objectClass=groupOfNames)",
            "Which entries are groups. Empty: there are none.",
        ),
        Property::text("group-attribute", "cn", "The attribute with a group's name."),
        Property::text("member-attribute", "member", "The attribute with a group's members."),
        Property::choice(
            "member-values",
            &["dn", "name"],
            "dn",
            "What stands there: distinguished names, or users' names.",
        ),
        Property::int("timeout", 3000, "Milliseconds that a server has for each answer.")
            .within(100, 30_000),
        Property::int("page-size", 500, "Entries that are asked for at once.").within(1, 10_000),
    ]
}

/// What the properties say together.
#[derive(Clone)]
pub struct Settings {
    pub servers: Vec<String>,
    pub starttls: bool,
    pub ca: String,
    pub bind_dn: String,
    pub bind_password: String,
    pub base_dn: String,
    pub user_filter: String,
    pub user_attribute: String,
    pub name_attribute: String,
    pub email_attribute: String,
    pub group_base_dn: String,
    pub group_filter: String,
    pub group_attribute: String,
    pub member_attribute: String,
    pub members_are_dns: bool,
    pub timeout: Duration,
    pub page_size: i32,
}

/// Without the password.
impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings").field("servers", &self.servers).finish_non_exhaustive()
    }
}

impl Settings {
    /// The settings, or `None` while no server is named. `Setting` says which one is wrong.
    pub fn read(host: &Host) -> Result<Option<Settings>, LdapFault> {
        let wrong = |error: hearth_plugin_api::Error| LdapFault::Setting(error.message);
        let text = |name: &str| Ok(host.property(name).map_err(wrong)?.trim().to_owned());
        let is = |name: &str| host.property_as::<bool>(name).map_err(wrong);
        let base_dn = text("base-dn")?;
        let group_base_dn = Some(text("group-base-dn")?).filter(|base| !base.is_empty());
        let settings = Settings {
            servers: text("servers")?.lines().map(|line| line.trim().to_owned()).collect(),
            starttls: is("starttls")?,
            ca: text("ca")?,
            bind_dn: text("bind-dn")?,
            bind_password: host.property("bind-password").map_err(wrong)?,
            user_filter: text("user-filter")?,
            user_attribute: text("user-attribute")?,
            name_attribute: text("name-attribute")?,
            email_attribute: text("email-attribute")?,
            group_base_dn: group_base_dn.unwrap_or_else(|| base_dn.clone()),
            base_dn,
            group_filter: text("group-filter")?,
            group_attribute: text("group-attribute")?,
            member_attribute: text("member-attribute")?,
            members_are_dns: text("member-values")? == "dn",
            timeout: Duration::from_millis(host.property_as("timeout").map_err(wrong)?),
            page_size: host.property_as("page-size").map_err(wrong)?,
        };
        if settings.servers.is_empty() {
            return Ok(None);
        }
        settings.check(is("allow-cleartext")?)?;
        Ok(Some(settings))
    }

    fn check(&self, allow_cleartext: bool) -> Result<(), LdapFault> {
        let wrong = |text: String| Err(LdapFault::Setting(text));
        for server in &self.servers {
            let host = server.strip_prefix("ldap://").or_else(|| server.strip_prefix("ldaps://"));
            if host.is_none_or(|host| host.is_empty() || host.starts_with([':', '/'])) {
                return wrong(format!("`{server}` is no ldap:// or ldaps:// address"));
            }
            if server.starts_with("ldap:") && !self.starttls && !allow_cleartext {
                return wrong(format!(
                    "passwords would cross the network to {server} in the clear: set `starttls`, \
                     use ldaps://, or set `allow-cleartext`"
                ));
            }
        }
        if !self.user_filter.contains(filter::USER) {
            return wrong("`user-filter` has no {user}: everybody would be the same".to_owned());
        }
        for (name, filter) in [
            ("user-filter", filter::of_user(&self.user_filter, "x")),
            ("group-filter", self.group_filter.clone()),
        ] {
            if !filter.is_empty() && !filter::is_filter(&filter) {
                return wrong(format!("`{name}` is no filter (RFC 4515)"));
            }
        }
        Ok(())
    }
}
