//! What the demonstration ends with: balances, messages, calls.

use crate::output::{table, units, CallCost};
use protocol::Balance;
use serde::Serialize;

/// Everything that is shown.
#[derive(Serialize)]
pub struct Summary {
    /// What went wrong in the end, if anything did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ending: Option<String>,
    pub players: Vec<Player>,
    pub stages: Vec<Stage>,
    pub calls: Vec<CallCost>,
}

/// A player's balances, in planck.
#[derive(Debug, Serialize)]
pub struct Player {
    pub name: String,
    pub before: Balance,
    pub in_channels: Balance,
    pub rounds_won: u32,
    pub won: i128,
    pub fees_and_deposits: i128,
    pub after: Balance,
}

/// A stage of the protocol beside the paper's Table 1.
#[derive(Serialize)]
pub struct Stage {
    pub stage: &'static str,
    pub times: u64,
    pub on_chain: u64,
    pub messages: u64,
    pub formula: Option<&'static str>,
    pub messages_by_formula: Option<u64>,
    pub signatures: u64,
}

impl Summary {
    /// Aligned tables.
    pub fn tables(&self, rounds: u32) -> String {
        let n = self.players.len();
        let players = self.players.iter().map(|player| {
            vec![
                player.name.clone(),
                units(player.before as i128),
                units(player.in_channels as i128),
                player.rounds_won.to_string(),
                units(player.won),
                units(player.fees_and_deposits),
                units(player.after as i128),
            ]
        });
        let heads = ["Player", "Before", "In channels", "Rounds won", "Won", "Fees, deposits", "After"];
        let players = table(&heads, players);
        let stages = self.stages.iter().map(|stage| {
            vec![
                stage.stage.to_owned(),
                stage.times.to_string(),
                stage.on_chain.to_string(),
                stage.messages.to_string(),
                match (stage.formula, stage.messages_by_formula) {
                    (Some(formula), Some(messages)) => format!("{} x ({formula}) = {messages}", stage.times),
                    _ => "not in the paper".to_owned(),
                },
                stage.signatures.to_string(),
            ]
        });
        let heads = ["Stage", "Times", "On-chain calls", "Messages", "The paper's Table 1", "Signatures"];
        let stages = table(&heads, stages);
        let calls = self.calls.iter().map(|call| {
            vec![
                call.message.clone(),
                format!("{:.1}", call.ref_time_ps as f64 / 1e6),
                call.proof_size_bytes.to_string(),
                units(call.storage_deposit_planck),
                units(call.fee_planck as i128),
            ]
        });
        let heads = ["Message", "ref_time (µs)", "proof_size (B)", "Storage deposit (UNIT)", "Fee (UNIT)"];
        let calls = table(&heads, calls);
        let ending = self.ending.as_ref().map(|ending| format!("{ending}\n")).unwrap_or_default();
        format!(
            "{n} players, {rounds} rounds: each loser pays the winner 1 UNIT\n{ending}\n\
             Balances in UNIT\n{players}\n\n\
             Off-chain messages and signatures, n = {n}\n{stages}\n\n\
             On-chain calls\n{calls}"
        )
    }
}
