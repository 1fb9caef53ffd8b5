//! A regex made small by letting it find too much: large Unicode classes become "the same ASCII
//! characters, or any other character", word boundaries hold everywhere.

use regex_automata::util::syntax;
use regex_syntax::hir::{
    Class, ClassBytes, ClassBytesRange, ClassUnicode, ClassUnicodeRange, Hir, HirKind, Look,
    Repetition,
};

/// Classes of so few ranges stay as they are: a letter in all its cases, a handful of letters.
const RANGES_KEPT: usize = 8;

/// Finds wherever the case-insensitive pattern finds. Whether it finds nowhere else stands beside it.
pub(super) fn hir(pattern: &str) -> Option<(Hir, bool)> {
    let config = syntax::Config::new().case_insensitive(true);
    let hir = syntax::parse_with(pattern, &config).ok()?;
    let mut exact = true;
    let loose = loosened(&hir, &mut exact);
    Some((loose, exact))
}

fn loosened(hir: &Hir, exact: &mut bool) -> Hir {
    match hir.kind() {
        HirKind::Class(Class::Unicode(class)) if class.ranges().len() > RANGES_KEPT => {
            *exact = false;
            wide(class)
        }
        HirKind::Look(look) if look_is_word(*look) => {
            *exact = false;
            Hir::empty()
        }
        HirKind::Empty | HirKind::Literal(_) | HirKind::Class(_) | HirKind::Look(_) => hir.clone(),
        HirKind::Capture(capture) => loosened(&capture.sub, exact),
        HirKind::Repetition(repetition) => Hir::repetition(Repetition {
            sub: Box::new(loosened(&repetition.sub, exact)),
            ..repetition.clone()
        }),
        HirKind::Concat(parts) => {
            Hir::concat(parts.iter().map(|part| loosened(part, exact)).collect())
        }
        HirKind::Alternation(parts) => {
            Hir::alternation(parts.iter().map(|part| loosened(part, exact)).collect())
        }
    }
}

/// The ASCII characters of the class, or any character that is not ASCII.
fn wide(class: &ClassUnicode) -> Hir {
    let mut ascii = class.clone();
    ascii.intersect(&ClassUnicode::new([ClassUnicodeRange::new('\0', '\x7f')]));
    Hir::alternation(vec![Hir::class(Class::Unicode(ascii)), not_ascii()])
}

/// One to three bytes may follow: checking how many would tell valid text from invalid text only.
fn not_ascii() -> Hir {
    let bytes =
        |from, to| Hir::class(Class::Bytes(ClassBytes::new([ClassBytesRange::new(from, to)])));
    let rest = Repetition { min: 1, max: Some(3), greedy: true, sub: Box::new(bytes(0x80, 0xbf)) };
    Hir::concat(vec![bytes(0xc2, 0xf4), Hir::repetition(rest)])
}

/// Every look but those for the ends of lines and text.
fn look_is_word(look: Look) -> bool {
    !matches!(
        look,
        Look::Start | Look::End | Look::StartLF | Look::EndLF | Look::StartCRLF | Look::EndCRLF
    )
}
