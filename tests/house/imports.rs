//! Who imports whom: finds every path that leaves its room and asks the table.
//!
//! Sees `use` trees, qualified paths, `super` chains and paths inside macros. Modules for tests may use what they like.

use std::collections::BTreeSet;

use proc_macro2::{TokenStream, TokenTree};
use syn::spanned::Spanned as _;
use syn::visit::{self, Visit};
use syn::{ItemMod, ItemUse, Macro, UseTree};

use super::source::{House, Module, only_for_tests};
use super::table::{FOR_EVERYONE, GENERATED, Part, ROOMS, Room};

/// Every import that the table does not allow.
pub fn breaches(house: &House) -> Vec<String> {
    let places = house.places();
    let shipped = house.modules.iter().filter(|module| !module.test && !crate_root(module));
    shipped.flat_map(|module| breaches_of(module, &places)).collect()
}

/// Every room that the table does not know.
pub fn unknown_rooms(house: &House) -> Vec<String> {
    let rooms: BTreeSet<&str> = house.modules.iter().filter_map(Module::room).collect();
    let unknown = rooms.into_iter().filter(|name| rule_of(name).is_none());
    unknown.map(|name| format!("src/{name}: not in tests/house/table.rs")).collect()
}

/// `lib.rs` names the rooms and holds no code.
fn crate_root(module: &Module) -> bool {
    module.path.ends_with("src/lib.rs")
}

fn rule_of(name: &str) -> Option<&'static Room> {
    ROOMS.iter().find(|room| room.name == name)
}

fn breaches_of(module: &Module, places: &BTreeSet<Vec<String>>) -> Vec<String> {
    let name = module.room().unwrap_or("main");
    let Some(rule) = rule_of(name) else { return Vec::new() };
    let mut reader = Reader { here: module.place.clone(), binary: module.room().is_none(), paths: Vec::new() };
    reader.visit_file(&module.file);
    let judged = reader.paths.into_iter().filter_map(|(line, path)| {
        let fault = fault(rule, &path, places)?;
        Some(format!("{}: {name} uses {}: {fault}", module.at(line), path.join("::")))
    });
    judged.collect()
}

/// What is wrong with this use of a path of the crate, if anything.
fn fault(rule: &Room, path: &[String], places: &BTreeSet<Vec<String>>) -> Option<String> {
    let Some(target) = path.first().filter(|name| *name != "*") else {
        return Some("the whole crate at once".to_owned());
    };
    if target == rule.name || target == FOR_EVERYONE {
        return None;
    }
    if rule_of(target).is_none() && target != GENERATED {
        return Some(format!("`{target}` is no room"));
    }
    let Some((_, part)) = rule.may.iter().find(|(name, _)| name == target) else {
        return Some(format!("{} may not use {target}", rule.name));
    };
    let item = path.get(1).map(String::as_str);
    match part {
        Part::All => None,
        Part::Only(items) if item.is_some_and(|item| items.contains(&item)) => None,
        Part::Only(items) => Some(format!("of {target} only {}", items.join(", "))),
        Part::Root if item.is_some_and(|item| item != "*" && !inner_module(target, item, places)) => None,
        Part::Root => Some(format!("of {target} only what stands at its root")),
    }
}

fn inner_module(room: &str, item: &str, places: &BTreeSet<Vec<String>>) -> bool {
    places.contains(&vec![room.to_owned(), item.to_owned()])
}

/// Collects paths into the crate, from its root, with the line.
struct Reader {
    here: Vec<String>,
    binary: bool,
    paths: Vec<(usize, Vec<String>)>,
}

impl Reader {
    /// Keeps the path when it is one of the crate: without `crate`, `self` and `super`.
    fn found(&mut self, line: usize, path: &[String]) {
        let mut place = match path.first().map(String::as_str) {
            Some("crate") if !self.binary => Vec::new(),
            Some("valetkey") if self.binary => Vec::new(),
            Some("self" | "super") => self.here.clone(),
            _ => return,
        };
        for segment in path {
            match segment.as_str() {
                "crate" | "self" | "valetkey" => {}
                "super" => drop(place.pop()),
                name => place.push(name.to_owned()),
            }
        }
        self.paths.push((line, place));
    }

    fn tree(&mut self, line: usize, tree: &UseTree, path: &mut Vec<String>) {
        match tree {
            UseTree::Path(next) => {
                path.push(next.ident.to_string());
                self.tree(line, &next.tree, path);
                path.pop();
            }
            UseTree::Group(group) => group.items.iter().for_each(|item| self.tree(line, item, path)),
            UseTree::Name(name) => self.ended(line, name.ident.to_string(), path),
            UseTree::Rename(name) => self.ended(line, name.ident.to_string(), path),
            UseTree::Glob(_) => self.ended(line, "*".to_owned(), path),
        }
    }

    fn ended(&mut self, line: usize, last: String, path: &mut Vec<String>) {
        path.push(last);
        self.found(line, path);
        path.pop();
    }

    /// Macros are not parsed, so paths in them are found by their shape: `crate::a::b`.
    fn tokens(&mut self, stream: TokenStream) {
        let mut path: Vec<String> = Vec::new();
        let mut line = 0;
        for token in stream {
            match token {
                TokenTree::Ident(ident) => {
                    if !joined(&path) {
                        self.found(line, &without_joints(&path));
                        path.clear();
                    }
                    line = ident.span().start().line;
                    path.push(ident.to_string());
                }
                TokenTree::Punct(mark) if mark.as_char() == ':' && !path.is_empty() => path.push(":".to_owned()),
                other => {
                    self.found(line, &without_joints(&path));
                    path.clear();
                    if let TokenTree::Group(group) = other {
                        self.tokens(group.stream());
                    }
                }
            }
        }
        self.found(line, &without_joints(&path));
    }
}

fn joined(path: &[String]) -> bool {
    path.len() >= 2 && path.iter().rev().take(2).all(|part| part == ":")
}

fn without_joints(path: &[String]) -> Vec<String> {
    path.iter().filter(|part| *part != ":").cloned().collect()
}

impl<'ast> Visit<'ast> for Reader {
    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        if only_for_tests(&item.attrs) {
            return;
        }
        self.here.push(item.ident.to_string());
        visit::visit_item_mod(self, item);
        self.here.pop();
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        self.tree(item.span().start().line, &item.tree, &mut Vec::new());
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let names: Vec<String> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        // A lone `self` or `super` is a value or a visibility, not a use of another room.
        if names.len() > 1 {
            self.found(path.span().start().line, &names);
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, item: &'ast Macro) {
        self.tokens(item.tokens.clone());
        visit::visit_macro(self, item);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found_in(path: &str, source: &str) -> Vec<String> {
        let places = [["store", "sqlite"], ["connectors", "aws"], ["domain", "ids"]];
        let places = places.iter().map(|place| place.map(str::to_owned).to_vec()).collect();
        breaches_of(&Module::pretended(path, source), &places)
    }

    #[test]
    fn an_import_beyond_the_table_is_found_in_every_form() {
        let bad = [
            ("src/domain/ids.rs", "use crate::store::Store;"),
            ("src/domain/ids.rs", "fn f() { crate::store::open(); }"),
            ("src/domain/ids.rs", "fn f(x: crate::store::Store) {}"),
            ("src/domain/ids.rs", "use super::super::store::Store;"),
            ("src/domain/mod.rs", "use super::store::Store;"),
            ("src/domain/ids.rs", "mod inner { use super::super::super::store::Store; }"),
            ("src/domain/ids.rs", "use {crate::{domain::Name, store::Store}};"),
            ("src/domain/ids.rs", "fn f() { println!(\"{}\", crate::store::name()); }"),
            ("src/domain/ids.rs", "use crate::*;"),
            ("src/domain/ids.rs", "use crate::unheard_of::Thing;"),
            ("src/domain/ids.rs", "use crate::proto::Connector;"),
            ("src/main.rs", "use valetkey::store::Store;"),
            ("src/api/mod.rs", "use crate::daemon::serve;"),
        ];
        for (path, source) in bad {
            assert!(!found_in(path, source).is_empty(), "{source}");
        }
    }

    #[test]
    fn an_item_beyond_the_exception_is_found() {
        let bad = [
            ("src/sealing/keyring.rs", "use crate::authz::decide;"),
            ("src/sealing/keyring.rs", "use crate::audit::{OpenEntry, Ledger};"),
            ("src/sealing/keyring.rs", "use crate::audit;"),
            ("src/sealing/keyring.rs", "use crate::audit::*;"),
            ("src/connectors/aws/mod.rs", "use crate::sealing::Keyring;"),
            ("src/store/sqlite/open.rs", "use crate::sealing::Plaintext;"),
            ("src/broker/mint.rs", "use crate::store::sqlite::Sqlite;"),
            ("src/broker/mint.rs", "use crate::store::*;"),
            ("src/broker/mint.rs", "use crate::connectors::aws;"),
            ("src/api/layers.rs", "use crate::authz::decide;"),
        ];
        for (path, source) in bad {
            assert_eq!(found_in(path, source).len(), 1, "{source}");
        }
    }

    #[test]
    fn what_the_table_allows_is_left_alone() {
        let good = [
            ("src/domain/ids.rs", "use super::name::Name; use crate::telemetry::fields;"),
            ("src/domain/ids.rs", "#[cfg(test)] mod tests { use crate::store::Store; }"),
            ("src/domain/ids.rs", "pub(super) fn f(self_: u8) { let _ = self::g(); } pub(in crate::domain) fn g() {}"),
            ("src/sealing/keyring.rs", "use crate::authz::Permit; use crate::audit::OpenEntry;"),
            ("src/connectors/aws/upstream.rs", "use crate::sealing::{Plaintext, SourceCredential};"),
            ("src/store/tx.rs", "use crate::sealing::{SealedCredential, WrappedKek};"),
            ("src/broker/mint.rs", "use crate::store::{Store, StoreError}; fn f() { crate::store::StoreError::Full; }"),
            ("src/broker/mint.rs", "use crate::connectors::{CATALOG, find};"),
            ("src/main.rs", "fn main() { valetkey::cli::run() }"),
        ];
        for (path, source) in good {
            assert_eq!(found_in(path, source), Vec::<String>::new(), "{source}");
        }
    }
}
