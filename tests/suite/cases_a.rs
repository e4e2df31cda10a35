//! SECURITY.md group A, authentication, through the real daemon. A1 is in `coverage`.

use std::time::{Duration, Instant};

use tonic::metadata::MetadataMap;
use tonic::{Code, Status};
use valetkey::proto;

use crate::rig::cast::{self, empty};
use crate::rig::process::eventually;
use crate::rig::vault::{Setup, Vault};
use crate::rig::wire::reason;

const WHO_AM_I: &str = "/valetkey.v1.AccessService/WhoAmI";

fn who_am_i(vault: &Vault, token: &str) -> Result<Vec<u8>, Status> {
    let mut metadata = MetadataMap::new();
    metadata.insert("authorization", format!("Bearer {token}").parse().unwrap());
    vault.run(vault.raw_with(metadata, WHO_AM_I, empty()))
}

#[test]
fn a14_a_token_that_is_not_exactly_ours_and_alive_is_nobodys() {
    let vault = Setup::new().with("limits", "failed_authentications_per_minute = 10000").start();
    let good = vault.token("bob");
    assert!(who_am_i(&vault, &good).is_ok());
    let elsewhere = Setup::new().start_empty().token("owner");
    let mut wrong = vec![
        elsewhere,
        good[..good.len() - 1].to_owned(),
        format!("{good}0"),
        format!("{good} "),
        good.to_uppercase(),
        good.replacen("vk1_u_", "vk1_s_", 1),
        good.replacen("vk1_u_", "vk2_u_", 1),
        format!("{good},{good}"),
    ];
    for place in [6, 27, 28, 50, 70, 71, 76] {
        wrong.push(flipped(&good, place));
    }
    // With the checksum made right again, each half is still looked at.
    for place in [6, 27, 28, 70] {
        wrong.push(sealed(&flipped(&good, place)));
    }
    assert_eq!(sealed(&good), good, "this test knows the checksum");
    for token in wrong {
        let status = who_am_i(&vault, &token).expect_err("a wrong token was taken");
        assert_eq!((status.code(), reason(&status).as_str()), (Code::Unauthenticated, "UNAUTHENTICATED"), "{token}");
        assert_eq!(status.message(), "no valid credentials were presented");
    }
    assert!(who_am_i(&vault, &good).is_ok());
}

#[test]
fn a14_a_token_ends_when_it_is_revoked_expires_or_its_holder_goes() {
    let vault = Setup::new().start();
    let revoked = cast::token(&vault, "owner", "bob", 0);
    assert!(who_am_i(&vault, &revoked.secret).is_ok());
    let ask = proto::RevokeTokenRequest { token: revoked.token.unwrap().id, ..Default::default() };
    vault.run(vault.access("bob").revoke_token(ask)).expect("bob revokes his own token");
    assert_eq!(who_am_i(&vault, &revoked.secret).unwrap_err().code(), Code::Unauthenticated);

    let short = cast::token(&vault, "owner", "bob", 3);
    assert!(who_am_i(&vault, &short.secret).is_ok());
    let nobody = || who_am_i(&vault, &short.secret).is_err_and(|status| status.code() == Code::Unauthenticated);
    assert!(eventually(Duration::from_secs(20), nobody), "an expired token still works");

    let bob = vault.token("bob");
    let gone = proto::DeletePrincipalRequest { principal: "bob".to_owned(), ..Default::default() };
    vault.run(vault.access("owner").delete_principal(gone)).expect("an owner deletes principals");
    assert_eq!(who_am_i(&vault, &bob).unwrap_err().code(), Code::Unauthenticated);
}

#[test]
fn a14_a_revoked_token_is_still_revoked_after_a_power_cut() {
    let vault = Setup::new().start();
    let bob = cast::token(&vault, "owner", "bob", 0);
    let ask = proto::RevokeTokenRequest { token: bob.token.unwrap().id, ..Default::default() };
    vault.run(vault.access("owner").revoke_token(ask)).expect("an owner revokes tokens");
    vault.sigkill();
    vault.start();
    assert_eq!(who_am_i(&vault, &bob.secret).unwrap_err().code(), Code::Unauthenticated);
    assert!(who_am_i(&vault, &vault.token("bob")).is_ok());
}

#[test]
fn a22_guessers_behind_the_same_address_do_not_lock_the_victim_out() {
    const GUESSES: usize = 1000;
    let vault = Setup::new().start();
    let victim = vault.token("bob");
    let guess = sealed(&flipped(&victim, 40));
    let door = vault.door_with(&guess);
    let mut client = proto::access_service_client::AccessServiceClient::new(door);
    let guessing = vault.spawn(async move {
        let mut codes = Vec::new();
        for _ in 0..GUESSES {
            match client.who_am_i(proto::WhoAmIRequest::default()).await {
                Ok(_) => panic!("a guess was right"),
                Err(status) => codes.push(status.code()),
            }
        }
        codes
    });
    let (mut slowest, mut calls) = (Duration::ZERO, 0);
    while !guessing.is_finished() {
        let before = Instant::now();
        who_am_i(&vault, &victim).expect("the victim was locked out");
        slowest = slowest.max(before.elapsed());
        calls += 1;
    }
    assert!(calls > 5 && slowest < Duration::from_secs(10), "{calls} calls, the slowest took {slowest:?}");
    let codes = vault.run(guessing).unwrap();
    assert!(codes.iter().all(|code| matches!(code, Code::Unauthenticated | Code::ResourceExhausted)), "{codes:?}");
    assert!(codes.contains(&Code::ResourceExhausted), "guessing was never slowed down");
    vault.stop();
    let counted: u64 =
        vault.ledger().iter().filter(|line| refused(line)).map(|line| line["count"].as_u64().unwrap_or(1)).sum();
    assert_eq!(counted, GUESSES as u64, "each guess is in the ledger, one by one or counted");
}

fn refused(line: &serde_json::Value) -> bool {
    line["principal"].is_null() && matches!(line["outcome"].as_str(), Some("denied" | "throttled"))
}

/// The token with another character at this place.
fn flipped(token: &str, place: usize) -> String {
    let mut bytes = token.as_bytes().to_vec();
    bytes[place] = if bytes[place] == b'x' { b'y' } else { b'x' };
    String::from_utf8(bytes).unwrap()
}

/// The token with a right checksum: CRC-32 in six digits of base 62.
fn sealed(token: &str) -> String {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let body = &token[..token.len() - 6];
    let mut number = crc32fast::hash(body.as_bytes());
    let mut digits = [0; 6];
    for digit in digits.iter_mut().rev() {
        *digit = DIGITS[(number % 62) as usize];
        number /= 62;
    }
    body.to_owned() + std::str::from_utf8(&digits).unwrap()
}
