//! Our SNMP engine's id and boots, kept in `data_dir`: senders of informs secure them for this id, and
//! know by the boots that what they recorded before a restart is over.

use std::io::{self, Write as _};
use std::path::Path;

use ring::rand::SecureRandom as _;

/// The file in `data_dir`.
pub const ENGINE_FILE: &str = "snmp-engine.json";
/// RFC 3414 section 2.2.1: from here on an engine has to be given a new id.
pub const BOOTS_MAX: u32 = 2_147_483_647;
/// RFC 3411: the first bit, an enterprise number (that of documentation), and the format "octets".
const PREFIX: [u8; 5] = [0x80, 0x00, 0x7e, 0xd9, 0x05];
const RANDOM_OCTETS: usize = 12;

/// Who we are in this start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnEngine {
    /// The id.
    pub id: Vec<u8>,
    /// How often an engine of this id has started; [`BOOTS_MAX`] stays.
    pub boots: u32,
}

/// Counts a start and makes that durable before anything is said in its name. A file that cannot be
/// understood is put aside, and there is a new id.
///
/// # Errors
///
/// When the file cannot be written or synced.
pub fn start(data_dir: &Path) -> io::Result<OwnEngine> {
    std::fs::create_dir_all(data_dir)?;
    let path = data_dir.join(ENGINE_FILE);
    let engine = match std::fs::read_to_string(&path) {
        Ok(text) => match understood(&text) {
            Some(known) => {
                OwnEngine { boots: known.boots.saturating_add(1).min(BOOTS_MAX), ..known }
            }
            None => {
                let aside = path.with_extension("damaged");
                std::fs::rename(&path, &aside)?;
                tracing::warn!(code = %mutt_model::codes::INGEST_USM_ENGINE, aside = %aside.display(), "the SNMP engine's file could not be understood and was put aside; informs find the new engine id by themselves");
                fresh()?
            }
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => fresh()?,
        Err(error) => return Err(error),
    };
    write(&path, &engine)?;
    if engine.boots == BOOTS_MAX {
        tracing::error!(code = %mutt_model::codes::INGEST_USM_ENGINE, file = %path.display(), "the SNMP engine has started as often as it may, no inform is taken: remove the file for a new engine id");
    }
    Ok(engine)
}

fn fresh() -> io::Result<OwnEngine> {
    let mut id = [0; PREFIX.len() + RANDOM_OCTETS];
    id[..PREFIX.len()].copy_from_slice(&PREFIX);
    ring::rand::SystemRandom::new()
        .fill(&mut id[PREFIX.len()..])
        .map_err(|_| io::Error::other("the system gives no random numbers"))?;
    Ok(OwnEngine { id: id.to_vec(), boots: 1 })
}

fn understood(text: &str) -> Option<OwnEngine> {
    let value: serde_json::Value = serde_json::from_str(text).ok()?;
    let id = octets(value["engine_id"].as_str()?)?;
    let boots = u32::try_from(value["boots"].as_u64()?).ok()?;
    ((5..=32).contains(&id.len()) && boots <= BOOTS_MAX).then_some(OwnEngine { id, boots })
}

/// Octets from hexadecimal digits.
#[must_use]
pub fn octets(digits: &str) -> Option<Vec<u8>> {
    let pairs = digits.as_bytes().chunks(2);
    pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

/// Octets as hexadecimal digits.
#[must_use]
pub fn digits(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

fn write(path: &Path, engine: &OwnEngine) -> io::Result<()> {
    let text = serde_json::json!({ "engine_id": digits(&engine.id), "boots": engine.boots });
    let new = path.with_extension("new");
    let mut file = std::fs::File::create(&new)?;
    writeln!(file, "{text}")?;
    file.sync_all()?;
    std::fs::rename(&new, path)?;
    match path.parent() {
        Some(folder) => std::fs::File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_start_is_counted_and_the_id_stays() {
        let folder = tempfile::tempdir().unwrap();
        let first = start(folder.path()).unwrap();
        assert_eq!((first.boots, first.id.len()), (1, 17));
        let second = start(folder.path()).unwrap();
        assert_eq!(second, OwnEngine { id: first.id.clone(), boots: 2 });
        let file = folder.path().join(ENGINE_FILE);
        let text = std::fs::read_to_string(&file).unwrap().replace(":2}", ":2147483646}");
        std::fs::write(&file, text).unwrap();
        assert_eq!(start(folder.path()).unwrap().boots, BOOTS_MAX);
        assert_eq!(start(folder.path()).unwrap().boots, BOOTS_MAX, "it does not begin anew");
        for damaged in [
            "",
            "{}",
            "{\"engine_id\":\"80\",\"boots\":1}",
            "{\"engine_id\":\"8000007ed905\",\"boots\":-1}",
        ] {
            std::fs::write(&file, damaged).unwrap();
            let new = start(folder.path()).unwrap();
            assert!(new.boots == 1 && new.id != first.id, "{damaged}");
            assert_eq!(std::fs::read_to_string(file.with_extension("damaged")).unwrap(), damaged);
        }
    }
}
