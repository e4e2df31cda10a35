//! Writes what a command answers: tables for people, JSON or YAML for programs.
//!
//! Owns standard output. Cells of a table are escaped here, at one place, so
//! that no noun can forget it. Times go to programs as RFC 3339, to people in
//! words too. It never decides what is shown.

use std::cell::{Cell as Shared, RefCell};
use std::io::{ErrorKind, Write};

use clap::ValueEnum;
use comfy_table::{Attribute, Cell, ColumnConstraint, ContentArrangement, Table, Width, presets};
use serde::Serialize;

use super::blocks;
use super::escape::{escape, escape_json, escape_lines};
use super::failure::{Failure, Kind};
use super::moment::Moment;
use super::narrow::{self, Fitted};

/// In which form to answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Form {
    /// For people.
    #[default]
    Table,
    /// For programs: one document; a stream is one object a line.
    Json,
    /// For programs and people; a stream is one document an item.
    Yaml,
}

impl Form {
    /// One document for programs; nothing where people read the answer, or
    /// where `view` goes into no such document.
    pub fn document<V: Serialize>(self, view: &V) -> Option<String> {
        match self {
            Self::Table => None,
            Self::Json => serde_json::to_string_pretty(view).ok().map(|text| escape_json(&text) + "\n"),
            Self::Yaml => yaml(view, true).ok(),
        }
    }
}

/// Name and value pairs that describe one record to people.
pub(super) type Facts = Vec<(&'static str, String)>;

/// One record.
pub(super) trait Record: Serialize {
    /// What people are shown; empty values are left out.
    fn facts(&self, now: Moment) -> Facts;
}

/// A record that is also shown as a line of a list.
pub(super) trait Row: Serialize {
    /// The heads of the columns.
    const HEAD: &'static [&'static str];
    /// The columns that a narrow terminal does without, the first one first.
    const SPARE: &'static [&'static str] = &[];

    /// The cells, as many as `HEAD` has.
    fn cells(&self, now: Moment) -> Vec<String>;
}

/// How a table looks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Look {
    /// Written to a terminal: lines that fit it, and borders.
    pub(super) terminal: bool,
    /// Bold heads.
    pub(super) color: bool,
    /// How many columns a line may have; nothing when nobody knows.
    pub(super) columns: Option<u16>,
}

impl Look {
    /// For a pipe or a file.
    pub(super) const PLAIN: Self = Self { terminal: false, color: false, columns: None };

    /// For a terminal. One that says that it has no columns, as some that
    /// programs make do, does not know how many.
    pub(super) fn of_terminal(color: bool) -> Self {
        Self { terminal: true, color, columns: Table::new().width().filter(|columns| *columns > 0) }
    }
}

/// Where answers go.
pub(super) struct Output {
    form: Form,
    look: Look,
    sink: RefCell<Box<dyn Write>>,
    /// Some of the answer was taken.
    begun: Shared<bool>,
}

impl Output {
    /// Answers in this form to `sink`.
    pub(super) fn new(form: Form, look: Look, sink: Box<dyn Write>) -> Self {
        Self { form, look, sink: RefCell::new(sink), begun: Shared::new(false) }
    }

    /// People read the answer.
    pub(super) fn for_people(&self) -> bool {
        self.form == Form::Table
    }

    /// One record.
    ///
    /// # Errors
    /// When the reader went away.
    pub(super) fn record<V: Record>(&self, view: &V) -> Result<(), Failure> {
        if !self.for_people() {
            return self.document(view, true);
        }
        let facts = view.facts(Moment::now()).into_iter().filter(|(_, value)| !value.is_empty());
        let facts: Vec<(&str, String)> = facts.map(|(name, value)| (name, escape(&value))).collect();
        if let Some(columns) = self.columns().filter(|columns| !blocks::make_a_table(&facts, *columns)) {
            return self.write(&blocks::lines(&facts, columns, |name| self.loud(name)));
        }
        let mut table = self.table();
        for (name, value) in facts {
            table.add_row(vec![self.head(name), Cell::new(value)]);
        }
        self.lines(&table)
    }

    /// A list.
    ///
    /// # Errors
    /// When the reader went away.
    pub(super) fn list<V: Row>(&self, views: &[V]) -> Result<(), Failure> {
        if !self.for_people() {
            return self.document(&views, true);
        }
        if views.is_empty() {
            return self.write("nothing found\n");
        }
        let now = Moment::now();
        let cells = |view: &V| view.cells(now).iter().map(|cell| escape(cell)).collect();
        let rows: Vec<Vec<String>> = views.iter().map(cells).collect();
        let columns = self.columns().unwrap_or(usize::MAX);
        let Fitted { heads, rows, floors, left_out, .. } = match narrow::fit(V::HEAD, V::SPARE, &rows, columns) {
            Some(fitted) => fitted,
            None => return self.blocks(V::HEAD, &rows, columns),
        };
        let mut table = self.table();
        table.set_header(heads.iter().map(|head| self.head(&head.to_uppercase())));
        table.add_rows(rows);
        set_floors(&mut table, &floors);
        self.lines(&table)?;
        if left_out.is_empty() {
            return Ok(());
        }
        let note =
            format!("not shown, for want of room: {}; a wider terminal or -o json shows all", left_out.join(", "));
        self.write(&(blocks::sentence(&note, columns) + "\n"))
    }

    /// The rows one below the other, for a terminal in which no table fits.
    fn blocks(&self, heads: &[&str], rows: &[Vec<String>], columns: usize) -> Result<(), Failure> {
        let facts = |row: &Vec<String>| heads.iter().copied().zip(row.iter().cloned()).collect::<Vec<_>>();
        let block = |row| blocks::lines(&facts(row), columns, |name| self.loud(name));
        self.write(&rows.iter().map(block).collect::<Vec<_>>().join("\n"))
    }

    /// One item of a stream: a line of JSON, a YAML document, or for people
    /// the cells joined by two spaces.
    ///
    /// # Errors
    /// When the reader went away.
    pub(super) fn item<V: Row>(&self, view: &V) -> Result<(), Failure> {
        match self.form {
            Form::Table => {
                let cells: Vec<String> = view.cells(Moment::now()).iter().map(|cell| escape(cell)).collect();
                self.write(&format!("{}\n", cells.join("  ")))
            }
            Form::Json | Form::Yaml => self.document(view, false),
        }
    }

    /// Says that `verb` (`deleted`, `revoked`) was done to a thing: programs
    /// get an object with the verb as its key.
    ///
    /// # Errors
    /// When the reader went away.
    pub(super) fn done(&self, verb: &str, noun: &str, name: &str) -> Result<(), Failure> {
        if self.for_people() {
            return self.say(&format!("{verb} {noun} {name}"));
        }
        self.document(&std::collections::BTreeMap::from([(verb, name)]), true)
    }

    /// A line for people; programs do not get it.
    ///
    /// # Errors
    /// When the reader went away.
    pub(super) fn say(&self, line: &str) -> Result<(), Failure> {
        if self.for_people() { self.write(&format!("{}\n", escape(line))) } else { Ok(()) }
    }

    /// Text exactly as it is, whatever the form.
    ///
    /// # Errors
    /// When the reader went away.
    pub(super) fn write(&self, text: &str) -> Result<(), Failure> {
        let mut sink = self.sink.borrow_mut();
        let mut rest = text.as_bytes();
        while !rest.is_empty() {
            let count = match sink.write(rest) {
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(self.unwritten(&error)),
            };
            self.begun.set(true);
            rest =
                rest.get(count..).filter(|_| count > 0).ok_or_else(|| self.unwritten(&ErrorKind::WriteZero.into()))?;
        }
        sink.flush().map_err(|error| self.unwritten(&error))
    }

    /// Whoever took a part, as `head` does, has what he wanted. Who took
    /// nothing may have lost a token that is shown once.
    fn unwritten(&self, error: &std::io::Error) -> Failure {
        if self.begun.get() && error.kind() == ErrorKind::BrokenPipe {
            return Failure::new(Kind::ReaderLeft, "the reader went away");
        }
        Failure::failed(format!("cannot write the answer: {error}"))
    }

    /// A JSON or YAML document.
    fn document<V: Serialize>(&self, view: &V, pretty: bool) -> Result<(), Failure> {
        let refuse = |_| Failure::failed("the answer cannot be written in this form");
        let text = match self.form {
            Form::Table | Form::Json if pretty => {
                escape_json(&serde_json::to_string_pretty(view).map_err(refuse)?) + "\n"
            }
            Form::Table | Form::Json => escape_json(&serde_json::to_string(view).map_err(refuse)?) + "\n",
            Form::Yaml => yaml(view, pretty)?,
        };
        self.write(&text)
    }

    /// How many columns of text a line may have; a pipe does not mind.
    fn columns(&self) -> Option<usize> {
        self.look.columns.map(usize::from)
    }

    /// A name as it stands before what is said of it.
    fn loud(&self, name: &str) -> String {
        if self.look.color { format!("\u{1b}[1m{name}\u{1b}[0m") } else { name.to_owned() }
    }

    fn head(&self, name: &str) -> Cell {
        let cell = Cell::new(name);
        if self.look.color { cell.add_attribute(Attribute::Bold) } else { cell }
    }

    fn table(&self) -> Table {
        let mut table = Table::new();
        if self.look.terminal {
            table.load_style(presets::UTF8_FULL_CONDENSED);
        } else {
            table.load_style(presets::NOTHING).force_no_tty();
        }
        // Lines are as long as they are where nobody knows how long they may be.
        table.set_content_arrangement(ContentArrangement::Disabled);
        if let Some(columns) = self.look.columns {
            table.set_content_arrangement(ContentArrangement::Dynamic).set_width(columns);
        }
        table
    }

    fn lines(&self, table: &Table) -> Result<(), Failure> {
        let mut text = String::new();
        for line in table.lines() {
            text.push_str(if self.look.terminal { line.as_str() } else { line.trim() });
            text.push('\n');
        }
        self.write(&text)
    }
}

/// Columns get no narrower than this; their padding is beside it.
fn set_floors(table: &mut Table, floors: &[usize]) {
    for (column, floor) in table.column_iter_mut().zip(floors) {
        let width = u16::try_from(*floor).unwrap_or(u16::MAX).saturating_add(column.padding_width());
        column.set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(width)));
    }
}

fn yaml<V: Serialize>(view: &V, only: bool) -> Result<String, Failure> {
    let refuse = || Failure::failed("the answer cannot be written in this form");
    let mut value = serde_yaml_ng::to_value(view).map_err(|_| refuse())?;
    disarm(&mut value);
    let text = serde_yaml_ng::to_string(&value).map_err(|_| refuse())?;
    Ok(if only { text } else { format!("---\n{text}") })
}

/// Escapes every string in place, keys too: YAML lets direction marks through.
fn disarm(value: &mut serde_yaml_ng::Value) {
    use serde_yaml_ng::Value;
    match value {
        Value::String(text) => *text = escape_lines(text),
        Value::Sequence(items) => items.iter_mut().for_each(disarm),
        Value::Mapping(fields) => {
            let fields_before = std::mem::take(fields);
            for (mut key, mut value) in fields_before {
                disarm(&mut key);
                disarm(&mut value);
                fields.insert(key, value);
            }
        }
        Value::Tagged(tagged) => disarm(&mut tagged.value),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// A sink that tests read.
#[cfg(test)]
#[derive(Clone, Default)]
pub(super) struct Page(std::rc::Rc<RefCell<Vec<u8>>>);

#[cfg(test)]
impl Page {
    /// What was written so far.
    pub(super) fn text(&self) -> String {
        String::from_utf8(self.0.borrow().clone()).unwrap()
    }

    /// An output onto this page.
    pub(super) fn output(&self, form: Form) -> Output {
        Output::new(form, Look::PLAIN, Box::new(self.clone()))
    }

    /// A terminal of that many columns onto this page.
    pub(super) fn terminal(&self, columns: u16) -> Output {
        let look = Look { terminal: true, color: false, columns: Some(columns) };
        Output::new(Form::Table, look, Box::new(self.clone()))
    }
}

#[cfg(test)]
impl Write for Page {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.borrow_mut().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize)]
    struct Word {
        word: &'static str,
        other: Option<&'static str>,
    }

    impl Row for Word {
        const HEAD: &'static [&'static str] = &["word", "other"];

        fn cells(&self, _: Moment) -> Vec<String> {
            vec![self.word.to_owned(), self.other.unwrap_or("-").to_owned()]
        }
    }

    impl Record for Word {
        fn facts(&self, _: Moment) -> Facts {
            vec![("word", self.word.to_owned()), ("other", String::new())]
        }
    }

    const WORDS: [Word; 2] = [Word { word: "a\u{1b}[2Jb", other: None }, Word { word: "long word", other: Some("x") }];

    #[test]
    fn a_list_for_a_pipe_is_plain_and_escaped() {
        let page = Page::default();
        page.output(Form::Table).list(&WORDS).unwrap();
        assert_eq!(page.text(), "WORD         OTHER\na\\u{1b}[2Jb  -\nlong word    x\n");
    }

    #[test]
    fn an_empty_list_says_so_to_people_and_is_empty_for_programs() {
        let page = Page::default();
        page.output(Form::Table).list::<Word>(&[]).unwrap();
        page.output(Form::Json).list::<Word>(&[]).unwrap();
        assert_eq!(page.text(), "nothing found\n[]\n");
    }

    #[test]
    fn in_a_terminal_of_unknown_width_lines_are_as_long_as_they_are() {
        let page = Page::default();
        let look = Look { terminal: true, ..Look::PLAIN };
        Output::new(Form::Table, look, Box::new(page.clone())).list(&WORDS).unwrap();
        assert!(page.text().contains("long word"), "{}", page.text());
        assert_eq!(page.text().lines().count(), 6, "borders, heads and two rows");
    }

    #[test]
    fn what_fits_no_table_is_told_line_by_line_and_no_word_breaks() {
        let page = Page::default();
        page.terminal(12).list(&WORDS).unwrap();
        assert_eq!(page.text(), "word\n  a\\u{1b}[2Jb\nother  -\n\nword   long\n       word\nother  x\n");
        let page = Page::default();
        page.terminal(12).record(&WORDS[1]).unwrap();
        assert_eq!(page.text(), "word  long\n      word\n");
    }

    #[test]
    fn a_record_leaves_out_empty_facts() {
        let page = Page::default();
        page.output(Form::Table).record(&WORDS[1]).unwrap();
        assert_eq!(page.text(), "word  long word\n");
    }

    #[test]
    fn streams_are_one_document_an_item() {
        let page = Page::default();
        page.output(Form::Json).item(&WORDS[1]).unwrap();
        page.output(Form::Yaml).item(&WORDS[1]).unwrap();
        assert_eq!(page.text(), "{\"word\":\"long word\",\"other\":\"x\"}\n---\nword: long word\nother: x\n");
    }

    #[test]
    fn yaml_is_escaped_too() {
        let page = Page::default();
        page.output(Form::Yaml).record(&Word { word: "\u{202e}x", other: None }).unwrap();
        assert_eq!(page.text(), "word: \\u{202e}x\nother: null\n");
    }

    #[test]
    fn what_was_done_is_said_to_people_and_programs() {
        let page = Page::default();
        page.output(Form::Table).done("deleted", "stack", "prod").unwrap();
        page.output(Form::Yaml).done("deleted", "stack", "prod").unwrap();
        assert_eq!(page.text(), "deleted stack prod\ndeleted: prod\n");
    }

    #[test]
    fn people_alone_get_remarks() {
        let page = Page::default();
        page.output(Form::Json).say("done").unwrap();
        page.output(Form::Table).say("done\u{7}").unwrap();
        assert_eq!(page.text(), "done\\u{7}\n");
    }

    /// A reader that goes away after `left` bytes, as `head` does.
    struct Pipe {
        left: usize,
    }

    impl Write for Pipe {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            let count = bytes.len().min(self.left);
            self.left -= count;
            if count == 0 { Err(ErrorKind::BrokenPipe.into()) } else { Ok(count) }
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_has_enough_ends_the_command_without_a_word() {
        let into = |left| Output::new(Form::Table, Look::PLAIN, Box::new(Pipe { left })).list(&WORDS);
        assert_eq!(into(1000), Ok(()));
        let enough = into(5).unwrap_err().kind;
        assert_eq!((enough, enough.exit_code()), (Kind::ReaderLeft, 0));
        assert_eq!(into(0).unwrap_err().kind, Kind::Failed, "nobody read any of it");
    }
}
