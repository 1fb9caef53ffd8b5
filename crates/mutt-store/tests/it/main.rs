//! The integration tests of the event queue and the store.

#[cfg(test)]
mod link;
#[cfg(test)]
mod postgres;
#[cfg(test)]
mod queue;
#[cfg(test)]
mod redis_server;
#[cfg(test)]
mod store;
