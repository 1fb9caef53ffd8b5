//! A disk that can be cut off or filled: ext4 in a file, mounted by a loop device. Needs root.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::wait::env;

/// Set where a skip must be a failure.
const REQUIRED: &str = "MUTT_REQUIRE_POWER_TEST";
/// `EXT4_IOC_SHUTDOWN` with `EXT4_GOING_FLAGS_NOLOGFLUSH`: nothing that was not synced is written any
/// more, as when the power is cut.
const CUT: &str = "import fcntl,os,struct,sys; fcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), 0x8004587d, struct.pack('I', 2))";

/// See the module. Unmounted when it is dropped.
#[derive(Debug)]
pub(crate) struct Disk {
    folder: tempfile::TempDir,
    boots: u32,
    mounted: bool,
}

impl Disk {
    /// A new disk of so many MiB; none, with a printed line, where it cannot be had.
    pub(crate) fn new(mebibytes: u64) -> Option<Self> {
        let disk = Self { folder: tempfile::tempdir().unwrap(), boots: 0, mounted: false };
        match disk.prepare(mebibytes) {
            Ok(disk) => Some(disk),
            Err(why) => {
                assert!(env(REQUIRED).is_none(), "{REQUIRED} is set, and {why}");
                println!("skipped: {why}");
                None
            }
        }
    }

    fn prepare(mut self, mebibytes: u64) -> Result<Self, String> {
        if !nix::unistd::geteuid().is_root() {
            return Err("mounting a disk needs root".to_owned());
        }
        let image = std::fs::File::create(self.image()).unwrap();
        image.set_len(mebibytes << 20).unwrap();
        std::fs::create_dir(self.path()).unwrap();
        run("mkfs.ext4", &[OsStr::new("-q"), OsStr::new("-F"), self.image().as_os_str()])?;
        run("python3", &[OsStr::new("-c"), OsStr::new("import fcntl")])?;
        self.mount()?;
        Ok(self)
    }

    fn image(&self) -> PathBuf {
        self.folder.path().join(format!("image-{}", self.boots))
    }

    /// Where it is mounted.
    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("disk")
    }

    fn mount(&mut self) -> Result<(), String> {
        let options = [OsStr::new("-o"), OsStr::new("loop")];
        let (image, path) = (self.image(), self.path());
        run("mount", &[options[0], options[1], image.as_os_str(), path.as_os_str()])?;
        self.mounted = true;
        Ok(())
    }

    /// Cuts the power.
    #[track_caller]
    pub(crate) fn cut(&self) {
        run("python3", &[OsStr::new("-c"), OsStr::new(CUT), self.path().as_os_str()]).unwrap();
    }

    /// Goes on with what the disk holds now, as after a reboot. It is a copy: while anything on this
    /// machine still knows the old mount (a namespace of another process), the kernel would give the
    /// old one back, cut off as it is.
    #[track_caller]
    pub(crate) fn reboot(&mut self) {
        let old = self.image();
        self.boots += 1;
        std::fs::write(self.image(), std::fs::read(old).unwrap()).unwrap();
        run("umount", &[OsStr::new("-l"), self.path().as_os_str()]).unwrap();
        self.mounted = false;
        self.mount().unwrap();
    }

    /// Leaves not a block to others.
    #[track_caller]
    pub(crate) fn fill(&self) -> Filler {
        let path = self.path().join("filler");
        let mut file = std::fs::File::create(&path).unwrap();
        for block in [1 << 20, 4_096, 1] {
            while std::io::Write::write_all(&mut file, &vec![b'x'; block]).is_ok() {}
        }
        let _ = file.sync_all();
        Filler(path)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if self.mounted {
            let _ = run("umount", &[OsStr::new("-l"), self.path().as_os_str()]);
        }
    }
}

/// What fills a disk.
#[derive(Debug)]
pub(crate) struct Filler(PathBuf);

impl Filler {
    /// Gives the space back.
    pub(crate) fn remove(self) {
        std::fs::remove_file(self.0).unwrap();
    }
}

fn run(program: &str, arguments: &[&OsStr]) -> Result<(), String> {
    // Programs of the administrator are not in everybody's path.
    let found = ["/usr/sbin", "/sbin", "/usr/bin", "/bin"].map(|dir| Path::new(dir).join(program));
    let Some(file) = found.iter().find(|file| file.is_file()) else {
        return Err(format!("{program} is not installed"));
    };
    let output = Command::new(file).args(arguments).output().map_err(|e| e.to_string())?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{program} failed: {}", String::from_utf8_lossy(&output.stderr).trim()))
}
