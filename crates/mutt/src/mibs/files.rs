//! The files of the folders: found in a fixed order, within limits, read and mended one at a time.

use std::path::{Path, PathBuf};

use mutt_store::store::other_ending;

use super::compile::Given;
use super::report::Problem;
use super::{FILE_BYTES_MAX, FILES_MAX, FOLDER_DEPTH_MAX, TOTAL_BYTES_MAX};

/// A file that is looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Where it lies.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// When it was changed last, in nanoseconds, for the digest only.
    changed: u128,
}

/// Why a file is not read at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    /// Where it lies.
    pub path: PathBuf,
    /// Why.
    pub why: String,
    /// What mends it.
    pub fix: &'static str,
}

/// What mends a file that cannot be read, or may not.
const READABLE: &str = "make the file readable, or smaller";
/// What mends a file that ends the process which reads it.
const NO_MIB: &str = "take the file away, or get the MIB anew: it is none of a vendor's";

/// What lies in the folders.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// Folder by folder as they are named, by name inside.
    pub files: Vec<Found>,
    /// Files that are not read.
    pub left: Vec<Left>,
}

impl Listing {
    /// Leaves a file out because of what it does to who reads it.
    pub fn set_aside(&mut self, path: &Path, why: &str) {
        if let Some(at) = self.files.iter().position(|found| found.path == path) {
            let path = self.files.remove(at).path;
            self.left.push(Left { path, why: why.to_owned(), fix: NO_MIB });
        }
    }
}

/// Looks into the folders. One that does not exist has no files; that is no fault.
#[must_use]
pub fn list(folders: &[PathBuf]) -> Listing {
    let mut out = Listing::default();
    let mut total = 0;
    for folder in folders {
        if folder.is_file() {
            add(&mut out, &mut total, folder.clone());
        } else {
            walk(&mut out, &mut total, folder, 0);
        }
    }
    out
}

fn walk(out: &mut Listing, total: &mut u64, folder: &Path, depth: usize) {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(why) if why.kind() == std::io::ErrorKind::NotFound => return,
        Err(why) => {
            out.left.push(Left { path: folder.to_owned(), why: why.to_string(), fix: READABLE });
            return;
        }
    };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.starts_with('.') || other_ending(&name).is_some() {
            continue;
        }
        if path.is_dir() {
            if depth < FOLDER_DEPTH_MAX {
                walk(out, total, &path, depth + 1);
            }
        } else {
            add(out, total, path);
        }
    }
}

fn add(out: &mut Listing, total: &mut u64, path: PathBuf) {
    let meta = match std::fs::metadata(&path) {
        Ok(meta) if meta.is_file() => meta,
        // Pipes and devices are no files of anybody's.
        Ok(_) => return,
        Err(why) => {
            out.left.push(Left { path, why: why.to_string(), fix: READABLE });
            return;
        }
    };
    let bytes = meta.len();
    let why = if bytes > FILE_BYTES_MAX {
        Some(format!("{bytes} bytes are more than the {FILE_BYTES_MAX} that a file may have"))
    } else if out.files.len() >= FILES_MAX {
        Some(format!("more than {FILES_MAX} files"))
    } else if *total + bytes > TOTAL_BYTES_MAX {
        Some(format!("all files together have more than {TOTAL_BYTES_MAX} bytes"))
    } else {
        None
    };
    if let Some(why) = why {
        out.left.push(Left { path, why, fix: READABLE });
        return;
    }
    *total += bytes;
    let changed = meta.modified().ok().and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
    out.files.push(Found { path, bytes, changed: changed.map_or(0, |at| at.as_nanos()) });
}

/// Every file of the listing, read when its turn comes.
pub fn given(listing: &Listing) -> impl Iterator<Item = Given> {
    let refused = |path: &Path, cause: String, fix: &str| Given {
        file: path.display().to_string(),
        bytes: Err(Problem { line: 0, cause, fix: fix.to_owned() }),
    };
    let left = listing.left.iter();
    let left = left.map(move |left| refused(&left.path, left.why.clone(), left.fix));
    left.chain(listing.files.iter().map(move |found| match read(&found.path) {
        Ok(bytes) => Given { file: found.path.display().to_string(), bytes: Ok(bytes) },
        Err(why) => {
            refused(&found.path, why.to_string(), "make the file readable for the service's user")
        }
    }))
}

/// What tells one state of the folders from another, also between versions of the program.
#[must_use]
pub fn digest(listing: &Listing) -> String {
    let mut context = ring::digest::Context::new(&ring::digest::SHA256);
    context.update(env!("CARGO_PKG_VERSION").as_bytes());
    context.update(&super::table::FORMAT.to_be_bytes());
    for file in &listing.files {
        context.update(file.path.as_os_str().as_encoded_bytes());
        context.update(&[0]);
        context.update(&file.bytes.to_be_bytes());
        context.update(&file.changed.to_be_bytes());
    }
    context.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Reads a file within the limit, whatever it has become since it was listed.
///
/// # Errors
///
/// When it cannot be opened or read.
pub fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(FILE_BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(bytes)
}
