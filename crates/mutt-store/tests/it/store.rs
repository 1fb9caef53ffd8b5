//! Tests of the store: the contract of every backend, and what is SQLite's own (files, faults).

mod commit;
mod crash;
mod deliveries;
mod files;
mod lanes;
mod mibs;
mod model;
pub(crate) mod retention;
mod rules_and_reads;
mod settings;
mod sources;
pub(crate) mod support;
mod turns;
mod upkeep;

/// Runs contract functions, each on a fresh store of each backend.
macro_rules! on_every_backend {
    ($($module:ident :: $name:ident),* $(,)?) => {
        mod sqlite_keeps_the_contract {
            $(#[tokio::test]
            async fn $name() {
                let dir = tempfile::tempdir().unwrap();
                super::$module::$name(super::support::sqlite(dir.path())).await;
            })*
        }
        mod postgres_keeps_the_contract {
            $(#[tokio::test]
            async fn $name() {
                let server = crate::postgres::server::Server::migrated(&[]).await;
                super::$module::$name(server.store().await).await;
            })*
        }
    };
}

on_every_backend! {
    commit::a_commit_writes_everything_once,
    commit::an_overtaken_owner_writes_nothing,
    commit::repeats_by_key_are_dropped_and_counted,
    commit::an_alert_lives_through_a_batch,
    commit::unhandled_shapes_raise_one_meta_alert_for_each_window,
    commit::an_event_that_stands_already_is_a_duplicate,
    commit::damaged_events_are_counted_lost,
    commit::mutts_own_alerts_pass_by_one_sink,
    deliveries::order_within_a_key_and_between_keys,
    deliveries::a_lease_is_exclusive_and_fences,
    deliveries::a_fault_holds_the_lane_and_a_probe_releases_it,
    deliveries::a_hold_by_hand_stays,
    deliveries::waiting_repeats_coalesce_into_the_newest,
    deliveries::a_pair_that_never_left_is_suppressed,
    deliveries::a_dead_problem_releases_its_key,
    deliveries::replays_are_refused_when_overtaken,
    deliveries::what_was_given_back_comes_again_untried,
    turns::a_turn_that_ends_the_head_of_a_key_takes_the_next_of_it,
    turns::an_attempt_that_holds_the_lane_lets_its_turn_take_nothing,
    turns::an_attempt_that_releases_the_lane_lets_its_turn_go_on,
    turns::a_turn_under_a_lost_lease_changes_nothing,
    turns::what_the_lease_does_not_have_is_passed_over,
    turns::however_many_pairs_never_left_none_of_them_goes,
    lanes::a_fresh_start_is_a_new_owner,
    lanes::a_fault_of_the_lane_uses_up_no_retry_time,
    lanes::repeats_of_an_outage_wait_as_one,
    lanes::a_replayed_problem_takes_its_clear_along,
    lanes::a_forced_replay_clears_no_newer_problem,
    lanes::what_was_overtaken_stands_in_nobodys_way,
    rules_and_reads::every_change_makes_a_version,
    rules_and_reads::of_two_who_change_the_same_the_second_is_told,
    rules_and_reads::a_development_host_gets_another_name_in_one_version,
    rules_and_reads::searches_find_and_page,
    rules_and_reads::a_search_stops_at_its_budget_and_goes_on,
    rules_and_reads::the_tail_follows_commits,
    rules_and_reads::people_act_on_alerts,
    mibs::uploads_are_kept_replaced_and_deleted,
    mibs::uploads_refuse_what_cannot_be_a_file,
    settings::each_change_of_settings_makes_a_version,
    settings::settings_refuse_what_was_overtaken_or_is_not_there,
    settings::writers_of_settings_do_not_lose_each_others_changes,
    settings::old_versions_of_settings_go,
    settings::processes_are_listed_while_they_report,
    settings::what_was_done_elsewhere_is_recorded,
    sources::reports_of_several_ingestors_are_added_up,
    sources::reports_at_one_time_lose_nothing,
    sources::sources_are_found_and_paged,
    sources::people_mute_and_forget_sources,
    sources::the_watch_sees_the_silent_ones_and_their_neighbours,
    sources::old_sources_go_and_the_oldest_beyond_the_cap,
    upkeep::alerts_age_out,
    upkeep::keys_of_repeats_outlive_a_backlog,
    upkeep::retention_removes_and_the_ledger_outlives_it,
    retention::held_rows_outlive_retention_until_they_are_released,
    retention::whole_days_are_archived_before_they_go_and_come_back,
    retention::what_is_held_keeps_nothing_else_from_going,
    retention::a_damaged_archive_puts_nothing_back,
    retention::nothing_goes_that_could_not_be_archived_and_all_else_does,
    retention::attempts_and_receipts_go_by_age,
}
