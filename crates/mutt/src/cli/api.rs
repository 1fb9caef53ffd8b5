//! The client of the REST API that the commands use: one request at a time, pages, live events.

use std::cmp::Reverse;
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use mutt_model::Secret;
use mutt_model::codes;
use reqwest::{Method, Url};
use serde_json::{Map, Value};

use super::args::Target;
use super::failure::Failure;
use crate::config::{EnvSource as _, ProcessEnv};

/// How long one request may take; a backup of a large store is the longest.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(600);
/// How long connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// An answer is at most this long.
pub(super) const ANSWER_BYTES_MAX: usize = 256 << 20;
/// Items asked for in one page.
const PAGE: u64 = 1_000;

/// Where the REST API is when nothing else is said.
const DEFAULT_URL: &str = "http://127.0.0.1:8090";
/// Places where the first start leaves its secrets when nothing else is said.
const DATA_DIRS: [&str; 3] = ["./mutt-data", super::serve::DEMO_DIR, "/var/lib/mutt"];

/// Runs a future to its end on this thread.
pub(super) fn block_on<T>(future: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|why| Failure::new(&codes::START_FAILED, format!("cannot start: {why}")))?;
    runtime.block_on(future)
}

/// A client of HTTP that trusts `ca` besides the host's.
pub(super) fn http_client(ca: Option<&Path>) -> Result<reqwest::Client, Failure> {
    // A second installation is refused and means nothing: it is the same provider.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut builder = reqwest::Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(REQUEST_TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("muttctl/", env!("CARGO_PKG_VERSION")));
    if let Some(path) = ca {
        let wrong = |why: &dyn std::fmt::Display| {
            Failure::new(&codes::OUTPUT, format!("cannot read the CA {}: {why}", path.display()))
        };
        let pem = std::fs::read(path).map_err(|why| wrong(&why))?;
        for certificate in reqwest::Certificate::from_pem_bundle(&pem).map_err(|why| wrong(&why))? {
            builder = builder.add_root_certificate(certificate);
        }
    }
    builder
        .build()
        .map_err(|why| Failure::new(&codes::START_FAILED, format!("no HTTP client: {why}")))
}

/// The secret in a file that was named, in a variable, or where the first start left it.
pub(super) fn find_secret(
    file: Option<&Path>,
    variable: &str,
    first_start: &str,
) -> Result<Secret, Failure> {
    let no_token = |message: String| Failure::new(&codes::NO_TOKEN, message);
    if let Some(path) = file {
        return read_secret(path)
            .map_err(|why| no_token(format!("cannot read {}: {why}", path.display())));
    }
    if let Some(value) = ProcessEnv.var(variable).filter(|value| !value.trim().is_empty()) {
        return Ok(Secret::new(value.trim()));
    }
    let mut tried = Vec::new();
    for dir in data_dirs() {
        let path = dir.join(first_start);
        match read_secret(&path) {
            Ok(secret) => return Ok(secret),
            Err(why) => tried.push(format!("{}: {why}", path.display())),
        }
    }
    Err(no_token(format!("{variable} is not set, and {}", tried.join("; "))))
}

/// Folders in which a program on this host may have left its files, the likeliest first: the one that
/// is named, then the others.
fn data_dirs() -> impl Iterator<Item = PathBuf> {
    let others = last_started_first(DATA_DIRS.map(PathBuf::from));
    ProcessEnv.var("MUTT__DATA_DIR").map(PathBuf::from).into_iter().chain(others)
}

/// Folders on which a program started last come first, those on which none did keep their order.
fn last_started_first<const N: usize>(mut dirs: [PathBuf; N]) -> [PathBuf; N] {
    dirs.sort_by_cached_key(|dir| {
        Reverse(listener_files(dir).map(|(_, written, _)| written).max())
    });
    dirs
}

/// An address of the program that runs on this host's data directory: `web_ui`, `http`.
pub(super) fn running(name: &str) -> Option<String> {
    data_dirs().find_map(|dir| running_on(&dir, name))
}

/// The same for the program that runs on `data_dir`.
pub(super) fn running_on(data_dir: &Path, name: &str) -> Option<String> {
    listeners_in(data_dir).iter().find_map(|file| file[name].as_str().map(str::to_owned))
}

/// What the programs on `data_dir` have said: the one with all services first, then those with some,
/// the newest first.
fn listeners_in(data_dir: &Path) -> Vec<Value> {
    let mut found: Vec<_> = listener_files(data_dir).collect();
    found.sort();
    let read = |path: &PathBuf| serde_json::from_str(&std::fs::read_to_string(path).ok()?).ok();
    found.iter().rev().filter_map(|(_, _, path)| read(path)).collect()
}

/// The files in which programs on `data_dir` say where they listen: true for all services, when it was
/// written, its path.
fn listener_files(data_dir: &Path) -> impl Iterator<Item = (bool, SystemTime, PathBuf)> {
    let file = crate::config::LISTENERS_FILE;
    let part = file.replace(".json", "-");
    let entries = std::fs::read_dir(data_dir).into_iter().flatten().flatten();
    entries.filter_map(move |entry| {
        let name = entry.file_name().into_string().ok()?;
        let whole = name == file;
        let said = whole || (name.starts_with(&part) && name.ends_with(".json"));
        let written = entry.metadata().ok()?.modified().ok()?;
        said.then(|| (whole, written, entry.path()))
    })
}

/// Where the program that runs on this host takes datagrams or streams: the first address of
/// `syslog_udp`, `syslog_tcp` or `snmp_udp`.
pub(super) fn running_listener(name: &str) -> Option<SocketAddr> {
    data_dirs().find_map(|dir| {
        let first = |file: &Value| file[name][0].as_str()?.parse().ok();
        listeners_in(&dir).iter().find_map(first).map(reachable)
    })
}

/// A listener on every address is reached by loopback.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    address
}

fn read_secret(path: &Path) -> Result<Secret, String> {
    let text = std::fs::read_to_string(path).map_err(|why| why.to_string())?;
    let text = text.trim();
    if text.is_empty() { Err("it is empty".to_owned()) } else { Ok(Secret::new(text)) }
}

/// The REST API of one program.
#[derive(Debug)]
pub(super) struct Api {
    client: reqwest::Client,
    base: Url,
    token: Secret,
}

impl Api {
    /// Looks for the token and reads the address; nothing is sent yet.
    pub(super) fn new(target: &Target) -> Result<Self, Failure> {
        let base = match &target.url {
            Some(url) => url.clone(),
            None => running("web_ui").unwrap_or_else(|| DEFAULT_URL.to_owned()),
        };
        let base = Url::parse(&base)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
            .ok_or_else(|| {
                Failure::usage(format!("`{base}` is no http or https URL"))
                    .hint("write --url http://127.0.0.1:8090")
            })?;
        let token = find_secret(
            target.token_file.as_deref(),
            "MUTT_TOKEN",
            crate::secrets::ADMIN_TOKEN_FILE,
        )?;
        Ok(Self { client: http_client(target.ca.as_deref())?, base, token })
    }

    /// The URL of path segments, each encoded.
    fn url(&self, path: &[&str], query: &[(&str, String)]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(["api", "v2"]).extend(path);
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url
    }

    async fn send(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, String)],
        body: Option<&Value>,
    ) -> Result<reqwest::Response, Failure> {
        let mut request =
            self.client.request(method, self.url(path, query)).bearer_auth(self.token.expose());
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await.map_err(|why| self.unreachable(&why))?;
        if response.status().is_success() { Ok(response) } else { Err(refusal(response).await) }
    }

    fn unreachable(&self, why: &dyn std::error::Error) -> Failure {
        let message = format!("{} does not answer: {}", self.base, root_cause(why));
        Failure::new(&codes::UNREACHABLE, message).hint(
            "start MUTT (muttctl serve), or name its address with --url or MUTT_URL; muttctl doctor looks further",
        )
    }

    /// One request; `Null` when the answer has no body.
    pub(super) async fn call(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, String)],
        body: Option<&Value>,
    ) -> Result<Value, Failure> {
        let response = self.send(method, path, query, body).await?;
        let bytes = read_body(response, ANSWER_BYTES_MAX).await?;
        if bytes.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&bytes).map_err(|why| {
            Failure::new(&codes::UNREACHABLE, format!("{} answers no JSON: {why}", self.base))
                .hint("is this the Web UI's port? --url http://HOST:8090")
        })
    }

    /// Reads one object or list.
    pub(super) async fn get(
        &self,
        path: &[&str],
        query: &[(&str, String)],
    ) -> Result<Value, Failure> {
        self.call(Method::GET, path, query, None).await
    }

    /// Up to `limit` items of a list, and whether there are more.
    pub(super) async fn list(
        &self,
        path: &[&str],
        query: &[(&str, String)],
        limit: u64,
    ) -> Result<(Vec<Value>, bool), Failure> {
        let mut items = Vec::new();
        let mut cursor: Option<String> = None;
        loop {
            let missing = limit - u64::try_from(items.len()).unwrap_or(limit);
            let mut query = query.to_vec();
            query.push(("limit", missing.min(PAGE).to_string()));
            query.extend(cursor.take().map(|cursor| ("cursor", cursor)));
            let mut page = self.get(path, &query).await?;
            cursor = page["next_cursor"].as_str().map(str::to_owned);
            if let Value::Array(found) = page["items"].take() {
                items.extend(found);
            }
            let full = u64::try_from(items.len()).unwrap_or(u64::MAX) >= limit;
            if full || cursor.is_none() {
                return Ok((items, cursor.is_some()));
            }
        }
    }

    /// All items of a list that the API gives whole.
    pub(super) async fn whole(&self, path: &[&str]) -> Result<Vec<Value>, Failure> {
        match self.get(path, &[]).await?["items"].take() {
            Value::Array(items) => Ok(items),
            _ => Ok(Vec::new()),
        }
    }

    /// Opens a stream of server-sent events; read it with `chunk`.
    pub(super) async fn stream(
        &self,
        path: &[&str],
        query: &[(&str, String)],
    ) -> Result<reqwest::Response, Failure> {
        self.send(Method::GET, path, query, None).await
    }
}

/// An object with these fields, without the absent ones.
pub(super) fn body<'a>(fields: impl IntoIterator<Item = (&'a str, Option<Value>)>) -> Value {
    let fields: Map<String, Value> =
        fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect();
    Value::Object(fields)
}

/// The body of an answer, bounded.
pub(super) async fn read_body(
    mut response: reqwest::Response,
    max: usize,
) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|why| {
        Failure::new(&codes::UNREACHABLE, format!("the answer broke off: {}", root_cause(&why)))
    })? {
        if bytes.len() + chunk.len() > max {
            return Err(Failure::new(&codes::UNREACHABLE, "the answer is too long"));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// What the API says of a refusal, under the code that it gives.
async fn refusal(response: reqwest::Response) -> Failure {
    let status = response.status();
    let location = response.headers().get("location").and_then(|v| v.to_str().ok());
    let location = location.map(str::to_owned);
    let body: Value = match read_body(response, 1 << 20).await {
        Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_default(),
        Err(_) => Value::Null,
    };
    let detail = ["detail", "message", "title"].iter().find_map(|name| body[*name].as_str());
    let mut message = match (detail, location) {
        (Some(detail), _) => format!("{detail} (HTTP {})", status.as_u16()),
        (None, Some(place)) => format!("HTTP {status} to {place}: name that with --url"),
        (None, None) => format!("HTTP {status}"),
    };
    if let Some(id) = body["correlation_id"].as_str().filter(|_| status.is_server_error()) {
        message = format!("{message}, correlation id {id}");
    }
    let code = body["code"].as_str().and_then(codes::find).unwrap_or(match status.as_u16() {
        401 => &codes::API_UNAUTHORIZED,
        403 => &codes::API_FORBIDDEN,
        404 => &codes::API_NOT_FOUND,
        400..=499 => &codes::API_BAD_REQUEST,
        _ => &codes::API_INTERNAL,
    });
    Failure::new(code, message)
}

/// The innermost cause, which says most: `Connection refused`.
pub(super) fn root_cause(why: &dyn std::error::Error) -> String {
    let mut cause = why;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    #[test]
    fn the_folder_of_the_last_start_comes_first() {
        let root = tempfile::tempdir().unwrap();
        let dirs = ["data", "demo", "lib"].map(|name| root.path().join(name));
        let order = || {
            last_started_first(dirs.clone())
                .map(|dir| dir.file_name().unwrap().to_str().unwrap().to_owned())
        };
        assert_eq!(order(), ["data", "demo", "lib"]);
        let started = |dir: &Path, file: &str, at: u64| {
            std::fs::create_dir_all(dir).unwrap();
            let at = SystemTime::UNIX_EPOCH + Duration::from_secs(at);
            File::create(dir.join(file)).unwrap().set_modified(at).unwrap();
        };
        started(&dirs[1], "listeners.json", 10);
        assert_eq!(order(), ["demo", "data", "lib"]);
        started(&dirs[2], "listeners-web-ui.json", 20);
        started(&dirs[0], "another.json", 30);
        assert_eq!(order(), ["lib", "demo", "data"]);
    }
}
