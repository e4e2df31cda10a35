//! What decides, and what takes power away, waits for no list.

use super::Folder;
use crate::domain::{PageAsk, ProjectId};
use crate::store::{IssuanceFilter, Issuances as _, SqliteOptions, SqliteStore, StoreError};

#[tokio::test]
async fn f6_what_is_to_be_ended_is_found_though_no_list_is_to_be_had() {
    let folder = Folder::new();
    let options = SqliteOptions { browse_queue_max: 0, ..folder.options() };
    let store = SqliteStore::create(&folder.path(), options).unwrap();
    let (project, filter) = (ProjectId::from_bytes([1; 16]), IssuanceFilter::default());
    let page = PageAsk { size: 10, after: None };
    assert_eq!(store.issuances(project, &filter, &page).await.err(), Some(StoreError::Full));
    assert_eq!(store.issuances_to_end(project, &filter, &page).await.unwrap().items, []);
}
