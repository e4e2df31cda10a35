//! One piece of arithmetic: OpenSSH's key files hold `d`, and ring wants it
//! modulo `p - 1` and `q - 1` (RFC 8017 section 3.2).
//!
//! Takes the same steps whatever the numbers are, for given lengths.

use subtle::{Choice, ConditionallySelectable as _};
use zeroize::Zeroizing;

/// Bits of a limb.
const LIMB_BITS: usize = 32;

/// `value` modulo `prime - 1`; all big-endian, without leading zeros. None
/// for no odd number.
pub fn modulo_one_less(value: &[u8], prime: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    if prime.last()? & 1 == 0 {
        return None;
    }
    let mut modulus = limbs(prime);
    // An odd number: nothing is carried.
    *modulus.first_mut()? &= !1;
    let mut rest = Zeroizing::new(vec![0_u32; modulus.len()]);
    for byte in value {
        for bit in (0..8).rev() {
            step(&mut rest, &modulus, u32::from(byte >> bit) & 1);
        }
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(rest.len() * LIMB_BITS / 8));
    bytes.extend(rest.iter().rev().flat_map(|limb| limb.to_be_bytes()));
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    bytes.drain(..zeros);
    Some(bytes)
}

/// `rest = (2 * rest + bit) mod modulus`.
fn step(rest: &mut [u32], modulus: &[u32], bit: u32) {
    let mut carry = bit;
    for limb in rest.iter_mut() {
        let next = *limb >> (LIMB_BITS - 1);
        *limb = (*limb << 1) | carry;
        carry = next;
    }
    let mut less = Zeroizing::new(Vec::with_capacity(rest.len()));
    let mut borrow = 0_u64;
    for (limb, other) in rest.iter().zip(modulus) {
        let difference = u64::from(*limb).wrapping_sub(u64::from(*other)).wrapping_sub(borrow);
        // The low half is the limb, the sign the borrow.
        less.push((difference & u64::from(u32::MAX)) as u32);
        borrow = difference >> 63;
    }
    // Too large by one modulus when a bit fell out, or nothing was borrowed.
    let subtract = Choice::from(u8::from(carry == 1)) | Choice::from(u8::from(borrow == 0));
    for (limb, lower) in rest.iter_mut().zip(less.iter()) {
        limb.conditional_assign(lower, subtract);
    }
}

/// Little-endian limbs.
fn limbs(bytes: &[u8]) -> Zeroizing<Vec<u32>> {
    let limb = |chunk: &[u8]| chunk.iter().fold(0, |whole, byte| (whole << 8) | u32::from(*byte));
    Zeroizing::new(bytes.rchunks(LIMB_BITS / 8).map(limb).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn small(value: u64, prime: u64) -> u64 {
        let bytes = |number: u64| number.to_be_bytes().into_iter().skip_while(|byte| *byte == 0).collect::<Vec<_>>();
        let rest = modulo_one_less(&bytes(value), &bytes(prime)).unwrap();
        rest.iter().fold(0, |whole, byte| (whole << 8) | u64::from(*byte))
    }

    #[test]
    fn small_numbers_agree_with_the_machine() {
        for prime in [3, 5, 257, 65_537, 4_294_967_291, 18_446_744_073_709_551_557] {
            for value in [0, 1, 2, 255, 65_536, 4_294_967_295, 4_294_967_296, u64::MAX] {
                assert_eq!(small(value, prime), value % (prime - 1), "{value} mod {prime} - 1");
            }
        }
        assert!(modulo_one_less(&[1], &[4]).is_none());
        assert!(modulo_one_less(&[1], &[]).is_none());
    }
}
