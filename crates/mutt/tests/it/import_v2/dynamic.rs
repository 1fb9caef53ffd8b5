//! Dynamic keys of v2: what is live here becomes a version of the settings, the others stay lines of the
//! configuration, and what means nothing is told with why.

use mutt_model::Timestamp;
use mutt_store::store::{Actor, SettingsChange, SettingsStore as _};

use super::{Site, notes, numbers};
use crate::redis_server::RedisServer;

const KEYS: &[(&str, &str)] = &[
    ("unhandled_threshold", "70"),
    ("unhandled_expiry_seconds", "7200"),
    ("moog_rate_limit", "100"),
    ("moog_rate_period", "60"),
    ("event_retention_days", "ninety"),
    ("max_ingest_queue_size", "200000"),
    ("alerter_shed_mode", "dlq"),
    ("our_own_key", "1"),
];

#[tokio::test]
async fn live_keys_become_settings_once_and_the_others_are_told() {
    let site = Site::new().await;
    let redis = RedisServer::durable();
    for (key, value) in KEYS {
        redis.command(&["SET", &format!("mutt:config:{key}"), value]);
    }
    let url = format!("unix://{}", redis.socket().display());
    let data = site.path("data").display().to_string();
    let text = format!(
        "data_dir = \"{data}\"\n[sinks.moog]\nkind = \"webhook\"\nurl = \"http://127.0.0.1:9/\"\n"
    );
    let config = site.write("mutt.toml", &text);
    let dry = ["--config", config.as_str(), "--redis", &url];
    let apply = ["--config", config.as_str(), "--redis", &url, "--apply"];

    let (exit, report) = site.import(&dry);
    assert_eq!((exit, numbers(&report, "mutt:config")), (1, [5, 0, 4, 1]), "{report}");
    assert!(report["config"].as_str().unwrap().contains("max_events = 200000"), "{report}");
    assert!(!report["config"].as_str().unwrap().contains("unhandled_threshold"), "{report}");
    assert_eq!(report["refused"][0]["item"], "event_retention_days");
    assert!(notes(&report).contains("ALERTER_SHED_MODE is not used: "), "{report}");
    assert!(notes(&report).contains("mutt:config:our_own_key means nothing here"), "{report}");
    assert!(!site.path("data").exists(), "a dry run makes nothing");

    let (exit, report) = site.import(&apply);
    assert_eq!((exit, numbers(&report, "mutt:config")), (1, [5, 0, 4, 1]), "{report}");
    let store = site.store();
    let now = store.settings(None).await.unwrap();
    let expected = [
        ("alerter.unhandled_threshold", "70"),
        ("alerter.unhandled_window", "7200s"),
        ("sinks.moog.rate", "1.6666666666666667/s"),
    ];
    let expected = expected.map(|(key, value)| (key.to_owned(), value.to_owned()));
    assert_eq!(now.values.into_iter().collect::<Vec<_>>(), expected);
    let history = store.settings_history(10, None).await.unwrap().items;
    assert_eq!(history.len(), 1);
    assert_eq!(history[0].who, "import v2");
    assert_eq!(history[0].reason.as_deref(), Some("imported from MUTT v2"));

    // What somebody set here since is not undone by a second run.
    let mine = [("alerter.unhandled_threshold".to_owned(), Some("10".to_owned()))].into();
    let anna = Actor { name: "anna".to_owned(), reason: None };
    store
        .change_settings(
            SettingsChange::Edit(mine),
            None,
            &anna,
            Timestamp::from_secs(1_764_000_000),
        )
        .await
        .unwrap();
    drop(store);
    let (exit, again) = site.import(&apply);
    assert_eq!((exit, numbers(&again, "mutt:config")), (1, [5, 4, 0, 1]), "{again}");
    assert!(notes(&again).contains("left as it is"), "{again}");
    let store = site.store();
    assert_eq!(store.settings_version().await.unwrap(), 2);
}
