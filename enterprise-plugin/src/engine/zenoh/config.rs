//! The engine's configuration, each value for a reason. A key that the engine does not know is an error.

use std::net::SocketAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hearth_plugin_api::json::{Value, json};

use crate::authority::Identity;

/// What differs from node to node.
pub struct Settings<'s> {
    pub identity: &'s Identity,
    pub listen: SocketAddr,
    /// Addresses of the others.
    pub connect: Vec<String>,
}

impl Settings<'_> {
    pub fn config(&self) -> zenoh::Result<zenoh::Config> {
        let mut config = zenoh::Config::default();
        for (key, value) in self.values() {
            config.insert_json5(key, &value.to_string())?;
        }
        Ok(config)
    }

    fn values(&self) -> Vec<(&'static str, Value)> {
        let connect = self.connect.iter().map(|address| format!("tls/{address}"));
        let base64 = |pem: &str| json!(STANDARD.encode(pem));
        let Identity { authority, certificate, key, .. } = self.identity;
        vec![
            ("mode", json!("peer")),
            // The addresses are in the database.
            ("scouting/multicast/enabled", json!(false)),
            ("scouting/delay", json!(0)),
            ("listen/endpoints", json!([format!("tls/{}", self.listen)])),
            ("listen/exit_on_failure", json!(true)),
            ("connect/endpoints", json!(connect.collect::<Vec<_>>())),
            // In the background: a peer that hangs does not keep this one from beginning.
            ("connect/timeout_ms", json!(-1)),
            ("connect/exit_on_failure", json!(false)),
            (
                "connect/retry",
                json!({ "period_init_ms": 100, "period_max_ms": 1000, "period_increase_factor": 2 }),
            ),
            // Nothing but TLS is accepted.
            ("transport/link/protocols", json!(["tls"])),
            // A silent node is noticed after it, at the latest.
            ("transport/link/tx/lease", json!(2000)),
            // In microseconds; below the lease, or a node that hangs stalls the others.
            (
                "transport/link/tx/queue/congestion_control/block/wait_before_close",
                json!(1_000_000),
            ),
            ("transport/link/tls/enable_mtls", json!(true)),
            // Nodes are known by the authority; their addresses may change.
            ("transport/link/tls/verify_name_on_connect", json!(false)),
            ("transport/link/tls/root_ca_certificate_base64", base64(authority)),
            ("transport/link/tls/listen_certificate_base64", base64(certificate)),
            ("transport/link/tls/listen_private_key_base64", base64(key)),
            ("transport/link/tls/connect_certificate_base64", base64(certificate)),
            ("transport/link/tls/connect_private_key_base64", base64(key)),
        ]
    }
}
