//! What happens on chain, and what X sees of it.

use crate::{
    scenario::{Host, TICK, X},
    world::{End, Model, Promise, Seen, World},
};
use engine::{Block, Call, Input};
use protocol::event::Event;

impl Model {
    /// A call of somebody's. `None` if the contract refuses it.
    pub fn call(&mut self, world: &mut World, who: usize, call: impl Into<Call>) -> Option<()> {
        let call = self.arena.calls.number(call.into());
        self.execute(world, who, call)
    }

    fn execute(&mut self, world: &mut World, who: usize, call: u32) -> Option<()> {
        let (ledger, told) = self.arena.call(world.ledger, self.account(who), call)?;
        for (place, channel) in self.scenario.channels.iter().enumerate() {
            let Some(own) = channel.own else { continue };
            for event in self.arena.told.get(told) {
                match event {
                    Event::Settled(settled) => {
                        let ended = settled.channels.iter().find(|ended| ended.tpc == channel.tpc);
                        let end = |ended: &protocol::event::ChannelSettled| End {
                            order: (ended.epoch, ended.version),
                            balance: ended.balances[own],
                        };
                        world.ends[place] = ended.map(end).or(world.ends[place]);
                    }
                    Event::TpcClosed(closed) if closed.tpc == channel.tpc => {
                        world.ends[place] = Some(End { order: (u32::MAX, 0), balance: closed.balances[own] });
                    }
                    _ => {}
                }
            }
        }
        world.ledger = ledger;
        world.told = self.arena.join(world.told, told);
        if self.arena.ledgers.get(ledger).total(self.scenario.asset()) != self.total {
            world.broken = Some(Promise::Conservation);
        }
        Some(())
    }

    /// The next of X's calls reaches the chain, and may fail there.
    pub fn include(&mut self, world: &mut World) {
        let (id, call) = world.calls.remove(0);
        if self.execute(world, X, call).is_none() {
            self.input(world, Input::CallFailed(id));
        }
    }

    pub fn is_calling(&self, world: &World) -> bool {
        !world.calls.is_empty()
    }

    /// The block is made, and X sees it or not.
    pub fn block(&mut self, world: &mut World, seen: Seen) {
        world.number += 1;
        world.made = world.ledger;
        world.late.push((world.told, world.made));
        world.told = self.arena.told.number(vec![]);
        world.ledger = self.arena.later(world.ledger, TICK);
        let head = match self.scenario.host {
            Host::LosesDisputes => vec![],
            _ => self.arena.ledgers.get(world.made).disputes(),
        };
        if seen != Seen::Nothing {
            world.head = world.made;
        }
        match seen {
            Seen::Nothing => {}
            Seen::Head => self.input(world, Input::Head(head)),
            Seen::All | Seen::Storage => {
                if seen == Seen::Storage {
                    self.read(world);
                } else {
                    self.catch_up(world);
                }
                self.input(world, Input::Head(head));
                // Longer than anything waits to be sent again.
                self.input(world, Input::Tick(u64::from(world.number) * 1_000_000));
            }
        }
    }

    fn catch_up(&mut self, world: &mut World) {
        let late = std::mem::take(&mut world.late);
        let first = world.number + 1 - late.len() as u32;
        for (number, (told, after)) in (first..).zip(late) {
            let mut events = self.arena.told.get(told).clone();
            if self.scenario.host == Host::LosesDisputes {
                events.retain(|event| !matches!(event, Event::Disputed(_)));
            }
            let time = self.now(after);
            self.input(world, Input::Block(Block { number, time, events, reading: None }));
        }
    }

    fn read(&mut self, world: &mut World) {
        world.late.clear();
        let mut made = self.arena.ledgers.get(world.made).clone();
        let followed = self.engine(world).followed();
        let reading = Some(followed.iter().map(|(tpc, epoch)| made.read(*tpc, *epoch)).collect());
        self.input(world, Input::Block(Block { number: world.number, time: made.now, events: vec![], reading }));
    }
}
