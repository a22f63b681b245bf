//! Requests that the server itself sent on somebody's behalf, and whose answers it awaits. While none
//! is awaited, an answer that passes pays for one load.

use std::sync::atomic::{AtomicUsize, Ordering};

use hashbrown::HashMap;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::jid::Jid;
use crate::stanza::{IqType, Kind, Stanza};

/// Answers that may be awaited at a time.
const MOST: usize = 10_000;

/// What is awaited.
#[derive(Default)]
pub struct Asked {
    waiting: AtomicUsize,
    questions: Mutex<HashMap<String, Question>>,
}

struct Question {
    from: Jid,
    to: Jid,
    answer: oneshot::Sender<Stanza>,
}

/// Ends the wait when it is dropped.
pub struct Awaited<'a> {
    asked: &'a Asked,
    id: String,
    answer: oneshot::Receiver<Stanza>,
}

impl Asked {
    /// Awaits the answer to the request `id`, which nobody can guess, from `from` to `to`. `None`
    /// when too many are awaited already.
    pub fn register(&self, id: String, from: Jid, to: Jid) -> Option<Awaited<'_>> {
        let (sender, answer) = oneshot::channel();
        let mut questions = self.questions.lock();
        if questions.len() >= MOST {
            return None;
        }
        questions.insert(id.clone(), Question { from, to, answer: sender });
        self.waiting.store(questions.len(), Ordering::Relaxed);
        Some(Awaited { asked: self, id, answer })
    }

    /// Takes the stanza if it is an answer that is awaited; gives it back otherwise. An answer must
    /// come from whom was asked (RFC 6120 §8.1.2.1 lets a server leave out its `from`).
    pub fn take(&self, stanza: Stanza) -> Option<Stanza> {
        if self.waiting.load(Ordering::Relaxed) == 0
            || !matches!(stanza.head.kind, Kind::Iq(IqType::Result | IqType::Error))
        {
            return Some(stanza);
        }
        let Some(id) = stanza.head.id.as_deref() else { return Some(stanza) };
        let mut questions = self.questions.lock();
        let is_answer = |question: &Question| {
            stanza.head.from.as_ref().is_none_or(|from| *from == question.to)
                && stanza.head.to.as_ref() == Some(&question.from)
        };
        if !questions.get(id).is_some_and(is_answer) {
            return Some(stanza);
        }
        let question = questions.remove(id)?;
        self.waiting.store(questions.len(), Ordering::Relaxed);
        // Who asked may have given up this very moment.
        let _ = question.answer.send(stanza);
        None
    }

    fn forget(&self, id: &str) {
        let mut questions = self.questions.lock();
        questions.remove(id);
        self.waiting.store(questions.len(), Ordering::Relaxed);
    }
}

impl Awaited<'_> {
    /// The answer; `None` when it was lost.
    pub async fn answer(mut self) -> Option<Stanza> {
        (&mut self.answer).await.ok()
    }
}

impl Drop for Awaited<'_> {
    fn drop(&mut self) {
        self.asked.forget(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jid(text: &str) -> Jid {
        Jid::parse(text).expect("an address")
    }

    fn answer(id: &str, from: &str) -> Stanza {
        let mut stanza = Stanza::iq(IqType::Result, id).with_from(jid(from));
        stanza.head.to = Some(jid("hearth.example"));
        stanza
    }

    #[tokio::test]
    async fn only_who_was_asked_answers_and_only_once() {
        let asked = Asked::default();
        assert!(asked.take(answer("a", "romeo@hearth.example/x")).is_some(), "nobody waits");
        let to = jid("romeo@hearth.example/x");
        let awaited = asked.register("a".to_owned(), jid("hearth.example"), to).expect("room");
        assert!(asked.take(answer("a", "juliet@hearth.example/x")).is_some());
        assert!(asked.take(answer("b", "romeo@hearth.example/x")).is_some());
        assert!(asked.take(answer("a", "romeo@hearth.example/x")).is_none());
        assert!(asked.take(answer("a", "romeo@hearth.example/x")).is_some(), "it was answered");
        let answer = awaited.answer().await.expect("the answer");
        assert_eq!(answer.head.id.as_deref(), Some("a"));
    }

    #[test]
    fn who_gives_up_waits_no_longer() {
        let asked = Asked::default();
        let (from, to) = (jid("hearth.example"), jid("romeo@hearth.example/x"));
        drop(asked.register("a".to_owned(), from, to));
        assert_eq!(asked.waiting.load(Ordering::Relaxed), 0);
    }
}
