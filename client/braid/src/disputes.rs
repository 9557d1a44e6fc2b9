//! Which channels are disputed, after final blocks and at the best head.

use chain::{
    contract::{CallError, Contract, Event},
    Chain,
};
use engine::HeadDispute;
use protocol::{abi::GetTpc, Tpc, TpcId};
use std::collections::BTreeSet;

/// Which channels are disputed after these events. Disputes that end by time stay: whoever looks closer finds them over.
pub(crate) fn follow(disputed: &mut BTreeSet<TpcId>, events: &[Event]) {
    for event in events {
        match event {
            Event::Disputed(event) => disputed.extend(event.channels.iter().map(|channel| channel.tpc)),
            Event::Settled(event) => event.channels.iter().for_each(|channel| {
                disputed.remove(&channel.tpc);
            }),
            Event::TpcClosed(event) => {
                disputed.remove(&event.tpc);
            }
            _ => {}
        }
    }
}

/// All disputes at the best head, given which channels are disputed after the final block `last`.
pub(crate) async fn at_head(
    contract: &Contract,
    chain: &mut impl Chain,
    last: u32,
    disputed: &BTreeSet<TpcId>,
) -> Result<Vec<HeadDispute>, CallError> {
    let raw = chain.unfinal_events(last).await?;
    let events: Vec<_> = raw.iter().filter_map(|raw| contract.event(raw)).collect();
    let mut touched = disputed.clone();
    follow(&mut touched, &events);
    // What is answered or closed in a block that is not final yet may still be disputed in the end.
    touched.extend(disputed);
    let mut head = vec![];
    for tpc in touched {
        let stored: Option<Tpc> = contract.query(chain, &GetTpc { id: tpc }).await?;
        let found = stored.and_then(|stored| Some((stored.dispute?, stored.order())));
        head.extend(found.map(|(dispute, order)| HeadDispute { tpc, order, deadline: dispute.deadline }));
    }
    Ok(head)
}
