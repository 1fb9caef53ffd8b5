//! Syslog lines as devices send them.

use crate::{BLOCK, Plan};

/// Texts that the rules match, in turns.
const MATCHING: [&str; 6] = [
    "%LINK-3-UPDOWN: Interface GigabitEthernet0/{n}, changed state to down",
    "%BGP-5-ADJCHANGE: neighbor 192.0.2.{n} Down BGP Notification sent",
    "%OSPF-5-ADJCHG: Process 1, Nbr 198.51.100.{n} on Vlan{n} from FULL to DOWN, Neighbor Down",
    "%ENVMON-2-FAN_FAILED: Fan {n} not rotating",
    "%SYS-2-MALLOCFAIL: Memory allocation of {n} bytes failed",
    "%PLATFORM_ENV-1-PWR: Power supply {n} is faulty",
];

/// Texts that no rule matches, in turns.
const OTHERS: [&str; 4] = [
    "%SEC-6-IPACCESSLOGP: list 101 permitted tcp 10.1.{n}.7(4711) -> 10.2.0.9(443), 1 packet",
    "%SYS-5-CONFIG_I: Configured from console by admin{n} on vty0 (10.0.0.{n})",
    "session {n} opened for user operator by (uid=0)",
    "%DOT1X-5-SUCCESS: Authentication successful for client (0011.2233.{n}) on Interface Gi1/0/{n}",
];

/// One connection's lines, of one byte less than `bytes` each: a newline or the datagram's end frames them.
pub(crate) fn block(plan: &Plan, number: usize) -> Vec<Vec<u8>> {
    (0..BLOCK).map(|line| render(plan, number, line)).collect()
}

fn render(plan: &Plan, number: usize, line: usize) -> Vec<u8> {
    // A fixed shuffle spreads the matching lines over the block.
    let matches = (line * 37 + number * 11) % 100 < plan.matching;
    let n = line % 250 + 1;
    let text = if matches { MATCHING[line % MATCHING.len()] } else { OTHERS[line % OTHERS.len()] };
    let host = (line * plan.connections + number) % plan.hosts;
    let mut rendered = format!(
        "<187>1 2026-01-01T00:00:00.000Z host{host:04} load - - - {}",
        text.replace("{n}", &n.to_string())
    );
    while rendered.len() + 1 < plan.bytes {
        rendered.push(if rendered.len() % 8 == 0 { ' ' } else { 'x' });
    }
    rendered.truncate(plan.bytes.saturating_sub(1).max(40));
    rendered.into_bytes()
}
