//! How steps and commits go together: many steps are accepted, one commit makes them durable, and only then their effects
//! leave, in their order.

use crate::{
    record::{Change, Store},
    Answer, Effect, Output, Refusal,
};

/// Steps that are accepted and not durable yet.
#[derive(Clone, Debug, Default)]
pub struct Journal {
    /// In the order of the steps.
    changes: Vec<Change>,
    /// Whether they are of several steps, and so may name a record twice.
    several: bool,
    effects: Vec<Effect>,
}

impl Journal {
    /// Accepts a step. What it answers to a command may be said after the next [`Journal::commit`].
    pub fn accept(&mut self, output: Output) -> Result<Answer, Refusal> {
        let Output { changes, effects, answer } = output;
        self.several |= !self.changes.is_empty();
        append(&mut self.changes, changes);
        append(&mut self.effects, effects);
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
            let mut changes = std::mem::take(&mut self.changes);
            if std::mem::take(&mut self.several) {
                // Of a record that changes several times only the last state is written. Sorting keeps the order of equals.
                changes.reverse();
                changes.sort_by(|a, b| a.key.cmp(&b.key));
                changes.dedup_by(|next, kept| next.key == kept.key);
            }
            store.commit(changes)?;
        }
        Ok(std::mem::take(&mut self.effects))
    }
}

/// Appends without copying where nothing was before: mostly one step is one commit.
fn append<T>(to: &mut Vec<T>, more: Vec<T>) {
    if to.is_empty() {
        *to = more;
    } else {
        to.extend(more);
    }
}
