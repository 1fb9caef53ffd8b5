//! Notifications, encoded before the load begins.

use std::sync::Arc;

use mutt_wire::snmp::encode::{self, Value};
use mutt_wire::snmp::usm::{Auth, Keys, Level, Outgoing, Privacy, User, seal};

use crate::BLOCK;

/// What a linkDown says of an interface.
fn varbinds(index: i64) -> [(String, Value); 4] {
    let column = |column: u8| format!("1.3.6.1.2.1.2.2.1.{column}.{index}");
    [
        (column(1), Value::Integer(index)),
        (column(2), Value::Octets(format!("GigabitEthernet0/{index}").into_bytes())),
        (column(7), Value::Integer(1)),
        (column(8), Value::Integer(2)),
    ]
}

/// v2c linkDown traps, no two alike.
pub(crate) fn v2c() -> Vec<Vec<u8>> {
    (0..BLOCK)
        .filter_map(|number| {
            let varbinds = varbinds(number as i64 % 48 + 1);
            let varbinds: Vec<_> =
                varbinds.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
            let id = i32::try_from(number).unwrap_or_default();
            encode::trap_v2c(b"public", id, 4_200, "1.3.6.1.6.3.1.1.5.3", &varbinds).ok()
        })
        .collect()
}

/// The same in v3, authPriv with SHA-1 and AES-128: `load-N` with the passwords `load-auth-N` and
/// `load-priv-N` sends from the engine `800000000104` and N in four octets.
pub(crate) fn v3(users: usize) -> Vec<Vec<u8>> {
    let users: Vec<_> = (0..users).filter_map(user).collect();
    (0..BLOCK.max(users.len()))
        .filter_map(|number| {
            let (user, engine_id, keys) = users.get(number % users.len().max(1))?;
            let varbinds = varbinds(number as i64 % 48 + 1);
            let varbinds: Vec<_> =
                varbinds.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
            let id = i32::try_from(number).unwrap_or_default();
            let pdu = encode::pdu(false, id, 4_200, "1.3.6.1.6.3.1.1.5.3", &varbinds).ok()?;
            let out = Outgoing {
                message_id: i64::from(id),
                reportable: false,
                engine_id,
                time: (1, 4_200),
                user: user.name(),
                keys: Some((user, keys)),
                level: Level::AuthPrivacy,
                context: (engine_id, b""),
                salt: number as u64,
            };
            seal(&out, &pdu)
        })
        .collect()
}

fn user(number: usize) -> Option<(Arc<User>, Vec<u8>, Keys)> {
    let auth = format!("load-auth-{number}");
    let privacy = format!("load-priv-{number}");
    let user = User::new(
        format!("load-{number}").as_bytes(),
        None,
        Some((Auth::Sha1, auth.as_bytes())),
        Some((Privacy::Aes128, privacy.as_bytes())),
    );
    let user = user.ok()?;
    let number = u32::try_from(number).ok()?;
    let engine_id = [&[0x80, 0, 0, 0, 1, 4][..], &number.to_be_bytes()].concat();
    let keys = Keys::new(&user, &engine_id)?;
    Some((Arc::new(user), engine_id, keys))
}
