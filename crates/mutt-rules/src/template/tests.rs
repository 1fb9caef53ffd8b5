//! Shapes of messages as tables, and what must hold for any message.

use super::*;

fn shaped(message: &str) -> String {
    let mut out = String::new();
    shape(message, &mut out);
    out
}

#[test]
fn variable_parts_are_taken_out() {
    let check = |message: &str, expected: &str| assert_eq!(shaped(message), expected);
    check("", "");
    check(
        "%LINK-3-UPDOWN: Interface GigabitEthernet1/0/24, changed state to down",
        "%LINK-3-UPDOWN: Interface <*>, changed state to down",
    );
    check("CPU at 95% for 5 minutes", "CPU at <*> for <*> minute");
    check("it can't read 'a b' or \"c\"", "it can't read '<*>' or \"<*>\"");
    check("IPv6 neighbor fe80::1 down", "IPv6 neighbor <*> down");
    check("link status=down port=7", "link status=down port=<*>");
    check(
        "linkDown ifIndex.12=12 ifOperStatus.12=down(2)",
        "linkDown ifIndex.<*>=<*> ifOperStatus.<*>=down(<*>)",
    );
}

#[test]
fn templates_are_bounded_and_total() {
    let long = "wörter ".repeat(100);
    assert!(shaped(&long).len() <= TEMPLATE_BYTES_MAX);
    for odd in [
        "=", "a=", "=b", "\"", "<", "<>", "'", "''", "%", "%%", "é=", ".", "-", "\u{7f}\t", "a==b",
        "a=>b",
    ] {
        assert_eq!(shaped(odd), shaped(odd));
    }
}

/// Files of kinds: blank lines between kinds, each line a message.
const DIALECTS: [(&str, &str); 9] = [
    ("cisco-ios", include_str!("../../../../testdata/templates/cisco-ios.txt")),
    ("cisco-nxos", include_str!("../../../../testdata/templates/cisco-nxos.txt")),
    ("cisco-iosxr", include_str!("../../../../testdata/templates/cisco-iosxr.txt")),
    ("cisco-asa", include_str!("../../../../testdata/templates/cisco-asa.txt")),
    ("juniper", include_str!("../../../../testdata/templates/juniper.txt")),
    ("arista-huawei", include_str!("../../../../testdata/templates/arista-huawei.txt")),
    ("fortinet", include_str!("../../../../testdata/templates/fortinet.txt")),
    ("paloalto-f5", include_str!("../../../../testdata/templates/paloalto-f5.txt")),
    ("linux", include_str!("../../../../testdata/templates/linux.txt")),
];

#[test]
fn lines_of_one_kind_share_a_template_and_two_kinds_never_do() {
    let mut kinds: std::collections::BTreeMap<String, String> = std::collections::BTreeMap::new();
    let mut wrong = Vec::new();
    let mut lines = 0;
    for (dialect, text) in DIALECTS {
        for kind in text.split("\n\n") {
            let mut shapes: Vec<String> = kind.lines().map(shaped).collect();
            lines += shapes.len();
            shapes.dedup();
            if shapes.len() != 1 {
                wrong.push(format!("{dialect}: one kind, several templates: {shapes:#?}"));
            }
            if let Some(other) = kinds.insert(shapes[0].clone(), kind.to_owned()) {
                wrong.push(format!("{dialect}: two kinds, one template: {kind}\n{other}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(lines >= 100, "{lines}");
}
