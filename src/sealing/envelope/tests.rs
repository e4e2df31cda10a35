//! The construct against altered, cut, extended and foreign records.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use proptest::prelude::*;

use crate::domain::{ConnectorId, ConnectorTypeName, Entropy, EntropyError, ProjectId, SecretFieldName};
use crate::sealing::SealContext;
use crate::sealing::seeded::{Failing, Seeded, Standing, System};

use super::*;

const KEY: [u8; 32] = [7; 32];
const ID: KeyId = KeyId([9; 16]);

fn context() -> SealContext {
    SealContext {
        project: ProjectId::from_bytes([1; 16]),
        connector: ConnectorId::from_bytes([2; 16]),
        connector_type: ConnectorTypeName::parse("aws").unwrap(),
        secret_version: 3,
        destination: [4; 32],
    }
}

fn name(text: &str) -> SecretFieldName {
    SecretFieldName::parse(text).unwrap()
}

fn at<R>(context: &SealContext, field: &str, names: &[&str], run: impl FnOnce(&Place<'_>) -> R) -> R {
    let names: Vec<_> = names.iter().map(|text| name(text)).collect();
    let names: Vec<_> = names.iter().collect();
    run(&Place::SourceField { context, field: &name(field), names: &names })
}

fn here<R>(run: impl FnOnce(&Place<'_>) -> R) -> R {
    at(&context(), "key", &["key", "token"], run)
}

fn sealed(plaintext: &[u8]) -> Vec<u8> {
    let fresh = Fresh::new(Arc::new(Seeded::new(1)));
    here(|place| seal(&KEY, ID, place, plaintext, &fresh)).unwrap().as_bytes().to_vec()
}

fn opens(bytes: &[u8], key: &[u8; 32], place: &Place<'_>) -> Option<Vec<u8>> {
    Some(Record::parse(bytes)?.open(key, place).ok()?.to_vec())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn what_was_sealed_opens_again(plaintext in proptest::collection::vec(any::<u8>(), 0..300)) {
        let record = sealed(&plaintext);
        prop_assert_eq!(here(|place| opens(&record, &KEY, place)), Some(plaintext));
    }

    #[test]
    fn an_extended_record_does_not_open(tail in proptest::collection::vec(any::<u8>(), 1..200)) {
        let record = [sealed(b"secret"), tail].concat();
        prop_assert_eq!(here(|place| opens(&record, &KEY, place)), None);
    }

    #[test]
    fn a_record_opens_in_its_own_context_only(
        which in 0..7_usize, byte in 1..=255_u8, at_byte in 0..16_usize, flip in 0..64_u32,
    ) {
        let record = sealed(b"secret");
        let mut other = context();
        let (mut field, mut names) = ("key", vec!["key", "token"]);
        let mut id = [1; 16];
        id[at_byte] ^= byte;
        match which {
            0 => other.project = ProjectId::from_bytes(id),
            1 => other.connector = ConnectorId::from_bytes(id),
            2 => other.connector_type = ConnectorTypeName::parse("gcp").unwrap(),
            3 => other.secret_version ^= 1 << flip,
            4 => other.destination[at_byte] ^= byte,
            5 => field = "token",
            _ => names = vec!["key"],
        }
        prop_assert_eq!(at(&other, field, &names, |place| opens(&record, &KEY, place)), None);
    }

    #[test]
    fn hostile_bytes_never_panic_and_never_open(data in proptest::collection::vec(any::<u8>(), 0..400)) {
        let framed = [MAGIC.as_slice(), &[FORMAT, 1], &data].concat();
        let _ = crate::sealing::fuzz_open(&data);
        prop_assert_eq!(crate::sealing::fuzz_open(&framed), framed.len() >= HEADER_LENGTH + TAG_LENGTH);
    }
}

#[test]
fn c1_no_bit_of_a_record_can_be_flipped() {
    let record = sealed(b"a secret of some length");
    for bit in 0..record.len() * 8 {
        let mut altered = record.clone();
        altered[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(here(|place| opens(&altered, &KEY, place)), None, "bit {bit}");
    }
    assert!(here(|place| opens(&record, &KEY, place)).is_some());
}

#[test]
fn c5_another_algorithm_or_format_does_not_open() {
    let record = sealed(b"secret");
    for at_byte in [4, 5] {
        for byte in (0..=255_u8).filter(|byte| *byte != 1) {
            let mut altered = record.clone();
            altered[at_byte] = byte;
            assert!(Record::parse(&altered).is_none());
        }
    }
}

#[test]
fn c5_a_record_under_another_key_does_not_open() {
    let record = sealed(b"secret");
    assert_eq!(here(|place| opens(&record, &[8; 32], place)), None);
}

#[test]
fn c8_a_record_cut_anywhere_does_not_open() {
    let record = sealed(b"secret");
    for length in 0..record.len() {
        assert_eq!(here(|place| opens(&record[..length], &KEY, place)), None, "{length} bytes");
    }
}

#[test]
fn c8_sizes_are_bounded_on_both_sides() {
    let largest = vec![5; PLAINTEXT_LENGTH_MAX];
    let record = sealed(&largest);
    assert_eq!(record.len(), RECORD_LENGTH_MAX);
    assert!(here(|place| opens(&record, &KEY, place)).is_some());
    assert!(Record::parse(&[record, vec![0]].concat()).is_none());
    let fresh = Fresh::new(Arc::new(Seeded::new(1)));
    let refused = here(|place| seal(&KEY, ID, place, &vec![5; PLAINTEXT_LENGTH_MAX + 1], &fresh));
    assert_eq!(refused, Err(SealingError::TooLarge));
}

#[test]
fn c9_a_random_source_that_fails_seals_nothing() {
    let fresh = Fresh::new(Arc::new(Failing));
    assert_eq!(here(|place| seal(&KEY, ID, place, b"secret", &fresh)), Err(SealingError::Entropy));
}

#[test]
fn c9_a_random_source_that_stands_still_seals_nothing() {
    let constant = Fresh::new(Arc::new(Standing { step: 0 }));
    assert_eq!(here(|place| seal(&KEY, ID, place, b"secret", &constant)), Err(SealingError::Entropy));
    let repeating = Fresh::new(Arc::new(Standing { step: 1 }));
    assert!(here(|place| seal(&KEY, ID, place, b"secret", &repeating)).is_ok());
    assert_eq!(here(|place| seal(&KEY, ID, place, b"secret", &repeating)), Err(SealingError::Entropy));
    let mut key = [1; 32];
    assert_eq!(repeating.key(&mut key), Err(EntropyError), "a key that the next salt would show");
    assert_eq!(key, [0; 32], "and nothing is left of it");
}

/// One byte, as often as is said, and then what the system gives.
struct Stuck(std::sync::atomic::AtomicU32);

impl Entropy for Stuck {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), EntropyError> {
        let left = self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        if left.is_err() {
            return System.fill(buffer);
        }
        buffer.fill(7);
        Ok(())
    }
}

#[test]
fn c9_one_draw_of_one_byte_is_enough_to_refuse() {
    let stuck = |draws: u32| Fresh::new(Arc::new(Stuck(draws.into())));
    let salt = stuck(1);
    assert_eq!(here(|place| seal(&KEY, ID, place, b"secret", &salt)), Err(SealingError::Entropy));
    assert!(here(|place| seal(&KEY, ID, place, b"secret", &salt)).is_ok(), "it moves again");
    let mut key = [1; 32];
    assert_eq!(stuck(1).key(&mut key), Err(EntropyError));
    assert_eq!(key, [0; 32]);
}

#[test]
fn c9_a_million_seals_share_no_salt_and_no_nonce() {
    let fresh = Fresh::new(Arc::new(System));
    let mut drawn = std::collections::HashSet::with_capacity(1_000_000);
    for _ in 0..1_000_000 {
        // What `seal` draws, in its order.
        let salt = fresh.salt().unwrap();
        let nonce: [u8; NONCE_LENGTH] = fresh.bytes().unwrap();
        assert!(drawn.insert((u128::from_be_bytes(*salt.first_chunk().unwrap()), nonce)));
    }
    let salts: std::collections::HashSet<_> = drawn.iter().map(|(salt, _)| salt).collect();
    let nonces: std::collections::HashSet<_> = drawn.iter().map(|(_, nonce)| nonce).collect();
    assert_eq!((salts.len(), nonces.len()), (1_000_000, 1_000_000));
}

#[test]
fn c9_two_seals_of_one_value_share_nothing() {
    let fresh = Fresh::new(Arc::new(System));
    let one = here(|place| seal(&KEY, ID, place, b"secret", &fresh)).unwrap();
    let two = here(|place| seal(&KEY, ID, place, b"secret", &fresh)).unwrap();
    let (one, two) = (Record::parse(one.as_bytes()).unwrap(), Record::parse(two.as_bytes()).unwrap());
    assert!(one.salt != two.salt && one.nonce != two.nonce && one.commitment != two.commitment);
    assert!(one.ciphertext != two.ciphertext && one.tag != two.tag);
}

#[test]
fn c20_after_a_failed_tag_the_buffer_holds_no_plaintext() {
    let mut record = sealed(b"a secret of some length");
    let last = record.len() - 1;
    record[last] ^= 1;
    let parsed = Record::parse(&record).unwrap();
    let mut buffer = parsed.ciphertext.to_vec();
    assert_eq!(here(|place| parsed.open_in_place(&KEY, place, &mut buffer)), Err(SealingError::DoesNotOpen));
    assert!(buffer.iter().all(|byte| *byte == 0));
}

#[test]
fn a_record_whose_tag_is_right_and_whose_commitment_is_not_does_not_open() {
    // What a forger has who made one ciphertext open under two keys: a right
    // tag under this key, and a commitment to another one.
    let forge = |commitment: &[u8]| {
        let (salt, nonce, mut body) = ([3; SALT_LENGTH], [4; NONCE_LENGTH], *b"secret");
        let context = here(|place| place.encode(&ID, Algorithm::HkdfSha512Aes256Gcm));
        let keys = ValueKeys::derive(&KEY, &salt, &context).unwrap();
        let commitment = if commitment.is_empty() { keys.commitment() } else { commitment };
        let header = [&MAGIC[..], &[FORMAT, 1], &ID.0, &salt, &nonce, commitment].concat();
        let aad = authenticated(&header, &context);
        let cipher = keys.cipher().unwrap();
        let tag = cipher.encrypt_inout_detached(&Nonce::from(nonce), &aad, body.as_mut_slice().into()).unwrap();
        [&header[..], &body, &tag].concat()
    };
    assert_eq!(here(|place| opens(&forge(&[]), &KEY, place)), Some(b"secret".to_vec()), "the forge works");
    assert_eq!(here(|place| opens(&forge(&[0; COMMITMENT_LENGTH]), &KEY, place)), None);
}
