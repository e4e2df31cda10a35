//! `valetkey serve --dev`: init and serve in a temporary directory that goes
//! with the daemon, with one person of each of three roles.

use std::path::PathBuf;

use crate::cli::args::{RootKeyProvider, ServeArgs};
use crate::config::{self, Config};
use crate::domain::{Entropy as _, Role};
use crate::store::Unsealed;

use super::announce;
use super::data_dir::DataDir;
use super::error::DaemonError;
use super::founding::{Founder, Person};
use super::init;
use super::serve;
use super::system::SystemEntropy;

/// Who is there to try with.
const PEOPLE: [(&str, Role); 3] =
    [("owner", Role::Owner), ("engineer", Role::PlatformEngineer), ("scientist", Role::DataScientist)];

/// Deletes the directory however the daemon ends, a kill apart.
struct Temporary(DataDir);

impl Drop for Temporary {
    fn drop(&mut self) {
        self.0.remove();
    }
}

/// Makes it, serves, and deletes it.
pub(super) fn run(config: Config, args: &ServeArgs) -> Result<(), DaemonError> {
    let mut random = [0; 8];
    SystemEntropy.fill(&mut random)?;
    let whole = DataDir::at(config::temporary_dir().join("valetkey-dev"));
    let temporary = Temporary(whole.sibling(&hex::encode(random))?);
    let folder = temporary.0.path().to_owned();
    let data_dir = DataDir::at(folder.join("data"));
    let founders = plan(&data_dir)?.carry_out()?;
    let mut tokens: Vec<(PathBuf, &Founder)> = Vec::new();
    for founder in &founders {
        let path = folder.join(format!("{}.token", founder.name));
        announce::write_token(&path, founder)?;
        tokens.push((path, founder));
    }
    let (own, passphrase_file) = (data_dir.clone(), args.passphrase_file.clone());
    let plan = serve::Plan { config, data_dir: own, passphrase_file, unsealed: Unsealed::Refused };
    plan.carry_out(&|address| announce::dev_ready(address, &data_dir, &tokens))
}

fn plan(data_dir: &DataDir) -> Result<init::Plan, DaemonError> {
    let mut people = Vec::new();
    for (name, role) in PEOPLE {
        people.push(Person { name: init::name("--dev", name)?, role });
    }
    Ok(init::Plan {
        data_dir: data_dir.clone(),
        root_key: RootKeyProvider::File,
        passphrase_file: None,
        projects: vec![init::name("--dev", "default")?],
        people,
        hosts: Vec::new(),
    })
}
