//! Braid for applications: payment channels between two users, braided into groups that settle atomically off chain.
//!
//! Four players form a group off chain and settle a round of a game, all or nothing:
//!
//! ```
//! # use braid::{chain::{contract::{Bundle, Contract}, embedded::SharedChain, keys::Keys, UNIT}, engine::Transfer};
//! # use braid::{party::{Open, Party}, protocol::Asset};
//! # use devchain::Devchain;
//! # use std::time::Duration;
//! # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # const PATIENCE: Duration = Duration::from_secs(60);
//! let mut chain = SharedChain::new(Devchain::new());
//! let (contract, _) = Contract::deploy(&mut chain, &Keys::from_suri("//Alice")?, &Bundle::built_in()?).await?;
//! let mut all: Vec<Party> = vec![];
//! for name in ["//Alice", "//Bob", "//Charlie", "//Dave", "//Eve"] {
//!     let party = Party::builder(Keys::from_suri(name)?).listen(([127, 0, 0, 1], 0).into()).coordinate();
//!     let party = party.peers(all.iter().filter_map(Party::address)).agree(|_who, _what| true);
//!     all.push(party.start(chain.clone(), contract.clone()).await?);
//!     all[all.len() - 1].deposit(Asset::Native, 20 * UNIT).await?;
//! }
//! let (eve, players) = all.split_last().ok_or("nobody plays")?;
//! let mut ring = vec![];
//! for (a, b) in [(0, 1), (1, 2), (2, 3), (3, 0)] {
//!     ring.push(players[a].open(Open::with(players[b].account(), 10 * UNIT), PATIENCE).await?);
//! }
//! let game = players[0].form(&ring, eve.account(), PATIENCE).await?;
//! let pays = |loser: &Party| Transfer { from: loser.account(), to: players[0].account(), asset: Asset::Native, amount: UNIT };
//! players[0].pay_in_group(game, players[1..].iter().map(pays).collect(), PATIENCE).await?;
//! # players[0].wait_until(|engine| engine.holdings(Asset::Native) == 23 * UNIT, PATIENCE).await?;
//! # Ok(()) }
//! ```
//!
//! - [`evidence`], the signed states that a user leaves with its watchers, as a file
//! - [`http`], the API that a party's daemon serves
//! - [`party`], an account at work
//! - [`store`], where a party or a coordinator keeps its records, and copies of it
//! - [`transport`], connections between accounts
//! - [`watchtower`], looks after the channels of users who are away

pub use chain;
pub use engine;
pub use protocol;

mod calls;
mod disputes;
pub mod evidence;
pub mod http;
pub mod party;
mod stalled;
pub mod store;
pub mod transport;
pub mod watchtower;
