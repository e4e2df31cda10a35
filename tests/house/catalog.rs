//! A connector type is a folder and a line in CATALOG: no folder without its line.
//!
//! Reads `src/connectors/catalog.rs` as code, so that a comment does not count.

use std::fs;

use syn::visit::Visit;
use syn::{File, Item, ItemStatic};

use super::source::{crate_folder, text_of};

/// Every folder of `src/connectors` that CATALOG does not name.
pub fn missing() -> Vec<String> {
    let catalog = syn::parse_file(&text_of("src/connectors/catalog.rs")).expect("the catalog parses");
    missing_in(&catalog, &folders())
}

fn missing_in(catalog: &File, folders: &[String]) -> Vec<String> {
    let value = catalog.items.iter().find_map(|item| match item {
        Item::Static(item) if item.ident == "CATALOG" => Some(item),
        _ => None,
    });
    let named = names_in(value.expect("there is a static CATALOG"));
    let lost = folders.iter().filter(|folder| !named.contains(folder));
    lost.map(|folder| format!("src/connectors/{folder}: not in CATALOG")).collect()
}

fn folders() -> Vec<String> {
    let entries = fs::read_dir(crate_folder().join("src/connectors")).expect("the folder can be read");
    let entries = entries.map(|entry| entry.expect("the entry can be read"));
    let folders = entries.filter(|entry| entry.file_type().expect("the entry has a type").is_dir());
    folders.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

fn names_in(catalog: &ItemStatic) -> Vec<String> {
    struct Names(Vec<String>);
    impl<'ast> Visit<'ast> for Names {
        fn visit_ident(&mut self, ident: &'ast syn::Ident) {
            self.0.push(ident.to_string());
        }
    }
    let mut names = Names(Vec::new());
    names.visit_expr(&catalog.expr);
    names.0
}

#[test]
fn a_type_without_its_line_is_found() {
    let source = "pub static CATALOG: &[&dyn AnyConnectorType] = &[&Erased::<aws::Aws>::new() /* gcp */];";
    let catalog = syn::parse_file(source).unwrap();
    assert_eq!(missing_in(&catalog, &["aws".to_owned()]), Vec::<String>::new());
    assert_eq!(missing_in(&catalog, &["aws".to_owned(), "gcp".to_owned()]).len(), 1);
}
