//! Where something could have been left: files, and everything that was answered.

use std::fs;
use std::path::Path;

use super::scanner::{Hit, Scanner};

/// Every reply, refusal and output of a story, to be searched when it is over.
#[derive(Default)]
pub struct Heard(Vec<(String, Vec<u8>)>);

impl Heard {
    /// Keeps an answer.
    pub fn note(&mut self, place: &str, bytes: impl Into<Vec<u8>>) {
        self.0.push((place.to_owned(), bytes.into()));
    }

    /// Everything that is found in what was heard.
    pub fn scan(&self, scanner: &Scanner) -> Vec<Hit> {
        self.0.iter().flat_map(|(place, bytes)| scanner.scan(place, bytes)).collect()
    }

    /// How much was heard.
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

/// Everything that is found in the files below a folder, their names included; files that `skip` names are the test's.
pub fn scan_files(folder: &Path, scanner: &Scanner, skip: &dyn Fn(&Path) -> bool) -> Vec<Hit> {
    let mut hits = Vec::new();
    for path in files(folder) {
        if skip(&path) {
            continue;
        }
        let place = path.display().to_string();
        hits.extend(scanner.scan(&place, place.as_bytes()));
        hits.extend(scanner.scan(&place, &fs::read(&path).unwrap_or_default()));
    }
    hits
}

/// All files below a folder.
pub fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("the folder can be read") {
        let path = entry.expect("the folder can be read").path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}
