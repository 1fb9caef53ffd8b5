//! The names in force: built in at the start, then what the folders and the store's uploads give,
//! compiled in a process of its own so that no file can harm the Ingestor; anew on SIGHUP and when
//! uploads change.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use mutt_model::{Clock, codes};
use mutt_store::store::Store;
use mutt_wire::snmp::names::Names;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::apart::{self, Fault};
use super::report::Report;
use super::{files, table};

/// The compiled names in `data_dir`.
pub const COMPILED: &str = "mibs.compiled";
/// The store's uploads in `data_dir`, as files.
pub const UPLOADED: &str = "mibs.uploaded";
/// The folder for MIBs in `data_dir`.
pub const FOLDER: &str = "mibs";
/// The folder that packages make.
pub const PACKAGED: &str = "/etc/mutt/mibs";
/// Uploads are looked for this often.
const POLL_PERIOD: Duration = Duration::from_millis(500);
/// What failed is tried again after this, then after twice as long, up to [`RETRY_MAX`].
pub const RETRY_FIRST: Duration = Duration::from_secs(2);
/// See [`RETRY_FIRST`].
pub const RETRY_MAX: Duration = Duration::from_secs(600);
/// Processes that may die of the same files before these are let be.
pub const DEATHS_MAX: u32 = 2;

/// The names, what they were made from, and the bell that has them made anew.
#[derive(Debug)]
pub struct MibNames {
    /// In force.
    pub names: Arc<ArcSwap<Names>>,
    /// What became of the files.
    pub report: ArcSwap<Report>,
    bell: Notify,
}

impl Default for MibNames {
    fn default() -> Self {
        Self {
            names: Arc::new(ArcSwap::from_pointee(Names::with(Vec::new()))),
            report: ArcSwap::default(),
            bell: Notify::new(),
        }
    }
}

impl MibNames {
    /// Looks at the folders again.
    pub fn ring(&self) {
        self.bell.notify_one();
    }
}

/// Where MIBs come from.
#[derive(Clone, Debug, Default)]
pub struct Places {
    /// `data_dir`
    pub data_dir: PathBuf,
    /// `ingestor.snmp.mib_dirs`; empty: the usual ones.
    pub folders: Vec<PathBuf>,
}

impl Places {
    /// Uploads first, so that they count before a file of the same module.
    fn all(&self) -> Vec<PathBuf> {
        let uploaded = self.data_dir.join(UPLOADED);
        std::iter::once(uploaded).chain(folders(&self.data_dir, &self.folders)).collect()
    }

    /// The command that says how the files of these places fared, whatever the configuration.
    fn check_command(&self) -> String {
        let there = self.all().into_iter().filter(|dir| dir.exists());
        let there = there.map(|dir| format!(" {}", dir.display()));
        format!("muttctl mib check{}", there.collect::<String>())
    }
}

/// The folders that are looked into: those that are named, or the usual ones.
#[must_use]
pub fn folders(data_dir: &Path, named: &[PathBuf]) -> Vec<PathBuf> {
    if named.is_empty() {
        return vec![data_dir.join(FOLDER), PathBuf::from(PACKAGED)];
    }
    named.to_vec()
}

/// What the stage works with.
#[derive(Clone)]
pub struct Loading {
    /// What it keeps.
    pub mibs: Arc<MibNames>,
    /// Where MIBs come from, read anew each time.
    pub places: Arc<ArcSwap<Places>>,
    /// Uploads.
    pub store: Option<Arc<dyn Store>>,
    /// Time.
    pub clock: Clock,
}

impl std::fmt::Debug for Loading {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Loading").field("places", &self.places).finish_non_exhaustive()
    }
}

/// Keeps the names as the folders and uploads are, until `stop`.
///
/// # Errors
///
/// Never: what fails is said, and the names before stay in force.
pub async fn follow(loading: Loading, stop: CancellationToken) -> Result<(), String> {
    let mut uploads = None;
    let mut in_force = String::new();
    let mut retry = Retry::default();
    let mut rung = true;
    while !stop.is_cancelled() {
        let changed = fetch_uploads(&loading, &mut uploads).await;
        if rung {
            // Who asks for it has mended something.
            retry = Retry::default();
        }
        if rung || changed || retry.is_due(loading.clock.monotonic()) {
            let loaded = tokio::select! {
                () = stop.cancelled() => break,
                loaded = load(&loading, &in_force) => loaded,
            };
            match loaded {
                Ok(digest) => {
                    retry = Retry::default();
                    in_force = digest.unwrap_or(in_force);
                }
                Err((digest, fault)) => {
                    let wait = retry.failed(&digest, &fault, loading.clock.monotonic());
                    let next = wait.map_or_else(
                        || "it died of the same files before and is not tried again until they change, or SIGHUP".to_owned(),
                        |wait| format!("tried again in {} s", wait.as_secs()),
                    );
                    tracing::error!(code = %codes::INGEST_MIBS, "the MIBs were not compiled: {fault}; the names that were in force stay; {next}");
                }
            }
        }
        rung = tokio::select! {
            () = stop.cancelled() => break,
            () = loading.mibs.bell.notified() => true,
            () = tokio::time::sleep(POLL_PERIOD) => false,
        };
    }
    Ok(())
}

/// When what failed is tried again: it may have been the disk, or memory that others had.
#[derive(Debug, Default)]
struct Retry {
    /// Of the files that it failed for.
    digest: String,
    failures: u32,
    deaths: u32,
    due: Option<Duration>,
}

impl Retry {
    /// How long to wait; `None`: these files are let be.
    fn failed(&mut self, digest: &str, fault: &Fault, now: Duration) -> Option<Duration> {
        if self.digest != digest {
            *self = Self { digest: digest.to_owned(), ..Self::default() };
        }
        let wait = RETRY_FIRST.saturating_mul(1 << self.failures.min(16)).min(RETRY_MAX);
        self.failures = self.failures.saturating_add(1);
        self.deaths += u32::from(matches!(fault, Fault::Died(_)));
        let wait = (self.deaths < DEATHS_MAX).then_some(wait);
        self.due = wait.map(|wait| now + wait);
        wait
    }

    fn is_due(&self, now: Duration) -> bool {
        self.due.is_some_and(|due| due <= now)
    }
}

/// Brings the store's uploads into their folder; whether they changed. While the store is away, what
/// was fetched before stays.
async fn fetch_uploads(loading: &Loading, known: &mut Option<i64>) -> bool {
    let Some(store) = &loading.store else { return false };
    let Ok(version) = store.mibs_version().await else { return false };
    if *known == Some(version) {
        return false;
    }
    let folder = loading.places.load().data_dir.join(UPLOADED);
    let fetched = async {
        let infos = store.mibs().await.map_err(|why| why.to_string())?;
        if infos.is_empty() && !folder.exists() {
            return Ok(());
        }
        std::fs::create_dir_all(&folder).map_err(|why| why.to_string())?;
        for info in &infos {
            let Some(text) = store.mib(&info.name).await.map_err(|why| why.to_string())? else {
                continue;
            };
            let path = folder.join(&info.name);
            // What is the same keeps its time, so that nothing is compiled anew for it.
            if std::fs::read(&path).ok().as_deref() != Some(text.as_bytes()) {
                std::fs::write(&path, text).map_err(|why| why.to_string())?;
            }
        }
        for entry in std::fs::read_dir(&folder).map_err(|why| why.to_string())?.flatten() {
            let name = entry.file_name();
            if !infos.iter().any(|info| name == info.name.as_str()) {
                std::fs::remove_file(entry.path()).map_err(|why| why.to_string())?;
            }
        }
        Ok::<(), String>(())
    };
    match fetched.await {
        Ok(()) => {
            *known = Some(version);
            true
        }
        Err(why) => {
            tracing::debug!(%why, "the uploaded MIBs were not fetched; tried again");
            false
        }
    }
}

/// Makes the names anew when there is something new. The digest of what is in force now; of an error,
/// that of the files that it was about.
async fn load(loading: &Loading, in_force: &str) -> Result<Option<String>, (String, Fault)> {
    let places = loading.places.load_full();
    let path = places.data_dir.join(COMPILED);
    let listing = {
        let places = Arc::clone(&places);
        let listed = blocking(move || files::list(&places.all())).await;
        listed.map_err(|fault| (String::new(), fault))?
    };
    let digest = files::digest(&listing);
    let failed = |fault| (digest.clone(), fault);
    if digest == in_force {
        return Ok(None);
    }
    if listing.files.is_empty() && listing.left.is_empty() {
        loading.mibs.names.store(Arc::new(Names::with(Vec::new())));
        loading.mibs.report.store(Arc::default());
        return Ok(Some(digest));
    }
    let cached = cached(&path, &digest).await.map_err(failed)?;
    let compiled = match cached {
        Some(compiled) => Some(compiled),
        None => {
            let made = apart::compile(&path, &places.all(), &loading.clock).await;
            made.map_err(failed)?;
            self::cached(&path, &digest).await.map_err(failed)?
        }
    };
    let Some((names, report)) = compiled else {
        // A file was changed meanwhile: the next look sees it.
        loading.mibs.ring();
        return Ok(None);
    };
    let (loaded, summary) = (names.len(), report.summary());
    if report.has_failures() {
        let command = places.check_command();
        tracing::warn!(code = %codes::INGEST_MIB_PARTIAL, "MIBs: {summary}; which and why: {command}");
    } else {
        tracing::info!(names = loaded, "MIBs: {summary}");
    }
    loading.mibs.names.store(Arc::new(names));
    loading.mibs.report.store(Arc::new(report));
    Ok(Some(digest))
}

async fn cached(path: &Path, digest: &str) -> Result<Option<(Names, Report)>, Fault> {
    let (path, digest) = (path.to_owned(), digest.to_owned());
    blocking(move || {
        let compiled = table::read(&path, &digest)?;
        Some((Names::with(compiled.definitions), compiled.report))
    })
    .await
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Fault> {
    tokio::task::spawn_blocking(work).await.map_err(|why| Fault::Failed(why.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_failed_is_tried_again_and_what_kills_twice_is_let_be() {
        let (failed, died) = (Fault::Failed("disk".to_owned()), Fault::Died("SIGKILL".to_owned()));
        let secs = Duration::from_secs;
        let mut retry = Retry::default();
        let mut check = |digest: &str, fault: &Fault, expected: Option<u64>| {
            let wait = retry.failed(digest, fault, secs(1_000));
            assert_eq!(wait, expected.map(secs), "{digest} {fault}");
            let due = expected.map(|wait| secs(1_000 + wait));
            assert_eq!(retry.is_due(due.unwrap_or(secs(1_000_000))), due.is_some());
            assert!(!retry.is_due(secs(1_001)), "not at once");
        };
        for wait in [2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600, 600] {
            check("a", &failed, Some(wait));
        }
        check("a", &died, Some(600));
        check("a", &died, None);
        check("a", &failed, None);
        // Other files begin anew.
        check("b", &died, Some(2));
        check("b", &failed, Some(4));
        check("b", &died, None);
        check("a", &died, Some(2));
        assert!(!Retry::default().is_due(secs(1_000)));
    }
}
