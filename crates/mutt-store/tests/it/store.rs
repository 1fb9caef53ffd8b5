//! Tests of the store: the contract of every backend, and what is SQLite's own (files, faults).

mod commit;
mod crash;
mod deliveries;
mod files;
mod lanes;
mod model;
pub(crate) mod retention;
mod rules_and_reads;
mod settings;
pub(crate) mod support;
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
    lanes::a_fresh_start_is_a_new_owner,
    lanes::a_fault_of_the_lane_uses_up_no_retry_time,
    lanes::repeats_of_an_outage_wait_as_one,
    lanes::a_replayed_problem_takes_its_clear_along,
    lanes::a_forced_replay_clears_no_newer_problem,
    lanes::what_was_overtaken_stands_in_nobodys_way,
    rules_and_reads::every_change_makes_a_version,
    rules_and_reads::searches_find_and_page,
    rules_and_reads::the_tail_follows_commits,
    rules_and_reads::people_act_on_alerts,
    settings::each_change_of_settings_makes_a_version,
    settings::settings_refuse_what_was_overtaken_or_is_not_there,
    settings::writers_of_settings_do_not_lose_each_others_changes,
    settings::old_versions_of_settings_go,
    settings::processes_are_listed_while_they_report,
    settings::what_was_done_elsewhere_is_recorded,
    upkeep::alerts_age_out,
    upkeep::keys_of_repeats_outlive_a_backlog,
    upkeep::retention_removes_and_the_ledger_outlives_it,
    retention::held_rows_outlive_retention_until_they_are_released,
    retention::whole_days_are_archived_before_they_go_and_come_back,
    retention::a_damaged_archive_puts_nothing_back,
    retention::nothing_goes_that_could_not_be_archived,
    retention::attempts_and_receipts_go_by_age,
}
