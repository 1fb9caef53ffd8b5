//! Values and names as PostgreSQL writes them: ids as `uuid`, names that need it in quotes.

use std::error::Error;

use bytes::{BufMut as _, BytesMut};
use mutt_model::Id;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, accepts, to_sql_checked};

/// A role's or table's name as it stands in a statement: in quotes where it would not be read otherwise.
#[must_use]
pub fn identifier(name: &str) -> String {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if name.chars().all(plain) && !name.starts_with(|c: char| c.is_ascii_digit()) {
        return name.to_owned();
    }
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// An id as a `uuid`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Uid(pub(crate) Id);

impl ToSql for Uid {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        out.put_slice(&self.0.0);
        Ok(IsNull::No)
    }

    accepts!(UUID);
    to_sql_checked!();
}

impl<'a> FromSql<'a> for Uid {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(Id(raw.try_into()?)))
    }

    accepts!(UUID);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_quoted_where_it_must_be() {
        for (name, written) in [
            ("mutt", "mutt"),
            ("mutt_2", "mutt_2"),
            ("mutt-app", "\"mutt-app\""),
            ("Mutt", "\"Mutt\""),
            ("2nd", "\"2nd\""),
            ("a\"b", "\"a\"\"b\""),
        ] {
            assert_eq!(identifier(name), written);
        }
    }
}
