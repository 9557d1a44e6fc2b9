//! Brings an engine's calls to the chain. It never ends because a call failed.

use super::{thread::Turn, Inbox};
use crate::calls::{Calls, Wanted};
use chain::Chain;
use engine::{CallId, Input};
use tokio::sync::mpsc;

/// A call that an engine asks for.
pub(super) struct Asked {
    pub id: CallId,
    pub wanted: Wanted,
}

pub(super) struct Submitter<C> {
    pub calls: Calls<C, CallId>,
    pub inbox: Inbox,
    pub asked: mpsc::UnboundedReceiver<Asked>,
}

impl<C: Chain + Clone + 'static> Submitter<C> {
    pub async fn run(mut self) {
        loop {
            tokio::select! {
                asked = self.asked.recv() => match asked {
                    Some(Asked { id, wanted }) => self.calls.want(id, wanted),
                    None => return,
                },
                made = self.calls.next() => {
                    let failed = made.outcome.is_err();
                    if failed && self.inbox.send(Turn::Input(Input::CallFailed(made.key))).await.is_err() {
                        return;
                    }
                }
            }
        }
    }
}
