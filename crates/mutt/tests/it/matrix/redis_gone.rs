//! Row 28: what lies in Redis is deleted under load. The flow goes on, what is gone is counted to the
//! event, and somebody is told.

use std::time::Duration;

use super::{Loaded, seed};
use crate::support::wait::dawdle;
use crate::support::{Site, until};

/// Everything, one shard, or the unread end of one shard.
fn delete(site: &Site, what: usize, shard: usize) {
    let stream = format!("{{mutt:{shard}}}:stream");
    match what {
        0 => assert_eq!(site.redis.command(&["FLUSHALL"]), "OK"),
        1 => drop(site.redis.command(&["DEL", &stream])),
        _ => drop(site.redis.command(&["XTRIM", &stream, "MAXLEN", "0"])),
    }
}

/// The Alerter is stopped for a moment, so that there is something to delete.
#[track_caller]
fn gone_while_it_waits(loaded: &mut Loaded, what: usize, shard: usize) {
    let lost = loaded.site.program("web-ui").api().ledger().events.lost;
    loaded.site.stop("alerter");
    loaded.answered(300);
    delete(&loaded.site, what, shard);
    loaded.answered(100);
    loaded.site.start("alerter");
    loaded.site.ready();
    until("the loss is counted", || {
        (loaded.site.program("web-ui").api().ledger().events.lost > lost).then_some(())
    });
    loaded.audited(100);
}

/// What was sent is audited or counted lost, and the loss was told.
#[track_caller]
fn balanced(loaded: Loaded) {
    let metric = |name| loaded.site.program("ingestor").ingestor_metric(name, &[]);
    until("the metric shows it", || (metric("mutt_queue_lost_events_total") > 0.0).then_some(()));
    until("an alert is open", || {
        let open = "SELECT count(*) FROM mutt.alerts WHERE problem = 'mutt-queue-damaged'";
        (loaded.site.count(open) > 0).then_some(())
    });
    until("the log tells", || {
        let log = loaded.site.program("alerter").log();
        (log.contains("MUTT-S038") && log.contains("MUTT-A005")).then_some(())
    });
    let counted = loaded.settle(28);
    assert_eq!(counted.gone as u64, counted.ledger.events.lost, "{:?}", counted.ledger);
    assert_eq!(counted.told.refused, 0);
}

#[test]
fn what_is_deleted_in_redis_under_load_is_counted_to_the_event_and_told() {
    let mut loaded = Loaded::start(Site::new(), &["alerter"]);
    gone_while_it_waits(&mut loaded, 0, 0);
    gone_while_it_waits(&mut loaded, 1, 3);
    balanced(loaded);
}

#[test]
#[ignore = "takes minutes: scripts/soak runs it"]
fn soak_row_28_redis_deleted() {
    let mut random = fastrand::Rng::with_seed(seed());
    let mut loaded = Loaded::start(Site::new(), &["alerter"]);
    for round in 0..20 {
        let (what, shard) = (random.usize(0..3), random.usize(0..8));
        if round % 2 == 0 {
            gone_while_it_waits(&mut loaded, 0, 0);
        } else {
            // While it reads: what is under way may be lost or not, and is counted all the same.
            dawdle(Duration::from_millis(random.u64(0..1_000)));
            delete(&loaded.site, what, shard);
            loaded.answered(100);
        }
    }
    balanced(loaded);
}
