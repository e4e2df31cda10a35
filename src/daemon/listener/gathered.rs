//! A TLS stream that takes what is written in one piece.
//!
//! HTTP/2 hands a vectored stream each frame of 256 bytes or more by itself
//! and waits until it is written; over TLS that is a record, a system call and
//! a packet for each reply. To a stream that is not vectored it gives the
//! replies that are ready together, each frame of less than 1 KiB copied:
//! one record for a group of mints that became durable at once.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Reads and writes as the stream inside does, except that it is not vectored.
pub(super) struct Gathered<S>(pub(super) S);

impl<S: AsyncRead + Unpin> AsyncRead for Gathered<S> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_read(context, buffer)
    }
}

// `poll_write_vectored` and `is_write_vectored` stay as the trait has them.
impl<S: AsyncWrite + Unpin> AsyncWrite for Gathered<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().0).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::io::IoSlice;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use http::{Request, Response};
    use http_body_util::{BodyExt as _, Empty, Full};
    use hyper::body::{Bytes, Incoming};
    use hyper::service::service_fn;
    use hyper_util::rt::{TokioExecutor, TokioIo};
    use tokio::io::DuplexStream;
    use tokio::sync::Barrier;

    use super::*;

    const REPLIES: usize = 16;

    /// Counts what reaches the stream, vectored or not.
    struct Counted(DuplexStream, Arc<AtomicUsize>);

    impl AsyncRead for Counted {
        fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.get_mut().0).poll_read(context, into)
        }
    }

    impl AsyncWrite for Counted {
        fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
            self.1.fetch_add(1, Ordering::SeqCst);
            Pin::new(&mut self.get_mut().0).poll_write(context, bytes)
        }

        fn poll_write_vectored(
            self: Pin<&mut Self>,
            context: &mut Context<'_>,
            slices: &[IoSlice<'_>],
        ) -> Poll<io::Result<usize>> {
            self.1.fetch_add(1, Ordering::SeqCst);
            Pin::new(&mut self.get_mut().0).poll_write_vectored(context, slices)
        }

        fn is_write_vectored(&self) -> bool {
            true
        }

        fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.get_mut().0).poll_flush(context)
        }

        fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.get_mut().0).poll_shutdown(context)
        }
    }

    /// Serves calls that are all answered at once, with the reply of a mint's
    /// size, and says how many writes there were.
    async fn writes<S>(wrapped: impl FnOnce(Counted) -> S) -> usize
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (ours, theirs) = tokio::io::duplex(256 * 1024);
        let (count, together) = (Arc::new(AtomicUsize::new(0)), Arc::new(Barrier::new(REPLIES)));
        let (stream, counted) = (TokioIo::new(wrapped(Counted(ours, Arc::clone(&count)))), Arc::clone(&count));
        tokio::spawn(async move {
            let service = service_fn(move |_: Request<Incoming>| {
                let (together, counted) = (Arc::clone(&together), Arc::clone(&counted));
                async move {
                    if together.wait().await.is_leader() {
                        counted.store(0, Ordering::SeqCst);
                    }
                    Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(&[7; 704]))))
                }
            });
            hyper::server::conn::http2::Builder::new(TokioExecutor::new()).serve_connection(stream, service).await
        });
        let (send, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(theirs)).await.unwrap();
        tokio::spawn(connection);
        let asked = (0..REPLIES).map(|_| {
            let mut send = send.clone();
            tokio::spawn(async move {
                send.ready().await.unwrap();
                let answer = send.send_request(Request::new(Empty::<Bytes>::new())).await.unwrap();
                answer.into_body().collect().await.unwrap().to_bytes().len()
            })
        });
        for reply in asked.collect::<Vec<_>>() {
            assert_eq!(reply.await.unwrap(), 704);
        }
        count.load(Ordering::SeqCst)
    }

    #[tokio::test]
    async fn replies_that_are_ready_together_leave_together() {
        let (each, together) = (writes(|stream| stream).await, writes(Gathered).await);
        assert!(each >= REPLIES, "{each} writes: HTTP/2 gathers by itself now; this stream is not needed");
        assert!(together <= 4, "{together} writes for {REPLIES} replies");
    }
}
