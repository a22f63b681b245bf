//! What the API and the database say, in another language. They speak English; a catalogue's section
//! `said` has templates of their sentences, in which `{}` stands for what changes. The section `cause`
//! has what the operating system says (`std::io::Error`), which stands within such sentences.

use super::text::Catalogue;

impl Catalogue {
    /// The sentence in this language; as it is when nobody has translated it. What stands in the place
    /// of a `{}` may be a sentence itself.
    pub fn said(&self, english: &str) -> String {
        let fitting = self
            .templates()
            .filter_map(|(template, own)| Some((template.len(), own, values(template, english)?)));
        // Of several the one that says most of it.
        let Some((_, own, values)) = fitting.max_by_key(|(length, ..)| *length) else {
            return english.to_owned();
        };
        let mut pieces = own.split("{}");
        let mut said = pieces.next().unwrap_or_default().to_owned();
        for (value, piece) in values.into_iter().zip(pieces) {
            said.push_str(&self.said(value));
            said.push_str(piece);
        }
        said
    }

    /// The same where it stands alone. The API begins small and sets no full stop: its words may be
    /// part of a sentence.
    pub fn sentence(&self, english: &str) -> String {
        let said = self.said(english);
        let mut rest = said.chars();
        let first = rest.next().into_iter().flat_map(char::to_uppercase);
        let end = if said.ends_with(['.', '!', '?', ':']) { "" } else { "." };
        first.chain(rest.as_str().chars()).chain(end.chars()).collect()
    }
}

/// What a sentence has in the places of a template; `None` when it is another sentence.
fn values<'s>(template: &str, sentence: &'s str) -> Option<Vec<&'s str>> {
    let mut pieces = template.split("{}");
    let mut rest = sentence.strip_prefix(pieces.next()?)?;
    let mut values = Vec::new();
    let mut pieces = pieces.peekable();
    while let Some(piece) = pieces.next() {
        // The last piece is the end of the sentence, whatever the value holds.
        let at = match pieces.peek() {
            None => rest.len().checked_sub(piece.len()).filter(|_| rest.ends_with(piece))?,
            Some(_) => rest.find(piece)?,
        };
        values.push(&rest[..at]);
        rest = &rest[at + piece.len()..];
    }
    // A template without places is the whole sentence, and `{}` alone would be any.
    (rest.is_empty() && template != "{}" && values.iter().all(|value| !value.is_empty()))
        .then_some(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_fit_their_templates() {
        let table: [(&str, &str, Option<&[&str]>); 7] = [
            ("the name is taken", "the name is taken", Some(&[])),
            ("the name is taken", "the name is taken by him", None),
            ("there is no user `{}`", "there is no user `romeo`", Some(&["romeo"])),
            ("there is no user `{}`", "there is no user `a`b`", Some(&["a`b"])),
            ("this has {} to {} characters", "this has 1 to 64 characters", Some(&["1", "64"])),
            ("not a user name: {}", "not a user name: ", None),
            ("{}; try again later", "busy; try again later", Some(&["busy"])),
        ];
        for (template, sentence, expected) in table {
            assert_eq!(values(template, sentence).as_deref(), expected, "{template}");
        }
    }

    #[test]
    fn what_is_said_within_is_translated_too() {
        let german = Catalogue::named("de").expect("German");
        let said = german.said("not a user name: an address part is empty");
        assert_eq!(said, "Kein Benutzername: Ein Teil der Adresse ist leer.");
        assert_eq!(german.said("never heard of"), "never heard of");
        let broken = german.said("the upload broke off: Connection reset by peer (os error 104)");
        let own =
            "Das Hochladen brach ab: Verbindung von der Gegenseite abgebrochen (Systemfehler 104)";
        assert_eq!(broken, own);
        let apart =
            "the key does not belong to the chain; install the pair that was issued together";
        let own = "der Schlüssel und die Kette gehören nicht zusammen; installieren Sie das Paar, das \
                   zusammen ausgestellt wurde.";
        assert_eq!(german.said(apart), own);
        let english = Catalogue::named("en").expect("English");
        assert_eq!(english.said("the file is empty"), "the file is empty");
    }

    #[test]
    fn what_stands_alone_is_a_sentence() {
        let [english, german] = ["en", "de"].map(|code| Catalogue::named(code).expect("ours"));
        assert_eq!(english.sentence("the file is empty"), "The file is empty.");
        assert_eq!(german.sentence("the file is empty"), "Die Datei ist leer.");
        assert_eq!(english.sentence("/srv/home: gone"), "/srv/home: gone.");
    }
}
