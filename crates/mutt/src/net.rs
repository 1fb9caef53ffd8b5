//! Sockets: how listeners are bound, read in batches, and watched for what the kernel drops.

pub mod certificate;
pub mod http;
pub mod kernel;
pub mod network;
pub mod tls;
pub mod udp;
