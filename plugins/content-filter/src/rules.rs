//! All patterns together, compiled once per change: what becomes of a text.

use std::sync::atomic::{AtomicU64, Ordering};

use hearth_plugin_api::{Error, Result};
use regex::{Regex, RegexSet, RegexSetBuilder};

use crate::pattern::{Action, Direction, Part, Pattern};

/// Patterns that one server may have.
pub const MOST: usize = 500;
/// Octets of all patterns compiled, and of the cache of their automaton.
const COMPILED: usize = 8 << 20;

/// The patterns that are enabled.
#[derive(Debug, Default)]
pub struct Rules {
    set: RegexSet,
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    pattern: Pattern,
    regex: Regex,
    /// Matches that are not yet in the table.
    hits: AtomicU64,
}

/// What is judged.
#[derive(Debug, Clone, Copy)]
pub struct Sample<'a> {
    /// Bare address.
    pub sender: &'a str,
    /// `Sent` or `Received`.
    pub direction: Direction,
}

/// A text, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    /// `Body` or `Subject`.
    pub part: Part,
    pub text: String,
}

/// What became of the texts. Empty `matched`: nothing.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Judgement<'r> {
    pub matched: Vec<&'r Pattern>,
    /// The pattern by which the message is refused.
    pub refused_by: Option<&'r Pattern>,
    /// The texts masked, in their order, when any of them changed.
    pub masked: Option<Vec<Text>>,
}

impl Rules {
    /// Compiles. `Invalid` when the patterns are too many or too large together.
    pub fn compile(patterns: Vec<Pattern>) -> Result<Rules> {
        if patterns.len() > MOST {
            return Err(Error::invalid(format!("there are {MOST} patterns: delete one first")));
        }
        let enabled = patterns.into_iter().filter(|pattern| pattern.enabled);
        let entries = enabled
            .map(|pattern| {
                let regex = pattern.regex()?;
                Ok(Entry { pattern, regex, hits: AtomicU64::new(0) })
            })
            .collect::<Result<Vec<_>>>()?;
        let set = RegexSetBuilder::new(entries.iter().map(|entry| entry.pattern.source()))
            .case_insensitive(true)
            .size_limit(COMPILED)
            .dfa_size_limit(COMPILED)
            .build()
            .map_err(|_| Error::invalid("the patterns are too large together: simplify one"))?;
        Ok(Rules { set, entries })
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether these are the patterns that are enabled in `patterns`.
    pub fn are(&self, patterns: &[Pattern]) -> bool {
        let enabled = patterns.iter().filter(|pattern| pattern.enabled);
        self.entries.iter().map(|entry| &entry.pattern).eq(enabled)
    }

    /// What becomes of the texts of one message. Counts nothing.
    pub fn judge(&self, sample: Sample<'_>, texts: &[Text]) -> Judgement<'_> {
        let mut matched = vec![false; self.entries.len()];
        let mut masked = texts.to_vec();
        for (text, masked) in texts.iter().zip(&mut masked) {
            for index in self.set.matches(&text.text).iter() {
                let entry = &self.entries[index];
                if entry.sees(sample, text.part) {
                    matched[index] = true;
                    entry.mask(masked);
                }
            }
        }
        let matched = self.entries.iter().zip(matched).filter(|(_, matched)| *matched);
        let matched: Vec<_> = matched.map(|(entry, _)| &entry.pattern).collect();
        Judgement {
            refused_by: matched.iter().find(|pattern| pattern.action == Action::Reject).copied(),
            masked: (masked != texts).then_some(masked),
            matched,
        }
    }

    /// Counts a judgement.
    pub fn count(&self, judgement: &Judgement<'_>) {
        for entry in &self.entries {
            if judgement.matched.iter().any(|pattern| pattern.id == entry.pattern.id) {
                entry.hits.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Matches since the last call, by the pattern's id.
    pub fn take_counts(&self) -> Vec<(i64, u64)> {
        let take = |entry: &Entry| (entry.pattern.id, entry.hits.swap(0, Ordering::Relaxed));
        self.entries.iter().map(take).filter(|(_, hits)| *hits > 0).collect()
    }
}

impl Entry {
    fn sees(&self, sample: Sample<'_>, part: Part) -> bool {
        let Pattern { part: wanted, direction, .. } = self.pattern;
        (wanted == Part::Both || wanted == part)
            && (direction == Direction::Both || direction == sample.direction)
            && !self.pattern.excludes(sample.sender)
    }

    /// A star for each character that matches.
    fn mask(&self, text: &mut Text) {
        if self.pattern.action == Action::Mask {
            let stars = |found: &regex::Captures<'_>| "*".repeat(found[0].chars().count());
            text.text = self.regex.replace_all(&text.text, stars).into_owned();
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn judged(pattern: Pattern, text: &str) -> (bool, Option<String>) {
        let rules = Rules::compile(vec![pattern]).unwrap();
        let sample = Sample { sender: "juliet@example.org", direction: Direction::Sent };
        let texts = [Text { part: Part::Body, text: text.to_owned() }];
        let judgement = rules.judge(sample, &texts);
        let masked = judgement.masked.as_ref().map(|texts| texts[0].text.clone());
        (!judgement.matched.is_empty(), masked)
    }

    fn mask(text: &str) -> Pattern {
        Pattern::new(text, Action::Mask)
    }

    #[test]
    fn words_are_whole_words_whatever_their_case() {
        let table = [
            ("heck", "oh HECK!", Some("oh ****!")),
            ("heck", "heckler", None),
            ("big heck", "a big\n heck", Some("a *********")),
            ("$$$", "win $$$ now", Some("win *** now")),
            ("a.c", "abc a.c", Some("abc ***")),
            ("größe", "Die GRÖSSE, die GRÖßE", Some("Die GRÖSSE, die *****")),
        ];
        for (words, text, expected) in table {
            assert_eq!(judged(mask(words), text).1.as_deref(), expected, "{words} in {text}");
        }
    }

    #[test]
    fn expressions_match_as_they_are_written() {
        let number = Pattern { is_regex: true, ..mask(r"\d{4}-\d{4}") };
        assert_eq!(judged(number, "it is 1234-5678").1.as_deref(), Some("it is *********"));
        let exact = Pattern { is_regex: true, ..mask("(?-i)Heck") };
        assert_eq!(judged(exact, "heck").1, None);
    }

    #[test]
    fn what_cannot_be_compiled_is_refused_with_the_reason() {
        let regex = |text: &str| Pattern { is_regex: true, ..mask(text) }.regex().unwrap_err();
        assert!(regex("(").message.contains("unclosed group"));
        assert!(regex("a*").message.contains("matches every message"));
        assert!(regex(r"(\w{500}){500}").message.contains("size limit"));
        assert!(regex(&"a".repeat(513)).message.contains("512"));
        let many = vec![mask("x"); MOST + 1];
        assert!(Rules::compile(many).unwrap_err().message.contains("delete one"));
    }

    #[test]
    fn part_direction_and_exclusions_narrow_it() {
        let cases = [
            (Pattern { part: Part::Subject, ..mask("heck") }, false),
            (Pattern { part: Part::Body, ..mask("heck") }, true),
            (Pattern { direction: Direction::Received, ..mask("heck") }, false),
            (Pattern { direction: Direction::Sent, ..mask("heck") }, true),
            (
                Pattern {
                    excluded: "romeo@example.org\nJuliet@example.org".into(),
                    ..mask("heck")
                },
                false,
            ),
            (Pattern { excluded: "example.org".into(), ..mask("heck") }, false),
            (Pattern { enabled: false, ..mask("heck") }, false),
        ];
        for (pattern, expected) in cases {
            assert_eq!(judged(pattern.clone(), "heck").0, expected, "{pattern:?}");
        }
    }
}
