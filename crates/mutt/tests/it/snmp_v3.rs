//! SNMPv3 from the programs of net-snmp and from `muttctl send`: every pair of protocols, over every
//! transport, before and after MUTT's engine starts anew; and what becomes of those who are refused.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::provoked::provoked;
use crate::support::{Program, Setup, tools, until};

const AUTH: &str = "authentic-pass";
const PRIV: &str = "encrypted-pass";
/// Our names of protocols with net-snmp's.
const AUTHS: [(&str, &str); 6] = [
    ("MD5", "MD5"),
    ("SHA-1", "SHA"),
    ("SHA-224", "SHA-224"),
    ("SHA-256", "SHA-256"),
    ("SHA-384", "SHA-384"),
    ("SHA-512", "SHA-512"),
];
const PRIVS: [(&str, &str); 7] = [
    ("", ""),
    ("DES", "DES"),
    ("AES-128", "AES"),
    ("AES-192", "AES-192"),
    ("AES-256", "AES-256"),
    ("AES-192-C", "AES-192-C"),
    ("AES-256-C", "AES-256-C"),
];

/// A pair of protocols that the installed net-snmp has; its user is named for it.
#[derive(Clone, Copy)]
struct Pair {
    auth: (&'static str, &'static str),
    privacy: (&'static str, &'static str),
}

impl Pair {
    fn user(self) -> String {
        format!("{}_{}", self.auth.0, self.privacy.0)
    }

    fn flags(self) -> Vec<String> {
        let mut flags = vec!["-u".to_owned(), self.user(), "-a".to_owned(), self.auth.1.to_owned()];
        flags.extend(["-A".to_owned(), AUTH.to_owned(), "-l".to_owned()]);
        if self.privacy.0.is_empty() {
            flags.push("authNoPriv".to_owned());
        } else {
            flags.push("authPriv".to_owned());
            flags.extend(["-x", self.privacy.1, "-X", PRIV].map(ToOwned::to_owned));
        }
        flags
    }
}

/// net-snmp's programs with a home of their own.
struct NetSnmp {
    trap: PathBuf,
    inform: PathBuf,
    home: tempfile::TempDir,
}

impl NetSnmp {
    fn find() -> Option<Self> {
        let (trap, inform) = (tools::find("snmptrap")?, tools::find("snmpinform")?);
        Some(Self { trap, inform, home: tempfile::tempdir().unwrap() })
    }

    fn send(&self, inform: bool, to: &str, flags: &[String], text: &str) -> Output {
        let mut command = Command::new(if inform { &self.inform } else { &self.trap });
        command.args(["-v", "3", "-r", "4", "-t", "2"]).args(flags);
        // Two of them at once would tear the file in which they keep what they know of engines.
        let home = self.home.path().join(format!("{:?}", std::thread::current().id()));
        std::fs::create_dir_all(&home).unwrap();
        for name in ["SNMP_PERSISTENT_DIR", "SNMPCONFPATH", "HOME"] {
            command.env(name, &home);
        }
        command.env("MIBS", "");
        command.args([to, "", "1.3.6.1.6.3.1.1.5.3", "1.3.6.1.4.1.32473.1", "s", text]);
        command.output().unwrap()
    }

    /// The pairs that it has; one that it does not know ends with its usage.
    fn pairs(&self) -> Vec<Pair> {
        let nobody = UdpSocket::bind("127.0.0.1:0").unwrap();
        let to = nobody.local_addr().unwrap().to_string();
        let all = AUTHS
            .into_iter()
            .flat_map(|auth| PRIVS.into_iter().map(move |privacy| Pair { auth, privacy }));
        let has = |pair: &Pair| {
            let flags = [pair.flags(), vec!["-e".to_owned(), "0x8000000001020304".to_owned()]];
            self.send(false, &to, &flags.concat(), "probe").status.success()
        };
        let pairs: Vec<Pair> = all.filter(has).collect();
        let names: Vec<String> = pairs.iter().map(|pair| pair.user()).collect();
        println!("net-snmp has {} pairs: {}", pairs.len(), names.join(" "));
        pairs
    }
}

fn user_line(name: &str, more: &str, auth: &str, privacy: &str) -> String {
    let secret = |name: &str| format!("secret = {{ env = \"{name}\" }}");
    let mut line = format!("{{ name = \"{name}\"{more}");
    if !auth.is_empty() {
        line += &format!(", auth = {{ protocol = \"{auth}\", {} }}", secret("V3_AUTH"));
    }
    if !privacy.is_empty() {
        line += &format!(", priv = {{ protocol = \"{privacy}\", {} }}", secret("V3_PRIV"));
    }
    line + " }"
}

fn with_users(users: &[String]) -> Setup {
    let mut setup = Setup::new();
    setup.env("V3_AUTH", AUTH).env("V3_PRIV", PRIV);
    setup.env("MUTT__INGESTOR__SNMP__TCP", "[\"127.0.0.1:0\"]");
    if UdpSocket::bind("[::1]:0").is_ok() {
        setup.env("MUTT__INGESTOR__SNMP__UDP", "[\"127.0.0.1:0\", \"[::1]:0\"]");
    } else {
        println!("skipped: this host has no IPv6");
        setup.env("MUTT__INGESTOR__SNMP__UDP", "[\"127.0.0.1:0\"]");
    }
    setup.set("ingestor.snmp", &format!("users = [{}]", users.join(", ")));
    setup
}

/// The doors of a program as net-snmp names them.
fn doors(program: &Program) -> Vec<String> {
    let mut doors: Vec<String> = program
        .listening("snmp_udp")
        .iter()
        .map(|address| match address {
            SocketAddr::V4(_) => format!("udp:{address}"),
            SocketAddr::V6(_) => format!("udp6:{address}"),
        })
        .collect();
    doors.extend(program.listening("snmp_tcp").iter().map(|address| format!("tcp:{address}")));
    doors
}

/// Each pair through each door, informs through every second one; gives the texts.
fn send_all(tools: &NetSnmp, program: &Program, pairs: &[Pair], run: usize) -> Vec<String> {
    let doors = doors(program);
    let jobs: Vec<(bool, &str, Pair, String)> = pairs
        .iter()
        .enumerate()
        .flat_map(|(at, pair)| {
            doors.iter().enumerate().map(move |(door, to)| {
                let inform = (at + door + run).is_multiple_of(2);
                let what = if inform { "inform" } else { "trap" };
                let text = format!("pair:{}:{what}:{}:{run}", pair.user(), &to[..4]);
                (inform, to.as_str(), *pair, text)
            })
        })
        .collect();
    std::thread::scope(|scope| {
        for (number, part) in jobs.chunks(jobs.len().div_ceil(3)).enumerate() {
            scope.spawn(move || {
                let engine = format!("0x80000000010203{run:02x}{number:02x}");
                for (inform, to, pair, text) in part {
                    let mut flags = pair.flags();
                    if !inform {
                        flags.extend(["-e".to_owned(), engine.clone()]);
                    }
                    let output = tools.send(*inform, to, &flags, text);
                    let said = String::from_utf8_lossy(&output.stderr);
                    assert!(output.status.success(), "{text}: {said}");
                }
            });
        }
    });
    jobs.into_iter().map(|(_, _, _, text)| text).collect()
}

/// How often each text of ours was audited.
fn audited(data: &crate::support::Audit) -> BTreeMap<String, usize> {
    let mut texts = BTreeMap::new();
    for event in &data.events {
        if let Some((_, text)) = event.message.split_once("=pair:") {
            *texts.entry(format!("pair:{text}")).or_default() += 1;
        }
    }
    texts
}

#[test]
fn every_pair_of_net_snmp_over_every_transport_and_over_an_engine_reset() {
    let Some(tools) = NetSnmp::find() else { return };
    let pairs = tools.pairs();
    assert!(pairs.len() >= 12, "net-snmp has lost its protocols");
    let users: Vec<String> =
        pairs.iter().map(|p| user_line(&p.user(), "", p.auth.0, p.privacy.0)).collect();
    let setup = with_users(&users);
    let mut sent = Vec::new();
    let mut data = None;
    let engine = |setup: &Setup| -> Value {
        let text = std::fs::read(setup.data_dir().join("snmp-engine.json")).unwrap();
        serde_json::from_slice(&text).unwrap()
    };
    for run in 1..=2 {
        let program = setup.start();
        sent.extend(send_all(&tools, &program, &pairs, run));
        let ledger = program.at_rest();
        assert_eq!(ledger.events.audited, sent.len() as u64, "{ledger:?}");
        assert!(ledger.events.dropped.is_empty(), "{ledger:?}");
        assert_eq!(engine(&setup)["boots"], run);
        data = Some(program.stop().audit());
    }
    let found = audited(&data.unwrap());
    let expected: BTreeMap<String, usize> = sent.into_iter().map(|text| (text, 1)).collect();
    assert_eq!(found, expected);
}

/// One log line with this code, once the metric has counted the reason.
#[track_caller]
fn refused(program: &Program, reason: &str, code: &str) {
    until(reason, || {
        (program.ingestor_metric("mutt_ingest_dropped_total", &[reason]) >= 1.0).then_some(())
    });
    assert!(program.ingestor_metric("mutt_ingest_usm_total", &[reason]) >= 1.0, "{reason}");
    let line = until(code, || program.log().lines().find(|l| l.contains(code)).map(str::to_owned));
    assert!(!line.contains(AUTH) && !line.contains(PRIV), "{line}");
    provoked(code, &line);
}

#[test]
fn each_refusal_is_counted_told_and_reported_and_nothing_of_it_is_an_event() {
    let Some(tools) = NetSnmp::find() else { return };
    let users = [
        user_line("known", "", "SHA-256", "AES-128"),
        user_line("elsewhere", ", engine_id = \"80000000aabbccdd\"", "SHA-256", ""),
    ];
    let setup = with_users(&users);
    let program = setup.start();
    let to = program.listening("snmp_udp")[0].to_string();
    let send = |inform: bool, words: &str| {
        let flags: Vec<String> = words.split(' ').map(ToOwned::to_owned).collect();
        tools.send(inform, &to, &flags, "refused")
    };
    let engine = "-e 0x8000000001020304";
    let good = format!("-a SHA-256 -A {AUTH} -x AES -X {PRIV} {engine}");
    send(false, &format!("-u stranger -l authPriv {good}"));
    refused(&program, "usm_unknown_user", "MUTT-I050");
    send(false, &format!("-u elsewhere -l authNoPriv -a SHA-256 -A {AUTH} {engine}"));
    refused(&program, "usm_unknown_engine", "MUTT-I051");
    send(false, &format!("-u known -l noAuthNoPriv {engine}"));
    refused(&program, "usm_unsupported_level", "MUTT-I052");
    send(false, &format!("-u known -l authNoPriv -a SHA-256 -A wrong-password {engine}"));
    refused(&program, "usm_wrong_digest", "MUTT-I053");
    send(false, &format!("-u known -l authPriv -a SHA -A {AUTH} -x AES -X {PRIV} {engine}"));
    send(
        false,
        &format!("-u known -l authPriv -a SHA-256 -A {AUTH} -x AES -X wrong-password {engine}"),
    );
    refused(&program, "usm_decryption_error", "MUTT-I054");
    send(false, &format!("-u known -l authPriv {good} -Z 5,100000"));
    send(false, &format!("-u known -l authPriv {good} -Z 5,99000"));
    refused(&program, "usm_not_in_time_window", "MUTT-I055");
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.send_to(&[0x30, 5, 2, 1, 3, 4, 0], &to).unwrap();
    refused(&program, "usm_malformed", "MUTT-I056");
    // Who asks for it is told what is wrong.
    for (words, report) in [
        (format!("-u stranger -l authNoPriv -a SHA -A {AUTH}"), "Unknown user name"),
        (format!("-u known -l authNoPriv -a SHA-256 -A {AUTH}x"), "Authentication failure"),
    ] {
        let said = String::from_utf8_lossy(&send(true, &words).stderr).into_owned();
        assert!(said.contains(report), "{words}: {said}");
    }
    // Each condition was logged once for this sender, however often it came.
    assert_eq!(program.log().matches("MUTT-I053").count(), 1);
    assert!(program.ingestor_metric("mutt_ingest_usm_pending", &[]) >= 6.0);
    assert_eq!(program.ingestor_metric("mutt_ingest_usm_engines", &[]), 1.0);
    let ledger = program.at_rest();
    let dropped: u64 = ledger.events.dropped.values().sum();
    let counted = program.ingestor_metric("mutt_ingest_dropped_total", &["usm_"]);
    assert_eq!((ledger.events.audited, dropped as f64), (1, counted), "{ledger:?}");
    assert!(dropped >= 10, "{ledger:?}");
}

fn muttctl(folder: &Path, words: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_muttctl"));
    command.args(["send", "trap"]).args(words).current_dir(folder).env_clear().output().unwrap()
}

#[test]
fn users_come_and_go_while_it_runs_and_muttctl_speaks_v3() {
    let mut setup = with_users(&[user_line("first", "", "SHA-512", "AES-256")]);
    setup.set("ingestor.snmp", "devices = [{ sources = [\"127.0.0.1\"], time_window = \"warn\" }]");
    for (name, password) in [("auth", AUTH), ("priv", PRIV)] {
        std::fs::write(setup.folder().join(name), format!("{password}\n")).unwrap();
    }
    let mut program = setup.start();
    let udp = program.listening("snmp_udp");
    let tcp = program.listening("snmp_tcp")[0].to_string();
    let folder = setup.folder().to_owned();
    let send = |to: &str, user: &str, more: &[&str], text: &str| {
        let varbind = format!("1.3.6.1.4.1.32473.1=s:{text}");
        let protocols = ["--v3-auth", "sha-512", "--v3-auth-file", "auth"];
        let privacy = ["--v3-priv", "AES-256", "--v3-priv-file", "priv", &varbind];
        let words = [&["--to", to, "--v3-user", user], &protocols[..], &privacy, more].concat();
        let output = muttctl(&folder, &words);
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let mut count = 0;
    for to in &udp {
        for more in [&[][..], &["--inform"]] {
            let (good, said) = send(&to.to_string(), "first", more, &format!("pair:udp{count}"));
            assert!(good, "{said}");
            count += 1;
        }
    }
    for more in [&["--tcp"][..], &["--tcp", "--inform", "--count", "1"]] {
        let (good, said) = send(&tcp, "first", more, &format!("pair:tcp{count}"));
        assert!(good, "{said}");
        count += 1;
    }
    // A user who is not known yet is refused, and welcome after SIGHUP.
    let to = udp[0].to_string();
    let (good, said) = send(&to, "second", &["--inform"], "pair:no");
    assert!(!good && said.contains("usmStatsUnknownUserNames"), "{said}");
    let path = setup.write();
    let text = std::fs::read_to_string(&path).unwrap();
    let more = user_line("second", "", "SHA-512", "AES-256");
    std::fs::write(&path, text.replace("users = [", &format!("users = [{more}, "))).unwrap();
    program.process().signal(Signal::SIGHUP);
    until("the second user", || send(&to, "second", &["--inform"], "pair:second").0.then_some(()));
    let (good, said) = send(&to, "second", &["--inform", "--v3-engine", "zz"], "pair:no");
    assert!(!good && said.contains("is no engine id"), "{said}");
    // What speaks no SNMP is closed, and its neighbours are not.
    let mut http = TcpStream::connect(&tcp).unwrap();
    std::io::Write::write_all(&mut http, b"GET / HTTP/1.1\r\n\r\n").unwrap();
    until("the stranger is closed", || {
        (program.ingestor_metric("mutt_ingest_connections_closed_total", &["snmp"]) >= 1.0)
            .then_some(())
    });
    assert!(send(&tcp, "second", &["--tcp", "--inform"], "pair:after").0);
    // What stops now finishes at the next start; here all is to be audited.
    program.at_rest();
    let data = program.stop().audit();
    let found = audited(&data);
    assert_eq!(found.len(), count + 2, "{found:#?}");
    assert!(found.values().all(|times| *times == 1), "{found:#?}");
    let listeners: std::collections::BTreeSet<_> =
        data.events.iter().map(|event| event.listener.to_string()).collect();
    assert_eq!(listeners.into_iter().collect::<Vec<_>>(), ["snmp-tcp", "snmp-udp"]);
}
