//! The bodies of a call on its way in and out.
//!
//! In: never more than the method's largest message, never compressed, never
//! slower than the call's deadline. Nothing is buffered here: a message too
//! large is refused by its length prefix, before its bytes are read.
//! Out: a stream ends, with a status, when the daemon stops.

use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use http::HeaderMap;
use http_body_util::BodyExt as _;
use hyper::body::{Body, Bytes, Frame, SizeHint};
use tokio::sync::watch;
use tokio::time::{Instant, Sleep};
use tonic::{Code, Status};

use super::connection::ActiveCall;
use crate::api::status::refusal;

/// What is read of a refused call's body: what a client may send before we
/// read any of it, the window of a stream.
const REFUSED_BYTES_MAX: usize = 128 * 1024;
/// And for how long: it is on its way already, or it is no honest one.
const REFUSED_READ_TIME: Duration = Duration::from_secs(1);
/// Compression flag and length of a gRPC message.
const PREFIX_BYTES: usize = 5;

/// A request body within its bounds.
pub struct BoundedBody<B> {
    inner: Pin<Box<B>>,
    message_bytes_max: usize,
    messages_many: bool,
    prefix: [u8; PREFIX_BYTES],
    prefix_seen: usize,
    message_left: usize,
    messages: usize,
    deadline: Option<Pin<Box<Sleep>>>,
}

impl<B> BoundedBody<B> {
    /// A body of one message, or of `messages_many`, each of at most
    /// `message_bytes_max`, to be read by `deadline`.
    pub fn new(inner: B, message_bytes_max: usize, messages_many: bool, deadline: Option<Instant>) -> Self {
        Self {
            inner: Box::pin(inner),
            message_bytes_max,
            messages_many,
            prefix: [0; PREFIX_BYTES],
            prefix_seen: 0,
            message_left: 0,
            messages: 0,
            deadline: deadline.map(|at| Box::pin(tokio::time::sleep_until(at))),
        }
    }

    /// Follows the framing of what arrives.
    fn follow(&mut self, mut bytes: &[u8]) -> Result<(), Status> {
        while !bytes.is_empty() {
            if self.message_left > 0 {
                let step = self.message_left.min(bytes.len());
                self.message_left -= step;
                bytes = bytes.get(step..).unwrap_or_default();
                continue;
            }
            let Some((first, rest)) = bytes.split_first() else { break };
            if let Some(slot) = self.prefix.get_mut(self.prefix_seen) {
                *slot = *first;
            }
            self.prefix_seen += 1;
            bytes = rest;
            if self.prefix_seen == PREFIX_BYTES {
                self.begin_message()?;
            }
        }
        Ok(())
    }

    fn begin_message(&mut self) -> Result<(), Status> {
        let [compressed, a, b, c, d] = self.prefix;
        self.prefix_seen = 0;
        self.messages += 1;
        if compressed != 0 {
            return Err(refusal(Code::Unimplemented, "ENCODING", "messages may not be compressed", None));
        }
        if self.messages > 1 && !self.messages_many {
            return Err(refusal(Code::InvalidArgument, "BODY_MALFORMED", "one message is due", None));
        }
        let length = usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap_or(usize::MAX);
        if length > self.message_bytes_max {
            let message = format!("the request is larger than {} bytes", self.message_bytes_max);
            return Err(refusal(Code::OutOfRange, "REQUEST_TOO_LARGE", &message, None));
        }
        self.message_left = length;
        Ok(())
    }
}

impl<B> Body for BoundedBody<B>
where
    B: Body<Data = Bytes>,
{
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = &mut *self;
        if let Some(deadline) = &mut this.deadline
            && deadline.as_mut().poll(cx).is_ready()
        {
            return Poll::Ready(Some(Err(too_late())));
        }
        match this.inner.as_mut().poll_frame(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(None) => Poll::Ready(None),
            // The client's end or the connection broke: nobody reads this.
            Poll::Ready(Some(Err(_))) => {
                Poll::Ready(Some(Err(refusal(Code::Cancelled, "CANCELLED", "the request broke off", None))))
            }
            Poll::Ready(Some(Ok(frame))) => {
                let followed = frame.data_ref().map_or(Ok(()), |data| this.follow(data));
                Poll::Ready(Some(followed.map(|()| frame)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// Reads the body of a refused call away, within bounds. An answer before the
/// end of the request makes the HTTP/2 library reset the stream, and it ends a
/// connection with GOAWAY after a thousand calls whose bodies came too late.
pub(super) async fn read_away<B: Body<Data = Bytes>>(body: B) {
    let mut body = pin!(body);
    let all = async {
        let mut left = REFUSED_BYTES_MAX;
        while let Some(Ok(frame)) = body.frame().await {
            let Some(rest) = left.checked_sub(frame.data_ref().map_or(0, Bytes::len)) else { break };
            left = rest;
        }
    };
    // Whatever came of it: the answer is known.
    tokio::time::timeout(REFUSED_READ_TIME, all).await.unwrap_or_default();
}

/// What a call past its deadline is told.
pub(super) fn too_late() -> Status {
    refusal(Code::DeadlineExceeded, "DEADLINE_EXCEEDED", "the call took longer than its deadline", None)
}

/// The body of a server stream: counts as a call while it lives, and ends
/// when the daemon stops.
pub struct StreamBody {
    inner: tonic::body::Body,
    stopping: Pin<Box<dyn Future<Output = ()> + Send>>,
    over: bool,
    _call: ActiveCall,
}

impl StreamBody {
    /// `inner` until `stopping` says true.
    pub fn new(inner: tonic::body::Body, mut stopping: watch::Receiver<bool>, call: ActiveCall) -> Self {
        let stopping = Box::pin(async move {
            // An error means that who could stop us is gone: so are we soon.
            let _ = stopping.wait_for(|stop| *stop).await;
        });
        Self { inner, stopping, over: false, _call: call }
    }
}

impl Body for StreamBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if self.over {
            return Poll::Ready(None);
        }
        if self.stopping.as_mut().poll(cx).is_ready() {
            self.over = true;
            let mut trailers = HeaderMap::new();
            let status = refusal(Code::Unavailable, "STOPPING", "the server is stopping", None);
            return match status.add_header(&mut trailers) {
                Ok(()) => Poll::Ready(Some(Ok(Frame::trailers(trailers)))),
                Err(status) => Poll::Ready(Some(Err(status))),
            };
        }
        Pin::new(&mut self.inner).poll_frame(cx)
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::StreamBody as Frames;
    use tokio_stream::StreamExt as _;

    use super::*;

    async fn read(chunks: &[&[u8]], max: usize, many: bool) -> Result<usize, Code> {
        let frames: Vec<Result<Frame<Bytes>, std::convert::Infallible>> =
            chunks.iter().map(|chunk| Ok(Frame::data(Bytes::copy_from_slice(chunk)))).collect();
        let body = BoundedBody::new(Frames::new(tokio_stream::iter(frames)), max, many, None);
        body.collect().await.map(|all| all.to_bytes().len()).map_err(|status| status.code())
    }

    #[tokio::test]
    async fn e3_a_message_at_the_limit_passes_and_one_byte_more_does_not() {
        assert_eq!(read(&[&[0, 0, 0, 0, 3], b"abc"], 3, false).await, Ok(8));
        assert_eq!(read(&[&[0, 0, 0, 0, 4], b"abcd"], 3, false).await, Err(Code::OutOfRange));
        assert_eq!(read(&[&[0, 255, 255, 255, 255]], 1 << 20, false).await, Err(Code::OutOfRange));
    }

    #[tokio::test]
    async fn e3_a_prefix_is_followed_across_frames() {
        let whole = [0, 0, 0, 0, 3, b'a', b'b', b'c'];
        let bytes: Vec<&[u8]> = whole.chunks(1).collect();
        assert_eq!(read(&bytes, 3, false).await, Ok(8));
        assert_eq!(read(&bytes, 2, false).await, Err(Code::OutOfRange));
    }

    #[tokio::test]
    async fn e3_a_compressed_message_is_refused() {
        assert_eq!(read(&[&[1, 0, 0, 0, 1, 0]], 10, false).await, Err(Code::Unimplemented));
    }

    #[tokio::test]
    async fn a_second_message_passes_only_where_many_are_due() {
        let two: &[u8] = &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(read(&[two], 10, false).await, Err(Code::InvalidArgument));
        assert_eq!(read(&[two], 10, true).await, Ok(10));
    }

    #[tokio::test(start_paused = true)]
    async fn f12_a_refused_body_is_read_to_its_end_and_no_further_than_its_bounds() {
        let frames = |count: usize, bytes: usize| {
            let seen = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
            let count_seen = std::sync::Arc::clone(&seen);
            let frames = tokio_stream::iter(0..count).map(move |_| {
                count_seen.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                Ok::<_, Status>(Frame::data(Bytes::from(vec![0; bytes])))
            });
            (Frames::new(frames), seen)
        };
        for (count, bytes, read) in [(0, 1, 0), (1, 5, 1), (8, 16 * 1024, 8), (100, 16 * 1024, 9), (1, 1 << 20, 1)] {
            let (body, seen) = frames(count, bytes);
            read_away(body).await;
            assert_eq!(seen.load(std::sync::atomic::Ordering::SeqCst), read, "{count} frames of {bytes} bytes");
        }
        let started = Instant::now();
        read_away(Frames::new(tokio_stream::pending::<Result<Frame<Bytes>, Status>>())).await;
        assert_eq!(started.elapsed(), REFUSED_READ_TIME, "one that never comes");
        let failed = tokio_stream::iter([Err::<Frame<Bytes>, _>(Status::cancelled("gone"))]);
        read_away(Frames::new(failed.chain(tokio_stream::pending()))).await;
        assert_eq!(started.elapsed(), REFUSED_READ_TIME, "one that broke off");
    }

    #[tokio::test(start_paused = true)]
    async fn e3_a_body_that_trickles_ends_at_the_deadline() {
        let never = tokio_stream::pending::<Result<Frame<Bytes>, std::convert::Infallible>>();
        let at = Instant::now() + std::time::Duration::from_secs(30);
        let body = BoundedBody::new(Frames::new(never), 10, false, Some(at));
        assert_eq!(body.collect().await.map(|_| ()).map_err(|s| s.code()), Err(Code::DeadlineExceeded));
        assert_eq!(Instant::now(), at);
    }

    #[tokio::test]
    async fn a_stream_ends_with_unavailable_when_the_daemon_stops() {
        let (stop, stopping) = watch::channel(false);
        let connection = std::sync::Arc::new(super::super::Connection::new([127, 0, 0, 1].into(), String::new()));
        let never = Frames::new(tokio_stream::pending::<Result<Frame<Bytes>, Status>>());
        let body = StreamBody::new(tonic::body::Body::new(never), stopping, connection.enter());
        stop.send(true).unwrap();
        let all = body.collect().await.unwrap();
        let status = Status::from_header_map(all.trailers().unwrap()).unwrap();
        assert_eq!(status.code(), Code::Unavailable);
    }
}
