//! Who may send, and how much: networks by listener, and a token bucket for each source that a limit
//! names. A datagram without a token is refused; a stream may run into debt and is not read meanwhile.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use crate::net::network::{Network, host_of};

/// A datagram or connection of a peer that no list names.
pub const NOT_ALLOWED: &str = "not_allowed";
/// A datagram of a source that is over its limit.
pub const SOURCE_LIMIT: &str = "source_limit";
/// Sources whose buckets are kept; beyond it those that are full go, and new ones share one.
pub const BUCKETS_MAX: usize = 65_536;
/// Those that are full are looked for this often: a flood of new addresses does not pay for each.
const SCAN_PERIOD: Duration = Duration::from_secs(1);
/// A stream that is over its limit is looked at again after this time at most.
const HOLD_MAX: Duration = Duration::from_secs(1);

/// How much each source of some networks may send.
#[derive(Clone, Debug, PartialEq)]
pub struct Limit {
    /// Which sources.
    pub sources: Vec<Network>,
    /// Events a second.
    pub rate: f64,
    /// Events at once.
    pub burst: f64,
}

/// Who may send, and how much. The default: everybody, everything.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Policy {
    /// `ingestor.allow`; empty: everybody.
    pub allow: Vec<Network>,
    /// `ingestor.syslog.allow`, in the place of `allow` where it is not empty.
    pub syslog: Vec<Network>,
    /// `ingestor.snmp.allow`, likewise.
    pub snmp: Vec<Network>,
    /// `ingestor.http.allow`, likewise.
    pub http: Vec<Network>,
    /// `[[ingestor.limits]]`: the first that names a source counts.
    pub limits: Vec<Limit>,
}

impl Policy {
    /// Whether nobody is refused or limited.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.allow.is_empty()
            && self.syslog.is_empty()
            && self.snmp.is_empty()
            && self.http.is_empty()
            && self.limits.is_empty()
    }

    /// Whether anybody is limited.
    #[must_use]
    pub fn has_limits(&self) -> bool {
        !self.limits.is_empty()
    }

    /// Whether a peer may send through a listener, by the listener's name.
    #[must_use]
    pub fn allows(&self, peer: IpAddr, listener: &str) -> bool {
        let own = match listener {
            name if name.starts_with("snmp") => &self.snmp,
            name if name.starts_with("http") => &self.http,
            _ => &self.syslog,
        };
        let list = if own.is_empty() { &self.allow } else { own };
        list.is_empty() || list.iter().any(|network| network.contains(peer))
    }

    /// The place of the limit that counts for a peer.
    fn limit(&self, peer: IpAddr) -> Option<usize> {
        let names = |limit: &Limit| limit.sources.iter().any(|network| network.contains(peer));
        self.limits.iter().position(names)
    }
}

/// The tokens of one source.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    rate: f64,
    burst: f64,
    tokens: f64,
    at: Duration,
}

impl Bucket {
    fn new(limit: &Limit, now: Duration) -> Self {
        Self { rate: limit.rate, burst: limit.burst, tokens: limit.burst, at: now }
    }

    fn fill(&mut self, now: Duration) {
        let passed = now.saturating_sub(self.at).as_secs_f64();
        self.tokens = passed.mul_add(self.rate, self.tokens).min(self.burst);
        self.at = self.at.max(now);
    }

    /// How long until it is out of debt.
    fn wait(&self) -> Option<Duration> {
        if self.tokens >= 0.0 {
            return None;
        }
        let wait = Duration::try_from_secs_f64(-self.tokens / self.rate).unwrap_or(HOLD_MAX);
        Some(wait.clamp(Duration::from_millis(1), HOLD_MAX))
    }
}

/// Whose bucket it is: a host, and for IPv6 the limit, for several may name parts of one /64.
type Owner = (IpAddr, Option<usize>);

/// The buckets of all sources that were heard lately.
#[derive(Debug, Default)]
pub(super) struct Buckets {
    /// `None` for one that no limit names.
    by: HashMap<Owner, Option<Bucket>>,
    /// By the limit's place: of those that came when there was no room.
    shared: HashMap<usize, Bucket>,
    scanned_at: Option<Duration>,
}

impl Buckets {
    fn of(&mut self, policy: &Policy, peer: IpAddr, now: Duration) -> Option<&mut Bucket> {
        let peer = peer.to_canonical();
        let limit = if peer.is_ipv6() { Some(policy.limit(peer)?) } else { None };
        let owner = (host_of(peer), limit);
        let bucket = if self.by.contains_key(&owner) || self.has_room(now) {
            let new = || {
                let limit = policy.limits.get(policy.limit(peer)?)?;
                Some(Bucket::new(limit, now))
            };
            self.by.entry(owner).or_insert_with(new).as_mut()?
        } else {
            let place = policy.limit(peer)?;
            let limit = policy.limits.get(place)?;
            self.shared.entry(place).or_insert_with(|| Bucket::new(limit, now))
        };
        bucket.fill(now);
        Some(bucket)
    }

    /// Whether there is room for one more; once in a while those that are full make some.
    fn has_room(&mut self, now: Duration) -> bool {
        let lately = self.scanned_at.is_some_and(|at| now.saturating_sub(at) < SCAN_PERIOD);
        if self.by.len() >= BUCKETS_MAX && !lately {
            self.scanned_at = Some(now);
            self.by.retain(|_, bucket| {
                bucket.as_mut().is_some_and(|bucket| {
                    bucket.fill(now);
                    bucket.tokens < bucket.burst
                })
            });
        }
        self.by.len() < BUCKETS_MAX
    }

    /// Whether one datagram may come in.
    pub(super) fn take(&mut self, policy: &Policy, peer: IpAddr, now: Duration) -> bool {
        let Some(bucket) = self.of(policy, peer, now) else { return true };
        let has = bucket.tokens >= 1.0;
        if has {
            bucket.tokens -= 1.0;
        }
        has
    }

    /// Takes what a stream sent; how long it is not read.
    pub(super) fn charge(
        &mut self,
        policy: &Policy,
        peer: IpAddr,
        events: u64,
        now: Duration,
    ) -> Option<Duration> {
        let bucket = self.of(policy, peer, now)?;
        #[expect(clippy::cast_precision_loss, reason = "what one read holds")]
        let events = events as f64;
        bucket.tokens -= events;
        bucket.wait()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn net(text: &str) -> Network {
        Network::parse(text).unwrap()
    }

    #[test]
    fn a_listeners_own_list_stands_in_the_place_of_the_general_one() {
        let peer: IpAddr = "192.0.2.7".parse().unwrap();
        let check = |policy: &Policy, listener: &str, expected: bool| {
            assert_eq!(policy.allows(peer, listener), expected, "{listener} {policy:?}");
        };
        let open = Policy::default();
        assert!(open.is_open());
        check(&open, "syslog-udp", true);
        let general = Policy { allow: vec![net("198.51.100.0/24")], ..Policy::default() };
        for listener in ["syslog-udp", "syslog-tls", "relp", "snmp-udp", "http"] {
            check(&general, listener, false);
        }
        let own = Policy { snmp: vec![net("192.0.2.0/24")], ..general };
        check(&own, "snmp-udp", true);
        check(&own, "syslog-udp", false);
    }

    #[test]
    fn each_source_has_a_bucket_of_its_own_and_the_first_limit_counts() {
        let limit = |sources: &str, rate: f64, burst: f64| Limit {
            sources: vec![net(sources)],
            rate,
            burst,
        };
        let limits = vec![limit("192.0.2.7", 1.0, 2.0), limit("192.0.2.0/24", 10.0, 10.0)];
        let policy = Policy { limits, ..Policy::default() };
        let mut buckets = Buckets::default();
        let secs = Duration::from_secs;
        let mut taken = |peer: &str, times: usize, now: u64| {
            let peer = peer.parse().unwrap();
            (0..times).filter(|_| buckets.take(&policy, peer, secs(now))).count()
        };
        assert_eq!(taken("192.0.2.7", 100, 0), 2);
        assert_eq!(taken("192.0.2.8", 100, 0), 10);
        assert_eq!(taken("192.0.2.9", 100, 0), 10);
        assert_eq!(taken("198.51.100.1", 100, 0), 100);
        assert_eq!(taken("192.0.2.7", 100, 1), 1);
        assert_eq!(taken("192.0.2.7", 100, 100), 2);
    }

    #[test]
    fn a_stream_runs_into_debt_and_waits_it_out() {
        let sources = vec![net("192.0.2.0/24")];
        let limits = vec![Limit { sources, rate: 100.0, burst: 50.0 }];
        let policy = Policy { limits, ..Policy::default() };
        let mut buckets = Buckets::default();
        let peer = "192.0.2.7".parse().unwrap();
        let millis = Duration::from_millis;
        let mut charge = |events, now| buckets.charge(&policy, peer, events, millis(now));
        assert_eq!(charge(50, 0), None);
        assert_eq!(charge(20, 0), Some(millis(200)));
        assert_eq!(charge(0, 100), Some(millis(100)));
        assert_eq!(charge(0, 200), None);
        assert_eq!(charge(100_000, 200), Some(HOLD_MAX));
    }

    #[test]
    fn strangers_do_not_fill_the_memory() {
        let limits = vec![Limit { sources: vec![net("0.0.0.0/0")], rate: 1.0, burst: 1.0 }];
        let policy = Policy { limits, ..Policy::default() };
        let mut buckets = Buckets::default();
        let at = |n: u32| IpAddr::from(n.to_be_bytes());
        let debtor = at(u32::MAX);
        assert!(buckets.charge(&policy, debtor, 1_000, Duration::ZERO).is_some());
        let flood = |buckets: &mut Buckets, now| {
            (0..200_000u32).filter(|n| buckets.take(&policy, at(*n), now)).count()
        };
        // Those that find no room share one bucket.
        assert_eq!(flood(&mut buckets, Duration::ZERO), BUCKETS_MAX);
        assert_eq!((buckets.by.len(), buckets.shared.len()), (BUCKETS_MAX, 1));
        let soon = Duration::from_millis(999);
        assert_eq!(flood(&mut buckets, soon), 0, "nothing was looked for and nobody forgiven");
        assert_eq!(flood(&mut buckets, Duration::from_secs(100)), BUCKETS_MAX);
        assert!(!buckets.take(&policy, debtor, Duration::from_secs(100)), "a debt was forgiven");
    }

    #[test]
    fn a_host_on_ipv6_has_one_bucket_for_its_network() {
        let limit = |sources: &str, burst| Limit { sources: vec![net(sources)], rate: 1.0, burst };
        let limits = vec![limit("2001:db8::7", 5.0), limit("2001:db8::/32", 2.0)];
        let policy = Policy { limits, ..Policy::default() };
        let mut buckets = Buckets::default();
        let mut taken = |network: &str| {
            let peer = |n: u32| -> IpAddr { format!("{network}{:x}", 0x100 + n).parse().unwrap() };
            (0..100).filter(|n| buckets.take(&policy, peer(*n), Duration::ZERO)).count()
        };
        assert_eq!((taken("2001:db8::"), taken("2001:db8:0:1::")), (2, 2));
        let own: IpAddr = "2001:db8::7".parse().unwrap();
        let own = (0..100).filter(|_| buckets.take(&policy, own, Duration::ZERO)).count();
        assert_eq!(own, 5, "a limit of one address is that address's");
        let mapped = "::ffff:192.0.2.7".parse().unwrap();
        assert!(buckets.take(&policy, mapped, Duration::ZERO), "no limit names it");
    }
}
