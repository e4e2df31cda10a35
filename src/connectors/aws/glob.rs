//! IAM's wildcards: `*` for any text, `?` for one character. Exact answers for
//! two patterns: does one cover the other, can both match something.

/// Two patterns that both match something, and neither covers the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Overlap;

/// Whether `outer` matches everything that `inner` matches. May say no for
/// strange pairs of patterns, never yes wrongly: a `*` of `inner` is only
/// ever taken up by a `*` of `outer`.
pub fn covers(outer: &str, inner: &str) -> bool {
    let (outer, inner): (Vec<char>, Vec<char>) = (outer.chars().collect(), inner.chars().collect());
    table(&outer, &inner, |out, inn| match (out, inn) {
        ('*', _) => Step::Star,
        (_, '*') => Step::Stop,
        ('?', _) => Step::Both,
        (out, inn) if out == inn => Step::Both,
        _ => Step::Stop,
    })
}

/// Whether some text is matched by both.
pub fn meets(left: &str, right: &str) -> bool {
    let (left, right): (Vec<char>, Vec<char>) = (left.chars().collect(), right.chars().collect());
    table(&left, &right, |l, r| match (l, r) {
        ('*', _) => Step::Star,
        (_, '*') => Step::OtherStar,
        ('?', _) | (_, '?') => Step::Both,
        (l, r) if l == r => Step::Both,
        _ => Step::Stop,
    })
}

/// What both match, as one pattern; nothing when they have nothing in common.
///
/// # Errors
/// [`Overlap`] when no one of the two says it.
pub fn meet(left: &str, right: &str) -> Result<Option<String>, Overlap> {
    if covers(right, left) {
        Ok(Some(left.to_owned()))
    } else if covers(left, right) {
        Ok(Some(right.to_owned()))
    } else if meets(left, right) {
        Err(Overlap)
    } else {
        Ok(None)
    }
}

enum Step {
    /// Both go on by one.
    Both,
    /// The first is a star: it takes one of the second, or nothing.
    Star,
    /// The second is a star: it takes one of the first, or nothing.
    OtherStar,
    /// No match from here.
    Stop,
}

/// Fills the table of "the rest from here matches", from the ends. Quadratic,
/// and both are short.
fn table(first: &[char], second: &[char], step: impl Fn(char, char) -> Step) -> bool {
    let tail_of_stars = |tail: &[char]| tail.iter().all(|c| *c == '*');
    let last_row = |row: &mut Vec<bool>| {
        // `first` has ended: only the stars of `second` may be left, and only
        // where a star of `second` may be empty.
        for at in (0..second.len()).rev() {
            let empty = second.get(at).is_some_and(|c| *c == '*') && matches!(step('\0', '*'), Step::OtherStar);
            let rest = row.get(at + 1).copied().unwrap_or(false);
            if let Some(cell) = row.get_mut(at) {
                *cell = empty && rest;
            }
        }
    };
    let mut below = vec![false; second.len() + 1];
    if let Some(end) = below.last_mut() {
        *end = true;
    }
    last_row(&mut below);
    for (from, own) in first.iter().enumerate().rev() {
        let mut row = vec![false; second.len() + 1];
        if let Some(end) = row.last_mut() {
            *end = first.get(from..).is_some_and(tail_of_stars);
        }
        for (at, other) in second.iter().enumerate().rev() {
            let right = row.get(at + 1).copied().unwrap_or(false);
            let under = below.get(at).copied().unwrap_or(false);
            let both = below.get(at + 1).copied().unwrap_or(false);
            let matches = match step(*own, *other) {
                Step::Both => both,
                Step::Star | Step::OtherStar => right || under,
                Step::Stop => false,
            };
            if let Some(cell) = row.get_mut(at) {
                *cell = matches;
            }
        }
        below = row;
    }
    below.first().copied().unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn covers_knows_wider_from_narrower() {
        for (outer, inner) in
            [("*", "a"), ("*", ""), ("a*", "a*"), ("a*", "ab*c"), ("a?c", "abc"), ("*b*", "abc"), ("**", "*")]
        {
            assert!(covers(outer, inner), "{outer} covers {inner}");
        }
        for (outer, inner) in [("a*", "*"), ("a", "a*"), ("?", "*"), ("a/b/*", "a/*"), ("abc", "a?c"), ("", "*")] {
            assert!(!covers(outer, inner), "{outer} does not cover {inner}");
        }
    }

    #[test]
    fn meets_finds_what_two_patterns_share() {
        for (left, right) in [("a*", "*b"), ("*", ""), ("?", "*"), ("a*", "a"), ("x/*/y", "x/z*")] {
            assert!(meets(left, right) && meets(right, left), "{left} meets {right}");
        }
        for (left, right) in [("a*", "b*"), ("", "?"), ("a", "ab"), ("x/a/*", "x/b/*")] {
            assert!(!meets(left, right) && !meets(right, left), "{left} does not meet {right}");
        }
    }

    proptest! {
        #[test]
        fn what_is_covered_or_met_is_matched(left in "[ab*?]{0,6}", right in "[ab*?]{0,6}", text in "[ab]{0,6}") {
            let (in_left, in_right) = (covers(&left, &text), covers(&right, &text));
            if covers(&left, &right) && in_right {
                prop_assert!(in_left);
            }
            if in_left && in_right {
                prop_assert!(meets(&left, &right));
            }
            if let Ok(both) = meet(&left, &right) {
                prop_assert_eq!(both.is_some_and(|both| covers(&both, &text)), in_left && in_right);
            }
        }
    }
}
