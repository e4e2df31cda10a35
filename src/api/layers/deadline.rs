//! How long a call may take: what the client asks for, and never more than
//! the cap. A header that makes no sense asks for nothing, so the cap holds.

use std::time::Duration;

use http::HeaderMap;

/// gRPC's header.
const HEADER: &str = "grpc-timeout";
/// gRPC allows so many digits.
const DIGITS_MAX: usize = 8;

/// The time for a call with these headers.
#[must_use]
pub fn time_for(headers: &HeaderMap, cap: Duration) -> Duration {
    let mut values = headers.get_all(HEADER).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => parse(value.as_bytes()).map_or(cap, |asked| asked.min(cap)),
        (None, _) | (Some(_), Some(_)) => cap,
    }
}

/// 1 to 8 digits and a unit.
fn parse(value: &[u8]) -> Option<Duration> {
    let (unit, digits) = value.split_last()?;
    if digits.is_empty() || digits.len() > DIGITS_MAX || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let amount: u64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    match unit {
        b'H' => Some(Duration::from_secs(amount.saturating_mul(3600))),
        b'M' => Some(Duration::from_secs(amount.saturating_mul(60))),
        b'S' => Some(Duration::from_secs(amount)),
        b'm' => Some(Duration::from_millis(amount)),
        b'u' => Some(Duration::from_micros(amount)),
        b'n' => Some(Duration::from_nanos(amount)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn e4_the_cap_holds_whatever_is_asked_for() {
        let cap = Duration::from_secs(30);
        for (asked, due) in [
            (&["5S"][..], Duration::from_secs(5)),
            (&["250m"], Duration::from_millis(250)),
            (&["0S"], Duration::ZERO),
            (&["1n"], Duration::from_nanos(1)),
            (&["29999m"], Duration::from_millis(29_999)),
            (&["30S"], cap),
            (&["31S"], cap),
            (&["99999999H"], cap),
            (&["99999999n"], Duration::from_nanos(99_999_999)),
            (&["999999999n"], cap),
            (&["junk"], cap),
            (&["-1S"], cap),
            (&["5"], cap),
            (&["S"], cap),
            (&[""], cap),
            (&["1S", "1S"], cap),
            (&[], cap),
        ] {
            let mut headers = HeaderMap::new();
            for value in asked {
                headers.append(HEADER, value.parse().unwrap());
            }
            assert_eq!(time_for(&headers, cap), due, "{asked:?}");
        }
    }
}
