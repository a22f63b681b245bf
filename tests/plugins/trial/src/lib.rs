//! Fails in any way that a test asks for. A test writes its wish over [`WISH`] in the built file, so
//! that one build gives all variants: `mode;version;id`.

// What runs when a library is loaded cannot be said without these attributes.
#![allow(unsafe_code)]

mod pages;
mod routing;
mod store;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hearth_plugin_api::{
    Capability, Command, CommandCall, Endpoint, Error, Event, Host, HttpRequest, HttpResponse,
    IqSpec, Kind, Manifest, Phase, Plugin, Property, Registrar, Result, Stanza, StepSpec, Verdict,
    export_plugin, json, manifest,
};

/// 64 octets behind a word that stands nowhere else.
#[used]
static WISH: [u8; 80] =
    *b"HEARTH-TRIAL-WSHhealthy;1.0.0;trial;                                            ";

fn wish(index: usize) -> String {
    // Read as it is in the file, not as the compiler knows it.
    let wish = std::hint::black_box(&WISH);
    let text = String::from_utf8_lossy(&wish[16..]);
    text.split(';').nth(index).unwrap_or_default().trim().to_owned()
}

extern "C" fn constructor() {
    match wish(0).as_str() {
        "abort" => std::process::abort(),
        "exit" => std::process::exit(0),
        "loop" => loop {
            std::thread::sleep(Duration::from_secs(1));
        },
        _ => {}
    }
}

/// Runs before anything else of the library does.
#[used]
#[unsafe(link_section = ".init_array")]
static CONSTRUCTOR: extern "C" fn() = constructor;

struct Trial {
    host: Host,
    heard: Mutex<Vec<Event>>,
    /// Runs of the timer that has one node at a time.
    turns: AtomicU64,
}

impl Plugin for Trial {
    fn manifest() -> Manifest {
        let mode = wish(0);
        let capabilities = [
            Capability::Commands,
            Capability::Components,
            Capability::Console,
            Capability::Disco,
            Capability::Events,
            Capability::HttpServer,
            Capability::Iq,
            Capability::Route,
            Capability::Steps,
            Capability::Tables,
        ];
        let unknown = if mode == "greedy" { vec!["fly".to_owned()] } else { Vec::new() };
        let manifest = manifest!().name("Trial").asks_for(&capabilities);
        Manifest {
            id: wish(2),
            version: wish(1),
            min_server: if mode == "newer" { "99.0.0".to_owned() } else { String::new() },
            capabilities: [manifest.capabilities.clone(), unknown].concat(),
            ..manifest
        }
    }

    fn create(host: Host) -> Result<Trial> {
        assert_ne!(wish(0), "panic-create", "on purpose");
        Ok(Trial { host, heard: Mutex::default(), turns: AtomicU64::default() })
    }

    fn register(self: &Arc<Self>, registrar: &Registrar<'_>) -> Result<()> {
        registrar.property(Property::text("greeting", "hello", "What is said."))?;
        registrar.migrations(store::migrations())?;
        for (name, run) in COMMANDS {
            let any = json::json!({ "type": "object" });
            let command = Command::new(name, "For tests.").arguments(any);
            registrar.command(command, self, move |trial: Arc<Trial>, call| run(trial, call))?;
        }
        registrar.events(&["*"], self, Trial::hear)?;
        pages::register(self, registrar)?;
        registrar.endpoint(Endpoint::public("echo"), self, Trial::echo)?;
        registrar.endpoint(Endpoint::console("inside"), self, Trial::echo)?;
        routing::register(self, registrar)?;
        // Two plugins cannot answer the same.
        registrar.iq(IqSpec::server(&format!("urn:{}", wish(2))), self, Trial::iq)?;
        let words = StepSpec::new("words", Phase::Sent).kinds(&[Kind::Message]);
        registrar.step(words, self, |_, _, stanza| {
            Ok(match stanza.text("body").as_deref() {
                Some("forbidden") => Verdict::bounce("policy-violation", "not here"),
                Some("loud") => {
                    Verdict::replace(Stanza::message("x@y").of_type("chat").body("quiet"))
                }
                Some("panic") => panic!("on purpose"),
                _ => Verdict::Pass,
            })
        })
    }

    async fn start(self: Arc<Self>) -> Result<()> {
        match wish(0).as_str() {
            "panic-start" => panic!("on purpose"),
            "abort-start" => std::process::abort(),
            "error-start" => Err(Error::invalid("it does not want to")),
            _ => Ok(()),
        }
    }
}

type Answer = std::pin::Pin<Box<dyn Future<Output = Result<json::Value>> + Send>>;
type Run = fn(Arc<Trial>, CommandCall) -> Answer;

const COMMANDS: [(&str, Run); 9] = [
    ("echo", |trial, call| {
        Box::pin(async move {
            let greeting = trial.host.property("greeting")?;
            Ok(json::json!({ "greeting": greeting, "arguments": call.arguments, "by": call.actor }))
        })
    }),
    ("count", |trial, call| {
        Box::pin(async move { store::count(&trial.host, call.text("name")?).await })
    }),
    ("remember", |trial, call| {
        Box::pin(async move {
            let before = trial.host.kv().get("last").await?;
            trial.host.kv().set("last", call.text("value")?).await?;
            Ok(json::json!(before.map(|value| String::from_utf8_lossy(&value).into_owned())))
        })
    }),
    ("heard", |trial, _| {
        Box::pin(async move {
            let heard = trial.heard.lock().expect("no hearing panics");
            Ok(heard.iter().map(|event| json::json!([event.kind, event.data])).collect())
        })
    }),
    ("notice", |trial, call| Box::pin(trial.notice(call))),
    ("ask", |trial, call| Box::pin(routing::ask(trial, call))),
    ("turns", |trial, _| {
        Box::pin(async move { Ok(json::json!(trial.turns.load(Ordering::Relaxed))) })
    }),
    ("panic", |_, _| Box::pin(async { panic!("on purpose") })),
    ("version", |_, _| Box::pin(async { Ok(json::json!(wish(1))) })),
];

impl Trial {
    async fn echo(self: Arc<Self>, request: HttpRequest) -> Result<HttpResponse> {
        Ok(HttpResponse::new(200, "text/plain", request.body))
    }

    async fn hear(self: Arc<Self>, event: Event) -> Result<()> {
        if wish(0) == "deaf" {
            self.host.sleep(Duration::from_secs(3600)).await?;
        }
        self.heard.lock().expect("no hearing panics").push(event);
        Ok(())
    }

    async fn iq(self: Arc<Self>, iq: Stanza) -> Result<Stanza> {
        Ok(iq.result())
    }
}

export_plugin!(Trial);
