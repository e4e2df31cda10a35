//! The keyboard and standard input of whoever runs the command.
//!
//! Owns prompts and the reading of standard input. It never echoes what is
//! asked as hidden, and never asks when nobody sits there.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, IsTerminal as _, Read as _, Write as _};

use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

/// Longest answer to a visible prompt, in bytes.
const ANSWER_MAX: u64 = 64 * 1024;
/// The longest line that a terminal gives at once.
const LINE_MAX: usize = 4096;
/// What Ctrl-C sends.
const CTRL_C: u8 = 3;

/// Who can be asked.
pub(super) trait Terminal {
    /// Somebody sits there and can be asked.
    fn interactive(&self) -> bool;

    /// Says a line to whoever sits there; not part of the answer.
    fn tell(&self, line: &str);

    /// Asks for one visible line.
    ///
    /// # Errors
    /// When the terminal is gone.
    fn ask(&self, label: &str) -> io::Result<String>;

    /// Asks for one line that is not shown.
    ///
    /// # Errors
    /// When the terminal is gone.
    fn ask_hidden(&self, label: &str) -> io::Result<Zeroizing<String>>;

    /// All of standard input, at most `bytes_max`.
    ///
    /// # Errors
    /// When it cannot be read or is longer.
    fn standard_input(&self, bytes_max: u64) -> io::Result<Zeroizing<Vec<u8>>>;
}

/// The terminal of this process.
pub(super) struct OwnTerminal;

impl Terminal for OwnTerminal {
    fn interactive(&self) -> bool {
        io::stdin().is_terminal() && io::stderr().is_terminal()
    }

    fn tell(&self, line: &str) {
        // Whoever does not hear it is asked all the same.
        let _ = writeln!(io::stderr().lock(), "{line}");
    }

    fn ask(&self, label: &str) -> io::Result<String> {
        // Standard output belongs to the answer of the command.
        let mut prompt = io::stderr().lock();
        write!(prompt, "{label}: ")?;
        prompt.flush()?;
        let mut line = String::new();
        io::stdin().lock().take(ANSWER_MAX).read_line(&mut line)?;
        Ok(line.trim().to_owned())
    }

    fn ask_hidden(&self, label: &str) -> io::Result<Zeroizing<String>> {
        let terminal = OpenOptions::new().read(true).write(true).open("/dev/tty")?;
        // Hidden before it is asked for: whoever answers at once, as a program
        // or a paste does, would be echoed else.
        let hidden = Hidden::on(&terminal)?;
        write!(&terminal, "{label}: ")?;
        let line = hidden.line();
        writeln!(&terminal)?;
        line
    }

    fn standard_input(&self, bytes_max: u64) -> io::Result<Zeroizing<Vec<u8>>> {
        read_bounded(io::stdin().lock(), bytes_max)
    }
}

/// A terminal that does not show what is typed, until this is dropped.
struct Hidden<'a> {
    terminal: &'a File,
    before: Termios,
}

impl<'a> Hidden<'a> {
    /// Ctrl-C ends the line and no more: a process that it ended here would
    /// leave a terminal that shows nothing.
    fn on(terminal: &'a File) -> io::Result<Self> {
        let before = tcgetattr(terminal)?;
        let mut hidden = before.clone();
        hidden.local_modes -= LocalModes::ECHO | LocalModes::ISIG;
        hidden.special_codes[SpecialCodeIndex::VEOL] = CTRL_C;
        tcsetattr(terminal, OptionalActions::Now, &hidden)?;
        Ok(Self { terminal, before })
    }

    /// One line; `Interrupted` when Ctrl-C ended it.
    fn line(self) -> io::Result<Zeroizing<String>> {
        let mut typed = Zeroizing::new(Vec::new());
        let mut piece = Zeroizing::new(vec![0; LINE_MAX]);
        loop {
            let count = (&mut &*self.terminal).read(&mut piece)?;
            typed.extend(piece.iter().take(count));
            if count == 0 && typed.is_empty() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            match typed.last() {
                Some(&CTRL_C) => return Err(io::ErrorKind::Interrupted.into()),
                Some(b'\n') => break,
                Some(_) | None if count == 0 || typed.len() as u64 > ANSWER_MAX => break,
                Some(_) | None => {}
            }
        }
        let line = std::str::from_utf8(&typed).map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
        Ok(Zeroizing::new(line.trim_end_matches(['\r', '\n']).to_owned()))
    }
}

impl Drop for Hidden<'_> {
    fn drop(&mut self) {
        // A terminal that has gone needs nothing more.
        let _ = tcsetattr(self.terminal, OptionalActions::Now, &self.before);
    }
}

/// Everything of `source`, if it is at most `bytes_max`.
///
/// # Errors
/// When it cannot be read or is longer.
pub(super) fn read_bounded(source: impl io::Read, bytes_max: u64) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::new());
    source.take(bytes_max.saturating_add(1)).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > bytes_max {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("longer than {bytes_max} bytes")));
    }
    Ok(bytes)
}

/// A terminal for tests: what it answers is written down before.
#[cfg(test)]
pub(super) struct ScriptedTerminal {
    /// Somebody sits there.
    pub(super) interactive: bool,
    /// Answers, first asked first.
    pub(super) answers: std::cell::RefCell<std::collections::VecDeque<String>>,
    /// Standard input.
    pub(super) input: Vec<u8>,
    /// What was asked.
    pub(super) asked: std::cell::RefCell<Vec<String>>,
    /// What was said.
    pub(super) told: std::cell::RefCell<Vec<String>>,
}

#[cfg(test)]
impl ScriptedTerminal {
    /// Nobody there, this on standard input.
    pub(super) fn piped(input: &[u8]) -> Self {
        let input = input.to_vec();
        let (answers, asked, told) = Default::default();
        Self { interactive: false, answers, input, asked, told }
    }

    /// Somebody who answers this.
    pub(super) fn answering(answers: &[&str]) -> Self {
        let answers = answers.iter().map(|a| (*a).to_owned()).collect();
        let answers = std::cell::RefCell::new(answers);
        let (asked, told) = Default::default();
        Self { interactive: true, answers, input: Vec::new(), asked, told }
    }

    fn answer(&self, label: &str) -> io::Result<String> {
        self.asked.borrow_mut().push(label.to_owned());
        self.answers.borrow_mut().pop_front().ok_or_else(|| io::Error::other("nothing more is written down"))
    }
}

#[cfg(test)]
impl Terminal for ScriptedTerminal {
    fn interactive(&self) -> bool {
        self.interactive
    }

    fn tell(&self, line: &str) {
        self.told.borrow_mut().push(line.to_owned());
    }

    fn ask(&self, label: &str) -> io::Result<String> {
        self.answer(label)
    }

    fn ask_hidden(&self, label: &str) -> io::Result<Zeroizing<String>> {
        self.answer(label).map(Zeroizing::new)
    }

    fn standard_input(&self, bytes_max: u64) -> io::Result<Zeroizing<Vec<u8>>> {
        read_bounded(self.input.as_slice(), bytes_max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_stops_at_the_bound() {
        assert_eq!(read_bounded(&[7_u8; 8][..], 8).unwrap().len(), 8);
        assert!(read_bounded(&[7_u8; 9][..], 8).is_err());
    }
}
