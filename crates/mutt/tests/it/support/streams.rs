//! Senders of syslog over TCP that number their lines and heed a half-close: they end behind a whole
//! line and wait for the end of the reader, which is its word that all was read. TCP syslog knows no
//! other acknowledgement.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use super::program::Program;
use super::wait::{LONG, dawdle};

/// Between two lines of one stream.
const PAUSE: Duration = Duration::from_millis(4);
/// Between two tries to connect.
const RETRY: Duration = Duration::from_millis(10);

#[derive(Debug, Default)]
struct Shared {
    /// Where Ingestors listen now.
    doors: Mutex<Vec<SocketAddr>>,
    stop: AtomicBool,
    /// Connections stay, nothing is written.
    paused: AtomicBool,
    /// Lines that were written whole.
    written: AtomicUsize,
    /// Connections that the reader ended in order.
    ended: AtomicUsize,
}

/// Running senders.
#[derive(Debug)]
pub(crate) struct Streams {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<Vec<String>>>,
}

impl Streams {
    /// So many streams; they wait until they are told where to connect.
    pub(crate) fn start(streams: usize) -> Self {
        let shared = Arc::new(Shared::default());
        let stream = |lane| {
            let shared = Arc::clone(&shared);
            std::thread::spawn(move || send(&shared, lane))
        };
        Self { threads: (0..streams).map(stream).collect(), shared: Arc::clone(&shared) }
    }

    /// Tells where Ingestors listen (again); each stream takes one, and the next one when that ends.
    pub(crate) fn aim_at(&self, programs: &[&Program]) {
        *self.shared.doors.lock().unwrap() = programs.iter().map(|p| p.syslog_tcp()).collect();
    }

    /// Writes nothing, or goes on.
    pub(crate) fn pause(&self, paused: bool) {
        self.shared.paused.store(paused, Ordering::SeqCst);
    }

    /// Lines that were written whole.
    pub(crate) fn written(&self) -> usize {
        self.shared.written.load(Ordering::SeqCst)
    }

    /// Connections that a reader ended in order, so far.
    pub(crate) fn ended(&self) -> usize {
        self.shared.ended.load(Ordering::SeqCst)
    }

    /// Ends each stream behind a whole line; the numbers that were sent.
    pub(crate) fn finish(self) -> Vec<String> {
        self.shared.stop.store(true, Ordering::SeqCst);
        self.threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    }
}

fn send(shared: &Shared, lane: usize) -> Vec<String> {
    let (mut sent, mut turn) = (Vec::new(), lane);
    while !shared.stop.load(Ordering::SeqCst) {
        let door = {
            let doors = shared.doors.lock().unwrap();
            doors.get(turn % doors.len().max(1)).copied()
        };
        turn += 1;
        match door.and_then(|door| TcpStream::connect(door).ok()) {
            Some(stream) => one(shared, lane, stream, &mut sent),
            None => dawdle(RETRY),
        }
    }
    sent
}

/// One connection, until its reader half-closes it or the load is over.
fn one(shared: &Shared, lane: usize, mut stream: TcpStream, sent: &mut Vec<String>) {
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    let mut told = false;
    while !told && !shared.stop.load(Ordering::SeqCst) {
        if !shared.paused.load(Ordering::SeqCst) {
            let number = format!("T{lane}-{}", sent.len());
            // Nobody is told of it: deliveries are the matter of the other senders.
            let line = format!("<190>1 - load-{lane} app - - - nr={number};\n");
            stream.write_all(line.as_bytes()).expect("the connection was cut under the sender");
            sent.push(number);
            shared.written.fetch_add(1, Ordering::SeqCst);
        }
        dawdle(PAUSE);
        stream.set_nonblocking(true).unwrap();
        told = matches!(stream.read(&mut [0; 1]), Ok(0));
        stream.set_nonblocking(false).unwrap();
    }
    stream.shutdown(Shutdown::Write).unwrap();
    let end = stream.read(&mut [0; 1]);
    assert!(matches!(end, Ok(0)), "the reader did not end in order: {end:?}");
    shared.ended.fetch_add(usize::from(told), Ordering::SeqCst);
}
