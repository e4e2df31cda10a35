//! Compiles `proto/` without `protoc`, keeps Debug off every message that
//! holds a secret, and writes the table of method rules that the server reads.
//!
//! Owns the generated code and the descriptor set. It decides nothing: a
//! method without a rule becomes an entry with an empty permission, and the
//! server refuses to start on it.

#![allow(clippy::disallowed_methods, reason = "cargo tells a build script its folder through the environment")]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor, MethodDescriptor};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

fn main() -> Outcome<()> {
    println!("cargo:rerun-if-changed=proto");
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    let files = proto_files(Path::new("proto/valetkey/v1"))?;
    let mut compiler = protox::Compiler::new(["proto"])?;
    compiler.include_source_info(true).include_imports(true).open_files(files)?;
    let pool = compiler.descriptor_pool();
    let descriptors = compiler.file_descriptor_set();
    std::fs::write(out.join("descriptors.bin"), compiler.encode_file_descriptor_set())?;
    std::fs::write(out.join("method_rules.rs"), method_rules(&pool)?)?;
    let silent = sensitive_messages(&pool)?;
    std::fs::write(out.join("sensitive_messages.rs"), sensitive_table(&silent)?)?;
    tonic_prost_build::configure()
        .build_server(true)
        .build_client(true)
        // Maps in order: the digest of a request is the same each time.
        .btree_map(".")
        .skip_debug(silent.iter().map(|name| format!(".{name}")))
        .compile_fds(descriptors)?;
    Ok(())
}

fn proto_files(folder: &Path) -> Outcome<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        files.push(Path::new("valetkey/v1").join(entry?.file_name()));
    }
    files.sort();
    Ok(files)
}

/// The rules of all methods of the package, as Rust source.
fn method_rules(pool: &DescriptorPool) -> Outcome<String> {
    let extension = pool.get_extension_by_name("valetkey.v1.rule").ok_or("no method option `rule`")?;
    let mut source = String::from("&[\n");
    for service in pool.services().filter(|s| s.package_name() == "valetkey.v1") {
        for method in service.methods() {
            let options = method.options();
            let value = options.get_extension(&extension);
            let rule = value.as_message().ok_or("`rule` is not a message")?;
            write_rule(&mut source, &method, rule)?;
        }
    }
    source.push(']');
    Ok(source)
}

fn write_rule(source: &mut String, method: &MethodDescriptor, rule: &DynamicMessage) -> Outcome<()> {
    let field = |name: &str| rule.get_field_by_name(name).map(|v| v.into_owned());
    let permission = field("permission").and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default();
    let audit = field("audit").and_then(|v| v.as_enum_number()).unwrap_or_default();
    let max = field("max_request_bytes").and_then(|v| v.as_u32()).unwrap_or_default();
    let service = method.parent_service().full_name().to_owned();
    writeln!(
        source,
        "    MethodRule {{ path: \"/{service}/{name}\", permission: {permission:?}, audit: {audit}, \
         max_request_bytes: {max}, streaming: {streaming} }},",
        name = method.name(),
        streaming = method.is_server_streaming(),
    )?;
    Ok(())
}

/// Messages with a sensitive field, and all that contain one of those.
fn sensitive_messages(pool: &DescriptorPool) -> Outcome<BTreeSet<String>> {
    let extension = pool.get_extension_by_name("valetkey.v1.sensitive").ok_or("no field option `sensitive`")?;
    let messages: Vec<MessageDescriptor> = pool.all_messages().filter(|m| m.package_name() == "valetkey.v1").collect();
    let mut silent = BTreeSet::new();
    loop {
        let before = silent.len();
        for message in &messages {
            let holds = message.fields().any(|field| {
                field.options().get_extension(&extension).as_bool() == Some(true)
                    || field.kind().as_message().is_some_and(|m| silent.contains(m.full_name()))
            });
            if holds {
                silent.insert(message.full_name().to_owned());
            }
        }
        if silent.len() == before {
            return Ok(silent);
        }
    }
}

fn sensitive_table(silent: &BTreeSet<String>) -> Outcome<String> {
    let mut source = String::from("&[\n");
    for name in silent {
        writeln!(source, "    {name:?},")?;
    }
    source.push(']');
    Ok(source)
}
