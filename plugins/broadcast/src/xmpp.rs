//! Broadcasts from a client: a message to `all@broadcast.<domain>`, `online@…` or `<group>@…`.

use std::sync::Arc;

use hearth_plugin_api::{Error, ErrorKind, Kind, Query, Result, Stanza};

use crate::Broadcast;
use crate::audience::Audience;
use crate::store::Draft;

impl Broadcast {
    pub async fn stanza(self: Arc<Self>, stanza: Stanza) -> Result<Vec<Stanza>> {
        let is_error = stanza.type_.as_deref() == Some("error");
        Ok(match stanza.kind {
            // RFC 6120 §8.3.1: an error is never answered. Without a body it is a chat state or the like.
            Kind::Message if !is_error && stanza.text("body").is_some() => {
                vec![self.answer(&stanza).await?]
            }
            Kind::Iq if stanza.is_request() => vec![stanza.error("service-unavailable", "")],
            _ => Vec::new(),
        })
    }

    async fn answer(&self, message: &Stanza) -> Result<Stanza> {
        let begun = match self.draft(message).await {
            Ok(draft) => self.begin(&draft).await,
            Err(error) => Err(error),
        };
        let condition = match &begun {
            Ok((id, recipients)) => {
                let text = format!("Broadcast {id} goes to {recipients} users.");
                return Ok(reply(message).body(&text));
            }
            Err(error) => match error.kind {
                ErrorKind::Forbidden => "forbidden",
                ErrorKind::NotFound => "item-not-found",
                ErrorKind::Invalid => "not-acceptable",
                ErrorKind::Full => "resource-constraint",
                _ => return begun.map(|_| Stanza::default()),
            },
        };
        let text = begun.err().map(|error| error.message).unwrap_or_default();
        Ok(message.error(condition, &text))
    }

    async fn draft(&self, message: &Stanza) -> Result<Draft> {
        let sender = bare(&message.from);
        let to = bare(&message.to).split_once('@').map_or("", |(local, _)| local);
        let audience = self.audience(sender, &unescaped(to)).await?;
        Ok(Draft {
            actor: sender.to_owned(),
            audience,
            headline: message.type_.as_deref() == Some("headline"),
            subject: message.text("subject").unwrap_or_default(),
            body: message.text("body").unwrap_or_default(),
        })
    }

    /// Whom a sender may write to. Who may not does not learn which groups there are.
    async fn audience(&self, sender: &str, to: &str) -> Result<Audience> {
        let forbidden = || {
            let text = "you may not send broadcasts here: ask the server's administrator";
            Error::new(ErrorKind::Forbidden, text)
        };
        let (user, domain) = sender.split_once('@').ok_or_else(forbidden)?;
        if domain != self.host.info().domain {
            return Err(forbidden());
        }
        let senders = self.host.property("senders")?;
        let is_listed = senders.lines().any(|line| line.trim().eq_ignore_ascii_case(sender));
        match to {
            "all" if is_listed => return Ok(Audience::All),
            "online" if is_listed => return Ok(Audience::Online),
            "all" | "online" => return Err(forbidden()),
            _ => {}
        }
        let refusal = || match is_listed {
            true => Error::not_found(format!("there is no group `{to}`")),
            false => forbidden(),
        };
        let group = self.group(to).await?.ok_or_else(refusal)?;
        let administers = || async {
            let admins = self.host.people().admins(&group).await?;
            Ok::<bool, Error>(admins.iter().any(|admin| admin == user))
        };
        match is_listed || administers().await? {
            true => Ok(Audience::Group(group)),
            false => Err(forbidden()),
        }
    }

    /// The group of a name; addresses know no upper case.
    async fn group(&self, name: &str) -> Result<Option<String>> {
        let mut query = Query { search: name.to_owned(), ..Query::first(1000) };
        loop {
            let groups = self.host.people().groups(query.clone()).await?;
            let found = groups.iter().find(|group| group.name.to_lowercase() == name);
            match (found, groups.last()) {
                (Some(group), _) => return Ok(Some(group.name.clone())),
                (None, Some(last)) if groups.len() == 1000 => query.after.clone_from(&last.name),
                _ => return Ok(None),
            }
        }
    }
}

fn bare(address: &Option<String>) -> &str {
    address.as_deref().and_then(|address| address.split('/').next()).unwrap_or_default()
}

fn reply(message: &Stanza) -> Stanza {
    Stanza {
        type_: message.type_.clone().filter(|type_| type_ != "headline"),
        from: message.to.clone(),
        to: message.from.clone(),
        id: message.id.clone(),
        ..Stanza::default()
    }
}

/// XEP-0106 §4: characters that a local part cannot have.
fn unescaped(local: &str) -> String {
    const ESCAPES: [(&str, &str); 10] = [
        ("\\20", " "),
        ("\\22", "\""),
        ("\\26", "&"),
        ("\\27", "'"),
        ("\\2f", "/"),
        ("\\3a", ":"),
        ("\\3c", "<"),
        ("\\3e", ">"),
        ("\\40", "@"),
        ("\\5c", "\\"),
    ];
    let mut out = String::with_capacity(local.len());
    let mut rest = local;
    while let Some(c) = rest.chars().next() {
        let escape = ESCAPES.iter().find(|(escape, _)| rest.starts_with(escape));
        match escape {
            Some((_, plain)) => out.push_str(plain),
            None => out.push(c),
        }
        rest = &rest[escape.map_or(c.len_utf8(), |(escape, _)| escape.len())..];
    }
    out
}
