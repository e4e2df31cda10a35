//! Callers against the real store: what is presented is checked each time,
//! and a change is felt at the very next call.

use std::time::Duration;

use crate::authn::api_token;
use crate::domain::{Role, TokenId};
use crate::store::{Tokens, Transactions, Tx, Write};

use super::super::fixture::House;
use super::super::{BrokerError, NewToken};

async fn refused(house: &House, header: &[u8]) -> bool {
    house.broker.authenticate(header).await == Err(BrokerError::Unauthenticated)
}

impl PartialEq for super::CallerFacts {
    fn eq(&self, other: &Self) -> bool {
        self.token == other.token && self.as_of == other.as_of
    }
}

#[tokio::test]
async fn a_known_token_is_its_principal_with_what_it_holds() {
    let house = House::new().await;
    let caller = house.broker.authenticate(&house.engineer.header).await.unwrap();
    assert_eq!(caller.subject.principal.id, house.engineer.id);
    assert_eq!(caller.project.id, house.home.id);
    assert_eq!(caller.subject.bindings[0].role, Role::PlatformEngineer);
}

/// Case A14: each byte of a token counts, also when the caller is in memory.
#[tokio::test]
async fn a_token_with_one_other_character_is_nobodys() {
    let house = House::new().await;
    assert!(house.broker.authenticate(&house.scientist.header).await.is_ok());
    for at in 0..house.scientist.header.len() {
        let mut header = house.scientist.header.clone();
        header[at] = if header[at] == b'0' { b'1' } else { b'0' };
        assert!(refused(&house, &header).await, "{at}");
    }
    let header = &house.scientist.header;
    assert!(refused(&house, &header[..header.len() - 1]).await);
    assert!(refused(&house, &[header.as_slice(), b" "].concat()).await);
    assert!(refused(&house, b"").await);
    assert!(refused(&house, b"Bearer ").await);
    assert!(house.broker.authenticate(header).await.is_ok());
}

/// A token with the id of another and a right checksum: the digest decides.
#[tokio::test]
async fn a_wrong_secret_under_a_known_id_is_nobodys_cached_or_not() {
    let house = House::new().await;
    let victim = String::from_utf8(house.scientist.header.clone()).unwrap();
    let other = String::from_utf8(house.engineer.header.clone()).unwrap();
    // "Bearer " and "vk1_u_", then 22 of the id, 43 of the secret.
    let (id, secret) = (13..35, 35..78);
    let body = format!("{}{}{}", &victim[7..13], &victim[id], &other[secret]);
    let forged = with_checksum(&body);
    assert!(api_token::parse(&forged).is_ok(), "only the digest can tell");
    let header = format!("Bearer {forged}").into_bytes();
    assert!(refused(&house, &header).await);
    assert!(house.broker.authenticate(&house.scientist.header).await.is_ok());
    assert!(refused(&house, &header).await);
}

/// The checksum by trial: it is six base-62 characters of CRC-32.
fn with_checksum(body: &str) -> String {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut rest = u64::from(crc32fast::hash(body.as_bytes()));
    let mut crc = Vec::new();
    for _ in 0..6 {
        crc.insert(0, DIGITS[usize::try_from(rest % 62).unwrap()]);
        rest /= 62;
    }
    format!("{body}{}", String::from_utf8(crc).unwrap())
}

#[tokio::test]
async fn a_revoked_token_is_nobodys_at_the_next_call() {
    let house = House::new().await;
    assert!(house.broker.authenticate(&house.scientist.header).await.is_ok());
    let call = house.call(&house.owner).await;
    house.broker.revoke_token(&call, &house.scientist.token.0, None).await.unwrap();
    assert!(refused(&house, &house.scientist.header).await);
    assert_eq!(house.broker.caller_again(&house.scientist.token).await.err(), Some(BrokerError::Unauthenticated));
}

#[tokio::test]
async fn a_token_ends_at_its_end_also_in_memory() {
    let house = House::new().await;
    let call = house.call(&house.scientist).await;
    let ask = NewToken { ttl_seconds: Some(60), ..NewToken::default() };
    let made = house.broker.create_token(&call, ask, None).await.unwrap();
    let header = format!("Bearer {}", made.secret.unwrap().reveal()).into_bytes();
    house.clock.advance(Duration::from_secs(59));
    assert!(house.broker.authenticate(&header).await.is_ok());
    house.clock.advance(Duration::from_secs(1));
    assert!(refused(&house, &header).await);
    assert_eq!(house.broker.caller_again(&made.token.id).await.err(), Some(BrokerError::Unauthenticated));
}

#[tokio::test]
async fn an_unknown_id_is_answered_as_a_wrong_secret_is() {
    let house = House::new().await;
    let record = house.store.token(&house.scientist.token).await.unwrap();
    let line = crate::audit::Line::about("test", crate::audit::LineKind::Single, crate::audit::Outcome::Ok);
    let gone = Write::DeleteToken { project: record.project, id: record.id };
    house.store.commit(Tx::with_line(line).write(gone)).await.unwrap();
    assert!(refused(&house, &house.scientist.header).await);
    let unknown = house.broker.caller_again(&TokenId("0".repeat(22))).await;
    assert_eq!(unknown.err(), Some(BrokerError::Unauthenticated));
}
