//! The literals that a regex cannot match without: the index looks for them, so that a regex is tried
//! only on messages that hold one.

use regex_syntax::hir::{Class, Hir, HirKind};

use crate::text::{cut, fold_char};

/// Fewest bytes of a literal that is worth looking for.
pub(crate) const LITERAL_BYTES_MIN: usize = 3;
/// Longer literals are looked for by their start.
const LITERAL_BYTES_MAX: usize = 32;
/// Most literals in one set; an alternation with more branches has none.
const SET_MAX: usize = 16;
/// Most sets kept for one regex.
const CANDIDATES_MAX: usize = 8;

/// Sets of folded literals; the folded text of every match holds at least one literal of each set.
/// Empty when there is no set whose literals are all long enough.
pub(crate) fn required(pattern: &str) -> Vec<Vec<String>> {
    let mut parser = regex_syntax::ParserBuilder::new().case_insensitive(true).build();
    let Ok(hir) = parser.parse(pattern) else { return Vec::new() };
    let mut found = Vec::new();
    let mut run = String::new();
    walk(&hir, &mut run, &mut found);
    end(&mut run, &mut found);
    found.retain(|set| weight(set) >= LITERAL_BYTES_MIN);
    found.sort_by_key(|set| (std::cmp::Reverse(weight(set)), set.len()));
    found.truncate(CANDIDATES_MAX);
    found
}

/// How selective a set is: its shortest literal.
pub(crate) fn weight(set: &[String]) -> usize {
    set.iter().map(String::len).min().unwrap_or(0)
}

fn end(run: &mut String, found: &mut Vec<Vec<String>>) {
    if !run.is_empty() {
        found.push(vec![cut(run, LITERAL_BYTES_MAX).to_owned()]);
        run.clear();
    }
}

fn walk(hir: &Hir, run: &mut String, found: &mut Vec<Vec<String>>) {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => {}
        HirKind::Literal(literal) => match std::str::from_utf8(&literal.0) {
            Ok(text) => run.extend(text.chars().map(fold_char)),
            Err(_) => end(run, found),
        },
        HirKind::Class(class) => match only_char(class) {
            Some(c) => run.push(c),
            None => end(run, found),
        },
        HirKind::Capture(capture) => walk(&capture.sub, run, found),
        HirKind::Concat(parts) => parts.iter().for_each(|part| walk(part, run, found)),
        HirKind::Repetition(repetition) => {
            if repetition.min > 0 {
                walk(&repetition.sub, run, found);
            }
            // What follows need not touch the first round.
            if repetition.min != 1 || repetition.max != Some(1) {
                end(run, found);
            }
        }
        HirKind::Alternation(branches) => {
            end(run, found);
            found.extend(alternatives(branches));
        }
    }
}

fn alternatives(branches: &[Hir]) -> Option<Vec<String>> {
    let mut union = Vec::new();
    for branch in branches {
        let mut found = Vec::new();
        let mut run = String::new();
        walk(branch, &mut run, &mut found);
        end(&mut run, &mut found);
        union.extend(found.into_iter().max_by_key(|set| weight(set))?);
        if union.len() > SET_MAX {
            return None;
        }
    }
    union.sort();
    union.dedup();
    Some(union)
}

/// The character to which every member of the class folds.
fn only_char(class: &Class) -> Option<char> {
    let mut only = None;
    let mut take = |c: char| {
        let c = fold_char(c);
        (*only.get_or_insert(c) == c).then_some(())
    };
    match class {
        Class::Unicode(class) => {
            for range in class.ranges() {
                if u32::from(range.end()) - u32::from(range.start()) > 3 {
                    return None;
                }
                (range.start()..=range.end()).try_for_each(&mut take)?;
            }
        }
        Class::Bytes(class) => {
            for range in class.ranges() {
                if !range.end().is_ascii() || range.end() - range.start() > 3 {
                    return None;
                }
                (range.start()..=range.end()).try_for_each(|b| take(char::from(b)))?;
            }
        }
    }
    only
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn required_literals_are_found() {
        let check = |pattern: &str, expected: &[&[&str]]| {
            assert_eq!(required(pattern), expected, "{pattern}");
        };
        check("Link Down", &[&["link down"]]);
        check("link .* DOWN", &[&["link "], &[" down"]]);
        check(r"^%LINK-\d-UPDOWN:", &[&["-updown:"], &["%link-"]]);
        check("(?:link|port) (?:failed|dead)", &[&["link", "port"], &["dead", "failed"]]);
        check("(interface )?down", &[&["down"]]);
        check("(?:abc)+def", &[&["abc"], &["def"]]);
        check("(?:abc){2}", &[&["abc"]]);
        check(r"\d+ \w+", &[]);
        check("up|down", &[]);
        check("a|.*", &[]);
        check("Straße", &[&["straße"]]);
        check("[Kk]elvin", &[&["kelvin"]]);
        check("(?-u)skip", &[&["skip"]]);
    }
}
