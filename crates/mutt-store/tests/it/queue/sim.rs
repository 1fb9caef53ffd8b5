//! A disk in memory that forgets at a crash what was not synced: data by sectors, names by
//! operations; it runs out of space and fails writes and syncs when told.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use mutt_store::queue::fs::{Fs, FsFile, FsLock, LockError};

const SECTOR: usize = 512;
type Names = BTreeMap<PathBuf, u64>;

#[derive(Debug, Default)]
struct Inode {
    now: Vec<u8>,
    durable: Vec<u8>,
    /// Written since the last sync.
    dirty: Vec<(usize, usize)>,
    /// A byte whose block cannot be read.
    bad: Option<usize>,
}

#[derive(Debug, Default)]
struct Disk {
    inodes: HashMap<u64, Inode>,
    next: u64,
    names: Names,
    /// The names on stable storage, then after each operation since.
    history: Vec<Names>,
    epoch: u64,
    locked: bool,
    /// Bytes that may still be written; `None` for no limit.
    space: Option<u64>,
    fail_writes: u32,
    fail_syncs: u32,
    /// Changes until nothing works any more, as when the power goes.
    dies_after: Option<u32>,
}

/// The disk; clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct SimFs(Arc<Mutex<Disk>>);

#[derive(Debug)]
struct SimFile {
    fs: SimFs,
    inode: u64,
    epoch: u64,
}

#[derive(Debug)]
struct SimLock {
    fs: SimFs,
    epoch: u64,
}

fn eio() -> io::Error {
    io::Error::from_raw_os_error(5)
}

impl SimFs {
    fn disk(&self) -> MutexGuard<'_, Disk> {
        self.0.lock().unwrap()
    }

    /// The power goes: what was not synced survives in part, by chance. Files that are open fail.
    pub(crate) fn crash(&self, rng: &mut fastrand::Rng) {
        let mut disk = self.disk();
        disk.epoch += 1;
        disk.locked = false;
        disk.dies_after = None;
        (disk.fail_writes, disk.fail_syncs) = (0, 0);
        if !disk.history.is_empty() {
            let survived = rng.usize(..disk.history.len());
            disk.names = disk.history[survived].clone();
        }
        disk.history = vec![disk.names.clone()];
        for inode in disk.inodes.values_mut() {
            let dirty = std::mem::take(&mut inode.dirty);
            for (start, end) in dirty {
                for at in (start..end).step_by(SECTOR) {
                    if rng.bool() {
                        inode.persist(at, end.min(at + SECTOR));
                    }
                }
            }
            inode.now = inode.durable.clone();
        }
    }

    /// The process is killed: the system keeps what it was given.
    pub(crate) fn kill(&self) {
        let mut disk = self.disk();
        disk.epoch += 1;
        disk.locked = false;
        (disk.fail_writes, disk.fail_syncs) = (0, 0);
    }

    pub(crate) fn limit_space(&self, bytes: Option<u64>) {
        self.disk().space = bytes;
    }

    pub(crate) fn fail_writes(&self, times: u32) {
        self.disk().fail_writes = times;
    }

    pub(crate) fn fail_syncs(&self, times: u32) {
        self.disk().fail_syncs = times;
    }

    /// After this many more changes everything fails, until [`SimFs::crash`].
    pub(crate) fn die_after(&self, changes: u32) {
        self.disk().dies_after = Some(changes);
    }

    /// Flips a bit of a file, on the disk itself.
    pub(crate) fn flip(&self, path: &Path, at: usize) {
        let mut disk = self.disk();
        let inode = disk.names[path];
        let inode = disk.inodes.get_mut(&inode).unwrap();
        inode.now[at] ^= 1;
        inode.durable[at] ^= 1;
    }

    /// The block with this byte cannot be read any more.
    pub(crate) fn spoil(&self, path: &Path, at: usize) {
        let mut disk = self.disk();
        let inode = disk.names[path];
        disk.inodes.get_mut(&inode).unwrap().bad = Some(at);
    }

    /// Removes a name, on the disk itself.
    pub(crate) fn lose(&self, path: &Path) {
        let mut disk = self.disk();
        disk.names.remove(path).unwrap();
        for names in &mut disk.history {
            names.remove(path);
        }
    }

    fn file(&self, inode: u64) -> Box<dyn FsFile> {
        let epoch = self.disk().epoch;
        Box::new(SimFile { fs: self.clone(), inode, epoch })
    }

    fn change(&self, change: impl FnOnce(&mut Names) -> io::Result<()>) -> io::Result<()> {
        let mut disk = self.disk();
        disk.change()?;
        if disk.history.is_empty() {
            disk.history.push(Names::new());
        }
        change(&mut disk.names)?;
        let names = disk.names.clone();
        disk.history.push(names);
        Ok(())
    }
}

impl Disk {
    fn change(&mut self) -> io::Result<()> {
        match &mut self.dies_after {
            Some(0) => Err(eio()),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }
}

impl Inode {
    fn persist(&mut self, start: usize, end: usize) {
        let end = end.min(self.now.len());
        if start < end {
            if self.durable.len() < end {
                self.durable.resize(end, 0);
            }
            self.durable[start..end].copy_from_slice(&self.now[start..end]);
        }
    }
}

impl SimFile {
    fn disk(&self) -> io::Result<MutexGuard<'_, Disk>> {
        let disk = self.fs.disk();
        if disk.epoch == self.epoch { Ok(disk) } else { Err(eio()) }
    }
}

impl FsFile for SimFile {
    fn write_at(&self, slices: &mut [IoSlice<'_>], offset: u64) -> io::Result<()> {
        let mut bytes: Vec<u8> = slices.iter().flat_map(|s| s.iter().copied()).collect();
        let mut disk = self.disk()?;
        disk.change()?;
        let mut result = Ok(());
        if disk.fail_writes > 0 {
            disk.fail_writes -= 1;
            bytes.truncate(bytes.len() / 2);
            result = Err(eio());
        }
        let offset = offset as usize;
        let length = disk.inodes[&self.inode].now.len();
        let grows = (offset + bytes.len()).saturating_sub(length);
        if let Some(space) = disk.space {
            let over = grows.saturating_sub(space as usize);
            if over > 0 {
                bytes.truncate(bytes.len() - over);
                result = Err(io::Error::from_raw_os_error(28));
            }
            disk.space = Some(space - (grows - over) as u64);
        }
        let inode = disk.inodes.get_mut(&self.inode).unwrap();
        let end = offset + bytes.len();
        if inode.now.len() < end {
            inode.now.resize(end, 0);
        }
        inode.now[offset..end].copy_from_slice(&bytes);
        inode.dirty.push((offset, end));
        result
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let disk = self.disk()?;
        let inode = &disk.inodes[&self.inode];
        let from = offset as usize;
        let wanted = from..from + buf.len();
        if inode.bad.is_some_and(|bad| wanted.start / SECTOR <= bad / SECTOR && bad < wanted.end) {
            return Err(eio());
        }
        let now = &inode.now;
        let from = now.get(offset as usize..).unwrap_or_default();
        let read = from.len().min(buf.len());
        buf[..read].copy_from_slice(&from[..read]);
        Ok(read)
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.disk()?.inodes[&self.inode].now.len() as u64)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut disk = self.disk()?;
        disk.change()?;
        let inode = disk.inodes.get_mut(&self.inode).unwrap();
        let freed = inode.now.len().saturating_sub(len as usize) as u64;
        inode.now.resize(len as usize, 0);
        for (start, end) in &mut inode.dirty {
            (*start, *end) = ((*start).min(len as usize), (*end).min(len as usize));
        }
        disk.space = disk.space.map(|s| s + freed);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut disk = self.disk()?;
        disk.change()?;
        let fails = disk.fail_syncs > 0;
        disk.fail_syncs = disk.fail_syncs.saturating_sub(1);
        let inode = disk.inodes.get_mut(&self.inode).unwrap();
        let dirty = std::mem::take(&mut inode.dirty);
        if fails {
            // What was dirty counts as clean now; a later sync succeeds without it.
            return Err(eio());
        }
        let length = inode.now.len();
        inode.durable.truncate(length);
        for (start, end) in dirty {
            inode.persist(start, end);
        }
        Ok(())
    }

    fn release(&self) {
        let disk = self.fs.disk();
        let dirty = disk.inodes.get(&self.inode).map_or(0, |inode| inode.dirty.len());
        assert_eq!(dirty, 0, "a file was released that was not synced");
    }
}

impl FsLock for SimLock {}

impl Drop for SimLock {
    fn drop(&mut self) {
        let mut disk = self.fs.disk();
        if disk.epoch == self.epoch {
            disk.locked = false;
        }
    }
}

fn missing() -> io::Error {
    io::ErrorKind::NotFound.into()
}

impl Fs for SimFs {
    fn create_dir(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let disk = self.disk();
        let inside = disk.names.keys().filter(|path| path.parent() == Some(dir));
        Ok(inside.map(|p| p.file_name().unwrap().to_string_lossy().into_owned()).collect())
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn FsFile>> {
        let inode = {
            let mut disk = self.disk();
            if disk.space == Some(0) {
                return Err(io::Error::from_raw_os_error(28));
            }
            disk.next += 1;
            let inode = disk.next;
            disk.inodes.insert(inode, Inode::default());
            inode
        };
        self.change(|names| {
            names.insert(path.to_owned(), inode);
            Ok(())
        })?;
        Ok(self.file(inode))
    }

    fn open(&self, path: &Path, _: bool) -> io::Result<Box<dyn FsFile>> {
        let inode = *self.disk().names.get(path).ok_or_else(missing)?;
        Ok(self.file(inode))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.change(|names| {
            let inode = names.remove(from).ok_or_else(missing)?;
            names.insert(to.to_owned(), inode);
            Ok(())
        })
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.change(|names| {
            let inode = *names.get(from).ok_or_else(missing)?;
            names.insert(to.to_owned(), inode);
            Ok(())
        })
    }

    fn unlink(&self, path: &Path) -> io::Result<()> {
        self.change(|names| names.remove(path).map(|_| ()).ok_or_else(missing))
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut disk = self.disk();
        disk.change()?;
        if disk.fail_syncs > 0 {
            disk.fail_syncs -= 1;
            return Err(eio());
        }
        let inside: Names = disk
            .names
            .iter()
            .filter(|(path, _)| path.parent() == Some(dir))
            .map(|(path, inode)| (path.clone(), *inode))
            .collect();
        for names in &mut disk.history {
            names.retain(|path, _| path.parent() != Some(dir));
            names.extend(inside.clone());
        }
        disk.history.dedup();
        Ok(())
    }

    fn free_bytes(&self, _: &Path) -> io::Result<u64> {
        Ok(self.disk().space.unwrap_or(u64::MAX))
    }

    fn lock(&self, _: &Path) -> Result<Box<dyn FsLock>, LockError> {
        let mut disk = self.disk();
        if std::mem::replace(&mut disk.locked, true) {
            return Err(LockError::Held(Some(1)));
        }
        Ok(Box::new(SimLock { fs: self.clone(), epoch: disk.epoch }))
    }
}
