//! What is made once for a way out, and then shared by every call over it:
//! the clients of SDKs, which take longer to build than a call takes to send.
//!
//! One of each type, so it is bounded by the types that there are. Holds no
//! credential: those travel with each call.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

type Thing = Arc<dyn Any + Send + Sync>;

/// The things that are kept, by their type.
#[derive(Default)]
pub struct Kept(RwLock<HashMap<TypeId, Thing>>);

impl Kept {
    /// The one of this type; `make` makes it the first time. Two callers that
    /// come first at once may both make one; both get the same.
    pub fn get_or_make<T: Any + Send + Sync>(&self, make: impl FnOnce() -> T) -> Arc<T> {
        if let Some(found) = self.get() {
            return found;
        }
        let made = Arc::new(make());
        let mut things = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let thing = things.entry(TypeId::of::<T>()).or_insert_with(|| Arc::clone(&made) as Thing);
        Arc::clone(thing).downcast().unwrap_or(made)
    }

    fn get<T: Any + Send + Sync>(&self) -> Option<Arc<T>> {
        let things = self.0.read().unwrap_or_else(PoisonError::into_inner);
        things.get(&TypeId::of::<T>()).cloned().and_then(|thing| thing.downcast().ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_of_each_type_is_made_once() {
        let kept = Kept::default();
        let first = kept.get_or_make(|| 7_u32);
        let second = kept.get_or_make(|| 8_u32);
        assert!(Arc::ptr_eq(&first, &second));
        assert_eq!(*second, 7);
        assert_eq!(*kept.get_or_make(|| "another type"), "another type");
    }

    #[test]
    fn those_who_come_first_at_once_share_one() {
        let kept = Kept::default();
        let all: Vec<Arc<u64>> = std::thread::scope(|scope| {
            let asking: Vec<_> = (0..8)
                .map(|n| {
                    scope.spawn({
                        let kept = &kept;
                        move || kept.get_or_make(|| n)
                    })
                })
                .collect();
            asking.into_iter().map(|one| one.join().unwrap()).collect()
        });
        assert!(all.windows(2).all(|two| Arc::ptr_eq(&two[0], &two[1])));
    }
}
