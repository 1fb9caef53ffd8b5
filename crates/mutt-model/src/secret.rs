//! A secret that cannot print itself.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

/// A secret value: no `Display`, no serialisation, and `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Secret(String);

impl Secret {
    /// Wraps a value; one trailing newline (as files have) is taken off.
    #[must_use]
    pub fn new(value: impl Into<String>) -> Self {
        let mut value = value.into();
        if value.ends_with('\n') {
            value.pop();
            if value.ends_with('\r') {
                value.pop();
            }
        }
        Self(value)
    }

    /// The value, for the one call that needs it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

/// Secrets that change while they are used: the current one, then the next one where there is one.
/// Clones share the same values; whoever connects asks anew and tries them in order.
#[derive(Clone, Debug, Default)]
pub struct LiveSecrets(Arc<Held>);

#[derive(Debug, Default)]
struct Held {
    values: RwLock<Arc<[Secret]>>,
    /// A place is named for them, whether or not it was read yet.
    named: bool,
}

impl LiveSecrets {
    /// With these values.
    #[must_use]
    pub fn new(values: Vec<Secret>) -> Self {
        Self(Arc::new(Held { values: RwLock::new(values.into()), named: false }))
    }

    /// Of a place that is named and not read yet.
    #[must_use]
    pub fn named() -> Self {
        Self(Arc::new(Held { named: true, ..Held::default() }))
    }

    /// Whether they are named and were not read yet: nothing takes their place, whoever needs them waits.
    #[must_use]
    pub fn is_awaited(&self) -> bool {
        self.0.named && self.get().is_empty()
    }

    /// The values in force.
    #[must_use]
    pub fn get(&self) -> Arc<[Secret]> {
        Arc::clone(&self.0.values.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts others in force.
    pub fn set(&self, values: Vec<Secret>) {
        *self.0.values.write().unwrap_or_else(PoisonError::into_inner) = values.into();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn live_secrets_are_shared_by_their_clones() {
        let live = LiveSecrets::new(vec![Secret::new("old")]);
        let held = live.clone();
        live.set(vec![Secret::new("old"), Secret::new("new")]);
        assert_eq!(held.get().len(), 2);
        assert!(!format!("{held:?}").contains("new"));
    }

    #[test]
    fn secrets_are_awaited_while_they_are_named_and_not_read() {
        let live = LiveSecrets::named();
        assert!(live.is_awaited() && live.clone().is_awaited());
        live.set(vec![Secret::new("read")]);
        assert!(!live.is_awaited());
        assert!(!LiveSecrets::default().is_awaited(), "none is named");
    }

    #[test]
    fn a_secret_shows_nothing_of_itself() {
        let secret = Secret::new("hunter2\n");
        assert_eq!(secret.expose(), "hunter2");
        assert_eq!(format!("{secret:?}"), "Secret(***)");
    }
}
