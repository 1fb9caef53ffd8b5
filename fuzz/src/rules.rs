//! The targets of mutt-rules: what reads the text of devices there.

use mutt_rules::template::{TEMPLATE_BYTES_MAX, shape};

use crate::bound::{Bound, bounded};
use crate::corpus;
use crate::target::Target;

/// The targets of this crate.
pub const TARGETS: &[Target] =
    &[Target { name: "template", run: run_template, seeds: seeds_template }];

fn seeds_template() -> Vec<Vec<u8>> {
    let folder = std::fs::read_dir(corpus::root().join("testdata/templates"));
    let mut seeds = Vec::new();
    for file in folder.expect("testdata/templates").flatten() {
        let text = std::fs::read_to_string(file.path()).expect("a text");
        seeds.extend(text.lines().step_by(3).map(|line| line.as_bytes().to_vec()));
    }
    seeds
}

fn run_template(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let bound = Bound { per_byte: 0, fixed: 16 << 10 };
    let of = |text: &str| {
        let mut out = String::from("before");
        shape(text, &mut out);
        out
    };
    let shaped = bounded(text.len(), bound, || of(&text));
    let template = shaped.strip_prefix("before").expect("what stood there stays");
    assert!(template.len() <= TEMPLATE_BYTES_MAX, "{template}");
    assert_eq!(of(&text), shaped, "the same for the same text");
}
