//! The loader of MIB files, which stands in crate `mutt` and needs nothing of it.

#[path = "../../crates/mutt/src/mibs/compile.rs"]
pub mod compile;
#[path = "../../crates/mutt/src/mibs/report.rs"]
pub mod report;
#[path = "../../crates/mutt/src/mibs/text.rs"]
pub mod text;
