//! HTTP listeners: one accept loop for every service's port, with limits and TLS.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use axum::http::StatusCode;
use axum::response::IntoResponse as _;
use hyper::body::Incoming;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use super::tls::Tls;

/// A client that has not sent its request's head after this time is closed.
pub const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// A client that has not finished the TLS handshake after this time is closed.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// A request whose body has not arrived, or that is not answered, after this time is ended.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(120);
/// Connections that are still answering at shutdown get this long.
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);
/// Pause after an accept error that is not the peer's (no file descriptor is free).
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A bound HTTP listener.
#[derive(Debug)]
pub struct HttpListener {
    listener: TcpListener,
    tls: Option<Arc<Tls>>,
    connections_max: usize,
    /// Open connections, for the metric.
    pub open: Arc<AtomicUsize>,
    /// Connections refused because of the limit.
    pub refused: Arc<AtomicUsize>,
}

/// Binds a TCP listener whose address is free again at once after a restart.
///
/// # Errors
///
/// The system's own.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    use socket2::{Domain, Protocol, Socket, Type};
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        // `[::]` hears IPv4, too, whatever the host's default is.
        socket.set_only_v6(!address.ip().is_unspecified())?;
    }
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(1024)?;
    socket.set_nonblocking(true)?;
    TcpListener::from_std(socket.into())
}

/// Ends listening though others still hold the socket: whoever connects now is refused at once
/// instead of being accepted by the kernel and forgotten.
pub fn stop_listening(listener: &TcpListener) {
    // A socket that has failed listens no more; there is nothing to mend.
    let _ = socket2::SockRef::from(listener).shutdown(std::net::Shutdown::Both);
}

impl HttpListener {
    /// Binds the address.
    ///
    /// # Errors
    ///
    /// The system's own.
    pub fn bind(
        address: SocketAddr,
        tls: Option<Arc<Tls>>,
        connections_max: usize,
    ) -> io::Result<Self> {
        Ok(Self {
            listener: bind(address)?,
            tls,
            connections_max,
            open: Arc::default(),
            refused: Arc::default(),
        })
    }

    /// The address that is listened on.
    ///
    /// # Errors
    ///
    /// The system's own.
    pub fn local(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Whether it speaks TLS.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// Serves until `stop`; then requests that were begun are answered.
    pub async fn serve(&self, router: Router, stop: CancellationToken) {
        let mut connections = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                () = stop.cancelled() => break,
                Some(_) = connections.join_next(), if !connections.is_empty() => continue,
                accepted = self.listener.accept() => accepted,
            };
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(code = %mutt_model::codes::INGEST_RECEIVE_FAILED, %error, "accept failed");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            if self.open.load(Ordering::Relaxed) >= self.connections_max {
                self.refused.fetch_add(1, Ordering::Relaxed);
                continue;
            }
            let guard = Open::new(&self.open);
            let (router, tls, stop) = (router.clone(), self.tls.clone(), stop.clone());
            connections.spawn(async move {
                let _guard = guard;
                connection(stream, peer, tls, router, stop).await;
            });
        }
        stop_listening(&self.listener);
        let drain = async { while connections.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(DRAIN_TIMEOUT, drain).await;
    }
}

/// Counts an open connection while it lives.
#[derive(Debug)]
pub struct Open(Arc<AtomicUsize>);

impl Open {
    /// One more.
    #[must_use]
    pub fn new(open: &Arc<AtomicUsize>) -> Self {
        open.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(open))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    tls: Option<Arc<Tls>>,
    router: Router,
    stop: CancellationToken,
) {
    let _ = stream.set_nodelay(true);
    match tls {
        None => speak(stream, peer, router, stop).await,
        Some(tls) => {
            let Some(config) = tls.current() else {
                tracing::debug!(%peer, "closed: the key of TLS is still waited for");
                return;
            };
            let acceptor = tokio_rustls::TlsAcceptor::from(config);
            match tokio::time::timeout(HANDSHAKE_TIMEOUT, acceptor.accept(stream)).await {
                Ok(Ok(stream)) => speak(stream, peer, router, stop).await,
                Ok(Err(error)) => tracing::info!(%peer, %error, "TLS handshake failed"),
                Err(_) => tracing::info!(%peer, "TLS handshake took too long"),
            }
        }
    }
}

async fn speak<S>(stream: S, peer: SocketAddr, router: Router, stop: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = hyper::service::service_fn(move |request: hyper::Request<Incoming>| {
        let mut request = request.map(axum::body::Body::new);
        request.extensions_mut().insert(ConnectInfo(peer));
        let answer = router.clone().oneshot(request);
        async {
            // Slow bodies are cut; what streams an answer has begun it by then.
            match tokio::time::timeout(ANSWER_TIMEOUT, answer).await {
                Ok(answer) => answer,
                Err(_) => Ok(StatusCode::REQUEST_TIMEOUT.into_response()),
            }
        }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    tokio::select! {
        _ = connection.as_mut() => return,
        () = stop.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}
