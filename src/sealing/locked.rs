//! Key bytes that stay in memory: a page of their own, locked against swap,
//! wiped before it is given back. No Debug, no Clone.
//!
//! A page of their own, because locks do not nest: unlocking one key would
//! unlock a neighbour on the same page.

use zeroize::Zeroize;

/// `N` key bytes on a page of their own.
pub(super) struct Locked<const N: usize> {
    // Dropped before the page, which it unlocks.
    guard: Option<region::LockGuard>,
    page: Box<Page<N>>,
}

/// The page size of every machine we build for, or a part of it.
#[repr(align(4096))]
struct Page<const N: usize>([u8; N]);

impl<const N: usize> Locked<N> {
    /// Lets `fill` write the bytes where they will stay.
    ///
    /// A lock that the system refuses (`RLIMIT_MEMLOCK`) is not fatal:
    /// [`Self::in_memory`] tells.
    pub(super) fn filled<E>(fill: impl FnOnce(&mut [u8; N]) -> Result<(), E>) -> Result<Self, E> {
        Self::placed(|page| region::lock(std::ptr::from_ref(page), size_of::<Page<N>>()).ok(), fill)
    }

    fn placed<E>(
        lock: impl FnOnce(&Page<N>) -> Option<region::LockGuard>,
        fill: impl FnOnce(&mut [u8; N]) -> Result<(), E>,
    ) -> Result<Self, E> {
        let page = Box::new(Page([0; N]));
        let mut locked = Self { guard: lock(&page), page };
        fill(&mut locked.page.0)?;
        Ok(locked)
    }

    /// The bytes.
    pub(super) const fn bytes(&self) -> &[u8; N] {
        &self.page.0
    }

    /// Whether the page is locked.
    pub(super) const fn in_memory(&self) -> bool {
        self.guard.is_some()
    }
}

impl<const N: usize> Drop for Locked<N> {
    fn drop(&mut self) {
        self.page.0.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_has_a_page_of_its_own() {
        let fill = |byte: u8| {
            move |to: &mut [u8; 32]| {
                to.fill(byte);
                Ok::<(), ()>(())
            }
        };
        let one = Locked::<32>::filled(fill(1)).unwrap();
        let two = Locked::<32>::filled(fill(2)).unwrap();
        let page = |key: &Locked<32>| std::ptr::from_ref(key.bytes()).addr() / 4096;
        assert_ne!(page(&one), page(&two));
        assert_eq!(size_of::<Page<32>>() % 4096, 0);
        drop(one);
        assert_eq!(two.bytes(), &[2; 32]);
    }

    #[test]
    fn a_refused_lock_is_told_and_the_key_still_serves() {
        let fill = |to: &mut [u8; 32]| {
            to.fill(7);
            Ok::<(), ()>(())
        };
        let key = Locked::placed(|_| None, fill).unwrap();
        assert!(!key.in_memory());
        assert_eq!(key.bytes(), &[7; 32]);
    }

    #[test]
    fn a_failed_fill_leaves_no_key() {
        assert_eq!(Locked::<32>::filled(|_| Err("no")).err(), Some("no"));
    }
}
