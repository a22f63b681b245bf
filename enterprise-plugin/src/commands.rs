//! The commands: `hearth plugin run enterprise …`, the API's, and ad-hoc ones.

use std::sync::Arc;

use hearth_plugin_api::json::{Value, json};
use hearth_plugin_api::{Command, CommandCall, Error, ErrorKind, Registrar, Result};

use crate::licence::office;
use crate::membership::{About, State};
use crate::plugin::{Enterprise, Obstacle};
use crate::store;

/// Sessions per second that a draining node closes unless told otherwise.
pub const DRAIN: u32 = 100;

impl Enterprise {
    pub(crate) fn register_commands(self: &Arc<Self>, registrar: &Registrar<'_>) -> Result<()> {
        let start = Command::new("start-evaluation", "Starts the evaluation: 30 days, 3 members.");
        registrar.command(start, self, Enterprise::start_evaluation)?;
        let install = Command::new("install-licence", "Installs a licence.").arguments(json!({
            "type": "object", "required": ["licence"],
            "properties": { "licence": {
                "type": "string", "contentMediaType": "text/plain", "description": "Its whole text."
            } }
        }));
        registrar.command(install, self, Enterprise::install_licence)?;
        let enable = Command::new("enable", "Enables clustering for all that share the database.");
        registrar.command(enable, self, Enterprise::enable)?;
        let disable = Command::new("disable", "Disables clustering: one node goes on alone.");
        registrar.command(disable, self, Enterprise::disable)?;
        let status = Command::new("status", "Tells who belongs to the cluster.").read_only();
        registrar.command(status, self, Enterprise::status)?;
        let drain = Command::new("drain", "Moves a node's users to the others.").arguments(json!({
            "type": "object",
            "properties": {
                "node": { "type": "integer", "description": "Its number; this node without it." },
                "per_second": { "type": "integer", "description": "Sessions; 0 stops draining." }
            }
        }));
        registrar.command(drain, self, Enterprise::drain)?;
        let check = "Compares what the nodes know of each other's sessions.";
        let check = Command::new("check-directory", check).read_only();
        registrar.command(check, self, Enterprise::check_directory)
    }

    async fn start_evaluation(self: Arc<Self>, call: CommandCall) -> Result<Value> {
        office::start_evaluation(&self.host, &call.actor).await?;
        self.clone().warn().await?;
        self.licence_json().await
    }

    async fn install_licence(self: Arc<Self>, call: CommandCall) -> Result<Value> {
        office::install(&self.host, call.text("licence")?, &call.actor).await?;
        self.clone().warn().await?;
        self.licence_json().await
    }

    async fn enable(self: Arc<Self>, call: CommandCall) -> Result<Value> {
        self.set_enabled(true, &call.actor).await?;
        self.status(call).await
    }

    async fn disable(self: Arc<Self>, call: CommandCall) -> Result<Value> {
        self.set_enabled(false, &call.actor).await?;
        self.status(call).await
    }

    /// Switches clustering on, unless something stands against it, or off.
    pub(crate) async fn set_enabled(&self, enabled: bool, actor: &str) -> Result<()> {
        let office = office::look(&self.host).await?;
        if let Some(obstacle) = self.obstacle(&office).filter(|_| enabled) {
            return Err(obstacle.into());
        }
        if store::set_enabled(&self.host, enabled, self.host.info().node).await? {
            let action = if enabled { "cluster.enable" } else { "cluster.disable" };
            self.host.audit(actor, action, "").await?;
        }
        self.clustering.hurry();
        Ok(())
    }

    /// `me`, `state` and `refused` (of this node), `epoch`, `enabled`, `obstacle` (null, or why it cannot be
    /// clustered), `licence`, `members`: each with `id`, `incarnation`, `name`, `state`, `sessions`,
    /// `versions`, `protocol` (its version of the one between nodes) and `addresses`; and `others` that share the database: `id`, `name`, `state`, `refused`
    /// (why they may not join) and `silent_ms`.
    async fn status(self: Arc<Self>, _: CommandCall) -> Result<Value> {
        let snapshot = store::snapshot(&self.host).await?;
        let office = office::look(&self.host).await?;
        let members = snapshot.view.members.iter().map(|member| {
            let about = snapshot.node(member.node).map(|row| &row.about);
            json!({
                "id": member.node,
                "incarnation": member.incarnation,
                "name": about.map(|about| &about.name),
                "state": about.map(|about| match about.state {
                    // The view is newer than its row.
                    State::Joining => State::Member,
                    state => state,
                }),
                "sessions": about.and_then(|about| about.figures.get("sessions")),
                "versions": about.map(|about| &about.versions),
                "protocol": about.map(|about| about.protocol),
                "addresses": about.map(|about| &about.addresses),
            })
        });
        let is_member = |node: u32| snapshot.view.members.iter().any(|member| member.node == node);
        let others = snapshot.nodes.iter().filter(|row| !is_member(row.member.node));
        let others = others.map(|row| {
            let About { name, state, refused, .. } = &row.about;
            let (id, silent_ms) = (row.member.node, row.silent_ms);
            json!({ "id": id, "name": name, "state": state, "refused": refused, "silent_ms": silent_ms })
        });
        Ok(json!({
            "me": self.host.info().node,
            "state": self.clustering.state(),
            "refused": self.clustering.refused(),
            "others": others.collect::<Vec<_>>(),
            "epoch": snapshot.view.epoch,
            "enabled": snapshot.enabled,
            "obstacle": self.obstacle(&office).map(|obstacle| obstacle.to_string()),
            "licence": self.licence_json().await?,
            "members": members.collect::<Vec<_>>(),
        }))
    }

    async fn licence_json(&self) -> Result<Value> {
        let office = office::look(&self.host).await?;
        let grant = office.standing.grant();
        Ok(json!({
            "standing": office.standing.to_string(),
            "holder": grant.and_then(|grant| grant.holder.as_ref()),
            "expires": grant.map(|grant| grant.expires.to_string()),
            "members": grant.map(|grant| grant.members),
            "clock_set_back": office.situation.is_set_back(),
        }))
    }

    async fn drain(self: Arc<Self>, call: CommandCall) -> Result<Value> {
        let number = |name: &str, default: u32| match &call.arguments[name] {
            Value::Null => Ok(default),
            value => value
                .as_u64()
                .and_then(|value| u32::try_from(value).ok())
                .ok_or_else(|| Error::invalid(format!("`{name}` takes a number from 0 on"))),
        };
        let node = number("node", self.host.info().node)?;
        let per_second = number("per_second", DRAIN)?;
        self.set_drain(node, per_second, &call.actor).await?;
        Ok(json!({ "node": node, "per_second": per_second }))
    }

    /// Asks a member to move its users away; 0 takes that back.
    pub(crate) async fn set_drain(&self, node: u32, per_second: u32, actor: &str) -> Result<()> {
        let view = store::snapshot(&self.host).await?.view;
        if !view.members.iter().any(|member| member.node == node) {
            let message = format!("node {node} is no member of the cluster: nothing to drain");
            return Err(Error::not_found(message));
        }
        store::set_drain(&self.host, node, per_second).await?;
        self.host.audit(actor, "cluster.drain", &format!("node {node}, {per_second}/s")).await
    }

    /// `equal`, and `nodes`: each other member with `node`, `equal`, the counts `here` (what this node
    /// knows) and `there` (what the other has), `differences` by address, and `error`.
    async fn check_directory(self: Arc<Self>, _: CommandCall) -> Result<Value> {
        if !self.clustering.has_seam() {
            return Err(Obstacle::NoSeam.into());
        }
        if !matches!(self.clustering.state(), State::Member | State::Draining) {
            let message = "this node does not belong to the cluster: there is nothing to compare";
            return Err(Error::unavailable(message));
        }
        let nodes = self.clustering.compare().await;
        let equal = nodes.iter().all(|node| node.equal);
        Ok(json!({ "me": self.host.info().node, "equal": equal, "nodes": nodes }))
    }
}

impl From<Obstacle> for Error {
    fn from(obstacle: Obstacle) -> Error {
        let kind = match obstacle {
            Obstacle::NoSeam => ErrorKind::Unavailable,
            Obstacle::Embedded | Obstacle::Licence(_) => ErrorKind::Invalid,
        };
        Error::new(kind, obstacle.to_string())
    }
}
