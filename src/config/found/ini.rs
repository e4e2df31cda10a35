//! Files of sections and `key = value` lines, as AWS and gcloud write them.
//! Hostile input: bounded, never executed, nothing of it repeated.

use std::collections::BTreeMap;

use zeroize::Zeroizing;

/// The most sections that are kept.
const SECTIONS_MAX: usize = 256;
/// The most keys of one section.
const KEYS_MAX: usize = 64;

/// The keys of a section. No Debug: some are secrets.
pub type Section = BTreeMap<String, Zeroizing<String>>;

/// The sections by name. A later line of a key counts, as for the clouds' own
/// clients; indented lines belong to a nested key and are left out.
pub fn sections(text: &str) -> BTreeMap<String, Section> {
    let mut found: BTreeMap<String, Section> = BTreeMap::new();
    let mut current: Option<String> = None;
    for line in text.lines() {
        let bare = line.trim();
        if bare.is_empty() || bare.starts_with(['#', ';']) {
            continue;
        }
        if let Some(name) = bare.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            let name = name.trim().to_owned();
            let room = found.contains_key(&name) || found.len() < SECTIONS_MAX;
            current = room.then(|| name.clone());
            if room {
                found.entry(name).or_default();
            }
        } else if let (Some(name), Some((key, value))) = (&current, line.split_once('='))
            && !line.starts_with([' ', '\t'])
            && let Some(section) = found.get_mut(name)
            && section.len() < KEYS_MAX
        {
            section.insert(key.trim().to_owned(), Zeroizing::new(value.trim().to_owned()));
        }
    }
    found
}
