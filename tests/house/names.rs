//! What nothing may be called (STYLE.md rule 4), and that every file says what it is (rule 1).
//!
//! A name made of several words is refused when one of them is banned.

use syn::visit::{self, Visit};

use super::source::Text;

/// Every file, folder and module named after a heap of things.
pub fn banned(files: &[Text]) -> Vec<String> {
    files.iter().flat_map(banned_in).collect()
}

/// Every file that does not start by saying what it is.
pub fn without_a_header(files: &[Text]) -> Vec<String> {
    let silent = files.iter().filter(|file| !file.text.starts_with("//! "));
    silent.map(|file| format!("{}: does not start with `//!`", file.path.display())).collect()
}

fn banned_in(file: &Text) -> Vec<String> {
    let path = file.path.display();
    let mut findings = Vec::new();
    for part in file.path.with_extension("").iter().filter_map(|part| part.to_str()) {
        if heap(part) {
            findings.push(format!("{path}: `{part}` says nothing"));
        }
    }
    let parsed = syn::parse_file(&file.text).unwrap_or_else(|error| panic!("{path}: {error}"));
    let mut reader = Reader { modules: Vec::new() };
    reader.visit_file(&parsed);
    let modules = reader.modules.iter().filter(|name| heap(name));
    findings.extend(modules.map(|name| format!("{path}: module `{name}` says nothing")));
    findings
}

fn heap(name: &str) -> bool {
    name.to_lowercase().split(['_', '-']).any(|word| BANNED.contains(&word))
}

struct Reader {
    modules: Vec<String>,
}

impl<'ast> Visit<'ast> for Reader {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        self.modules.push(item.ident.to_string());
        visit::visit_item_mod(self, item);
    }
}

const BANNED: &[&str] = &["util", "utils", "helper", "helpers", "common", "misc", "manager", "managers"];

#[test]
fn a_name_that_says_nothing_is_found() {
    let of = |path: &str, text: &str| banned(&[Text { path: path.into(), text: text.into() }]).len();
    assert_eq!(of("src/store/utils.rs", ""), 1);
    assert_eq!(of("src/common/mod.rs", ""), 1);
    assert_eq!(of("src/store/key_manager.rs", ""), 1);
    assert_eq!(of("src/store/mod.rs", "mod outer { mod test_helpers {} }"), 1);
    assert_eq!(of("src/store/commonwealth.rs", "mod managed {}"), 0);
}

#[test]
fn a_file_that_does_not_say_what_it_is_is_found() {
    let of = |text: &str| without_a_header(&[Text { path: "src/x.rs".into(), text: text.into() }]).len();
    assert_eq!(of("//! The place where x is kept.\n"), 0);
    assert_eq!(of("// Not documentation.\n"), 1);
    assert_eq!(of("//!\n"), 1);
    assert_eq!(of(""), 1);
}
