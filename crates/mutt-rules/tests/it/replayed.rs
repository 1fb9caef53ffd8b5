//! The kept corpora of the fuzz targets for this crate.

crate::replay_tests!(crate::rules::TARGETS: template);
