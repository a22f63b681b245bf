//! The console page: the settings, and what each server says to them.

use std::sync::Arc;

use hearth_plugin_api::xml::escaped;
use hearth_plugin_api::{
    NoticeLevel, PageRequest, PageResponse, Property, PropertyType, Result, User, Verified,
};

use crate::LdapAuth;
use crate::connection::Connection;
use crate::error::LdapFault;
use crate::settings::{self, Settings};

impl LdapAuth {
    pub async fn page(self: Arc<Self>, request: PageRequest) -> Result<PageResponse> {
        match (request.is_post(), request.path.as_str()) {
            (false, "") => self.overview(&request, ""),
            (true, "save") => self.save(&request).await,
            (true, "test") => {
                let outcome = self.test(&request).await;
                self.overview(&request, &outcome)
            }
            _ => Ok(PageResponse::not_found()),
        }
    }

    fn overview(&self, request: &PageRequest, outcome: &str) -> Result<PageResponse> {
        let mut fields = String::new();
        for property in settings::properties() {
            fields.push_str(&field(&property, &self.host.property(&property.name)?));
        }
        let (save, test) = (request.open_form("save"), request.open_form("test"));
        let user = escaped(request.field("user"));
        Ok(PageResponse::html(format!(
            "<p class='lead'>Users sign in with their passwords of an LDAP directory. The server's \
             own accounts are asked first.</p>\
             <div class='card'><h2>Test</h2>{outcome}{test}<div class='grid'>\
             <div class='field'><label for='user'>User <span class='optional'>(optional)</span>\
             </label><input id='user' name='user' value='{user}' autocomplete='off'></div>\
             <div class='field'><label for='password'>Password <span class='optional'>(optional)\
             </span></label><input id='password' name='password' type='password' \
             autocomplete='off'></div></div>\
             <div class='buttons'><button class='button'>Test the connection</button></div></form>\
             <p class='hint'>With the settings as they are saved.</p></div>\
             <div class='card'><h2>Settings</h2>{save}{fields}\
             <div class='buttons'><button class='button primary'>Save</button></div></form></div>"
        )))
    }

    async fn save(&self, request: &PageRequest) -> Result<PageResponse> {
        let back = PageResponse::redirect(&request.base);
        let mut changes = Vec::new();
        for property in settings::properties() {
            let value = match property.type_ {
                PropertyType::Bool => (request.field(&property.name) == "true").to_string(),
                _ => request.field(&property.name).replace("\r\n", "\n"),
            };
            if let Err(error) = property.check(&value) {
                return Ok(back.notice(NoticeLevel::Error, &error.message));
            }
            let is_kept = property.type_ == PropertyType::Secret && value.is_empty();
            if !is_kept && value != self.host.property(&property.name)? {
                changes.push((property.name, value));
            }
        }
        for (name, value) in changes {
            self.host.set_property(&name, &value).await?;
        }
        Ok(match Settings::read(&self.host) {
            Ok(_) => back.notice(NoticeLevel::Info, "The settings are saved."),
            Err(fault) => back.notice(NoticeLevel::Warning, &format!("Saved, but {fault}.")),
        })
    }

    /// Asks every server by itself, so that one that answers does not hide another that does not.
    async fn test(&self, request: &PageRequest) -> String {
        let settings = match Settings::read(&self.host) {
            Ok(Some(settings)) => settings,
            Ok(None) => return note("warn", "No server is named yet."),
            Err(fault) => return note("bad", &fault.to_string()),
        };
        let mut outcome = String::new();
        for server in settings.servers.clone() {
            let (user, password) = (request.field("user"), request.field("password"));
            let trial = Trial {
                settings: settings.clone(),
                server: server.clone(),
                user: user.to_owned(),
                password: password.to_owned(),
            };
            outcome.push_str(&match self.run(trial.ask()).await {
                Ok(said) => note("good", &format!("{server}: {said}")),
                Err(error) => note("bad", &error.message),
            });
        }
        outcome
    }
}

/// What is tried at one server.
struct Trial {
    settings: Settings,
    server: String,
    user: String,
    password: String,
}

impl Trial {
    /// What went well, in words.
    async fn ask(self) -> Result<String, LdapFault> {
        let mut connection = Connection::at(&self.settings, &self.server).await?;
        if self.user.is_empty() {
            let some = hearth_plugin_api::Query::first(1000);
            let (users, groups) = (connection.users(&some).await?, connection.groups(&some).await?);
            connection.close().await;
            let most =
                |count| if count == 1000 { "1000 or more".into() } else { format!("{count}") };
            return Ok(format!("{} users, {} groups", most(users.len()), most(groups.len())));
        }
        let Some((dn, user)) = connection.find(&self.user).await? else {
            return Ok(format!("there is no user {}", self.user));
        };
        let User { name, display_name, email, .. } = user;
        let found = format!("{dn} is {name} ({display_name}, {email})");
        if self.password.is_empty() {
            return Ok(found);
        }
        let verified = connection.verify(&self.user, &self.password).await?;
        connection.close().await;
        let right = if verified == Verified::Accepted { "right" } else { "wrong" };
        Ok(format!("{found}; the password is {right}"))
    }
}

fn note(look: &str, text: &str) -> String {
    format!("<p class='note {look}' role='status'>{}</p>", escaped(text))
}

fn field(property: &Property, value: &str) -> String {
    let (name, doc, value) = (&property.name, escaped(&property.doc), escaped(value));
    let hint = format!("<p class='hint'>{doc}</p>");
    let label = format!("<label for='{name}'>{name}</label>");
    let input = match &property.type_ {
        PropertyType::Bool => {
            let checked = if value == "true" { " checked" } else { "" };
            return format!(
                "<div class='field check'><input type='checkbox' id='{name}' name='{name}' \
                 value='true'{checked}>{label}{hint}</div>"
            );
        }
        PropertyType::Lines => {
            format!("<textarea id='{name}' name='{name}' rows='3'>{value}</textarea>")
        }
        // Never shown again.
        PropertyType::Secret => format!(
            "<input id='{name}' name='{name}' type='password' autocomplete='new-password' \
             placeholder='unchanged'>"
        ),
        PropertyType::Int { min, max } => format!(
            "<input id='{name}' name='{name}' type='number' min='{min}' max='{max}' value='{value}'>"
        ),
        PropertyType::Choice { choices } => {
            let option = |choice: &String| {
                let selected = if **choice == *value { " selected" } else { "" };
                format!("<option{selected}>{choice}</option>")
            };
            let options: String = choices.iter().map(option).collect();
            format!("<select id='{name}' name='{name}'>{options}</select>")
        }
        _ => format!("<input id='{name}' name='{name}' value='{value}'>"),
    };
    format!("<div class='field'>{label}{input}{hint}</div>")
}
