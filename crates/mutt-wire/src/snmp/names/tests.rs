//! The tree of names: what is built in, and definitions beside it.

use super::builtin::{OBJECTS, PLACES, TRAPS};
use super::*;

fn definition(oid: &str, name: &str, kind: Kind) -> Definition {
    let oid = oid::arcs(oid).unwrap();
    Definition {
        oid,
        name: name.to_owned(),
        module: "TEST-MIB".to_owned(),
        kind,
        ..Definition::default()
    }
}

#[test]
fn notifications_are_found_in_both_spellings() {
    let check = |oid: &str, expected: Option<&str>| {
        assert_eq!(Names::builtin().find_trap(oid).map(|t| t.name()), expected, "{oid}");
    };
    check("1.3.6.1.6.3.1.1.5.3", Some("linkDown"));
    check("1.3.6.1.2.1.15.7.2", Some("bgpBackwardTransition"));
    check("1.3.6.1.2.1.15.7.0.2", Some("bgpBackwardTransition"));
    check("1.3.6.1.2.1.14.16.2.0.2", Some("ospfNbrStateChange"));
    check("1.3.6.1.2.1.47.2.1", Some("entConfigChange"));
    check("1.3.6.1.4.1.9.9.41.2.0.1", None);
    check("1.3.6.1.6.3.1.1.5.3.9", None);
    check("1.3.6.1.2.1.2.2.1.1", None);
}

#[test]
fn objects_are_found_with_their_instance() {
    let check = |oid: &str, expected: Option<(&str, &str)>| {
        let found = Names::builtin().find_object(oid);
        assert_eq!(found.map(|f| (f.name(), f.instance(oid))), expected, "{oid}");
    };
    check("1.3.6.1.2.1.2.2.1.1.12", Some(("ifIndex", "12")));
    check("1.3.6.1.2.1.2.2.1.10.7", Some(("ifInOctets", "7")));
    check("1.3.6.1.2.1.15.3.1.2.192.0.2.1", Some(("bgpPeerState", "192.0.2.1")));
    check("1.3.6.1.2.1.2.2.1.1", Some(("ifIndex", "")));
    check(
        "1.3.6.1.2.1.2.2.1.1.18446744073709551616.1",
        Some(("ifIndex", "18446744073709551616.1")),
    );
    check("1.3.6.1.2.1.2.2.1.100.1", None);
    check("", None);
    check("2", None);
}

#[test]
fn every_oid_of_the_tables_is_in_its_one_form_and_stands_once() {
    let places = PLACES.iter().map(|(oid, _)| *oid);
    let all = TRAPS.iter().map(|t| t.oid).chain(OBJECTS.iter().map(|o| o.oid)).chain(places);
    let mut seen = std::collections::BTreeSet::new();
    for text in all {
        assert_eq!(oid::normalise(text).as_deref(), Some(text));
        assert!(seen.insert(text), "{text} stands twice");
        let found = Names::builtin().find(text).unwrap();
        assert_eq!(found.instance(text), "", "{text}");
    }
    assert_eq!(Names::builtin().len(), seen.len());
    for a in OBJECTS {
        for b in OBJECTS {
            assert!(a.oid == b.oid || !oid::is_prefix(a.oid, b.oid), "{} {}", a.oid, b.oid);
        }
    }
}

#[test]
fn labels_are_found_by_their_number() {
    let oper = Names::builtin().find_object("1.3.6.1.2.1.2.2.1.8.12").unwrap();
    assert_eq!(oper.label(2), Some("down"));
    assert_eq!((oper.label(0), oper.label(8), oper.label(i64::MIN)), (None, None, None));
}

#[test]
fn what_a_mib_says_stands_beside_what_is_built_in() {
    let mut oper = definition("1.3.6.1.2.1.2.2.1.8", "vendorsOwnWord", Kind::Column);
    oper.labels = vec![(9, "halfDown".to_owned()), (2, "notUp".to_owned())];
    let mut row = definition("1.3.6.1.4.1.32473.1.1", "ownEntry", Kind::Row);
    row.index = vec![IndexPart {
        oid: oid::arcs("1.3.6.1.4.1.32473.1.1.1").unwrap(),
        ..IndexPart::default()
    }];
    let mut key = definition("1.3.6.1.4.1.32473.1.1.1", "ownKey", Kind::Column);
    key.base = Base::Integer;
    key.labels = vec![(7, "seven".to_owned())];
    let names = Names::with(vec![
        oper,
        row,
        key,
        definition("1.3.6.1.4.1.32473.1.1.2", "ownState", Kind::Column),
        definition("1.3.6.1.4.1.32473.1.1.2", "second", Kind::Scalar),
        definition("1.3.6.1.4.1.32473.9.0.17", "ownTrap", Kind::Trap),
        definition("1.3.6.1.6.3.1.1.5.3", "notLinkDown", Kind::Trap),
        definition("1.3.6.1.6.3.1.1.5.4", "notATrap", Kind::Scalar),
        Definition { name: "nowhere".to_owned(), ..Definition::default() },
    ]);
    let display = |oid: &str| names.find(oid).map(|found| found.display(oid));
    assert_eq!(display("1.3.6.1.2.1.2.2.1.8.4").as_deref(), Some("ifOperStatus.4"));
    let oper = names.find_object("1.3.6.1.2.1.2.2.1.8.4").unwrap();
    assert_eq!(
        (oper.label(9), oper.label(2), oper.module()),
        (Some("halfDown"), Some("notUp"), "TEST-MIB")
    );
    assert_eq!(display("1.3.6.1.4.1.32473.1.1.2.7").as_deref(), Some("ownState.seven"));
    assert_eq!(display("1.3.6.1.4.1.32473.1.1.2.8").as_deref(), Some("ownState.8"));
    assert_eq!(names.find_trap("1.3.6.1.4.1.32473.9.17").unwrap().name(), "ownTrap");
    let link_down = names.find_trap("1.3.6.1.6.3.1.1.5.3").unwrap();
    assert_eq!((link_down.name(), link_down.severity()), ("linkDown", Some(Severity::ERROR)));
    assert_eq!(names.find_trap("1.3.6.1.6.3.1.1.5.4").unwrap().name(), "linkUp");
    assert_eq!(names.oids_of("ownKey"), ["1.3.6.1.4.1.32473.1.1.1"]);
    assert_eq!(names.oids_of("TEST-MIB::ifOperStatus"), ["1.3.6.1.2.1.2.2.1.8"]);
    assert!(names.oids_of("OTHER-MIB::ifOperStatus").is_empty() && names.oids_of("").is_empty());
    assert_eq!(names.iter().count(), names.len());
}

/// One column under a row whose index has these parts.
fn indexed(parts: Vec<(IndexPart, Definition)>) -> Names {
    let mut row = definition("1.3.6.1.4.1.32473.2.1", "entry", Kind::Row);
    let mut all = vec![definition("1.3.6.1.4.1.32473.2.1.99", "col", Kind::Column)];
    for ((mut part, mut of), arc) in parts.into_iter().zip(1..) {
        of.oid = oid::arcs(&format!("1.3.6.1.4.1.32473.2.1.{arc}")).unwrap();
        of.name = format!("key{arc}");
        of.kind = Kind::Column;
        part.oid = of.oid.clone();
        row.index.push(part);
        all.push(of);
    }
    all.push(row);
    Names::with(all)
}

#[test]
fn an_instance_is_read_as_its_index_says() {
    let check = |parts: Vec<(IndexPart, Definition)>, instance: &str, expected: &str| {
        let names = indexed(parts);
        let oid = format!("1.3.6.1.4.1.32473.2.1.99.{instance}");
        assert_eq!(
            names.find(&oid).unwrap().display(&oid),
            format!("col.{expected}"),
            "{instance}"
        );
    };
    let part = |base, fixed, implied| {
        (IndexPart { base, fixed, implied, ..IndexPart::default() }, Definition::default())
    };
    let with = |base, fixed, hint: &str, convention| {
        let of = Definition { hint: hint.to_owned(), convention, ..Definition::default() };
        (IndexPart { base, fixed, ..IndexPart::default() }, of)
    };
    let octets = Base::Octets;
    check(vec![part(Base::Integer, 0, false)], "12", "12");
    check(vec![part(Base::Integer, 0, false)], "12.5", "12.5");
    check(vec![part(Base::Integer, 0, false)], "12.4294967296", "12.4294967296");
    check(vec![part(octets, 0, false)], "3.97.98.99", "\"abc\"");
    check(vec![part(octets, 0, false)], "0", "\"\"");
    check(vec![part(octets, 0, false)], "9.97.98", "9.97.98");
    check(vec![part(octets, 0, false)], "1.34", "1.34");
    check(vec![part(octets, 0, false)], "2.97.256", "2.97.256");
    check(vec![part(octets, 0, true)], "97.98", "\"ab\"");
    check(vec![part(octets, 2, false), part(Base::Integer, 0, false)], "97.98.4", "\"ab\".4");
    check(vec![part(octets, 2, false), part(Base::Integer, 0, false)], "1.2.4", "1.2.4");
    check(vec![with(octets, 6, "1x:", Convention::None)], "0.27.255.1.2.3", "00:1b:ff:01:02:03");
    check(
        vec![part(Base::Address, 0, false), part(Base::Integer, 0, false)],
        "192.0.2.1.7",
        "192.0.2.1.7",
    );
    check(vec![part(Base::Address, 0, false)], "192.0.2", "192.0.2");
    check(vec![part(Base::Oid, 0, false), part(octets, 0, true)], "2.1.3.97", "2.1.3.\"a\"");
    check(vec![part(Base::Oid, 0, true)], "1.3.6", "1.3.6");
    check(vec![part(Base::Any, 0, true)], "1.3.6", "1.3.6");
    let inet = || {
        let mut kind = with(Base::Integer, 0, "", Convention::InetType);
        kind.1.labels =
            vec![(1, "ipv4".to_owned()), (2, "ipv6".to_owned()), (16, "dns".to_owned())];
        vec![kind, with(octets, 0, "", Convention::InetAddress)]
    };
    check(inet(), "1.4.192.0.2.1", "ipv4.\"192.0.2.1\"");
    check(inet(), "2.16.32.1.13.184.0.0.0.0.0.0.0.0.0.0.0.1", "ipv6.\"2001:db8::1\"");
    check(inet(), "16.4.97.46.100.101", "dns.\"a.de\"");
    check(inet(), "1.3.192.0.2", "ipv4.3.192.0.2");
}

proptest::proptest! {
    #[test]
    fn any_definitions_make_a_tree_that_finds_them(
        oids in proptest::collection::btree_set(proptest::collection::vec(0u32..4, 1..6), 1..60),
        asked in proptest::collection::vec(0u32..5, 1..8),
    ) {
        let all: Vec<Vec<u32>> = oids.iter().map(|arcs| [&[1, 3, 6, 1, 4, 1], arcs.as_slice()].concat()).collect();
        let definitions = all.iter().map(|arcs| Definition {
            oid: arcs.clone(), name: format!("n{}", oid::format(arcs)), ..Definition::default()
        });
        let names = Names::with(definitions.rev().collect());
        for arcs in &all {
            let text = oid::format(arcs);
            let found = names.find(&text).unwrap();
            proptest::prop_assert_eq!(found.name(), format!("n{text}"));
            proptest::prop_assert_eq!(names.oids_of(&format!("n{text}")), vec![text]);
        }
        let asked = [&[1, 3, 6, 1, 4, 1], asked.as_slice()].concat();
        let longest = (6..=asked.len()).rev().find(|length| all.contains(&asked[..*length].to_vec()));
        let expected = longest.map_or("enterprises".to_owned(), |length| format!("n{}", oid::format(&asked[..length])));
        proptest::prop_assert_eq!(names.find(&oid::format(&asked)).unwrap().name(), expected);
    }
}
