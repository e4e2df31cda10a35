//! Work that outlives its caller, and panics that do not outlive their call.
//! The one place where the layers start a task.

use std::future::{Future, poll_fn};
use std::hash::{BuildHasher as _, RandomState};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;

/// A handler panicked; the hook has logged where.
#[derive(Debug)]
pub(super) struct Panicked {
    /// Names the incident, in the log and to the caller.
    pub(super) incident: String,
}

/// Runs `work` to its end even when the caller goes away: a change that has
/// begun is finished and written down (SECURITY.md case G1).
#[allow(clippy::disallowed_methods)]
pub(super) async fn to_the_end<T: Send + 'static>(
    work: impl Future<Output = T> + Send + 'static,
) -> Result<T, Panicked> {
    match tokio::spawn(caught(work)).await {
        Ok(done) => done,
        // Only the end of the runtime cancels it: nobody is answered then.
        Err(_) => Err(incident()),
    }
}

/// What `work` gives, or that it panicked.
pub(super) async fn caught<F: Future>(work: F) -> Result<F::Output, Panicked> {
    let mut work = pin!(work);
    poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(cx))) {
        Ok(Poll::Pending) => Poll::Pending,
        Ok(Poll::Ready(done)) => Poll::Ready(Ok(done)),
        Err(_) => Poll::Ready(Err(incident())),
    })
    .await
}

/// The hasher's keys are random: the number is for finding, not for guessing.
fn incident() -> Panicked {
    Panicked { incident: format!("{:016x}", RandomState::new().hash_one(0_u8)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_becomes_an_incident_with_a_name_of_its_own() {
        let one = caught(async { panic!("a secret") }).await.map(|(): ()| ()).unwrap_err();
        let other = to_the_end(async { panic!("a secret") }).await.map(|(): ()| ()).unwrap_err();
        assert_ne!(one.incident, other.incident);
        assert_eq!(caught(async { 7 }).await.unwrap(), 7);
    }

    #[tokio::test]
    async fn g1_what_was_begun_ends_though_nobody_waits() {
        let (begun, has_begun) = tokio::sync::oneshot::channel();
        let (go, gone) = tokio::sync::oneshot::channel::<()>();
        let (done, is_done) = tokio::sync::oneshot::channel();
        let mut call = Box::pin(to_the_end(async move {
            begun.send(()).unwrap();
            gone.await.unwrap();
            done.send(()).unwrap();
        }));
        tokio::select! {
            biased;
            _ = &mut call => panic!("it waits"),
            begun = has_begun => begun.unwrap(),
        }
        drop(call);
        go.send(()).unwrap();
        is_done.await.unwrap();
    }
}
