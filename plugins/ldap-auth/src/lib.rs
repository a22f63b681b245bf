//! Users, groups and passwords of an LDAP directory. README.md says what it does.

mod connection;
mod error;
mod filter;
mod page;
mod search;
mod settings;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod slapd;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;

use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use hearth_plugin_api::runtime::Runtime;
use hearth_plugin_api::{
    Auth, Capability, Directory, Error, ErrorKind, Group, Host, Manifest, Page, Plugin, Query,
    Registrar, Result, Source, User, Verified, export_plugin, manifest,
};

use connection::Connection;
use error::LdapFault;
use settings::Settings;

struct LdapAuth {
    host: Host,
    /// `ldap3` needs tokio.
    runtime: OnceLock<Runtime>,
    /// Which server answered last: the next question begins there.
    answering: Arc<AtomicUsize>,
}

impl Plugin for LdapAuth {
    fn manifest() -> Manifest {
        let asks = [Capability::Auth, Capability::Directory, Capability::Console];
        manifest!().name("LDAP").readme(include_str!("../README.md")).asks_for(&asks)
    }

    fn create(host: Host) -> Result<LdapAuth> {
        Ok(LdapAuth { host, runtime: OnceLock::new(), answering: Arc::default() })
    }

    fn register(self: &Arc<Self>, registrar: &Registrar<'_>) -> Result<()> {
        for property in settings::properties() {
            registrar.property(property)?;
        }
        // Behind the server's own accounts: its administrator can sign in whatever the directory does.
        registrar.auth(Source::new("ldap"), self)?;
        registrar.directory(Source::new("ldap"), self)?;
        registrar.page(Page::new("ldap", "LDAP").in_tab("users"), self, LdapAuth::page)
    }

    async fn start(self: Arc<Self>) -> Result<()> {
        let _ = self.runtime.set(Runtime::new("ldap-auth")?);
        Ok(())
    }

    async fn stop(self: Arc<Self>, deadline: Duration) -> Result<()> {
        if let Some(runtime) = self.runtime.get() {
            runtime.shutdown(deadline / 2);
        }
        Ok(())
    }
}

impl LdapAuth {
    /// The settings; `None` while no server is named, when nobody is asked.
    fn settings(&self) -> Result<Option<Settings>> {
        Ok(Settings::read(&self.host)?)
    }

    /// Runs what needs tokio where it is. What goes wrong is logged, without any password.
    async fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, LdapFault>> + Send + 'static,
    ) -> Result<T> {
        let stopped = || Error::new(ErrorKind::Stopped, "the plugin does not run");
        let runtime = self.runtime.get().ok_or_else(stopped)?;
        let done = runtime.run(async move { work.await.map_err(Error::from) }).await;
        done.inspect_err(|error| self.host.warn(&error.message))
    }

    /// Begins when it is awaited, in the runtime.
    fn connect(
        &self,
        settings: Settings,
    ) -> impl Future<Output = Result<Connection, LdapFault>> + Send + use<> {
        let answering = self.answering.clone();
        async move { Connection::open(settings, &answering).await }
    }
}

impl Auth for LdapAuth {
    async fn verify(&self, user: &str, password: &str) -> Result<Verified> {
        let Some(settings) = self.settings()? else { return Ok(Verified::Unknown) };
        let (connecting, user, password) =
            (self.connect(settings), user.to_owned(), password.to_owned());
        let verified = self.run(async move {
            let mut connection = connecting.await?;
            let verified = connection.verify(&user, &password).await;
            connection.close().await;
            verified
        });
        let verified = verified.await?;
        let result = match verified {
            Verified::Accepted => "accepted",
            Verified::Refused => "refused",
            Verified::Unknown => "unknown",
        };
        self.host.count("verified", &[("result", result)], 1);
        Ok(verified)
    }
}

impl Directory for LdapAuth {
    async fn user(&self, name: &str) -> Result<Option<User>> {
        let Some(settings) = self.settings()? else { return Ok(None) };
        let (connecting, name) = (self.connect(settings), name.to_owned());
        let found = self.run(async move {
            let mut connection = connecting.await?;
            let found = connection.find(&name).await;
            connection.close().await;
            Ok(found?.map(|(_, user)| user))
        });
        found.await
    }

    async fn users(&self, query: Query) -> Result<Vec<User>> {
        let Some(settings) = self.settings()? else { return Ok(Vec::new()) };
        let connecting = self.connect(settings);
        let users = self.run(async move {
            let mut connection = connecting.await?;
            let users = connection.users(&query).await;
            connection.close().await;
            users
        });
        users.await
    }

    async fn groups(&self, query: Query) -> Result<Vec<Group>> {
        let Some(settings) = self.settings()? else { return Ok(Vec::new()) };
        let connecting = self.connect(settings);
        let groups = self.run(async move {
            let mut connection = connecting.await?;
            let groups = connection.groups(&query).await;
            connection.close().await;
            groups
        });
        groups.await
    }

    async fn members(&self, group: &str) -> Result<Vec<String>> {
        let Some(settings) = self.settings()? else { return Ok(Vec::new()) };
        let (connecting, group) = (self.connect(settings), group.to_owned());
        let members = self.run(async move {
            let mut connection = connecting.await?;
            let members = connection.members(&group).await;
            connection.close().await;
            members
        });
        members.await
    }
}

export_plugin!(LdapAuth);
