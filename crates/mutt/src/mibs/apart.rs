//! The process that compiles, begun and looked after by one thread until its end: it has limits of its
//! own, and is killed together with the thread that began it.

use std::io::Read as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use mutt_model::Clock;
use tokio::sync::oneshot;

/// How long one compilation may take; all modules that are public take about a minute.
pub const TIME_MAX: Duration = Duration::from_secs(600);
/// Memory that compiling may take: 4,600 modules of all vendors at once take 3.3 GiB.
pub const MEMORY_MAX: u64 = 4 << 30;
/// The process is looked after this often.
const CHILD_PERIOD: Duration = Duration::from_millis(20);
/// What is kept of what it says; the rest is read and let go.
const WORDS_MAX: u64 = 2_000;
/// The exit code of a program that panicked.
const PANICKED: i32 = 101;

/// Why there are no names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The process died: of the files, or because somebody else took the memory.
    Died(String),
    /// Something else, which the process said or which was in its way.
    Failed(String),
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (Self::Died(why) | Self::Failed(why)) = self;
        f.write_str(why)
    }
}

fn failed(why: impl ToString) -> Fault {
    Fault::Failed(why.to_string())
}

/// A process that does not outlive its owner.
struct Apart(Child);

impl Drop for Apart {
    fn drop(&mut self) {
        // It may have ended by itself, and then there is nothing to end.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Compiles; who waits no more ends the process.
///
/// # Errors
///
/// What became of the process.
pub async fn compile(out: &Path, folders: &[PathBuf], clock: &Clock) -> Result<(), Fault> {
    attended(command(out, folders), clock.clone()).await
}

/// The same for a command, whose thread waits.
///
/// # Errors
///
/// What became of the process.
pub fn compile_and_wait(out: &Path, folders: &[PathBuf]) -> Result<(), Fault> {
    let (_waiting, gone) = sync_channel(0);
    attend(command(out, folders), &Clock::default(), &gone)
}

/// A worker of the runtime may end while the process runs, and would take it along.
async fn attended(command: Command, clock: Clock) -> Result<(), Fault> {
    // Dropped with this future, which tells the thread.
    let (_waiting, gone) = sync_channel(0);
    let (say, said) = oneshot::channel();
    let thread = std::thread::Builder::new().name("mib-compile".to_owned());
    let work = move || {
        // Who does not wait any more is not told.
        let _ = say.send(attend(command, &clock, &gone));
    };
    thread.spawn(work).map_err(failed)?;
    said.await.map_err(|_| failed("the thread that looks after the process ended"))?
}

fn attend(mut command: Command, clock: &Clock, gone: &Receiver<()>) -> Result<(), Fault> {
    let mut apart = Apart(command.spawn().map_err(failed)?);
    let words = apart.0.stderr.take().map(listen).transpose().map_err(failed)?;
    let began = clock.monotonic();
    let status = loop {
        if let Some(status) = apart.0.try_wait().map_err(failed)? {
            break status;
        }
        // Its own limit is refused to it where a unit forbids processes to set limits.
        if memory_of(&apart.0).is_some_and(|bytes| bytes > MEMORY_MAX) {
            return Err(Fault::Died(format!(
                "it wanted more than {} MiB of memory",
                MEMORY_MAX >> 20
            )));
        }
        if clock.monotonic().saturating_sub(began) > TIME_MAX {
            return Err(Fault::Died(format!(
                "it took longer than {} s: a file is none of a vendor's",
                TIME_MAX.as_secs()
            )));
        }
        if gone.recv_timeout(CHILD_PERIOD) == Err(RecvTimeoutError::Disconnected) {
            return Err(failed("nobody waits for it any more"));
        }
    };
    // What it said is a help, not a need.
    let words = words.and_then(|words| words.join().ok()).unwrap_or_default();
    judge(status, words.trim())
}

/// Reads what it says to the end, so that it never waits for somebody who listens.
fn listen(mut stderr: ChildStderr) -> std::io::Result<JoinHandle<String>> {
    std::thread::Builder::new().name("mib-words".to_owned()).spawn(move || {
        let mut words = Vec::new();
        let _ = stderr.by_ref().take(WORDS_MAX).read_to_end(&mut words);
        let _ = std::io::copy(&mut stderr, &mut std::io::sink());
        String::from_utf8_lossy(&words).into_owned()
    })
}

/// What the process has in memory now.
fn memory_of(child: &Child) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{}/statm", child.id())).ok()?;
    let pages: u64 = text.split(' ').nth(1)?.parse().ok()?;
    let page = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE).ok()??;
    pages.checked_mul(u64::try_from(page).ok()?)
}

fn command(out: &Path, folders: &[PathBuf]) -> Command {
    // The running program, whatever lies at its path by now.
    let mut command = Command::new("/proc/self/exe");
    command
        .args(["mib", "compile", "--out"])
        .arg(out)
        .args(folders)
        // Secrets of the environment are none of its business. Modules that are nested deeper than
        // any are refused before; room on the stack is for those that are not.
        .env_clear()
        .env("RUST_MIN_STACK", (64 << 20).to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    command
}

fn judge(status: ExitStatus, words: &str) -> Result<(), Fault> {
    if status.success() {
        return Ok(());
    }
    let why = if words.is_empty() {
        format!("the process ended with {status}")
    } else {
        format!("{words} ({status})")
    };
    let died = status.signal().is_some() || status.code() == Some(PANICKED);
    Err(if died { Fault::Died(why) } else { Fault::Failed(why) })
}

#[cfg(test)]
mod tests {
    use std::future::Future as _;
    use std::task::{Context, Waker};

    use super::*;

    fn shell(words: &str) -> Command {
        let mut command = Command::new("sh");
        command
            .args(["-c", words])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        command
    }

    #[tokio::test]
    async fn how_a_process_ended_is_told() {
        let flood = "echo first >&2; head -c 1000000 /dev/zero >&2";
        for (words, expected) in [
            ("exit 0".to_owned(), None),
            ("echo no room >&2; exit 1".to_owned(), Some((false, "no room (exit status: 1)"))),
            ("exit 3".to_owned(), Some((false, "the process ended with exit status: 3"))),
            ("exit 101".to_owned(), Some((true, "101"))),
            ("kill -KILL $$".to_owned(), Some((true, "signal: 9"))),
            // It says more than a pipe holds, and is not kept waiting.
            (flood.to_owned(), None),
            (format!("{flood}; exit 1"), Some((false, "first"))),
        ] {
            let made = attended(shell(&words), Clock::default()).await;
            match (&made, expected) {
                (Ok(()), None) => {}
                (Err(fault), Some((died, part))) => {
                    assert_eq!(matches!(fault, Fault::Died(_)), died, "{words}: {fault}");
                    assert!(fault.to_string().contains(part), "{words}: {fault}");
                }
                _ => panic!("{words}: {made:?}"),
            }
        }
        let nothing = attended(Command::new("/no/such/program"), Clock::default()).await;
        assert!(matches!(nothing, Err(Fault::Failed(_))), "{nothing:?}");
    }

    /// Waits for a file without sleeping in a worker: the test's own thread.
    fn wait_for(path: &Path) {
        let (_keep, never) = sync_channel::<()>(0);
        for _ in 0..3_000 {
            if path.exists() {
                return;
            }
            let _ = never.recv_timeout(Duration::from_millis(10));
        }
        panic!("{} is not there", path.display());
    }

    /// Says `ready`, waits for `go`, and dies with the thread that began it.
    fn faithful(folder: &Path) -> Option<Command> {
        let found = Command::new("setpriv").arg("--version").output();
        if !found.is_ok_and(|output| output.status.success()) {
            println!("skipped: setpriv is not installed");
            return None;
        }
        let mut command = Command::new("setpriv");
        let words = "echo $$ > pid; mv pid ready; while [ ! -e go ]; do sleep 0.01; done";
        command.args(["--pdeathsig", "KILL", "sh", "-c", words]).current_dir(folder);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        Some(command)
    }

    #[tokio::test]
    async fn the_thread_that_asked_first_may_end() {
        let folder = tempfile::tempdir().unwrap();
        let Some(command) = faithful(folder.path()) else { return };
        let ready = folder.path().join("ready");
        let first = std::thread::spawn(move || {
            let mut work = Box::pin(attended(command, Clock::default()));
            let polled = work.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            assert!(polled.is_pending());
            wait_for(&ready);
            work
        });
        let work = first.join().unwrap();
        std::fs::write(folder.path().join("go"), "").unwrap();
        assert_eq!(work.await, Ok(()));
    }

    #[tokio::test]
    async fn who_waits_no_more_ends_the_process() {
        let folder = tempfile::tempdir().unwrap();
        let Some(command) = faithful(folder.path()) else { return };
        let mut work = Box::pin(attended(command, Clock::default()));
        assert!(work.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        wait_for(&folder.path().join("ready"));
        let pid = std::fs::read_to_string(folder.path().join("ready")).unwrap();
        drop(work);
        let process = PathBuf::from(format!("/proc/{}", pid.trim()));
        let (_keep, never) = sync_channel::<()>(0);
        let gone = (0..3_000).any(|_| {
            let _ = never.recv_timeout(Duration::from_millis(10));
            !process.exists()
        });
        assert!(gone, "{} runs on", process.display());
    }
}
