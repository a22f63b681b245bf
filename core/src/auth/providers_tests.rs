use futures_util::FutureExt;

use super::*;

/// Knows the password of one user; `Err` when it is away.
pub struct Door {
    pub title: Title,
    pub knows: Result<(&'static str, &'static str), &'static str>,
}

pub fn door(priority: i32, knows: Result<(&'static str, &'static str), &'static str>) -> Arc<Door> {
    let title = Title { name: "door".to_owned(), plugin: "trial".to_owned(), priority };
    Arc::new(Door { title, knows })
}

impl Credentials for Door {
    fn title(&self) -> &Title {
        &self.title
    }

    fn verify(&self, user: &str, password: &Zeroizing<String>) -> Answer<Verified> {
        let verdict = self.knows.map_err(str::to_owned).map(|(known, right)| {
            match (known == user, right == password.as_str()) {
                (true, true) => Verified::Accepted,
                (true, false) => Verified::Refused,
                (false, _) => Verified::Unknown,
            }
        });
        async move { verdict }.boxed()
    }

    fn set_password(&self, _: &str, password: &Zeroizing<String>) -> Answer<bool> {
        let can = self.knows.map_err(str::to_owned).map(|_| password.as_str() != "kept");
        async move { can }.boxed()
    }
}

/// Knows one user, whether he is disabled, and his group.
pub struct Book(pub Title, pub &'static str, pub bool);

impl Users for Book {
    fn title(&self) -> &Title {
        &self.0
    }

    fn user(&self, name: &str) -> Answer<Option<Person>> {
        let profile = Profile { name: Some("From a book".to_owned()), email: None };
        let found = (name == self.1).then_some(Person { profile, disabled: self.2 });
        async move { Ok(found) }.boxed()
    }

    fn groups(&self, _: &str, _: &str, _: u32) -> Answer<Vec<(String, String)>> {
        let of = format!("friends of {}", self.1);
        async move { Ok(vec![("all".to_owned(), String::new()), (of, String::new())]) }.boxed()
    }

    fn members(&self, group: &str) -> Answer<Vec<String>> {
        let members = if group == "all" { vec![self.1.to_owned()] } else { Vec::new() };
        async move { Ok(members) }.boxed()
    }
}

pub fn book(name: &'static str) -> Arc<Book> {
    let title = Title { name: "book".into(), plugin: "trial".into(), priority: 10 };
    Arc::new(Book(title, name, false))
}

/// A book that says of its user that he may not sign in.
pub fn disabled(name: &'static str) -> Arc<Book> {
    let title = Title { name: "book".into(), plugin: "trial".into(), priority: 10 };
    Arc::new(Book(title, name, true))
}

async fn verdict(doors: &[Arc<Door>], user: &str, password: &str) -> Result<Verified, String> {
    let providers = Providers::default();
    doors.iter().for_each(|door| providers.add_credentials(door.clone()));
    let verdict = providers.verify(|_| true, user, &Zeroizing::new(password.to_owned())).await;
    verdict.map_err(|away| away.why)
}

#[tokio::test]
async fn the_first_that_knows_the_user_decides() {
    let juliet = door(20, Ok(("juliet", "late")));
    let other = door(10, Ok(("juliet", "early")));
    let doors = [juliet, other];
    assert_eq!(verdict(&doors, "juliet", "early").await, Ok(Verified::Accepted));
    assert_eq!(verdict(&doors, "juliet", "late").await, Ok(Verified::Refused));
    assert_eq!(verdict(&doors, "romeo", "late").await, Ok(Verified::Unknown));
    assert_eq!(verdict(&[], "romeo", "late").await, Ok(Verified::Unknown));
}

#[tokio::test]
async fn who_is_away_lets_nobody_in_but_whom_another_accepts() {
    let doors = [door(1, Err("gone fishing")), door(2, Ok(("juliet", "right")))];
    assert_eq!(verdict(&doors, "juliet", "right").await, Ok(Verified::Accepted));
    assert_eq!(verdict(&doors, "juliet", "wrong").await, Err("gone fishing".to_owned()));
    assert_eq!(verdict(&doors, "romeo", "right").await, Err("gone fishing".to_owned()));
}

#[tokio::test]
async fn a_source_answers_so_many_at_a_time_and_no_more() {
    struct Never(Title);
    impl Credentials for Never {
        fn title(&self) -> &Title {
            &self.0
        }
        fn verify(&self, _: &str, _: &Zeroizing<String>) -> Answer<Verified> {
            std::future::pending().boxed()
        }
        fn set_password(&self, _: &str, _: &Zeroizing<String>) -> Answer<bool> {
            std::future::pending().boxed()
        }
    }
    let providers = Providers::default();
    providers.add_credentials(Arc::new(Never(door(1, Err("")).title.clone())));
    let password = Zeroizing::new("x".to_owned());
    let mut asked: Vec<_> = (0..=QUESTIONS)
        .map(|_| Box::pin(providers.verify(|_| true, "juliet", &password)))
        .collect();
    let answers: Vec<_> = asked.iter_mut().map(|question| question.now_or_never()).collect();
    assert!(answers[..QUESTIONS].iter().all(Option::is_none));
    assert!(matches!(&answers[QUESTIONS], Some(Err(away)) if away.why.contains("too many")));
}

#[tokio::test]
async fn what_sources_say_is_put_together_and_counted() {
    let providers = Providers::default();
    let gone: Arc<dyn Users> = book("romeo");
    for name in ["nurse", "juliet"] {
        providers.add_users(book(name));
    }
    providers.add_users(gone.clone());
    providers.remove_users(&gone);
    let names =
        providers.groups("", "", 10).await.map(|all| all.into_iter().map(|g| g.0).collect());
    let expected = ["all", "friends of juliet", "friends of nurse"].map(str::to_owned).to_vec();
    assert_eq!(names, Ok(expected));
    assert_eq!(providers.members("all").await, Ok(vec!["juliet".to_owned(), "nurse".to_owned()]));
    providers.add_credentials(door(1, Err("gone fishing")));
    let _ = providers.verify(|_| true, "x", &Zeroizing::new("x".to_owned())).await;
    let listed = providers.list();
    let figures = |shown: &Shown| (shown.kind, shown.answered, shown.failed);
    assert_eq!(figures(&listed[0]), ("credentials", 0, 1));
    assert_eq!(listed[0].last_failure.as_deref(), Some("gone fishing"));
    assert_eq!(figures(&listed[1]), ("users", 2, 0));
}
