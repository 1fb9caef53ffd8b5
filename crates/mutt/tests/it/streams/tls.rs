//! Syslog over TLS by openssl, loggen, rsyslog and syslog-ng: both framings, client certificates, both
//! versions of TLS, certificates that change under load.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};

use super::{certificates, connect, snippet_for, with_tls, write_and_read};
use crate::provoked::provoked;
use crate::support::forwarder::lines;
use crate::support::wait::{LONG, within};
use crate::support::{Forwarder, Program, tools, until};

/// Writes `text` by `openssl s_client`; whether it said that it went well.
pub(super) fn s_client(openssl: &Path, address: SocketAddr, flags: &[&str], text: &str) -> bool {
    let mut command = Command::new(openssl);
    command
        .args(["s_client", "-quiet", "-no_ign_eof", "-connect", &address.to_string()])
        .args(flags);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let written = stdin.write_all(text.as_bytes());
    drop(stdin);
    child.wait().unwrap().success() && written.is_ok()
}

/// Every number of a forwarder is audited.
#[track_caller]
fn all_arrive(program: &Program, count: usize) {
    let mut api = program.api();
    let enough = within(LONG, || (api.ledger().events.audited >= count as u64).then_some(()));
    if enough.is_none() {
        // Which are missing says whose they are: the last ones, or those of a moment.
        let numbers = program.audit().numbers();
        let missing: Vec<usize> =
            (0..count).filter(|n| !numbers.contains_key(&format!("F-{n}"))).take(40).collect();
        panic!("{:?}; missing {missing:?}\n{}", api.ledger(), program.log());
    }
}

#[test]
fn openssl_speaks_both_versions_and_both_framings() {
    let Some(openssl) = tools::find("openssl") else { return };
    let setup = with_tls(false);
    let program = setup.start();
    let counted = "35 <13>1 - edge-r1 app - - - counted 1";
    for (version, n) in [("-tls1_2", 2), ("-tls1_3", 3)] {
        let text = format!("{counted}<13>1 - edge-r1 app - - - by line tls 1.{n}\n");
        assert!(s_client(&openssl, program.syslog_tls(), &[version], &text), "{version}");
    }
    let events = program.events("q=counted", 2);
    assert_eq!(
        (&events[0]["listener"], &events[0]["host"]),
        (&"syslog-tls".into(), &"edge-r1".into())
    );
    program.events("q=by+line+tls", 2);
    // The old versions are no longer spoken; plaintext is no handshake.
    assert!(!s_client(&openssl, program.syslog_tls(), &["-tls1_1"], "<13>old\n"));
    write_and_read(&mut connect(program.syslog_tls()), b"<13>in clear\n");
    let line = until("the failed handshake", || {
        let log = program.log();
        log.lines().find(|l| l.contains("MUTT-I031")).map(str::to_owned)
    });
    assert!(line.contains("syslog-tls"), "{line}");
    assert_eq!(program.at_rest().events.audited, 4);
    program.stop();
}

#[test]
fn a_sender_without_a_certificate_of_the_authority_is_refused() {
    let Some(openssl) = tools::find("openssl") else { return };
    let setup = with_tls(true);
    let program = setup.start();
    let at = |name: &str| setup.folder().join(name).display().to_string();
    let (cert, key) = (at("client.pem"), at("client.key"));
    let identity = ["-cert", cert.as_str(), "-key", key.as_str()];
    assert!(s_client(&openssl, program.syslog_tls(), &identity, "<13>1 - r app - - - known\n"));
    program.events("q=known", 1);
    let shown = "\"names\":\"CN=rcgen self signed cert, DNS:sender.test, IP:127.0.0.1\"";
    assert!(program.log().contains(shown), "{}", program.log());
    s_client(&openssl, program.syslog_tls(), &["-tls1_2"], "<13>1 - r app - - - nobody\n");
    let stranger = tempfile::tempdir().unwrap();
    certificates(stranger.path());
    let at = |name: &str| stranger.path().join(name).display().to_string();
    let (cert, key) = (at("client.pem"), at("client.key"));
    let identity = ["-cert", cert.as_str(), "-key", key.as_str()];
    s_client(&openssl, program.syslog_tls(), &identity, "<13>1 - r app - - - stranger\n");
    let closed = || {
        let labels = ["listener=\"syslog-tls\"", "reason=\"tls\""];
        program.ingestor_metric("mutt_ingest_connections_closed_total", &labels)
    };
    until("two refusals", || (closed() >= 2.0).then_some(()));
    let line = program.log().lines().find(|line| line.contains("MUTT-I031")).unwrap().to_owned();
    provoked("MUTT-I031", &line);
    assert_eq!(program.at_rest().events.audited, 1);
    program.stop();
}

#[test]
fn loggen_over_tls() {
    let Some(mut loggen) = tools::loggen() else { return };
    let setup = with_tls(false);
    let program = setup.start();
    let address = program.syslog_tls();
    loggen.args(["--use-ssl", "--syslog-proto", "--number", "2000"]);
    loggen.args([
        "--rate",
        "10000",
        "--interval",
        "20",
        "--size",
        "256",
        "--active-connections",
        "4",
    ]);
    let output = tools::run(loggen.args([&address.ip().to_string(), &address.port().to_string()]));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let count =
        said.split("count=").nth(1).and_then(|rest| rest.split(',').next()?.trim().parse().ok());
    let sent: u64 = count.unwrap_or_else(|| panic!("{said}"));
    all_arrive(&program, usize::try_from(sent).unwrap());
    let ledger = program.at_rest().events;
    assert_eq!((ledger.received, ledger.audited), (sent, sent), "{ledger:?}");
    program.stop();
}

/// rsyslog's action for TLS, as the documents give it.
fn omfwd_tls(folder: &Path, address: SocketAddr, more: &str) -> String {
    snippet_for("rsyslog_tls.conf", "port=\"6514\"", address, Some(folder))
        .replace("KeepAlive=\"on\"", &format!("KeepAlive=\"on\" {more}"))
}

#[test]
fn rsyslog_forwards_over_tls_with_a_client_certificate() {
    let setup = with_tls(true);
    let program = setup.start();
    let to = omfwd_tls(setup.folder(), program.syslog_tls(), "");
    let Some(_forwarder) = Forwarder::rsyslog(&lines(2_000), &to) else { return };
    all_arrive(&program, 2_000);
    program.at_rest();
    let audit = program.stop().audit();
    assert_eq!(audit.numbers().len(), 2_000);
    let one = &audit.events[0];
    assert_eq!((one.listener.as_ref(), one.app.as_deref()), ("syslog-tls", Some("app")));
    assert_eq!(one.parse.status.name(), "ok");
}

#[test]
fn rsyslog_forwards_over_tcp_in_both_framings() {
    let program = crate::support::Setup::new().start();
    let address = program.syslog_tcp();
    let octets = snippet_for("rsyslog_tcp.conf", "port=\"514\"", address, None);
    for framing in ["octet-counted", "traditional"] {
        let to = octets.replace("octet-counted", framing);
        let input = lines(500).replace("F-", &format!("{framing}-"));
        let Some(forwarder) = Forwarder::rsyslog(&input, &to) else { return };
        program.events(&format!("q=nr={framing}-499%3B"), 1);
        drop(forwarder);
    }
    all_arrive(&program, 1_000);
    program.at_rest();
    assert_eq!(program.stop().audit().numbers().len(), 1_000);
}

#[test]
fn certificates_change_under_load_and_open_connections_go_on() {
    let Some(openssl) = tools::find("openssl") else { return };
    let setup = with_tls(true);
    let program = setup.start();
    // Without its disk, rsyslog has one worker, and that has one connection.
    let slow = "queue.dequeueBatchSize=\"32\" queue.dequeueSlowDown=\"20000\"";
    let to = omfwd_tls(setup.folder(), program.syslog_tls(), slow)
        .replace("queue.filename=\"to_mutt_tls\" queue.maxDiskSpace=\"1g\"", "");
    let Some(_forwarder) = Forwarder::rsyslog(&lines(3_000), &to) else { return };
    until("the first messages", || {
        (program.ingestor_metric("mutt_ingest_received_total", &["syslog-tls"]) > 50.0)
            .then_some(())
    });
    // Certificate, key and the authority of clients: all three are others from now on.
    certificates(setup.folder());
    let at = |name: &str| setup.folder().join(name).display().to_string();
    let (ca, cert, key) = (at("ca.pem"), at("client.pem"), at("client.key"));
    let flags = ["-CAfile", &ca, "-verify_return_error", "-cert", &cert, "-key", &key];
    let text = "<13>1 - r app - - - with the new ones\n";
    until("a connection with the new certificates", || {
        s_client(&openssl, program.syslog_tls(), &flags, text).then_some(())
    });
    program.events("q=with+the+new+ones", 1);
    all_arrive(&program, 3_001);
    program.at_rest();
    let audit = program.stop().audit();
    let numbers = audit.numbers();
    assert_eq!((numbers.len(), numbers.values().max()), (3_000, Some(&1)));
    let peers: std::collections::BTreeSet<_> = audit
        .events
        .iter()
        .filter(|e| e.message.contains("nr=F"))
        .map(|e| e.peer.to_string())
        .collect();
    assert_eq!(peers.len(), 1, "the connection was dropped: {peers:?}");
}

#[test]
fn syslog_ng_forwards_over_tcp_and_tls() {
    let setup = with_tls(true);
    let program = setup.start();
    let (tcp, tls) = (program.syslog_tcp(), program.syslog_tls());
    let to_tcp = snippet_for("syslog_ng_tcp.conf", "port(514)", tcp, None);
    let to_tls = snippet_for("syslog_ng_tls.conf", "port(6514)", tls, Some(setup.folder()));
    let config = |folder: &Path| {
        let input = folder.join("input").display().to_string();
        format!(
            "@version: 3.35\nsource s_src {{ file({input:?} follow-freq(1) flags(no-parse)); }};\n\
             {to_tcp}\n{to_tls}\n"
        )
    };
    let Some(_forwarder) = Forwarder::syslog_ng(&lines(1_000), config) else { return };
    all_arrive(&program, 2_000);
    program.at_rest();
    let audit = program.stop().audit();
    for listener in ["syslog-tcp", "syslog-tls"] {
        let count = audit.events.iter().filter(|e| e.listener == listener).count();
        assert_eq!(count, 1_000, "{listener}");
    }
    assert!(audit.numbers().values().all(|times| *times == 2));
}
