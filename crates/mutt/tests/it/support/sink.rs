//! A receiver of deliveries that answers as a script says and remembers every request in the order in
//! which it came.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;

use super::wait::dawdle;

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: Value,
    /// The status that it was answered with.
    pub(crate) status: u16,
}

impl Seen {
    /// The key of the alert that it tells of.
    pub(crate) fn key(&self) -> &str {
        self.body["alert"]["key"].as_str().unwrap_or_default()
    }

    /// `opened`, `cleared` ...
    pub(crate) fn kind(&self) -> &str {
        self.body["kind"].as_str().unwrap_or_default()
    }

    /// The delivery's id, stable across attempts and replays.
    pub(crate) fn id(&self) -> &str {
        self.body["delivery_id"].as_str().unwrap_or_default()
    }
}

/// How a request is answered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) delay: Duration,
    pub(crate) retry_after: Option<u64>,
}

impl Reply {
    pub(crate) const fn status(status: u16) -> Self {
        Self { status, delay: Duration::ZERO, retry_after: None }
    }

    pub(crate) const fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }
}

type Script = Box<dyn FnMut(&Value) -> Reply + Send>;

struct Inner {
    script: Mutex<Script>,
    seen: Mutex<Vec<Seen>>,
    open: AtomicUsize,
    most_open: AtomicUsize,
    ended: AtomicBool,
}

/// See the module. It ends when it is dropped.
pub(crate) struct Receiver {
    address: SocketAddr,
    inner: Arc<Inner>,
}

impl Receiver {
    /// Answers everything with `reply`.
    pub(crate) fn answering(reply: Reply) -> Self {
        Self::start(move |_| reply)
    }

    /// Asks `script` for each answer, in the order of arrival.
    pub(crate) fn start(script: impl FnMut(&Value) -> Reply + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let inner = Arc::new(Inner {
            script: Mutex::new(Box::new(script)),
            seen: Mutex::default(),
            open: AtomicUsize::new(0),
            most_open: AtomicUsize::new(0),
            ended: AtomicBool::new(false),
        });
        let shared = Arc::clone(&inner);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if shared.ended.load(Ordering::SeqCst) {
                    return;
                }
                let shared = Arc::clone(&shared);
                if let Ok(stream) = stream {
                    std::thread::spawn(move || serve(stream, &shared));
                }
            }
        });
        Self { address, inner }
    }

    /// Answers with `reply` from now on.
    pub(crate) fn now_answers(&self, reply: Reply) {
        *self.inner.script.lock().unwrap() = Box::new(move |_| reply);
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// Everything so far, in order of arrival.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.inner.seen.lock().unwrap().clone()
    }

    pub(crate) fn count(&self) -> usize {
        self.inner.seen.lock().unwrap().len()
    }

    /// Requests that were read and not answered yet.
    pub(crate) fn open(&self) -> usize {
        self.inner.open.load(Ordering::SeqCst)
    }

    /// The most requests that were open at one time.
    pub(crate) fn most_open(&self) -> usize {
        self.inner.most_open.load(Ordering::SeqCst)
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.inner.ended.store(true, Ordering::SeqCst);
        // The accept loop looks up when somebody comes.
        drop(TcpStream::connect(self.address));
    }
}

fn serve(stream: TcpStream, inner: &Inner) {
    let _ = stream.set_nodelay(true);
    let mut stream = BufReader::new(stream);
    while let Some((headers, body)) = read_request(&mut stream) {
        let reply = {
            // One lock around both, so that scripts and records agree on the order.
            let mut seen = inner.seen.lock().unwrap();
            let reply = (inner.script.lock().unwrap())(&body);
            seen.push(Seen { headers, body, status: reply.status });
            let open = inner.open.fetch_add(1, Ordering::SeqCst) + 1;
            inner.most_open.fetch_max(open, Ordering::SeqCst);
            reply
        };
        if !reply.delay.is_zero() {
            dawdle(reply.delay);
        }
        let pause = reply.retry_after.map(|s| format!("retry-after: {s}\r\n")).unwrap_or_default();
        let answer = format!("HTTP/1.1 {} X\r\n{pause}content-length: 2\r\n\r\nok", reply.status);
        inner.open.fetch_sub(1, Ordering::SeqCst);
        if stream.get_mut().write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

fn read_request(stream: &mut impl BufRead) -> Option<(HashMap<String, String>, Value)> {
    let mut headers = HashMap::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':') {
            headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
        }
    }
    let length = headers.get("content-length").and_then(|l| l.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    Some((headers, serde_json::from_slice(&body).unwrap_or(Value::Null)))
}
