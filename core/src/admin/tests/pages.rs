//! The console's pages over time: what becomes of a form when the session ends, or when the password
//! must be given again.

use super::*;
use crate::admin::{pages, session};

const LATER: Duration = Duration::from_secs(5 * 60);

/// A browser, as far as it keeps the cookie and the token of its forms.
struct Browser<'c> {
    console: &'c Console,
    cookie: String,
    csrf: String,
}

impl<'c> Browser<'c> {
    async fn open(console: &'c Console) -> Browser<'c> {
        console.api.properties.declare(&session::PROPERTIES).await.expect("declared");
        let shown = pages::Console::new(console.api.clone(), console.tracker.clone());
        pages::mount(&console.routes, Arc::new(shown));
        console.new_user("admin").await;
        let appoint = console.call(Method::PUT, "/users/admin/administrator", Some(json!({})));
        assert!(appoint.await.0.is_success());
        let mut browser = Browser { console, cookie: String::new(), csrf: String::new() };
        browser.sign_in(&[]).await;
        browser
    }

    async fn ask(&mut self, method: Method, path: &str, body: String) -> (StatusCode, String) {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "localhost")
            .header("origin", "http://localhost")
            .header("cookie", &self.cookie)
            .header("content-type", "application/x-www-form-urlencoded");
        let request = request.body(Full::new(body.into())).expect("a request");
        let (head, text) = self.console.exchange(request).await;
        let header = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok());
        let session = header("set-cookie").filter(|cookie| cookie.starts_with("hearth="));
        if let Some(cookie) = session {
            self.cookie = cookie.split(';').next().unwrap_or_default().to_owned();
        }
        if let Some(token) = field(&text, "csrf").filter(|token| !token.is_empty()) {
            self.csrf = token;
        }
        (head.status, header("location").map(str::to_owned).unwrap_or(text))
    }

    async fn get(&mut self, path: &str) -> String {
        let (status, page) = self.ask(Method::GET, path, String::new()).await;
        assert_eq!(status, StatusCode::OK, "{path}: {page}");
        page
    }

    async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> (StatusCode, String) {
        let mut body = form_urlencoded::Serializer::new(String::new());
        let body = body.append_pair("csrf", &self.csrf).extend_pairs(fields).finish();
        self.ask(Method::POST, path, body).await
    }

    /// Answers the sign-in, with what its page carries.
    async fn sign_in(&mut self, carried: &[(&str, &str)]) -> String {
        let own = [("name", "admin"), ("password", "secret")];
        let (status, location) = self.post("/sign-in", &[carried, &own].concat()).await;
        assert_eq!(status, StatusCode::SEE_OTHER, "{location}");
        location
    }
}

/// The value of a field of a page's last form, which is its own.
fn field(page: &str, name: &str) -> Option<String> {
    let (_, rest) = page.rsplit_once(&format!(" name=\"{name}\""))?;
    let (tag, _) = rest.split_once('>')?;
    let (value, _) = tag.split_once("value=\"")?.1.split_once('"')?;
    Some(value.replace("&#38;", "&"))
}

/// What a page with a question carries.
fn carried(page: &str) -> [(&'static str, String); 4] {
    ["back", "sent", "partly", "act"].map(|name| (name, field(page, name).unwrap_or_default()))
}

fn borrowed<'f>(fields: &'f [(&'static str, String); 4]) -> Vec<(&'static str, &'f str)> {
    fields.iter().map(|(name, value)| (*name, value.as_str())).collect()
}

async fn a_form_outlives_its_session(test: TestDb) {
    let console = Console::start(&test).await;
    let mut browser = Browser::open(&console).await;
    browser.get("/create/user").await;
    console.api.clock.advance(LATER * 7);
    let typed = [
        ("name", "juliet"),
        ("email", "j&m@example.org"),
        ("password", "nurse"),
        ("again", "nurse"),
    ];
    let (status, page) = browser.post("/create/user", &typed).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{page}");
    assert!(!page.contains("nurse") && page.contains("not kept"), "{page}");
    let kept = carried(&page);
    assert_eq!(browser.sign_in(&borrowed(&kept)).await, "/create/user");
    let page = browser.get("/create/user").await;
    assert_eq!(field(&page, "name").as_deref(), Some("juliet"), "{page}");
    assert_eq!(field(&page, "email").as_deref(), Some("j&m@example.org"));
    assert!(page.contains("nothing was done yet") && page.contains("not kept"), "{page}");
    assert_eq!(field(&browser.get("/create/user").await, "name").as_deref(), Some(""));
    let (status, _) = console.call(Method::GET, "/users/juliet", None).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

async fn an_act_is_carried_on_after_the_password(test: TestDb) {
    let console = Console::start(&test).await;
    let mut browser = Browser::open(&console).await;
    console.new_user("romeo").await;
    console.api.clock.advance(LATER);
    browser.get("/users/romeo").await;
    let (status, page) = browser.post("/users/romeo/appoint", &[]).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{page}");
    let kept = carried(&page);
    let wrong = [borrowed(&kept), vec![("password", "wrong")]].concat();
    let (_, page) = browser.post("/confirm", &wrong).await;
    assert_eq!(carried(&page), kept, "a wrong password loses nothing");
    assert_eq!(console.get("/users/romeo").await["administrator"], false);
    let right = [borrowed(&kept), vec![("password", "secret")]].concat();
    let (status, location) = browser.post("/confirm", &right).await;
    assert_eq!((status, location.as_str()), (StatusCode::SEE_OTHER, "/users/romeo"));
    assert_eq!(console.get("/users/romeo").await["administrator"], true);
}

async fn a_form_is_carried_on_after_the_password(test: TestDb) {
    let console = Console::start(&test).await;
    let mut browser = Browser::open(&console).await;
    browser.get("/server/tokens/new").await;
    console.api.clock.advance(LATER);
    let (_, page) = browser.post("/server/tokens/new", &[("name", "x & y"), ("days", "3")]).await;
    let kept = carried(&page);
    let right = [borrowed(&kept), vec![("password", "secret")]].concat();
    let (status, page) = browser.post("/confirm", &right).await;
    assert_eq!(status, StatusCode::OK);
    assert!(page.contains("hearth_"), "{page}");
    assert_eq!(console.get("/tokens").await["items"][0]["name"], "x & y");
}

async fn a_secret_is_entered_again_after_the_password(test: TestDb) {
    let console = Console::start(&test).await;
    let mut browser = Browser::open(&console).await;
    browser.get("/server/certificates/install").await;
    console.api.clock.advance(LATER);
    let typed = [("chain", "of the server"), ("key", "private")];
    let (_, page) = browser.post("/server/certificates/install", &typed).await;
    assert!(!page.contains("private") && page.contains("not kept"), "{page}");
    let kept = carried(&page);
    let right = [borrowed(&kept), vec![("password", "secret")]].concat();
    let (status, location) = browser.post("/confirm", &right).await;
    assert_eq!((status, &*location), (StatusCode::SEE_OTHER, "/server/certificates/install"));
    let page = browser.get(&location).await;
    assert!(page.contains("of the server") && page.contains("nothing was done yet"), "{page}");
}

async fn too_much_is_not_carried(test: TestDb) {
    let console = Console::start(&test).await;
    let mut browser = Browser::open(&console).await;
    console.api.clock.advance(LATER * 7);
    let long = "x".repeat(40_000);
    let (_, page) = browser.post("/create/group", &[("name", "g"), ("description", &long)]).await;
    assert!(page.len() < 10_000 && page.contains("could not be kept"), "{page}");
    let kept = carried(&page);
    assert_eq!(browser.sign_in(&borrowed(&kept)).await, "/create/group");
    assert!(browser.get("/create/group").await.contains("Please enter it again"));
}

async fn another_language_keeps_what_was_refused(test: TestDb) {
    let console = Console::start(&test).await;
    let mut browser = Browser::open(&console).await;
    browser.get("/create/user").await;
    let typed = [("name", "juliet"), ("email", "j@example.org"), ("password", "n"), ("again", "m")];
    let (status, page) = browser.post("/create/user", &typed).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{page}");
    let sent = field(&page, "sent").unwrap_or_default();
    assert_eq!(sent, "name=juliet&email=j%40example.org");
    let chosen = [("language", "de"), ("back", "/create/user"), ("sent", &sent)];
    let (_, location) = browser.post("/language", &chosen).await;
    assert_eq!(location, "/create/user");
    let page = browser.get(&location).await;
    assert_eq!(field(&page, "name").as_deref(), Some("juliet"), "{page}");
}

crate::backend_tests! {
    another_language_keeps_what_was_refused,
    a_form_outlives_its_session,
    an_act_is_carried_on_after_the_password,
    a_form_is_carried_on_after_the_password,
    a_secret_is_entered_again_after_the_password,
    too_much_is_not_carried,
}
