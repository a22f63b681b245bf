use hearth_plugin_api::testing::{FakeHost, Fixture};
use hearth_plugin_api::{
    DirectoryCall, ErrorKind, Group, NoticeLevel, PageRequest, Query, User, Verified, json,
};

use super::LdapAuth;
use super::slapd::{CROWD, Slapd, free_port};

fn fixture(slapd: &Slapd) -> Fixture {
    Fixture::default()
        .property("servers", &slapd.ldap)
        .property("ca", &slapd.ca)
        .property("bind-dn", "cn=search,dc=example,dc=org")
        .property("bind-password", "search-secret")
        .property("base-dn", "dc=example,dc=org")
        .property("page-size", "10")
}

fn server(fixture: Fixture) -> FakeHost {
    FakeHost::start_with::<LdapAuth>(fixture).unwrap()
}

fn ask(server: &FakeHost, call: DirectoryCall) -> json::Value {
    server.directory(&call).unwrap()
}

fn users(server: &FakeHost, query: Query) -> Vec<User> {
    json::from_value(ask(server, DirectoryCall::Users(query))).unwrap()
}

fn user(server: &FakeHost, name: &str) -> Option<User> {
    json::from_value(ask(server, DirectoryCall::User { name: name.to_owned() })).unwrap()
}

fn members(server: &FakeHost, group: &str) -> Vec<String> {
    let call = DirectoryCall::Members { group: group.to_owned() };
    json::from_value(ask(server, call)).unwrap()
}

fn test_page(server: &FakeHost, form: &[(&str, &str)]) -> String {
    let form = form.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
    let (method, path) = ("POST".to_owned(), "test".to_owned());
    let request = PageRequest { method, path, form, ..PageRequest::default() };
    String::from_utf8(server.request_page("ldap", request).unwrap().body).unwrap()
}

#[test]
fn the_directory_decides_over_starttls_and_ldaps() {
    let slapd = Slapd::start();
    for address in [&slapd.ldap, &slapd.ldaps] {
        let server = server(fixture(&slapd).property("servers", address));
        let table = [
            ("juliet", "Juliet-secret", Verified::Accepted),
            ("juliet", "wrong", Verified::Refused),
            ("juliet", "", Verified::Refused),
            ("nobody", "x", Verified::Unknown),
            ("*", "Juliet-secret", Verified::Unknown),
            ("juliet)(uid=*", "Juliet-secret", Verified::Unknown),
        ];
        for (user, password, expected) in table {
            assert_eq!(server.verify(user, password), Ok(expected), "{address}: {user}");
        }
        assert_eq!(server.stop(), Ok(()));
    }
}

#[test]
fn users_have_attributes_and_come_in_pages() {
    let slapd = Slapd::start();
    let server = server(fixture(&slapd));
    let juliet = user(&server, "juliet").unwrap();
    assert_eq!(
        (juliet.name.as_str(), juliet.display_name.as_str(), juliet.email.as_str()),
        ("juliet", "Juliet Capulet", "Juliet@example.org")
    );
    assert_eq!(user(&server, "nobody"), None);
    // The directory gives this account ten entries at once and no more.
    let all = users(&server, Query::first(1000));
    assert_eq!(all.len(), CROWD + 2);
    assert!(all.is_sorted_by_key(|user| user.name.clone()));
    let next = users(&server, Query::first(3).after("user01"));
    let names: Vec<_> = next.iter().map(|user| user.name.as_str()).collect();
    assert_eq!(names, ["user02", "user03", "user04"]);
    let query = Query { search: "MONTAGUE".into(), ..Query::first(9) };
    let found = users(&server, query);
    assert_eq!(found.iter().map(|user| &user.name).collect::<Vec<_>>(), ["romeo"]);
}

#[test]
fn groups_have_members() {
    let slapd = Slapd::start();
    let server = server(fixture(&slapd));
    let groups = ask(&server, DirectoryCall::Groups(Query::first(10)));
    let groups: Vec<Group> = json::from_value(groups).unwrap();
    let shown: Vec<_> =
        groups.iter().map(|group| (group.name.as_str(), group.description.as_str())).collect();
    assert_eq!(shown, [("empty", ""), ("lovers", "Star-crossed")]);
    assert_eq!(members(&server, "lovers"), ["juliet", "romeo"]);
    assert_eq!(members(&server, "empty"), [""; 0]);
    assert_eq!(members(&server, "lovers)(cn=*"), [""; 0]);
}

#[test]
fn another_server_stands_in_for_one_that_is_away() {
    let (mut first, second) = (Slapd::start(), Slapd::start());
    let away = format!("ldap://127.0.0.1:{}", free_port());
    let servers = [away.as_str(), &first.ldap, &second.ldap].join("\n");
    let ca = [first.ca.as_str(), &second.ca].concat();
    let server = server(fixture(&first).property("servers", &servers).property("ca", &ca));
    assert_eq!(server.verify("romeo", "romeo-secret"), Ok(Verified::Accepted));
    first.kill();
    assert_eq!(server.verify("romeo", "romeo-secret"), Ok(Verified::Accepted));
    drop(second);
    let error = server.verify("romeo", "romeo-secret").unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unavailable);
    assert!(error.message.contains(&away) && error.message.contains("refused"), "{error}");
}

#[test]
fn a_server_that_says_nothing_is_given_up() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("ldap://{}", silent.local_addr().unwrap());
    let slapd = Slapd::start();
    let servers = format!("{address}\n{}", slapd.ldap);
    let fixture = fixture(&slapd).property("servers", &servers).property("timeout", "1000");
    assert_eq!(server(fixture).verify("romeo", "romeo-secret"), Ok(Verified::Accepted));
}

#[test]
fn the_page_says_what_each_server_says() {
    let slapd = Slapd::start();
    let away = format!("ldap://127.0.0.1:{}", free_port());
    let servers = [slapd.ldap.as_str(), &away].join("\n");
    let server = server(fixture(&slapd).property("servers", &servers));
    let said = test_page(&server, &[]);
    assert!(said.contains(&format!("{} users, 2 groups", CROWD + 2)), "{said}");
    assert!(said.contains(&format!("{away}: Connection refused")), "{said}");
    let said = test_page(&server, &[("user", "juliet"), ("password", "no-secret-7")]);
    assert!(said.contains("uid=Juliet,ou=people,dc=example,dc=org is juliet"), "{said}");
    assert!(said.contains("the password is wrong") && !said.contains("no-secret-7"), "{said}");
    let said = test_page(&server, &[("user", "juliet"), ("password", "Juliet-secret")]);
    assert!(said.contains("the password is right"), "{said}");
}

#[test]
fn what_is_wrong_is_named_and_no_password_is_logged() {
    let slapd = Slapd::start();
    let wrong = |name: &str, value: &str| {
        let server = server(fixture(&slapd).property(name, value));
        let error = server.verify("juliet", "Juliet-secret").unwrap_err();
        let logged = format!("{:?} {}", server.logs(), error.message);
        assert!(!logged.contains("-secret") && !logged.contains("hunter2"), "{logged}");
        (error.kind, error.message)
    };
    let table = [
        ("bind-password", "hunter2", ErrorKind::Invalid, "invalidCredentials"),
        ("base-dn", "dc=else", ErrorKind::Unavailable, "noSuchObject"),
        ("ca", "no certificate", ErrorKind::Invalid, "BEGIN"),
        ("starttls", "false", ErrorKind::Invalid, "allow-cleartext"),
        ("servers", "http://x", ErrorKind::Invalid, "no ldap:// or ldaps://"),
        ("servers", "ldap://", ErrorKind::Invalid, "no ldap:// or ldaps://"),
        ("user-filter", "(uid=juliet)", ErrorKind::Invalid, "has no {user}"),
        ("user-filter", "(uid={user}", ErrorKind::Invalid, "is no filter"),
        ("user-filter", "(|(uid={user})(uid=romeo))", ErrorKind::Invalid, "several"),
        ("page-size", "100", ErrorKind::Unavailable, "page-size"),
    ];
    for (name, value, kind, part) in table {
        let (found, message) = wrong(name, value);
        assert_eq!(found, kind, "{name}={value}: {message}");
        assert!(message.contains(part), "{name}={value}: {message}");
    }
}

#[test]
fn a_certificate_of_somebody_else_is_refused() {
    let (slapd, other) = (Slapd::start(), Slapd::start());
    for address in [&slapd.ldap, &slapd.ldaps] {
        let fixture = fixture(&slapd).property("servers", address).property("ca", &other.ca);
        let error = server(fixture).verify("juliet", "Juliet-secret").unwrap_err();
        assert!(error.message.contains("certificate"), "{error}");
    }
}

#[test]
fn without_a_server_nobody_is_asked() {
    let server = server(Fixture::default());
    assert_eq!(server.verify("juliet", "x"), Ok(Verified::Unknown));
    assert_eq!(user(&server, "juliet"), None);
    assert!(test_page(&server, &[]).contains("No server is named yet"));
}

#[test]
fn the_page_keeps_a_password_that_is_not_typed_again() {
    let slapd = Slapd::start();
    let server = server(fixture(&slapd));
    let page = String::from_utf8(server.page("ldap").unwrap().body).unwrap();
    assert!(page.contains("cn=search,dc=example,dc=org") && !page.contains("search-secret"));
    let mut form: Vec<(String, String)> = Vec::new();
    for property in super::settings::properties() {
        let value = server.host().property(&property.name).unwrap();
        let value = if property.name == "bind-password" { String::new() } else { value };
        form.push((property.name, value));
    }
    let (method, path) = ("POST".to_owned(), "save".to_owned());
    let request = PageRequest { method, path, form, ..PageRequest::default() };
    let notice = server.request_page("ldap", request).unwrap().notice.unwrap();
    assert_eq!(notice.level, NoticeLevel::Info, "{}", notice.text);
    assert_eq!(server.verify("romeo", "romeo-secret"), Ok(Verified::Accepted));
}
