//! JSON events over HTTP, with the ingest key.

use std::io::Read as _;
use std::path::Path;

use mutt_model::{Clock, Severity, codes};
use serde_json::{Value, json};

use super::{failed, sent};
use crate::cli::api::{block_on, find_secret, http_client, read_body, root_cause, running};
use crate::cli::args::SendHttp;
use crate::cli::failure::Failure;
use crate::cli::output;

/// Where the Ingestor listens when nothing else is said.
const DEFAULT_URL: &str = "http://127.0.0.1:8080/ingest";

pub(super) fn run(args: &SendHttp) -> Result<(), Failure> {
    let to = match &args.to {
        Some(to) => to.clone(),
        None => running("http").map_or_else(|| DEFAULT_URL.to_owned(), |base| base + "/ingest"),
    };
    let severity = Severity::parse(&args.severity).ok_or_else(|| {
        Failure::usage(format!("`{}` is no severity: write 0 to 7 or a name", args.severity))
    })?;
    let key_file = args.key_file.as_deref();
    let key = find_secret(key_file, "MUTT_INGEST_KEY", crate::secrets::INGEST_KEY_FILE)
        .map_err(|failure| failure.hint("give --key-file FILE, or set MUTT_INGEST_KEY"))?;
    let client = http_client(args.ca.as_deref())?;
    let given = args.body.as_deref().map(read).transpose()?;
    for n in 1..=args.count {
        let payload = match &given {
            Some(bytes) => bytes.clone(),
            None => event(args, severity, n).to_string().into_bytes(),
        };
        let mut request = client
            .post(&to)
            .header("content-type", "application/json")
            .header("x-api-key", key.expose())
            .body(payload);
        if let Some(key) = &args.idempotency_key {
            request = request.header("idempotency-key", key);
        }
        let (status, answer) = block_on(async {
            let response = request.send().await.map_err(|why| failed(&to, root_cause(&why)))?;
            let status = response.status();
            Ok((status, read_body(response, 1 << 20).await?))
        })?;
        if !status.is_success() {
            return Err(refused(&to, status.as_u16(), &answer));
        }
        if n == args.count {
            output::line(String::from_utf8_lossy(&answer).trim_end())?;
        }
    }
    sent(args.count, "request", &to);
    Ok(())
}

fn event(args: &SendHttp, severity: Severity, n: u64) -> Value {
    let message =
        if args.count == 1 { args.message.clone() } else { format!("{} seq={n}", args.message) };
    json!({
        "hostname": args.hostname,
        "message": message,
        "timestamp": Clock::System.wall(),
        "syslog_severity": severity.number(),
        "program": "muttctl",
    })
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let unreadable =
        |why| Failure::new(&codes::OUTPUT, format!("cannot read {}: {why}", path.display()));
    if path.as_os_str() == "-" {
        let mut bytes = Vec::new();
        std::io::stdin().lock().read_to_end(&mut bytes).map_err(unreadable)?;
        return Ok(bytes);
    }
    std::fs::read(path).map_err(unreadable)
}

/// What the Ingestor says, under its own code.
fn refused(to: &str, status: u16, answer: &[u8]) -> Failure {
    let body: Value = serde_json::from_slice(answer).unwrap_or_default();
    let message = body["message"].as_str().unwrap_or("no reason given");
    let code = body["code"].as_str().and_then(codes::find).unwrap_or(&codes::SEND_FAILED);
    Failure::new(code, format!("{to}: {message} (HTTP {status})"))
}
