//! Texts in the administrator's language.

use hearth_plugin_api::PageRequest;

use crate::licence::office::InstallError;
use crate::licence::{LicenceError, Refusal, Standing};
use crate::membership::State;
use crate::plugin::Obstacle;

/// A language of the pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    English,
    German,
}

impl Language {
    /// By the language tag of the request; English for others.
    pub fn of(request: &PageRequest) -> Language {
        match request.language.split(['-', '_']).next() {
            Some("de") => Language::German,
            _ => Language::English,
        }
    }

    pub fn say<'t>(self, english: &'t str, german: &'t str) -> &'t str {
        match self {
            Language::English => english,
            Language::German => german,
        }
    }

    pub fn standing(self, standing: &Standing) -> String {
        if self == Language::English {
            return standing.to_string();
        }
        let name = |holder: &Option<String>| match holder {
            Some(holder) => format!("Die Lizenz von {holder}"),
            None => "Die Testphase".to_owned(),
        };
        match standing {
            Standing::Unlicensed => "Es gibt keine Lizenz.".to_owned(),
            Standing::NotYet { from } => format!("Die Lizenz gilt erst ab {from}."),
            Standing::Holds(grant) => {
                format!("{} gilt bis {}.", name(&grant.holder), grant.expires)
            }
            Standing::Grace { grant, until } => format!(
                "{} endete am {}. Bis {until} läuft alles weiter; danach kann kein neuer Knoten beitreten.",
                name(&grant.holder),
                grant.expires
            ),
            Standing::Lapsed(grant) => format!(
                "{} endete am {}. Die Knoten des Clusters laufen weiter; ein neuer kann nicht beitreten.",
                name(&grant.holder),
                grant.expires
            ),
        }
    }

    pub fn refusal(self, refusal: &Refusal) -> String {
        match (self, refusal) {
            (Language::English, _) => refusal.to_string(),
            (_, Refusal::Unlicensed) => {
                "es gibt keine Lizenz: unter „Enterprise“ eine eintragen oder die Testphase beginnen"
                    .to_owned()
            }
            (_, Refusal::NotYet(from)) => {
                format!("die Lizenz gilt erst ab {from}: warten oder eine anfordern, die schon gilt")
            }
            (_, Refusal::Lapsed(end)) => format!(
                "die Lizenz endete am {end}: nur frühere Mitglieder können beitreten; erneuern"
            ),
            (_, Refusal::Full { allowed, running }) => {
                format!("die Lizenz erlaubt {allowed} Mitglieder, und {running} laufen: erweitern")
            }
        }
    }

    pub fn unreadable(self, error: &LicenceError) -> String {
        match (self, error) {
            (Language::English, _) => error.to_string(),
            (_, LicenceError::NotALicence) => "das ist keine Lizenz für Hearth: den ganzen Text \
                 einfügen, von der Zeile BEGIN bis zur Zeile END"
                .to_owned(),
            (_, LicenceError::Damaged(_)) => {
                "der Text der Lizenz ist beschädigt: noch einmal vom Original kopieren".to_owned()
            }
            (_, LicenceError::Foreign(key)) => format!(
                "diese Lizenz hat ein anderer Anbieter unterschrieben ({key}): eine für dieses \
                 Produkt anfordern"
            ),
            (_, LicenceError::Tampered) => {
                "diese Lizenz wurde nach der Ausstellung verändert: den \
                 ursprünglichen Text verwenden"
                    .to_owned()
            }
            (_, LicenceError::Newer(form)) => format!(
                "diese Lizenz hat die neuere Form {form}: das Enterprise-Plugin aktualisieren"
            ),
        }
    }

    pub fn not_installed(self, error: &InstallError) -> String {
        match (self, error) {
            (_, InstallError::Text(error)) => self.unreadable(error),
            (Language::English, _) => error.to_string(),
            (_, InstallError::Ended(end)) => {
                format!("diese Lizenz endete am {end}: eine neuere eintragen")
            }
            (_, InstallError::NotYet(from)) => {
                format!("diese Lizenz gilt ab {from}: dann eintragen")
            }
            (_, InstallError::TooSmall { allowed, running }) => format!(
                "diese Lizenz erlaubt {allowed} Mitglieder, und {running} laufen: mehr anfordern"
            ),
            (_, InstallError::Database(error)) => format!("die Datenbank: {error}"),
        }
    }

    pub fn obstacle(self, obstacle: &Obstacle) -> String {
        match (self, obstacle) {
            (_, Obstacle::Licence(refusal)) => self.refusal(refusal),
            (Language::English, _) => obstacle.to_string(),
            (_, Obstacle::Embedded) => "ein Cluster braucht eine externe Datenbank: diesen Knoten \
                 neu einrichten, mit der PostgreSQL-Datenbank, die alle Knoten teilen"
                .to_owned(),
            (_, Obstacle::NoSeam) => "nicht verfügbar: dieser Server lässt kein Plugin seinen \
                 Verkehr zwischen Knoten befördern"
                .to_owned(),
        }
    }

    pub fn state(self, state: State) -> &'static str {
        match state {
            State::Off => self.say("off", "aus"),
            State::Refused => self.say("refused", "abgewiesen"),
            State::Joining => self.say("joining", "tritt bei"),
            State::Member => self.say("member", "Mitglied"),
            State::Draining => self.say("draining", "wird geleert"),
        }
    }

    /// A line of the membership log.
    pub fn event(self, event: &str) -> &str {
        match event {
            "joined" => self.say("joined", "beigetreten"),
            "left" => self.say("left", "ausgetreten"),
            "evicted" => self.say("evicted", "ausgeschlossen"),
            "restarted" => self.say("restarted", "neu gestartet"),
            "enabled" => self.say("clustering enabled", "Cluster eingeschaltet"),
            "disabled" => self.say("clustering disabled", "Cluster ausgeschaltet"),
            other => other,
        }
    }
}
