//! What was granted, how much of it is used; entering a licence, starting the evaluation.

use std::sync::Arc;

use hearth_plugin_api::{Language, PageRequest, PageResponse, Question, Result, xml};

use super::{answered, fact, sentence, text, unknown_form};
use crate::licence::office::{self, InstallError, Office};
use crate::licence::standing::EVALUATION_MEMBERS;
use crate::licence::{Kind, Standing};
use crate::plugin::{Enterprise, Obstacle};
use crate::store;

impl Enterprise {
    pub(crate) async fn licence_page(
        self: Arc<Self>,
        request: PageRequest,
    ) -> Result<PageResponse> {
        let language = Language::of(&request);
        if request.is_post() {
            return self.licence_form(language, &request).await;
        }
        let office = office::look(&self.host).await?;
        let used = store::snapshot(&self.host).await?.view.members.len();
        let body = [
            self.notes(language, &office),
            facts(language, &office, used),
            entry(language, &request),
            self.evaluation(language, &request, &office),
        ];
        Ok(PageResponse::html(body.concat()))
    }

    async fn licence_form(
        self: &Arc<Self>,
        language: Language,
        request: &PageRequest,
    ) -> Result<PageResponse> {
        let done = match request.path.as_str() {
            "evaluation" => {
                let started = office::start_evaluation(&self.host, &request.admin).await;
                started.map_err(|error| error.message).map(|()| {
                    language.say("The evaluation has begun.", "Die Testphase hat begonnen.")
                })
            }
            "install" => {
                let installed = self.install(request).await;
                installed.map_err(|error| text::not_installed(language, &error)).map(|()| {
                    language.say("The licence is installed.", "Die Lizenz ist eingetragen.")
                })
            }
            other => return Err(unknown_form(other)),
        };
        self.clone().warn().await?;
        Ok(answered(request, done))
    }

    /// From the file if there is one, otherwise from the text.
    async fn install(&self, request: &PageRequest) -> Result<(), InstallError> {
        let file = request.file("file").filter(|file| !file.content.is_empty());
        let uploaded = file.map(|file| String::from_utf8_lossy(&file.content));
        let text = uploaded.as_deref().unwrap_or_else(|| request.field("licence"));
        office::install(&self.host, text, &request.admin).await.map(drop)
    }

    /// Offered once, and where something can be tried.
    fn evaluation(&self, language: Language, request: &PageRequest, office: &Office) -> String {
        if office.situation.evaluation.is_some() || self.is_embedded() {
            return String::new();
        }
        let title = language.say("Evaluation", "Testphase");
        let lead = match language {
            Language::English => format!(
                "30 days, {EVALUATION_MEMBERS} members, once for this database. Nothing else is asked."
            ),
            Language::German => format!(
                "30 Tage, {EVALUATION_MEMBERS} Mitglieder, einmal je Datenbank. Sonst wird nichts gefragt."
            ),
        };
        let start = language.say("Start the evaluation", "Testphase beginnen");
        let question = Question {
            id: "evaluation",
            title: language.say("Start the evaluation now?", "Testphase jetzt beginnen?"),
            consequence: language.say(
                "Its 30 days count from today. It is there once for this database, and cannot be \
                 taken back.",
                "Ihre 30 Tage zählen ab heute. Es gibt sie einmal je Datenbank, und sie lässt sich \
                 nicht zurücknehmen.",
            ),
            act: language.say("Start", "Beginnen"),
        };
        let dialog = question.dialog(request, "evaluation");
        format!(
            "<div class='card'><h2>{title}</h2><p>{lead}</p><button type='button' class='button' \
             data-dialog='evaluation'>{start}</button></div>{dialog}"
        )
    }

    fn notes(&self, language: Language, office: &Office) -> String {
        let mut notes = Vec::new();
        if let Some(error) = &office.unreadable {
            let lead = language
                .say("The installed licence does not count", "Die eingetragene Lizenz zählt nicht");
            notes.push(("bad", format!("{lead}: {}", text::unreadable(language, error))));
        }
        let level = match office.standing {
            Standing::Holds(_) => "good",
            Standing::Lapsed(_) => "bad",
            _ => "warn",
        };
        notes.push((level, text::standing(language, &office.standing)));
        if self.is_embedded() {
            notes.push(("warn", sentence(&text::obstacle(language, &Obstacle::Embedded))));
        }
        if office.situation.is_set_back() {
            let back = language.say(
                "The clock of the database was set back. Licences go by the latest time that was \
                 seen: set the clock right.",
                "Die Uhr der Datenbank wurde zurückgestellt. Für Lizenzen zählt die späteste Zeit, \
                 die gesehen wurde: die Uhr richtig stellen.",
            );
            notes.push(("bad", back.to_owned()));
        }
        let note = |(level, text): (&str, String)| {
            format!("<div class='note {level}'><p>{}</p></div>", xml::escaped(&text))
        };
        notes.into_iter().map(note).collect()
    }
}

fn facts(language: Language, office: &Office, used: usize) -> String {
    let Some(grant) = office.standing.grant() else { return String::new() };
    let kind = match (&grant.holder, &office.situation.licence) {
        (Some(_), Some(licence)) if licence.kind == Kind::Subscription => {
            language.say("subscription", "Abonnement")
        }
        _ => language.say("evaluation", "Testphase"),
    };
    let holder = grant.holder.as_deref().map_or("–".to_owned(), xml::escaped);
    let of = language.say("of", "von");
    let facts = [
        fact(language.say("Holder", "Inhaber"), &holder),
        fact(language.say("Kind", "Art"), kind),
        fact(language.say("Last day", "Letzter Tag"), &grant.expires.to_string()),
        fact(language.say("Members", "Mitglieder"), &format!("{used} {of} {}", grant.members)),
    ];
    format!("<dl class='facts'>{}</dl>", facts.concat())
}

fn entry(language: Language, request: &PageRequest) -> String {
    let form = request.open_form("install");
    let title = language.say("Enter a licence", "Lizenz eintragen");
    let text = language.say("Its text", "Ihr Text");
    let file = language.say("Or its file", "Oder ihre Datei");
    let enter = language.say("Install", "Eintragen");
    format!(
        "<div class='card'><h2>{title}</h2>{form}<div class='field'><label for='licence'>{text}</label>\
         <textarea id='licence' name='licence' rows='8' spellcheck='false'></textarea></div>\
         <div class='field'><label for='file'>{file}</label><input id='file' name='file' type='file'>\
         </div><div class='buttons'><button class='button primary'>{enter}</button></div></form></div>"
    )
}
