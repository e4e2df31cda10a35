//! TLS 1.3 and nothing older: whoever offers only TLS 1.2 is refused by the version itself, before a certificate is shown.

use rustls::version::{TLS12, TLS13};
use rustls::{AlertDescription, Error, ProtocolVersion};

use crate::rig::vault::Setup;

#[test]
fn only_tls_1_3_is_spoken() {
    let vault = Setup::new().start_empty();
    let refused = vault.run(vault.connect_by(&[&TLS12], &[b"h2"])).expect_err("TLS 1.2 was taken");
    let said = refused.get_ref().and_then(|error| error.downcast_ref::<Error>());
    assert_eq!(said, Some(&Error::AlertReceived(AlertDescription::ProtocolVersion)), "{refused:?}");
    // The same client with TLS 1.3, and one that would take either.
    for versions in [&[&TLS13][..], &[&TLS12, &TLS13]] {
        let stream = vault.run(vault.connect_by(versions, &[b"h2"])).expect("TLS 1.3 is spoken");
        assert_eq!(stream.get_ref().1.protocol_version(), Some(ProtocolVersion::TLSv1_3));
    }
}
