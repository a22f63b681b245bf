//! One accept loop per HTTP port.

use std::sync::Arc;

use hyper::Request;
use hyper::StatusCode;
use hyper::body::Incoming;
use hyper::header::HOST;
use tokio::sync::Semaphore;

use super::routes::{plain, redirect};
use super::{Peer, Response, Routes, Settings, connection, health};
use crate::net::listener::Listener;
use crate::net::tls::TlsAcceptor;
use crate::shutdown::Tracker;

/// What an unencrypted port does for clients that are not on this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plain {
    /// Serves them like everybody (7070: behind a proxy that ends TLS).
    Serve,
    /// Serves health checks only, and sends the rest to this encrypted port (9090).
    Redirect(u16),
    /// Serves health checks only: the encrypted port is switched off.
    Refuse,
}

/// What stands behind a port.
#[derive(Clone)]
pub enum Door {
    Plain(Plain),
    Tls(TlsAcceptor),
}

/// One HTTP port: what is mounted, and how it is opened.
#[derive(Clone)]
pub struct Server {
    pub routes: Arc<Routes>,
    pub door: Door,
    pub settings: Settings,
    pub tracker: Tracker,
}

impl Server {
    /// Accepts until the soft stop. Connections above the limit wait in the kernel's queue.
    pub async fn serve(self, listener: Listener) {
        let slots = Arc::new(Semaphore::new(self.settings.limits().connections));
        let soft = self.tracker.soft().clone();
        let accept = listener.serve(slots, soft, |stream, address, permit| {
            let server = self.clone();
            self.tracker.spawn("http connection", async move {
                connection::run(server, stream, Peer { address, secure: false }).await;
                drop(permit);
            });
        });
        accept.await;
    }

    /// Answers one request of a connection.
    pub(super) async fn answer(&self, request: Request<Incoming>, peer: Peer) -> Response {
        match self.turn_away(&request, peer) {
            Some(response) => response,
            None => {
                let visitor = self.settings.visitor(peer, request.headers());
                self.routes.answer(request, visitor).await
            }
        }
    }

    /// The answer to a client from elsewhere that should come encrypted.
    fn turn_away(&self, request: &Request<Incoming>, peer: Peer) -> Option<Response> {
        let Door::Plain(plain_door) = self.door else { return None };
        if peer.is_local() || health::PATHS.contains(&request.uri().path()) {
            return None;
        }
        let refused = || plain(StatusCode::FORBIDDEN, "Only served on the machine itself.\n");
        match plain_door {
            Plain::Serve => None,
            Plain::Refuse => Some(refused()),
            Plain::Redirect(port) => Some(
                redirect(request.uri(), request.headers().get(HOST), port).unwrap_or_else(refused),
            ),
        }
    }
}
