//! A backup that was made is answered as made, also when its entry in the change log cannot be written.

use rusqlite::Connection;
use serde_json::json;

use crate::support::Setup;

#[test]
fn a_backup_that_succeeded_answers_no_error_when_the_change_log_cannot_be_written() {
    let program = Setup::new().start();
    let store = Connection::open(program.data_dir().join("mutt.db")).unwrap();
    let refuse = "CREATE TRIGGER refuse BEFORE INSERT ON changes
        BEGIN SELECT RAISE(ABORT, 'a fault of this test'); END";
    store.execute_batch(refuse).unwrap();
    let mut api = program.api();
    let body = json!({"file": "kept.db", "reason": "a test"});
    let answer = api.call("POST", "/api/v2/backup", Some(&body)).unwrap();
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
    let file = program.data_dir().join("backups/kept.db");
    let found = answer.json();
    assert_eq!(found["file"], file.display().to_string());
    assert_eq!(found["bytes"], std::fs::metadata(&file).unwrap().len());
    let log = program.log();
    let told = log.lines().find(|line| line.contains("its entry in the change log was not"));
    assert!(told.is_some_and(|line| line.contains("MUTT-S005")), "{log}");
    // A restore, too: in the restored store the trigger stands again.
    let answer = api.call("POST", "/api/v2/restore", Some(&body)).unwrap();
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
    store.execute_batch("DROP TRIGGER refuse").unwrap();
    drop(store);
    program.stop();
}
