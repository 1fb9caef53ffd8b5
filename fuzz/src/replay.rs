//! Every input of a kept corpus and every seed through its target, as an ordinary test.

use std::time::{Duration, Instant};

use crate::corpus;
use crate::target::Target;

/// What all corpora together may take in `scripts/test`.
const LONGEST: Duration = Duration::from_secs(60);

/// Replays one target.
///
/// # Panics
///
/// When a target finds a fault, a corpus is missing, or it takes too long.
#[expect(clippy::disallowed_methods, reason = "how long it really takes is what is tested")]
pub fn replay(targets: &[Target], name: &str) {
    let target = targets.iter().find(|target| target.name == name).expect("a target of this name");
    let kept = corpus::read(&corpus::folder().join(format!("{name}.txt")));
    assert!(!kept.is_empty(), "no kept corpus of {name}: run scripts/fuzz 60 {name}");
    let seeds = (target.seeds)();
    let start = Instant::now();
    for input in kept.iter().chain(&seeds) {
        let outcome = std::panic::catch_unwind(|| (target.run)(input));
        if let Err(fault) = outcome {
            println!("{name} fails for {}", corpus::write(vec![input.clone()]));
            std::panic::resume_unwind(fault);
        }
    }
    let took = start.elapsed();
    println!("{name}: {} kept inputs and {} seeds in {took:?}", kept.len(), seeds.len());
    assert!(took < LONGEST, "{name} took {took:?}");
}

/// One test for each target, so that a failure has its name and they run beside each other.
#[macro_export]
macro_rules! replay_tests {
    ($targets:path: $($name:ident),* $(,)?) => {
        $(
            #[test]
            fn $name() {
                $crate::replay::replay($targets, stringify!($name));
            }
        )*

        #[test]
        fn every_target_is_replayed() {
            let named = [$(stringify!($name)),*];
            for target in $targets {
                assert!(named.contains(&target.name), "{} is not replayed", target.name);
            }
            assert_eq!(named.len(), $targets.len());
        }
    };
}
