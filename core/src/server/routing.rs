//! What routes stanzas: the router and all that it stands on, without the streams. The command line
//! has it too when no server runs.

use std::sync::{Arc, Weak};

use super::Foundation;
use crate::admin::Administrators;
use crate::auth::accounts::Accounts;
use crate::host::HostId;
use crate::im::{self, Im};
use crate::jid::Jid;
use crate::ns;
use crate::router::cluster::{self, Nodes};
use crate::router::{Hosts, IqTable, Out, Request, Router, Target, Unreachable};
use crate::services::archive::{self, Archive};
use crate::services::commands::Commands;
use crate::services::groups::Groups;
use crate::services::removal::Removal;
use crate::session::Registry;
use crate::telemetry::metrics::series;
use crate::xep::adhoc::Dialogues;
use crate::xep::register::Registration;
use crate::xep::{self, Services};

/// The router, and who works with it.
pub struct Routing {
    pub router: Arc<Router>,
    pub removal: Removal,
    pub services: Arc<Services>,
}

impl Routing {
    /// Builds everything, in the order in which a stanza meets it backwards. `domain` is the one
    /// that set-up has checked.
    pub fn build(foundation: &Foundation, domain: &str) -> Routing {
        let Foundation {
            clock, tracker, metrics, db, accounts, properties, events, plugins, ..
        } = foundation;
        let domain = Jid::parse(domain).expect("set-up has checked the domain");
        let hosts = Arc::new(Hosts::new(domain));
        let registry = Arc::new(Registry::default());
        let im = Im::new(im::Parts {
            db: db.clone(),
            registry: registry.clone(),
            hosts: hosts.clone(),
            directory: accounts.clone(),
            clock: clock.clone(),
            tracker: tracker.clone(),
            settings: im::Settings::of(properties),
            events: events.clone(),
        });
        let archive = Archive::new(db.clone(), properties.live(&archive::ENABLED), events);
        let nodes = Nodes::new(cluster::Parts {
            registry: registry.clone(),
            clock: clock.clone(),
            tracker: tracker.clone(),
        });
        follow_accounts(accounts, &nodes);
        let removal = Removal {
            accounts: accounts.clone(),
            im: im.clone(),
            archive: archive.clone(),
            groups: Groups(db.clone()),
            registry: registry.clone(),
            nodes: nodes.clone(),
            hosts: hosts.clone(),
            offices: Arc::new(Administrators(db.clone())),
        };
        let services = Arc::new(Services {
            hosts: hosts.clone(),
            accounts: accounts.clone(),
            im: im.clone(),
            removal: removal.clone(),
            registration: Registration::new(properties, clock),
            disco: xep::disco(),
            commands: Arc::downgrade(plugins) as Weak<dyn Commands>,
            dialogues: Dialogues::default(),
            clock: clock.clone(),
            started: clock.now(),
        });
        let router = Arc::new(Router {
            hosts,
            registry,
            directory: accounts.clone(),
            im,
            archive,
            nodes,
            iqs: iqs(&services),
            guests: Arc::default(),
            events: events.clone(),
            remote: Arc::new(Unreachable),
            clock: clock.clone(),
            messages: metrics
                .counter(series("hearth_messages_total", "Messages that came to be routed.")),
        });
        router.im.set_router(&router);
        router.nodes.set_router(&router);
        Routing { router, removal, services }
    }
}

/// The topic of changed accounts: number of the host and prepared name.
const ACCOUNT: &str = "account";

/// What is remembered of accounts is forgotten on all nodes when one of them changes it.
fn follow_accounts(accounts: &Arc<Accounts>, nodes: &Arc<Nodes>) {
    let told = Arc::downgrade(nodes);
    accounts.on_change(move |host, name| {
        if let Some(nodes) = told.upgrade() {
            nodes.invalidate(ACCOUNT, &format!("{}/{name}", host.0));
        }
    });
    let accounts = accounts.clone();
    nodes.listen(ACCOUNT, move |key| match key.split_once('/') {
        Some((host, name)) if host.parse().is_ok_and(|host: i32| host == HostId::FIRST.0) => {
            accounts.invalidate(HostId::FIRST, name);
        }
        _ => accounts.forget_all(),
    });
}

fn iqs(services: &Arc<Services>) -> IqTable {
    let mut table = IqTable::default();
    xep::register_all(&mut table, services);
    let im = services.im.clone();
    table.register(ns::ROSTER, &[Target::Own], move |request: Request, out: &mut Out| {
        if let Some(session) = &request.session {
            im.roster_iq(session, request.stanza, out);
        }
    });
    // RFC 3921 §3: clients of that time ask for a session after binding; it is there already.
    table.register(
        ns::SESSION,
        &[Target::Server, Target::Own],
        |request: Request, out: &mut Out| {
            out.route(request.stanza.result());
        },
    );
    table
}
