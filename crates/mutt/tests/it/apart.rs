//! Services apart: processes and Alerters that share a Redis, and what they do while it is away.

mod alerters;
mod ingestor;
mod rounds;
