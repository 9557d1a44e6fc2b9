//! What parties and their coordinator say to each other. No socket, clock or disk: those are effects.
//!
//! - [`message`], the messages and their frames
//! - [`step`], a step's result, which must be saved before its effects can be had
//! - [`party`], one user
//! - [`coordinator`], the server that relays and plans; it holds no funds and no keys

pub mod coordinator;
pub mod message;
pub mod party;
pub mod step;
