//! All file access of the embedded queue: the trait that a test's simulated disk implements too, and
//! the real one.

use std::fs::{File, OpenOptions};
use std::io::{self, IoSlice, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::Path;

use nix::fcntl::{Flock, FlockArg, PosixFadviseAdvice, posix_fadvise};

/// An open file. Offsets are explicit; nothing is buffered in between.
pub trait FsFile: Send + Sync + std::fmt::Debug {
    /// Writes all of it at `offset`.
    ///
    /// # Errors
    ///
    /// The system's; part of it may have been written.
    fn write_at(&self, slices: &mut [IoSlice<'_>], offset: u64) -> io::Result<()>;

    /// Reads until `buf` is full or the file ends; how much was read.
    ///
    /// # Errors
    ///
    /// The system's.
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize>;

    /// The file's length.
    ///
    /// # Errors
    ///
    /// The system's.
    fn length(&self) -> io::Result<u64>;

    /// Cuts or extends the file.
    ///
    /// # Errors
    ///
    /// The system's.
    fn set_len(&self, len: u64) -> io::Result<()>;

    /// Returns when data and length are on stable storage.
    ///
    /// # Errors
    ///
    /// The system's; what was written since the last success must then be taken as gone.
    fn sync(&self) -> io::Result<()>;

    /// Says that what was synced need not stay in memory: it is not read again soon. A hint.
    fn release(&self) {}
}

/// What keeps a second process out until it is dropped.
pub trait FsLock: Send + Sync + std::fmt::Debug {}

/// Why a directory's lock was not given.
#[derive(Debug)]
pub enum LockError {
    /// Held; by this process, where it could be read.
    Held(Option<u32>),
    /// The system's error.
    Io(io::Error),
}

/// A file system.
pub trait Fs: Send + Sync + std::fmt::Debug {
    /// Makes a directory and those above it, durably.
    ///
    /// # Errors
    ///
    /// The system's.
    fn create_dir(&self, dir: &Path) -> io::Result<()>;

    /// The names in a directory, in any order; none when there is no such directory.
    ///
    /// # Errors
    ///
    /// The system's.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>>;

    /// Makes a file, empty also when it existed.
    ///
    /// # Errors
    ///
    /// The system's.
    fn create(&self, path: &Path) -> io::Result<Box<dyn FsFile>>;

    /// Opens a file that exists.
    ///
    /// # Errors
    ///
    /// The system's.
    fn open(&self, path: &Path, write: bool) -> io::Result<Box<dyn FsFile>>;

    /// Renames within the file system, replacing.
    ///
    /// # Errors
    ///
    /// The system's.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Gives a file a second name.
    ///
    /// # Errors
    ///
    /// The system's.
    fn link(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a name.
    ///
    /// # Errors
    ///
    /// The system's.
    fn unlink(&self, path: &Path) -> io::Result<()>;

    /// Returns when the names in the directory are on stable storage.
    ///
    /// # Errors
    ///
    /// The system's.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;

    /// Bytes that this process may still write.
    ///
    /// # Errors
    ///
    /// The system's.
    fn free_bytes(&self, dir: &Path) -> io::Result<u64>;

    /// Takes the directory for this process alone.
    ///
    /// # Errors
    ///
    /// When another has it.
    fn lock(&self, path: &Path) -> Result<Box<dyn FsLock>, LockError>;
}

/// The machine's own file system.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealFs;

impl FsFile for File {
    fn write_at(&self, mut slices: &mut [IoSlice<'_>], mut offset: u64) -> io::Result<()> {
        IoSlice::advance_slices(&mut slices, 0);
        while !slices.is_empty() {
            let few = slices.len().min(1_024);
            let at = i64::try_from(offset).map_err(io::Error::other)?;
            match nix::sys::uio::pwritev(self, &slices[..few], at) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    offset += written as u64;
                    IoSlice::advance_slices(&mut slices, written);
                }
                Err(nix::errno::Errno::EINTR) => {}
                Err(e) => return Err(e.into()),
            }
        }
        Ok(())
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut read = 0;
        while read < buf.len() {
            match FileExt::read_at(self, &mut buf[read..], offset + read as u64) {
                Ok(0) => break,
                Ok(n) => read += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(read)
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        File::set_len(self, len)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }

    fn release(&self) {
        // Where the hint is refused, the pages stay as long as the system likes.
        let _ = posix_fadvise(self, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED);
    }
}

impl FsLock for Flock<File> {}

impl Fs for RealFs {
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        if dir.is_dir() {
            return Ok(());
        }
        let parent = dir.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        self.create_dir(parent)?;
        std::fs::DirBuilder::new().mode(0o700).create(dir)?;
        self.sync_dir(parent)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let entries = match std::fs::read_dir(dir) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other?,
        };
        entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn FsFile>> {
        let mut options = OpenOptions::new();
        // What devices send is nobody else's to read.
        options.read(true).write(true).create(true).truncate(true).mode(0o600);
        Ok(Box::new(options.open(path)?))
    }

    fn open(&self, path: &Path, write: bool) -> io::Result<Box<dyn FsFile>> {
        Ok(Box::new(OpenOptions::new().read(true).write(write).open(path)?))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::hard_link(from, to)
    }

    fn unlink(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        File::open(dir)?.sync_all()
    }

    fn free_bytes(&self, dir: &Path) -> io::Result<u64> {
        let stat = nix::sys::statvfs::statvfs(dir)?;
        Ok(stat.blocks_available().saturating_mul(stat.fragment_size()))
    }

    fn lock(&self, path: &Path) -> Result<Box<dyn FsLock>, LockError> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let file = options.open(path);
        match Flock::lock(file.map_err(LockError::Io)?, FlockArg::LockExclusiveNonblock) {
            Ok(mut lock) => {
                // Only for the message to a second process; a full disk must not keep us out.
                let _ = write_pid(&mut lock);
                Ok(Box::new(lock))
            }
            Err((mut file, nix::errno::Errno::EWOULDBLOCK)) => {
                let mut text = String::new();
                let pid =
                    file.read_to_string(&mut text).ok().and_then(|_| text.trim().parse().ok());
                Err(LockError::Held(pid))
            }
            Err((_, errno)) => Err(LockError::Io(errno.into())),
        }
    }
}

fn write_pid(file: &mut File) -> io::Result<()> {
    file.rewind()?;
    file.set_len(0)?;
    writeln!(file, "{}", std::process::id())
}
