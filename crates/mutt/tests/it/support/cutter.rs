//! A way to PostgreSQL that is cut at a COMMIT: before it arrives, or when the server has answered it and
//! nobody has heard that.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// Where a connection is cut.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Cut {
    /// The COMMIT does not arrive.
    Commit,
    /// It arrives and is done; its answer does not arrive.
    Answer,
}

#[derive(Debug, Default)]
struct Shared {
    next: Mutex<Option<Cut>>,
    cuts: AtomicUsize,
    ended: AtomicBool,
}

/// It ends when it is dropped; connections that it carries end with their ends.
#[derive(Debug)]
pub(crate) struct Cutter {
    dir: tempfile::TempDir,
    shared: Arc<Shared>,
}

impl Cutter {
    /// Before the server whose socket lies in this folder.
    pub(crate) fn before(folder: &Path) -> Self {
        let server = folder.join(".s.PGSQL.5432");
        let dir = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(dir.path().join(".s.PGSQL.5432")).unwrap();
        let cutter = Self { dir, shared: Arc::default() };
        let shared = Arc::clone(&cutter.shared);
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if shared.ended.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(server) = UnixStream::connect(&server) else { continue };
                carry(&client, &server, &shared);
            }
        });
        cutter
    }

    /// How a role reaches the database `mutt` this way.
    pub(crate) fn url(&self, user: &str) -> String {
        let dir = self.dir.path().to_str().unwrap().replace('/', "%2F");
        format!("postgres://{user}@{dir}/mutt")
    }

    /// The next COMMIT is cut so.
    pub(crate) fn next(&self, cut: Cut) {
        *self.shared.next.lock().unwrap() = Some(cut);
    }

    /// Commits that were cut.
    pub(crate) fn cuts(&self) -> usize {
        self.shared.cuts.load(Ordering::SeqCst)
    }
}

impl Drop for Cutter {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::SeqCst);
        drop(UnixStream::connect(self.dir.path().join(".s.PGSQL.5432")));
    }
}

/// Carries one connection, in two threads of its own.
fn carry(client: &UnixStream, server: &UnixStream, shared: &Arc<Shared>) {
    // Set before the COMMIT is handed on, so that its answer meets it.
    let deaf = Arc::new(AtomicBool::new(false));
    let (asks, to_server) = (client.try_clone().unwrap(), server.try_clone().unwrap());
    let (answers, to_client) = (server.try_clone().unwrap(), client.try_clone().unwrap());
    let (hears, known) = (Arc::clone(&deaf), Arc::clone(shared));
    std::thread::spawn(move || {
        let _ = ask(&asks, &to_server, &hears, &known);
        let _ = to_server.shutdown(std::net::Shutdown::Both);
        let _ = asks.shutdown(std::net::Shutdown::Both);
    });
    let known = Arc::clone(shared);
    std::thread::spawn(move || {
        while message(&answers).is_ok_and(|message| {
            // The answer is there: it is done, and nobody hears of it.
            let cut = deaf.load(Ordering::SeqCst) && message[0] == b'C';
            if cut {
                known.cuts.fetch_add(1, Ordering::SeqCst);
            }
            !cut && (&to_client).write_all(&message).is_ok()
        }) {}
        let _ = to_client.shutdown(std::net::Shutdown::Both);
        let _ = answers.shutdown(std::net::Shutdown::Both);
    });
}

/// Hands on what the client asks, until a COMMIT is to be cut.
fn ask(
    from: &UnixStream,
    mut to: &UnixStream,
    deaf: &AtomicBool,
    shared: &Shared,
) -> std::io::Result<()> {
    // The first message has no type.
    let mut length = [0; 4];
    (&mut &*from).read_exact(&mut length)?;
    let mut first = length.to_vec();
    first.resize(u32::from_be_bytes(length) as usize, 0);
    (&mut &*from).read_exact(&mut first[4..])?;
    to.write_all(&first)?;
    loop {
        let message = message(from)?;
        if message[0] == b'Q' && message[5..].starts_with(b"COMMIT") {
            let next = shared.next.lock().unwrap().take();
            match next {
                Some(Cut::Commit) => {
                    shared.cuts.fetch_add(1, Ordering::SeqCst);
                    return Ok(());
                }
                Some(Cut::Answer) => deaf.store(true, Ordering::SeqCst),
                None => {}
            }
        }
        to.write_all(&message)?;
    }
}

/// One message: a type, and a length that counts itself.
fn message(mut from: &UnixStream) -> std::io::Result<Vec<u8>> {
    let mut head = [0; 5];
    from.read_exact(&mut head)?;
    let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]);
    let mut message = head.to_vec();
    message.resize(usize::try_from(length).unwrap() + 1, 0);
    from.read_exact(&mut message[5..])?;
    Ok(message)
}
