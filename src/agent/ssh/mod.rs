//! An SSH agent: the socket that `ssh` finds in SSH_AUTH_SOCK.
//!
//! Owns the socket and the conversation. Keys and signatures come from a
//! [`Lender`]. It signs nothing for a connection that was forwarded to another
//! machine, and speaks to processes of its own user only.

mod hostile;
mod protocol;
mod socket;

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::task::JoinSet;

pub use hostile::fuzz_messages;
pub use protocol::{Binding, Identity, SignWish};
use protocol::{Bindings, MESSAGE_LENGTH_MAX, Reply, Request};
pub use socket::{Socket, SocketError};

/// Connections at one time; `ssh` holds one while it signs in. More wait in the
/// system's queue: closed, they would be sign-ins that fail.
const CONNECTIONS_MAX: usize = 256;
/// Wait when the system gives no connection, for example for want of files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Where keys and signatures come from.
#[async_trait]
pub trait Lender: Send + Sync + 'static {
    /// The public keys and certificates to offer.
    async fn identities(&self) -> Vec<Identity>;
    /// A signature as SSH encodes it, or nothing.
    async fn sign(&self, wish: SignWish) -> Option<Vec<u8>>;
}

/// Serves the socket until `end` is done.
pub async fn serve(socket: &Socket, lender: Arc<dyn Lender>, end: impl Future<Output = ()>) {
    let mut end = pin!(end);
    let mut open = JoinSet::new();
    loop {
        tokio::select! {
            () = &mut end => return,
            Some(_) = open.join_next(), if !open.is_empty() => {}
            accepted = socket.accept(), if open.len() < CONNECTIONS_MAX => match accepted {
                Ok(stream) if own(&stream) => {
                    open.spawn(converse(stream, Arc::clone(&lender)));
                }
                // Somebody else's: closed.
                Ok(_) => {}
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            },
        }
    }
}

/// The folder of the socket keeps others out; this does when it does not.
fn own(stream: &UnixStream) -> bool {
    stream.peer_cred().is_ok_and(|peer| peer.uid() == rustix::process::geteuid().as_raw())
}

/// One connection, until its client goes or says something too long.
async fn converse(mut stream: UnixStream, lender: Arc<dyn Lender>) {
    let mut bindings = Bindings::default();
    while let Some(message) = heard(&mut stream).await {
        let reply = answer(&message, &mut bindings, lender.as_ref()).await;
        if stream.write_all(&reply.framed()).await.is_err() {
            return;
        }
    }
}

async fn heard(stream: &mut UnixStream) -> Option<Vec<u8>> {
    let length = usize::try_from(stream.read_u32().await.ok()?).ok()?;
    if !(1..=MESSAGE_LENGTH_MAX).contains(&length) {
        return None;
    }
    let mut message = vec![0; length];
    stream.read_exact(&mut message).await.ok()?;
    Some(message)
}

async fn answer(message: &[u8], bindings: &mut Bindings, lender: &dyn Lender) -> Reply {
    match Request::parse(message) {
        Some(Request::Identities) => Reply::Identities(lender.identities().await),
        Some(Request::Sign { key, data, flags }) => match bindings.here() {
            Some(binding) => {
                let wish = SignWish { key, data, flags, binding };
                lender.sign(wish).await.map_or(Reply::Failure, Reply::Signature)
            }
            None => Reply::Failure,
        },
        Some(Request::Bind { binding, forwarding }) => {
            if bindings.add(binding, forwarding) {
                Reply::Success
            } else {
                Reply::Failure
            }
        }
        None => Reply::Failure,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[derive(Default)]
    struct Scripted(Mutex<Vec<SignWish>>);

    #[async_trait]
    impl Lender for Scripted {
        async fn identities(&self) -> Vec<Identity> {
            vec![Identity { key: b"key".to_vec(), comment: "c".to_owned() }]
        }

        async fn sign(&self, wish: SignWish) -> Option<Vec<u8>> {
            let signed = (wish.data == b"yes").then(|| b"signature".to_vec());
            self.0.lock().unwrap().push(wish);
            signed
        }
    }

    fn words(kind: u8, words: &[&[u8]], tail: &[u8]) -> Vec<u8> {
        let mut message = vec![kind];
        for word in words {
            message.extend_from_slice(&u32::try_from(word.len()).unwrap().to_be_bytes());
            message.extend_from_slice(word);
        }
        message.extend_from_slice(tail);
        message
    }

    fn bind(host: &[u8], forwarding: u8) -> Vec<u8> {
        words(27, &[b"session-bind@openssh.com", host, b"session", b"proof"], &[forwarding])
    }

    async fn said(bindings: &mut Bindings, lender: &Scripted, message: &[u8]) -> Vec<u8> {
        answer(message, bindings, lender).await.framed().split_off(4)
    }

    #[tokio::test]
    async fn a_stock_client_lists_binds_and_signs() {
        let (mut bindings, lender) = (Bindings::default(), Scripted::default());
        let listed = said(&mut bindings, &lender, &[11]).await;
        assert_eq!(listed, words(12, &[], &[&[0, 0, 0, 1, 0, 0, 0, 3][..], b"key", &[0, 0, 0, 1], b"c"].concat()));
        assert_eq!(said(&mut bindings, &lender, &bind(b"host", 0)).await, [6]);
        let sign = |data: &[u8]| words(13, &[b"key", data], &[0, 0, 0, 4]);
        assert_eq!(said(&mut bindings, &lender, &sign(b"yes")).await, words(14, &[b"signature"], &[]));
        assert_eq!(said(&mut bindings, &lender, &sign(b"no")).await, [5]);
        let wishes = lender.0.lock().unwrap();
        assert_eq!(wishes[0].binding.as_ref().unwrap().host_key, b"host");
        assert_eq!((wishes[0].flags, wishes[0].key.as_slice()), (4, &b"key"[..]));
    }

    #[tokio::test]
    async fn a_forwarded_or_twice_bound_connection_signs_nothing_any_more() {
        let sign = words(13, &[b"key", b"yes"], &[0, 0, 0, 0]);
        for (first, second) in [(bind(b"a", 1), None), (bind(b"a", 0), Some(bind(b"b", 0)))] {
            let (mut bindings, lender) = (Bindings::default(), Scripted::default());
            said(&mut bindings, &lender, &first).await;
            if let Some(second) = second {
                assert_eq!(said(&mut bindings, &lender, &second).await, [5]);
            }
            assert_eq!(said(&mut bindings, &lender, &sign).await, [5]);
            // Not by binding again, either.
            assert_eq!(said(&mut bindings, &lender, &bind(b"a", 0)).await, [5]);
            assert_eq!(said(&mut bindings, &lender, &sign).await, [5]);
            assert!(lender.0.lock().unwrap().is_empty());
        }
    }

    #[tokio::test]
    async fn whatever_else_is_said_fails() {
        let (mut bindings, lender) = (Bindings::default(), Scripted::default());
        let long = words(13, &[b"key", b"yes"], &[0, 0, 0, 0, 0]);
        let cut = words(13, &[b"key", b"yes"], &[0, 0]);
        let lying = [13, 0xff, 0xff, 0xff, 0xff, 1].to_vec();
        // Add, remove, lock, an unknown extension, an empty one.
        let others = [vec![17], vec![19], vec![22], vec![1], words(27, &[b"query"], &[]), vec![27], vec![11, 0]];
        for message in others.into_iter().chain([long, cut, lying]) {
            assert_eq!(said(&mut bindings, &lender, &message).await, [5], "{message:?}");
        }
        assert!(lender.0.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn the_socket_is_private_goes_away_and_ends_a_client_that_says_too_much() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("own/agent.sock");
        let socket = Socket::bind(&path).unwrap();
        let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        assert!(matches!(Socket::bind(&path), Err(SocketError::Taken)));
        let client = async {
            let mut stream = UnixStream::connect(&path).await.unwrap();
            stream.write_all(&[0, 0, 0, 1, 11]).await.unwrap();
            assert_eq!(heard(&mut stream).await.unwrap().first(), Some(&12));
            stream.write_all(&0x0010_0000_u32.to_be_bytes()).await.unwrap();
            assert_eq!(heard(&mut stream).await, None, "closed");
        };
        serve(&socket, Arc::new(Scripted::default()), client).await;
        drop(socket);
        assert!(!path.exists() && !path.parent().unwrap().exists());
    }

    #[tokio::test]
    async fn one_sign_in_too_many_waits_and_is_served() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("own/agent.sock");
        let socket = Socket::bind(&path).unwrap();
        let client = async {
            let mut busy = Vec::new();
            for _ in 0..CONNECTIONS_MAX {
                let mut stream = UnixStream::connect(&path).await.unwrap();
                stream.write_all(&[0, 0, 0, 1, 11]).await.unwrap();
                assert!(heard(&mut stream).await.is_some(), "each has its place");
                busy.push(stream);
            }
            let mut late = UnixStream::connect(&path).await.unwrap();
            late.write_all(&[0, 0, 0, 1, 11]).await.unwrap();
            drop(busy.pop());
            assert_eq!(heard(&mut late).await.unwrap().first(), Some(&12), "as soon as there is one");
        };
        serve(&socket, Arc::new(Scripted::default()), client).await;
    }

    proptest::proptest! {
        #[test]
        fn hostile_messages_never_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            for kind in [11, 13, 27] {
                let _ = Request::parse(&[&[kind], bytes.as_slice()].concat());
            }
            let _ = Request::parse(&bytes);
        }
    }

    #[test]
    fn a_socket_in_a_folder_that_others_read_is_refused() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let refused = Socket::bind(&folder.path().join("agent.sock"));
        assert!(matches!(refused, Err(SocketError::Exposed)));
    }
}
