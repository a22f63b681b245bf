//! Step 3: the embedded database, or PostgreSQL with a test of what was typed.

use askama::Template;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::installed_domain;
use super::step::Steps;
use crate::admin::pages::{Fields, Form, Frame, Text, Visitor};
use crate::config::Home;
use crate::storage::{DatabaseUrl, Db, StorageError, Synchronous};

/// RFC 3986 §2.3: everything but the unreserved characters.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// The values of `sslmode` that we know.
pub(super) const TLS: [&str; 4] = ["prefer", "require", "verify-full", "disable"];

#[derive(Template)]
#[template(path = "setup/database.html")]
pub struct Page {
    pub page: Frame,
    pub form: Form,
    pub steps: Steps,
    /// What a successful test says.
    pub tested: Option<Text>,
    /// Whether a password was typed before: it is never sent back.
    pub has_password: bool,
}

impl Page {
    fn tls(&self) -> Vec<(&'static str, Text)> {
        TLS.map(|mode| (mode, self.page.t(&format!("setup_database.tls_{mode}")))).into()
    }
}

/// What is proposed before anything was typed.
pub fn proposed() -> Fields {
    let pairs = [
        ("kind", "sqlite"),
        ("host", "localhost"),
        ("port", "5432"),
        ("user", "hearth"),
        ("name", "hearth"),
        ("tls", "prefer"),
    ];
    Fields::new(pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect())
}

/// The password is never sent to the browser: left empty, it is the one that was typed before.
pub fn with_password(sent: &Fields, before: Option<&Fields>) -> Fields {
    let password = sent.find("password").or(before.and_then(|before| before.find("password")));
    let names = super::step::Step::Database.kept().iter();
    let mut pairs: Vec<(String, String)> = names
        .filter(|name| **name != "password")
        .map(|name| ((*name).to_owned(), sent.get(name).to_owned()))
        .collect();
    pairs.push(("password".to_owned(), password.unwrap_or_default().to_owned()));
    Fields::new(pairs)
}

/// Connects to what was typed, without changing anything. Returns the domain of the installation
/// that is there, or the form with what is wrong.
pub async fn check(
    home: &Home,
    visitor: &Visitor,
    fields: &Fields,
) -> Result<Option<String>, Form> {
    let form = Form::sent(fields);
    let text = match url(visitor, fields) {
        Ok(text) => text,
        Err((field, why)) => return Err(form.refuse(field, why)),
    };
    let tested = match DatabaseUrl::parse(&text, home.path()) {
        Ok(url) => test(&url).await,
        Err(error) => Err(error),
    };
    tested.map_err(|error| {
        let why = visitor
            .t("setup_database.failed")
            .with("why", visitor.language.said(&error.to_string()));
        form.refuse(field_of(&error), why)
    })
}

/// Beside which field an error belongs.
fn field_of(error: &StorageError) -> &'static str {
    match error {
        StorageError::Unreachable { .. } | StorageError::Url(_) => "host",
        StorageError::Denied { .. } => "password",
        StorageError::NoSuchDatabase { .. } | StorageError::Unfit(_) => "name",
        StorageError::Tls(_) => "tls",
        _ => "kind",
    }
}

async fn test(url: &DatabaseUrl) -> Result<Option<String>, StorageError> {
    if let DatabaseUrl::Sqlite(path) = url
        && !path.exists()
    {
        return Ok(None);
    }
    let db = Db::open(url, Synchronous::Normal).await?;
    let tested = async {
        db.check_fitness().await?;
        installed_domain(&db).await
    };
    let tested = tested.await;
    db.close().await;
    tested
}

/// `database.url` of `hearth.toml`, or the field that is wrong and why.
pub fn url(visitor: &Visitor, fields: &Fields) -> Result<String, (&'static str, Text)> {
    if fields.get("kind") != "postgres" {
        return Ok("sqlite".to_owned());
    }
    for field in ["host", "user", "name"] {
        if fields.get(field).trim().is_empty() {
            return Err((field, visitor.t("setup_database.empty")));
        }
    }
    let port: u16 = match fields.get("port").trim().parse() {
        Ok(port) if port > 0 => port,
        _ => return Err(("port", visitor.t("setup_database.port_wrong"))),
    };
    let trust = [("sslrootcert", "root_certificate"), ("sslfingerprint", "fingerprint")];
    let mut url = base_url(fields, port);
    for (parameter, field) in trust {
        let value = fields.get(field).trim();
        if value.contains(['&', '#', '%', '?']) {
            return Err((field, visitor.t("setup_database.forbidden_characters")));
        }
        if !value.is_empty() {
            url += &format!("&{parameter}={value}");
        }
    }
    Ok(url)
}

fn base_url(fields: &Fields, port: u16) -> String {
    let escaped = |field: &str| utf8_percent_encode(fields.get(field).trim(), ESCAPED).to_string();
    let host = fields.get("host").trim().trim_matches(['[', ']']);
    let host = match host.contains(':') {
        true => format!("[{host}]"),
        false => utf8_percent_encode(host, ESCAPED).to_string(),
    };
    // A blank may belong to a password.
    let password = utf8_percent_encode(fields.get("password"), ESCAPED).to_string();
    let secret = if password.is_empty() { password } else { format!(":{password}") };
    let tls = TLS.into_iter().find(|mode| *mode == fields.get("tls")).unwrap_or(TLS[0]);
    format!(
        "postgres://{}{secret}@{host}:{port}/{}?sslmode={tls}",
        escaped("user"),
        escaped("name")
    )
}
