//! Case C13: every way a key file can be wrong, and what it says.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::PathBuf;

use tempfile::TempDir;

use crate::sealing::seeded::{Failing, Seeded, Standing};

use super::*;

struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("root.key")
    }

    /// A file of these bytes and this mode.
    fn holding(content: &[u8], mode: u32) -> Self {
        let folder = Self::new();
        fs::write(folder.path(), content).unwrap();
        set_mode(&folder.path(), mode);
        folder
    }

    fn refusal(&self) -> RootKeyError {
        RootKey::from_file(&self.path()).err().unwrap()
    }
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn key_bytes() -> Vec<u8> {
    (0..32).collect()
}

#[test]
fn a_key_that_was_created_is_read_back() {
    let folder = Folder::new();
    let made = RootKey::create_file(&folder.path(), &Seeded::new(1)).unwrap();
    let read = RootKey::from_file(&folder.path()).unwrap();
    assert_eq!(made.bytes(), read.bytes());
    assert_eq!(made.id(), read.id());
    assert_eq!(made.id().len(), 32);
    let found = fs::metadata(folder.path()).unwrap();
    assert_eq!((found.mode() & 0o7777, found.len()), (0o600, 32));
}

#[test]
fn a_key_is_read_raw_or_as_base64() {
    let raw = RootKey::from_file(&Folder::holding(&key_bytes(), 0o600).path()).unwrap();
    for end in ["", "\n"] {
        let text = format!("{}{end}", STANDARD.encode(key_bytes()));
        let read = RootKey::from_file(&Folder::holding(text.as_bytes(), 0o400).path()).unwrap();
        assert_eq!(read.id(), raw.id());
    }
}

#[test]
fn a_key_is_never_overwritten() {
    let folder = Folder::holding(&key_bytes(), 0o600);
    let refused = RootKey::create_file(&folder.path(), &Seeded::new(1)).err();
    assert_eq!(refused, Some(RootKeyError::Exists(folder.path())));
    assert_eq!(fs::read(folder.path()).unwrap(), key_bytes());
}

#[test]
fn c9_no_file_is_made_without_randomness() {
    for entropy in [&Failing as &dyn Entropy, &Standing { step: 0 }, &Standing { step: 1 }] {
        let folder = Folder::new();
        assert_eq!(RootKey::create_file(&folder.path(), entropy).err(), Some(RootKeyError::Entropy));
        assert!(!folder.path().exists());
    }
}

#[test]
fn c13_a_file_that_others_can_open_is_refused() {
    for mode in [0o644, 0o640, 0o620, 0o601, 0o604, 0o666, 0o777] {
        let folder = Folder::holding(&key_bytes(), mode);
        assert_eq!(folder.refusal(), RootKeyError::Mode { path: folder.path(), mode });
    }
}

#[test]
fn c13_a_symbolic_link_is_refused() {
    let target = Folder::holding(&key_bytes(), 0o600);
    let folder = Folder::new();
    symlink(target.path(), folder.path()).unwrap();
    assert_eq!(folder.refusal(), RootKeyError::NotRegular(folder.path()));
    let refused = RootKey::create_file(&folder.path(), &Seeded::new(1)).err();
    assert_eq!(refused, Some(RootKeyError::Exists(folder.path())));
}

#[test]
fn c13_a_link_on_the_way_is_refused() {
    let target = Folder::holding(&key_bytes(), 0o600);
    let folder = Folder::new();
    let link = folder.0.path().join("keys");
    symlink(target.0.path(), &link).unwrap();
    let path = link.join("root.key");
    assert_eq!(RootKey::from_file(&path).err(), Some(RootKeyError::Parent { path, parent: link }));
}

#[test]
fn c13_a_pipe_a_directory_and_a_device_are_refused_without_waiting() {
    let folder = Folder::new();
    let made = std::process::Command::new("mkfifo").arg("-m").arg("600").arg(folder.path()).status().unwrap();
    assert!(made.success());
    assert_eq!(folder.refusal(), RootKeyError::NotRegular(folder.path()));
    let folder = Folder::new();
    fs::create_dir(folder.path()).unwrap();
    assert_eq!(folder.refusal(), RootKeyError::NotRegular(folder.path()));
    let device = PathBuf::from("/dev/zero");
    assert_eq!(RootKey::from_file(&device).err(), Some(RootKeyError::NotRegular(device)));
}

#[test]
fn c13_a_directory_that_others_can_write_is_refused() {
    let folder = Folder::holding(&key_bytes(), 0o600);
    let parent = folder.0.path().to_owned();
    for mode in [0o770, 0o707, 0o777] {
        set_mode(&parent, mode);
        let expected = RootKeyError::Parent { path: folder.path(), parent: parent.clone() };
        assert_eq!(folder.refusal(), expected);
    }
    let nested = parent.join("keys");
    fs::create_dir(&nested).unwrap();
    set_mode(&nested, 0o700);
    let path = nested.join("root.key");
    let refused = RootKey::create_file(&path, &Seeded::new(1)).err();
    assert_eq!(refused, Some(RootKeyError::Parent { path, parent }), "the directory above counts too");
}

#[test]
fn c13_a_file_swapped_between_check_and_read_is_never_believed() {
    let folder = Folder::holding(&key_bytes(), 0o600);
    let good = RootKey::from_file(&folder.path()).unwrap().id();
    let loose = [9; 32];
    let stop = std::sync::atomic::AtomicBool::new(false);
    let results = std::thread::scope(|scope| {
        scope.spawn(|| {
            // Another key, in a file that others can read, comes and goes.
            let (strict, open) = (folder.0.path().join("strict"), folder.0.path().join("open"));
            while !stop.load(std::sync::atomic::Ordering::SeqCst) {
                for (staged, content, mode) in [(&open, loose.to_vec(), 0o644), (&strict, key_bytes(), 0o600)] {
                    fs::write(staged, content).unwrap();
                    set_mode(staged, mode);
                    fs::rename(staged, folder.path()).unwrap();
                }
            }
        });
        let results: Vec<_> = (0..3_000).map(|_| RootKey::from_file(&folder.path())).collect();
        stop.store(true, std::sync::atomic::Ordering::SeqCst);
        results
    });
    let mode = RootKeyError::Mode { path: folder.path(), mode: 0o644 };
    for result in results {
        match result {
            Ok(key) => assert_eq!(key.id(), good),
            Err(refused) => assert_eq!(refused, mode),
        }
    }
}

#[test]
fn c13_anything_but_a_key_is_refused() {
    let short = STANDARD.encode(&key_bytes()[..31]);
    let long = STANDARD.encode([key_bytes(), vec![1]].concat());
    let twice = format!("{}\n\n", STANDARD.encode(key_bytes()));
    for content in
        [&b""[..], &[7; 31], &[7; 33], &[0; 32], short.as_bytes(), long.as_bytes(), twice.as_bytes(), &[7; 4096]]
    {
        let folder = Folder::holding(content, 0o600);
        assert_eq!(folder.refusal(), RootKeyError::Malformed(folder.path()));
    }
}

#[test]
fn refusals_name_the_path_and_the_remedy() {
    let folder = Folder::new();
    let missing = folder.refusal();
    assert_eq!(missing, RootKeyError::Missing(folder.path()));
    assert!(missing.to_string().starts_with(folder.path().to_str().unwrap()));
    assert!(missing.to_string().contains("valetkey init"));
    let loose = Folder::holding(&key_bytes(), 0o644).refusal().to_string();
    assert!(loose.contains("0644") && loose.contains("chmod it to 0600"), "{loose}");
}
