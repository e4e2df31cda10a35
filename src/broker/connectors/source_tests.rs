//! Between the read of a connector and that of its sealed secret: a rotation
//! is to be asked again, a store that somebody edited is a loss of data.

use std::sync::Arc;

use crate::audit::Outcome;
use crate::authz::Permission;
use crate::domain::{Connector, SecretFieldName};
use crate::sealing::{Plaintext, SourceCredential};
use crate::store::{Transactions as _, Tx, Write};

use super::super::Rotate;
use super::super::fixture::House;

/// What becomes of a verification by this record of the connector.
async fn verified_by(house: &House, connector: &Arc<Connector>) -> &'static str {
    let call = house.call(&house.engineer).await;
    let permission = Permission::ConnectorsVerify;
    let (_, permit) = house.broker.permitted_connector(&call, "vault", permission).await.unwrap();
    let entry = house.broker.open_on(&call, connector, &[]).await.unwrap();
    let asked = house.broker.verify_stored(&call, connector, &permit, &entry).await;
    asked.err().map_or("OK", |error| error.code())
}

#[tokio::test]
async fn a_rotation_between_two_reads_is_asked_again_and_an_edited_store_is_data_loss() {
    let house = House::new().await;
    let before = Arc::new(house.connector(&house.home, "vault").await);
    assert_eq!(verified_by(&house, &before).await, "OK");

    let stamp = (SecretFieldName::parse("stamp").unwrap(), Plaintext::new(b"new".to_vec()));
    let rotate = Rotate {
        connector: "vault".to_owned(),
        secret: SourceCredential::new([stamp].into()),
        expected: None,
        secret_expires_at: None,
        skip_verify: true,
        validate_only: false,
        once: None,
    };
    let call = house.call(&house.engineer).await;
    let rotated = house.broker.rotate_connector_secret(&call, rotate).await.unwrap();
    assert_eq!(verified_by(&house, &before).await, "CHANGED_MEANWHILE", "read before, opened after");
    assert_eq!(verified_by(&house, &Arc::new(rotated.clone())).await, "OK");

    // The record says another version than the one that is sealed, and stays so.
    let mut edited = rotated.clone();
    edited.secret.version += 1;
    edited.version = rotated.version.next();
    let write = Write::UpdateConnector { connector: edited.clone(), expected: rotated.version, sealed: None };
    house.store.commit(Tx::with_line(call.line(Outcome::Ok, "")).write(write)).await.unwrap();
    assert_eq!(verified_by(&house, &Arc::new(edited)).await, "DATA_LOSS");
}
