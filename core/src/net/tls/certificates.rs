//! The certificate folder, and what serves from it while its files are replaced.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use rustls::ServerConfig;
use rustls::pki_types::CertificateDer;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::described::{Described, covers};
use super::identity::Identity;
use super::{CertificateError, Service, Tls, TlsError, self_signed};
use crate::clock::Timestamp;

/// PEM: the server's certificate, then its intermediates (certbot's name).
pub const CHAIN_FILE: &str = "fullchain.pem";
/// PEM: the private key, without a passphrase (certbot's name).
pub const KEY_FILE: &str = "privkey.pem";

/// The extension of what is about to be served.
const NEXT: &str = "next";

/// The certificate of one domain, read from a folder and replaced while the server runs.
pub struct Certificates {
    chain: PathBuf,
    key: PathBuf,
    /// The domain and the machine's own name.
    names: [String; 2],
    current: ArcSwap<Identity>,
    /// What the files looked like when they were last read, with success or not.
    tried: Mutex<Stamp>,
}

impl Certificates {
    /// Reads [`CHAIN_FILE`] and [`KEY_FILE`] in `folder`. If neither exists, a self-signed certificate
    /// for the domain and the machine's own name (empty: none) is written first.
    pub fn open(
        folder: &Path,
        names: [&str; 2],
        now: SystemTime,
    ) -> Result<Arc<Certificates>, CertificateError> {
        let (chain, key) = (folder.join(CHAIN_FILE), folder.join(KEY_FILE));
        match (exists(&chain)?, exists(&key)?) {
            (true, true) => {}
            (false, false) => self_signed::create(&chain, &key, names, now)?,
            (true, false) => return Err(CertificateError::Half { missing: key, present: chain }),
            (false, true) => return Err(CertificateError::Half { missing: chain, present: key }),
        }
        let stamp = Stamp::of(&chain, &key);
        let identity = Identity::load(&chain, &key).or_else(|error| {
            // A server that died between the two renames of an installation left the new chain.
            let next = chain.with_extension(NEXT);
            match (Identity::load(&next, &key), error) {
                (Ok(identity), CertificateError::Mismatch { .. }) => {
                    rename(&next, &chain).map(|()| identity)
                }
                (_, error) => Err(error),
            }
        })?;
        identity.warn_of_expiry(&chain, now);
        let (current, tried) = (ArcSwap::from_pointee(identity), Mutex::new(stamp));
        Ok(Arc::new(Certificates { chain, key, names: names.map(str::to_owned), current, tried }))
    }

    /// Reads the files again. New handshakes get the new certificate, connections stay as they are; on
    /// an error the old certificate is served on.
    pub fn reload(&self, now: SystemTime) -> Result<(), CertificateError> {
        let mut tried = self.tried.lock();
        *tried = Stamp::of(&self.chain, &self.key);
        let identity = Identity::load(&self.chain, &self.key)?;
        identity.warn_of_expiry(&self.chain, now);
        self.current.store(Arc::new(identity));
        tracing::info!(chain = %self.chain.display(), "certificate reloaded");
        Ok(())
    }

    /// [`Certificates::reload`] if a file was replaced or edited since the last attempt. Returns
    /// whether a new certificate is served now.
    pub fn reload_if_changed(&self, now: SystemTime) -> Result<bool, CertificateError> {
        if *self.tried.lock() == Stamp::of(&self.chain, &self.key) {
            return Ok(false);
        }
        self.reload(now).map(|()| true)
    }

    /// Serves this PEM chain and key from now on, and writes them to the folder. They must belong
    /// together, be valid at `now` and be for `domain`.
    pub fn install(
        &self,
        [chain, key]: [&str; 2],
        domain: &str,
        now: SystemTime,
    ) -> Result<(), CertificateError> {
        let names = [Path::new("the chain"), Path::new("the key")];
        let parsed = Identity::parse((chain.as_bytes(), names[0]), (key.as_bytes(), names[1]))?;
        check(&parsed.chain[0], domain, now)?;
        let mut tried = self.tried.lock();
        let next = self.next();
        self_signed::write_atomically(&next[1], key, 0o600)?;
        self_signed::write_atomically(&next[0], chain, 0o600)?;
        self.take_next(&mut tried)
    }

    /// Makes a new key and a self-signed certificate for the names that it was opened for, and
    /// serves it from now on.
    pub fn self_sign(&self, now: SystemTime) -> Result<(), CertificateError> {
        let mut tried = self.tried.lock();
        let [chain, key] = self.next();
        self_signed::create(&chain, &key, self.names.each_ref().map(String::as_str), now)?;
        self.take_next(&mut tried)
    }

    fn next(&self) -> [PathBuf; 2] {
        [self.chain.with_extension(NEXT), self.key.with_extension(NEXT)]
    }

    /// Puts what is ready in the place of what is served. The key goes first: see
    /// [`Certificates::open`].
    fn take_next(&self, tried: &mut Stamp) -> Result<(), CertificateError> {
        let [chain, key] = self.next();
        let identity = Identity::load(&chain, &key)?;
        rename(&key, &self.key)?;
        rename(&chain, &self.chain)?;
        *tried = Stamp::of(&self.chain, &self.key);
        self.current.store(Arc::new(identity));
        tracing::info!(chain = %self.chain.display(), "another certificate is served");
        Ok(())
    }

    /// The chain that is served, the server's certificate first.
    pub fn describe(&self) -> Vec<Described> {
        self.current.load().chain.iter().filter_map(Described::of).collect()
    }

    /// Whether the served certificate is for `domain`.
    pub fn covers(&self, domain: &str) -> bool {
        self.current.load().chain.first().is_some_and(|leaf| covers(leaf, domain))
    }

    /// Looks at the files once per `period` until `stop`, and reloads them when they change.
    pub async fn watch(
        self: Arc<Self>,
        period: Duration,
        now: fn() -> SystemTime,
        stop: CancellationToken,
    ) {
        let mut ticks = tokio::time::interval(period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
            let certificates = self.clone();
            let look = move || certificates.reload_if_changed(now());
            match tokio::task::spawn_blocking(look).await {
                Ok(Err(error)) => tracing::warn!(%error, "still serving the old certificate"),
                Err(error) => tracing::error!(%error, "reading the certificate failed"),
                Ok(Ok(_)) => {}
            }
        }
    }

    /// When the served certificate ends.
    pub fn not_after(&self) -> SystemTime {
        self.current.load().not_after
    }

    /// What a listener needs to serve this certificate, now and after reloads.
    pub fn acceptor(self: &Arc<Self>, service: Service) -> TlsAcceptor {
        TlsAcceptor { certificates: self.clone(), service }
    }
}

/// Starts TLS on accepted connections, always with the certificate of the moment.
#[derive(Clone)]
pub struct TlsAcceptor {
    certificates: Arc<Certificates>,
    service: Service,
}

impl TlsAcceptor {
    /// The configuration of the moment, for libraries that bring their own TLS stream (HTTP).
    pub fn config(&self) -> Arc<ServerConfig> {
        self.certificates.current.load().config(self.service).clone()
    }

    pub(in crate::net) fn start(&self) -> Result<Box<Tls>, TlsError> {
        Tls::new(&self.certificates.current.load(), self.service)
    }
}

/// Whether clients of `domain` accept the certificate at `now`, its issuer aside.
fn check(
    certificate: &CertificateDer<'_>,
    domain: &str,
    now: SystemTime,
) -> Result<(), CertificateError> {
    let path = || PathBuf::from("the chain");
    let described = Described::of(certificate)
        .ok_or_else(|| CertificateError::NoCertificate { path: path() })?;
    if !(described.not_before..described.not_after).contains(&now) {
        let [from, to, now] = [described.not_before, described.not_after, now]
            .map(|at| Timestamp::from(at).to_string());
        return Err(CertificateError::OutOfDate { from, to, now });
    }
    match covers(certificate, domain) {
        true => Ok(()),
        false => {
            let (domain, names) = (domain.to_owned(), described.names);
            Err(CertificateError::Elsewhere { domain, names })
        }
    }
}

fn rename(from: &Path, to: &Path) -> Result<(), CertificateError> {
    std::fs::rename(from, to)
        .map_err(|source| CertificateError::Unwritable { path: to.into(), source })
}

/// Time of change and length of chain and key: enough to notice a replacement.
#[derive(PartialEq, Eq)]
struct Stamp([Option<(SystemTime, u64)>; 2]);

impl Stamp {
    fn of(chain: &Path, key: &Path) -> Stamp {
        Stamp([chain, key].map(|path| {
            let metadata = path.metadata().ok()?;
            Some((metadata.modified().ok()?, metadata.len()))
        }))
    }
}

fn exists(path: &Path) -> Result<bool, CertificateError> {
    path.try_exists().map_err(|source| CertificateError::Unreadable { path: path.into(), source })
}
