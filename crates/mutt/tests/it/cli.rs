//! The command line as a person or script meets it: exit codes, where words and data go, error codes.

mod api;
mod db;
mod keep;
mod program;
mod send;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::provoked::provoked;

/// A folder to run `muttctl` in, with nothing of this host's environment.
struct Place {
    dir: tempfile::TempDir,
}

/// What a command said.
#[derive(Debug)]
struct Said {
    exit: i32,
    out: String,
    err: String,
}

impl Place {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, text: &str) -> String {
        std::fs::write(self.path(name), text).unwrap();
        self.path(name).display().to_string()
    }

    fn run(&self, args: &[&str]) -> Said {
        self.run_with(args, &[])
    }

    fn run_with(&self, args: &[&str], env: &[(&str, &str)]) -> Said {
        let Output { status, stdout, stderr } = Command::new(env!("CARGO_BIN_EXE_muttctl"))
            .args(args)
            .current_dir(self.dir.path())
            .env_clear()
            .envs(env.iter().copied())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        Said {
            exit: status.code().unwrap(),
            out: String::from_utf8(stdout).unwrap(),
            err: String::from_utf8(stderr).unwrap(),
        }
    }
}

/// An address on which nobody listens.
fn nobody() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

#[test]
fn a_folder_of_archives_that_the_units_cannot_write_is_told() {
    let place = Place::new();
    let check = |dir: &str, archives: &str| {
        let text = format!("data_dir = {dir:?}\n[store.archive]\ndir = {archives:?}\n");
        let said = place.run(&["check", "--config", &place.write("mutt.toml", &text)]);
        assert_eq!(said.exit, 0, "{said:?}");
        said.err
    };
    let told = check("/var/lib/mutt", "/srv/archives");
    assert!(told.contains("ReadWritePaths=/srv/archives"), "{told}");
    for (dir, archives) in [("/var/lib/mutt", "/var/lib/mutt/archives"), ("/opt/m", "/srv/a")] {
        let told = check(dir, archives);
        assert!(!told.contains("ReadWritePaths"), "{told}");
    }
}

#[test]
fn a_good_configuration_exits_0_and_says_so_on_standard_error() {
    let place = Place::new();
    let said = place.run(&["check"]);
    assert_eq!((said.exit, said.out.as_str()), (0, ""), "{said:?}");
    assert!(said.err.contains("the configuration is good"));
}

#[test]
fn a_bad_configuration_exits_78_with_every_error_and_its_place() {
    let place = Place::new();
    let check = |code: &str, text: &str, line: usize| {
        let file = place.write("mutt.toml", text);
        let said = place.run(&["check", "--config", &file]);
        assert_eq!(said.exit, 78, "{said:?}");
        assert!(said.err.contains(&format!("{file}:{line}: ")), "{said:?}");
        provoked(code, &said.err);
    };
    check("MUTT-C001", "[queue\nmax_events = 5000\n", 1);
    check("MUTT-C002", "[ingestor.http]\nlisen = \"127.0.0.1:8080\"\n", 2);
    check("MUTT-C003", "[queue]\nmax_bytes = 5000\nmax_events = 3\n", 2);
    check("MUTT-C005", "[ingestor.http]\nlisten = \"0.0.0.0:8080\"\n", 2);
    check("MUTT-C008", "[queue]\nurl = \"redis://redis1:6379\"\n", 2);
    let file = place.write("mutt.toml", "[store]\nurl = \"postgres://mutt@db1/mutt\"\n");
    let said = place.run(&["check", "--config", &file]);
    assert_eq!(said.exit, 78);
    provoked("MUTT-C009", &said.err);
    let said = place.run(&["serve", "--config", &file, "--only", "web-ui"]);
    assert!(said.exit == 78 && !said.err.contains("ingestor.http.keys"), "{said:?}");
    assert_eq!(place.run(&["check", "--config", &file, "--only", "alerter"]).exit, 0);
    let said = place.run(&["check", "--config", "missing.toml"]);
    assert_eq!(said.exit, 78);
    provoked("MUTT-C006", &said.err);
    let file = place.write("mutt.toml", "[sinks.moog]\nkind = \"moogsoft\"\nurl = \"https://moog.example.net/\"\nauth = { bearer = { env = \"MOOG_TOKEN\" } }\n");
    let said = place.run(&["check", "--config", &file]);
    assert_eq!(said.exit, 78);
    provoked("MUTT-C004", &said.err);
    assert_eq!(place.run(&["check", "--config", &file, "--no-secrets"]).exit, 0);
    assert_eq!(place.run(&["serve", "--config", "missing.toml"]).exit, 78);
}

#[test]
fn rule_files_are_checked() {
    let place = Place::new();
    let file = place.write("rules.toml", "[[rules]]\nmatch_string = \"down(\"\nmatch_type = \"regex\"\nprod_handling = \"Page_only\"\ndev_handling = \"Ignore\"\n");
    let said = place.run(&["check", &file]);
    assert_eq!(said.exit, 78);
    provoked("MUTT-C007", &said.err);
    let good = "[[rules]]\nmatch_string = \"down\"\nprod_handling = \"Page_only\"\ndev_handling = \"Ignore\"\n";
    let file = place.write("rules.toml", good);
    assert_eq!(place.run(&["check", &file]).exit, 0);
    assert_eq!(place.run(&["rules", "check", &file]).exit, 0);
    let file = place.write("twice.toml", &format!("{good}{good}"));
    let said = place.run(&["rules", "check", &file]);
    assert_eq!(said.exit, 1, "{said:?}");
    provoked("MUTT-P011", &said.err);
}

#[test]
fn names_of_v2_are_reported() {
    let place = Place::new();
    let env =
        [("REDIS_HOST", "redis1"), ("UNHANDLED_THRESHOLD", "7"), ("REDIS_MAX_CONNECTIONS", "9")];
    let said = place.run_with(&["check"], &env);
    assert!(said.err.contains("REDIS_MAX_CONNECTIONS: not used"), "{said:?}");
    assert!(said.err.contains("REDIS_HOST: understood as queue.url"), "{said:?}");
    // A Redis without a PostgreSQL.
    assert!(said.exit == 78 && said.err.contains("MUTT-C008"), "{said:?}");
    assert!(said.err.contains("UNHANDLED_THRESHOLD: understood as alerter.unhandled_threshold"));
}

#[test]
fn a_wrong_command_line_exits_2() {
    let place = Place::new();
    let said = place.run(&["evnts", "list"]);
    assert_eq!((said.exit, said.out.as_str()), (2, ""));
    assert!(said.err.contains("events"), "{said:?}");
    provoked("MUTT-P009", &said.err);
    assert_eq!(place.run(&["explain", "MUTT-I0O4"]).exit, 2);
}

#[test]
fn without_token_or_program_the_hint_says_what_to_do() {
    let place = Place::new();
    let said = place.run(&["events", "list"]);
    assert_eq!(said.exit, 1);
    provoked("MUTT-P005", &said.err);
    let url = format!("http://{}", nobody());
    let said = place.run_with(&["alerts", "list", "--url", &url], &[("MUTT_TOKEN", "t")]);
    assert_eq!(said.exit, 1);
    assert!(said.err.contains("hint: start MUTT"), "{said:?}");
    provoked("MUTT-P004", &said.err);
}

#[test]
fn a_code_is_explained_offline() {
    let place = Place::new();
    let said = place.run(&["explain", "i004"]);
    assert_eq!(said.exit, 0);
    assert!(said.out.starts_with("MUTT-I004: The event queue is full"), "{said:?}");
    let said = place.run(&["explain", "MUTT-I004", "--json"]);
    let value: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(value["code"], "MUTT-I004");
}

#[test]
fn completions_man_pages_and_version_are_generated() {
    let place = Place::new();
    assert!(place.run(&["completions", "bash"]).out.contains("muttctl"));
    let man = place.path("man");
    assert_eq!(place.run(&["man", man.to_str().unwrap()]).exit, 0);
    assert!(man.join("muttctl.1").is_file() && man.join("muttctl-send-trap.1").is_file());
    assert!(place.run(&["version"]).out.starts_with("muttctl 3."));
}

#[test]
fn files_that_cannot_be_used_are_named() {
    let place = Place::new();
    let said = place.run(&["queue", "check", "--data-dir", "missing"]);
    assert_eq!(said.exit, 1);
    provoked("MUTT-S004", &said.err);
    let file = place.write("no-backup.db", "this is no store");
    let said = place.run(&["restore", &file, "--data-dir", "data"]);
    assert_eq!(said.exit, 1);
    provoked("MUTT-S006", &said.err);
    let said = place.run_with(&["rules", "add", "@missing.json"], &[("MUTT_TOKEN", "t")]);
    assert_eq!(said.exit, 1);
    provoked("MUTT-P010", &said.err);
}

#[test]
fn doctor_passes_over_a_secret_that_only_a_unit_can_read_and_names_one_that_is_not_there() {
    let place = Place::new();
    let url = format!("http://{}", nobody());
    for (credential, expected) in [
        ("of-a-drop-in", "ok   secrets: 1 references; 1 are for the unit alone (sinks.moog."),
        (
            "secrets_no-such",
            "bad  secrets: `sinks.moog.auth.bearer`: cannot read the file /etc/mutt/",
        ),
    ] {
        let text = format!(
            "[sinks.moog]\nkind = \"moogsoft\"\nurl = \"{url}\"\nauth = {{ bearer = {{ credential = \"{credential}\" }} }}\n"
        );
        let file = place.write("mutt.toml", &text);
        let said = place.run(&["doctor", "--config", &file, "--url", &url]);
        assert!(said.out.contains(expected), "{credential}: {said:?}");
    }
}

#[test]
fn doctor_finds_what_is_wrong_and_prints_the_command_that_mends_it() {
    let place = Place::new();
    std::fs::create_dir(place.path("mutt-data")).unwrap();
    let token = place.write("mutt-data/admin-token", "t");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    std::fs::set_permissions(Path::new(&token), mode).unwrap();
    let url = format!("http://{}", nobody());
    let said = place.run(&["doctor", "--url", &url]);
    assert_eq!(said.exit, 1);
    assert!(said.out.contains("fix: chmod 0600 ./mutt-data/admin-token"), "{said:?}");
    let said = place.run(&["doctor", "--url", &url, "--json"]);
    assert!(said.out.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()));
    // How many there are depends on this host.
    let (_, rest) = said.err.split_once(" bad finding").unwrap();
    provoked("MUTT-P006", &format!("error[MUTT-P006]: 2 bad finding{rest}"));
}
