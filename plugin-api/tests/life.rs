//! A plugin's life in the server of make-believe: every capability crosses the interface and back.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use hearth_plugin_api::sql::{Expect, Statement};
use hearth_plugin_api::testing::{FakeHost, Fixture, block_on};
use hearth_plugin_api::xml::Element;
use hearth_plugin_api::*;

struct All {
    host: Host,
    ticks: AtomicU32,
}

impl Plugin for All {
    fn manifest() -> Manifest {
        Manifest { id: "all".to_owned(), ..manifest!() }.asks_for(&Capability::ALL)
    }

    fn create(host: Host) -> Result<All> {
        Ok(All { host, ticks: AtomicU32::new(0) })
    }

    fn register(self: &Arc<Self>, registrar: &Registrar<'_>) -> Result<()> {
        registrar.property(Property::int("limit", 3, "A bound.").within(1, 9))?;
        registrar.migrations(vec![Migration::new(
            1,
            "notes",
            "CREATE TABLE {note} (id BIGSERIAL PRIMARY KEY, owner TEXT NOT NULL, body BYTEA);",
        )])?;
        registrar.events(&["session.*", "property.changed"], self, All::hear)?;
        registrar.timer(Timer::every("tick", Duration::from_secs(10)), self, All::tick)?;
        registrar.endpoint(Endpoint::public("echo"), self, All::echo)?;
        registrar.command(Command::new("run", "Runs."), self, All::run)?;
        registrar.page(Page::new("page", "Page"), self, All::page)?;
        registrar.iq(IqSpec::server("urn:x"), self, All::iq)?;
        registrar.component(ComponentSpec::new("echo", "Echo"), self, All::component)?;
        let words = StepSpec::new("words", Phase::Sent).kinds(&[Kind::Message]).fail_closed();
        registrar.step(words, self, All::words)?;
        let later = StepSpec::new("later", Phase::ToAccount).namespaces(&["urn:later"]);
        registrar.step_later(later, self, All::later)?;
        registrar.auth(Source::new("all"), self)?;
        registrar.directory(Source::new("all"), self)?;
        registrar.feature("urn:x")
    }
}

impl All {
    async fn hear(self: Arc<Self>, event: Event) -> Result<()> {
        self.host.log_info(format!("{}: {}", event.kind, event.text("jid")));
        Ok(())
    }

    async fn tick(self: Arc<Self>) -> Result<()> {
        self.ticks.fetch_add(1, Ordering::Relaxed);
        self.host.gauge("ticks", &[], self.ticks.load(Ordering::Relaxed).into());
        Ok(())
    }

    async fn echo(self: Arc<Self>, request: HttpRequest) -> Result<HttpResponse> {
        Ok(HttpResponse::new(200, "text/plain", request.body))
    }

    async fn page(self: Arc<Self>, request: PageRequest) -> Result<PageResponse> {
        let file = request.file("f").map(|file| file.content.clone()).unwrap_or_default();
        Ok(PageResponse::document("text/plain", file))
    }

    async fn iq(self: Arc<Self>, iq: Stanza) -> Result<Stanza> {
        Ok(iq.error("item-not-found", ""))
    }

    async fn component(self: Arc<Self>, stanza: Stanza) -> Result<Vec<Stanza>> {
        let to = stanza.from.clone().unwrap_or_default();
        Ok(vec![Stanza::message(&to).body(&stanza.text("body").unwrap_or_default())])
    }

    fn words(&self, passage: PassageView<'_>, stanza: StanzaView<'_>) -> Result<Verdict> {
        match stanza.text("body").as_deref() {
            Some("drop") => Ok(Verdict::Drop),
            Some("panic") => panic!("by {}", passage.account()),
            Some("replace") => Ok(Verdict::replace(Stanza::message("x@y").body("replaced"))),
            _ => Ok(Verdict::Pass),
        }
    }

    async fn later(self: Arc<Self>, _: Passage, _: Stanza) -> Result<Verdict> {
        Ok(Verdict::bounce("policy-violation", "later"))
    }

    async fn run(self: Arc<Self>, call: CommandCall) -> Result<json::Value> {
        let host = &self.host;
        Ok(match call.text("what")? {
            "kv" => {
                host.kv().set("a/1", "one").await?;
                host.kv().set("a/2", "two").await?;
                let swapped = host.kv().swap("a/1", Some(b"one"), b"uno").await?;
                let refused = host.kv().swap("a/1", None, b"").await?;
                let deleted = host.kv().delete("a/2").await?;
                let value = host.kv().get("a/1").await?;
                json::json!([swapped, refused, deleted, value, host.kv().keys("a/", "", 9).await?])
            }
            "sql" => {
                let insert = "INSERT INTO {note} (owner, body) VALUES ($2, $1) RETURNING id";
                let insert = Statement::new(insert).bind(vec![1u8]).bind("juliet");
                let rows = host.sql().execute(insert.clone()).await?;
                let all =
                    vec![insert, Statement::new("DELETE FROM {note}").expect(Expect::Exactly(9))];
                let refused = host.sql().transaction(all).await.unwrap_err();
                assert_eq!(refused.kind, ErrorKind::Conflict);
                let count = host.sql().query(Statement::new("SELECT COUNT(*) FROM {note}")).await?;
                json::json!([rows.rows[0].int(0)?, count.rows[0].int(0)?])
            }
            "people" => {
                let people = host.people();
                let names = people.users(Query::first(1).after("a")).await?;
                json::json!([people.user("nobody").await?, names, people.roster("juliet").await?])
            }
            "outside" => {
                let answer =
                    host.fetch(HttpRequest::post_json("http://x/", &json::json!(1))).await?;
                let iq = host.iq(Stanza::iq("get", "a@b"), Duration::from_secs(1)).await?;
                json::json!([answer.to_json()?, iq.type_])
            }
            "notice" => {
                host.notice("k", NoticeLevel::Warning, "look").await?;
                host.audit(&call.actor, "act", "detail").await?;
                host.route(&Stanza::message("a@b").body("hi"))?;
                json::json!(host.info().domain)
            }
            other => return Err(Error::invalid(format!("no `{other}`"))),
        })
    }
}

impl Auth for All {
    async fn verify(&self, user: &str, password: &str) -> Result<Verified> {
        Ok(if user == password { Verified::Accepted } else { Verified::Refused })
    }
}

impl Directory for All {
    async fn user(&self, name: &str) -> Result<Option<User>> {
        Ok(Some(User { name: name.to_owned(), ..User::default() }))
    }

    async fn users(&self, _: Query) -> Result<Vec<User>> {
        Ok(Vec::new())
    }
}

fn server() -> FakeHost {
    let fixture = Fixture::default()
        .user("juliet")
        .fetch(|request| Ok(HttpResponse::new(200, "application/json", request.body)))
        .iq(|iq| Ok(iq.result()));
    FakeHost::start_with::<All>(fixture).unwrap()
}

fn run(what: &str) -> json::Value {
    server().command("run", json::json!({ "what": what })).unwrap()
}

#[test]
fn keys_are_kept_swapped_and_listed() {
    assert_eq!(run("kv"), json::json!([true, false, true, b"uno", ["a/1"]]));
}

#[test]
fn a_transaction_that_misses_its_rows_leaves_nothing() {
    assert_eq!(run("sql"), json::json!([1, 1]));
}

#[test]
fn people_are_read() {
    let juliet = json::to_value(User { name: "juliet".into(), ..User::default() }).unwrap();
    assert_eq!(run("people"), json::json!([null, [juliet], []]));
}

#[test]
fn the_outside_answers() {
    assert_eq!(run("outside"), json::json!([1, "result"]));
}

#[test]
fn notices_audit_and_stanzas_reach_the_server() {
    let server = server();
    assert_eq!(server.command("run", json::json!({ "what": "notice" })).unwrap(), "example.org");
    assert_eq!(server.notices()["k"], (NoticeLevel::Warning, "look".to_owned()));
    assert_eq!(server.audit(), [("admin".into(), "act".into(), "detail".into())]);
    assert_eq!(server.routed(), [Stanza::message("a@b").body("hi")]);
}

#[test]
fn steps_see_what_they_ask_for_and_fail_as_declared() {
    let server = server();
    let sent = |body: &str| server.step(Phase::Sent, "j@x", &Stanza::message("a@b").body(body));
    assert_eq!(sent("hello"), Ok(Verdict::Pass));
    assert_eq!(sent("drop"), Ok(Verdict::Drop));
    let Ok(Verdict::Replace(replaced)) = sent("replace") else { panic!() };
    assert_eq!(replaced.text("body").as_deref(), Some("replaced"));
    let fault = sent("panic").unwrap_err();
    assert_eq!((fault.kind, fault.message.as_str()), (ErrorKind::Panic, "panicked: by j@x"));
    let later = Stanza::message("a@b").with(&Element::new("x", "urn:later"));
    let bounced = server.step(Phase::ToAccount, "a@b", &later);
    assert_eq!(bounced, Ok(Verdict::bounce("policy-violation", "later")));
}

#[test]
fn stanzas_are_answered() {
    let server = server();
    let iq = Stanza::iq("get", "example.org").with(&Element::new("q", "urn:x"));
    assert_eq!(server.iq(&iq).unwrap().type_.as_deref(), Some("error"));
    let hello = Stanza::message("x@echo.example.org").from("j@x/r").body("hi");
    assert_eq!(server.component(&hello), Ok(vec![Stanza::message("j@x/r").body("hi")]));
}

#[test]
fn http_and_files_cross_as_they_are() {
    let server = server();
    let body = vec![0, 255, 10];
    let request = HttpRequest { body: body.clone(), ..HttpRequest::new("POST", "") };
    assert_eq!(server.endpoint("echo", request).unwrap().body, body);
    let file = FormFile { field: "f".into(), content: body.clone(), ..FormFile::default() };
    let request = PageRequest { files: vec![file], ..PageRequest::default() };
    assert_eq!(server.request_page("page", request).unwrap().body, body);
}

#[test]
fn time_passes_when_the_test_says_so() {
    let server = server();
    server.advance(Duration::from_secs(35)).unwrap();
    assert_eq!(server.metric("ticks"), 3.0);
    let host = server.host();
    std::thread::scope(|scope| {
        let sleeper = scope.spawn(move || block_on(host.sleep(Duration::from_secs(5))));
        while !sleeper.is_finished() {
            server.advance(Duration::from_secs(1)).unwrap();
        }
        assert_eq!(sleeper.join().unwrap(), Ok(()));
    });
}

#[test]
fn properties_are_checked_and_changes_told() {
    let server = server();
    assert_eq!(server.host().property_as::<u32>("limit"), Ok(3));
    assert!(server.set_property("limit", "10").is_err());
    server.set_property("limit", "9").unwrap();
    assert_eq!(server.host().property("limit").as_deref(), Ok("9"));
    assert_eq!(server.logs(), [(3, "property.changed: ".to_owned())]);
}

#[test]
fn sources_are_asked() {
    let server = server();
    assert_eq!(server.verify("a", "a"), Ok(Verified::Accepted));
    assert_eq!(server.verify("a", "b"), Ok(Verified::Refused));
    let user = server.directory(&DirectoryCall::User { name: "a".into() }).unwrap();
    assert_eq!(user["name"], "a");
    assert_eq!(server.directory(&DirectoryCall::Groups(Query::first(9))), Ok(json::json!([])));
}

#[test]
fn after_the_stop_nothing_is_answered() {
    let server = server();
    server.stop().unwrap();
    let refused = block_on(async { server.host().kv().get("x").await });
    assert_eq!(refused.unwrap_err().kind, ErrorKind::Stopped);
}

struct Modest;

impl Plugin for Modest {
    fn manifest() -> Manifest {
        Manifest { id: "modest".to_owned(), ..manifest!() }
    }
    fn create(_: Host) -> Result<Modest> {
        Ok(Modest)
    }
    fn register(self: &Arc<Self>, registrar: &Registrar<'_>) -> Result<()> {
        registrar.feature("urn:x")
    }
}

#[test]
fn what_the_manifest_does_not_ask_for_is_refused() {
    let refused = FakeHost::start::<Modest>().unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Forbidden);
    let wanted = "the manifest of `modest` does not ask for the capability `disco`";
    assert_eq!(refused.message, wanted);
}
