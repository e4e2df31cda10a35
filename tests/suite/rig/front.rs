//! TLS before a plain server on loopback, for what must be https.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;
use std::thread;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use super::oidc::Authority;

/// Listens by https, and passes all on to the server at this endpoint; returns where. Ends with the test's process.
pub fn of(endpoint: &str, authority: &Authority) -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("the machine has a free loopback port");
    let here = format!("https://{}", listener.local_addr().expect("a bound listener has an address"));
    listener.set_nonblocking(true).expect("a listener can be polled");
    let (server, acceptor) = (endpoint.trim_start_matches("http://").to_owned(), acceptor(authority));
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime can be made").block_on(async move {
            let listener = tokio::net::TcpListener::from_std(listener).expect("a runtime takes a listener");
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(pass(stream, acceptor.clone(), server.clone()));
            }
        });
    });
    here
}

// Whoever goes away, on either side, ends the connection: all that can fail here.
async fn pass(stream: TcpStream, acceptor: TlsAcceptor, server: String) {
    let Ok(mut client) = acceptor.accept(stream).await else { return };
    let Ok(mut upstream) = TcpStream::connect(server).await else { return };
    let _ = tokio::io::copy_bidirectional(&mut client, &mut upstream).await;
}

fn acceptor(authority: &Authority) -> TlsAcceptor {
    let read = |path| fs::read(path).expect("the authority wrote it");
    let certificate = CertificateDer::from_pem_slice(&read(&authority.certificate)).expect("it is a certificate");
    let key = PrivateKeyDer::from_pem_slice(&read(&authority.key)).expect("it is a key");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.expect("ring does each of them").with_no_client_auth().with_single_cert(vec![certificate], key);
    TlsAcceptor::from(Arc::new(config.expect("the key is the certificate's")))
}
