//! The kept corpora of the fuzz targets for what stands in this crate (the loader of MIB files), and how
//! long replaying all of them may take.

#[path = "../../../../fuzz/src/mibs.rs"]
#[allow(unreachable_pub, reason = "the files of fuzz/ are also a library's")]
mod mibs;

use mutt_model::amount;

use crate::corpus;

crate::replay_tests!(self::mibs::TARGETS: mib_text, mib_compile);

/// What the runner lets a test take, in `.config/nextest.toml`.
const FILTER: &str = "test(/(^|::)replayed::/)";
/// What all kept corpora together may take.
const SECONDS_MAX: f64 = 60.0;

/// The runner ends what takes too long; here is only multiplied, and no time is measured.
#[test]
fn all_kept_corpora_are_replayed_in_less_than_a_minute() {
    let kept = std::fs::read_dir(corpus::folder()).unwrap().flatten();
    let kept = kept.filter(|file| file.path().extension().is_some_and(|e| e == "txt")).count();
    let text = std::fs::read_to_string(corpus::root().join(".config/nextest.toml")).unwrap();
    let config: toml::Table = text.parse().unwrap();
    for profile in ["default", "ci"] {
        let overrides = config["profile"][profile]["overrides"].as_array().unwrap();
        let ours = overrides.iter().find(|o| o["filter"].as_str() == Some(FILTER));
        let timeout = &ours.expect("an override for the replayed corpora")["slow-timeout"];
        let period = amount::parse_duration(timeout["period"].as_str().unwrap()).unwrap();
        let most = period.as_secs_f64() * timeout["terminate-after"].as_integer().unwrap() as f64;
        let all = most * kept as f64;
        println!("{profile}: {kept} corpora of {most} s at most are {all} s");
        assert!(kept > 0 && all <= SECONDS_MAX, "{profile}: {kept} x {most} s are {all} s");
    }
}
