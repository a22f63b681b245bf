//! What administrators can tell the server to do, by name, with JSON in and out. Whoever has commands
//! provides them; their clients are shown them as ad-hoc commands (XEP-0050).

use std::sync::Arc;

use serde_json::Value;

use crate::stanza::Stanza;

/// A command as people see it.
#[derive(Clone, Debug)]
pub struct Command {
    /// Its name among all commands.
    pub node: String,
    pub title: String,
    /// One sentence.
    pub description: String,
    /// JSON Schema of the arguments.
    pub arguments: Value,
}

/// That a command is to be run.
#[derive(Clone, Debug)]
pub struct Call {
    pub node: String,
    /// An object, or `null` for none.
    pub arguments: Value,
    /// The administrator, as the audit log names him.
    pub actor: String,
}

/// Why a command gave no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    #[error("there is no such command any more")]
    Unknown,
    #[error("{0}")]
    Arguments(String),
    #[error("{0}")]
    Failed(String),
}

/// Makes the stanza that tells what became of a call.
pub type Told = Box<dyn FnOnce(Result<Value, CommandError>) -> Stanza + Send>;

/// Who has commands.
pub trait Commands: Send + Sync {
    /// All that can be run now, by node.
    fn list(&self) -> Vec<Command>;

    /// Runs a command and routes what `told` makes of the outcome. Nobody waits for it: it may take
    /// minutes, and ask the client that called it.
    fn run(self: Arc<Self>, call: Call, told: Told);
}
