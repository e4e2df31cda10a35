//! The checks over what a descriptor says, with owners that a test cannot
//! make on disk without being root.

use super::*;

const STRANGER: u32 = 12_345;
const DIRECTORY: u32 = 0o040_000;
const REGULAR: u32 = 0o100_000;

/// What `fstat` says of something of this type, mode and owner.
fn found(mode: u32, owner: u32) -> Stat {
    let mut stat = rustix::fs::fstat(rustix::fs::open("/", OFlags::PATH, Mode::empty()).unwrap()).unwrap();
    stat.st_mode = mode;
    stat.st_uid = owner;
    stat
}

fn me() -> u32 {
    rustix::process::geteuid().as_raw()
}

fn directory(mode: u32, owner: u32) -> bool {
    check_directory(Path::new("/a/key"), Path::new("/a"), &found(DIRECTORY | mode, owner)).is_ok()
}

#[test]
fn c13_a_file_belongs_to_us_or_to_root() {
    let path = Path::new("/a/key");
    for owner in [0, me()] {
        assert_eq!(check_file(path, &found(REGULAR | 0o600, owner)), Ok(()));
    }
    let refused = check_file(path, &found(REGULAR | 0o600, STRANGER));
    assert_eq!(refused, Err(RootKeyError::Owner(path.to_owned())));
}

#[test]
fn c13_a_directory_belongs_to_us_or_to_root() {
    for owner in [0, me()] {
        assert!(directory(0o755, owner) && directory(0o700, owner));
    }
    assert!(!directory(0o755, STRANGER) && !directory(0o700, STRANGER));
}

#[test]
fn c13_a_shared_directory_is_taken_only_when_it_is_roots_and_sticky() {
    assert!(directory(0o1777, 0));
    assert!(!directory(0o777, 0) && !directory(0o775, 0) && !directory(0o757, 0));
    assert!(!directory(0o1777, STRANGER));
    assert_eq!(directory(0o1777, me()), me() == 0);
}
