//! From a socket to a bound session: TLS, SASL, resource binding (RFC 6120), and registration.

use crate::error::{LoadError, Result};
use crate::link::Link;
use crate::options::{Mechanism, Target, Tls};
use crate::scan;
use crate::scram::{Hash, KeyCache, Scram};
use crate::tls;
use base64::{Engine, prelude::BASE64_STANDARD};
use ring::rand::{SecureRandom, SystemRandom};
use std::net::{SocketAddr, ToSocketAddrs};
use tokio_rustls::TlsConnector;

/// One account.
#[derive(Debug, Clone)]
pub struct Account {
    pub user: String,
    pub password: String,
}

/// Everything that all logins of a run share.
pub struct Dialer {
    server: SocketAddr,
    connector: TlsConnector,
    keys: KeyCache,
    random: SystemRandom,
    pub target: Target,
}

/// A bound session.
pub struct Session {
    pub link: Link,
    /// The full JID that the server bound.
    pub jid: String,
    /// Whether XEP-0198 was offered.
    pub offers_sm: bool,
}

impl Dialer {
    /// Resolves the server's address; nothing is connected yet.
    pub fn new(target: &Target) -> Result<Self> {
        let (host, port) = (target.host.as_str(), target.port());
        let doing = LoadError::io(format!("resolving {host}"));
        let mut found = (host, port).to_socket_addrs().map_err(doing)?.filter(|a| a.is_ipv4());
        let server = found
            .next()
            .ok_or_else(|| LoadError::Usage(format!("--host {host} has no IPv4 address")))?;
        Ok(Self {
            server,
            connector: tls::connector(target.tls == Tls::Direct),
            keys: KeyCache::default(),
            random: SystemRandom::new(),
            target: target.clone(),
        })
    }

    /// Connects and logs in. `index` chooses the source address.
    pub async fn log_in(&self, index: usize, account: &Account) -> Result<Session> {
        let login = async {
            let (mut link, features) = self.open(index).await?;
            self.authenticate(&mut link, &features, account).await?;
            link.framer.restart();
            let features = link.ask(&self.header()).await?;
            self.bind(link, &features).await
        };
        tokio::time::timeout(self.target.timeout(), login)
            .await
            .unwrap_or(Err(LoadError::Timeout("a login")))
    }

    /// Creates an account (XEP-0077 §3.1) over a connection of its own. Returns false when it was
    /// there already.
    pub async fn register(&self, index: usize, account: &Account) -> Result<bool> {
        let registration = async {
            let (mut link, _) = self.open(index).await?;
            let answer = link.ask(&registration(account, &self.target.domain)).await?;
            let outcome = match scan::attribute(&answer, b"type") {
                Some(b"result") => Ok(true),
                _ if scan::contains(&answer, "<conflict") => Ok(false),
                _ => Err(LoadError::refused("in-band registration", &answer)),
            };
            link.close().await?;
            outcome
        };
        tokio::time::timeout(self.target.timeout(), registration)
            .await
            .unwrap_or(Err(LoadError::Timeout("a registration")))
    }

    /// A connection with its stream open, secured as the options say, and the features.
    async fn open(&self, index: usize) -> Result<(Link, Vec<u8>)> {
        let sources = usize::from(self.target.sources);
        let source = index.checked_rem(sources).map_or(0, |turn| turn as u8 + 2);
        let mut server = self.server;
        server.set_port(self.target.port_of(index));
        let mut link = Link::connect(server, source).await?;
        let domain = &self.target.domain;
        match self.target.tls {
            Tls::None => {}
            Tls::Direct => link = link.start_tls(&self.connector, domain).await?,
            Tls::Starttls => {
                let features = link.ask(&self.header()).await?;
                if !scan::contains(&features, "<starttls") {
                    return Err(LoadError::NotOffered("STARTTLS".into()));
                }
                let request = b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";
                let answer = link.ask(request).await?;
                if scan::name(&answer) != b"proceed" {
                    return Err(LoadError::refused("STARTTLS", &answer));
                }
                link = link.start_tls(&self.connector, domain).await?;
            }
        }
        let features = link.ask(&self.header()).await?;
        Ok((link, features))
    }

    fn header(&self) -> Vec<u8> {
        let domain = &self.target.domain;
        format!(
            "<?xml version='1.0'?><stream:stream to='{domain}' version='1.0' \
             xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"
        )
        .into_bytes()
    }

    async fn authenticate(
        &self,
        link: &mut Link,
        features: &[u8],
        account: &Account,
    ) -> Result<()> {
        let mechanism = self.target.mechanism;
        if !scan::contains(features, &format!(">{}<", mechanism.name())) {
            return Err(LoadError::NotOffered(mechanism.name().into()));
        }
        let Account { user, password } = account;
        let hash = match mechanism {
            Mechanism::Plain => {
                let message = format!("\0{user}\0{password}");
                return success(&link.ask(&auth(mechanism, &message)).await?).map(|_| ());
            }
            Mechanism::ScramSha1 => Hash::Sha1,
            Mechanism::ScramSha256 => Hash::Sha256,
        };
        let mut scram = Scram::new(hash, user, password, self.nonce()?);
        let challenge = link.ask(&auth(mechanism, &scram.first())).await?;
        if scan::name(&challenge) != b"challenge" {
            return Err(LoadError::refused("login", &challenge));
        }
        let last = scram.last(&decoded(&challenge, "challenge")?, &self.keys)?;
        let response = format!(
            "<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>{}</response>",
            BASE64_STANDARD.encode(last)
        );
        scram.verify(&success(&link.ask(response.as_bytes()).await?)?)
    }

    fn nonce(&self) -> Result<String> {
        let mut bytes = [0; 18];
        let no_randomness = |_| LoadError::Usage("the system gives no random numbers".into());
        self.random.fill(&mut bytes).map_err(no_randomness)?;
        Ok(BASE64_STANDARD.encode(bytes))
    }

    async fn bind(&self, mut link: Link, features: &[u8]) -> Result<Session> {
        let request = format!(
            "<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>\
             <resource>{}</resource></bind></iq>",
            self.target.resource
        );
        let answer = link.ask(request.as_bytes()).await?;
        let jid = scan::content(&answer, "jid")
            .ok_or_else(|| LoadError::refused("resource binding", &answer))?;
        let jid = String::from_utf8_lossy(jid).into_owned();
        // RFC 3921 §3; servers of today mark it as optional and clients skip it then.
        if scan::content(features, "session").is_none_or(|inner| !scan::contains(inner, "optional"))
            && scan::contains(features, "<session")
        {
            let request = b"<iq type='set' id='session'>\
                <session xmlns='urn:ietf:params:xml:ns:xmpp-session'/></iq>";
            let answer = link.ask(request).await?;
            if scan::attribute(&answer, b"type") != Some(b"result") {
                return Err(LoadError::refused("session", &answer));
            }
        }
        Ok(Session { link, jid, offers_sm: scan::contains(features, "urn:xmpp:sm:3") })
    }
}

fn auth(mechanism: Mechanism, message: &str) -> Vec<u8> {
    let (name, message) = (mechanism.name(), BASE64_STANDARD.encode(message));
    format!("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='{name}'>{message}</auth>")
        .into_bytes()
}

fn registration(account: &Account, domain: &str) -> Vec<u8> {
    let Account { user, password } = account;
    format!(
        "<iq type='set' id='register' to='{domain}'><query xmlns='jabber:iq:register'>\
         <username>{user}</username><password>{password}</password></query></iq>"
    )
    .into_bytes()
}

/// The additional data of `<success/>`, empty when there is none.
fn success(answer: &[u8]) -> Result<String> {
    if scan::name(answer) != b"success" {
        return Err(LoadError::refused("login", answer));
    }
    decoded(answer, "success")
}

fn decoded(element: &[u8], name: &str) -> Result<String> {
    let text = scan::content(element, name).unwrap_or_default();
    let bytes = BASE64_STANDARD.decode(text).ok();
    bytes
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .ok_or_else(|| LoadError::Protocol("SASL data that is no base64 text".into()))
}
