//! Whether a program printed what its document shows.

use regex::Regex;

use super::parse::Matching;

/// Compares; the fault says which line of the document was not met.
pub(crate) fn compare(matching: Matching, shown: &str, printed: &str) -> Result<(), String> {
    let shown: Vec<&str> = trimmed(shown);
    let printed: Vec<&str> = trimmed(printed);
    match matching {
        Matching::Same if shown == printed => Ok(()),
        Matching::Same => {
            let at = shown.iter().zip(&printed).position(|(a, b)| a != b);
            let at = at.unwrap_or(shown.len().min(printed.len()));
            Err(format!("line {}: {:?} is {:?}", at + 1, shown.get(at), printed.get(at)))
        }
        Matching::Contains => in_order(&shown, &printed, |line, want| line.contains(want)),
        Matching::Elided => elided(&shown, &printed),
        Matching::Regex => {
            for line in &shown {
                Regex::new(line).map_err(|error| format!("{line:?}: {error}"))?;
            }
            in_order(&shown, &printed, |line, want| {
                Regex::new(&format!("^(?:{want})$")).is_ok_and(|regex| regex.is_match(line))
            })
        }
    }
}

/// Lines without what nobody sees at their ends.
fn trimmed(text: &str) -> Vec<&str> {
    text.trim_end().lines().map(str::trim_end).collect()
}

fn in_order(
    shown: &[&str],
    printed: &[&str],
    meets: impl Fn(&str, &str) -> bool,
) -> Result<(), String> {
    let mut rest = printed.iter();
    for want in shown.iter().filter(|line| !line.is_empty()) {
        if !rest.any(|line| meets(line, want)) {
            return Err(format!("{want:?} is not in the output (or not in this place)"));
        }
    }
    Ok(())
}

fn elided(shown: &[&str], printed: &[&str]) -> Result<(), String> {
    let Some((want, after)) = shown.split_first() else {
        return match printed.first() {
            None => Ok(()),
            Some(line) => Err(format!("more is printed than shown: {line:?}")),
        };
    };
    if want.trim() == "..." {
        let fault = format!("what follows {want:?} is not in the output: {:?}", after.first());
        let found = (0..=printed.len()).any(|skip| elided(after, &printed[skip..]).is_ok());
        return if found { Ok(()) } else { Err(fault) };
    }
    let Some((line, rest)) = printed.split_first() else {
        return Err(format!("{want:?} is not in the output"));
    };
    let pattern: Vec<String> = words(want).split("...").map(regex::escape).collect();
    let pattern = format!("^{}$", pattern.join(".*"));
    match Regex::new(&pattern) {
        Ok(regex) if regex.is_match(&words(line)) => elided(after, rest),
        _ => Err(format!("{want:?} is {line:?}")),
    }
}

/// Columns of a table move with what stands in them: runs of blanks count as one.
fn words(line: &str) -> String {
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn output_is_compared() {
    let cases = [
        (Matching::Same, "a\nb", "a  \nb\n\n", true),
        (Matching::Same, "a\nb", "a\n", false),
        (Matching::Contains, "b\nd", "a\nxbx\nc\nd", true),
        (Matching::Contains, "d\nb", "a\nb\nd", false),
        (Matching::Elided, "a ... c\n...\nz", "a   b c\n1\n2\nz", true),
        (Matching::Elided, "a ... c\n...\nz", "a   b c\nz", true),
        (Matching::Elided, "a ... c\n...\nz", "a b d\nz", false),
        (Matching::Elided, "a\n...", "a", true),
        (Matching::Elided, "a", "a\nb", false),
        (Matching::Regex, "[0-9]+ a\n.*z", "x\n12 a\n1 z", true),
        (Matching::Regex, "[0-9]+", "x12", false),
        (Matching::Regex, "[", "[", false),
    ];
    for (matching, shown, printed, expected) in cases {
        let found = compare(matching, shown, printed);
        assert_eq!(found.is_ok(), expected, "{matching:?} {shown:?} {printed:?}: {found:?}");
    }
}
