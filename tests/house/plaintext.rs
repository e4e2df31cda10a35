//! Where source credentials are touched in the clear: the strongroom and the `upstream*.rs` of a connector type, and
//! only in files that a person put into `tests/golden/plaintext_sites.txt`.
//!
//! Looks for `expose` and `expose_text`, called, named as a path, or inside a macro. Modules for tests are left out.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{ExprMethodCall, ItemMod, Macro};

use super::source::{House, Module, crate_folder, only_for_tests, text_of};

/// Every site outside the plaintext zone, and every difference from the golden file.
pub fn breaches(house: &House) -> Vec<String> {
    let shipped = house.modules.iter().filter(|module| !module.test);
    let sites: BTreeSet<String> =
        shipped.filter(|module| touches(module)).map(|module| module.path.display().to_string()).collect();
    let mut findings: Vec<String> = sites.iter().filter(|site| !in_zone(Path::new(site))).map(outside).collect();
    if std::env::var_os("VALETKEY_BLESS").is_some() {
        fs::write(crate_folder().join(GOLDEN), listed(&sites)).expect("the golden file can be written");
    }
    let agreed: BTreeSet<String> =
        text_of(GOLDEN).lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect();
    findings.extend(sites.difference(&agreed).map(|site| format!("{site}: touches plaintext, not in {GOLDEN}")));
    findings.extend(agreed.difference(&sites).map(|site| format!("{site}: in {GOLDEN}, touches no plaintext")));
    findings
}

fn outside(site: &String) -> String {
    format!("{site}: touches plaintext outside src/sealing and a connector type's upstream*.rs")
}

fn listed(sites: &BTreeSet<String>) -> String {
    let lines: Vec<String> = sites.iter().map(|site| format!("{site}\n")).collect();
    format!("{HEADER}{}", lines.concat())
}

fn in_zone(path: &Path) -> bool {
    let upstream = path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with("upstream"));
    path.starts_with("src/sealing") || (path.starts_with("src/connectors") && upstream)
}

fn touches(module: &Module) -> bool {
    let mut reader = Reader { touched: false };
    reader.visit_file(&module.file);
    reader.touched
}

fn opens(name: &str) -> bool {
    name == "expose" || name == "expose_text"
}

fn named_in(stream: TokenStream) -> bool {
    stream.into_iter().any(|token| match token {
        TokenTree::Ident(ident) => opens(&ident.to_string()),
        TokenTree::Group(group) => named_in(group.stream()),
        TokenTree::Punct(_) | TokenTree::Literal(_) => false,
    })
}

struct Reader {
    touched: bool,
}

impl<'ast> Visit<'ast> for Reader {
    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        if !only_for_tests(&item.attrs) {
            visit::visit_item_mod(self, item);
        }
    }

    fn visit_expr_method_call(&mut self, call: &'ast ExprMethodCall) {
        self.touched |= opens(&call.method.to_string());
        visit::visit_expr_method_call(self, call);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        self.touched |= path.segments.iter().any(|segment| opens(&segment.ident.to_string()));
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, item: &'ast Macro) {
        self.touched |= named_in(item.tokens.clone());
        visit::visit_macro(self, item);
    }
}

const GOLDEN: &str = "tests/golden/plaintext_sites.txt";

const HEADER: &str =
    "# Files that touch source credentials in the clear. Each new line here needs a reviewer's eyes.\n";

#[test]
fn a_touch_is_found_in_every_form() {
    let of = |source: &str| touches(&Module::pretended("src/broker/mint.rs", source));
    assert!(of("fn f(p: &Plaintext) { p.expose(); }"));
    assert!(of("fn f(p: &Plaintext) { p.expose_text(); }"));
    assert!(of("fn f(p: Option<&Plaintext>) { p.map(Plaintext::expose); }"));
    assert!(of("fn f(p: &Plaintext) { println!(\"{:?}\", (p.expose())); }"));
    assert!(!of("#[cfg(test)] mod tests { fn f(p: &Plaintext) { p.expose(); } }"));
    assert!(!of("fn f(p: &Plaintext) { p.len(); } fn exposed() {}"));
}

#[test]
fn a_site_outside_the_zone_is_found() {
    let house = House { modules: vec![Module::pretended("src/broker/mint.rs", "fn f(p: &P) { p.expose(); }")] };
    assert!(breaches(&house).iter().any(|finding| finding.contains("outside src/sealing")));
    assert!(in_zone(Path::new("src/sealing/keyring.rs")));
    assert!(in_zone(Path::new("src/connectors/aws/upstream_sts.rs")));
    assert!(!in_zone(Path::new("src/connectors/aws/settings.rs")));
    assert!(!in_zone(Path::new("src/broker/upstream.rs")));
}
