//! Nothing that holds a secret has a Debug (STYLE.md rule 19): not derived over a secret field, and not written by hand
//! for a secret type.
//!
//! Knows secrets by the names of their types. Tests are held to it too: their output ends up in logs.

use syn::punctuated::Punctuated;
use syn::visit::{self, Visit};
use syn::{Attribute, Fields, ItemEnum, ItemImpl, ItemStruct, Meta, Token, Type};

use super::source::{House, Module};

/// Every Debug that could show a secret.
pub fn breaches(house: &House) -> Vec<String> {
    house.modules.iter().flat_map(breaches_of).collect()
}

fn breaches_of(module: &Module) -> Vec<String> {
    let mut reader = Reader { findings: Vec::new() };
    reader.visit_file(&module.file);
    reader.findings.into_iter().map(|(line, what)| format!("{}: {what}", module.at(line))).collect()
}

struct Reader {
    findings: Vec<(usize, String)>,
}

impl Reader {
    fn derived<'a>(&mut self, name: &syn::Ident, attributes: &[Attribute], fields: impl Iterator<Item = &'a Fields>) {
        if !derives_debug(attributes) {
            return;
        }
        let held: Vec<String> = fields.flatten().filter_map(|field| secret_in(&field.ty)).collect();
        if !held.is_empty() {
            self.findings.push((name.span().start().line, format!("{name} derives Debug over {}", held.join(", "))));
        }
    }
}

impl<'ast> Visit<'ast> for Reader {
    fn visit_item_struct(&mut self, item: &'ast ItemStruct) {
        self.derived(&item.ident, &item.attrs, std::iter::once(&item.fields));
        visit::visit_item_struct(self, item);
    }

    fn visit_item_enum(&mut self, item: &'ast ItemEnum) {
        self.derived(&item.ident, &item.attrs, item.variants.iter().map(|variant| &variant.fields));
        visit::visit_item_enum(self, item);
    }

    fn visit_item_impl(&mut self, item: &'ast ItemImpl) {
        let shown = item.trait_.as_ref().and_then(|(_, path, _)| path.segments.last());
        if let Some(shown) = shown.filter(|shown| shows(&shown.ident.to_string()))
            && let Some(secret) = secret_in(&item.self_ty)
        {
            let line = shown.ident.span().start().line;
            self.findings.push((line, format!("{secret} implements {}", shown.ident)));
        }
        visit::visit_item_impl(self, item);
    }
}

fn derives_debug(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        Meta::List(list) if list.path.is_ident("derive") => list
            .parse_args_with(Punctuated::<syn::Path, Token![,]>::parse_terminated)
            .is_ok_and(|paths| paths.iter().any(|path| path.segments.last().is_some_and(|last| last.ident == "Debug"))),
        Meta::List(list) if list.path.is_ident("cfg_attr") => list.tokens.to_string().contains("Debug"),
        _ => false,
    })
}

/// The secret type that this type names, at any depth.
fn secret_in(ty: &Type) -> Option<String> {
    struct Names(Option<String>);
    impl<'ast> Visit<'ast> for Names {
        fn visit_ident(&mut self, ident: &'ast syn::Ident) {
            if SECRETS.iter().any(|secret| ident == secret) {
                self.0 = Some(ident.to_string());
            }
        }
    }
    let mut names = Names(None);
    names.visit_type(ty);
    names.0
}

fn shows(name: &str) -> bool {
    matches!(name, "Debug" | "Display" | "Serialize" | "LowerHex" | "UpperHex" | "ToString")
}

const SECRETS: &[&str] = &[
    "Plaintext",
    "SourceCredential",
    "SecretText",
    "Minted",
    "MintedShape",
    "Zeroizing",
    "PresentedToken",
    "RootKey",
    "Keyring",
];

#[test]
fn a_debug_over_a_secret_is_found() {
    let of = |source: &str| breaches_of(&Module::pretended("src/broker/mint.rs", source)).len();
    assert_eq!(of("#[derive(Clone, Debug)] struct S { a: u8, b: Option<Vec<SecretText>> }"), 1);
    assert_eq!(of("#[derive(std::fmt::Debug)] struct S(zeroize::Zeroizing<String>);"), 1);
    assert_eq!(of("#[derive(Debug)] enum E { A, B { secret: Arc<Minted> } }"), 1);
    assert_eq!(of("#[cfg_attr(test, derive(Debug))] struct S(Plaintext);"), 1);
    assert_eq!(of("mod tests { #[derive(Debug)] struct S(PresentedToken); }"), 1);
    assert_eq!(of("impl fmt::Debug for SourceCredential { }"), 1);
    assert_eq!(of("impl Serialize for SecretText { }"), 1);
    assert_eq!(of("#[derive(Clone)] struct S(Plaintext);"), 0);
    assert_eq!(of("#[derive(Debug)] struct S { fields: Vec<SecretFieldName> }"), 0);
    assert_eq!(of("impl Drop for Plaintext { }"), 0);
}
