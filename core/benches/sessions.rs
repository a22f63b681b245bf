//! What a session costs in memory beside its socket: signs accounts in over connections within the
//! process and prints the growth for every tenth of them.
//! `cargo bench -p hearth --bench sessions -- 1000000`

use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use base64::{Engine, prelude::BASE64_STANDARD};
use hearth::auth::credentials::{Credentials, SALT_LEN};
use hearth::auth::profile::Profile;
use hearth::auth::store;
use hearth::clock::Random;
use hearth::config::{Config, Home};
use hearth::host::HostId;
use hearth::net::Io;
use hearth::net::memory::Memory;
use hearth::net::tls::Certificates;
use hearth::server::xmpp::Xmpp;
use hearth::server::{Foundation, Routing};
use hearth::storage::lease::{Lease, Seat};
use ring::{digest, hmac, pbkdf2};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const DOMAIN: &str = "localhost";
const PASSWORD: &str = "secret";
const SALT: [u8; SALT_LEN] = [7; SALT_LEN];
const ITERATIONS: NonZeroU32 = NonZeroU32::new(4096).expect("it is not 0");
/// Accounts made in one transaction.
const BATCH: usize = 5_000;
/// Logins under way at once.
const CONCURRENCY: usize = 32;
/// The first sessions pay for what all share.
const WARM_UP: usize = 1_000;

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

#[tokio::main]
async fn main() -> Outcome<()> {
    // Cargo adds `--bench`.
    let given = std::env::args().skip(1).find_map(|word| word.parse().ok());
    let sessions: usize = given.unwrap_or(100_000);
    let folder = tempfile::tempdir()?;
    let server = Arc::new(Server::start(&Home::new(folder.path())).await?);
    server.make_accounts(WARM_UP + sessions).await?;

    let mut held = server.sign_in(0..WARM_UP).await?;
    let (before, step) = (memory()?, sessions.div_ceil(10));
    println!("{:>9} {:>9} {:>16}", "sessions", "KB each", "logins per second");
    for from in (0..sessions).step_by(step) {
        let (to, begun) = ((from + step).min(sessions), Instant::now());
        held.extend(server.sign_in(WARM_UP + from..WARM_UP + to).await?);
        let rate = (to - from) as f64 / begun.elapsed().as_secs_f64();
        let each = memory()?.saturating_sub(before) as f64 / to as f64 / 1024.0;
        println!("{to:>9} {each:>9.2} {rate:>16.0}");
    }
    Ok(())
}

struct Server {
    foundation: Foundation,
    xmpp: Xmpp,
    proof: Proof,
}

impl Server {
    async fn start(home: &Home) -> Outcome<Server> {
        home.create()?;
        let config = Config::load(home, &Default::default(), &Random::system())?;
        let certificates = config.certificates(home);
        let foundation = Foundation::open(home.clone(), config).await?;
        foundation.properties.set("c2s.starttls", "optional", "bench").await?;
        let routing = Routing::build(&foundation, DOMAIN);
        let certificates = Certificates::open(&certificates, [DOMAIN, ""], SystemTime::now())?;
        let seat = Seat::new(&foundation.clock);
        Lease::new(foundation.db.clone(), seat.clone()).renew().await;
        let xmpp = Xmpp::build(&foundation, &routing, &certificates, &seat);
        xmpp.connect();
        foundation.tracker.spawn("appends", foundation.db.run_appends());
        Ok(Server { foundation, xmpp, proof: Proof::new() })
    }

    /// All have the same keys: what is measured knows nothing of it.
    async fn make_accounts(&self, count: usize) -> Outcome<()> {
        let credentials = Credentials::derive(PASSWORD, &[SALT; 3], ITERATIONS);
        let now = self.foundation.clock.now();
        for from in (0..count).step_by(BATCH) {
            let credentials = credentials.clone();
            let make = self.foundation.db.write(move |tx| {
                Box::pin(async move {
                    let profile = Profile::default();
                    for number in from..(from + BATCH).min(count) {
                        let name = format!("user{number}");
                        if let Some(id) =
                            store::create(tx, HostId::FIRST, &name, &profile, now).await?
                        {
                            store::set_credentials(tx, id, &credentials).await?;
                        }
                    }
                    Ok(())
                })
            });
            make.await?;
        }
        Ok(())
    }

    /// The clients' ends of the sessions of these accounts.
    async fn sign_in(self: &Arc<Self>, users: std::ops::Range<usize>) -> Outcome<Vec<Memory>> {
        let share = users.len().div_ceil(CONCURRENCY).max(1);
        let lanes = users.clone().step_by(share).map(|from| {
            let (server, to) = (self.clone(), (from + share).min(users.end));
            tokio::spawn(async move {
                let mut held = Vec::with_capacity(to - from);
                for user in from..to {
                    held.push(server.log_in(user).await?);
                }
                Outcome::Ok(held)
            })
        });
        let mut all = Vec::with_capacity(users.len());
        for lane in lanes.collect::<Vec<_>>() {
            all.extend(lane.await??);
        }
        Ok(all)
    }

    /// From the stream header to the presence that comes back.
    async fn log_in(self: &Arc<Self>, user: usize) -> Outcome<Memory> {
        let (io, peer) = Io::memory();
        let address = Ipv4Addr::from_bits(0x0A00_0000 + user as u32);
        let (server, address) = (self.clone(), SocketAddr::new(address.into(), 5222));
        let serve = async move { server.xmpp.serve(io, address).await };
        self.foundation.tracker.spawn("client", serve);

        let mut client = Client { peer, read: Vec::new() };
        let header = format!(
            "<stream:stream to='{DOMAIN}' version='1.0' xmlns='jabber:client' \
             xmlns:stream='http://etherx.jabber.org/streams'>"
        );
        client.ask(&header, "</stream:features>").await?;
        let first = format!("n=user{user},r=bench{user}");
        let auth = BASE64_STANDARD.encode(format!("n,,{first}"));
        let auth = format!(
            "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='SCRAM-SHA-1'>{auth}</auth>"
        );
        let challenge = client.ask(&auth, "</challenge>").await?;
        let last = BASE64_STANDARD.encode(self.proof.last(&first, &challenge)?);
        let response =
            format!("<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>{last}</response>");
        client.ask(&response, "</success>").await?;
        client.ask(&header, "</stream:features>").await?;
        let bind = "<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>\
            <resource>bench</resource></bind></iq>";
        client.ask(bind, "</iq>").await?;
        client.ask("<presence/>", "<presence").await?;
        Ok(client.peer)
    }
}

struct Client {
    peer: Memory,
    read: Vec<u8>,
}

impl Client {
    /// Sends and reads until `end` has come; returns what was read.
    async fn ask(&mut self, request: &str, end: &str) -> Outcome<String> {
        self.read.clear();
        self.peer.write_all(request.as_bytes()).await?;
        loop {
            if self.peer.read_buf(&mut self.read).await? == 0 {
                return Err(format!("the stream ended: {self:?}").into());
            }
            let text = String::from_utf8_lossy(&self.read);
            if text.contains(end) {
                return Ok(text.into_owned());
            }
            if text.contains("<failure") || text.contains("<stream:error") {
                return Err(text.into_owned().into());
            }
        }
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.read))
    }
}

/// The client's side of SCRAM-SHA-1 (RFC 5802 §3) for the one password.
struct Proof {
    client_key: hmac::Tag,
    stored_key: hmac::Key,
}

impl Proof {
    fn new() -> Proof {
        let sha1 = hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY;
        let mut salted = [0; digest::SHA1_OUTPUT_LEN];
        let (password, algorithm) = (PASSWORD.as_bytes(), pbkdf2::PBKDF2_HMAC_SHA1);
        pbkdf2::derive(algorithm, ITERATIONS, &SALT, password, &mut salted);
        let client_key = hmac::sign(&hmac::Key::new(sha1, &salted), b"Client Key");
        let stored = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, client_key.as_ref());
        Proof { client_key, stored_key: hmac::Key::new(sha1, stored.as_ref()) }
    }

    /// client-final-message after a `<challenge/>`.
    fn last(&self, first: &str, challenge: &str) -> Outcome<String> {
        let inner = challenge.split('>').nth(1).and_then(|rest| rest.split('<').next());
        let server = BASE64_STANDARD.decode(inner.ok_or("no challenge")?)?;
        let server = String::from_utf8(server)?;
        let nonce = server.split(',').find_map(|part| part.strip_prefix("r="));
        let bare = format!("c=biws,r={}", nonce.ok_or("no nonce")?);
        let signed = format!("{first},{server},{bare}");
        let signature = hmac::sign(&self.stored_key, signed.as_bytes());
        let pairs = self.client_key.as_ref().iter().zip(signature.as_ref());
        let proof: Vec<u8> = pairs.map(|(key, mask)| key ^ mask).collect();
        Ok(format!("{bare},p={}", BASE64_STANDARD.encode(proof)))
    }
}

/// Octets of this process (PSS).
fn memory() -> Outcome<u64> {
    let text = std::fs::read_to_string("/proc/self/smaps_rollup")?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"));
    let kilobytes = line.and_then(|rest| rest.split_whitespace().next()).ok_or("no Pss")?;
    Ok(kilobytes.parse::<u64>()? * 1024)
}
