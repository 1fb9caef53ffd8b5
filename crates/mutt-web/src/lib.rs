//! REST API and web UI: one router over the store and the running program. It listens nowhere itself
//! and sends to no sink; the program gives it a [`WebState`] and serves [`router`].

mod api;
mod assets;
mod auth;
mod chart;
mod edge;
mod inert;
mod judging;
mod live;
mod openapi;
mod pages;
mod params;
mod problem;
mod routes;
mod state;

pub use auth::Peer;
pub use openapi::document as openapi_document;
pub use routes::{Access, RouteFacts, route_facts, router};
pub use state::{
    BackupDone, HookError, KeyState, Notice, Program, Role, ServiceHealth, SinkTest, Token,
    WebParts, WebState,
};
