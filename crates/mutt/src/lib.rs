//! MUTT, the program: the five services, configuration, supervision and the command line. The only
//! crate that knows all the others.

pub mod cli;
pub mod config;
pub mod health;
pub mod mibs;
pub mod net;
pub mod postgres;
pub mod reference;
pub mod secrets;
pub mod serve;
pub mod services;
pub mod supervise;
pub mod telemetry;
