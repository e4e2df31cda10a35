//! TLS before a plain server on loopback, for what must be https; and a plain door before one with TLS, for a client
//! that speaks nothing else to loopback.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;
use std::thread;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::oidc::Authority;

/// Listens by https, and passes all on to the server at this endpoint; returns where. Ends with the test's process.
pub fn of(endpoint: &str, authority: &Authority) -> String {
    let (server, acceptor) = (endpoint.trim_start_matches("http://").to_owned(), acceptor(authority));
    let here = listen(move |stream| {
        let (acceptor, server) = (acceptor.clone(), server.clone());
        async move {
            let mut client = acceptor.accept(stream).await?;
            tokio::io::copy_bidirectional(&mut client, &mut TcpStream::connect(server).await?).await
        }
    });
    format!("https://{here}")
}

/// Listens in the clear, and passes all on to the server with TLS at this `HOST:PORT`; returns where, in the same form.
pub fn plain(server: &str, authority: &Authority) -> String {
    let (server, connector) = (server.to_owned(), connector(authority));
    listen(move |mut stream| {
        let (connector, server) = (connector.clone(), server.clone());
        async move {
            let name = ServerName::try_from("127.0.0.1").expect("an address is a name");
            let mut upstream = connector.connect(name, TcpStream::connect(server).await?).await?;
            tokio::io::copy_bidirectional(&mut stream, &mut upstream).await
        }
    })
}

// Whoever goes away, on either side, ends the connection: all that can fail in `pass`.
fn listen<F>(pass: impl Fn(TcpStream) -> F + Send + 'static) -> String
where
    F: Future<Output = std::io::Result<(u64, u64)>> + Send + 'static,
{
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("the machine has a free loopback port");
    let here = listener.local_addr().expect("a bound listener has an address").to_string();
    listener.set_nonblocking(true).expect("a listener can be polled");
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime can be made").block_on(async move {
            let listener = tokio::net::TcpListener::from_std(listener).expect("a runtime takes a listener");
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(pass(stream));
            }
        });
    });
    here
}

fn connector(authority: &Authority) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    let ca = fs::read(&authority.ca).expect("the authority wrote it");
    roots.add(CertificateDer::from_pem_slice(&ca).expect("it is a certificate")).expect("it is one of a CA");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.expect("ring does each of them").with_root_certificates(roots).with_no_client_auth();
    TlsConnector::from(Arc::new(config))
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
