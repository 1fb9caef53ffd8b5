//! A machine of its own for one document: network, processes and what it writes to /etc, /var, /opt
//! and /usr/local are seen by nobody else and are gone with it.

use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::program::MUTTCTL;
use crate::support::wait::{LONG, within};

/// What is laid over the machine: a document changes these as its reader would.
const OVERLAID: &str = "/etc /var /usr /opt";

/// The first process of the sandbox. `$1` is the sandbox's folder.
const INIT: &str = r#"
set -e
ip link set lo up
mkdir "$1/layers"
mount -t tmpfs tmpfs "$1/layers"
for dir in $2; do
    layer="$1/layers$(echo "$dir" | tr / _)"
    mkdir "$layer" "$layer/upper" "$layer/work"
    mount -t overlay overlay -o "lowerdir=$dir,upperdir=$layer/upper,workdir=$layer/work" "$dir"
done
mount -t tmpfs tmpfs /run
echo ready
exec sleep infinity
"#;

/// What a machine must allow, in small.
const TRY: &str = "mount -t tmpfs tmpfs /run && mkdir /run/u /run/w &&
    mount -t overlay overlay -o lowerdir=/etc,upperdir=/run/u,workdir=/run/w /etc && ip link set lo up";

/// Stands for cargo: the documents' commands build and run what the suite has built already.
const CARGO: &str = r#"#!/bin/sh
case "$*" in
"build --release"|"build --release --locked") echo "    Finished \`release\` profile" >&2 ;;
"run --release -- "*) shift 3; exec muttctl "$@" ;;
*) echo "the runner knows no \`cargo $*\`" >&2; exit 101 ;;
esac
"#;

/// Stands for Vault's command line, set up for a server on this host and logged in.
const VAULT: &str = r#"#!/bin/sh
export VAULT_ADDR=http://127.0.0.1:8200 VAULT_TOKEN=of-the-documents
exec bao "$@"
"#;

/// The server and its command line, where scripts/install-tools has fetched them.
fn vault_into(root: &Path, bin: &Path) {
    let fetched = root.join("target/tools/bin/bao");
    if !fetched.is_file() {
        return;
    }
    std::os::unix::fs::symlink(fetched, bin.join("bao")).unwrap();
    let vault = bin.join("vault");
    std::fs::write(&vault, VAULT).unwrap();
    std::fs::set_permissions(&vault, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// What a command printed (both streams, as on a terminal) and how it ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) output: String,
    pub(crate) exit: i32,
}

/// A script that runs until the sandbox ends.
#[derive(Debug)]
struct Background {
    id: String,
    output: PathBuf,
    child: Child,
}

/// One machine of its own.
#[derive(Debug)]
pub(crate) struct Sandbox {
    folder: tempfile::TempDir,
    holder: Child,
    /// The first process inside, as the host sees it.
    inside: String,
    scripts: usize,
    background: Vec<Background>,
}

/// Why documents cannot be run here, when they cannot.
pub(crate) fn missing() -> Option<&'static str> {
    if !nix::unistd::geteuid().is_root() {
        return Some("not root");
    }
    let tried = Command::new("unshare").args(["-n", "-m", "-p", "-f", "bash", "-c", TRY]).output();
    (!tried.is_ok_and(|done| done.status.success())).then_some("namespaces are not allowed here")
}

impl Sandbox {
    pub(crate) fn new(root: &Path) -> Self {
        let folder = tempfile::Builder::new().prefix("mutt-docs-").tempdir().unwrap();
        let at = folder.path();
        std::fs::set_permissions(at, std::fs::Permissions::from_mode(0o755)).unwrap();
        for name in ["work", "home", "bin", "scripts"] {
            std::fs::create_dir(at.join(name)).unwrap();
        }
        std::os::unix::fs::symlink(MUTTCTL, at.join("bin/muttctl")).unwrap();
        let cargo = at.join("bin/cargo");
        std::fs::write(&cargo, CARGO).unwrap();
        std::fs::set_permissions(&cargo, std::fs::Permissions::from_mode(0o755)).unwrap();
        vault_into(root, &at.join("bin"));
        checkout(root, &at.join("work"));
        let mut command = Command::new("unshare");
        command.args(["-n", "-m", "-p", "-f", "--kill-child", "--mount-proc"]);
        command.args(["bash", "-c", INIT, "init"]).arg(at).arg(OVERLAID);
        let said = std::fs::File::create(at.join("init.err")).unwrap();
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(said);
        let mut holder = command.spawn().unwrap();
        let mut word = [0; 6];
        let started = holder.stdout.as_mut().unwrap().read_exact(&mut word);
        assert!(started.is_ok(), "the sandbox did not start: {}", read(&at.join("init.err")));
        let children = format!("/proc/{0}/task/{0}/children", holder.id());
        let inside = std::fs::read_to_string(children).unwrap().trim().to_owned();
        Self { folder, holder, inside, scripts: 0, background: Vec::new() }
    }

    /// Where blocks are run: it looks like a clone of the repository.
    pub(crate) fn work(&self) -> PathBuf {
        self.folder.path().join("work")
    }

    /// A script that runs `text` on a terminal of its own, wide enough that no table is folded.
    pub(crate) fn on_terminal(&mut self, text: &str) -> String {
        self.scripts += 1;
        let inner = self.folder.path().join("scripts").join(format!("{}.inner", self.scripts));
        std::fs::write(&inner, text).unwrap();
        let inner = inner.display();
        format!(
            "script -qec 'stty cols 200; bash -e -o pipefail {inner}' /dev/null | tr -d '\\r'\n"
        )
    }

    fn command(&mut self, text: &str, timeout: Option<Duration>) -> (PathBuf, Command) {
        self.scripts += 1;
        let at = self.folder.path();
        let script = at.join("scripts").join(self.scripts.to_string());
        std::fs::write(&script, text).unwrap();
        let output = script.with_extension("out");
        let file = std::fs::File::create(&output).unwrap();
        let mut command = Command::new("nsenter");
        command.args(["-t", &self.inside, "-n", "-m", "-p", "--"]);
        command.args(["env", "--chdir"]).arg(self.work());
        if let Some(timeout) = timeout {
            command.args(["timeout", "-k", "2", &timeout.as_secs().to_string()]);
        }
        // Stricter than a reader's shell: a command that fails in the middle fails the block.
        command.args(["bash", "-e", "-o", "pipefail"]).arg(&script);
        let path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
        command.env_clear().env("PATH", format!("{}:{path}", at.join("bin").display()));
        command.env("HOME", at.join("home")).env("LANG", "C.UTF-8").env("TZ", "UTC");
        command.env("NO_COLOR", "1").env("TERM", "xterm").process_group(0);
        command.stdin(Stdio::null()).stdout(file.try_clone().unwrap()).stderr(file);
        (output, command)
    }

    /// Runs a script to its end.
    pub(crate) fn run(&mut self, text: &str, timeout: Duration) -> Ended {
        let (output, mut command) = self.command(text, Some(timeout));
        let status = command.status().unwrap();
        Ended { output: read(&output), exit: status.code().unwrap_or(-1) }
    }

    /// Starts a script that runs until the sandbox ends.
    pub(crate) fn start(&mut self, id: &str, text: &str) {
        let (output, mut command) = self.command(text, None);
        let child = command.spawn().unwrap();
        self.background.push(Background { id: id.to_owned(), output, child });
    }

    /// Where a background script prints.
    pub(crate) fn output_of_background(&self, id: &str) -> Option<PathBuf> {
        self.background.iter().find(|one| one.id == id).map(|one| one.output.clone())
    }

    /// Waits until something inside listens on a TCP port of loopback. MUTT binds before it opens its
    /// files: its Web UI is asked whether it is ready.
    pub(crate) fn wait_for_port(&mut self, port: u16) {
        let mut probe = format!("exec 3<>/dev/tcp/127.0.0.1/{port}\n");
        if port == super::states::WEB_UI {
            probe.push_str(
                "printf 'GET /health/ready HTTP/1.0\\r\\n\\r\\n' >&3; grep -q ' 200 ' <&3\n",
            );
        }
        let answers =
            within(LONG, || (self.run(&probe, Duration::from_secs(5)).exit == 0).then_some(()));
        assert!(answers.is_some(), "nothing listens on port {port}:\n{}", self.printed());
    }

    /// What the background has printed.
    pub(crate) fn printed(&self) -> String {
        let all = self.background.iter();
        all.map(|one| read(&one.output)).collect::<Vec<_>>().join("\n---\n")
    }

    /// Whether a program is there.
    pub(crate) fn has(&mut self, program: &str) -> bool {
        self.run(&format!("command -v {program}"), Duration::from_secs(5)).exit == 0
    }

    /// Writes a file where the reader is told to save it.
    pub(crate) fn save(&mut self, file: &str, text: &str) {
        let script = format!("cat > '{file}' <<'MUTT-END'\n{text}MUTT-END\n");
        let ended = self.run(&script, Duration::from_secs(5));
        assert_eq!(ended.exit, 0, "{file} cannot be saved: {}", ended.output);
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        // With its first process every process of the sandbox ends, and only then the holder.
        match self.inside.parse() {
            Ok(id) => _ = kill(Pid::from_raw(id), Signal::SIGKILL),
            Err(_) => _ = self.holder.kill(),
        }
        let _ = self.holder.wait();
        for one in &mut self.background {
            let _ = one.child.wait();
        }
    }
}

/// What a clone and a build would leave, without copying it.
fn checkout(root: &Path, work: &Path) {
    let names = "docs scripts Cargo.toml README.md CHANGELOG.md LICENSE packaging testdata";
    for name in names.split(' ') {
        if root.join(name).exists() {
            std::os::unix::fs::symlink(root.join(name), work.join(name)).unwrap();
        }
    }
    std::fs::create_dir_all(work.join("target/release")).unwrap();
    std::os::unix::fs::symlink(MUTTCTL, work.join("target/release/muttctl")).unwrap();
}

/// What a file holds, without colours.
pub(crate) fn read(path: &Path) -> String {
    String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).into_owned()
}
