//! What a transport takes on, and for how long it waits.

use std::{
    net::{IpAddr, Ipv6Addr},
    time::Duration,
};
use tokio::time::Instant;

/// Bounds of a transport. The defaults suit a coordinator with some thousand members on a small server.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Proven connections in all. 4096. Fewer if the process may not open as many files.
    pub connections: usize,
    /// Incoming connections that have not proven an account yet, in all; the oldest is dropped for a new one. 256.
    pub unproven: usize,
    /// The same for one IPv4 address, or one /64 of IPv6. 32.
    pub unproven_per_ip: usize,
    /// In what time a connection is made and both sides have proven themselves. 10 s.
    pub handshake: Duration,
    /// After what time without a word a sign of life is sent. 10 s.
    pub keep_alive: Duration,
    /// After what time without a word from a peer its connection is cut. 30 s.
    pub idle: Duration,
    /// In what time a peer must take 256 KiB, or what there is, or it is cut. 20 s.
    pub stall: Duration,
    /// Frames that wait for one peer, in bytes. What does not fit is dropped. 4 MiB.
    pub outgoing_bytes: usize,
    /// Messages that wait for one peer. What does not fit is dropped. 65,536.
    pub outgoing_messages: usize,
    /// What waits for the engine, of all peers together: messages and changes of connections. 1024.
    pub incoming: usize,
    /// Messages a second that are read from one peer. 100,000, and as many at once after a rest.
    pub messages_per_second: u64,
    /// Bytes a second that are read from one peer. 64 MiB, and as many at once after a rest.
    pub bytes_per_second: u64,
    /// A peer that has exceeded one of the two rates for so long without a pause is cut. 20 s.
    pub flood: Duration,
    /// Bytes of unfinished frames that are kept, of all peers together. 256 MiB.
    pub unfinished_bytes: usize,
    /// The shortest and the longest pause before dialling again; it doubles, and varies by a half. 200 ms to 30 s.
    pub redial: (Duration, Duration),
    /// Pairs of accounts that this one relays for. None switches the relay off. 1024.
    pub relay_pairs: usize,
    /// Pairs in which one account is. 128.
    pub relay_pairs_per_account: usize,
    /// Bytes a second that are relayed for one pair; the sender is slowed. 4 MiB, and as many at once after a rest.
    pub relay_bytes_per_second: u64,
    /// Relayed sessions over one connection, for their ends. 256.
    pub tunnels: usize,
    /// How long every outgoing message waits before it is written, for experiments. None. The rate is not lowered, provided
    /// that what waits fits the bounds.
    pub delay: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 4096,
            unproven: 256,
            unproven_per_ip: 32,
            handshake: Duration::from_secs(10),
            keep_alive: Duration::from_secs(10),
            idle: Duration::from_secs(30),
            stall: Duration::from_secs(20),
            outgoing_bytes: 4 << 20,
            outgoing_messages: 1 << 16,
            incoming: 1024,
            messages_per_second: 100_000,
            bytes_per_second: 64 << 20,
            flood: Duration::from_secs(20),
            unfinished_bytes: 256 << 20,
            redial: (Duration::from_millis(200), Duration::from_secs(30)),
            relay_pairs: 1024,
            relay_pairs_per_account: 128,
            relay_bytes_per_second: 4 << 20,
            tunnels: 256,
            delay: Duration::ZERO,
        }
    }
}

impl Limits {
    /// Lowers the number of connections to what the process may open, three quarters of its files, so that its store, its
    /// chain and its log still find some. Where that cannot be read, nothing changes.
    pub(super) fn fit_open_files(mut self) -> Self {
        let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
        let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
        let open = line.and_then(|line| line.split_whitespace().next()?.parse::<usize>().ok());
        if let Some(open) = open {
            let usable = open - open / 4;
            self.unproven = self.unproven.min(usable / 4).max(1);
            if self.connections > usable.saturating_sub(self.unproven) {
                self.connections = usable.saturating_sub(self.unproven).max(1);
                tracing::warn!(
                    connections = self.connections,
                    open,
                    "fewer connections than asked for, because the process may open few files: raise `ulimit -n`"
                );
            }
        }
        self
    }

    /// The pause before an attempt that follows so many failures.
    pub(super) fn pause(&self, failures: u32) -> Duration {
        let (shortest, longest) = self.redial;
        let full = shortest.saturating_mul(1 << failures.min(16)).min(longest);
        // Between a half and the whole, so that those who lost the same peer do not come back at once.
        full / 2 + full.mul_f64(random_fraction() / 2.0)
    }
}

/// A number from 0 to 1. It need not be secret.
fn random_fraction() -> f64 {
    f64::from((random() >> 32) as u32) / f64::from(u32::MAX)
}

/// A number that others cannot foresee. The keys of the standard library's hash tables come from the system's randomness.
pub(super) fn random() -> u64 {
    use std::hash::{BuildHasher, Hasher, RandomState};
    RandomState::new().build_hasher().finish()
}

/// What counts as one address: an IPv4 address, or the /64 that one subscriber of IPv6 has.
pub(super) fn subscriber(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(ip) => IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() >> 64 << 64)),
        ip => ip,
    }
}

/// A rate: so many units a second, and as many at once after a second's rest.
#[derive(Debug)]
pub(super) struct Bucket {
    rate: f64,
    left: f64,
    at: Instant,
}

impl Bucket {
    /// Full.
    pub(super) fn new(rate: u64) -> Self {
        let rate = rate.max(1) as f64;
        Self { rate, left: rate, at: Instant::now() }
    }

    /// Takes units that have been used, and says how long to rest before using more.
    pub(super) fn take(&mut self, units: u64) -> Duration {
        let now = Instant::now();
        self.left = (self.left + self.rate * (now - self.at).as_secs_f64()).min(self.rate) - units as f64;
        self.at = now;
        Duration::from_secs_f64((-self.left / self.rate).clamp(0.0, 3600.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_rate_is_kept_after_one_second_at_once() {
        let mut bucket = Bucket::new(100);
        assert_eq!(bucket.take(100), Duration::ZERO);
        assert_eq!(bucket.take(50), Duration::from_millis(500));
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert!(bucket.take(0) < Duration::from_millis(1));
        tokio::time::sleep(Duration::from_secs(50)).await;
        assert_eq!(bucket.take(100), Duration::ZERO);
        assert!(bucket.take(1) > Duration::ZERO);
    }

    #[test]
    fn pauses_grow_to_a_bound() {
        let limits = Limits::default();
        for failures in 0..40 {
            let full = Duration::from_millis(200 << failures.min(12)).min(Duration::from_secs(30));
            let pause = limits.pause(failures);
            assert!(pause >= full / 2 && pause <= full, "{failures}: {pause:?}");
        }
    }

    #[test]
    fn one_subscriber_of_ipv6_is_one_address() {
        let of = |ip: &str| subscriber(ip.parse().unwrap());
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:1"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!(of("::ffff:10.0.0.1"), of("10.0.0.1"));
    }
}
