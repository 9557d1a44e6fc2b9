//! What a transport counts.

use std::sync::{
    atomic::{AtomicU64, Ordering::Relaxed},
    Arc,
};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Counters for metrics. They only grow, but for `connections` and `unproven`.
        #[derive(Debug, Default)]
        pub struct Counters {
            $($(#[$doc])* pub $name: AtomicU64,)*
        }

        impl Counters {
            /// Every counter's name and value.
            pub fn values(&self) -> Vec<(&'static str, u64)> {
                vec![$((stringify!($name), self.$name.load(Relaxed)),)*]
            }
        }
    };
}

counters! {
    /// Connections to proven peers that are open now.
    connections,
    /// Incoming connections that have not proven an account yet, now.
    unproven,
    /// Sessions with proven peers so far, direct ones and relayed ones.
    sessions,
    /// Attempts to dial that failed.
    dials_failed,
    /// Incoming connections that ended before they proved an account.
    handshakes_failed,
    /// Connections dropped, and requests of the relay not met, because a quota was used up.
    refused,
    /// Bytes read from proven peers, encrypted.
    bytes_in,
    /// Bytes written to proven peers, encrypted.
    bytes_out,
    /// Messages read.
    messages_in,
    /// Messages written.
    messages_out,
    /// Messages that were not sent: no connection, no room, or too long.
    dropped,
    /// Connections cut for a bad frame.
    bad_frames,
    /// Connections cut because the peer did not read.
    slow_peers,
    /// Connections cut because nothing was heard from the peer.
    silent_peers,
    /// Connections cut because the peer exceeded its rates for long.
    flooding_peers,
    /// How often a peer's reading was slowed.
    slowed,
    /// Bytes that were passed on for others.
    relayed_bytes,
}

/// Adds to a counter.
pub(super) fn add(counter: &AtomicU64, number: u64) {
    counter.fetch_add(number, Relaxed);
}

/// Counts something for as long as it lives.
pub(super) struct Gauge {
    counters: Arc<Counters>,
    which: fn(&Counters) -> &AtomicU64,
}

impl Gauge {
    /// One more.
    pub(super) fn new(counters: &Arc<Counters>, which: fn(&Counters) -> &AtomicU64) -> Self {
        add(which(counters), 1);
        Self { counters: counters.clone(), which }
    }
}

impl Drop for Gauge {
    fn drop(&mut self) {
        (self.which)(&self.counters).fetch_sub(1, Relaxed);
    }
}
