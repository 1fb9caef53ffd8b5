//! A whole site: five services as five processes over Redis and PostgreSQL.

mod alerters;
mod away;
mod path;
mod rotation;
