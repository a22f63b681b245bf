//! Which ports to open (`hearth.toml`), and which are open (`run/ports.json`).

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::str::FromStr;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{ConfigError, write_atomically};

/// A port number, 0 to let the system pick one, or `"off"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Port {
    Off,
    Number(u16),
}

/// The ports of a node, as Openfire administrators know them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Ports {
    pub c2s: Port,
    pub c2s_tls: Port,
    pub s2s: Port,
    pub s2s_tls: Port,
    pub component: Port,
    pub http: Port,
    pub https: Port,
    pub console: Port,
    pub console_tls: Port,
}

impl Default for Ports {
    fn default() -> Ports {
        Ports {
            c2s: Port::Number(5222),
            c2s_tls: Port::Number(5223),
            s2s: Port::Number(5269),
            s2s_tls: Port::Number(5270),
            component: Port::Number(5275),
            http: Port::Number(7070),
            https: Port::Number(7443),
            console: Port::Number(9090),
            console_tls: Port::Number(9091),
        }
    }
}

impl Ports {
    /// Every port picked by the system, for tests and several nodes on one machine.
    pub fn ephemeral() -> Ports {
        let any = Port::Number(0);
        Ports {
            c2s: any,
            c2s_tls: any,
            s2s: any,
            s2s_tls: any,
            component: any,
            http: any,
            https: any,
            console: any,
            console_tls: any,
        }
    }

    /// Every port with its key in `hearth.toml`.
    pub fn named(&self) -> [(&'static str, Port); 9] {
        self.clone().named_mut().map(|(name, port)| (name, *port))
    }

    pub fn named_mut(&mut self) -> [(&'static str, &mut Port); 9] {
        [
            ("c2s", &mut self.c2s),
            ("c2s_tls", &mut self.c2s_tls),
            ("s2s", &mut self.s2s),
            ("s2s_tls", &mut self.s2s_tls),
            ("component", &mut self.component),
            ("http", &mut self.http),
            ("https", &mut self.https),
            ("console", &mut self.console),
            ("console_tls", &mut self.console_tls),
        ]
    }

    /// Whether this is a port of the console; those listen on addresses of their own.
    pub fn is_console(name: &str) -> bool {
        name.starts_with("console")
    }
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Port::Off => f.write_str("off"),
            Port::Number(number) => write!(f, "{number}"),
        }
    }
}

/// The text is none of a number up to 65535 and `off`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoPort;

impl FromStr for Port {
    type Err = NoPort;

    fn from_str(text: &str) -> Result<Port, NoPort> {
        match text {
            "off" => Ok(Port::Off),
            number => number.parse().map(Port::Number).map_err(|_| NoPort),
        }
    }
}

/// The ports that listen now. Names that are absent are closed (on standby only the console's
/// are there); plugins add names of their own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct OpenPorts {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub c2s: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub c2s_tls: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub s2s: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub s2s_tls: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub component: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub https: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub console: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub console_tls: Option<u16>,
    #[serde(flatten)]
    pub others: BTreeMap<String, u16>,
}

impl OpenPorts {
    /// Writes `run/ports.json`, once all listeners accept.
    pub fn write(&self, path: &Path) -> Result<(), ConfigError> {
        let json = serde_json::to_vec(self).map_err(std::io::Error::from);
        json.and_then(|json| write_atomically(path, &json, 0o644))
            .map_err(|source| ConfigError::File { path: path.to_owned(), source })
    }

    /// Reads `run/ports.json`: where the command line finds the running server.
    pub fn read(path: &Path) -> Result<OpenPorts, ConfigError> {
        let failed = |source| ConfigError::File { path: path.to_owned(), source };
        let json = std::fs::read(path).map_err(failed)?;
        serde_json::from_slice(&json).map_err(|e| failed(e.into()))
    }
}

impl Serialize for Port {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Port::Off => serializer.serialize_str("off"),
            Port::Number(number) => serializer.serialize_u16(*number),
        }
    }
}

impl<'de> Deserialize<'de> for Port {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Port, D::Error> {
        deserializer.deserialize_any(PortVisitor)
    }
}

struct PortVisitor;

impl Visitor<'_> for PortVisitor {
    type Value = Port;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a port from 0 (any) to 65535, or \"off\"")
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Port, E> {
        let wrong = |_| E::invalid_value(de::Unexpected::Signed(number), &self);
        u16::try_from(number).map(Port::Number).map_err(wrong)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Port, E> {
        match text {
            "off" => Ok(Port::Off),
            other => Err(E::invalid_value(de::Unexpected::Str(other), &self)),
        }
    }
}
