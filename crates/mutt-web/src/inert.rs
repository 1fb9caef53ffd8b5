//! Text from devices made harmless to look at: control characters, overrides of writing direction and
//! invisible characters become visible signs; everything else is escaped by the templates.

use std::fmt::Write as _;

/// Whether a character would act on a reader's screen instead of being seen.
fn acts(c: char) -> bool {
    matches!(c,
        '\u{00ad}' | '\u{061c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}'
        | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
        | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
        || ('\u{80}'..='\u{9f}').contains(&c)
}

/// The names of the C0 control characters. Names, not control pictures: few fonts have those.
const CONTROLS: [&str; 32] = [
    "NUL", "SOH", "STX", "ETX", "EOT", "ENQ", "ACK", "BEL", "BS", "TAB", "LF", "VT", "FF", "CR",
    "SO", "SI", "DLE", "DC1", "DC2", "DC3", "DC4", "NAK", "SYN", "ETB", "CAN", "EM", "SUB", "ESC",
    "FS", "GS", "RS", "US",
];

/// The sign for a C0 control character or DEL.
fn sign(c: char) -> Option<&'static str> {
    if c == '\x7f' { Some("DEL") } else { CONTROLS.get(c as usize).copied() }
}

/// HTML of a text: escaped, with acting characters as marked signs.
pub(crate) fn html(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => match sign(c) {
                Some(sign) => mark(&mut out, c, sign),
                None if acts(c) => mark(&mut out, c, &format!("U+{:04X}", u32::from(c))),
                None => out.push(c),
            },
        }
    }
    out
}

fn mark(out: &mut String, c: char, sign: &str) {
    let number = u32::from(c);
    // Writing to a String cannot fail.
    let _ = write!(out, "<span class=\"ctl\" title=\"U+{number:04X}\">{sign}</span>");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn acting_characters_become_signs_and_markup_text() {
        let check = |text: &str, expected: &str| assert_eq!(html(text), expected);
        check("plain \u{e9}\u{4e2d}", "plain \u{e9}\u{4e2d}");
        check("<script>", "&lt;script&gt;");
        check("\x1b[0m", "<span class=\"ctl\" title=\"U+001B\">ESC</span>[0m");
        check("a\u{202e}b", "a<span class=\"ctl\" title=\"U+202E\">U+202E</span>b");
        check("\u{85}", "<span class=\"ctl\" title=\"U+0085\">U+0085</span>");
    }
}
