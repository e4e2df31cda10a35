//! Facts as lines: how records go into a terminal that has no room for a table.
//!
//! Owns the wrapping. It breaks no word: one that is longer than a line stands
//! on a line of its own and is left to the terminal, which joins it again when
//! it is copied. It escapes nothing; whoever hands in the text has done so.

/// Between a name and what is said of it.
const GAP: usize = 2;
/// Where a word begins that is too long to stand beside the name.
const INDENT: usize = 2;
/// Room that the borders of a table of names and values take.
const BORDERS: usize = 7;
/// A column of a table that is narrower than this is hard to read.
const COLUMN_MIN: usize = 24;

/// Whether a table of these facts fits `width` columns and breaks no word.
pub(super) fn make_a_table(facts: &[(&str, String)], width: usize) -> bool {
    let room = width.saturating_sub(longest(facts.iter().map(|(name, _)| *name)) + BORDERS);
    room >= COLUMN_MIN && longest(facts.iter().flat_map(|(_, value)| value.split(' '))) <= room
}

/// The facts, each on lines of its own; `head` says how a name looks.
pub(super) fn lines(facts: &[(&str, String)], width: usize, head: impl Fn(&str) -> String) -> String {
    let beside = longest(facts.iter().map(|(name, _)| *name)) + GAP;
    let mut text = String::new();
    for (name, value) in facts {
        let gap = " ".repeat(beside.saturating_sub(name.chars().count()));
        text.push_str(&head(name));
        for (at, line) in wrapped(value, width, beside).into_iter().enumerate() {
            match line {
                Line::Beside(words) if at == 0 => text.push_str(&format!("{gap}{words}")),
                Line::Beside(words) => text.push_str(&format!("\n{}{words}", " ".repeat(beside))),
                Line::Alone(word) => text.push_str(&format!("\n{}{word}", " ".repeat(INDENT))),
            }
        }
        text.push('\n');
    }
    text
}

/// A sentence in lines that fit, where they have to.
pub(super) fn sentence(text: &str, width: usize) -> String {
    let words = |line| match line {
        Line::Beside(words) | Line::Alone(words) => words,
    };
    wrapped(text, width, 0).into_iter().map(words).collect::<Vec<_>>().join("\n")
}

/// A line of a value.
enum Line {
    /// Beside the name.
    Beside(String),
    /// A word that is longer than the room there.
    Alone(String),
}

fn wrapped(value: &str, width: usize, beside: usize) -> Vec<Line> {
    let room = width.saturating_sub(beside);
    let mut lines: Vec<Line> = Vec::new();
    for word in value.split(' ') {
        let long = word.chars().count();
        match lines.last_mut() {
            Some(Line::Beside(line)) if line.chars().count() + 1 + long <= room => {
                line.push(' ');
                line.push_str(word);
            }
            Some(Line::Beside(_) | Line::Alone(_)) | None if long <= room => lines.push(Line::Beside(word.to_owned())),
            Some(Line::Beside(_) | Line::Alone(_)) | None => lines.push(Line::Alone(word.to_owned())),
        }
    }
    lines
}

fn longest<'a>(texts: impl Iterator<Item = &'a str>) -> usize {
    texts.map(|text| text.chars().count()).max().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARN: &str = "arn:aws:iam::123456789012:role/machine-learning/training";

    fn facts() -> Vec<(&'static str, String)> {
        vec![
            ("name", "prod-s3".to_owned()),
            ("identity", ARN.to_owned()),
            ("ceiling", "s3://datasets/** and what is below it, at most read, at most 1h".to_owned()),
        ]
    }

    #[test]
    fn a_table_is_made_only_where_no_word_has_to_break() {
        let least = "identity".len() + BORDERS + ARN.len();
        assert!(make_a_table(&facts(), least));
        assert!(!make_a_table(&facts(), least - 1));
        assert!(!make_a_table(&[("name", "x".to_owned())], 4 + BORDERS + COLUMN_MIN - 1), "no room to read in");
    }

    #[test]
    fn words_wrap_and_the_long_one_stands_alone_and_whole() {
        let text = lines(&facts(), 40, str::to_owned);
        assert_eq!(
            text,
            format!(
                "name      prod-s3\nidentity\n  {ARN}\nceiling   s3://datasets/** and what is\n          below it, at most \
                 read, at\n          most 1h\n"
            )
        );
        assert!(lines(&facts(), 3, str::to_owned).contains(ARN), "however narrow it is");
    }

    #[test]
    fn a_sentence_wraps_where_it_has_to() {
        assert_eq!(sentence("not shown: one, two", 100), "not shown: one, two");
        assert_eq!(sentence("not shown: one, two", 12), "not shown:\none, two");
    }

    #[test]
    fn names_may_look_otherwise_and_nothing_moves() {
        let loud = lines(&facts(), 40, |name| format!("\u{1b}[1m{name}\u{1b}[0m"));
        assert!(loud.starts_with("\u{1b}[1mname\u{1b}[0m      prod-s3\n"), "{loud:?}");
    }
}
