//! Users, rosters, groups and the audit log.

use super::*;

crate::backend_tests! {
    users_are_found_and_counted,
    users_are_shown_by_kind,
    a_profile_is_edited,
    a_lock_out_has_a_time_and_a_reason,
    the_last_administrator_stays,
    properties_of_a_user_are_kept,
    a_contact_is_added_for_both_sides,
    a_contact_is_changed_and_removed,
    a_contact_elsewhere_is_asked,
    a_contact_that_cannot_be_is_refused,
    groups_are_made_changed_and_deleted,
    members_come_and_go,
    the_audit_log_is_filtered,
    names_that_no_path_holds_are_refused,
}

fn names(page: &Value) -> Vec<String> {
    let items = page["items"].as_array().expect("items").iter();
    items.map(|item| item["name"].as_str().expect("a name").to_owned()).collect()
}

impl Console {
    async fn put(&self, path: &str, body: Value) -> Value {
        let (status, body) = self.call(Method::PUT, path, Some(body)).await;
        assert!(status.is_success(), "{path}: {body}");
        body
    }

    async fn delete(&self, path: &str) {
        let (status, body) = self.call(Method::DELETE, path, None).await;
        assert_eq!(status, StatusCode::NO_CONTENT, "{path}: {body}");
    }

    /// The status and the field of a call that is refused.
    async fn refused(&self, method: Method, path: &str, body: Option<Value>) -> (u16, String) {
        let (status, body) = self.call(method, path, body).await;
        assert!(status.is_client_error(), "{path}: {status} {body}");
        (status.as_u16(), body["field"].as_str().unwrap_or_default().to_owned())
    }

    /// `contact`'s subscription in the roster of `user`, as `both`, or `none ask`.
    async fn subscription(&self, user: &str, contact: &str) -> String {
        let roster = self.get(&format!("/users/{user}/roster")).await;
        let items = roster["items"].as_array().expect("items").iter();
        let mut item = items.filter(|item| item["jid"] == contact).map(|item| {
            let ask = if item["ask"] == true { " ask" } else { "" };
            format!("{}{ask}", item["subscription"].as_str().expect("a text"))
        });
        item.next_back().unwrap_or_else(|| "absent".to_owned())
    }
}

async fn users_are_found_and_counted(test: TestDb) {
    let console = Console::start(&test).await;
    for (name, called) in [("juliet", "Juliet Capulet"), ("tybalt", "Tybalt Capulet")] {
        let new = json!({ "name": name, "password": "x", "display_name": called });
        console.call(Method::POST, "/users", Some(new)).await;
    }
    console.new_user("romeo").await;
    let found = console.get("/users?search=cap").await;
    assert_eq!(
        (names(&found), &found["total"]),
        (vec!["juliet".into(), "tybalt".into()], &json!(3))
    );
    let first = console.get("/users?search=Cap&limit=1").await;
    let next = first["next"].as_str().expect("a next page").replace(' ', "%20");
    let second = console.get(&format!("/users?search=cap&limit=1&after={next}")).await;
    assert_eq!((names(&first), names(&second)), (vec!["juliet".into()], vec!["tybalt".into()]));
    assert_eq!(second["next"], Value::Null);
    assert_eq!(names(&console.get("/users?search=nobody").await), [""; 0]);
    let wrong = console.refused(Method::GET, "/users?search=a&after=b", None).await;
    assert_eq!(wrong, (400, "after".to_owned()));
}

async fn users_are_shown_by_kind(test: TestDb) {
    let console = Console::start(&test).await;
    for name in ["a", "b", "c"] {
        console.new_user(name).await;
    }
    let _online = console.enter("d").await;
    console.put("/users/a/administrator", json!({})).await;
    console.put("/users/b/lock", json!({ "from": "2030-01-01T00:00:00Z" })).await;
    assert_eq!(names(&console.get("/users?show=administrators").await), ["a"]);
    assert_eq!(names(&console.get("/users?show=locked").await), ["b"]);
    assert_eq!(names(&console.get("/users?show=online").await), ["d"]);
    assert_eq!(names(&console.get("/users?show=online&search=x").await), [""; 0]);
    assert_eq!(console.get("/users/d").await["sessions"], 1);
    let wrong = console.refused(Method::GET, "/users?show=x", None).await;
    assert_eq!(wrong, (400, "show".to_owned()));
}

async fn a_profile_is_edited(test: TestDb) {
    let console = Console::start(&test).await;
    console.new_user("juliet").await;
    let edit = json!({ "display_name": " Juliet ", "email": "j@example.org" });
    let edited = console.put("/users/juliet", edit).await;
    assert_eq!(edited["display_name"], "Juliet");
    assert_eq!(console.get("/users/juliet").await["email"], "j@example.org");
    console.put("/users/juliet", json!({ "email": "" })).await;
    assert_eq!(console.get("/users/juliet").await["display_name"], Value::Null);
    let wrong = Some(json!({ "email": "nobody" }));
    let refused = console.refused(Method::PUT, "/users/juliet", wrong).await;
    assert_eq!(refused, (400, "email".to_owned()));
}

async fn a_lock_out_has_a_time_and_a_reason(test: TestDb) {
    let console = Console::start(&test).await;
    console.new_user("romeo").await;
    let until = (NOW + Duration::from_secs(60)).to_string();
    let lock = json!({ "until": until, "reason": "spam" });
    console.put("/users/romeo/lock", lock).await;
    let shown = console.get("/users/romeo").await;
    assert_eq!((&shown["locked"], &shown["lockout"]["reason"]), (&json!(true), &json!("spam")));
    assert_eq!(shown["lockout"]["until"], until);
    console.api.clock.advance(Duration::from_secs(61));
    let shown = console.get("/users/romeo").await;
    assert_eq!((&shown["locked"], &shown["lockout"]), (&json!(false), &Value::Null));
    for (field, time) in [("until", "2001-01-01T00:00:00Z"), ("from", "tomorrow")] {
        let body = Some(json!({ field: time }));
        let refused = console.refused(Method::PUT, "/users/romeo/lock", body).await;
        assert_eq!(refused, (400, field.to_owned()));
    }
}

async fn the_last_administrator_stays(test: TestDb) {
    let console = Console::start(&test).await;
    for name in ["romeo", "juliet"] {
        console.new_user(name).await;
        console.put(&format!("/users/{name}/administrator"), json!({})).await;
    }
    console.delete("/users/juliet/administrator").await;
    let ways = [
        (Method::DELETE, "/users/romeo/administrator"),
        (Method::PUT, "/users/romeo/lock"),
        (Method::DELETE, "/users/romeo"),
    ];
    for (method, path) in ways {
        assert_eq!(console.refused(method, path, None).await.0, 409, "{path}");
    }
    let romeo = console.get("/users/romeo").await;
    assert_eq!((&romeo["administrator"], &romeo["locked"]), (&json!(true), &json!(false)));
    // Nothing else is refused: she is none.
    console.put("/users/juliet/lock", json!({})).await;
    console.delete("/users/juliet").await;
}

async fn properties_of_a_user_are_kept(test: TestDb) {
    let console = Console::start(&test).await;
    console.new_user("romeo").await;
    console.put("/users/romeo/properties/phone", json!({ "value": "1" })).await;
    console.put("/users/romeo/properties/phone", json!({ "value": "2" })).await;
    let listed = console.get("/users/romeo/properties").await;
    assert_eq!(listed["items"], json!([{ "name": "phone", "value": "2" }]));
    console.delete("/users/romeo/properties/phone").await;
    let gone = console.refused(Method::DELETE, "/users/romeo/properties/phone", None).await;
    assert_eq!(gone.0, 404);
}

async fn a_contact_is_added_for_both_sides(test: TestDb) {
    let console = Console::start(&test).await;
    let juliet = console.enter("juliet").await;
    console.new_user("romeo").await;
    let contact = json!({ "name": "Romeo", "groups": ["Friends"], "subscription": "both" });
    let put = console.put("/users/juliet/roster/romeo%40example.org", contact).await;
    assert_eq!((&put["subscription"], &put["groups"]), (&json!("both"), &json!(["Friends"])));
    assert_eq!(console.subscription("romeo", "juliet@example.org").await, "both");
    let mut asked = std::collections::VecDeque::new();
    juliet.shared.mailbox.take(&mut asked);
    let asks = asked.iter().any(|envelope| {
        matches!(envelope.stanza.head.kind, crate::stanza::Kind::Presence(PresenceType::Subscribe))
    });
    assert!(!asks, "her clients are not asked");
}

async fn a_contact_is_changed_and_removed(test: TestDb) {
    let console = Console::start(&test).await;
    for name in ["juliet", "romeo"] {
        console.new_user(name).await;
    }
    let path = "/users/juliet/roster/romeo%40example.org";
    let steps = [
        ("none", "none", "absent"),
        ("to", "to", "from"),
        ("from", "from", "to"),
        ("both", "both", "both"),
        ("none", "none", "none"),
    ];
    for (wanted, hers, his) in steps {
        console.put(path, json!({ "subscription": wanted })).await;
        assert_eq!(console.subscription("juliet", "romeo@example.org").await, hers, "{wanted}");
        assert_eq!(console.subscription("romeo", "juliet@example.org").await, his, "{wanted}");
    }
    console.put(path, json!({ "name": "R", "subscription": "both" })).await;
    console.put(path, json!({ "name": "Romeo" })).await;
    assert_eq!(console.get(path).await["subscription"], "both", "it stays as it is");
    console.delete(path).await;
    assert_eq!(console.subscription("juliet", "romeo@example.org").await, "absent");
    assert_eq!(console.subscription("romeo", "juliet@example.org").await, "none");
    assert_eq!(console.refused(Method::DELETE, path, None).await.0, 404);
}

async fn a_contact_elsewhere_is_asked(test: TestDb) {
    let console = Console::start(&test).await;
    console.new_user("juliet").await;
    let path = "/users/juliet/roster/romeo%40example.net";
    let put = console.put(path, json!({ "subscription": "both" })).await;
    assert_eq!((&put["subscription"], &put["ask"]), (&json!("none"), &json!(true)));
    assert_eq!(put["approved"], true);
}

async fn a_contact_that_cannot_be_is_refused(test: TestDb) {
    let console = Console::start(&test).await;
    console.new_user("juliet").await;
    for contact in ["juliet%40example.org", "nobody%40example.org", "%40x"] {
        let path = format!("/users/juliet/roster/{contact}");
        let body = Some(json!({ "subscription": "both" }));
        let refused = console.refused(Method::PUT, &path, body).await;
        assert_eq!(refused, (400, "contact".to_owned()), "{contact}");
    }
    let path = "/users/juliet/roster/a%40example.net";
    let refused = console.refused(Method::PUT, path, Some(json!({ "groups": ["a", "a"] }))).await;
    assert_eq!(refused, (400, "groups".to_owned()));
}

async fn groups_are_made_changed_and_deleted(test: TestDb) {
    let console = Console::start(&test).await;
    let new = json!({ "name": "Sales & more", "description": "Who sells" });
    let (status, made) = console.call(Method::POST, "/groups", Some(new.clone())).await;
    assert_eq!((status, &made["members"]), (StatusCode::CREATED, &json!(0)));
    let taken = console.refused(Method::POST, "/groups", Some(new.clone())).await;
    assert_eq!(taken, (409, "name".to_owned()));
    console.put("/groups/Sales%20%26%20more", json!({ "name": "Sales" })).await;
    assert_eq!(console.get("/groups/Sales").await["description"], "");
    console.call(Method::POST, "/groups", Some(json!({ "name": "Support" }))).await;
    assert_eq!(names(&console.get("/groups?search=Su").await), ["Support"]);
    let rename = Some(json!({ "name": "Support" }));
    let taken = console.refused(Method::PUT, "/groups/Sales", rename).await;
    assert_eq!(taken, (409, "name".to_owned()));
    console.delete("/groups/Sales").await;
    assert_eq!(names(&console.get("/groups").await), ["Support"]);
}

async fn members_come_and_go(test: TestDb) {
    let console = Console::start(&test).await;
    for name in ["juliet", "romeo"] {
        console.new_user(name).await;
    }
    console.call(Method::POST, "/groups", Some(json!({ "name": "IT" }))).await;
    console.put("/groups/IT/members/juliet", json!({ "administrator": true })).await;
    let (status, _) = console.call(Method::PUT, "/groups/IT/members/romeo", None).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    let page = console.get("/groups/IT/members?limit=1").await;
    assert_eq!(page["items"], json!([{ "name": "juliet", "administrator": true }]));
    assert_eq!(names(&console.get("/groups/IT/members?after=juliet").await), ["romeo"]);
    assert_eq!(console.get("/users/juliet/groups").await["items"][0]["administrator"], true);
    console.delete("/users/romeo").await;
    assert_eq!(console.get("/groups/IT").await["members"], 1);
    console.delete("/groups/IT/members/juliet").await;
    assert_eq!(console.refused(Method::DELETE, "/groups/IT/members/juliet", None).await.0, 404);
    assert_eq!(console.refused(Method::PUT, "/groups/IT/members/nobody", None).await.0, 404);
}

async fn the_audit_log_is_filtered(test: TestDb) {
    let console = Console::start(&test).await;
    console.new_user("romeo").await;
    console.api.clock.advance(Duration::from_secs(3600));
    console.new_user("juliet").await;
    let (_, token) = console.new_token("ci").await;
    let new = json!({ "name": "nurse", "password": "x" });
    console.call_as(Some(&token), Method::POST, "/api/v1/users", Some(new)).await;
    let targets = async |query: &str| -> Vec<String> {
        let page = console.get(&format!("/audit?{query}")).await;
        let items = page["items"].as_array().expect("items").iter();
        items.map(|act| act["target"].as_str().expect("a target").to_owned()).collect()
    };
    assert_eq!(targets("").await, ["nurse", "ci", "juliet", "romeo"]);
    assert_eq!(targets("actor=token%20ci").await, ["nurse"]);
    assert_eq!(targets("action=user.create&limit=2").await, ["nurse", "juliet"]);
    assert_eq!(targets("target=romeo&action=user.create").await, ["romeo"]);
    let hour = NOW + Duration::from_secs(3600);
    assert_eq!(targets(&format!("from={hour}")).await, ["nurse", "ci", "juliet"]);
    assert_eq!(targets(&format!("to={hour}")).await, ["romeo"]);
    let wrong = console.refused(Method::GET, "/audit?from=yesterday", None).await;
    assert_eq!(wrong, (400, "from".to_owned()));
}

async fn names_that_no_path_holds_are_refused(test: TestDb) {
    let console = Console::start(&test).await;
    for name in ["a;b", "a%b", "a\\b", "..", " "] {
        let group = Some(json!({ "name": name }));
        let refused = console.refused(Method::POST, "/groups", group).await;
        assert_eq!(refused, (400, "name".to_owned()), "{name}");
        let user = Some(json!({ "name": name, "password": "x" }));
        let refused = console.refused(Method::POST, "/users", user).await;
        assert_eq!(refused, (400, "name".to_owned()), "{name}");
    }
}
