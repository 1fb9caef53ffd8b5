//! Senders that number their events and repeat what was not answered: the same key over HTTP, the same
//! PDU as an inform. What they were answered is what must never be lost.

use std::collections::BTreeSet;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::Duration;

use mutt_wire::snmp::encode::{Value, inform_v2c};
use serde_json::json;

use super::http::Client;
use super::program::Program;
use super::wait::{dawdle, within};

/// An inform is repeated when it was not answered for so long.
const INFORM_TIMEOUT: Duration = Duration::from_millis(400);
/// A sender that was refused or cut off tries again after this.
const PAUSE: Duration = Duration::from_millis(10);
/// Hosts that a sender speaks for.
const HOSTS: u64 = 16;
/// A host says the same thing so often.
const TIMES: u64 = 5;

/// The number in a message, as `nr=H0-17;`.
pub(crate) fn number_in(message: &str) -> Option<&str> {
    let (_, rest) = message.split_once("nr=")?;
    rest.split_once(';').map(|(number, _)| number)
}

/// Where programs listen now; senders ask again after each failure, and then try the next one.
#[derive(Debug, Default)]
struct Doors {
    http: Mutex<Vec<(SocketAddr, String)>>,
    snmp: Mutex<Vec<SocketAddr>>,
    /// The key of the last program.
    key: Mutex<String>,
}

/// What all senders of one load share.
#[derive(Debug, Default)]
struct Shared {
    doors: Doors,
    stop: AtomicBool,
    /// Numbers that were sent at least once.
    sent: Mutex<BTreeSet<String>>,
    /// Numbers that were answered.
    acknowledged: Mutex<BTreeSet<String>>,
    /// Requests and informs on their way.
    open: AtomicUsize,
    refused: AtomicUsize,
    repeated: AtomicUsize,
}

/// What a load sends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    /// Threads that post.
    pub(crate) http: usize,
    /// Records in one request.
    pub(crate) records: usize,
    /// Bytes of filling in each record.
    pub(crate) filling: usize,
    /// Threads that send informs.
    pub(crate) informs: usize,
    /// A thread rests so long after each answer.
    pub(crate) pace: Duration,
}

impl Load {
    /// As fast as it is answered.
    pub(crate) const STEADY: Self =
        Self { http: 4, records: 5, filling: 0, informs: 2, pace: Duration::ZERO };
    /// What a site of many processes takes on a small machine for as long as a test likes.
    pub(crate) const CALM: Self = Self { pace: Duration::from_millis(40), ..Self::STEADY };
}

/// Running senders.
#[derive(Debug)]
pub(crate) struct Senders {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

/// What the senders know in the end.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) sent: BTreeSet<String>,
    pub(crate) acknowledged: BTreeSet<String>,
    pub(crate) refused: usize,
    pub(crate) repeated: usize,
}

impl Senders {
    /// Starts the threads of a load; they wait until they are told where the program listens.
    pub(crate) fn start(load: Load) -> Self {
        let shared = Arc::new(Shared::default());
        let mut threads = Vec::new();
        for lane in 0..load.http {
            let shared = Arc::clone(&shared);
            threads.push(std::thread::spawn(move || post(&shared, lane, load)));
        }
        for lane in 0..load.informs {
            let shared = Arc::clone(&shared);
            threads.push(std::thread::spawn(move || inform(&shared, lane, load.pace)));
        }
        Self { shared, threads }
    }

    /// Tells where the program listens (again).
    pub(crate) fn aim(&self, program: &Program) {
        self.aim_at(&[program]);
    }

    /// Senders that know the addresses of several Ingestors: each begins with one of them, and tries the
    /// next one after each failure.
    pub(crate) fn aim_at(&self, programs: &[&Program]) {
        let key = programs[0].ingest_key();
        lock(&self.shared.doors.key).clone_from(&key);
        *lock(&self.shared.doors.http) =
            programs.iter().map(|program| (program.http(), key.clone())).collect();
        *lock(&self.shared.doors.snmp) = programs.iter().map(|program| program.snmp()).collect();
    }

    /// As [`Senders::aim`], for those that post, with the key that is known: the disk is gone.
    pub(crate) fn aim_at_http(&self, program: &Program) {
        let key = lock(&self.shared.doors.key).clone();
        *lock(&self.shared.doors.http) = vec![(program.http(), key)];
    }

    /// Nobody to send to, until the next [`Senders::aim`]; waits for what is on its way.
    #[track_caller]
    pub(crate) fn rest(&self) {
        lock(&self.shared.doors.http).clear();
        lock(&self.shared.doors.snmp).clear();
        let found = within(super::wait::LONG, || (self.open() == 0).then_some(()));
        assert!(found.is_some(), "{} are on their way", self.open());
    }

    /// Requests and informs that were sent and not answered yet.
    pub(crate) fn open(&self) -> usize {
        self.shared.open.load(Ordering::SeqCst)
    }

    /// Numbers that were answered so far.
    pub(crate) fn acknowledged(&self) -> usize {
        lock(&self.shared.acknowledged).len()
    }

    pub(crate) fn refused(&self) -> usize {
        self.shared.refused.load(Ordering::SeqCst)
    }

    /// No new numbers; what was sent is repeated until it is answered.
    pub(crate) fn finish(self) -> Told {
        self.shared.stop.store(true, Ordering::SeqCst);
        for thread in self.threads {
            thread.join().unwrap();
        }
        Told {
            sent: std::mem::take(&mut lock(&self.shared.sent)),
            acknowledged: std::mem::take(&mut lock(&self.shared.acknowledged)),
            refused: self.shared.refused.load(Ordering::SeqCst),
            repeated: self.shared.repeated.load(Ordering::SeqCst),
        }
    }
}

impl Told {
    /// Zero acknowledged lost, zero numbers twice, nothing that nobody sent.
    #[track_caller]
    pub(crate) fn check(&self, audit: &super::Audit) {
        let numbers = audit.numbers();
        let lost: Vec<_> = self.acknowledged.iter().filter(|n| !numbers.contains_key(*n)).collect();
        let twice: Vec<_> = numbers.iter().filter(|(_, times)| **times > 1).collect();
        let strange: Vec<_> = numbers.keys().filter(|n| !self.sent.contains(*n)).collect();
        assert!(
            lost.is_empty() && twice.is_empty() && strange.is_empty(),
            "acknowledged and lost {}: {:?}; twice {}: {:?}; never sent {}: {:?}",
            lost.len(),
            &lost[..lost.len().min(10)],
            twice.len(),
            &twice[..twice.len().min(10)],
            strange.len(),
            &strange[..strange.len().min(10)],
        );
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap()
}

/// Whether a thread begins another round.
fn goes_on(shared: &Shared) -> bool {
    !shared.stop.load(Ordering::SeqCst)
}

/// The door whose turn it is.
fn door<T: Clone>(doors: &Mutex<Vec<T>>, turn: usize) -> Option<T> {
    let doors = lock(doors);
    doors.get(turn % doors.len().max(1)).cloned()
}

fn post(shared: &Shared, lane: usize, load: Load) {
    let (mut client, mut turn) = (None, lane);
    let mut round = 0;
    while goes_on(shared) {
        let numbers: Vec<String> =
            (0..load.records).map(|at| format!("H{lane}-{}", round * load.records + at)).collect();
        let records = numbers.iter().map(|number| record(number, load.filling));
        let body = serde_json::Value::from_iter(records).to_string();
        let key = format!("lane {lane} round {round}");
        lock(&shared.sent).extend(numbers.iter().cloned());
        if !repeat(shared, &mut turn, |turn| try_post(shared, &mut client, turn, &key, &body)) {
            return;
        }
        lock(&shared.acknowledged).extend(numbers);
        round += 1;
        dawdle(load.pace);
    }
}

/// An event of a sender: a trouble of its host is told a few times, then its end a few times.
fn record(number: &str, filling: usize) -> serde_json::Value {
    let n: u64 = number.rsplit('-').next().unwrap().parse().unwrap();
    let state = if (n / HOSTS / TIMES).is_multiple_of(2) { "down" } else { "up" };
    let host = format!("{}-{}", number.split('-').next().unwrap(), n % HOSTS).to_lowercase();
    json!({
        "hostname": host, "severity": 3, "filling": "x".repeat(filling),
        "message": format!("%LINK-3-UPDOWN: Interface Gi0/1, changed state to {state} nr={number};"),
    })
}

/// Tries until it is answered; `false` when there is nobody to ask any more.
fn repeat(
    shared: &Shared,
    turn: &mut usize,
    mut attempt: impl FnMut(usize) -> Option<bool>,
) -> bool {
    loop {
        match attempt(*turn) {
            Some(true) => return true,
            Some(false) => {
                *turn += 1;
                shared.repeated.fetch_add(1, Ordering::SeqCst);
                dawdle(PAUSE);
            }
            // Nowhere to send to: wait for a door, unless it is over.
            None if shared.stop.load(Ordering::SeqCst) => return false,
            None => dawdle(PAUSE),
        }
    }
}

fn try_post(
    shared: &Shared,
    client: &mut Option<Client>,
    turn: usize,
    key: &str,
    body: &str,
) -> Option<bool> {
    let (address, secret) = door(&shared.doors.http, turn)?;
    if client.as_ref().is_none_or(|known| known.address() != address) {
        *client = Some(Client::new(address));
    }
    let client = client.as_mut()?;
    let headers = [("x-api-key", secret.as_str()), ("idempotency-key", key)];
    shared.open.fetch_add(1, Ordering::SeqCst);
    let answer = client.request("POST", "/ingest", &headers, body.as_bytes());
    shared.open.fetch_sub(1, Ordering::SeqCst);
    match answer {
        Ok(answer) if answer.status == 200 => Some(true),
        Ok(answer) => {
            assert_eq!(answer.status, 503, "{}", String::from_utf8_lossy(&answer.body));
            assert!(answer.header("retry-after").is_some(), "503 without Retry-After");
            shared.refused.fetch_add(1, Ordering::SeqCst);
            Some(false)
        }
        Err(_) => Some(false),
    }
}

fn inform(shared: &Shared, lane: usize, pace: Duration) {
    // One socket for all of it: the peer is a part of how a repeat is recognised.
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(INFORM_TIMEOUT)).unwrap();
    let (mut round, mut turn) = (0, lane);
    while goes_on(shared) {
        let number = format!("I{lane}-{round}");
        let request = round + 1;
        let pdu = inform_pdu(request, &number);
        lock(&shared.sent).insert(number.clone());
        let done = repeat(shared, &mut turn, |turn| {
            let address = door(&shared.doors.snmp, turn)?;
            shared.open.fetch_add(1, Ordering::SeqCst);
            let answered = ask(&socket, address, &pdu, request);
            shared.open.fetch_sub(1, Ordering::SeqCst);
            Some(answered.is_ok())
        });
        if !done {
            return;
        }
        lock(&shared.acknowledged).insert(number);
        round += 1;
        dawdle(pace);
    }
}

/// An inform that carries a number.
pub(crate) fn inform_pdu(request: i32, number: &str) -> Vec<u8> {
    let varbinds = [
        ("1.3.6.1.2.1.2.2.1.1.12", Value::Integer(12)),
        ("1.3.6.1.2.1.31.1.1.1.18.12", Value::Octets(format!("nr={number};").into_bytes())),
    ];
    inform_v2c(b"public", request, 4_200, "1.3.6.1.6.3.1.1.5.3", &varbinds).unwrap()
}

/// Sends an inform once and waits for its response.
pub(crate) fn ask(socket: &UdpSocket, to: SocketAddr, pdu: &[u8], request: i32) -> io::Result<()> {
    socket.send_to(pdu, to)?;
    let mut buffer = [0; 2_048];
    let wanted = response_head(request);
    loop {
        let (length, from) = socket.recv_from(&mut buffer)?;
        // A late answer to an earlier inform is passed over.
        if from == to && contains(&buffer[..length], &wanted) {
            return Ok(());
        }
    }
}

/// `request-id, error-status 0, error-index 0` as a response carries them.
fn response_head(request: i32) -> Vec<u8> {
    let four = request.to_be_bytes();
    let spare = four.windows(2).take_while(|p| p[0] == 0 && p[1] & 0x80 == 0).count();
    let mut head = vec![2, u8::try_from(four.len() - spare).unwrap()];
    head.extend_from_slice(&four[spare..]);
    head.extend_from_slice(&[2, 1, 0, 2, 1, 0]);
    head
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// Waits until `count` numbers were answered.
#[track_caller]
pub(crate) fn answered(senders: &Senders, count: usize) {
    let found = within(super::wait::LONG, || (senders.acknowledged() >= count).then_some(()));
    assert!(found.is_some(), "only {} of {count} were answered", senders.acknowledged());
}
