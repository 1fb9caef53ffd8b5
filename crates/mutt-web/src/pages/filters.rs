//! The templates' filters: inert text, times, numbers, severities.

use minijinja::{Environment, Value};
use mutt_model::{Severity, Timestamp};

use crate::inert;

/// Adds all filters.
pub(super) fn add(env: &mut Environment<'static>) {
    env.add_filter("inert", inert_text);
    env.add_filter("when", when);
    env.add_filter("ago", ago);
    env.add_filter("num", num);
    env.add_filter("size", size);
    env.add_filter("skew", skew);
    env.add_filter("severity", severity);
    env.add_filter("state", state_badge);
    env.add_filter("short", |id: String| {
        id.chars().rev().take(8).collect::<Vec<_>>().into_iter().rev().collect::<String>()
    });
    env.add_filter("encoded", |text: String| super::encoded(&text));
}

fn absent(value: &Value) -> bool {
    value.is_none() || value.is_undefined() || value.as_str() == Some("")
}

fn nothing() -> Value {
    Value::from_safe_string("<span class=\"none\">\u{2013}</span>".to_owned())
}

/// Text of others: escaped, acting characters shown, in its own direction.
fn inert_text(value: Value) -> Value {
    if absent(&value) {
        return nothing();
    }
    // Numbers, flags and lists as the API writes them.
    let json = || serde_json::to_string(&value).unwrap_or_else(|_| value.to_string());
    let text = value.as_str().map_or_else(json, str::to_owned);
    Value::from_safe_string(format!("<bdi>{}</bdi>", inert::html(&text)))
}

fn parsed(value: &Value) -> Option<Timestamp> {
    value.as_str().and_then(Timestamp::parse_rfc3339)
}

/// `2026-11-23 21:40:12.123` in a `time` element; always UTC, as the page's foot says.
fn when(value: Value) -> Value {
    let Some(at) = parsed(&value) else { return nothing() };
    let full = at.to_string();
    let shown = full.get(..23).unwrap_or(&full).replace('T', " ");
    Value::from_safe_string(format!("<time datetime=\"{full}\">{shown}</time>"))
}

/// `3 min ago`, with the moment itself for those who point at it.
fn ago(value: Value, now: String) -> Value {
    let (Some(at), Some(now)) = (parsed(&value), Timestamp::parse_rfc3339(&now)) else {
        return nothing();
    };
    let secs = now.since(at).as_secs();
    let text = match secs {
        0..60 => format!("{secs} s ago"),
        60..3_600 => format!("{} min ago", secs / 60),
        3_600..172_800 => format!("{} h ago", secs / 3_600),
        _ => format!("{} d ago", secs / 86_400),
    };
    Value::from_safe_string(format!("<time datetime=\"{at}\" title=\"{at}\">{text}</time>"))
}

/// `1 234 567`, with narrow spaces that do not break.
fn num(value: Value) -> String {
    let text = value.to_string();
    let (sign, digits) = text.strip_prefix('-').map_or(("", text.as_str()), |d| ("\u{2212}", d));
    if digits.len() <= 4 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return format!("{sign}{digits}");
    }
    let mut out = sign.to_owned();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push('\u{202f}');
        }
        out.push(digit);
    }
    out
}

/// `-520 ms`, `-29 min 49 s`: how far one clock is from another, or how long something took.
fn skew(value: Value) -> Value {
    let Some(millis) = f64::try_from(value).ok().filter(|millis| millis.is_finite()) else {
        return nothing();
    };
    let (sign, all) = (if millis < 0.0 { "\u{2212}" } else { "" }, millis.abs().round());
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "not negative")]
    let (all, secs) = (all as u64, all as u64 / 1_000);
    let text = match secs {
        0..10 => format!("{all} ms"),
        10..120 => format!("{secs} s"),
        120..7_200 => format!("{} min {} s", secs / 60, secs % 60),
        7_200..172_800 => format!("{} h {} min", secs / 3_600, secs % 3_600 / 60),
        _ => format!("{} d {} h", secs / 86_400, secs % 86_400 / 3_600),
    };
    Value::from(format!("{sign}{text}"))
}

#[expect(clippy::cast_precision_loss, reason = "a size for people")]
fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit < UNITS.len() - 1 {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{bytes} B") } else { format!("{value:.1} {}", UNITS[unit]) }
}

/// A severity as a badge: colour and word.
fn severity(value: Value) -> Value {
    let severity = u8::try_from(value.clone()).ok().and_then(Severity::new);
    Value::from_safe_string(match severity {
        Some(severity) => {
            format!("<span class=\"sev sev-{}\">{}</span>", severity.number(), severity.name())
        }
        None => "<span class=\"sev sev-none\">none</span>".to_owned(),
    })
}

/// A state as a badge: its word, coloured by its class. Words are letters only.
fn state_badge(value: Value) -> Value {
    let text = value.as_str().unwrap_or_default();
    let plain: String = text.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
    let shown = plain.replace('_', " ");
    Value::from_safe_string(format!("<span class=\"badge is-{plain}\">{shown}</span>"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_sizes_and_times_are_readable() {
        assert_eq!(num(Value::from(1_234_567)), "1\u{202f}234\u{202f}567");
        assert_eq!(num(Value::from(-12)), "\u{2212}12");
        assert_eq!(size(1536), "1.5 KiB");
        let far = |millis: i64| skew(Value::from(millis)).to_string();
        assert_eq!(far(-520), "\u{2212}520 ms");
        assert_eq!((far(88_658), far(7_260_000)), ("88 s".to_owned(), "2 h 1 min".to_owned()));
        assert_eq!(far(-1_789_838), "\u{2212}29 min 49 s");
        let at = |value: &str| when(Value::from(value)).to_string();
        assert!(at("2026-01-02T03:04:05.678901Z").contains(">2026-01-02 03:04:05.678<"));
        let text = ago(Value::from("2026-01-02T03:04:05Z"), "2026-01-02T03:06:05Z".to_owned());
        assert!(text.to_string().contains(">2 min ago<"));
    }
}
