//! The API over real HTTP, on both databases.

mod people;

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::http::response;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;

mod node;
mod pages;
mod sessions;

use tempfile::TempDir;

use super::backups::Backups;
use super::*;
use crate::auth::accounts::Accounts;
use crate::auth::derive::Derivation;
use crate::clock::{Clock, Timestamp};
use crate::config::{Config, Home};
use crate::host::{AccountId, HostId};
use crate::http::{Door, Health, Limits, Plain, Readiness, Server};
use crate::im::Key;
use crate::jid::Jid;
use crate::net::listener::Listener;
use crate::net::tls::Certificates;
use crate::plugin_host::{Parts, PluginHost};
use crate::properties::{Declared, Properties, Property};
use crate::router::Out;
use crate::server::{self, Foundation, Routing};
use crate::session::{CloseReason, Encryption, Order, Origin, Session, Shared};
use crate::shutdown::Tracker;
use crate::stanza::{PresenceType, Stanza};
use crate::storage::lease::Seat;
use crate::storage::migrate::migrate;
use crate::storage::testing::TestDb;
use crate::telemetry::Counter;
use crate::telemetry::log::{self, Format};
use crate::telemetry::metrics::series;

static GREETING: Property<String> =
    Property::new("test.greeting", || "hello".to_owned(), "What is said first.");
static LIMIT: Property<u32> =
    Property::new("test.limit", || 5, "How often.").within("1 to 10", |n| (1..=10).contains(n));
const DECLARED: &[&dyn Declared] = &[&GREETING, &LIMIT];

const NOW: Timestamp = Timestamp(1_750_000_000_000);

/// A console port with the API behind it.
struct Console {
    address: std::net::SocketAddr,
    local: Token,
    api: Arc<Api>,
    tracker: Tracker,
    routes: Arc<Routes>,
    _home: TempDir,
}

impl Console {
    async fn start(test: &TestDb) -> Console {
        let (db, clock) = (test.db.clone(), Clock::fake(NOW));
        migrate(&db, &server::migrations(), clock.now()).await.expect("migrated");
        let tracker = Tracker::new(Arc::new(Counter::new()));
        let derivation = Derivation::new(tracker.clone(), NonZeroUsize::MIN, 8);
        let accounts = Accounts::open(db.clone(), clock.clone(), derivation).await;
        let accounts = Arc::new(accounts.expect("accounts"));
        let properties = Properties::load(db.clone(), clock.clone(), DECLARED).await;
        let properties = properties.expect("properties");
        let all = Properties::load(db.clone(), clock.clone(), &server::properties()).await;
        let all = all.expect("properties");
        let home = Home::new("unused");
        let plugins = PluginHost::new(&Parts {
            home: &home,
            db: &db,
            clock: &clock,
            tracker: &tracker,
            properties: &all,
        });
        let foundation = Foundation {
            events: Arc::default(),
            home,
            config: Config::new(clock.random()),
            clock: clock.clone(),
            tracker: tracker.clone(),
            metrics: Arc::new(Metrics::new()),
            db: db.clone(),
            accounts,
            properties: all,
            plugins,
        };
        let routing = Routing::build(&foundation, "example.org");
        let local = Token::new(clock.random());
        let gate = Arc::new(Gate::new(db.clone(), clock.clone(), local.hash()));
        let health = Health::starting();
        let mut api = foundation.api("example.org".to_owned(), health, &routing);
        api.properties = properties;
        api.about.ports.store(Arc::new([("console".to_owned(), 9090)].into()));
        let home = TempDir::new().expect("a folder");
        let wall = std::time::SystemTime::from(NOW);
        let folder = home.path().join("certs");
        let (_, log) = log::build(Format::Human, "info", std::io::sink).expect("a log");
        let backups = home.path().to_owned();
        api.running = Some(api::Running {
            certificates: Certificates::open(&folder, ["example.org", ""], wall)
                .expect("self-signed"),
            log,
            lease: Seat::new(&clock).told(),
            backups: Backups::new(backups, db.clone(), clock.clone(), tracker.clone()),
            tracker: tracker.clone(),
        });
        let api = Arc::new(api);
        let routes = Routes::new();
        api::mount(&routes, api.clone(), gate.clone());
        let metrics = Arc::new(Metrics::new());
        metrics.counter(series("hearth_test_total", "A test.")).inc();
        mount_metrics(&routes, metrics, gate);
        let listener = Listener::bind(([127, 0, 0, 1], 0).into()).expect("a free port");
        let address = listener.local_addr();
        let (door, settings) = (Door::Plain(Plain::Refuse), Limits::DEFAULT.into());
        let server = Server { routes: routes.clone(), door, settings, tracker: tracker.clone() };
        tracker.spawn("http", server.serve(listener));
        Console { address, local, api, tracker, routes, _home: home }
    }

    async fn send(&self, request: Request<Full<Bytes>>) -> (StatusCode, Value) {
        let (head, text) = self.exchange(request).await;
        (head.status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> (response::Parts, String) {
        let stream = TcpStream::connect(self.address).await.expect("accepted");
        let connection = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = connection.expect("HTTP");
        self.tracker.spawn("client", async move {
            connection.await.expect("the server ends in order");
        });
        let (head, body) = sender.send_request(request).await.expect("answered").into_parts();
        let body = body.collect().await.expect("a body").to_bytes();
        (head, String::from_utf8(body.to_vec()).expect("UTF-8"))
    }

    async fn call_as(
        &self,
        token: Option<&str>,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> (StatusCode, Value) {
        let mut request = Request::builder().method(method).uri(path).header("host", "localhost");
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        if body.is_some() {
            request = request.header("content-type", "application/json");
        }
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        self.send(request.body(Full::new(body.into())).expect("a request")).await
    }

    /// A call of the local administrator.
    async fn call(&self, method: Method, path: &str, body: Option<Value>) -> (StatusCode, Value) {
        self.call_as(Some(self.local.reveal()), method, &format!("/api/v1{path}"), body).await
    }

    async fn get(&self, path: &str) -> Value {
        let (status, body) = self.call(Method::GET, path, None).await;
        assert_eq!(status, StatusCode::OK, "{path}: {body}");
        body
    }

    async fn new_user(&self, name: &str) {
        let new = json!({ "name": name, "password": "secret" });
        let (status, made) = self.call(Method::POST, "/users", Some(new)).await;
        assert_eq!(status, StatusCode::CREATED, "{made}");
    }

    /// A new user, with a session.
    async fn enter(&self, name: &str) -> Session {
        self.new_user(name).await;
        let login = self.api.accounts.find(HostId::FIRST, name).await.expect("read");
        let account = login.expect("a user").row.id;
        let jid = Jid::parse(&format!("{name}@example.org/home")).expect("a full address");
        self.bind(account, jid)
    }

    fn bind(&self, account: AccountId, jid: Jid) -> Session {
        let registry = &self.api.router.registry;
        let peer = ([192, 0, 2, 1], 5000).into();
        let tls = Some(Encryption { version: "TLSv1_3", cipher: "TLS13_AES_128_GCM_SHA256" });
        let origin = Origin { peer, tls, mechanism: "PLAIN", since: NOW };
        let key = (HostId::FIRST, account);
        let shared = Arc::new(Shared::new(registry.next_id(), key, jid, origin, 1 << 20));
        registry.bind(&shared);
        Session::new(shared)
    }

    async fn new_token(&self, name: &str) -> (String, String) {
        let (status, made) =
            self.call(Method::POST, "/tokens", Some(json!({ "name": name }))).await;
        assert_eq!(status, StatusCode::CREATED, "{made}");
        let text = |field: &str| made[field].as_str().expect("a text").to_owned();
        (text("id"), text("token"))
    }
}

async fn every_route_is_closed_without_a_token(test: TestDb) {
    let console = Console::start(&test).await;
    for route in api::routes().filter(|route| route.access != api::Access::Anyone) {
        let path = format!("/api/v1{}", route.path.replace(['{', '}'], ""));
        for token in [None, Some("hearth_wrong")] {
            let (status, body) = console.call_as(token, route.method.clone(), &path, None).await;
            let refused = [StatusCode::UNAUTHORIZED, StatusCode::TOO_MANY_REQUESTS];
            assert!(refused.contains(&status), "{} {path}: {status} {body}", route.method);
        }
    }
}

async fn the_description_is_open(test: TestDb) {
    let console = Console::start(&test).await;
    let (status, body) = console.call_as(None, Method::GET, "/api/v1/openapi.json", None).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(body["openapi"], "3.1.0");
}

async fn problems_are_json_with_status_and_detail(test: TestDb) {
    let console = Console::start(&test).await;
    let (status, body) = console.call(Method::GET, "/nothing", None).await;
    assert_eq!((status, &body["status"]), (StatusCode::NOT_FOUND, &json!(404)));
    assert!(body["detail"].as_str().is_some_and(|text| text.contains("openapi")), "{body}");
    let (status, _) = console.call(Method::PATCH, "/tokens", None).await;
    assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
    let (status, body) = console.call(Method::POST, "/tokens", Some(json!({ "nom": 1 }))).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(body["detail"].as_str().is_some_and(|text| text.contains("nom")), "{body}");
    let (status, _) = console.call(Method::GET, "/tokens?limit=0", None).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
}

async fn a_token_opens_until_it_is_revoked(test: TestDb) {
    let console = Console::start(&test).await;
    let (id, token) = console.new_token("monitoring").await;
    let look = || console.call_as(Some(&token), Method::GET, "/api/v1/server", None);
    assert_eq!(look().await.0, StatusCode::OK);
    let listed = console.get("/tokens").await;
    assert_eq!(listed["items"][0]["name"], "monitoring");
    assert_eq!(listed["items"][0]["created_by"], "local administrator");
    assert!(listed["items"][0]["last_used"].is_string(), "{listed}");
    assert!(!listed.to_string().contains(&token), "a list shows no token");
    let revoke = format!("/tokens/{id}");
    assert_eq!(console.call(Method::DELETE, &revoke, None).await.0, StatusCode::NO_CONTENT);
    assert_eq!(look().await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(console.call(Method::DELETE, &revoke, None).await.0, StatusCode::NOT_FOUND);
}

async fn a_token_expires(test: TestDb) {
    let console = Console::start(&test).await;
    let new = json!({ "name": "short", "days": 1 });
    let (_, made) = console.call(Method::POST, "/tokens", Some(new)).await;
    let token = made["token"].as_str().expect("a token");
    let look = || console.call_as(Some(token), Method::GET, "/api/v1/server", None);
    assert_eq!(look().await.0, StatusCode::OK);
    console.api.clock.advance(Duration::from_secs(86_401));
    assert_eq!(look().await.0, StatusCode::UNAUTHORIZED);
}

async fn the_database_holds_no_token(test: TestDb) {
    let console = Console::start(&test).await;
    let (_, token) = console.new_token("secret").await;
    let rows = test.db.read(|tx| {
        Box::pin(async move { tx.query("SELECT hash, name, id FROM api_token", &[]).await })
    });
    let rows = rows.await.expect("read");
    assert_eq!(rows[0].get::<[u8; 32]>(0).expect("a hash"), TokenHash::of(&token).0);
}

async fn a_name_is_given_once(test: TestDb) {
    let console = Console::start(&test).await;
    console.new_token("twice").await;
    let again = console.call(Method::POST, "/tokens", Some(json!({ "name": "twice" }))).await;
    assert_eq!(again.0, StatusCode::CONFLICT, "{}", again.1);
}

async fn wrong_tokens_lock_the_address_but_not_the_local_administrator(test: TestDb) {
    let console = Console::start(&test).await;
    let (_, good) = console.new_token("good").await;
    let look = async |token: &str| {
        console.call_as(Some(token), Method::GET, "/api/v1/server", None).await.0
    };
    for _ in 0..11 {
        assert_eq!(look("hearth_wrong").await, StatusCode::UNAUTHORIZED);
    }
    assert_eq!(look(&good).await, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(look(console.local.reveal()).await, StatusCode::OK);
    console.api.clock.advance(Duration::from_secs(31));
    assert_eq!(look(&good).await, StatusCode::OK);
}

async fn lists_are_paged_by_key(test: TestDb) {
    let console = Console::start(&test).await;
    for name in ["a", "b", "c"] {
        console.new_token(name).await;
    }
    let first = console.get("/tokens?limit=2").await;
    assert_eq!(first["items"].as_array().map(Vec::len), Some(2));
    let next = first["next"].as_str().expect("a next page");
    let last = console.get(&format!("/tokens?limit=2&after={next}")).await;
    assert_eq!(last["items"].as_array().map(Vec::len), Some(1));
    assert_eq!(last["next"], Value::Null);
}

async fn acts_are_in_the_audit_log(test: TestDb) {
    let console = Console::start(&test).await;
    let (id, _) = console.new_token("one").await;
    console.api.clock.advance(Duration::from_secs(1));
    console.call(Method::DELETE, &format!("/tokens/{id}"), None).await;
    // A refused act is none.
    console.call(Method::DELETE, "/tokens/none", None).await;
    let acts = console.get("/audit").await;
    let told: Vec<_> = acts["items"]
        .as_array()
        .expect("acts")
        .iter()
        .map(|act| (&act["action"], &act["target"]))
        .collect();
    let (revoke, create) = (json!("token.revoke"), json!("token.create"));
    assert_eq!(told, [(&revoke, &json!(id)), (&create, &json!("one"))]);
    assert_eq!(acts["items"][0]["actor"], "local administrator");
    assert_eq!(acts["items"][0]["node"], 1);
}

async fn the_server_tells_its_state(test: TestDb) {
    let console = Console::start(&test).await;
    console.api.health.set(Readiness::Standby("another node serves".to_owned()));
    console.api.clock.advance(Duration::from_secs(5));
    let server = console.get("/server").await;
    assert_eq!(server["domain"], "example.org");
    assert_eq!(server["state"], "standby");
    assert_eq!(server["reason"], "another node serves");
    assert_eq!(server["uptime_seconds"], 5);
    assert_eq!(server["ports"]["console"], 9090);
    assert_eq!(server["version"], env!("CARGO_PKG_VERSION"));
}

async fn metrics_are_open_on_this_machine(test: TestDb) {
    let console = Console::start(&test).await;
    let (status, body) = console.call_as(None, Method::GET, "/metrics", None).await;
    assert_eq!(status, StatusCode::OK);
    assert!(body.as_str().is_some_and(|text| text.contains("hearth_test_total 1")), "{body}");
}

async fn a_user_is_made_shown_and_deleted(test: TestDb) {
    let console = Console::start(&test).await;
    let new = json!({ "name": "Rom\u{e9}o", "password": "secret" });
    let (status, made) = console.call(Method::POST, "/users", Some(new.clone())).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    assert_eq!(made["jid"], "rom\u{e9}o@example.org");
    assert_eq!(made["administrator"], false);
    assert_eq!(console.get("/users/rom%C3%A9o").await, made);
    assert_eq!(console.call(Method::POST, "/users", Some(new)).await.0, StatusCode::CONFLICT);
    let gone = console.call(Method::DELETE, "/users/rom%C3%A9o", None).await;
    assert_eq!(gone.0, StatusCode::NO_CONTENT, "{}", gone.1);
    assert_eq!(console.call(Method::GET, "/users/rom%C3%A9o", None).await.0, StatusCode::NOT_FOUND);
}

async fn a_deleted_user_is_gone_for_his_contacts(test: TestDb) {
    let console = Console::start(&test).await;
    let mut romeo = console.enter("romeo").await;
    let mut juliet = console.enter("juliet").await;
    for (session, to, kind) in [
        (&mut romeo, "juliet", PresenceType::Subscribe),
        (&mut juliet, "romeo", PresenceType::Subscribed),
    ] {
        let to = Jid::parse(&format!("{to}@example.org")).expect("an address");
        let mut out = Out::default();
        let router = &console.api.router;
        router.from_session(session, Stanza::presence(kind).with_to(to), &mut out);
        router.perform(&mut out).await;
    }
    let roster = || async {
        let key = Key { host: HostId::FIRST, account: juliet.shared.account };
        let roster = console.api.router.im.roster(key).await.expect("read");
        roster.item("romeo@example.org").map(|item| item.state.subscription().to_owned())
    };
    assert_eq!(roster().await.as_deref(), Some("from"));
    let gone = console.call(Method::DELETE, "/users/romeo", None).await;
    assert_eq!(gone.0, StatusCode::NO_CONTENT, "{}", gone.1);
    assert_ne!(roster().await.as_deref(), Some("from"));
    let mut waiting = std::collections::VecDeque::new();
    let taken =
        std::future::poll_fn(|cx| romeo.shared.mailbox.poll(cx, &mut waiting, usize::MAX)).await;
    assert!(matches!(taken.orders[..], [Order::Close(CloseReason::Kicked)]), "{taken:?}");
}

async fn bad_names_and_passwords_are_explained(test: TestDb) {
    let console = Console::start(&test).await;
    for (name, password) in [("a b", "x"), ("", "x"), ("romeo", "")] {
        let new = json!({ "name": name, "password": password });
        let (status, told) = console.call(Method::POST, "/users", Some(new)).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{name:?} {password:?}: {told}");
    }
    assert_eq!(console.get("/users").await["items"], json!([]));
}

async fn a_new_password_replaces_the_old_one(test: TestDb) {
    let console = Console::start(&test).await;
    let right = async |password: &str| {
        let password = password.to_owned().into();
        let verified = console.api.accounts.verify_password(HostId::FIRST, "romeo", password);
        matches!(verified.await.expect("verified"), crate::auth::Standing::Active(_))
    };
    console.new_user("romeo").await;
    assert!(right("secret").await);
    let new = json!({ "password": "other" });
    let changed = console.call(Method::PUT, "/users/romeo/password", Some(new.clone())).await;
    assert_eq!(changed.0, StatusCode::NO_CONTENT, "{}", changed.1);
    assert!(right("other").await && !right("secret").await);
    let unknown = console.call(Method::PUT, "/users/nobody/password", Some(new)).await;
    assert_eq!(unknown.0, StatusCode::NOT_FOUND);
}

async fn a_user_is_locked_and_unlocked(test: TestDb) {
    let console = Console::start(&test).await;
    console.new_user("romeo").await;
    for (method, locked) in [(Method::PUT, true), (Method::DELETE, false)] {
        let done = console.call(method, "/users/romeo/lock", None).await;
        assert_eq!(done.0, StatusCode::NO_CONTENT, "{}", done.1);
        assert_eq!(console.get("/users/romeo").await["locked"], locked);
    }
}

async fn an_administrator_made_anew_is_none(test: TestDb) {
    let console = Console::start(&test).await;
    for name in ["romeo", "juliet"] {
        console.new_user(name).await;
        let path = format!("/users/{name}/administrator");
        let done = console.call(Method::PUT, &path, None).await;
        assert_eq!(done.0, StatusCode::NO_CONTENT, "{}", done.1);
    }
    assert_eq!(console.get("/users/romeo").await["administrator"], true);
    console.call(Method::DELETE, "/users/romeo", None).await;
    console.new_user("romeo").await;
    assert_eq!(console.get("/users/romeo").await["administrator"], false);
}

async fn users_are_paged_by_name(test: TestDb) {
    let console = Console::start(&test).await;
    for name in ["c", "a", "b"] {
        console.new_user(name).await;
    }
    let first = console.get("/users?limit=2").await;
    let names = |page: &Value| -> Vec<String> {
        let items = page["items"].as_array().expect("items").iter();
        items.map(|user| user["name"].as_str().expect("a name").to_owned()).collect()
    };
    assert_eq!(names(&first), ["a", "b"]);
    assert_eq!(first["next"], "b");
    assert_eq!(names(&console.get("/users?limit=2&after=b").await), ["c"]);
}

async fn lists_are_had_as_csv(test: TestDb) {
    let console = Console::start(&test).await;
    for name in ["=sum", "juliet"] {
        console.new_user(name).await;
    }
    let (status, told) = console.call(Method::GET, "/users?format=csv&limit=1", None).await;
    assert_eq!(status, StatusCode::OK, "{told}");
    let lines: Vec<_> = told.as_str().expect("no JSON").lines().collect();
    assert!(lines[0].starts_with("name,jid,"), "{told}");
    assert!(lines[1].starts_with("'=sum,'=sum@example.org,"), "{told}");
    assert!(lines[2].starts_with("juliet,juliet@example.org,"), "{told}");
    assert_eq!(lines.len(), 3);
    let (_, told) = console.call(Method::GET, "/plugins?format=csv", None).await;
    assert!(told.as_str().expect("no JSON").starts_with("id,name,version,"), "{told}");
    let (status, _) = console.call(Method::GET, "/server?format=csv", None).await;
    assert_eq!(status, StatusCode::OK, "what is no list stays as it is");
}

async fn a_problem_names_its_field(test: TestDb) {
    let console = Console::start(&test).await;
    let (_, told) = console.call(Method::POST, "/tokens", Some(json!({ "name": "" }))).await;
    assert_eq!((&told["status"], &told["field"]), (&json!(400), &json!("name")));
    console.new_token("ci").await;
    let (_, told) = console.call(Method::POST, "/tokens", Some(json!({ "name": "ci" }))).await;
    assert_eq!((&told["status"], &told["field"]), (&json!(409), &json!("name")));
}

async fn properties_are_listed_set_and_reset(test: TestDb) {
    let console = Console::start(&test).await;
    let listed = console.get("/properties?limit=1").await;
    assert_eq!(listed["items"][0]["name"], "test.greeting");
    assert_eq!(listed["items"][0]["doc"], "What is said first.");
    let rest = console.get("/properties?after=test.greeting").await;
    assert_eq!((&rest["items"][0]["name"], &rest["next"]), (&json!("test.limit"), &Value::Null));
    let value = |value: Value| Some(json!({ "value": value }));
    let (status, set) = console.call(Method::PUT, "/properties/test.limit", value(json!(7))).await;
    assert_eq!((status, &set["value"]), (StatusCode::OK, &json!("7")));
    let (status, told) =
        console.call(Method::PUT, "/properties/test.limit", value(json!("11"))).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(told["detail"].as_str().is_some_and(|text| text.contains("1 to 10")), "{told}");
    let (status, _) = console.call(Method::PUT, "/properties/test.limt", value(json!(1))).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    let (_, reset) = console.call(Method::DELETE, "/properties/test.limit", None).await;
    assert_eq!(reset["value"], "5");
}

async fn properties_are_searched_and_their_changes_told(test: TestDb) {
    let console = Console::start(&test).await;
    let names = |page: Value| -> Vec<String> {
        let items = page["items"].as_array().expect("items").iter();
        items.map(|entry| entry["name"].as_str().expect("a name").to_owned()).collect()
    };
    assert_eq!(names(console.get("/properties?search=HOW%20often").await), ["test.limit"]);
    assert_eq!(names(console.get("/properties?group=test").await).len(), 2);
    assert!(names(console.get("/properties?changed=true").await).is_empty());
    for value in [json!(7), json!(8)] {
        let body = Some(json!({ "value": value }));
        console.call(Method::PUT, "/properties/test.limit", body).await;
    }
    console.call(Method::DELETE, "/properties/test.limit", None).await;
    let first = console.get("/properties/test.limit/history?limit=2").await;
    let told = |change: &Value| (change["from"].clone(), change["to"].clone());
    assert_eq!(told(&first["items"][0]), (json!("8"), Value::Null));
    assert_eq!(told(&first["items"][1]), (json!("7"), json!("8")));
    assert_eq!(first["items"][0]["actor"], "local administrator");
    let rest = format!("/properties/test.limit/history?after={}", text(&first, "next"));
    assert_eq!(told(&console.get(&rest).await["items"][0]), (Value::Null, json!("7")));
    let shown = console.get("/properties/test.limit").await;
    assert_eq!((&shown["kind"], &shown["group"]), (&json!("number"), &json!("test")));
}

fn text<'v>(value: &'v Value, field: &str) -> &'v str {
    value[field].as_str().expect("a text")
}

async fn sessions_are_listed_shown_and_ended(test: TestDb) {
    let console = Console::start(&test).await;
    let juliet = Jid::parse("juliet@example.org/balcony").expect("a full address");
    let romeo = Jid::parse("romeo@example.org/orchard").expect("a full address");
    let romeo = console.bind(AccountId(1), romeo);
    let _juliet = console.bind(AccountId(2), juliet);
    let listed = console.get("/sessions?limit=1").await;
    assert_eq!(listed["items"][0]["jid"], "juliet@example.org/balcony");
    let rest = format!("/sessions?after={}", listed["next"].as_str().expect("a next page"));
    assert_eq!(console.get(&rest).await["items"][0]["jid"], "romeo@example.org/orchard");
    let shown = console.get("/sessions/romeo/orchard").await;
    assert_eq!((&shown["mechanism"], &shown["available"]), (&json!("PLAIN"), &json!(false)));
    let ended = console.call(Method::DELETE, "/sessions/romeo/orchard", None).await;
    assert_eq!(ended.0, StatusCode::NO_CONTENT, "{}", ended.1);
    let mut waiting = std::collections::VecDeque::new();
    let taken =
        std::future::poll_fn(|cx| romeo.shared.mailbox.poll(cx, &mut waiting, usize::MAX)).await;
    assert!(matches!(taken.orders[..], [Order::Close(CloseReason::Kicked)]), "{taken:?}");
    let unknown = console.call(Method::DELETE, "/sessions/romeo/balcony", None).await;
    assert_eq!(unknown.0, StatusCode::NOT_FOUND);
}

crate::backend_tests! {
    sessions_are_listed_shown_and_ended,
    a_user_is_made_shown_and_deleted,
    a_deleted_user_is_gone_for_his_contacts,
    bad_names_and_passwords_are_explained,
    a_new_password_replaces_the_old_one,
    a_user_is_locked_and_unlocked,
    an_administrator_made_anew_is_none,
    users_are_paged_by_name,
    lists_are_had_as_csv,
    a_problem_names_its_field,
    properties_are_listed_set_and_reset,
    properties_are_searched_and_their_changes_told,
    every_route_is_closed_without_a_token,
    the_description_is_open,
    problems_are_json_with_status_and_detail,
    a_token_opens_until_it_is_revoked,
    a_token_expires,
    the_database_holds_no_token,
    a_name_is_given_once,
    wrong_tokens_lock_the_address_but_not_the_local_administrator,
    lists_are_paged_by_key,
    acts_are_in_the_audit_log,
    the_server_tells_its_state,
    metrics_are_open_on_this_machine,
}
