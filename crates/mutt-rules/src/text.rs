//! Case folding: what "case-insensitive" means for contains, hosts and the literals of regexes.

/// The character in lower case, where that is one character; else the character itself. The long s
/// counts as `s`, so that every character which a case-insensitive regex takes for an ASCII letter
/// folds to that letter.
pub(crate) fn fold_char(c: char) -> char {
    if c.is_ascii() {
        return c.to_ascii_lowercase();
    }
    if c == 'ſ' {
        return 's';
    }
    let mut lower = c.to_lowercase();
    match (lower.next(), lower.next()) {
        (Some(one), None) => one,
        _ => c,
    }
}

/// Appends the folded text.
pub(crate) fn fold_into(text: &str, out: &mut String) {
    if text.is_ascii() {
        let from = out.len();
        out.push_str(text);
        out[from..].make_ascii_lowercase();
        return;
    }
    let mut rest = text;
    while !rest.is_empty() {
        let ascii = rest.bytes().position(|b| !b.is_ascii()).unwrap_or(rest.len());
        let from = out.len();
        out.push_str(&rest[..ascii]);
        out[from..].make_ascii_lowercase();
        let (others, after) = rest[ascii..].split_at(
            rest[ascii..].bytes().position(|b| b.is_ascii()).unwrap_or(rest.len() - ascii),
        );
        out.extend(others.chars().map(fold_char));
        rest = after;
    }
}

/// The folded text.
pub(crate) fn fold(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    fold_into(text, &mut out);
    out
}

/// The longest start of `text` that is at most `max` bytes and ends at a character.
pub(crate) fn cut(text: &str, max: usize) -> &str {
    &text[..text.floor_char_boundary(max)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folding_is_by_character() {
        let check = |text: &str, expected: &str| assert_eq!(fold(text), expected);
        check("Link DOWN", "link down");
        check("ÄÖÜ Ω", "äöü ω");
        check("\u{212a}ſ", "ks");
        check("İ", "İ");
        check("ΣΑΣ", "σασ");
    }

    #[test]
    fn cutting_keeps_characters_whole() {
        assert_eq!(cut("aé", 2), "a");
        assert_eq!(cut("aé", 9), "aé");
    }
}
