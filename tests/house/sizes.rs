//! How long a file and a function may be (STYLE.md rule 3).
//!
//! Counts lines as an editor does, comments included. A function counts from its signature to its closing brace.

use proc_macro2::Span;
use syn::visit::{self, Visit};

use super::source::Text;

/// Every file and function that is too long.
pub fn too_long(files: &[Text]) -> Vec<String> {
    files.iter().flat_map(too_long_in).collect()
}

fn too_long_in(file: &Text) -> Vec<String> {
    let path = file.path.display();
    let mut findings = Vec::new();
    let lines = file.text.lines().count();
    if lines > FILE_LINES_MAX {
        findings.push(format!("{path}: {lines} lines, at most {FILE_LINES_MAX}"));
    }
    let parsed = syn::parse_file(&file.text).unwrap_or_else(|error| panic!("{path}: {error}"));
    let mut reader = Reader { functions: Vec::new() };
    reader.visit_file(&parsed);
    for (name, line, length) in reader.functions {
        if length > FUNCTION_LINES_MAX {
            findings.push(format!("{path}:{line}: `{name}` has {length} lines, at most {FUNCTION_LINES_MAX}"));
        }
    }
    findings
}

struct Reader {
    functions: Vec<(String, usize, usize)>,
}

impl Reader {
    fn function(&mut self, signature: &syn::Signature, end: Span) {
        let first = signature.fn_token.span.start().line;
        let last = end.end().line;
        self.functions.push((signature.ident.to_string(), first, last - first + 1));
    }
}

impl<'ast> Visit<'ast> for Reader {
    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.function(&item.sig, item.block.brace_token.span.close());
        visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.function(&item.sig, item.block.brace_token.span.close());
        visit::visit_impl_item_fn(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        if let Some(block) = &item.default {
            self.function(&item.sig, block.brace_token.span.close());
        }
        visit::visit_trait_item_fn(self, item);
    }
}

const FILE_LINES_MAX: usize = 500;

const FUNCTION_LINES_MAX: usize = 70;

#[test]
fn a_long_file_and_a_long_function_are_found() {
    let of = |text: String| too_long(&[Text { path: "src/x.rs".into(), text }]).len();
    let function = |lines: usize| format!("fn f() {{\n{}}}\n", "    g();\n".repeat(lines - 2));
    assert_eq!(of("// a\n".repeat(500)), 0);
    assert_eq!(of("// a\n".repeat(501)), 1);
    assert_eq!(of(function(70)), 0);
    assert_eq!(of(function(71)), 1);
    assert_eq!(of(format!("struct S; impl S {{ {} }}", function(71))), 1);
    assert_eq!(of(format!("trait T {{ {} }}", function(71))), 1);
    assert_eq!(of(format!("mod tests {{ {} }}", function(71))), 1);
}
