//! Reads our own source: every Rust file as text, and the crate as a tree of modules with the test modules marked.
//!
//! Follows `mod` declarations from `lib.rs` and `main.rs`, as the compiler does. It judges nothing.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use syn::{Attribute, Item, ItemMod, Meta};

/// One Rust file as text.
pub struct Text {
    /// Relative to the crate's folder.
    pub path: PathBuf,
    /// What it says.
    pub text: String,
}

/// One file of the crate.
pub struct Module {
    /// Relative to the crate's folder.
    pub path: PathBuf,
    /// Its place in the crate, for example `["store", "sqlite"]`; empty for the crate's root.
    pub place: Vec<String>,
    /// Only compiled for tests.
    pub test: bool,
    /// The parsed file.
    pub file: syn::File,
}

impl Module {
    /// A module that was never in a file; for the tests of the rules.
    pub fn pretended(path: &str, source: &str) -> Self {
        let stem = path.trim_start_matches("src/").trim_end_matches(".rs").trim_end_matches("/mod");
        let place = stem.split('/').filter(|part| *part != "main").map(str::to_owned).collect();
        Self { path: path.into(), place, test: false, file: syn::parse_str(source).expect("the snippet parses") }
    }

    /// The room it is in; nothing for the crate's root and for `main.rs`.
    pub fn room(&self) -> Option<&str> {
        self.place.first().map(String::as_str)
    }

    /// `path:line`.
    pub fn at(&self, line: usize) -> String {
        format!("{}:{line}", self.path.display())
    }
}

/// The whole crate.
pub struct House {
    /// Every file that the compiler sees.
    pub modules: Vec<Module>,
}

impl House {
    /// Reads the crate.
    pub fn read() -> Self {
        let mut house = Self { modules: Vec::new() };
        for root in ["src/lib.rs", "src/main.rs"] {
            house.enter(Path::new(root), &[], false);
        }
        house
    }

    /// The places of all modules.
    pub fn places(&self) -> BTreeSet<Vec<String>> {
        self.modules.iter().map(|module| module.place.clone()).collect()
    }

    fn enter(&mut self, path: &Path, place: &[String], test: bool) {
        let file = parsed(path);
        let folder = folder_of_children(path);
        for item in &file.items {
            if let Item::Mod(child) = item {
                self.declared(child, path, &folder, place, test);
            }
        }
        self.modules.push(Module { path: path.into(), place: place.to_vec(), test, file });
    }

    fn declared(&mut self, child: &ItemMod, parent: &Path, folder: &Path, place: &[String], test: bool) {
        let name = child.ident.to_string();
        let test = test || only_for_tests(&child.attrs);
        let mut inner = place.to_vec();
        inner.push(name.clone());
        match &child.content {
            None => self.enter(&file_of(child, parent, folder), &inner, test),
            Some((_, items)) => {
                for item in items {
                    if let Item::Mod(grandchild) = item {
                        self.declared(grandchild, parent, &folder.join(&name), &inner, test);
                    }
                }
            }
        }
    }
}

/// The files under `src` that no `mod` leads to.
pub fn orphans(house: &House) -> Vec<String> {
    let known: BTreeSet<&Path> = house.modules.iter().map(|module| module.path.as_path()).collect();
    let all = rust_files();
    let lost = all.iter().filter(|file| file.path.starts_with("src") && !known.contains(file.path.as_path()));
    lost.map(|file| format!("{}: no `mod` leads here", file.path.display())).collect()
}

/// Every Rust file that is ours.
pub fn rust_files() -> Vec<Text> {
    let mut files = vec![PathBuf::from("build.rs")];
    for folder in ["src", "tests", "benches"] {
        walk(Path::new(folder), &mut files);
    }
    files.retain(|path| path.extension().is_some_and(|extension| extension == "rs"));
    files.sort();
    files.into_iter().map(|path| Text { text: text_of(&path), path }).collect()
}

/// The text of a file of the crate.
pub fn text_of(path: impl AsRef<Path>) -> String {
    let path = crate_folder().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Where the crate is.
pub fn crate_folder() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// `#[cfg(test)]`, or `#[cfg(all(test, ...))]`: never in what is shipped.
pub fn only_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        Meta::List(list) if list.path.is_ident("cfg") => {
            let condition = list.tokens.to_string();
            condition == "test" || condition.starts_with("all (test ,") || condition.starts_with("all (test)")
        }
        _ => false,
    })
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
    let entries = fs::read_dir(crate_folder().join(folder)).expect("the folder can be read");
    for entry in entries {
        let entry = entry.expect("the entry can be read");
        let path = folder.join(entry.file_name());
        if entry.file_type().expect("the entry has a type").is_dir() {
            // Build output of the fuzz targets is not ours.
            if entry.file_name() != "target" {
                walk(&path, files);
            }
        } else {
            files.push(path);
        }
    }
}

fn parsed(path: &Path) -> syn::File {
    syn::parse_file(&text_of(path)).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn folder_of_children(path: &Path) -> PathBuf {
    let folder = path.parent().expect("a file is in a folder");
    match path.file_stem().and_then(|stem| stem.to_str()) {
        Some("mod" | "lib" | "main") | None => folder.to_path_buf(),
        Some(stem) => folder.join(stem),
    }
}

fn file_of(child: &ItemMod, parent: &Path, folder: &Path) -> PathBuf {
    for attribute in &child.attrs {
        if let Meta::NameValue(pair) = &attribute.meta
            && pair.path.is_ident("path")
            && let syn::Expr::Lit(literal) = &pair.value
            && let syn::Lit::Str(text) = &literal.lit
        {
            return parent.parent().expect("a file is in a folder").join(text.value());
        }
    }
    let name = child.ident.to_string();
    let flat = folder.join(format!("{name}.rs"));
    if crate_folder().join(&flat).exists() { flat } else { folder.join(name).join("mod.rs") }
}

#[test]
fn a_module_for_tests_is_known_by_its_condition() {
    let module: ItemMod = syn::parse_str("#[cfg(test)] mod tests;").unwrap();
    assert!(only_for_tests(&module.attrs));
    let module: ItemMod = syn::parse_str("#[cfg(all(test, unix))] mod tests;").unwrap();
    assert!(only_for_tests(&module.attrs));
    let shipped = ["mod tests;", "#[cfg(not(test))] mod real;", "#[cfg(any(test, unix))] mod both;"];
    for source in shipped {
        let module: ItemMod = syn::parse_str(source).unwrap();
        assert!(!only_for_tests(&module.attrs), "{source}");
    }
}

#[test]
fn a_file_that_no_mod_leads_to_is_found() {
    let empty = House { modules: Vec::new() };
    assert!(orphans(&empty).iter().any(|finding| finding.starts_with("src/lib.rs")));
}
