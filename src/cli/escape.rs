//! Makes text from elsewhere safe to show on a terminal.
//!
//! Whatever the server sends may have been written by someone who wants to
//! move the cursor, recolour a line or turn text around. It never decides what
//! is shown: it only escapes. Values that a program reads (`--format`) do not
//! pass here; `mint::formats` refuses control characters instead.

use std::fmt::Write as _;

/// `text` with every control, line-breaking, direction-changing or invisible
/// character as `\n`, `\t` or `\u{..}`.
pub(super) fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' => safe.push_str("\\n"),
            '\t' => safe.push_str("\\t"),
            c if unsafe_to_show(c) => push_code(&mut safe, c),
            c => safe.push(c),
        }
    }
    safe
}

/// JSON text with the characters escaped that JSON itself lets through; they
/// can only stand inside strings.
pub(super) fn escape_json(json: &str) -> String {
    let mut safe = String::with_capacity(json.len());
    for character in json.chars() {
        if unsafe_to_show(character) && !character.is_ascii_whitespace() {
            let mut units = [0_u16; 2];
            for unit in character.encode_utf16(&mut units) {
                // Writing to a String cannot fail.
                let _ = write!(safe, "\\u{unit:04x}");
            }
        } else {
            safe.push(character);
        }
    }
    safe
}

/// `text` escaped line by line: line feeds stay, because a YAML block or a PEM
/// needs them.
pub(super) fn escape_lines(text: &str) -> String {
    text.split('\n').map(escape).collect::<Vec<_>>().join("\n")
}

fn push_code(safe: &mut String, character: char) {
    // Writing to a String cannot fail.
    let _ = write!(safe, "\\u{{{:x}}}", u32::from(character));
}

/// Controls (C0, DEL, C1), line and paragraph separators, and the format
/// characters of "trojan source": zero-width and direction marks.
fn unsafe_to_show(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{061c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_disarms_terminal_sequences() {
        assert_eq!(escape("\u{1b}[31mred\u{7}"), "\\u{1b}[31mred\\u{7}");
        assert_eq!(escape("\u{9b}31m"), "\\u{9b}31m");
        assert_eq!(escape("a\rb\nc\td"), "a\\u{d}b\\nc\\td");
    }

    #[test]
    fn escape_disarms_direction_and_invisible_marks() {
        assert_eq!(escape("\u{202e}gpj"), "\\u{202e}gpj");
        assert_eq!(escape("a\u{200b}b\u{2028}"), "a\\u{200b}b\\u{2028}");
    }

    #[test]
    fn escape_leaves_words_of_all_languages() {
        assert_eq!(escape("données 数据 s3://b/p"), "données 数据 s3://b/p");
    }

    #[test]
    fn escaped_json_still_reads_as_the_same_text() {
        let text = "x\u{7f}\u{9b}\u{202e}\u{1b}y\n";
        let json = escape_json(&serde_json::to_string_pretty(&[text]).unwrap());
        assert!(json.chars().all(|c| c == '\n' || !unsafe_to_show(c)));
        assert_eq!(serde_json::from_str::<Vec<String>>(&json).unwrap(), [text]);
    }
}
