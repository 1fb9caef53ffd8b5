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

use super::files;

/// How long one compilation may take; all modules that are public take about a minute.
pub const TIME_MAX: Duration = Duration::from_secs(600);
/// Memory that compiling may take: 4,600 modules of all vendors at once take 3.3 GiB.
pub const MEMORY_MAX: u64 = 4 << 30;
/// Files that are set aside because each ends the process; with one more nothing is compiled.
pub const KILLERS_MAX: usize = 8;
/// How long they are searched for.
pub const SEARCH_MAX: Duration = Duration::from_secs(3_600);
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
    let (out, folders) = (out.to_owned(), folders.to_owned());
    watched(clock.clone(), move |clock, gone| without_killers(&out, &folders, clock, gone)).await
}

/// The same for a command, whose thread waits.
///
/// # Errors
///
/// What became of the process.
pub fn compile_and_wait(out: &Path, folders: &[PathBuf]) -> Result<(), Fault> {
    let (_waiting, gone) = sync_channel(0);
    without_killers(out, folders, &Clock::default(), &gone)
}

/// Compiles; a file that ends the process is found and set aside, so that it costs its own names only.
fn without_killers(
    out: &Path,
    folders: &[PathBuf],
    clock: &Clock,
    gone: &Receiver<()>,
) -> Result<(), Fault> {
    let began = clock.monotonic();
    let mut aside: Vec<(PathBuf, String)> = Vec::new();
    loop {
        let why = match attend(command(out, folders, &aside, None), clock, gone) {
            Err(Fault::Died(why)) => why,
            ended => return ended,
        };
        if aside.len() == KILLERS_MAX {
            return Err(Fault::Died(why));
        }
        let mut listing = files::list(folders);
        aside.iter().for_each(|(path, why)| listing.set_aside(path, why));
        let beside = out.with_extension("probe");
        let found = find_killer(listing.files.len(), |first| {
            if clock.monotonic().saturating_sub(began) > SEARCH_MAX {
                return Err(Fault::Died(why.clone()));
            }
            let probe = command(&beside, folders, &aside, Some(first));
            match attend(probe, clock, gone) {
                Ok(()) => Ok(None),
                Err(Fault::Died(why)) => Ok(Some(why)),
                Err(failed) => Err(failed),
            }
        });
        // It may never have been written.
        let _ = std::fs::remove_file(&beside);
        let Some((at, why)) = found? else {
            // It was no file's doing: somebody else had the memory.
            return attend(command(out, folders, &aside, None), clock, gone);
        };
        let Some(killer) = listing.files.get(at) else { return Err(Fault::Died(why)) };
        let why = format!("it ends the process that compiles it: {why}");
        aside.push((killer.path.clone(), why));
    }
}

/// The file with which the first files end the process, and how; `None` when all of them do not.
fn find_killer(
    files: usize,
    mut ends: impl FnMut(usize) -> Result<Option<String>, Fault>,
) -> Result<Option<(usize, String)>, Fault> {
    let Some(mut why) = ends(files)? else { return Ok(None) };
    let (mut good, mut bad) = (0, files);
    while good + 1 < bad {
        let middle = good + (bad - good) / 2;
        match ends(middle)? {
            Some(how) => (bad, why) = (middle, how),
            None => good = middle,
        }
    }
    Ok(bad.checked_sub(1).map(|at| (at, why)))
}

/// A worker of the runtime may end while the process runs, and would take it along.
async fn watched(
    clock: Clock,
    work: impl FnOnce(&Clock, &Receiver<()>) -> Result<(), Fault> + Send + 'static,
) -> Result<(), Fault> {
    // Dropped with this future, which tells the thread.
    let (_waiting, gone) = sync_channel(0);
    let (say, said) = oneshot::channel();
    let thread = std::thread::Builder::new().name("mib-compile".to_owned());
    let attending = move || {
        // Who does not wait any more is not told.
        let _ = say.send(work(&clock, &gone));
    };
    thread.spawn(attending).map_err(failed)?;
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

fn command(
    out: &Path,
    folders: &[PathBuf],
    aside: &[(PathBuf, String)],
    first: Option<usize>,
) -> Command {
    // The running program, whatever lies at its path by now.
    let mut command = Command::new("/proc/self/exe");
    command
        .args(["mib", "compile", "--out"])
        .arg(out)
        // Secrets of the environment are none of its business. Modules that are nested deeper than
        // any are refused before; room on the stack is for those that are not.
        .env_clear()
        .env("RUST_MIN_STACK", (64 << 20).to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    for (path, why) in aside {
        command.arg("--aside").arg(path).arg(why);
    }
    if let Some(first) = first {
        command.arg("--first").arg(first.to_string());
    }
    command.arg("--").args(folders);
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

    /// Attends to one command in a thread of its own.
    async fn attended(command: Command, clock: Clock) -> Result<(), Fault> {
        watched(clock, move |clock, gone| attend(command, clock, gone)).await
    }

    #[test]
    fn the_file_that_ends_the_process_is_found() {
        for files in 0..20 {
            for killer in 0..=files {
                let mut probes = 0;
                let found = find_killer(files, |first| {
                    probes += 1;
                    Ok((first > killer).then(|| format!("{first} files")))
                });
                let expected = (killer < files).then(|| (killer, format!("{} files", killer + 1)));
                assert_eq!(found, Ok(expected), "{killer} of {files}");
                assert!(probes <= 7, "{probes}");
            }
        }
        let failed = find_killer(9, |_| Err(Fault::Failed("disk".to_owned())));
        assert_eq!(failed, Err(Fault::Failed("disk".to_owned())));
    }

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
