//! Step 2: the domain, this machine's name, addresses and ports.

use std::net::{IpAddr, SocketAddr};

use askama::Template;

use super::prepare_domain;
use super::step::Steps;
use super::wizard::Desk;
use crate::admin::pages::{Fields, Form, Frame, Text, Visitor};
use crate::config::{Config, Listen, OpenPorts, Port, Ports};
use crate::net::listener::{ListenError, Listener};

#[derive(Template)]
#[template(path = "setup/server.html")]
pub struct Page {
    pub page: Frame,
    pub form: Form,
    pub steps: Steps,
}

impl Page {
    /// The ports with their texts.
    fn ports(&self) -> Vec<(&'static str, Text)> {
        let text = |(name, _)| (name, self.page.t(&format!("setup_server.{name}")));
        Ports::default().named().map(text).into()
    }
}

/// What is proposed before anything was typed.
pub fn proposed(ports: &Ports, host: &str) -> Fields {
    let listen = Listen::default();
    let mut pairs = vec![
        ("host_name", host.to_owned()),
        ("addresses", joined(&listen.addresses)),
        ("console_addresses", joined(&listen.console_addresses)),
    ];
    pairs.extend(ports.named().map(|(name, port)| (name, port.to_string())));
    Fields::new(pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

fn joined(addresses: &[IpAddr]) -> String {
    addresses.iter().map(IpAddr::to_string).collect::<Vec<_>>().join(", ")
}

/// Checks what was typed, ports by opening them. `Err` is the form with what is wrong.
pub fn check(desk: &Desk, visitor: &Visitor, fields: &Fields) -> Result<(), Form> {
    let mut config = Config::default();
    let form = read(visitor, fields, &mut config);
    if form.is_refused() {
        return Err(form);
    }
    let form = refuse_doubles(form, visitor, &config.ports);
    let form = config.ports.named().into_iter().fold(form, |form, (name, port)| {
        match check_port(&desk.wizard.own, &config.listen, name, port) {
            Ok(()) => form,
            Err(error) => refuse_port(form, visitor, name, &error),
        }
    });
    if form.is_refused() { Err(form) } else { Ok(()) }
}

/// Puts what was typed into the configuration. The form says what cannot be read.
pub fn read(visitor: &Visitor, fields: &Fields, config: &mut Config) -> Form {
    let mut form = Form::sent(fields);
    if let Err(error) = prepare_domain(fields.get("domain").trim()) {
        let why = visitor
            .t("setup_server.domain_wrong")
            .with("why", visitor.language.said(&error.to_string()));
        form = form.refuse("domain", why);
    }
    let host_name = fields.get("host_name").trim();
    if !host_name.is_empty() && prepare_domain(host_name).is_err() {
        form = form.refuse("host_name", visitor.t("setup_server.host_wrong"));
    }
    config.listen.host_name = host_name.to_owned();
    for (name, addresses) in [
        ("addresses", &mut config.listen.addresses),
        ("console_addresses", &mut config.listen.console_addresses),
    ] {
        match parse_addresses(fields.get(name)) {
            Some(parsed) => *addresses = parsed,
            None => form = form.refuse(name, visitor.t("setup_server.addresses_wrong")),
        }
    }
    for (name, port) in config.ports.named_mut() {
        match fields.get(name).trim().parse() {
            Ok(parsed) => *port = parsed,
            Err(_) => form = form.refuse(name, visitor.t("setup_server.port_wrong")),
        }
    }
    if config.ports.console == Port::Off && config.ports.console_tls == Port::Off {
        form = form.refuse("console_tls", visitor.t("setup_server.no_console"));
    }
    form
}

/// At least one address, with commas or blanks between them.
fn parse_addresses(text: &str) -> Option<Vec<IpAddr>> {
    let parts = text.split([',', ' ']).filter(|part| !part.is_empty());
    let addresses = parts.map(|part| part.trim_matches(['[', ']']).parse());
    let addresses: Vec<IpAddr> = addresses.collect::<Result<_, _>>().ok()?;
    Some(addresses).filter(|addresses| !addresses.is_empty())
}

fn refuse_doubles(form: Form, visitor: &Visitor, ports: &Ports) -> Form {
    let named = ports.named();
    named.iter().enumerate().fold(form, |form, (at, (name, port))| {
        let is_picked = matches!(port, Port::Off | Port::Number(0));
        match named[..at].iter().find(|(_, earlier)| !is_picked && earlier == port) {
            Some((other, _)) => {
                let other = visitor.t(&format!("setup_server.{other}"));
                form.refuse(name, visitor.t("setup_server.port_double").with("other", other))
            }
            None => form,
        }
    })
}

/// Whether this port can be opened now. Those that the wizard itself has will be free.
fn check_port(own: &OpenPorts, listen: &Listen, name: &str, port: Port) -> Result<(), ListenError> {
    let Port::Number(number) = port else { return Ok(()) };
    if [own.console, own.console_tls].contains(&Some(number)) {
        return Ok(());
    }
    let addresses =
        if Ports::is_console(name) { &listen.console_addresses } else { &listen.addresses };
    for address in addresses {
        Listener::bind(SocketAddr::new(*address, number))?;
    }
    Ok(())
}

fn refuse_port(form: Form, visitor: &Visitor, name: &'static str, error: &ListenError) -> Form {
    match error {
        ListenError::NotOurs { .. } => {
            let field = if Ports::is_console(name) { "console_addresses" } else { "addresses" };
            form.refuse(field, told(visitor, error))
        }
        _ => form.refuse(name, told(visitor, error)),
    }
}

fn told(visitor: &Visitor, error: &ListenError) -> Text {
    match error {
        ListenError::InUse { address } => {
            visitor.t("setup_server.port_taken").with("port", address.port())
        }
        ListenError::Forbidden { address } => {
            visitor.t("setup_server.port_forbidden").with("port", address.port())
        }
        ListenError::NotOurs { address } => {
            visitor.t("setup_server.not_ours").with("address", address.ip())
        }
        ListenError::Other { source, .. } => {
            let why = visitor.language.said(&source.to_string());
            visitor.t("setup_server.port_other").with("why", why)
        }
    }
}

/// What stands beside a port while it is typed: whether it is good, and the text.
pub fn port_state(desk: &Desk, visitor: &Visitor, query: &Fields) -> (bool, Text) {
    let mut listen = Listen::default();
    for (name, addresses) in
        [("addresses", &mut listen.addresses), ("console_addresses", &mut listen.console_addresses)]
    {
        *addresses = parse_addresses(query.get(name)).unwrap_or_else(|| addresses.clone());
    }
    let asked = query.get("asked");
    let Ok(port) = query.get(asked).trim().parse::<Port>() else {
        return (false, visitor.t("setup_server.port_wrong"));
    };
    match check_port(&desk.wizard.own, &listen, asked, port) {
        Err(error) => (false, told(visitor, &error)),
        Ok(()) => (
            true,
            visitor.t(match port {
                Port::Off => "setup_server.port_off",
                Port::Number(0) => "setup_server.port_any",
                Port::Number(_) => "setup_server.port_free",
            }),
        ),
    }
}
