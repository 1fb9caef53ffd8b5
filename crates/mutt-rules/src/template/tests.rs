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
