//! How a list goes into a terminal that is too narrow for it.
//!
//! Owns what gives way, and in which order: first times break between date and
//! hour, then columns go that a noun can spare, and last ids become prefixes,
//! which the verbs take as well. No word breaks: half of an id, an ARN or a URL
//! cannot be pasted. Where that is not enough there is no table at all.

use std::collections::BTreeSet;

/// Room that borders take beside each column, and once at the end.
const BORDER: usize = 3;
/// The length of a UUID.
const ID_LENGTH: usize = 36;
/// Digits of an id that is shortened, when those differ from all others'.
const PREFIX: usize = 8;

/// A list as it goes into the terminal.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fitted {
    /// The heads of the columns that are left.
    pub(super) heads: Vec<&'static str>,
    /// The cells that are left.
    pub(super) rows: Vec<Vec<String>>,
    /// The least width of each column, its borders not counted.
    pub(super) floors: Vec<usize>,
    /// The heads of the columns that are not.
    pub(super) left_out: Vec<&'static str>,
}

/// Fits `rows` into `width` columns of text; nothing when no table does. `spare`
/// names the columns that may go, the first one first.
pub(super) fn fit(
    heads: &[&'static str],
    spare: &[&'static str],
    rows: &[Vec<String>],
    width: usize,
) -> Option<Fitted> {
    let mut fitted = Fitted { heads: heads.to_vec(), rows: rows.to_vec(), floors: Vec::new(), left_out: Vec::new() };
    if fitted.done(width) {
        return Some(fitted);
    }
    fitted.change(break_times);
    for head in spare {
        if fitted.done(width) {
            return Some(fitted);
        }
        fitted.leave_out(head);
    }
    if fitted.done(width) {
        return Some(fitted);
    }
    let digits = telling_apart(&ids_in(&fitted.rows));
    fitted.change(|cell| shorten_ids(cell, digits));
    fitted.done(width).then_some(fitted)
}

impl Fitted {
    /// Whether it fits when words are kept whole.
    fn done(&mut self, width: usize) -> bool {
        self.floors = (0..self.heads.len()).map(|column| self.floor(column)).collect();
        self.floors.iter().sum::<usize>() + BORDER * self.floors.len() < width
    }

    /// The longest word of a column.
    fn floor(&self, column: usize) -> usize {
        let cells = self.rows.iter().filter_map(|row| row.get(column).map(String::as_str));
        let words = cells.chain(self.heads.get(column).copied()).flat_map(|cell| cell.split(' '));
        words.map(|word| word.chars().count()).max().unwrap_or(0)
    }

    fn change(&mut self, change: impl Fn(&str) -> String) {
        self.rows.iter_mut().flatten().for_each(|cell| *cell = change(cell));
    }

    fn leave_out(&mut self, head: &'static str) {
        let Some(column) = self.heads.iter().position(|known| *known == head) else { return };
        self.heads.remove(column);
        self.left_out.push(head);
        for row in self.rows.iter_mut().filter(|row| column < row.len()) {
            row.remove(column);
        }
    }
}

/// `2026-11-25T14:00:00Z` as two words.
fn break_times(cell: &str) -> String {
    let words = cell.split(' ').map(|word| match word.split_once('T') {
        Some((date, time)) if is_date(date) && time.ends_with('Z') => format!("{date} {time}"),
        Some(_) | None => word.to_owned(),
    });
    words.collect::<Vec<_>>().join(" ")
}

fn is_date(text: &str) -> bool {
    text.len() == "2026-11-25".len() && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-')
}

/// Every id in these rows.
fn ids_in(rows: &[Vec<String>]) -> BTreeSet<String> {
    let all = |cell: &String| -> Vec<String> {
        let places = cell.char_indices().filter(|(at, _)| id_at(cell, *at));
        places.filter_map(|(at, _)| cell.get(at..at + ID_LENGTH)).map(str::to_owned).collect()
    };
    rows.iter().flatten().flat_map(all).collect()
}

/// How many digits tell these ids apart.
fn telling_apart(ids: &BTreeSet<String>) -> usize {
    let starts = |digits: usize| ids.iter().filter_map(move |id| id.get(..digits)).collect::<BTreeSet<_>>();
    (PREFIX..ID_LENGTH).find(|digits| starts(*digits).len() == ids.len()).unwrap_or(ID_LENGTH)
}

/// Every id by its first digits.
fn shorten_ids(cell: &str, digits: usize) -> String {
    let mut text = String::new();
    let mut skip = 0;
    for (at, letter) in cell.char_indices() {
        if at < skip {
            continue;
        }
        if id_at(cell, at) {
            text.push_str(cell.get(at..at + digits).unwrap_or_default());
            skip = at + ID_LENGTH;
        } else {
            text.push(letter);
        }
    }
    text
}

/// Whether a UUID begins there.
fn id_at(text: &str, at: usize) -> bool {
    const DASHES: [usize; 4] = [8, 13, 18, 23];
    let fits = |(at, byte): (usize, u8)| if DASHES.contains(&at) { byte == b'-' } else { byte.is_ascii_hexdigit() };
    text.get(at..at + ID_LENGTH).is_some_and(|id| id.bytes().enumerate().all(fits))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "4f1c9a52-5d0b-4f6e-9a55-0d1f5c1d7a11";
    const HEADS: [&str; 4] = ["id", "who", "about", "at"];

    fn rows() -> Vec<Vec<String>> {
        let about = format!("connector {ID} s3://datasets/train");
        vec![vec![ID.to_owned(), "bob".to_owned(), about, "2026-11-25T14:00:00Z (in 5 min)".to_owned()]]
    }

    fn heads(width: usize) -> Vec<&'static str> {
        fit(&HEADS, &["who", "about"], &rows(), width).unwrap().heads
    }

    #[test]
    fn columns_go_one_by_one_and_never_the_id() {
        assert_eq!(heads(200), HEADS);
        assert_eq!(heads(98), HEADS, "the time breaks first");
        assert_eq!(heads(97), ["id", "about", "at"]);
        assert_eq!(heads(80), ["id", "at"]);
        let fitted = fit(&HEADS, &["who", "about"], &rows(), 80).unwrap();
        assert_eq!(fitted.rows, [[ID, "2026-11-25 14:00:00Z (in 5 min)"]]);
        assert_eq!(fitted.floors, [36, 10]);
        assert_eq!(fitted.left_out, ["who", "about"]);
    }

    #[test]
    fn ids_become_prefixes_when_nothing_else_can_go() {
        let fitted = fit(&HEADS, &["who"], &rows(), 60).unwrap();
        assert_eq!(fitted.rows[0][0], "4f1c9a52");
        assert_eq!(fitted.rows[0][1], "connector 4f1c9a52 s3://datasets/train");
    }

    #[test]
    fn in_a_terminal_that_is_too_narrow_for_everything_there_is_no_table() {
        assert_eq!(fit(&HEADS, &["who"], &rows(), 20), None);
    }

    #[test]
    fn no_word_breaks_however_long_it_is() {
        let row = [vec!["1".to_owned(), format!("some s3://{}", "x".repeat(40))]];
        assert_eq!(fit(&["id", "about"], &[], &row, 54).unwrap().floors, [2, 45]);
        assert_eq!(fit(&["id", "about"], &[], &row, 53), None, "one column too few");
    }

    #[test]
    fn only_whole_ids_are_shortened() {
        assert_eq!(
            shorten_ids(&format!("in={ID}, é{ID}{ID} 4f1c9a52-5d0b"), 8),
            "in=4f1c9a52, é4f1c9a524f1c9a52 4f1c9a52-5d0b"
        );
    }

    #[test]
    fn prefixes_tell_the_ids_of_a_list_apart() {
        let other = "4f1c9a52-5d0c-4f6e-9a55-0d1f5c1d7a11";
        let rows = vec![vec![ID.to_owned()], vec![other.to_owned()], vec![ID.to_owned()]];
        assert_eq!(
            fit(&["id"], &[], &rows, 20).unwrap().rows,
            [["4f1c9a52-5d0b"], ["4f1c9a52-5d0c"], ["4f1c9a52-5d0b"]]
        );
    }
}
