//! Peers that write numbered syslog messages over TCP and react to our half-close: a peer that sees it
//! writes nothing more, ends its side, and comes again when it is told where the program listens.
//! What it wrote over a connection that ended so must never be lost, though nothing was answered.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use super::Program;
use super::senders::Told;
use super::wait::{dawdle, until};

/// Between two messages of a peer.
const PACE: Duration = Duration::from_millis(2);
/// A peer without anybody to write to looks again after this.
const PAUSE: Duration = Duration::from_millis(10);

/// What a peer has written.
#[derive(Debug, Default)]
struct Written {
    /// Over connections that ended by half-close.
    whole: Vec<String>,
    /// Over connections that broke: nobody can say which of them arrived.
    cut: Vec<String>,
}

#[derive(Debug, Default)]
struct Shared {
    /// Where the program listens, and how often that was told.
    door: Mutex<(u64, Option<SocketAddr>)>,
    stop: AtomicBool,
    written: Mutex<Written>,
    /// Messages of all peers so far.
    count: AtomicUsize,
    /// Peers that are connected.
    open: AtomicUsize,
}

/// Running peers.
#[derive(Debug)]
pub(crate) struct Peers {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

impl Peers {
    /// Starts so many; they wait until they are told where the program listens.
    pub(crate) fn start(count: usize) -> Self {
        let shared = Arc::new(Shared::default());
        let thread = |lane| {
            let shared = Arc::clone(&shared);
            std::thread::spawn(move || peer(&shared, lane))
        };
        Self { threads: (0..count).map(thread).collect(), shared }
    }

    /// Tells where the program listens (again), and waits until all are connected and write.
    #[track_caller]
    pub(crate) fn aim(&self, program: &Program) {
        {
            let mut door = self.shared.door.lock().unwrap();
            *door = (door.0 + 1, Some(program.syslog_tcp()));
        }
        let lanes = self.threads.len();
        until("all peers write", || {
            let open = self.shared.open.load(Ordering::SeqCst);
            (open == lanes).then_some(())
        });
        let before = self.shared.count.load(Ordering::SeqCst);
        until("peers write", || {
            (self.shared.count.load(Ordering::SeqCst) > before + 20 * lanes).then_some(())
        });
    }

    /// Waits until all have seen the end of the connection.
    #[track_caller]
    pub(crate) fn away(&self) {
        until("the peers saw the end", || {
            (self.shared.open.load(Ordering::SeqCst) == 0).then_some(())
        });
    }

    /// Ends the peers, each at the end of a message, and adds what they wrote to what was acknowledged.
    /// Gives how many messages went over connections that broke.
    pub(crate) fn finish(self, told: &mut Told) -> usize {
        self.shared.stop.store(true, Ordering::SeqCst);
        for thread in self.threads {
            thread.join().unwrap();
        }
        let written = std::mem::take(&mut *self.shared.written.lock().unwrap());
        told.sent.extend(written.whole.iter().chain(&written.cut).cloned());
        told.acknowledged.extend(written.whole);
        written.cut.len()
    }
}

fn peer(shared: &Shared, lane: usize) {
    let (mut last, mut count) = (0, 0);
    while !shared.stop.load(Ordering::SeqCst) {
        let (told, address) = *shared.door.lock().unwrap();
        let stream = address.filter(|_| told != last).map(TcpStream::connect);
        let Some(Ok(stream)) = stream else {
            dawdle(PAUSE);
            continue;
        };
        last = told;
        let begun = count;
        shared.open.fetch_add(1, Ordering::SeqCst);
        let ended_well = write(shared, stream, lane, &mut count);
        let numbers = (begun..count).map(|n| format!("T{lane}-{n}"));
        let mut written = shared.written.lock().unwrap();
        if ended_well {
            written.whole.extend(numbers)
        } else {
            written.cut.extend(numbers)
        }
        shared.open.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Writes until the program half-closes or the test ends; whether all of it must have arrived.
fn write(shared: &Shared, mut stream: TcpStream, lane: usize, count: &mut usize) -> bool {
    let _ = stream.set_nodelay(true);
    loop {
        let host = *count % 8;
        let line = format!("<190>1 - peer-{lane}-{host} app - - - nr=T{lane}-{count}; up\n");
        *count += 1;
        if stream.write_all(line.as_bytes()).is_err() {
            return false;
        }
        shared.count.fetch_add(1, Ordering::SeqCst);
        stream.set_nonblocking(true).unwrap();
        let read = stream.read(&mut [0; 1]);
        stream.set_nonblocking(false).unwrap();
        let told = match read {
            Ok(_) => true,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => false,
            Err(_) => return false,
        };
        if told || shared.stop.load(Ordering::SeqCst) {
            // The program's own end is its word that all was read.
            return stream.shutdown(Shutdown::Write).is_ok()
                && matches!(stream.read(&mut [0; 1]), Ok(0));
        }
        dawdle(PACE);
    }
}
