//! The packages: units as the registries say and hardened, files that are valid, an rpm and a deb that
//! are installed, upgraded, downgraded and erased in a throwaway root.

mod root;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use mutt::config::keys;

use self::root::{Packages, Root, facts};
use crate::support::tools::{find, run};

const MUTTCTL: &str = env!("CARGO_BIN_EXE_muttctl");

fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

fn read(name: &str) -> String {
    std::fs::read_to_string(project().join(name)).unwrap_or_else(|why| panic!("{name}: {why}"))
}

/// The units of the packages; a template as its first instance.
fn units() -> Vec<(String, String)> {
    let units = mutt::reference::units();
    units.into_iter().map(|unit| (unit.file.replace("@.", "@1."), unit.text)).collect()
}

#[test]
fn the_committed_units_are_what_the_registries_say() {
    let folder = project().join("packaging/systemd");
    let committed: BTreeSet<String> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let units = mutt::reference::units();
    assert_eq!(committed, units.iter().map(|unit| unit.file.to_owned()).collect());
    for unit in units {
        assert!(
            read(&format!("packaging/systemd/{}", unit.file)) == unit.text,
            "packaging/systemd/{} is not what the registries say; run scripts/gen-reference",
            unit.file
        );
    }
}

#[test]
fn each_unit_is_understood_by_systemd_and_scores_at_most_2() {
    if find("systemd-analyze").is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in units() {
        let file = folder.path().join(&name);
        // The program of the package is not installed here.
        std::fs::write(&file, text.replace("/usr/bin/muttctl", "/bin/true")).unwrap();
        let security = ["security", "--offline=true", "--threshold=20"];
        let scored = Command::new("systemd-analyze").args(security).arg(&file).output().unwrap();
        let table = String::from_utf8_lossy(&scored.stdout);
        let last = table.lines().last().unwrap_or_default();
        assert!(scored.status.success() && last.contains("exposure level"), "{name}: {last}");
        let verify = ["verify", "--man=no", "--generators=no"];
        let said = Command::new("systemd-analyze").args(verify).arg(&file).output().unwrap();
        let said = String::from_utf8_lossy(&said.stderr).into_owned();
        assert!(!said.contains(&name), "{name}: {said}");
    }
}

#[test]
fn only_what_hears_devices_may_open_ports_below_1024() {
    for (name, text) in units() {
        let hears = name == "mutt.service" || name == "mutt-ingestor.service";
        for key in ["AmbientCapabilities", "CapabilityBoundingSet"] {
            let line = text.lines().find(|line| line.starts_with(key)).unwrap();
            let right = if hears { "CAP_NET_BIND_SERVICE" } else { "" };
            assert_eq!(line, format!("{key}={right}"), "{name}");
        }
        for line in ["Type=notify", "WatchdogSec=30s", "LoadCredential=secrets:/etc/mutt/secrets"] {
            assert!(text.lines().any(|there| there == line), "{name}: {line}");
        }
    }
}

#[test]
fn the_packaged_configuration_is_good_and_the_firewall_knows_its_ports() {
    let file = project().join("packaging/files/mutt.toml");
    run(Command::new(MUTTCTL).arg("check").arg("--config").arg(&file));
    let configuration = read("packaging/files/mutt.toml");
    // What stands behind `#` is how it would be written.
    let set: Vec<&str> = configuration.lines().filter(|line| !line.starts_with('#')).collect();
    let firewall = read("packaging/firewalld/mutt.xml");
    // The port, its key, and whether the packaged configuration listens there.
    let ports = [
        ("udp", 514, "ingestor.syslog.udp", true),
        ("tcp", 514, "ingestor.syslog.tcp", true),
        ("tcp", 6514, "ingestor.syslog.tls", false),
        ("tcp", 2514, "ingestor.syslog.relp", false),
        ("udp", 162, "ingestor.snmp.udp", true),
    ];
    for (protocol, port, key, listens) in ports {
        let known = |known: &keys::Key| {
            known
                .path
                .strip_prefix(key)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with("[]"))
        };
        assert!(keys::all().any(known), "no such key: {key}");
        let listened = set.iter().any(|line| line.contains(&format!(":{port}\"]")));
        assert_eq!(listened, listens, "{port}");
        let rule = format!("<port protocol=\"{protocol}\" port=\"{port}\"/>");
        assert!(firewall.contains(&rule), "{rule}");
    }
    assert_eq!(firewall.matches("<port ").count(), ports.len(), "a port without a key");
}

#[test]
fn systemd_makes_the_user_and_the_folder_of_the_packaged_files() {
    use std::os::unix::fs::MetadataExt as _;
    if find("systemd-sysusers").is_none()
        || find("systemd-tmpfiles").is_none()
        || !nix::unistd::geteuid().is_root()
    {
        println!("skipped: not root, or no systemd-sysusers and systemd-tmpfiles");
        return;
    }
    let root = tempfile::tempdir().unwrap();
    std::fs::create_dir(root.path().join("etc")).unwrap();
    for kind in ["sysusers", "tmpfiles"] {
        let folder = root.path().join(format!("usr/lib/{kind}.d"));
        std::fs::create_dir_all(&folder).unwrap();
        let text = read(&format!("packaging/files/mutt.{kind}"));
        std::fs::write(folder.join("mutt.conf"), text).unwrap();
    }
    let at = format!("--root={}", root.path().display());
    run(Command::new("systemd-sysusers").arg(&at));
    run(Command::new("systemd-tmpfiles").arg(&at).arg("--create"));
    let users = std::fs::read_to_string(root.path().join("etc/passwd")).unwrap();
    let user: Vec<&str> = users.trim_end().split(':').collect();
    assert_eq!((user[0], user[5], user[6]), ("mutt", "/var/lib/mutt", "/sbin/nologin"), "{users}");
    let folder = std::fs::metadata(root.path().join("var/lib/mutt")).unwrap();
    assert_eq!(folder.mode() & 0o7777, 0o750);
    assert_eq!(
        (folder.uid().to_string(), folder.gid().to_string()),
        (user[2].into(), user[3].into())
    );
}

/// Versions of glibc whose symbols a program needs.
fn glibc(program: &Path) -> BTreeSet<(u32, u32)> {
    let table = run(Command::new("objdump").arg("-T").arg(program)).stdout;
    let table = String::from_utf8(table).unwrap();
    let versions = table.split("GLIBC_").skip(1).filter_map(|rest| {
        let end = rest.find(|c: char| c != '.' && !c.is_ascii_digit()).unwrap_or(rest.len());
        let mut numbers = rest[..end].split('.').map_while(|number| number.parse().ok());
        Some((numbers.next()?, numbers.next()?))
    });
    versions.collect()
}

#[test]
fn the_program_runs_with_the_glibc_of_rhel_9() {
    if find("objdump").is_none() {
        return;
    }
    let needed = glibc(Path::new(MUTTCTL));
    assert!(needed.contains(&(2, 17)) || needed.len() > 3, "the table is read wrongly: {needed:?}");
    let highest = needed.last().unwrap();
    assert!(*highest <= (2, 34), "needs glibc {highest:?}; RHEL 9 has 2.34");
    println!("the highest symbol version is GLIBC_{}.{}", highest.0, highest.1);
}

/// What both packages must do; `kept` is where the edited configuration is after it was erased.
fn lives_and_dies(root: &Root, steps: [&str; 4], kept: &str, new: &str) {
    let [install, upgrade, downgrade, erase] = steps;
    let script = format!(
        r#"
        see installed; {install}
        chroot $R stat -c '%n %A %U:%G' /etc/mutt /etc/mutt/mutt.toml /etc/mutt/secrets /var/lib/mutt \
            /usr/bin/muttctl /usr/lib/systemd/system/mutt-alerter@.service /usr/share/man/man1/muttctl.1.gz \
            /usr/share/bash-completion/completions/muttctl /usr/share/selinux/packages/mutt/mutt.pp \
            /usr/lib/firewalld/services/mutt.xml /usr/lib/sysusers.d/mutt.conf
        see works; chroot $R setpriv --reuid mutt --regid mutt --init-groups \
            /usr/bin/muttctl check --config /etc/mutt/mutt.toml 2>&1; chroot $R /usr/bin/muttctl version
        echo secret > $R/etc/mutt/secrets/snmp-community; chroot $R chown root:mutt /etc/mutt/secrets/snmp-community
        chmod 0640 $R/etc/mutt/secrets/snmp-community
        sed 's/^# communities/communities/' $R/etc/mutt/mutt.toml > $R/etc/mutt/with-secrets.toml
        see secrets; chroot $R setpriv --reuid mutt --regid mutt --init-groups \
            /usr/bin/muttctl check --config /etc/mutt/with-secrets.toml 2>&1
        see installed-asked; asked
        echo '# edited here' >> $R/etc/mutt/mutt.toml
        echo secret > $R/etc/mutt/secrets/moog-token; echo data > $R/var/lib/mutt/data
        see upgraded; {upgrade}
        tail -n 1 $R/etc/mutt/mutt.toml; tail -n 1 $R{new}; chroot $R stat -c '%A %U:%G' /etc/mutt/mutt.toml
        see upgraded-asked; asked
        see downgraded; {downgrade}
        tail -n 1 $R/etc/mutt/mutt.toml
        see downgraded-asked; asked
        see erased; {erase}
        for f in /usr/bin/muttctl /usr/lib/systemd/system/mutt.service /usr/share/man/man1/muttctl.1.gz; do
            [ ! -e $R$f ] || echo "left: $f"
        done
        tail -n 1 $R{kept}; cat $R/etc/mutt/secrets/moog-token $R/var/lib/mutt/data
        see erased-asked; asked
        "#
    );
    let seen = facts(&root.sh(&script));
    let fact = |name: &str| seen.get(name).map_or("", String::as_str).trim();
    let installed = "/etc/mutt drwxr-x--- root:mutt\n/etc/mutt/mutt.toml -rw-r----- root:mutt\n\
        /etc/mutt/secrets drwxr-x--- root:mutt\n/var/lib/mutt drwxr-x--- mutt:mutt\n\
        /usr/bin/muttctl -rwxr-xr-x root:root\n\
        /usr/lib/systemd/system/mutt-alerter@.service -rw-r--r-- root:root\n\
        /usr/share/man/man1/muttctl.1.gz -rw-r--r-- root:root\n\
        /usr/share/bash-completion/completions/muttctl -rw-r--r-- root:root\n\
        /usr/share/selinux/packages/mutt/mutt.pp -rw-r--r-- root:root\n\
        /usr/lib/firewalld/services/mutt.xml -rw-r--r-- root:root\n\
        /usr/lib/sysusers.d/mutt.conf -rw-r--r-- root:root";
    assert!(fact("installed").ends_with(installed), "{}", fact("installed"));
    assert!(fact("works").contains("the configuration is good"), "{}", fact("works"));
    assert!(fact("works").contains("muttctl 3."), "{}", fact("works"));
    // A credential of the units, read by hand by the user of the units.
    assert!(fact("secrets").contains("the configuration is good"), "{}", fact("secrets"));
    let edited = "# edited here\n# of the next version\n-rw-r----- root:mutt";
    assert!(fact("upgraded").ends_with(edited), "{}", fact("upgraded"));
    assert!(fact("downgraded").ends_with("# edited here"), "{}", fact("downgraded"));
    assert!(fact("erased").ends_with("# edited here\nsecret\ndata"), "{}", fact("erased"));
    assert!(!fact("erased").contains("left:"), "{}", fact("erased"));
    for moment in ["installed-asked", "upgraded-asked", "downgraded-asked"] {
        let asked = fact(moment);
        let starts =
            |line: &str| line.split(' ').any(|w| ["start", "restart", "enable"].contains(&w));
        assert!(!asked.lines().any(starts), "{moment}: {asked}");
        // Services apart wait for the schema and for their turn.
        let again: Vec<&str> = asked.lines().filter(|line| line.contains("try-restart")).collect();
        let expected =
            if moment == "installed-asked" { &[][..] } else { &["try-restart mutt.service"] };
        assert_eq!(again, expected, "{moment}: {asked}");
    }
    assert!(
        fact("erased-asked").contains("disable --now mutt.service"),
        "{}",
        fact("erased-asked")
    );
}

#[test]
fn the_rpm_installs_upgrades_downgrades_and_erases() {
    let Some(packages) = Packages::built() else { return };
    let root = Root::new(&packages);
    // Dependencies are those of RHEL; what they say is looked at below.
    let rpm = "rpm --root $R --dbpath /var/lib/rpm-of-the-test --nodeps";
    lives_and_dies(
        &root,
        [
            &format!("{rpm} -i $P/old.rpm && {rpm} -V mutt-telemetry"),
            &format!("{rpm} -U $P/new.rpm"),
            &format!("{rpm} -U --oldpackage $P/old.rpm"),
            &format!("{rpm} -e mutt-telemetry"),
        ],
        "/etc/mutt/mutt.toml.rpmsave",
        "/etc/mutt/mutt.toml.rpmnew",
    );
    let asked = root.sh("rpm -qp --requires $P/old.rpm; rpm -qp --configfiles $P/old.rpm");
    for line in ["systemd >= 247", "ca-certificates", "shadow-utils", "/etc/mutt/mutt.toml"] {
        assert!(asked.contains(line), "{line}: {asked}");
    }
    assert!(asked.contains("libc.so.6(GLIBC_2.34)"), "{asked}");
    assert!(!asked.contains("GLIBC_2.35") && !asked.contains("libssl"), "{asked}");
}

#[test]
fn the_deb_installs_upgrades_downgrades_and_erases() {
    let Some(packages) = Packages::built() else { return };
    let root = Root::new(&packages);
    let dpkg = "DEBIAN_FRONTEND=noninteractive dpkg --root=$R --force-depends --force-confold --force-confdef";
    lives_and_dies(
        &root,
        [
            &format!("{dpkg} -i $P/old.deb >/dev/null"),
            &format!("{dpkg} -i $P/new.deb >/dev/null"),
            &format!("{dpkg} -i $P/old.deb >/dev/null"),
            &format!("{dpkg} -r mutt-telemetry >/dev/null"),
        ],
        "/etc/mutt/mutt.toml",
        "/etc/mutt/mutt.toml.dpkg-dist",
    );
}
