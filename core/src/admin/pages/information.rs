//! What the server is, what it runs on, and which ports it has open.

use askama::Template;
use hyper::Method;
use serde::Deserialize;

use super::text::Catalogue;
use super::visit::show;
use super::{Frame, Refusal, Route, Visit, list};
use crate::http::Response;

pub const ROUTES: &[Route] =
    &[Route::new(Method::GET, "/server/information", |visit| Box::pin(shown(visit)))];

#[derive(Deserialize)]
struct Server {
    version: String,
    domain: String,
    node: u32,
    uptime_seconds: u64,
    sessions: u64,
    listeners: Vec<Listener>,
    process: Process,
    machine: Machine,
    build: Build,
}

#[derive(Deserialize)]
struct Listener {
    name: String,
    port: u16,
    tls: String,
}

#[derive(Deserialize)]
struct Process {
    resident: Option<u64>,
    proportional: Option<u64>,
    cpu_seconds: Option<f64>,
    threads: Option<u64>,
    open_files: Option<u64>,
    open_files_limit: Option<u64>,
}

impl Process {
    fn memory(&self, language: &Catalogue) -> String {
        self.resident.map_or("–".to_owned(), |octets| language.octets(octets))
    }

    fn proportional(&self, language: &Catalogue) -> String {
        self.proportional.map_or("–".to_owned(), |octets| language.octets(octets))
    }

    fn processor(&self, language: &Catalogue) -> String {
        self.cpu_seconds.map_or("–".to_owned(), |seconds| language.span(seconds as u64))
    }

    fn files(&self, language: &Catalogue) -> String {
        let figure = |figure: Option<u64>| figure.map_or("–".to_owned(), |n| language.count(n));
        format!("{} / {}", figure(self.open_files), figure(self.open_files_limit))
    }
}

#[derive(Deserialize)]
struct Machine {
    system: Option<String>,
    kernel: Option<String>,
    architecture: String,
    processors: u64,
    memory: Option<u64>,
}

impl Machine {
    fn memory(&self, language: &Catalogue) -> String {
        self.memory.map_or("–".to_owned(), |octets| language.octets(octets))
    }
}

#[derive(Deserialize)]
struct Build {
    rust: String,
    profile: String,
}

#[derive(Template)]
#[template(path = "information.html")]
struct Information {
    page: Frame,
    server: Server,
    ports: Vec<(String, u16, String)>,
}

async fn shown(visit: Visit) -> Result<Response, Refusal> {
    if list::wants_csv(&visit) {
        let columns = &["name", "port", "tls"];
        return list::csv_within(&visit, &["server"], "/listeners", columns).await;
    }
    let server: Server = visit.read(&["server"], &[("process", "true")]).await?;
    let listener = |listener: &Listener| {
        let name = match listener.name.as_str() {
            "c2s" => visit.t("information.c2s").into(),
            "c2s_tls" => visit.t("information.c2s_tls").into(),
            "http" => visit.t("information.http").into(),
            "https" => visit.t("information.https").into(),
            "console" => visit.t("information.console").into(),
            "console_tls" => visit.t("information.console_tls").into(),
            other => other.to_owned(),
        };
        let tls = match listener.tls.as_str() {
            "starttls" => visit.t("information.tls_starttls"),
            "optional" => visit.t("information.tls_optional"),
            "none" => visit.t("information.tls_none"),
            "local" => visit.t("information.tls_local"),
            _ => visit.t("information.tls_direct"),
        };
        (name, listener.port, tls.into())
    };
    let ports = server.listeners.iter().map(listener).collect();
    show(Information { page: visit.frame("information"), server, ports })
}
