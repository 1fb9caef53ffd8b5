//! What every backend of the event queue must do. A backend gives a way to make an empty queue.

use std::time::Duration;

use mutt_store::queue::{CLAIM_BYTES, FullBecause, Position, QueueError, QueueOptions};

use super::support::{
    NO_WAIT, Shared, TTL, append, balanced, batch, claim_all, lease, number, numbers, roomy,
};

/// Runs every part on fresh queues.
pub(crate) async fn queue_contract(make: impl AsyncFn(QueueOptions) -> Shared) {
    order_and_acknowledgement(make(roomy()).await).await;
    rewind_and_deliveries(make(roomy()).await).await;
    one_owner(make(roomy()).await).await;
    a_claim_waits(make(roomy()).await).await;
    a_claim_ends_at_its_bytes(make(roomy()).await).await;
    a_claim_that_nobody_took_is_given_out_again(make(roomy()).await).await;
    concurrent_appends(make(roomy()).await).await;
    drops_are_counted(make(roomy()).await).await;
    caps(make(QueueOptions { max_events: 10, ..roomy() }).await, FullBecause::Events).await;
    let bytes = 3 * batch(0, 3, 256).as_bytes().len() as u64 + 512;
    caps(make(QueueOptions { max_bytes: bytes, ..roomy() }).await, FullBecause::Bytes).await;
    reservations(make(QueueOptions { max_events: 10, ..roomy() }).await).await;
    a_closed_queue_refuses(make(roomy()).await).await;
}

async fn order_and_acknowledgement(queue: Shared) {
    append(&*queue, 0..20, 3).await;
    let stats = queue.stats();
    assert_eq!((stats.pending_events, stats.pending_batches), (60, 20));
    assert_eq!(stats.appended_events, 60);
    assert_eq!(stats.oldest_received_at, Some(mutt_model::Timestamp::from_secs(0)));
    let lease = lease(&*queue).await;
    let first = queue.claim(lease, 5, NO_WAIT).await.unwrap();
    assert_eq!(numbers(&first), [0, 1, 2, 3, 4]);
    let rest = claim_all(&*queue, lease).await;
    assert_eq!(numbers(&rest), (5..20).collect::<Vec<_>>());
    assert_eq!(rest[0].batch, batch(5, 3, 64), "bytes come back as they were");
    assert!(first.iter().chain(&rest).map(|c| c.position).is_sorted());

    queue.acknowledge(lease, first[4].position).await.unwrap();
    let stats = queue.stats();
    assert_eq!((stats.pending_events, stats.acknowledged_events), (45, 15));
    assert_eq!(stats.oldest_received_at, Some(mutt_model::Timestamp::from_secs(5)));
    // An older position again changes nothing.
    queue.acknowledge(lease, first[0].position).await.unwrap();
    assert_eq!(queue.stats().acknowledged_events, 15);
    queue.acknowledge(lease, rest[14].position).await.unwrap();
    let stats = queue.stats();
    assert_eq!((stats.pending_events, stats.acknowledged_events), (0, 60));
    assert_eq!((stats.pending_batches, stats.oldest_received_at), (0, None));
    balanced(&stats);
}

async fn rewind_and_deliveries(queue: Shared) {
    append(&*queue, 0..4, 1).await;
    let lease = lease(&*queue).await;
    let first = queue.claim(lease, 3, NO_WAIT).await.unwrap();
    assert!(first.iter().all(|c| c.deliveries_before == 0));
    queue.acknowledge(lease, first[0].position).await.unwrap();
    queue.rewind(lease).await.unwrap();
    let again = claim_all(&*queue, lease).await;
    assert_eq!(numbers(&again), [1, 2, 3]);
    let before: Vec<_> = again.iter().map(|c| c.deliveries_before).collect();
    assert_eq!(before, [1, 1, 0]);
    queue.acknowledge(lease, again[2].position).await.unwrap();
    assert_eq!(queue.stats().pending_events, 0);
}

async fn one_owner(queue: Shared) {
    append(&*queue, 0..3, 1).await;
    let held = lease(&*queue).await;
    assert_eq!(queue.lease(0, "alerter-2", TTL).await.unwrap(), None);
    assert_eq!(queue.lease(0, "alerter-1", TTL).await.unwrap(), Some(held), "renewed");
    queue.claim(held, 2, NO_WAIT).await.unwrap();
    // Given up: the next owner starts at the first unacknowledged.
    queue.lease(0, "alerter-1", Duration::ZERO).await.unwrap();
    let next = queue.lease(0, "alerter-2", TTL).await.unwrap().expect("the lease has run out");
    assert!(next.generation > held.generation);
    assert!(matches!(queue.claim(held, 1, NO_WAIT).await, Err(QueueError::LeaseLost(0))));
    assert!(matches!(queue.rewind(held).await, Err(QueueError::LeaseLost(0))));
    let late = queue.acknowledge(held, Position(u64::MAX, 0)).await;
    assert!(matches!(late, Err(QueueError::LeaseLost(0))));
    assert_eq!(queue.stats().pending_events, 3);
    let claimed = claim_all(&*queue, next).await;
    assert_eq!(numbers(&claimed), [0, 1, 2]);
    assert_eq!(claimed[0].deliveries_before, 1);
}

async fn a_claim_waits(queue: Shared) {
    let lease = lease(&*queue).await;
    let long = Duration::from_secs(600);
    let (claimed, ()) = tokio::join!(queue.claim(lease, 9, long), append(&*queue, 7..8, 1));
    assert_eq!(numbers(&claimed.unwrap()), [7]);
    assert!(queue.claim(lease, 9, Duration::from_millis(1)).await.unwrap().is_empty());
}

async fn a_claim_ends_at_its_bytes(queue: Shared) {
    let third = CLAIM_BYTES / 3;
    for n in 0..8 {
        // The last one alone is more than a claim has room for.
        let size = if n == 7 { CLAIM_BYTES + 1 } else { third };
        queue.append(vec![batch(n, 1, size)], None).await.unwrap();
    }
    let lease = lease(&*queue).await;
    let mut claims = Vec::new();
    loop {
        let some = queue.claim(lease, 64, NO_WAIT).await.unwrap();
        let Some(last) = some.last() else { break };
        queue.acknowledge(lease, last.position).await.unwrap();
        claims.push(numbers(&some));
    }
    assert_eq!(claims, [vec![0, 1, 2], vec![3, 4, 5], vec![6, 7]]);
    let stats = queue.stats();
    balanced(&stats);
    assert_eq!((stats.pending_events, stats.lost_events), (0, 0));
}

async fn a_claim_that_nobody_took_is_given_out_again(queue: Shared) {
    append(&*queue, 0..2, 1).await;
    let lease = lease(&*queue).await;
    for _ in 0..20 {
        // Polled once and then dropped, as a select! does at shutdown.
        let claim = queue.claim(lease, 1, Duration::from_secs(60));
        tokio::select! {
            biased;
            claimed = claim => {
                drop(claimed);
                queue.rewind(lease).await.unwrap();
            }
            () = std::future::ready(()) => {}
        }
    }
    assert_eq!(numbers(&claim_all(&*queue, lease).await), [0, 1]);
}

async fn concurrent_appends(queue: Shared) {
    let mut tasks = tokio::task::JoinSet::new();
    for writer in 0..8u64 {
        let queue = queue.clone();
        tasks.spawn(async move {
            for n in 0..25 {
                let two = vec![
                    batch(writer * 1_000 + n * 2, 1, 10),
                    batch(writer * 1_000 + n * 2 + 1, 1, 10),
                ];
                queue.append(two, None).await.unwrap();
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    let lease = lease(&*queue).await;
    let claimed = claim_all(&*queue, lease).await;
    assert_eq!(claimed.len(), 400);
    for writer in 0..8u64 {
        let own = claimed.iter().map(|c| number(&c.batch)).filter(|n| n / 1_000 == writer);
        assert!(own.eq((0..50).map(|n| writer * 1_000 + n)), "order of one writer");
    }
}

async fn drops_are_counted(queue: Shared) {
    queue.count_dropped("queue_full", 3);
    queue.count_dropped("queue_full", 4);
    queue.count_dropped("too_large", 1);
    let dropped = queue.stats().dropped;
    assert_eq!(
        dropped.into_iter().collect::<Vec<_>>(),
        [("queue_full".to_owned(), 7), ("too_large".to_owned(), 1)]
    );
}

async fn caps(queue: Shared, because: FullBecause) {
    // Three batches of three events fit, a fourth does not.
    let one = |n| batch(n, 3, 256);
    for n in 0..3 {
        queue.append(vec![one(n)], None).await.unwrap();
    }
    let refused = queue.append(vec![one(3)], None).await;
    assert!(matches!(refused, Err(QueueError::Full(b)) if b == because), "{refused:?}");
    assert_eq!(queue.stats().appended_events, 9, "nothing of it was appended");
    let lease = lease(&*queue).await;
    let claimed = claim_all(&*queue, lease).await;
    assert_eq!(claimed.len(), 3, "nothing unread was deleted");
    queue.acknowledge(lease, claimed[0].position).await.unwrap();
    queue.append(vec![one(3)], None).await.unwrap();
    assert_eq!(numbers(&claim_all(&*queue, lease).await), [3]);
}

async fn reservations(queue: Shared) {
    let held = queue.reserve(8, 1_000).await.unwrap();
    let refused = queue.append(vec![batch(0, 3, 10)], None).await;
    assert!(matches!(refused, Err(QueueError::Full(FullBecause::Events))));
    assert!(matches!(queue.reserve(3, 1).await, Err(QueueError::Full(_))));
    queue.append(vec![batch(1, 8, 10)], Some(held)).await.unwrap();
    queue.append(vec![batch(2, 2, 10)], None).await.unwrap();
    let lease = lease(&*queue).await;
    let claimed = claim_all(&*queue, lease).await;
    assert_eq!(numbers(&claimed), [1, 2]);
    queue.acknowledge(lease, claimed[1].position).await.unwrap();
    let unused = queue.reserve(10, 1_000).await.unwrap();
    assert!(queue.reserve(1, 1).await.is_err());
    drop(unused);
    // More than was reserved is checked as a whole.
    let small = queue.reserve(2, 100).await.unwrap();
    let refused = queue.append(vec![batch(3, 11, 10)], Some(small)).await;
    assert!(matches!(refused, Err(QueueError::Full(_))));
    queue.append(vec![batch(4, 10, 10)], None).await.unwrap();
    balanced(&queue.stats());
}

async fn a_closed_queue_refuses(queue: Shared) {
    append(&*queue, 0..1, 1).await;
    let held = lease(&*queue).await;
    queue.close().await;
    let refused = queue.append(vec![batch(1, 1, 1)], None).await;
    assert!(matches!(refused, Err(QueueError::Closed)));
    assert!(matches!(queue.claim(held, 1, NO_WAIT).await, Err(QueueError::Closed)));
    queue.close().await;
}
