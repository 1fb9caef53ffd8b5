//! A dump that was restored into another cluster, whose transaction ids begin low again: the order of
//! commits goes on above what stands.

use mutt_model::audit::AuditedEvent;
use mutt_store::postgres::PostgresStore;
use mutt_store::store::{CommitStore as _, EventQuery, ReadStore as _};

use super::server::{Server, copy_database};
use crate::store::support::*;

/// Commits one event with this word.
async fn commit(store: &PostgresStore, second: i64, word: &str) {
    let event = event(second, "r1", word);
    store.commit(work(vec![batch(&[(event, unhandled(word))])])).await.unwrap();
}

fn words(events: &[AuditedEvent]) -> Vec<&str> {
    events.iter().map(|event| event.event.message.as_ref()).collect()
}

async fn number(server: &Server, sql: &str) -> i64 {
    server.superuser("mutt").await.query_one(sql, &[]).await.unwrap().get(0)
}

const NEWEST: &str = "SELECT MAX(seq) FROM audit";
const TRANSACTION: &str = "SELECT txid_current()";

#[tokio::test]
async fn the_order_of_commits_goes_on_above_what_stands() {
    let old = Server::migrated(&[]).await;
    // A cluster that has worked for a while.
    let busy = "DO $$ BEGIN FOR n IN 1..3000 LOOP PERFORM txid_current(); COMMIT; END LOOP; END $$";
    old.superuser("mutt").await.batch_execute(busy).await.unwrap();
    let store = old.store().await;
    commit(&store, 0, "one").await;
    commit(&store, 1, "two").await;
    let (_, end) = store.tail(None, 10).await.unwrap();
    let (stood, at_old) = (number(&old, NEWEST).await, number(&old, TRANSACTION).await);

    let new = Server::bare(&[]).await;
    copy_database(&old, &new);
    assert!(number(&new, TRANSACTION).await + 1_000 < at_old, "its transaction ids begin low");
    let store = new.store().await;
    assert_eq!(number(&new, NEWEST).await, stood);
    // Nobody who follows the tail misses what comes now, or sees it twice.
    let (missed, place) = store.tail(Some(stood), 10).await.unwrap();
    assert!(missed.is_empty() && place >= stood, "{place} {stood} {end}");
    commit(&store, 2, "three").await;
    commit(&store, 3, "four").await;
    let (told, end) = store.tail(Some(place), 10).await.unwrap();
    assert_eq!(words(&told), ["three", "four"]);
    assert!(told.iter().all(|event| event.seq > stood), "{told:?}");
    assert!(store.tail(Some(end), 10).await.unwrap().0.is_empty());
    let all = store.tail(Some(0), 10).await.unwrap().0;
    assert_eq!(words(&all), ["one", "two", "three", "four"]);
    // Search, page by page, and the chain of receipts.
    let query = EventQuery::default();
    let first = store.events(&query, 3, None).await.unwrap();
    assert_eq!(words(&first.items), ["four", "three", "two"]);
    let cursor = first.next_cursor.unwrap();
    let last = store.events(&query, 3, Some(&cursor)).await.unwrap();
    assert_eq!(words(&last.items), ["one"]);
    let verified = store.verify_chain(None, &|_, _| ()).await.unwrap();
    assert!(verified.is_sound() && verified.receipts == 4, "{verified:?}");
    // The base moves once, not with each connection.
    let base = number(&new, "SELECT base FROM seq_base").await;
    drop(store);
    let store = new.store().await;
    commit(&store, 4, "five").await;
    assert_eq!(number(&new, "SELECT base FROM seq_base").await, base);
    assert!(base > 0);
}
