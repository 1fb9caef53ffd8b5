//! A way to PostgreSQL on which no notification arrives: everything else passes as it is.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// NotificationResponse, as the first byte of a server's message.
const NOTIFICATION: u8 = b'A';

/// It ends when it is dropped; connections that it carries end with their ends.
#[derive(Debug)]
pub(crate) struct Deaf {
    dir: tempfile::TempDir,
    kept: Arc<AtomicUsize>,
    ended: Arc<AtomicBool>,
}

impl Deaf {
    /// Before the server whose socket lies in this folder.
    pub(crate) fn before(folder: &Path) -> Self {
        let server = folder.join(".s.PGSQL.5432");
        let dir = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(dir.path().join(".s.PGSQL.5432")).unwrap();
        let deaf = Self { dir, kept: Arc::default(), ended: Arc::default() };
        let (kept, ended) = (Arc::clone(&deaf.kept), Arc::clone(&deaf.ended));
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if ended.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(server) = UnixStream::connect(&server) else { continue };
                let (asks, answers) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                std::thread::spawn(move || {
                    let _ = std::io::copy(&mut &asks, &mut &server);
                    let _ = server.shutdown(std::net::Shutdown::Both);
                });
                let kept = Arc::clone(&kept);
                std::thread::spawn(move || {
                    while pass(&answers, &client, &kept).is_ok() {}
                    let _ = client.shutdown(std::net::Shutdown::Both);
                });
            }
        });
        deaf
    }

    /// How a role reaches the database `mutt` this way.
    pub(crate) fn url(&self, user: &str) -> String {
        let dir = self.dir.path().to_str().unwrap().replace('/', "%2F");
        format!("postgres://{user}@{dir}/mutt")
    }

    /// Notifications that did not arrive.
    pub(crate) fn kept(&self) -> usize {
        self.kept.load(Ordering::SeqCst)
    }
}

impl Drop for Deaf {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        drop(UnixStream::connect(self.dir.path().join(".s.PGSQL.5432")));
    }
}

/// One message of the server: a type, and a length that counts itself.
fn pass(mut from: &UnixStream, mut to: &UnixStream, kept: &AtomicUsize) -> std::io::Result<()> {
    let mut head = [0; 5];
    from.read_exact(&mut head)?;
    let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]);
    let mut message = head.to_vec();
    message.resize(usize::try_from(length).unwrap() + 1, 0);
    from.read_exact(&mut message[5..])?;
    if head[0] == NOTIFICATION {
        kept.fetch_add(1, Ordering::SeqCst);
        return Ok(());
    }
    to.write_all(&message)
}
