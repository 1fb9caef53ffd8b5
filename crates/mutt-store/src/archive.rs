//! The archive file: audit rows of one table and one span of time, compressed, whole or not there.
//!
//! A gzip stream of lines: a header, one line of JSON for each row, and a trailer with the number of
//! rows and the SHA-256 of their lines. A file under its final name has been read back.

use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{BufRead as _, BufReader, BufWriter, Read, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use mutt_model::{Id, Timestamp, codes, failpoint};
use ring::digest;
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};

use crate::aside::aside;
use crate::retention::Archive;
use crate::store::StoreError;

/// The format that this version writes and the only one that it reads.
const FORMAT: u32 = 1;
/// A longer line is no row of ours: an event is at most 256 KiB in the queue.
const LINE_MAX: u64 = 16 << 20;
const SUFFIX: &str = ".mutt.gz";
/// Of what is not finished.
const PART: &str = ".part";

/// One audit row, as it stands in its table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) id: Id,
    /// Its place in the order of commits, where receipts name it; else 0.
    pub(crate) seq: i64,
    /// Lower case.
    pub(crate) host: String,
    pub(crate) severity: Option<i16>,
    pub(crate) ruleset: i64,
    pub(crate) rule_id: Option<i64>,
    pub(crate) decision: Option<String>,
    pub(crate) dev: bool,
    pub(crate) team: Option<String>,
    pub(crate) alert_id: Option<Id>,
    /// The event as its batch carried it.
    #[serde(with = "in_base64")]
    pub(crate) body: Vec<u8>,
}

mod in_base64 {
    use base64::Engine as _;
    use base64::prelude::BASE64_STANDARD;
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&BASE64_STANDARD.encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(from)?;
        BASE64_STANDARD.decode(text).map_err(serde::de::Error::custom)
    }
}

/// What the rows of an archive have in common.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Header {
    mutt_archive: u32,
    pub(crate) table: String,
    pub(crate) from: Timestamp,
    pub(crate) until: Timestamp,
    pub(crate) written_at: Timestamp,
}

impl Header {
    pub(crate) fn new(handled: bool, from: Timestamp, until: Timestamp, now: Timestamp) -> Self {
        let table = if handled { "audit_handled" } else { "audit_unhandled" }.to_owned();
        Self { mutt_archive: FORMAT, table, from, until, written_at: now }
    }
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Trailer {
    rows: u64,
    sha256: String,
}

/// It could not be written: a person must mend the folder.
fn failed(path: &Path, why: impl std::fmt::Display) -> StoreError {
    let code = Box::new(codes::ARCHIVE_UNWRITABLE);
    StoreError::Hindered { code, doing: "archive", why: format!("{}: {why}", path.display()) }
}

fn unread(path: &Path, why: impl std::fmt::Display) -> StoreError {
    StoreError::Transient { doing: "read an archive", why: format!("{}: {why}", path.display()) }
}

fn not_whole(path: &Path, why: impl std::fmt::Display) -> StoreError {
    StoreError::Data(format!("{} is no whole archive: {why}", path.display()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// An archive that is being written, under a name that nothing reads.
pub(crate) struct Writing {
    dir: PathBuf,
    part: PathBuf,
    header: Header,
    to: GzEncoder<BufWriter<File>>,
    digest: digest::Context,
    rows: u64,
}

impl Writing {
    /// Begins an archive in `dir`. What an earlier run left unfinished of it is removed, whoever that
    /// was: it writes nothing more, or has lost the right to. Under its owner's name no other writer's
    /// file is taken for it when that one still runs.
    pub(crate) fn begin(dir: &Path, owner: &str, header: Header) -> Result<Self, StoreError> {
        fs::create_dir_all(dir).map_err(|e| failed(dir, e))?;
        let begun = format!(".{}.", stem(&header));
        for entry in fs::read_dir(dir).map_err(|e| failed(dir, e))?.flatten() {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if name.starts_with(&begun) && name.ends_with(PART) {
                let _ = fs::remove_file(entry.path());
            }
        }
        let part = dir.join(format!("{begun}{owner}{PART}"));
        // What devices said is nobody else's.
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&part)
            .map_err(|e| failed(&part, e))?;
        let mut to = GzEncoder::new(BufWriter::new(file), Compression::default());
        let line = serde_json::to_string(&header)?;
        writeln!(to, "{line}").map_err(|e| failed(&part, e))?;
        let digest = digest::Context::new(&digest::SHA256);
        Ok(Self { dir: dir.to_path_buf(), part, header, to, digest, rows: 0 })
    }

    /// Adds a row.
    pub(crate) fn push(&mut self, row: &Row) -> Result<(), StoreError> {
        let mut line = serde_json::to_vec(row)?;
        line.push(b'\n');
        self.digest.update(&line);
        self.rows += 1;
        self.to.write_all(&line).map_err(|e| failed(&self.part, e))
    }

    /// Rows so far.
    pub(crate) const fn rows(&self) -> u64 {
        self.rows
    }

    /// Ends the file, syncs it, reads it back, and gives it its name. An archive of the same rows that
    /// stands there already is taken instead: an earlier run was cut off after this step.
    pub(crate) fn finish(self) -> Result<Archive, StoreError> {
        let Self { dir, part, header, mut to, digest, rows } = self;
        let trailer = Trailer { rows, sha256: hex(digest.finish().as_ref()) };
        let line = serde_json::to_string(&trailer)?;
        writeln!(to, "{line}").map_err(|e| failed(&part, e))?;
        let buffered = to.finish().map_err(|e| failed(&part, e))?;
        let file = buffered.into_inner().map_err(|e| failed(&part, e))?;
        file.sync_all().map_err(|e| failed(&part, e))?;
        failpoint::hit("store.archive.before_verify");
        let read = read(&part, |_| Ok(())).map_err(|e| failed(&part, e))?;
        if (&read.table, read.rows, &read.sha256) != (&header.table, rows, &trailer.sha256) {
            return Err(failed(&part, "what was read back is not what was written"));
        }
        for n in 1.. {
            let number = if n == 1 { String::new() } else { format!("-{n}") };
            let name = format!("{}{number}{SUFFIX}", stem(&header));
            let path = dir.join(&name);
            if path.exists() {
                // One of the same rows is the same; one of other rows, or a damaged one, is left alone.
                if let Ok(same) = read_facts(&path)
                    && (same.rows, &same.sha256) == (rows, &trailer.sha256)
                {
                    fs::remove_file(&part).map_err(|e| failed(&part, e))?;
                    return Ok(same);
                }
                continue;
            }
            failpoint::hit("store.archive.before_rename");
            fs::rename(&part, &path).map_err(|e| failed(&path, e))?;
            File::open(&dir).and_then(|d| d.sync_all()).map_err(|e| failed(&dir, e))?;
            failpoint::hit("store.archive.after_rename");
            return Ok(Archive { name, ..read });
        }
        Err(failed(&dir, "no name is free"))
    }

    /// Gives up: nothing is left.
    pub(crate) fn discard(self) {
        let _ = fs::remove_file(&self.part);
    }
}

enum ToKeeper {
    Rows(Vec<Row>),
    Finish,
}

/// Writes an archive on a thread of its own. Dropped before it is finished, it leaves nothing.
pub(crate) struct Keeper {
    to: mpsc::Sender<ToKeeper>,
    done: oneshot::Receiver<Result<Archive, StoreError>>,
}

impl Keeper {
    /// Ready when the file is begun: before that no row need be read.
    pub(crate) async fn start(
        dir: PathBuf,
        owner: String,
        header: Header,
    ) -> Result<Self, StoreError> {
        let (to, mut from) = mpsc::channel(2);
        let (begun, ready) = oneshot::channel();
        let (reply, done) = oneshot::channel();
        let work = move || -> Result<Archive, StoreError> {
            let mut writing = Writing::begin(&dir, &owner, header)?;
            let _ = begun.send(());
            while let Some(message) = from.blocking_recv() {
                match message {
                    ToKeeper::Rows(rows) => rows.iter().try_for_each(|row| writing.push(row))?,
                    ToKeeper::Finish => return writing.finish(),
                }
            }
            writing.discard();
            Err(gone())
        };
        std::thread::Builder::new()
            .name("store-archive".to_owned())
            .spawn(move || {
                let _ = reply.send(work());
            })
            .map_err(|e| StoreError::Transient { doing: "archive", why: e.to_string() })?;
        let mut keeper = Self { to, done };
        if ready.await.is_err() {
            return Err(keeper.why().await);
        }
        Ok(keeper)
    }

    /// Why it ended before it was told to.
    async fn why(&mut self) -> StoreError {
        match (&mut self.done).await {
            Ok(Err(error)) => error,
            _ => gone(),
        }
    }

    /// Adds rows; waits while the file is slower than they come.
    pub(crate) async fn push(&mut self, rows: Vec<Row>) -> Result<(), StoreError> {
        if self.to.send(ToKeeper::Rows(rows)).await.is_ok() {
            return Ok(());
        }
        Err(self.why().await)
    }

    pub(crate) async fn finish(self) -> Result<Archive, StoreError> {
        let _ = self.to.send(ToKeeper::Finish).await;
        self.done.await.unwrap_or_else(|_| Err(gone()))
    }
}

fn gone() -> StoreError {
    StoreError::Transient { doing: "archive", why: "its thread ended".to_owned() }
}

/// Reads an archive on a thread of its own, `size` rows at a time; the future ends when it is read.
pub(crate) fn read_aside(
    path: PathBuf,
    size: usize,
) -> (impl Future<Output = Result<(), StoreError>>, mpsc::Receiver<Vec<Row>>) {
    let (to, chunks) = mpsc::channel::<Vec<Row>>(1);
    let reading = aside("read an archive", move || {
        let mut chunk = Vec::with_capacity(size);
        read(&path, |row| {
            chunk.push(row);
            if chunk.len() < size {
                return Ok(());
            }
            let full = std::mem::replace(&mut chunk, Vec::with_capacity(size));
            to.blocking_send(full).map_err(|_| gone())
        })?;
        if chunk.is_empty() { Ok(()) } else { to.blocking_send(chunk).map_err(|_| gone()) }
    });
    (reading, chunks)
}

/// `audit_handled-20251124`, or with the time where the span is no whole day.
fn stem(header: &Header) -> String {
    let text = header.from.to_string();
    let compact = |part: &str| part.replace(['-', ':'], "");
    let (day, time) = text.split_once('T').unwrap_or((&text, ""));
    let time = time.split(['.', 'Z', '+']).next().unwrap_or_default();
    let day = compact(day);
    if matches!(time, "" | "00:00:00") {
        format!("{}-{day}", header.table)
    } else {
        format!("{}-{day}T{}", header.table, compact(time))
    }
}

/// Reads an archive to its end without looking at its rows.
pub(crate) fn read_facts(path: &Path) -> Result<Archive, StoreError> {
    read(path, |_| Ok(()))
}

/// Reads an archive: each row is given to `with`; afterwards the number of rows and their digest are
/// checked. Read it once for checking before anything is done with its rows.
pub(crate) fn read(
    path: &Path,
    mut with: impl FnMut(Row) -> Result<(), StoreError>,
) -> Result<Archive, StoreError> {
    let file = File::open(path).map_err(|e| {
        if e.kind() == std::io::ErrorKind::NotFound {
            StoreError::NotFound(format!("{}: {e}", path.display()))
        } else {
            unread(path, e)
        }
    })?;
    let bytes = file.metadata().map_err(|e| unread(path, e))?.len();
    let mut lines = Lines { from: BufReader::new(MultiGzDecoder::new(BufReader::new(file))) };
    let broken = |e: std::io::Error| not_whole(path, e);
    let first = lines.next().map_err(broken)?.unwrap_or_default();
    let header: Header = serde_json::from_slice(&first).map_err(|e| not_whole(path, e))?;
    if header.mutt_archive != FORMAT {
        return Err(not_whole(path, format!("its format is {}", header.mutt_archive)));
    }
    let mut digest = digest::Context::new(&digest::SHA256);
    let mut rows = 0;
    let mut line = lines.next().map_err(broken)?;
    while let Some(this) = line {
        let Some(next) = lines.next().map_err(broken)? else {
            let trailer: Trailer = serde_json::from_slice(&this).map_err(|e| not_whole(path, e))?;
            let found = Trailer { rows, sha256: hex(digest.finish().as_ref()) };
            if trailer != found {
                return Err(not_whole(path, "its rows are not those that its end names"));
            }
            let name = path.file_name().map(|n| n.to_string_lossy().into_owned());
            return Ok(Archive {
                name: name.unwrap_or_default(),
                table: header.table,
                from: header.from,
                until: header.until,
                rows,
                bytes,
                sha256: trailer.sha256,
                written_at: header.written_at,
                restored_at: None,
            });
        };
        digest.update(&this);
        rows += 1;
        with(serde_json::from_slice(&this).map_err(|e| not_whole(path, e))?)?;
        line = Some(next);
    }
    Err(not_whole(path, "it has no end"))
}

struct Lines<R> {
    from: BufReader<R>,
}

impl<R: Read> Lines<R> {
    /// The next line with its end; `None` after the last.
    fn next(&mut self) -> std::io::Result<Option<Vec<u8>>> {
        let mut line = Vec::new();
        let read = (&mut self.from).take(LINE_MAX).read_until(b'\n', &mut line)?;
        if read == 0 {
            return Ok(None);
        }
        if line.last() != Some(&b'\n') {
            return Err(std::io::Error::other("a line is cut off or too long"));
        }
        Ok(Some(line))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(n: u8) -> Row {
        Row {
            id: Id([n; 16]),
            seq: i64::from(n),
            host: "r1".to_owned(),
            severity: Some(3),
            ruleset: 7,
            rule_id: None,
            decision: Some("Ignore".to_owned()),
            dev: false,
            team: None,
            alert_id: None,
            body: vec![0, n, 255, b'\n'],
        }
    }

    fn begin(dir: &Path, owner: &str) -> Writing {
        let day = Timestamp::from_secs(1_764_028_800);
        let header = Header::new(true, day, Timestamp(day.0 + 86_400_000_000), Timestamp(5));
        Writing::begin(dir, owner, header).unwrap()
    }

    fn write(dir: &Path, rows: &[Row]) -> Archive {
        let mut writing = begin(dir, "one");
        rows.iter().for_each(|row| writing.push(row).unwrap());
        writing.finish().unwrap()
    }

    #[test]
    fn what_was_written_is_read_and_the_same_rows_are_written_once() {
        let dir = tempfile::tempdir().unwrap();
        let rows = [row(1), row(2)];
        let first = write(dir.path(), &rows);
        assert_eq!(first.name, "audit_handled-20251125.mutt.gz");
        let mut back = Vec::new();
        let facts = read(&dir.path().join(&first.name), |row| {
            back.push(row);
            Ok(())
        })
        .unwrap();
        assert_eq!((back.as_slice(), &facts), (rows.as_slice(), &first));
        assert_eq!(write(dir.path(), &rows), first, "the same rows make no second archive");
        assert_eq!(write(dir.path(), &rows[..1]).name, "audit_handled-20251125-2.mutt.gz");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2, "nothing else is left there");
    }

    #[test]
    fn one_that_was_overtaken_gives_up_and_harms_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let mut late = begin(dir.path(), "one");
        late.push(&row(1)).unwrap();
        let mut next = begin(dir.path(), "two");
        next.push(&row(1)).unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "what was left is removed");
        let refused = late.finish();
        assert!(matches!(refused, Err(StoreError::Hindered { .. })), "{refused:?}");
        let mut late = begin(dir.path(), "one");
        assert!(next.finish().is_err(), "it is overtaken now");
        late.push(&row(1)).unwrap();
        begin(dir.path(), "two").discard();
        assert!(late.finish().is_err());
        assert_eq!(write(dir.path(), &[row(1)]).rows, 1);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "and nothing else is left");
    }

    #[test]
    fn a_damaged_archive_is_refused_wherever_it_was_cut_or_changed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(write(dir.path(), &[row(1), row(2)]).name);
        let whole = fs::read(&path).unwrap();
        for cut in [0, 1, whole.len() / 2, whole.len() - 1] {
            fs::write(&path, &whole[..cut]).unwrap();
            assert!(matches!(read_facts(&path), Err(StoreError::Data(_))), "cut at {cut}");
        }
        for at in (12..whole.len()).step_by(7) {
            let mut changed = whole.clone();
            changed[at] ^= 0x10;
            fs::write(&path, &changed).unwrap();
            assert!(matches!(read_facts(&path), Err(StoreError::Data(_))), "changed at {at}");
        }
        let missing = read_facts(&dir.path().join("none"));
        assert!(matches!(missing, Err(StoreError::NotFound(_))));
    }
}
