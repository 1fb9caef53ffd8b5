//! A whole site: five services as five processes over Redis and PostgreSQL.

mod alerters;
mod away;
mod crash;
mod forwarders;
mod halt;
mod healthy;
mod load;
mod mibs;
mod path;
mod points;
mod reboot;
mod rotation;
mod settings;
mod sigterm;
mod spill;
mod table;
mod upgrade;
