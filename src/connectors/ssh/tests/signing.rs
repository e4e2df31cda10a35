//! What a signing session signs, and every neighbour of it that it does not.

use ring::rand::SystemRandom;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};

use super::fake::{FakeHost, SignIn, strings};
use super::*;
use crate::connectors::HostBinding;
use crate::domain::MintedShape;

const SESSION: &[u8] = &[9; 32];

/// A host, a connector of a fresh key, and the key's public half.
struct Bench {
    host: FakeHost,
    settings: Settings,
    secret: SourceCredential,
    raw: Vec<u8>,
    key: Vec<u8>,
}

impl Bench {
    fn new() -> Self {
        use base64::Engine as _;
        let host = FakeHost::new();
        let settings = private(&[format!("a.gpu.example.com {}", host.line())]);
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        let raw = Ed25519KeyPair::from_pkcs8(document.as_ref()).unwrap().public_key().as_ref().to_vec();
        let text = base64::engine::general_purpose::STANDARD.encode(document.as_ref());
        let pem = format!("-----BEGIN PRIVATE KEY-----\n{text}\n-----END PRIVATE KEY-----\n");
        let secret = secret(&[("base64_ssh_key", &pem)]);
        let key = strings(&[b"ssh-ed25519", &raw]);
        Self { host, settings, secret, raw, key }
    }

    fn sign_in(&self) -> SignIn<'_> {
        SignIn {
            session_id: SESSION,
            user: "trainer",
            service: "ssh-connection",
            algorithm: "ssh-ed25519",
            key: &self.key,
            host_key: Some(self.host.key()),
        }
    }

    async fn sign(&self, challenge: &Challenge) -> Result<Vec<u8>, String> {
        let scope = Ssh.narrow(&self.settings, &ask("a.gpu.example.com", AccessLevel::Read, None)).unwrap();
        let signed = Ssh.sign(&upstream(), &self.settings, &self.secret, &scope, challenge).await;
        signed.map_err(|error| {
            let UpstreamError::Rejected { code, .. } = error else { panic!("{error:?}") };
            code
        })
    }
}

#[tokio::test]
async fn a_sign_in_to_the_pinned_host_is_signed() {
    let bench = Bench::new();
    for host_key in [Some(bench.host.key()), None] {
        let sign_in = SignIn { host_key, ..bench.sign_in() };
        let signature = bench.sign(&sign_in.challenge(0, Some(bench.host.proof(SESSION)))).await.unwrap();
        let prefix = [super::fake::string(b"ssh-ed25519"), 64_u32.to_be_bytes().to_vec()].concat();
        let bytes = signature.strip_prefix(prefix.as_slice()).unwrap();
        UnparsedPublicKey::new(&ED25519, &bench.raw).verify(&sign_in.text(), bytes).unwrap();
    }
}

#[tokio::test]
async fn nothing_else_is_signed() {
    let bench = Bench::new();
    let (stranger, proof) = (FakeHost::new(), || Some(bench.host.proof(SESSION)));
    let sign_in = || bench.sign_in();
    let other_key = strings(&[b"ssh-ed25519", &[7; 32]]);
    let mut forged = bench.host.proof(SESSION);
    *forged.signature.last_mut().unwrap() ^= 1;
    let swapped = HostBinding { signature: stranger.proof(SESSION).signature, ..bench.host.proof(SESSION) };
    let short = SignIn { session_id: b"short", ..sign_in() };
    let refusals = [
        ("OTHER_USER", SignIn { user: "root", ..sign_in() }.challenge(0, proof())),
        ("OTHER_KEY", SignIn { key: &other_key, ..sign_in() }.challenge(0, proof())),
        ("NOT_A_SIGN_IN", SignIn { service: "ssh-userauth", ..sign_in() }.challenge(0, proof())),
        ("OTHER_ALGORITHM", SignIn { algorithm: "rsa-sha2-512", ..sign_in() }.challenge(0, proof())),
        ("OTHER_ALGORITHM", sign_in().challenge(2, proof())),
        ("NO_HOST_BINDING", sign_in().challenge(0, None)),
        ("UNPINNED_HOST", sign_in().challenge(0, Some(stranger.proof(SESSION)))),
        ("UNPINNED_HOST", SignIn { host_key: Some(stranger.key()), ..sign_in() }.challenge(0, proof())),
        ("FALSE_BINDING", sign_in().challenge(0, Some(bench.host.proof(&[8; 32])))),
        ("FALSE_BINDING", sign_in().challenge(0, Some(forged))),
        ("FALSE_BINDING", sign_in().challenge(0, Some(swapped))),
        ("FALSE_BINDING", short.challenge(0, Some(bench.host.proof(b"short")))),
    ];
    for (code, challenge) in refusals {
        assert_eq!(bench.sign(&challenge).await.unwrap_err(), code);
    }
}

#[tokio::test]
async fn what_is_no_sign_in_to_the_last_byte_is_refused() {
    let bench = Bench::new();
    let proof = || Some(bench.host.proof(SESSION));
    let whole = bench.sign_in().text();
    let sshsig = [b"SSHSIG".as_slice(), &strings(&[b"git", b"", b"sha512", &[1; 64]])].concat();
    let mut other_message = whole.clone();
    other_message[4 + SESSION.len()] = 51;
    let mut unsigned = whole.clone();
    let at = whole.windows(12).position(|window| window == [1, 0, 0, 0, 11, b's', b's', b'h', b'-', b'e', b'd', b'2']);
    unsigned[at.unwrap()] = 0;
    let texts = [Vec::new(), sshsig, other_message, unsigned, [whole.clone(), vec![0]].concat()];
    let cut = (0..whole.len()).map(|end| whole[..end].to_vec());
    for data in texts.into_iter().chain(cut) {
        let refused = bench.sign(&Challenge { data, flags: 0, binding: proof() }).await.unwrap_err();
        assert_eq!(refused, "NOT_A_SIGN_IN");
    }
}

proptest::proptest! {
    #[test]
    fn hostile_challenges_never_panic_and_are_never_signed(
        data in proptest::collection::vec(proptest::num::u8::ANY, 0..300),
        host_key in proptest::collection::vec(proptest::num::u8::ANY, 0..80),
    ) {
        let agreed = super::challenge::Agreed { username: "trainer", public_key: b"", host_keys: &[] };
        let binding = HostBinding { host_key: host_key.clone(), session_id: data.clone(), signature: data.clone() };
        let judged = agreed.judge(&Challenge { data: data.clone(), flags: 0, binding: Some(binding) });
        proptest::prop_assert!(judged.is_err());
        if let Some(key) = super::public_key::Key::decode(&host_key) {
            proptest::prop_assert!(!key.verifies(&data, &data));
        }
        let line = String::from_utf8_lossy(&data);
        let _ = super::public_key::of_caller(&line);
        let _ = super::public_key::pins(&line);
        let _ = super::hosts::HostGlob::parse(&line);
    }
}

#[tokio::test]
async fn a_session_holds_nothing_secret_and_a_ca_signs_no_challenge() {
    let bench = Bench::new();
    let wish = ask("a.gpu.example.com", AccessLevel::Read, None);
    let minted = mint(&bench.settings, &bench.secret, &wish, 60).await.unwrap();
    let MintedShape::SigningSession { public_key, username, host, host_keys } = &minted.shape else {
        panic!("no session")
    };
    assert_eq!((username.as_str(), host.as_str()), ("trainer", "a.gpu.example.com"));
    assert_eq!(host_keys, &[bench.host.line()]);
    assert_eq!(public_key::of_caller(public_key).unwrap().blob, bench.key);
    let (settings, wish) = (ca(""), ask("a.gpu.example.com", AccessLevel::Read, Some(CALLER)));
    let scope = Ssh.narrow(&settings, &wish).unwrap();
    let challenge = bench.sign_in().challenge(0, Some(bench.host.proof(SESSION)));
    let refused = Ssh.sign(&upstream(), &settings, &bench.secret, &scope, &challenge).await;
    assert!(matches!(refused, Err(UpstreamError::Rejected { code, .. }) if code == "UNSUPPORTED"));
}
