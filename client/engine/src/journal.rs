//! How steps and commits go together: many steps are accepted, one commit makes them durable, and only then their effects
//! leave, in their order.

use crate::{
    record::{Change, Store},
    Answer, Effect, Output, Refusal,
};
use std::collections::BTreeMap;

/// Steps that are accepted and not durable yet.
#[derive(Debug, Default)]
pub struct Journal {
    changes: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    effects: Vec<Effect>,
}

impl Journal {
    /// Accepts a step. What it answers to a command may be said after the next [`Journal::commit`].
    pub fn accept(&mut self, output: Output) -> Result<Answer, Refusal> {
        let Output { changes, effects, answer } = output;
        // Of a record that changes several times only the last state is written.
        self.changes.extend(changes.into_iter().map(|Change { key, value }| (key, value)));
        self.effects.extend(effects);
        answer
    }

    /// Whether nothing waits for a commit.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.effects.is_empty()
    }

    /// Makes everything that was accepted durable, and only then lets its effects out.
    ///
    /// # Errors
    /// If the store fails. Nothing has left; the process must end and start again from the store.
    pub fn commit<S: Store>(&mut self, store: &mut S) -> Result<Vec<Effect>, S::Error> {
        if !self.changes.is_empty() {
            let changes = std::mem::take(&mut self.changes);
            let changes: Vec<_> = changes.into_iter().map(|(key, value)| Change { key, value }).collect();
            store.commit(&changes)?;
        }
        Ok(std::mem::take(&mut self.effects))
    }
}
