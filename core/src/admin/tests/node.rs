//! What the API tells and changes of this node: `/server`, `/database`, `/backups`,
//! `/certificates` and `/logs`.

use rcgen::{CertificateParams, KeyPair};

use super::*;

fn issue(names: &[&str], days: std::ops::Range<i64>) -> (String, String) {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).expect("names");
    let day = |number: i64| std::time::SystemTime::from(Timestamp(NOW.0 + number * 86_400_000));
    (params.not_before, params.not_after) = (day(days.start).into(), day(days.end).into());
    let key = KeyPair::generate().expect("a key");
    let certificate = params.self_signed(&key).expect("signed");
    (certificate.pem(), key.serialize_pem())
}

async fn install(console: &Console, (chain, key): (&str, &str)) -> (StatusCode, Value) {
    let body = json!({ "chain": chain, "key": key });
    console.call(Method::PUT, "/certificates", Some(body)).await
}

async fn the_served_certificate_is_described(test: TestDb) {
    let console = Console::start(&test).await;
    let shown = console.get("/certificates").await;
    let leaf = &shown["items"][0];
    assert_eq!(leaf["subject"], "CN=example.org");
    assert_eq!((&leaf["key"], &leaf["self_signed"]), (&json!("ECDSA P-256"), &json!(true)));
    assert_eq!(leaf["names"], json!(["example.org"]));
    assert_eq!(text(leaf, "fingerprint").len(), 32 * 3 - 1);
    assert_eq!(shown["warnings"], json!(["self-signed"]));
}

async fn a_certificate_is_installed_and_served(test: TestDb) {
    let console = Console::start(&test).await;
    let (chain, key) = issue(&["*.example.org", "example.org"], -1..20);
    let (status, shown) = install(&console, (&chain, &key)).await;
    assert_eq!(status, StatusCode::OK, "{shown}");
    assert_eq!(shown["items"][0]["days_left"], 20);
    assert_eq!(shown["warnings"], json!(["expires-soon", "self-signed"]));
    assert!(!shown.to_string().contains("PRIVATE"), "a key never comes back");
    let folder = console._home.path().join("certs");
    let again = Certificates::open(&folder, ["example.org", ""], NOW.into()).expect("a pair");
    assert_eq!(again.describe()[0].names, ["*.example.org", "example.org"]);
    let acts = console.get("/audit").await;
    assert_eq!(acts["items"][0]["action"], "certificate.install");
    assert_eq!(acts["items"][0]["target"], shown["items"][0]["fingerprint"]);
    let (status, shown) = console.call(Method::POST, "/certificates/self-signed", None).await;
    assert_eq!((status, &shown["items"][0]["names"]), (StatusCode::OK, &json!(["example.org"])));
}

async fn a_certificate_that_clients_would_refuse_is_refused(test: TestDb) {
    let console = Console::start(&test).await;
    let before = console.get("/certificates").await;
    let (good, key) = issue(&["example.org"], -1..20);
    let (elsewhere, other) = issue(&["example.com"], -1..20);
    let (old, old_key) = issue(&["example.org"], -20..-1);
    let (early, early_key) = issue(&["example.org"], 1..20);
    for (chain, key, field, words) in [
        (good.as_str(), other.as_str(), "key", "does not belong"),
        (elsewhere.as_str(), other.as_str(), "chain", "example.com"),
        (old.as_str(), old_key.as_str(), "chain", "valid from"),
        (early.as_str(), early_key.as_str(), "chain", "valid from"),
        ("no PEM", key.as_str(), "chain", "holds no certificate"),
        (good.as_str(), "no PEM", "key", "holds no private key"),
    ] {
        let (status, told) = install(&console, (chain, key)).await;
        assert_eq!((status, &told["field"]), (StatusCode::BAD_REQUEST, &json!(field)), "{told}");
        assert!(text(&told, "detail").contains(words), "{told}");
    }
    assert_eq!(console.get("/certificates").await, before);
}

async fn the_database_tells_its_figures(test: TestDb) {
    let console = Console::start(&test).await;
    let shown = console.get("/database").await;
    let figures = &shown["figures"];
    for count in ["reads", "writes", "commits"] {
        assert!(figures[count].as_u64().is_some_and(|count| count > 0), "{count}: {shown}");
    }
    assert!(text(&shown, "version").contains("SQL"), "{shown}");
    assert!(shown["bytes"].as_u64().is_some_and(|bytes| bytes > 0), "{shown}");
    assert!(shown["pool"]["size"].as_u64().is_some_and(|size| size > 1), "{shown}");
    let migrations = shown["migrations"].as_array().expect("migrations");
    assert!(migrations.iter().any(|one| one["feature"] == "admin"), "{shown}");
}

async fn a_backup_is_made_listed_and_deleted(test: TestDb) {
    let console = Console::start(&test).await;
    let format = json!({ "format": "export" });
    let (status, begun) = console.call(Method::POST, "/backups", Some(format)).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{begun}");
    let done = async {
        loop {
            let shown = console.get("/backups").await;
            if shown["work"]["state"] != "running" {
                return shown;
            }
            tokio::task::yield_now().await;
        }
    };
    let shown = tokio::time::timeout(Duration::from_secs(30), done).await.expect("in time");
    assert_eq!(shown["work"]["state"], "done", "{shown}");
    assert_eq!(shown["items"][0]["name"], begun["name"]);
    let path = format!("/backups/{}", text(&begun, "name"));
    assert_eq!(console.call(Method::DELETE, &path, None).await.0, StatusCode::NO_CONTENT);
    assert_eq!(console.call(Method::DELETE, &path, None).await.0, StatusCode::NOT_FOUND);
    let (status, _) = console.call(Method::DELETE, "/backups/certs", None).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

async fn the_log_is_read_from_its_end(test: TestDb) {
    let console = Console::start(&test).await;
    let tail = console.api.running.as_ref().expect("running").log.tail().clone();
    let log = tracing_subscriber::layer::SubscriberExt::with(tracing_subscriber::registry(), tail);
    tracing::subscriber::with_default(log, || {
        tracing::info!(target: "hearth::net", "one");
        tracing::warn!(target: "hearth::c2s", "two");
    });
    let told = |page: &Value| -> Vec<String> {
        let items = page["items"].as_array().expect("items").iter();
        items.map(|line| text(line, "text").to_owned()).collect()
    };
    let all = console.get("/logs").await;
    assert_eq!((told(&all), &all["last"]), (vec!["one".into(), "two".into()], &json!(2)));
    assert_eq!(told(&console.get("/logs?level=warn").await), ["two"]);
    assert_eq!(told(&console.get("/logs?target=hearth::net").await), ["one"]);
    assert_eq!(told(&console.get("/logs?limit=1").await), ["two"]);
    assert!(told(&console.get("/logs?after=2").await).is_empty());
    assert_eq!(all["levels"], "info");
}

async fn the_server_tells_what_it_needs(test: TestDb) {
    let console = Console::start(&test).await;
    let shown = console.get("/server").await;
    assert!(shown["process"].is_null(), "only when it is asked for");
    let shown = console.get("/server?process=true").await;
    assert!(shown["process"]["resident"].as_u64().is_some_and(|octets| octets > 0), "{shown}");
    assert!(text(&shown["build"], "rust").starts_with("rustc "), "{shown}");
    let listener = json!({ "name": "console", "port": 9090, "tls": "local" });
    assert_eq!(shown["listeners"], json!([listener]));
    assert_eq!(shown["certificate_warnings"], json!(["self-signed"]));
}

crate::backend_tests! {
    the_served_certificate_is_described,
    a_certificate_is_installed_and_served,
    a_certificate_that_clients_would_refuse_is_refused,
    the_database_tells_its_figures,
    a_backup_is_made_listed_and_deleted,
    the_log_is_read_from_its_end,
    the_server_tells_what_it_needs,
}
