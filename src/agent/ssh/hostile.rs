//! The entry for the fuzz target: hostile messages to the agent's socket.
//!
//! A message is taken to its last byte or not at all, and a connection that
//! was bound to one host is never good for another one.

use super::protocol::{Binding, Bindings, Identity, Reply, Request};

/// Takes `data` apart as messages of one connection, each after its length in
/// two bytes.
///
/// For the fuzz target: returns for every input. True when one was a message.
#[must_use]
pub fn fuzz_messages(data: &[u8]) -> bool {
    let (mut rest, mut bindings, mut found) = (data, Bindings::default(), false);
    while let Some((length, after)) = rest.split_first_chunk() {
        let length = usize::from(u16::from_be_bytes(*length)).min(after.len());
        let (message, after) = after.split_at_checked(length).unwrap_or_default();
        rest = after;
        let Some(request) = Request::parse(message) else { continue };
        found = true;
        debug_assert!(Request::parse(&[message, &[0]].concat()).is_none(), "a byte too many");
        debug_assert!(message.split_last().is_none_or(|(_, less)| Request::parse(less).is_none()), "one too few");
        match request {
            Request::Identities => {}
            Request::Sign { key, .. } => answered(key),
            Request::Bind { binding, forwarding } => bound(&mut bindings, &binding, forwarding),
        }
    }
    found
}

fn bound(bindings: &mut Bindings, binding: &Binding, forwarding: bool) {
    let before = bindings.here();
    let fits = bindings.add(binding.clone(), forwarding);
    let now = bindings.here();
    debug_assert_eq!(fits, now.is_some());
    match (before, now) {
        (None, Some(_)) => debug_assert!(false, "a lost connection is good again"),
        (Some(Some(was)), Some(now)) => debug_assert!(now.as_ref() == Some(&was) && was == *binding && !forwarding),
        (Some(None), Some(now)) => debug_assert!(now.as_ref() == Some(binding) && !forwarding),
        (_, None) => {}
    }
}

/// What goes back has its own length before it.
fn answered(key: Vec<u8>) {
    for reply in [Reply::Identities(vec![Identity { key: key.clone(), comment: String::new() }]), Reply::Signature(key)]
    {
        let framed = reply.framed();
        let length = framed.first_chunk().map(|length| u32::from_be_bytes(*length));
        debug_assert_eq!(length.and_then(|length| usize::try_from(length).ok()), framed.len().checked_sub(4));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seeds_of_fuzzing_are_messages() {
        assert!(fuzz_messages(include_bytes!("../../../tests/fuzz/seeds/ssh_agent/list")));
        assert!(fuzz_messages(include_bytes!("../../../tests/fuzz/seeds/ssh_agent/bind_twice_and_sign")));
        assert!(!fuzz_messages(b"\0"));
    }
}
