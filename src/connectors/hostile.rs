//! The entries for the fuzz targets: hostile answers of a token endpoint, and
//! of the clouds themselves.
//!
//! Asks nobody. What is believed must be servable, what is refused must say
//! little, and a refresh token that can be read must not be lost.

use std::time::Duration;

use serde_json::Value;

use crate::domain::Timestamp;
use crate::outbound::Response;

use super::token_endpoint::{EXPIRES_IN_MAX, NoToken, TOKEN_LENGTH_MAX, read_rotating, token_fits};
use super::{Doing, UpstreamError, aws, azure, gcp, kubernetes};

/// The longest error that may be made of an answer, whatever is in that.
const SAID_LENGTH_MAX: usize = 512;
const ASKED_AT: Timestamp = Timestamp::from_seconds(1_800_000_000);
const DOING: Doing = Doing { permissions: &["token"], remedy: "remedy" };

/// Reads `data` as the answer of a token endpoint, with the status that its
/// first byte stands for.
///
/// For the fuzz target: returns for every input. True when it was believed.
#[must_use]
pub fn fuzz_answer(data: &[u8]) -> bool {
    let Some((first, body)) = data.split_first() else { return false };
    let status = match first {
        b'4' => 400,
        b'5' => 503,
        _ => 200,
    };
    match read_rotating(&Response::new(status, None, body), ASKED_AT, DOING) {
        Ok(answer) => {
            let end = ASKED_AT.plus(Duration::from_secs(EXPIRES_IN_MAX));
            debug_assert!(status == 200 && token_fits(&answer.access_token).is_ok());
            debug_assert!(answer.expires_at.is_none_or(|at| ASKED_AT < at && at <= end));
            debug_assert!(answer.refresh_token.is_none_or(|token| token_fits(&token).is_ok()));
            true
        }
        Err(NoToken { error, refresh_token }) => {
            tells_little(&error);
            let found = refresh_token.as_ref().map(|token| token.reveal());
            debug_assert!(status == 200 || found.is_none());
            if let Some(there) = rotated(body).filter(|_| status == 200) {
                debug_assert_eq!(found, Some(there.as_str()));
            }
            false
        }
    }
}

/// Reads `data` as an answer of the cloud that its first byte names; which of
/// that cloud's answers it is, the second byte says.
///
/// For the fuzz target: returns for every input. True when it was believed.
#[must_use]
pub fn fuzz_cloud_answer(data: &[u8]) -> bool {
    let Some((cloud, answer)) = data.split_first() else { return false };
    match cloud {
        b'a' => aws::fuzz_answer(answer),
        b'g' => gcp::fuzz_answer(answer),
        b'k' => kubernetes::fuzz_answer(answer),
        b'z' => azure::fuzz_answer(answer),
        _ => false,
    }
}

/// Whatever an answer says, an error made of it is short and of one line.
pub(super) fn tells_little(error: &UpstreamError) {
    let said = error.to_string();
    debug_assert!(said.len() <= SAID_LENGTH_MAX && !said.chars().any(char::is_control), "{said}");
}

/// The refresh token of an answer, read in another way: by a parser that takes
/// less, and only where the answer has one for certain.
fn rotated(body: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(body).ok()?;
    let once = text.matches("refresh_token").count() == 1 && !text.contains('\\');
    let value: Value = serde_json::from_str(text).ok().filter(|_| once)?;
    let token = value.as_object()?.get("refresh_token")?.as_str()?.to_owned();
    let fits = (1..=TOKEN_LENGTH_MAX).contains(&token.len()) && token.bytes().all(|byte| byte.is_ascii_graphic());
    fits.then_some(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seeds_of_fuzzing_are_believed_or_not() {
        assert!(fuzz_answer(include_bytes!("../../tests/fuzz/seeds/token_answer/sound")));
        assert!(!fuzz_answer(include_bytes!("../../tests/fuzz/seeds/token_answer/rotated_with_nonsense")));
        assert!(!fuzz_answer(include_bytes!("../../tests/fuzz/seeds/token_answer/refusal")));
        assert!(!fuzz_answer(b""));
    }

    #[test]
    fn the_seeds_of_clouds_are_believed_or_not() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/seeds/cloud_answers");
        let mut seeds = 0;
        for file in std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()) {
            // A seed that is not to be believed says so by its name.
            let refused = file.to_string_lossy().ends_with(".refused");
            assert_eq!(fuzz_cloud_answer(&std::fs::read(&file).unwrap()), !refused, "{}", file.display());
            seeds += 1;
        }
        assert!(seeds >= 20, "{seeds} seeds");
        for none in [b"".as_slice(), b"a", b"g", b"k", b"z", b"?"] {
            assert!(!fuzz_cloud_answer(none));
        }
    }
}
