//! The contract of uploaded MIBs.

use std::sync::Arc;

use mutt_store::store::{MIB_BYTES_MAX, NewMib, Store, StoreError};

use super::support::*;

fn mib(name: &str, text: &str) -> NewMib {
    NewMib { name: name.to_owned(), text: text.to_owned(), modules: vec![format!("{name}-MIB")] }
}

pub(super) async fn uploads_are_kept_replaced_and_deleted(store: Arc<dyn Store>) {
    assert_eq!(store.mibs_version().await.unwrap(), 0);
    assert!(store.mibs().await.unwrap().is_empty());
    let first = store.put_mib(mib("b", "one"), &actor("anna"), at(5)).await.unwrap();
    assert_eq!((first.bytes, first.who.as_str(), first.at), (3, "anna", at(5)));
    let v1 = store.mibs_version().await.unwrap();
    // The clock went back: the version grows all the same.
    store.put_mib(mib("a", "two"), &actor("bert"), at(1)).await.unwrap();
    let v2 = store.mibs_version().await.unwrap();
    let second = store.put_mib(mib("b", "longer"), &actor("bert"), at(6)).await.unwrap();
    let v3 = store.mibs_version().await.unwrap();
    assert!(0 < v1 && v1 < v2 && v2 < v3, "{v1} {v2} {v3}");
    let names: Vec<_> = store.mibs().await.unwrap().into_iter().map(|m| m.name).collect();
    assert_eq!(names, ["a", "b"]);
    assert_eq!(store.mibs().await.unwrap()[1], second);
    assert_eq!(store.mib("b").await.unwrap().as_deref(), Some("longer"));
    store.delete_mib("b", &actor("anna"), at(7)).await.unwrap();
    assert!(store.mibs_version().await.unwrap() > v3);
    assert_eq!(store.mib("b").await.unwrap(), None);
    assert_eq!(store.mibs().await.unwrap().len(), 1);
    let again = store.delete_mib("b", &actor("anna"), at(8)).await;
    assert!(matches!(again, Err(StoreError::NotFound(_))), "{again:?}");
    let changes = store.changes(10, None).await.unwrap();
    let seen: Vec<_> = changes
        .items
        .iter()
        .map(|c| (c.object.as_str(), c.object_id.as_str(), c.action.as_str(), c.who.as_str()))
        .collect();
    assert_eq!(
        seen,
        [
            ("mib", "b", "delete", "anna"),
            ("mib", "b", "upload", "bert"),
            ("mib", "a", "upload", "bert"),
            ("mib", "b", "upload", "anna"),
        ]
    );
    store.put_mib(mib("b", "anew"), &actor("anna"), at(9)).await.unwrap();
    assert_eq!(store.mib("b").await.unwrap().as_deref(), Some("anew"));
}

pub(super) async fn uploads_refuse_what_cannot_be_a_file(store: Arc<dyn Store>) {
    let long = "n".repeat(200);
    for name in ["", ".hidden", "a/b", "../x", "a b", "ä", long.as_str()] {
        let refused = store.put_mib(mib(name, "text"), &actor("anna"), at(5)).await;
        assert!(matches!(refused, Err(StoreError::Data(_))), "{name}: {refused:?}");
    }
    let large = "x".repeat(MIB_BYTES_MAX + 1);
    for text in [large.as_str(), "a\0b"] {
        let refused = store.put_mib(mib("m", text), &actor("anna"), at(5)).await;
        assert!(matches!(refused, Err(StoreError::Data(_))), "{refused:?}");
    }
    assert_eq!(store.mibs_version().await.unwrap(), 0);
}
