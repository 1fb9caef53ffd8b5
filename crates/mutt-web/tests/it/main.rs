//! The web service as its users meet it, in process over a real embedded store.

mod api;
mod doors;
mod live;
mod pages;
mod support;
