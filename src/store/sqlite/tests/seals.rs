//! C1 and C2 for records: what a writer of the file makes up, changes, or puts
//! back as it was, with and without the seals that belonged to it.

use std::path::Path;
use std::sync::Arc;

use hmac::{Hmac, KeyInit as _, Mac as _};
use rusqlite::Connection as Database;
use sha2::Sha256;

use super::super::seals::Sealing;
use super::super::{changes, guarded};
use super::{Folder, plain, subject};
use crate::audit::{Journal as _, Line};
use crate::domain::{Binding, Connector, Role, Timestamp, Version};
use crate::store::conformance::{Furniture, Subject, World, binding, connector, line, run, sealed};
use crate::store::{
    AuditLines as _, Bindings as _, Connectors as _, OpenError, Principals as _, Projects as _, RecordMac, Runs as _,
    SqliteStore, Store, StoreError, Tokens as _, Transactions as _, Tx, Unsealed, Write,
};

/// A key that is not in the file.
fn mac(key: u8) -> RecordMac {
    Arc::new(move |message| {
        let mut mac = Hmac::<Sha256>::new_from_slice(&[key; 32]).unwrap();
        mac.update(message);
        mac.finalize().into_bytes().into()
    })
}

async fn opened(folder: &Folder) -> Result<SqliteStore, OpenError> {
    let store = folder.open();
    store.seal_records(mac(1), Unsealed::Refused).await.map(|()| store)
}

/// That it does not open, and why.
async fn altered(folder: &Folder) -> &'static str {
    match opened(folder).await {
        Err(OpenError::AlteredRecords { what }) => what,
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("the records were taken"),
    }
}

/// A sealed store with one of everything, and its world.
async fn furnished(folder: &Folder) -> (Arc<SqliteStore>, World, Furniture) {
    let store = Arc::new(folder.create());
    store.seal_records(mac(1), Unsealed::Refused).await.unwrap();
    let shared: Arc<dyn Store> = store.clone();
    let world = World::new(Subject { store: shared, clock: folder.clock.clone(), keep: Box::new(()) }).await;
    let furniture = world.furnish(world.here).await;
    (store, world, furniture)
}

/// Rows of tables, to put back later.
struct Copy(Vec<(String, Vec<Vec<rusqlite::types::Value>>)>);

impl Copy {
    fn of(path: &Path, tables: &[&str]) -> Self {
        let database = plain(path);
        let rows = |table: &str| {
            let mut statement = database.prepare(&format!("SELECT * FROM {table}")).unwrap();
            let columns = statement.column_count();
            let row = |row: &rusqlite::Row<'_>| (0..columns).map(|column| row.get(column)).collect();
            statement.query_map([], row).unwrap().map(Result::unwrap).collect()
        };
        Self(tables.iter().map(|table| ((*table).to_owned(), rows(table))).collect())
    }

    fn put_back(&self, path: &Path) {
        let database = plain(path);
        database.execute_batch("PRAGMA foreign_keys = OFF").unwrap();
        for (table, _) in &self.0 {
            database.execute(&format!("DELETE FROM {table}"), []).unwrap();
        }
        for (table, rows) in &self.0 {
            for row in rows {
                let places = vec!["?"; row.len()].join(", ");
                let insert = format!("INSERT INTO {table} VALUES ({places})");
                database.execute(&insert, rusqlite::params_from_iter(row.clone())).unwrap();
            }
        }
    }
}

async fn rotate(world: &World, record: &Connector) -> Connector {
    let secret = crate::domain::SecretFacts { version: 2, ..record.secret.clone() };
    let rotated = Connector { version: Version(2), secret, ..record.clone() };
    let write = Write::UpdateConnector { connector: rotated.clone(), expected: Version(1), sealed: Some(sealed(2)) };
    world.write(write).await.unwrap();
    rotated
}

fn edit(path: &Path, sql: &str) {
    let changed = plain(path).execute(sql, []).unwrap();
    assert!(changed > 0, "{sql}");
}

mod sealed_suite {
    use super::*;

    fn sealed_subject() -> Subject {
        let subject = subject();
        let folder = Folder::new();
        let store = folder.create();
        // The suite's own runtime is not there yet.
        std::thread::scope(|scope| {
            let seal = || {
                let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
                runtime.block_on(store.seal_records(mac(1), Unsealed::Refused))
            };
            scope.spawn(seal).join().unwrap().unwrap();
        });
        drop(subject);
        let clock = folder.clock.clone();
        Subject { store: Arc::new(store), clock, keep: Box::new(folder) }
    }

    crate::store::conformance::conformance!(sealed_subject);
}

#[tokio::test]
async fn c2_a_connector_put_back_as_it_was_before_a_rotation_is_noticed() {
    const ROW: &[&str] = &["sealed_fields", "connectors"];
    const WITH_SEALS: &[&str] = &["sealed_fields", "connectors", "record_seals", "seal_head"];
    const WITH_FEED: &[&str] = &["sealed_fields", "connectors", "record_seals", "seal_head", "changes"];
    for (tables, at_start) in [
        (ROW, None),
        (WITH_SEALS, Some("the seals are of another time than the records")),
        (WITH_FEED, Some("the ledger tells of changes that are not there")),
    ] {
        let folder = Folder::new();
        let (store, world, furniture) = furnished(&folder).await;
        let before = Copy::of(&folder.path(), tables);
        rotate(&world, &furniture.connector).await;
        drop((world, store));
        before.put_back(&folder.path());
        if let Some(said) = at_start {
            assert_eq!(altered(&folder).await, said);
            continue;
        }
        let store = opened(&folder).await.unwrap();
        let (id, project) = (furniture.connector.id, furniture.connector.project);
        assert!(matches!(store.connector(project, id).await, Err(StoreError::Corrupt { .. })));
        assert!(matches!(store.resolve_connector(project, "source").await, Err(StoreError::Corrupt { .. })));
        store.token(&furniture.token.id).await.unwrap();
        store.bindings_of(project, furniture.principal.id).await.unwrap();
    }
}

#[tokio::test]
async fn c2_what_is_put_back_while_the_store_is_open_is_noticed_too() {
    let folder = Folder::new();
    let (store, world, furniture) = furnished(&folder).await;
    let before = Copy::of(&folder.path(), &["sealed_fields", "connectors", "record_seals", "seal_head"]);
    let rotated = rotate(&world, &furniture.connector).await;
    assert_eq!(store.connector(rotated.project, rotated.id).await, Ok(rotated.clone()));
    before.put_back(&folder.path());
    assert!(matches!(store.connector(rotated.project, rotated.id).await, Err(StoreError::Corrupt { .. })));
}

#[tokio::test]
async fn c1_a_binding_a_token_and_a_principal_that_were_altered_decide_nothing() {
    let folder = Folder::new();
    let (store, world, furniture) = furnished(&folder).await;
    let (project, ada) = (furniture.principal.project, furniture.principal.id);
    let body = |table: &str, id: &str| format!("UPDATE {table} SET {id}");
    for altered in [
        body("bindings", "body = replace(body, 'data-scientist', 'platform-engineer') WHERE owner = 0"),
        body("bindings", "expires_at = 1 WHERE owner = 0"),
        body("bindings", "created_at = created_at - 1 WHERE owner = 0"),
        format!(
            "UPDATE bindings SET principal = x'{}' WHERE owner = 1 AND project = x'{}'",
            hex::encode(ada.as_bytes()),
            hex::encode(project.as_bytes())
        ),
    ] {
        let before = Copy::of(&folder.path(), &["bindings"]);
        edit(&folder.path(), &altered);
        let found = store.bindings_of(project, ada).await;
        assert!(matches!(found, Err(StoreError::Corrupt { .. })), "{altered}: {found:?}");
        before.put_back(&folder.path());
        assert_eq!(store.bindings_of(project, ada).await.unwrap().len(), 1);
    }
    for altered in [
        "digest = zeroblob(32)",
        "expires_at = expires_at + 1",
        "principal = (SELECT principal FROM bindings WHERE owner = 1)",
    ] {
        let before = Copy::of(&folder.path(), &["tokens"]);
        edit(&folder.path(), &format!("UPDATE tokens SET {altered}"));
        assert!(matches!(store.token(&furniture.token.id).await, Err(StoreError::Corrupt { .. })), "{altered}");
        before.put_back(&folder.path());
        store.token(&furniture.token.id).await.unwrap();
    }
    edit(&folder.path(), "UPDATE principals SET kind = 'service-account' WHERE name = 'ada'");
    assert!(matches!(store.principal(project, ada).await, Err(StoreError::Corrupt { .. })));
    drop(world);
}

#[tokio::test]
async fn c1_a_binding_that_nobody_gave_and_one_that_was_taken_away_are_noticed() {
    let folder = Folder::new();
    let (store, world, furniture) = furnished(&folder).await;
    let (project, ada) = (furniture.principal.project, furniture.principal.id);
    let more = binding(project, 7, ada, Role::Owner);
    world.write(Write::InsertBinding(more.clone())).await.unwrap();
    let with_it = Copy::of(&folder.path(), &["bindings", "record_seals"]);
    world.write(Write::DeleteBinding { project, id: more.id }).await.unwrap();
    assert_eq!(store.bindings_of(project, ada).await.unwrap().len(), 1);
    with_it.put_back(&folder.path());
    assert!(matches!(store.bindings_of(project, ada).await, Err(StoreError::Corrupt { .. })), "while it runs");
    drop((world, store));
    assert_eq!(altered(&folder).await, "the seals do not fit their head");
}

#[tokio::test]
async fn c1_a_row_that_leads_to_a_sealed_record_of_another_is_noticed() {
    let folder = Folder::new();
    let (store, world, furniture) = furnished(&folder).await;
    let (project, ada) = (furniture.principal.project, furniture.principal.id);
    let other = connector(project, 2, "other");
    world.add_connector(&other).await;
    // The owner's own binding, word for word, under another id and whose it is.
    let before = Copy::of(&folder.path(), &["bindings"]);
    let made_up = format!(
        "INSERT INTO bindings SELECT randomblob(16), project, x'{}', connector, component, owner, expires_at, \
         created_at, body FROM bindings WHERE owner = 1 AND project = x'{}'",
        hex::encode(ada.as_bytes()),
        hex::encode(project.as_bytes())
    );
    edit(&folder.path(), &made_up);
    assert!(matches!(store.bindings_of(project, ada).await, Err(StoreError::Corrupt { .. })));
    before.put_back(&folder.path());
    // A name that leads to another connector, whose record is a good one.
    let swapped =
        "UPDATE connectors SET body = (SELECT body FROM connectors WHERE name = 'other') WHERE name = 'source'";
    edit(&folder.path(), swapped);
    assert!(matches!(store.resolve_connector(project, "source").await, Err(StoreError::Corrupt { .. })));
    let by_id = store.connector(project, furniture.connector.id).await;
    assert!(matches!(by_id, Err(StoreError::Corrupt { .. })));
    assert_eq!(store.resolve_connector(project, "other").await, Ok(other));
    drop(world);
}

/// The seal of the neighbour fits the neighbour's row, and says nothing of the one that names it.
#[tokio::test]
async fn c1_a_row_that_claims_the_id_of_a_sealed_record_is_not_believed() {
    const INSERT: &str = "INSERT INTO bindings SELECT randomblob(16), project, ?1, NULL, NULL, 1, NULL, created_at, ?2 \
                          FROM bindings WHERE principal = ?1";
    let folder = Folder::new();
    let (store, world, furniture) = furnished(&folder).await;
    let (project, ada) = (furniture.principal.project, furniture.principal.id);
    let owners = store.bindings_of(project, world.owner).await.unwrap().remove(0);
    let nobodys = crate::domain::BindingId::from_bytes([9; 16]);
    for claimed in [owners.id, nobodys] {
        let before = Copy::of(&folder.path(), &["bindings"]);
        let forged = serde_json::to_string(&Binding { id: claimed, principal: ada, ..owners.clone() }).unwrap();
        plain(&folder.path()).execute(INSERT, rusqlite::params![ada.as_bytes(), forged]).unwrap();
        let found = store.bindings_of(project, ada).await;
        assert!(matches!(found, Err(StoreError::Corrupt { .. })), "{claimed}: {found:?}");
        before.put_back(&folder.path());
    }
    let other = connector(project, 2, "other");
    world.add_connector(&other).await;
    let ceiling = crate::domain::MintPolicy { allow_passthrough: true, ..other.policy.clone() };
    let forged = Connector { policy: ceiling, name: furniture.connector.name.clone(), ..other };
    let body = serde_json::to_string(&forged).unwrap();
    plain(&folder.path()).execute("UPDATE connectors SET body = ? WHERE name = 'source'", [body]).unwrap();
    let found = store.resolve_connector(project, "source").await;
    assert!(matches!(found, Err(StoreError::Corrupt { .. })), "{found:?}");
}

/// Whoever takes the ledger and the seals away leaves a store that looks older than both.
#[tokio::test]
async fn c1_a_store_without_ledger_and_seals_gets_no_seals_for_what_is_in_it() {
    let folder = Folder::new();
    let (store, world, furniture) = furnished(&folder).await;
    drop((world, store));
    emptied(&folder.path(), &["ledger", "ledger_blocks", "open_intents"]);
    assert_eq!(altered(&folder).await, "the ledger of the changes is gone");
    emptied(&folder.path(), &["record_seals", "seal_head"]);
    edit(&folder.path(), "UPDATE connectors SET body = replace(body, 'eu-central-1', 'us-east-1')");
    assert!(matches!(opened(&folder).await, Err(OpenError::Unsealed)));
    drop(furniture);
}

/// Its head says that there were none.
#[tokio::test]
async fn a_store_that_sealed_no_projects_gets_seals_for_them_by_itself() {
    let folder = Folder::new();
    let (store, world, _) = furnished(&folder).await;
    drop((world, store));
    emptied(&folder.path(), &["record_seals", "seal_head"]);
    let database = plain(&folder.path());
    let revision = changes::last(&database).unwrap();
    Sealing::new(mac(1)).adopt(&database, &guarded::nouns()[1..], revision).unwrap();
    drop(database);
    for _ in 0..2 {
        assert_eq!(opened(&folder).await.unwrap().projects().await.unwrap().len(), 2);
    }
    edit(&folder.path(), "UPDATE projects SET created_at = created_at + 1");
    let projects = opened(&folder).await.unwrap().projects().await;
    assert!(matches!(projects, Err(StoreError::Corrupt { .. })), "{projects:?}");
}

/// Empties tables, triggers or not.
fn emptied(path: &Path, tables: &[&str]) {
    let database = plain(path);
    let triggers: Vec<(String, String)> = {
        let mut statement = database.prepare("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'").unwrap();
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        rows.map(Result::unwrap).collect()
    };
    database.execute_batch("PRAGMA foreign_keys = OFF").unwrap();
    triggers.iter().for_each(|(name, _)| database.execute_batch(&format!("DROP TRIGGER {name}")).unwrap());
    tables.iter().for_each(|table| database.execute_batch(&format!("DELETE FROM {table}")).unwrap());
    triggers.iter().for_each(|(_, sql)| database.execute_batch(sql).unwrap());
}

#[tokio::test]
async fn seals_that_are_wished_for_twice_go_on_to_be_those_that_readers_know() {
    let folder = Folder::new();
    let (store, world, furniture) = furnished(&folder).await;
    store.seal_records(mac(1), Unsealed::Refused).await.unwrap();
    let rotated = rotate(&world, &furniture.connector).await;
    assert_eq!(store.connector(rotated.project, rotated.id).await, Ok(rotated));
}

#[tokio::test]
async fn c1_a_run_that_was_altered_is_not_sealed_by_its_end() {
    let folder = Folder::new();
    let (store, world, furniture) = furnished(&folder).await;
    let (run, token) = run(furniture.principal.project, furniture.principal.id, 1, "nightly");
    world.write(Write::InsertRun { run: run.clone(), token }).await.unwrap();
    edit(&folder.path(), "UPDATE runs SET body = replace(body, '\"nightly\"', '\"daily\"')");
    let ended = world.write(Write::FinishRun { project: run.project, id: run.id, at: run.started_at }).await;
    assert!(matches!(ended, Err(StoreError::Corrupt { .. })), "{ended:?}");
    assert!(matches!(store.run(run.project, run.id).await, Err(StoreError::Corrupt { .. })));
}

#[tokio::test]
async fn c1_projects_whose_names_were_swapped_are_nobodys() {
    let folder = Folder::new();
    let (store, world, _) = furnished(&folder).await;
    let names = async |store: &SqliteStore| store.projects().await.map(|all| all.len());
    assert_eq!(names(&store).await, Ok(2));
    edit(&folder.path(), "UPDATE projects SET name = CASE name WHEN 'here' THEN 'x' WHEN 'there' THEN 'here' END");
    edit(&folder.path(), "UPDATE projects SET name = 'there' WHERE name = 'x'");
    assert!(matches!(names(&store).await, Err(StoreError::Corrupt { .. })));
    let here = store.project_named(&"here".parse().unwrap()).await;
    assert!(matches!(here, Err(StoreError::Corrupt { .. })), "{here:?}");
    drop(world);
}

#[tokio::test]
async fn c1_a_store_without_its_seals_is_not_taken_for_an_old_one() {
    let folder = Folder::new();
    let (store, world, _) = furnished(&folder).await;
    drop((world, store));
    let path = folder.path();
    edit(&path, "DELETE FROM seal_head");
    assert_eq!(altered(&folder).await, "the head of the seals is gone");
    edit(&path, "DELETE FROM record_seals");
    assert_eq!(altered(&folder).await, "they had seals, and have none");
    plain(&path).execute_batch("DROP TABLE record_seals; DROP TABLE seal_head; PRAGMA user_version = 4").unwrap();
    assert_eq!(altered(&folder).await, "they had seals, and have none");
}

#[tokio::test]
async fn a_seal_that_was_altered_or_made_with_another_key_is_refused_at_start() {
    let folder = Folder::new();
    let (store, world, _) = furnished(&folder).await;
    drop((world, store));
    let store = folder.open();
    assert!(matches!(store.seal_records(mac(2), Unsealed::Refused).await, Err(OpenError::AlteredRecords { .. })));
    drop(store);
    drop(opened(&folder).await.unwrap());
    edit(
        &folder.path(),
        "UPDATE record_seals SET tag = zeroblob(16) WHERE slot = (SELECT min(slot) FROM record_seals)",
    );
    assert_eq!(altered(&folder).await, "the seals do not fit their head");
}

/// The revision is in the head: it cannot be moved to where another feed ends.
#[tokio::test]
async fn c2_the_last_change_cannot_be_taken_back_by_counting_one_less() {
    let folder = Folder::new();
    let (store, world, _) = furnished(&folder).await;
    drop((world, store));
    edit(&folder.path(), "DELETE FROM changes WHERE revision = (SELECT max(revision) FROM changes)");
    assert_eq!(altered(&folder).await, "the seals are of another time than the records");
    edit(&folder.path(), "UPDATE seal_head SET revision = (SELECT max(revision) FROM changes)");
    assert_eq!(altered(&folder).await, "the seals do not fit their head");
}

#[tokio::test]
async fn c1_a_run_or_its_token_that_was_altered_is_not_renewed() {
    let folder = Folder::new();
    let (_store, world, furniture) = furnished(&folder).await;
    let (run, token) = run(world.here, furniture.principal.id, 1, "nightly");
    world.write(Write::InsertRun { run: run.clone(), token }).await.unwrap();
    let longer = run.token_expires_at.plus(std::time::Duration::from_secs(1));
    let renew = || Write::RenewRun { project: world.here, id: run.id, token_expires_at: longer };
    for (table, altered) in [
        ("runs", "UPDATE runs SET over_at = over_at + 1"),
        ("tokens", "UPDATE tokens SET digest = zeroblob(32) WHERE run IS NOT NULL"),
    ] {
        let before = Copy::of(&folder.path(), &[table]);
        edit(&folder.path(), altered);
        let refused = world.write(renew()).await;
        assert!(
            matches!(refused, Err(StoreError::Corrupt { what }) if what.contains("altered")),
            "{table}: {refused:?}"
        );
        before.put_back(&folder.path());
    }
    world.write(renew()).await.unwrap();
}

/// As a store of the release before had it.
fn without_seals(path: &Path) {
    let database: Database = plain(path);
    database.execute_batch("DROP TABLE record_seals; DROP TABLE seal_head; PRAGMA user_version = 4").unwrap();
}

#[tokio::test]
async fn a_store_of_a_release_without_seals_gets_them_when_it_is_vouched_for_and_says_so() {
    let folder = Folder::new();
    let store = Arc::new(folder.create());
    let shared: Arc<dyn Store> = store.clone();
    let world = World::new(Subject { store: shared, clock: folder.clock.clone(), keep: Box::new(()) }).await;
    let furniture = world.furnish(world.here).await;
    drop((world, store));
    without_seals(&folder.path());
    assert!(matches!(opened(&folder).await, Err(OpenError::Unsealed)));
    let vouched = folder.open();
    vouched.seal_records(mac(1), Unsealed::Vouched).await.unwrap();
    drop(vouched);
    for start in 0..2 {
        let store = opened(&folder).await.unwrap();
        let found = store.connector(furniture.connector.project, furniture.connector.id).await;
        assert_eq!(found, Ok(furniture.connector.clone()));
        let lines = store.lines_after(None, crate::audit::Seq(0), 1000).await.unwrap();
        let said = lines.iter().filter(|stored| stored.line.method == "daemon/seal-records").count();
        assert_eq!(said, 1, "start {start}");
        store.append(line("/more")).await.unwrap();
    }
    edit(&folder.path(), "UPDATE connectors SET body = replace(body, 'eu-central-1', 'us-east-1')");
    let store = opened(&folder).await.unwrap();
    let found = store.connector(furniture.connector.project, furniture.connector.id).await;
    assert!(matches!(found, Err(StoreError::Corrupt { .. })));
}

#[tokio::test]
async fn what_was_refused_and_what_was_forgotten_leave_seals_that_fit() {
    let folder = Folder::new();
    let (store, world, furniture) = furnished(&folder).await;
    let (project, ada) = (furniture.principal.project, furniture.principal.id);
    let twice = connector(project, 9, "source");
    let refused = Tx::with_line(line("/refused"))
        .write(Write::DeleteBinding { project, id: furniture.binding.id })
        .write(Write::InsertConnector { connector: twice, sealed: sealed(1) });
    assert_eq!(store.commit(refused).await, Err(StoreError::NameTaken));
    assert_eq!(store.bindings_of(project, ada).await.unwrap().len(), 1);
    // Long after its end a token is forgotten when another one is made.
    folder.clock.advance(std::time::Duration::from_secs(100 * 24 * 3600));
    let later = Timestamp::from_seconds(folder.clock_now().seconds() + 3600);
    let id = crate::domain::TokenId("Q00002xxxxxxxxxxxxxxxx".to_owned());
    let token = crate::domain::TokenRecord { id, expires_at: later, ..furniture.token.clone() };
    world.write(Write::InsertToken(token.clone())).await.unwrap();
    assert!(matches!(store.token(&furniture.token.id).await, Err(StoreError::NotFound)));
    // No seal is left of what is gone: put back, it would be believed.
    let count = |table: &str| {
        let sql = format!("SELECT count(*) FROM {table}");
        plain(&folder.path()).query_row(&sql, [], |row| row.get::<_, i64>(0)).unwrap()
    };
    let sealed = ["projects", "connectors", "components", "stacks", "principals", "tokens", "bindings", "runs"];
    assert_eq!(count("record_seals"), sealed.map(count).iter().sum::<i64>());
    drop((world, store));
    let store = opened(&folder).await.unwrap();
    assert!(store.token(&token.id).await.is_ok_and(|found| found == token));
}

#[tokio::test]
async fn lines_carry_the_revision_that_they_were_written_at_and_a_change_its_own() {
    let folder = Folder::new();
    let (store, world, furniture) = furnished(&folder).await;
    let told = |lines: Vec<crate::audit::StoredLine>| -> Vec<Option<u64>> {
        lines.into_iter().map(|stored| Line::clone(&stored.line).store_revision).collect()
    };
    let committed = world.write(Write::DeleteBinding { project: furniture.binding.project, id: furniture.binding.id });
    let committed = committed.await.unwrap();
    store.append(line("/after")).await.unwrap();
    let place = crate::audit::Seq(committed.lines[0].0 - 1);
    let lines = store.lines_after(None, place, 10).await.unwrap();
    assert_eq!(told(lines), [Some(committed.revision.0), Some(committed.revision.0)]);
}
