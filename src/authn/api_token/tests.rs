//! Tokens against everything that is nearly one (case A14).

use std::sync::atomic::{AtomicU8, Ordering};

use proptest::prelude::*;

use super::*;

/// Bytes that grow with each draw.
struct Growing(AtomicU8);

impl Entropy for Growing {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), EntropyError> {
        for byte in buffer {
            *byte = self.0.fetch_add(37, Ordering::SeqCst);
        }
        Ok(())
    }
}

struct Standing;

impl Entropy for Standing {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), EntropyError> {
        for (byte, value) in buffer.iter_mut().zip(0..) {
            *byte = value;
        }
        Ok(())
    }
}

struct Failing;

impl Entropy for Failing {
    fn fill(&self, _: &mut [u8]) -> Result<(), EntropyError> {
        Err(EntropyError)
    }
}

fn token(kind: TokenKind) -> (String, TokenId) {
    let (issued, id) = issue(kind, &Growing(AtomicU8::new(1))).unwrap();
    (issued.into_secret().reveal().to_owned(), id)
}

fn user() -> String {
    token(TokenKind::User).0
}

fn refused(text: &str) -> bool {
    parse(text).err() == Some(TokenError)
}

#[test]
fn an_issued_token_parses_to_its_own_id_and_kind() {
    for (kind, prefix) in
        [(TokenKind::User, "vk1_u_"), (TokenKind::ServiceAccount, "vk1_s_"), (TokenKind::Run, "vk1_r_")]
    {
        let (text, id) = token(kind);
        assert!(text.starts_with(prefix) && text.len() == TOKEN_LENGTH);
        let presented = parse(&text).ok().unwrap();
        assert_eq!((presented.id(), presented.kind(), presented.as_bytes()), (&id, kind, text.as_bytes()));
        assert_eq!(id.0.len(), 22);
        assert!(text[PREFIX_LENGTH..].starts_with(&id.0));
    }
}

#[test]
fn a14_a_token_cut_or_extended_anywhere_is_refused() {
    let text = user();
    for length in 0..text.len() {
        assert!(refused(&text[..length]), "{length}");
        assert!(refused(&text[text.len() - length..]), "{length}");
    }
    for longer in [format!("{text}0"), format!(" {text}"), format!("{text}\n"), text.repeat(133)] {
        assert!(refused(&longer));
    }
}

#[test]
fn a14_a_token_with_one_letter_in_the_other_case_is_refused() {
    let text = user();
    for (at, byte) in text.bytes().enumerate().filter(|(_, byte)| byte.is_ascii_alphabetic()) {
        let mut flipped = text.clone().into_bytes();
        flipped[at] = byte ^ 0x20;
        assert!(refused(std::str::from_utf8(&flipped).unwrap()), "{at}");
    }
    assert!(refused(&text.to_ascii_uppercase()) && refused(&text.to_ascii_lowercase()));
}

#[test]
fn a14_a_token_of_the_other_kind_or_version_is_refused() {
    let text = user();
    for prefix in ["vk1_s_", "vk1_r_", "vk2_u_", "VK1_u_", "vk1-u-", "xk1_u_"] {
        assert!(refused(&format!("{prefix}{}", &text[PREFIX_LENGTH..])), "{prefix}");
    }
}

#[test]
fn a14_other_characters_and_lengths_are_refused() {
    let text = user();
    assert!(refused("") && refused("vk1_u_") && refused(&"a".repeat(10 * 1024)));
    for odd in ["\u{e9}", "\u{200b}", "\u{ff10}", "\0", "-", "_", "+", "\u{1f511}"] {
        for at in 0..text.len() - odd.len() {
            let replaced = format!("{}{odd}{}", &text[..at], &text[at + odd.len()..]);
            assert!(refused(&replaced) || replaced == text, "{replaced:?}");
        }
    }
}

#[test]
fn every_refusal_says_the_same() {
    assert_eq!(parse("x").err().unwrap().to_string(), parse(&format!("{}0", &user()[..76])).err().unwrap().to_string());
}

#[test]
fn c9_no_token_is_issued_without_randomness() {
    assert_eq!(issue(PrincipalKind::User, &Failing).err(), Some(EntropyError));
    assert_eq!(issue(PrincipalKind::User, &Standing).err(), Some(EntropyError));
}

#[test]
fn digests_match_only_when_equal() {
    let stored = TokenDigest([1; 32]);
    assert!(digest_matches(&stored, &[1; 32]));
    for bit in 0..256 {
        let mut other = [1; 32];
        other[bit / 8] ^= 1 << (bit % 8);
        assert!(!digest_matches(&stored, &other));
    }
}

#[test]
fn only_one_spelling_of_the_header_is_taken() {
    let text = user();
    assert_eq!(bearer(format!("Bearer {text}").as_bytes()), Ok(text.as_str()));
    for bad in [
        "",
        "Bearer",
        "Bearer ",
        "Basic dTpw",
        "Bearer  x",
        "Bearer\tx",
        " Bearer x",
        "Bearer x ",
        "Bearer x,y",
        "bearer x",
        "Bearer x\r\nX: y",
        "Bearer \u{e9}",
        "Bearer x\0",
    ] {
        assert_eq!(bearer(bad.as_bytes()), Err(TokenError), "{bad:?}");
    }
    assert_eq!(bearer(b"Bearer \xff"), Err(TokenError));
    let longest = "x".repeat(BEARER_LENGTH_MAX);
    assert!(bearer(format!("Bearer {longest}").as_bytes()).is_ok());
    assert_eq!(bearer(format!("Bearer {longest}x").as_bytes()), Err(TokenError));
    assert_eq!(bearer(&[b"Bearer ".as_slice(), &[b'a'; 10 * 1024]].concat()), Err(TokenError));
}

#[test]
fn the_published_expression_has_the_length_of_a_token() {
    assert_eq!(TOKEN_LENGTH, 77);
    assert!(TOKEN_REGEX.contains(&format!("{{{}}}", TOKEN_LENGTH - PREFIX_LENGTH)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn a14_one_wrong_character_anywhere_is_refused(at in 0..77_usize, byte in proptest::char::range(' ', '~')) {
        let mut text = user().into_bytes();
        prop_assume!(text[at] != byte as u8);
        text[at] = byte as u8;
        prop_assert!(refused(std::str::from_utf8(&text).unwrap()));
    }

    #[test]
    fn any_text_is_taken_or_refused_without_a_panic(text in ".{0,120}") {
        prop_assert!(refused(&text));
        let _ = bearer(text.as_bytes());
    }
}
