//! The bytes below a link: a socket, with TLS where it is asked for, that remembers why it failed.
//!
//! The client library drops the words of a failure that comes while nothing is asked, and a server that
//! does not take our certificate says so just then.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

use super::{Address, tls};
use crate::redis::RedisTls;

/// What a stream must be able to do.
trait Both: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Both for S {}

/// A connected stream.
pub(super) struct Stream {
    inner: Box<dyn Both>,
    heard: Arc<OnceLock<String>>,
}

const NO_TLS: &str =
    "no answer to the TLS handshake: the port may be one without TLS, or the server stands still";

/// Connects; each step may take this long. The server's certificate is checked, with the files of TLS as they are now.
pub(super) async fn connect(
    address: &Address,
    tls: Option<&RedisTls>,
    timeout: Duration,
) -> Result<Stream, String> {
    let words = |why: io::Error| why.to_string();
    let inner: Box<dyn Both> = match address {
        Address::Unix(path) => Box::new(UnixStream::connect(path).await.map_err(words)?),
        Address::Tcp { host, port } => {
            let connecting = TcpStream::connect((host.as_str(), *port));
            let stream = tokio::time::timeout(timeout, connecting)
                .await
                .map_err(|_| format!("no answer within {timeout:?}"))?
                .map_err(words)?;
            stream.set_nodelay(true).map_err(words)?;
            match tls.cloned() {
                None => Box::new(stream),
                Some(files) => {
                    let connector = tokio::task::spawn_blocking(move || tls::connector(&files))
                        .await
                        .map_err(|why| why.to_string())??;
                    let name = rustls_pki_types::ServerName::try_from(host.clone())
                        .map_err(|why| why.to_string())?;
                    let shaken = tokio::time::timeout(timeout, connector.connect(name, stream));
                    // A Redis without TLS takes the greeting for the begin of a line, and waits.
                    Box::new(shaken.await.map_err(|_| NO_TLS.to_owned())?.map_err(words)?)
                }
            }
        }
    };
    Ok(Stream { inner, heard: Arc::default() })
}

impl Stream {
    /// What it failed with, once it did.
    pub(super) fn heard(&self) -> Arc<OnceLock<String>> {
        Arc::clone(&self.heard)
    }

    fn listen<T>(&self, done: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if let Poll::Ready(Err(why)) = &done {
            let _ = self.heard.set(crate::handshake::words(&why.to_string()));
        }
        done
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let done = Pin::new(&mut self.inner).poll_read(cx, buf);
        self.listen(done)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let done = Pin::new(&mut self.inner).poll_write(cx, buf);
        self.listen(done)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let done = Pin::new(&mut self.inner).poll_flush(cx);
        self.listen(done)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let done = Pin::new(&mut self.inner).poll_shutdown(cx);
        self.listen(done)
    }
}
