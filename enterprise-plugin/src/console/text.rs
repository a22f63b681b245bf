//! Texts in the administrator's language.

use hearth_plugin_api::Language;

use crate::licence::office::InstallError;
use crate::licence::{LicenceError, Refusal, Standing};
use crate::membership::State;
use crate::plugin::Obstacle;

pub fn standing(language: Language, standing: &Standing) -> String {
    if language == Language::English {
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

pub fn refusal(language: Language, refusal: &Refusal) -> String {
    match (language, refusal) {
        (Language::English, _) => refusal.to_string(),
        (_, Refusal::Unlicensed) => {
            "es gibt keine Lizenz: unter „Enterprise“ eine eintragen oder die Testphase beginnen"
                .to_owned()
        }
        (_, Refusal::NotYet(from)) => {
            format!("die Lizenz gilt erst ab {from}: warten oder eine anfordern, die schon gilt")
        }
        (_, Refusal::Lapsed(end)) => {
            format!("die Lizenz endete am {end}: nur frühere Mitglieder können beitreten; erneuern")
        }
        (_, Refusal::Full { allowed, running }) => {
            format!("die Lizenz erlaubt {allowed} Mitglieder, und {running} laufen: erweitern")
        }
    }
}

pub fn unreadable(language: Language, error: &LicenceError) -> String {
    match (language, error) {
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
        (_, LicenceError::Tampered) => "diese Lizenz wurde nach der Ausstellung verändert: den \
             ursprünglichen Text verwenden"
            .to_owned(),
        (_, LicenceError::Newer(form)) => {
            format!("diese Lizenz hat die neuere Form {form}: das Enterprise-Plugin aktualisieren")
        }
    }
}

pub fn not_installed(language: Language, error: &InstallError) -> String {
    match (language, error) {
        (_, InstallError::Text(error)) => unreadable(language, error),
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

pub fn obstacle(language: Language, obstacle: &Obstacle) -> String {
    match (language, obstacle) {
        (_, Obstacle::Licence(why)) => refusal(language, why),
        (Language::English, _) => obstacle.to_string(),
        (_, Obstacle::Embedded) => "ein Cluster braucht eine externe Datenbank: diesen Knoten \
             neu einrichten, mit der PostgreSQL-Datenbank, die alle Knoten teilen"
            .to_owned(),
        (_, Obstacle::NoSeam) => "nicht verfügbar: dieser Server lässt kein Plugin seinen \
             Verkehr zwischen Knoten befördern"
            .to_owned(),
    }
}

pub fn state(language: Language, state: State) -> &'static str {
    match state {
        State::Off => language.say("off", "aus"),
        State::Refused => language.say("refused", "abgewiesen"),
        State::Joining => language.say("joining", "tritt bei"),
        State::Member => language.say("member", "Mitglied"),
        State::Draining => language.say("draining", "wird geleert"),
    }
}

/// A line of the membership log.
pub fn event(language: Language, event: &str) -> &str {
    match event {
        "joined" => language.say("joined", "beigetreten"),
        "left" => language.say("left", "ausgetreten"),
        "evicted" => language.say("evicted", "ausgeschlossen"),
        "restarted" => language.say("restarted", "neu gestartet"),
        "enabled" => language.say("clustering enabled", "Cluster eingeschaltet"),
        "disabled" => language.say("clustering disabled", "Cluster ausgeschaltet"),
        other => other,
    }
}
