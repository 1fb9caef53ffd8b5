//! Two versions of the packages, and a root that is thrown away: this machine's own below, what is
//! changed in memory above, in a mount namespace that ends with each script.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::tools::{find, run};

/// Lays the root out and gives the script its words: `see NAME` begins a fact, `asked` tells what
/// systemctl was asked since the last time, `$R` is the root and `$P` holds the packages.
const PRELUDE: &str = r#"
set -e
mount -t tmpfs throwaway /mnt
mkdir /mnt/upper /mnt/work /mnt/root
mount -t overlay throwaway -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work /mnt/root
R=/mnt/root
mkdir -p $R/run/systemd/system
rm -f $R/usr/bin/systemctl
printf '#!/bin/sh\necho "$@" >> /asked\n' > $R/usr/bin/systemctl
chmod 0755 $R/usr/bin/systemctl
see() { echo "== $1"; }
asked() { touch $R/asked; cat $R/asked; rm $R/asked; }
exec 2>&1
"#;

/// `old.rpm`, `new.rpm`, `old.deb` and `new.deb` in one folder.
pub(super) struct Packages(tempfile::TempDir);

impl Packages {
    /// Builds them with the program under test; `None` where that cannot be done here.
    pub(super) fn built() -> Option<Self> {
        if !nix::unistd::geteuid().is_root() {
            println!("skipped: not root");
            return None;
        }
        for tool in ["rpmbuild", "dpkg-deb", "strip", "checkmodule", "semodule_package", "unshare"]
        {
            find(tool)?;
        }
        let packages = Self(tempfile::tempdir().unwrap());
        packages.build(&super::project(), "old", "3.0.0");
        // The next version brings another configuration.
        let next = tempfile::tempdir().unwrap();
        for name in ["packaging", "scripts", "docs", "Cargo.toml", "LICENSE", "CHANGELOG.md"] {
            run(Command::new("cp").arg("-r").arg(super::project().join(name)).arg(next.path()));
        }
        let file = next.path().join("packaging/files/mutt.toml");
        let text = std::fs::read_to_string(&file).unwrap() + "# of the next version\n";
        std::fs::write(&file, text).unwrap();
        packages.build(next.path(), "new", "3.1.0");
        Some(packages)
    }

    fn build(&self, tree: &Path, name: &str, version: &str) {
        let mut script = Command::new(tree.join("scripts/package"));
        script.args(["--binary", super::MUTTCTL, "--version", version, "--out"]);
        let said = run(script.arg(self.0.path().join(name))).stdout;
        for package in String::from_utf8(said).unwrap().lines().map(PathBuf::from) {
            let kind = package.extension().unwrap().to_str().unwrap().to_owned();
            std::fs::rename(package, self.0.path().join(format!("{name}.{kind}"))).unwrap();
        }
    }
}

/// See the module.
pub(super) struct Root<'a>(&'a Packages);

impl<'a> Root<'a> {
    pub(super) fn new(packages: &'a Packages) -> Self {
        Self(packages)
    }

    /// What a script prints that runs in a new throwaway root.
    pub(super) fn sh(&self, script: &str) -> String {
        let script = format!("P={}\n{PRELUDE}\nset +e\n{script}", self.0.0.path().display());
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation", "private", "bash", "-c", &script]);
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
        said
    }
}

/// What was seen, by name.
pub(super) fn facts(said: &str) -> BTreeMap<String, String> {
    let parts = said.split("== ").skip(1);
    parts
        .filter_map(|part| part.split_once('\n'))
        .map(|(name, text)| (name.to_owned(), text.to_owned()))
        .collect()
}
