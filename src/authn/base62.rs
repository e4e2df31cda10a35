//! Numbers of a fixed width in base 62: digits, capitals, small letters.
//!
//! Fixed width makes it injective: one number has one spelling. Intermediate
//! values are wiped, since they are secrets.

use zeroize::Zeroizing;

/// The digits, by value.
const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Appends `number`, big-endian, as `width` digits. The caller's width is
/// wide enough: 22 for 16 bytes, 43 for 32, 6 for 4.
pub(super) fn append(number: &[u8], width: usize, to: &mut String) {
    let mut number = Zeroizing::new(number.to_vec());
    let mut digits = Zeroizing::new(vec![0_u8; width]);
    for digit in digits.iter_mut().rev() {
        *digit = divide(&mut number);
    }
    for value in digits.iter() {
        to.push(char::from(DIGITS.get(usize::from(*value)).copied().unwrap_or(b'0')));
    }
}

/// Whether all bytes are digits.
pub(super) fn all_digits(text: &[u8]) -> bool {
    text.iter().all(u8::is_ascii_alphanumeric)
}

/// Divides a big-endian number by 62 in place; the remainder.
fn divide(number: &mut [u8]) -> u8 {
    let mut remainder = 0_u16;
    for byte in number {
        let value = remainder * 256 + u16::from(*byte);
        // Both fit: the remainder is below 62, so the quotient is below 256.
        *byte = u8::try_from(value / 62).unwrap_or_default();
        remainder = value % 62;
    }
    u8::try_from(remainder).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encoded(number: &[u8], width: usize) -> String {
        let mut text = String::new();
        append(number, width, &mut text);
        text
    }

    /// The number again.
    fn decoded(text: &str, length: usize) -> Vec<u8> {
        let mut number = vec![0_u8; length];
        for byte in text.bytes() {
            let mut carry = DIGITS.iter().position(|digit| *digit == byte).unwrap();
            for byte in number.iter_mut().rev() {
                let value = usize::from(*byte) * 62 + carry;
                *byte = (value % 256) as u8;
                carry = value / 256;
            }
            assert_eq!(carry, 0);
        }
        number
    }

    #[test]
    fn the_widths_are_wide_enough_for_the_largest_numbers() {
        for (length, width) in [(16, 22), (32, 43), (4, 6)] {
            assert_eq!(decoded(&encoded(&vec![255; length], width), length), vec![255; length]);
            assert_eq!(encoded(&vec![0; length], width), "0".repeat(width));
        }
    }

    #[test]
    fn known_numbers_have_their_known_spelling() {
        assert_eq!(encoded(&[0, 0, 0, 61], 6), "00000z");
        assert_eq!(encoded(&[0, 0, 0, 62], 6), "000010");
        assert_eq!(encoded(&u32::MAX.to_be_bytes(), 6), "4gfFC3");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]

        #[test]
        fn every_number_can_be_read_back(number in proptest::collection::vec(any::<u8>(), 32)) {
            prop_assert_eq!(decoded(&encoded(&number, 43), 32), number);
        }
    }
}
