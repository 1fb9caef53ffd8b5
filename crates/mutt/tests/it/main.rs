//! System tests.

#[cfg(test)]
mod cli;
mod crash;
mod delivery;
mod disk;
#[cfg(test)]
mod docs;
mod doors;
mod pressure;
#[cfg(test)]
mod provoked;
#[cfg(test)]
mod reference;
mod support;
#[cfg(test)]
mod tidy;
