//! A whole site: five services as five processes over Redis and PostgreSQL.

mod path;
