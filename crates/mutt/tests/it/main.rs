//! System tests.

#[cfg(test)]
mod cli;
#[cfg(test)]
mod provoked;
#[cfg(test)]
mod reference;
mod delivery;
mod doors;
mod support;
mod tidy;
