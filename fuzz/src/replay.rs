//! Every input of a kept corpus and every seed through its target, as an ordinary test.

use crate::corpus;
use crate::target::Target;

/// Replays one target.
///
/// # Panics
///
/// When a target finds a fault, or a corpus is missing or larger than one is kept.
pub fn replay(targets: &[Target], name: &str) {
    let target = targets.iter().find(|target| target.name == name).expect("a target of this name");
    let file = corpus::folder().join(format!("{name}.txt"));
    let kept = corpus::read(&file);
    assert!(!kept.is_empty(), "no kept corpus of {name}: run scripts/fuzz 60 {name}");
    let bytes = std::fs::metadata(file).map_or(0, |file| file.len());
    assert!(
        bytes <= corpus::KEPT_MAX,
        "{name}: {bytes} bytes are kept: run scripts/fuzz keep {name}"
    );
    let (inputs, most) = (kept.len(), corpus::inputs_max(name));
    assert!(inputs <= most, "{name}: {inputs} inputs are kept, at most {most} may be");
    let seeds = (target.seeds)();
    for input in kept.iter().chain(&seeds) {
        let outcome = std::panic::catch_unwind(|| (target.run)(input));
        if let Err(fault) = outcome {
            println!("{name} fails for {}", corpus::write(vec![input.clone()]));
            std::panic::resume_unwind(fault);
        }
    }
    println!("{name}: {} kept inputs and {} seeds", kept.len(), seeds.len());
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
