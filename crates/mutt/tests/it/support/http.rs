//! A small HTTP/1.1 client over one connection, that knows exactly what was answered and what was not.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

/// Longer than any answer of a program that lives takes, even on a busy machine.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// What came back.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|e| panic!("no JSON ({e}): {}", String::from_utf8_lossy(&self.body)))
    }
}

/// One connection that is opened again when it was lost.
#[derive(Debug)]
pub(crate) struct Client {
    address: SocketAddr,
    stream: Option<BufReader<TcpStream>>,
}

impl Client {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self { address, stream: None }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sends one request and reads its answer. An error leaves open whether the request was served.
    pub(crate) fn request(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> io::Result<Answer> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => {
                let stream = TcpStream::connect(self.address)?;
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(ANSWER_WITHIN))?;
                stream.set_write_timeout(Some(ANSWER_WITHIN))?;
                BufReader::new(stream)
            }
        };
        let mut head = format!("{method} {path} HTTP/1.1\r\nhost: {}\r\n", self.address);
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str(&format!("content-length: {}\r\n\r\n", body.len()));
        let mut bytes = head.into_bytes();
        bytes.extend_from_slice(body);
        stream.get_mut().write_all(&bytes)?;
        let (answer, keep) = read_answer(&mut stream)?;
        if keep {
            self.stream = Some(stream);
        }
        Ok(answer)
    }
}

fn read_answer(stream: &mut impl BufRead) -> io::Result<(Answer, bool)> {
    let broken = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
    let first = line(stream)?;
    let status =
        first.split(' ').nth(1).and_then(|s| s.parse().ok()).ok_or_else(|| broken("status"))?;
    let mut headers = Vec::new();
    loop {
        let text = line(stream)?;
        if text.is_empty() {
            break;
        }
        let (name, value) = text.split_once(':').ok_or_else(|| broken("header"))?;
        headers.push((name.to_owned(), value.trim().to_owned()));
    }
    let mut answer = Answer { status, headers, body: Vec::new() };
    let length = answer.header("content-length").and_then(|l| l.parse::<u64>().ok());
    let chunked = answer.header("transfer-encoding").is_some_and(|t| t.contains("chunked"));
    let keep = !answer.header("connection").is_some_and(|c| c.eq_ignore_ascii_case("close"));
    if chunked {
        loop {
            let size = u64::from_str_radix(&line(stream)?, 16).map_err(|_| broken("chunk"))?;
            stream.take(size).read_to_end(&mut answer.body)?;
            line(stream)?;
            if size == 0 {
                break;
            }
        }
    } else if let Some(length) = length {
        stream.take(length).read_to_end(&mut answer.body)?;
        if answer.body.len() as u64 != length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok((answer, keep))
}

fn line(stream: &mut impl BufRead) -> io::Result<String> {
    let mut text = String::new();
    if stream.read_line(&mut text)? == 0 || !text.ends_with('\n') {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    text.truncate(text.trim_end().len());
    Ok(text)
}

/// The REST API with a token.
#[derive(Debug)]
pub(crate) struct Api {
    client: Client,
    token: String,
}

impl Api {
    pub(crate) fn new(address: SocketAddr, token: String) -> Self {
        Self { client: Client::new(address), token }
    }

    pub(crate) fn call(
        &mut self,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> io::Result<Answer> {
        let bearer = format!("Bearer {}", self.token);
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
        let body = body.map(ToString::to_string).unwrap_or_default();
        self.client.request(method, path, &headers, body.as_bytes())
    }

    /// GET that must succeed.
    #[track_caller]
    pub(crate) fn get(&mut self, path: &str) -> Value {
        let answer = self.call("GET", path, None).unwrap_or_else(|e| panic!("GET {path}: {e}"));
        assert_eq!(answer.status, 200, "GET {path}: {}", String::from_utf8_lossy(&answer.body));
        answer.json()
    }

    /// POST that must succeed.
    #[track_caller]
    pub(crate) fn post(&mut self, path: &str, body: &Value) -> Value {
        let answer =
            self.call("POST", path, Some(body)).unwrap_or_else(|e| panic!("POST {path}: {e}"));
        let text = String::from_utf8_lossy(&answer.body);
        assert!((200..300).contains(&answer.status), "POST {path}: {} {text}", answer.status);
        if answer.body.is_empty() { Value::Null } else { answer.json() }
    }

    /// `/api/v2/ledger`
    #[track_caller]
    pub(crate) fn ledger(&mut self) -> mutt_model::ledger::Ledger {
        serde_json::from_value(self.get("/api/v2/ledger")).unwrap()
    }
}
