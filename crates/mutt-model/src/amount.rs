//! Durations, sizes and rates as people write them: `30s`, `24h`, `512KiB`, `5GiB`, `50/s`.

use std::time::Duration;

const DURATIONS: &[(&str, u64)] = &[
    ("ms", 1),
    ("s", 1_000),
    ("m", 60_000),
    ("h", 3_600_000),
    ("d", 86_400_000),
    ("w", 604_800_000),
];

const SIZES: &[(&str, u64)] = &[
    ("B", 1),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
];

fn split(text: &str) -> Option<(u64, &str)> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    Some((text[..digits].parse().ok()?, text[digits..].trim()))
}

/// Reads `500ms`, `30s`, `5m`, `24h`, `7d`, `2w`; `0` needs no unit.
///
/// # Errors
///
/// A sentence that says what is allowed.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let wrong =
        || format!("`{text}` is no duration: write a number with ms, s, m, h, d or w, as 30s");
    let (number, unit) = split(text).ok_or_else(wrong)?;
    if number == 0 && unit.is_empty() {
        return Ok(Duration::ZERO);
    }
    let (_, millis) = DURATIONS.iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?;
    Ok(Duration::from_millis(number.checked_mul(*millis).ok_or_else(wrong)?))
}

/// Writes a duration in its largest whole unit.
#[must_use]
pub fn format_duration(duration: Duration) -> String {
    let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    if millis == 0 {
        return "0s".to_owned();
    }
    let (unit, size) = DURATIONS[..5]
        .iter()
        .rev()
        .find(|(_, size)| millis.is_multiple_of(*size))
        .unwrap_or(&("ms", 1));
    format!("{}{unit}", millis / size)
}

/// Reads `512KiB`, `5GiB`, `100MB`, `4096B`; binary and decimal units are told apart.
///
/// # Errors
///
/// A sentence that says what is allowed.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let wrong = || {
        format!(
            "`{text}` is no size: write a number with B, KiB, MiB, GiB, TiB, KB, MB, GB or TB, as 4GiB"
        )
    };
    let (number, unit) = split(text).ok_or_else(wrong)?;
    let (_, bytes) =
        SIZES.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit)).ok_or_else(wrong)?;
    number.checked_mul(*bytes).ok_or_else(wrong)
}

/// Writes a size in its largest whole binary unit.
#[must_use]
pub fn format_size(bytes: u64) -> String {
    let (unit, size) = SIZES[..5]
        .iter()
        .rev()
        .find(|(_, size)| bytes >= *size && bytes.is_multiple_of(*size))
        .unwrap_or(&("B", 1));
    format!("{}{unit}", bytes / size)
}

/// Reads `50/s`, `120/m`, `1000/h` as events per second.
///
/// # Errors
///
/// A sentence that says what is allowed.
pub fn parse_rate(text: &str) -> Result<f64, String> {
    let wrong = || format!("`{text}` is no rate: write a number with /s, /m or /h, as 50/s");
    let (number, unit) = text.split_once('/').ok_or_else(wrong)?;
    let number: f64 = number.trim().parse().map_err(|_| wrong())?;
    let per = match unit.trim() {
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err(wrong()),
    };
    if number.is_finite() && number > 0.0 { Ok(number / per) } else { Err(wrong()) }
}

/// Serialises a [`Duration`] as text with a unit (`#[serde(with = "amount::duration_text")]`).
pub mod duration_text {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    /// Writes `24h`.
    ///
    /// # Errors
    ///
    /// Only the serialiser's own.
    pub fn serialize<S: Serializer>(value: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&super::format_duration(*value))
    }

    /// Reads `24h`.
    ///
    /// # Errors
    ///
    /// When the text is no duration.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        super::parse_duration(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_and_written() {
        assert_eq!(parse_duration("24h").unwrap(), Duration::from_secs(86_400));
        assert_eq!(format_duration(Duration::from_secs(86_400)), "1d");
        assert_eq!(format_duration(Duration::from_secs(90)), "90s");
        assert!(parse_duration("24").unwrap_err().contains("30s"));
        assert_eq!(parse_size("4GiB").unwrap(), 4 << 30);
        assert_eq!(format_size(4 << 30), "4GiB");
        assert!(parse_size("many").is_err());
        assert!((parse_rate("120/m").unwrap() - 2.0).abs() < 1e-9);
        assert!(parse_rate("0/s").is_err());
    }
}
