//! Who was told of lately: a warning that any peer can provoke is logged once in a while for each
//! address. What it warns of is counted each time.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Mutex;
use std::time::Duration;

/// An address is told of again after this time.
pub const TELL_PERIOD: Duration = Duration::from_secs(60);
/// Addresses remembered at one time; more at once are only counted.
pub const TOLD_MAX: usize = 1_024;

/// Who was told of lately, so that one device cannot fill the log.
#[derive(Debug, Default)]
pub struct Told(Mutex<HashMap<(IpAddr, About), Duration>>);

/// What is told of an address, so that one thing does not hide another: listener and reason.
pub type About = [&'static str; 2];

impl Told {
    /// Whether this address was not told of for a while; notes it.
    pub fn is_news(&self, peer: IpAddr, now: Duration) -> bool {
        self.is_news_about(peer, ["", ""], now)
    }

    /// The same of one thing about it.
    pub fn is_news_about(&self, peer: IpAddr, about: About, now: Duration) -> bool {
        let key = (peer, about);
        let Ok(mut told) = self.0.lock() else { return false };
        let lately = |at: &Duration| now.saturating_sub(*at) < TELL_PERIOD;
        if told.get(&key).is_some_and(lately) {
            return false;
        }
        if told.len() >= TOLD_MAX {
            told.retain(|_, at| lately(at));
        }
        let is_news = told.len() < TOLD_MAX;
        if is_news {
            told.insert(key, now);
        }
        is_news
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_told_of_once_in_a_while_and_many_do_not_fill_the_memory() {
        let told = Told::default();
        let at = |n: u32| IpAddr::from(n.to_be_bytes());
        let secs = Duration::from_secs;
        assert!(told.is_news(at(1), secs(0)));
        assert!(!told.is_news(at(1), secs(59)));
        assert!(told.is_news_about(at(1), ["relp", "relp"], secs(59)));
        assert!(!told.is_news_about(at(1), ["relp", "relp"], secs(59)));
        assert!(told.is_news(at(1), secs(60)));
        let news = (2..5_000).filter(|n| told.is_news(at(*n), secs(61))).count();
        assert_eq!(news, TOLD_MAX - 2);
        assert!(told.is_news(at(9_999), secs(200)));
    }
}
