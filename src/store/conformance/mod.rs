//! What every store must do, written against the ports alone.
//!
//! A backend adds one `conformance!` line with how to make a store; each
//! behaviour becomes a test of its own under its name. Nothing here knows of
//! SQL, files or threads.

mod fixtures;
mod issued;
mod lines;
mod naming;
mod pages;
mod people;
mod races;
mod records;
mod runs;
mod tenancy;

use std::sync::Arc;

use crate::domain::ManualClock;

use super::nouns::Store;

pub(crate) use fixtures::{CANARY, Furniture, World, binding, connector, line, run, sealed, stack};

/// A store under test, and what keeps its files and moves its time.
pub(crate) struct Subject {
    /// Empty.
    pub store: Arc<dyn Store>,
    /// The store's clock.
    pub clock: Arc<ManualClock>,
    /// Dropped last.
    pub keep: Box<dyn std::any::Any + Send + Sync>,
}

macro_rules! suite {
    ($($room:ident: $($test:ident)*;)*) => {
        $($(
            pub(crate) async fn $test(subject: Subject) {
                $room::$test(World::new(subject).await).await;
            }
        )*)*

        /// Makes the whole suite for one backend: `conformance!(|| subject())`.
        macro_rules! conformance {
            ($make:expr) => {
                $($(
                    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                    async fn $test() {
                        $crate::store::conformance::$test($make()).await;
                    }
                )*)*
            };
        }
    };
}

suite! {
    records:
        what_was_written_is_read_back_whole
        an_update_replaces_record_labels_and_secret
        an_update_from_another_version_is_stale
        a_version_that_is_not_the_next_is_stale
        a_name_is_taken_once_in_a_project
        a_renamed_record_frees_its_name
        what_is_linked_is_not_deleted_and_says_by_whom
        a_deleted_connector_takes_bindings_and_secret_along
        a_guard_that_does_not_hold_leaves_nothing
        a_failed_transaction_leaves_neither_writes_nor_lines
        a_transaction_without_a_line_is_refused
        a_transaction_beyond_its_bounds_is_refused;
    naming:
        a_name_an_id_and_a_unique_prefix_resolve
        a_short_a_foreign_and_an_ambiguous_prefix_do_not
        a_name_that_looks_like_a_prefix_goes_first
        wildcards_and_quotes_resolve_to_nothing
        a_token_resolves_by_its_prefix;
    tenancy:
        every_noun_of_another_project_is_not_found
        every_change_of_another_project_is_not_found
        links_to_another_project_are_links_to_nothing
        listings_show_one_project_only
        lines_of_another_project_are_not_listed;
    pages:
        pages_show_every_record_once_in_order
        ties_in_time_are_paged_once_each
        labels_and_types_filter_across_pages
        a_page_is_bounded_and_its_key_is_checked
        lines_are_paged_newest_first_under_every_filter
        a_clock_that_goes_back_hides_no_line;
    people:
        the_last_owner_stays
        an_expired_owner_counts_for_nothing
        nobody_holds_two_roles_that_go_apart
        a_role_that_has_ended_goes_with_any_other
        a_deleted_principal_takes_tokens_and_bindings_along
        a_principal_has_so_many_live_tokens_and_no_more
        a_principal_has_so_many_bindings_and_no_more
        tokens_are_listed_newest_first;
    runs:
        a_run_comes_with_its_token_and_is_read_back_whole
        a_renewed_run_has_the_longest_token_and_a_finished_one_has_none
        what_needs_a_run_that_goes_on_is_not_written_once_it_is_finished
        the_token_of_a_run_is_neither_listed_counted_nor_revoked_as_others_are
        a_name_is_of_the_live_run_then_of_the_last_and_of_one_principal_when_asked
        runs_are_listed_newest_first_under_every_filter
        a_principal_has_so_many_live_runs_and_no_more
        a_run_of_another_project_is_not_found
        a_deleted_principal_takes_the_tokens_of_its_runs_along;
    issued:
        issuances_are_listed_newest_first_under_every_filter
        an_ended_issuance_is_not_active_and_revoked_is_final
        keys_are_kept_and_sealed_values_counted
        keys_of_the_issuer_are_kept_changed_in_order_and_one_of_each;
    lines:
        a_change_and_its_line_commit_together
        lines_are_gapless_and_chained
        an_intent_is_open_until_its_one_result
        open_intents_are_closed_as_unknown_in_batches
        a_follower_sees_every_line_of_its_project_once
        watchers_see_lines_and_revisions_before_the_answer;
    races:
        of_two_updates_one_wins
        one_request_id_is_done_once_of_a_hundred
        an_answer_is_kept_for_a_day
        the_feed_orders_every_change
        the_feed_hands_out_whole_revisions
        a_caller_that_goes_away_changes_nothing
        many_at_once_are_all_written;
}

pub(crate) use conformance;
