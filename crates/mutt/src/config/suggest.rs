//! The nearest known name to a misspelt one.

/// The candidate that is nearest to `word`, when it is near enough to be meant.
#[must_use]
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Of a word of two letters one at least is right: `off` is not what `on` means.
    let letters = word.chars().count();
    let allowed = ((letters / 3).max(1) + 1).min(letters.saturating_sub(1));
    let lower = word.to_ascii_lowercase();
    let begun =
        |candidate: &str| !lower.is_empty() && candidate.to_ascii_lowercase().starts_with(&lower);
    candidates
        .into_iter()
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|(distance, candidate)| {
            *distance <= allowed || begun(candidate) || word.starts_with(*candidate)
        })
        // What begins so is meant before what only looks like it: `AES` is not `DES`.
        .min_by_key(|(distance, candidate)| (!begun(candidate), *distance))
        .map(|(_, candidate)| candidate)
}

/// Edit distance in which two neighbours that changed places count as one.
fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.to_ascii_lowercase().chars().collect();
    let b: Vec<char> = b.to_ascii_lowercase().chars().collect();
    let mut before = vec![0; b.len() + 1];
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1; b.len() + 1];
        for (j, y) in b.iter().enumerate() {
            let mut best = (last[j] + usize::from(x != y)).min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *x == b[j - 1] && a[i - 1] == *y {
                best = best.min(before[j - 1] + 1);
            }
            row[j + 1] = best;
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_found_and_nonsense_finds_none() {
        let check = |word: &str, expected: Option<&str>| {
            assert_eq!(nearest(word, ["listen", "max_events", "max_bytes", "min_free"]), expected);
        };
        check("lisetn", Some("listen"));
        check("max_event", Some("max_events"));
        check("maxbytes", Some("max_bytes"));
        check("colour_of_the_sky", None);
        check("", None);
        assert_eq!(nearest("AES", ["DES", "AES-128", "AES-256"]), Some("AES-128"));
        assert_eq!(nearest("on", ["off", "required"]), None);
    }
}
