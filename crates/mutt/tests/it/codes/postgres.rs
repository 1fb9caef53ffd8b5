//! Codes of the store on PostgreSQL: a real server is away, set up wrong or not migrated; the store's own
//! log is kept.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};

use mutt_model::Clock;
use mutt_store::postgres::{PgOptions, PostgresStore, TlsMode};

use super::redis::keep;
use super::stage::Lines;
use crate::postgres_server::Server;

/// Opens a store and keeps what it says.
async fn told(options: &PgOptions, code: &str) {
    let lines = Lines::default();
    let _logs = lines.listen();
    let _store = PostgresStore::open(options, Clock::default()).unwrap();
    keep(&lines, code).await;
}

#[tokio::test]
async fn a_server_that_is_away_lets_nobody_in_or_could_lose_is_told_by_code() {
    let mut server = Server::bare(&["fsync=off"]).await;
    let options = server.options();
    let nowhere = tempfile::tempdir().unwrap();
    let socket = nowhere.path().to_str().unwrap().replace('/', "%2F");
    told(&PgOptions::new(format!("postgres://mutt@{socket}/mutt")), "MUTT-S020").await;
    told(&options, "MUTT-S022").await;
    told(&PgOptions { accept_no_fsync: false, ..options.clone() }, "MUTT-S023").await;
    let admin = server.superuser("mutt").await;
    let sql = "CREATE ROLE mutt_locked LOGIN PASSWORD 'right'";
    admin.batch_execute(sql).await.unwrap();
    told(&server.options_as("mutt_locked", &["wrong"]), "MUTT-S021").await;
    admin.batch_execute("ALTER ROLE mutt CONNECTION LIMIT 0").await.unwrap();
    told(&options, "MUTT-S027").await;
    admin.batch_execute("ALTER ROLE mutt CONNECTION LIMIT -1").await.unwrap();
    let sql = "ALTER ROLE mutt SET default_transaction_read_only = on";
    admin.batch_execute(sql).await.unwrap();
    told(&options, "MUTT-S025").await;
    drop(admin);
    let url = format!("postgres://mutt@127.0.0.1:{}/mutt", server.listen(&[]).await);
    told(&PgOptions { url, tls: Some(TlsMode::Require), ..options }, "MUTT-S041").await;
}

#[tokio::test]
async fn a_postgresql_that_is_too_old_is_told_by_code() {
    let dir = tempfile::tempdir().unwrap();
    let listener = UnixListener::bind(dir.path().join(".s.PGSQL.5432")).unwrap();
    // No such server can be had any more: one that says what PostgreSQL 12 says.
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let stream = stream.unwrap();
            std::thread::spawn(move || old_server(stream));
        }
    });
    let socket = dir.path().to_str().unwrap().replace('/', "%2F");
    told(&PgOptions::new(format!("postgres://mutt@{socket}/mutt")), "MUTT-S024").await;
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap();
    [&[kind], length.to_be_bytes().as_slice(), body].concat()
}

/// The columns of the check: number, three texts, a boolean, a text; without their types' names.
fn columns() -> Vec<u8> {
    let mut out = 6u16.to_be_bytes().to_vec();
    for kind in [23u32, 25, 25, 25, 16, 25] {
        out.extend_from_slice(b"c\0\0\0\0\0\0\0");
        out.extend_from_slice(&kind.to_be_bytes());
        out.extend_from_slice(&[0xff; 6]);
        out.extend_from_slice(&[0, 1]);
    }
    out
}

fn row() -> Vec<u8> {
    let mut out = 6u16.to_be_bytes().to_vec();
    let number = 120_022u32.to_be_bytes();
    let fields: [&[u8]; 6] = [&number, b"on", b"on", b"on", &[0], b"12.22"];
    for field in fields {
        out.extend_from_slice(&u32::try_from(field.len()).unwrap().to_be_bytes());
        out.extend_from_slice(field);
    }
    out
}

/// Lets everybody in and answers every statement with that row.
fn old_server(mut stream: UnixStream) {
    let mut length = [0; 4];
    // The startup message, after a question for TLS.
    loop {
        if stream.read_exact(&mut length).is_err() {
            return;
        }
        let mut body = vec![0; u32::from_be_bytes(length) as usize - 4];
        stream.read_exact(&mut body).unwrap();
        if body[..4] != 80_877_103u32.to_be_bytes() {
            break;
        }
        stream.write_all(b"N").unwrap();
    }
    let ready = message(b'Z', b"I");
    let said = [message(b'R', &[0; 4]), ready.clone()].concat();
    stream.write_all(&said).unwrap();
    let mut kind = [0];
    while stream.read_exact(&mut kind).is_ok() && stream.read_exact(&mut length).is_ok() {
        let mut body = vec![0; u32::from_be_bytes(length) as usize - 4];
        stream.read_exact(&mut body).unwrap();
        let reply = match kind[0] {
            b'Q' => [message(b'C', b"SET\0"), ready.clone()].concat(),
            b'P' => message(b'1', b""),
            b'D' => [message(b't', &[0, 0]), message(b'T', &columns())].concat(),
            b'B' => message(b'2', b""),
            b'E' => [message(b'D', &row()), message(b'C', b"SELECT 1\0")].concat(),
            b'C' => message(b'3', b""),
            b'S' => ready.clone(),
            _ => return,
        };
        if stream.write_all(&reply).is_err() {
            return;
        }
    }
}
