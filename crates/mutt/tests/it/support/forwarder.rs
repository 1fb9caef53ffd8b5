//! Real programs that forward syslog, started privately in a folder of their own: rsyslog and syslog-ng.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::tools;

/// A forwarder that runs; it ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Forwarder {
    child: Child,
    log: PathBuf,
    /// Its configuration and files.
    _folder: tempfile::TempDir,
}

impl Forwarder {
    /// rsyslog that reads the lines of `input` (one message each) and does `rest` with them.
    pub(crate) fn rsyslog(input: &str, rest: &str) -> Option<Self> {
        let program = tools::find("rsyslogd").or_else(|| {
            let file = PathBuf::from("/usr/sbin/rsyslogd");
            file.is_file().then_some(file)
        })?;
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("input"), input).unwrap();
        let config = format!(
            "global(workDirectory={dir:?} maxMessageSize=\"64k\")\n\
             module(load=\"imfile\" mode=\"inotify\")\n\
             input(type=\"imfile\" File={file:?} Tag=\"app:\" Severity=\"error\" Facility=\"local7\")\n\
             {rest}\n",
            dir = folder.path().display().to_string(),
            file = at("input").display().to_string(),
        );
        std::fs::write(at("rsyslog.conf"), config).unwrap();
        let mut command = Command::new(program);
        command.arg("-n").arg("-i").arg(at("pid")).arg("-f").arg(at("rsyslog.conf"));
        Some(Self::start(command, folder))
    }

    /// syslog-ng with this configuration; `input` lies in `FOLDER/input`.
    pub(crate) fn syslog_ng(input: &str, config: impl Fn(&Path) -> String) -> Option<Self> {
        let mut command = tools::syslog_ng()?;
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("input"), input).unwrap();
        std::fs::write(at("syslog-ng.conf"), config(folder.path())).unwrap();
        command.arg("--foreground").arg("--no-caps").arg("--stderr");
        for (flag, name) in [
            ("--cfgfile", "syslog-ng.conf"),
            ("--persist-file", "persist"),
            ("--pidfile", "pid"),
            ("--control", "ctl"),
        ] {
            command.arg(flag).arg(at(name));
        }
        Some(Self::start(command, folder))
    }

    fn start(mut command: Command, folder: tempfile::TempDir) -> Self {
        let log = folder.path().join("log");
        let out = std::fs::File::create(&log).unwrap();
        command.stdin(Stdio::null()).stdout(out.try_clone().unwrap()).stderr(out);
        Self { child: command.spawn().unwrap(), log, _folder: folder }
    }

    /// What it said.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Forwarder {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            println!("--- what the forwarder said\n{}", self.log());
        }
    }
}

/// Numbered lines that a forwarder reads.
pub(crate) fn lines(count: usize) -> String {
    (0..count).map(|n| format!("nr=F-{n}; {}\n", "x".repeat(100))).collect()
}

/// An address of loopback, of this test alone, with a port that nobody listens on now: for a program
/// that is to be found there again after it was killed.
pub(crate) fn fixed_address() -> String {
    let [_, _, high, low] = std::process::id().to_be_bytes();
    let address = Ipv4Addr::new(127, 240 + fastrand::u8(..10), high, low);
    let free = std::net::TcpListener::bind((address, 0)).unwrap();
    free.local_addr().unwrap().to_string()
}
