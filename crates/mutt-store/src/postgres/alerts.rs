//! Alerts and the deliveries they make, in bulk: read once after their keys were locked, written once.

use std::collections::{BTreeMap, HashMap, HashSet};

use mutt_model::Timestamp;
use mutt_model::alert::{Alert, AlertState};
use mutt_model::delivery::NoticeKind;

use super::together::together;
use super::types::Uid;
use super::{Conn, locks};
use crate::book::{NewNotice, TimelineRow, Touched};
use crate::store::{Committed, StoreError};

/// States of a delivery's row: waits for its turn (pending, or held where its lane is).
pub(crate) const WAITING: i16 = 0;
pub(crate) const SUPPRESSED: i16 = 4;

fn kind_number(kind: NoticeKind) -> i16 {
    i16::try_from(crate::deliveries::kind_number(kind)).unwrap_or(0)
}

const OPEN: &str = "SELECT key, body FROM alerts WHERE key = ANY($1) AND NOT cleared";
const BLOCKED: &str = "SELECT sink FROM lanes
    WHERE sink = ANY($1) AND (held_by IS NOT NULL OR breaker <> 'closed')";

/// The open alerts of these keys. The caller holds the locks of the keys.
pub(crate) async fn load_open(
    conn: &Conn,
    keys: &[&str],
) -> Result<HashMap<String, Alert>, StoreError> {
    let mut open = HashMap::new();
    if keys.is_empty() {
        return Ok(open);
    }
    for row in conn.all(OPEN, &[&keys]).await? {
        open.insert(row.get(0), serde_json::from_str(row.get(1))?);
    }
    Ok(open)
}

/// Of these sinks the ones to which nothing leaves now: held, or the breaker is not closed.
pub(crate) async fn blocked(conn: &Conn, sinks: &[&str]) -> Result<HashSet<String>, StoreError> {
    if sinks.is_empty() {
        return Ok(HashSet::new());
    }
    Ok(conn.all(BLOCKED, &[&sinks]).await?.iter().map(|row| row.get(0)).collect())
}

/// Locks these keys and gives their open alerts, and the sinks of [`blocked`]: sent as one, in order.
pub(crate) async fn lock_and_load(
    conn: &Conn,
    keys: &[&str],
    sinks: &[&str],
) -> Result<(HashMap<String, Alert>, HashSet<String>), StoreError> {
    if keys.is_empty() {
        return Ok(<_>::default());
    }
    conn.ready(&[locks::SHARED, locks::EACH, locks::ALL, OPEN, BLOCKED]).await?;
    let (locked, open, blocked) = futures_util::future::join3(
        locks::keys(conn, keys.iter().copied()),
        load_open(conn, keys),
        blocked(conn, sinks),
    )
    .await;
    locked?;
    Ok((open?, blocked?))
}

/// Writes alerts by id.
pub(crate) async fn save(
    conn: &Conn,
    alerts: impl IntoIterator<Item = &Alert>,
) -> Result<(), StoreError> {
    let alerts: Vec<&Alert> = alerts.into_iter().collect();
    if alerts.is_empty() {
        return Ok(());
    }
    let bodies = alerts.iter().map(serde_json::to_string).collect::<Result<Vec<_>, _>>()?;
    let ids: Vec<Uid> = alerts.iter().map(|a| Uid(a.id)).collect();
    let keys: Vec<&str> = alerts.iter().map(|a| a.key.as_str()).collect();
    let cleared: Vec<bool> = alerts.iter().map(|a| a.state == AlertState::Cleared).collect();
    let hosts: Vec<String> = alerts.iter().map(|a| a.host.to_lowercase()).collect();
    let teams: Vec<String> = alerts.iter().map(|a| a.team.to_lowercase()).collect();
    let problems: Vec<String> = alerts.iter().map(|a| a.problem.to_lowercase()).collect();
    let seen: Vec<i64> = alerts.iter().map(|a| a.last_seen.0).collect();
    let ages: Vec<Option<i64>> = alerts.iter().map(|a| a.ages_out_at().map(|t| t.0)).collect();
    let over: Vec<Option<i64>> = alerts.iter().map(|a| a.cleared_at.map(|t| t.0)).collect();
    conn.run(
        "INSERT INTO alerts (id, key, cleared, host, team, problem, last_seen, ages_out_at,
            cleared_at, body)
         SELECT * FROM unnest($1::uuid[], $2::text[], $3::boolean[], $4::text[], $5::text[],
            $6::text[], $7::bigint[], $8::bigint[], $9::bigint[], $10::text[])
         ON CONFLICT (id) DO UPDATE SET cleared = excluded.cleared, team = excluded.team,
            last_seen = excluded.last_seen, ages_out_at = excluded.ages_out_at,
            cleared_at = excluded.cleared_at, body = excluded.body",
        &[&ids, &keys, &cleared, &hosts, &teams, &problems, &seen, &ages, &over, &bodies],
    )
    .await?;
    Ok(())
}

/// Writes what a [`crate::book::Book`] has touched, and adds to `out` what was made. The caller holds
/// the locks of the keys and counts `out` at the end ([`super::counts::add`]).
pub(crate) async fn write(
    conn: &Conn,
    slot: i32,
    touched: Touched<'_>,
    blocked: &HashSet<String>,
    now: Timestamp,
    out: &mut Committed,
) -> Result<(), StoreError> {
    let Touched { ended, open, timeline: lines, notices, transitions } = touched;
    let alerts = async {
        // One key has one open alert: the ended one goes first.
        save(conn, &ended).await?;
        save(conn, open.values()).await
    };
    let told = async {
        let notices = join(conn, notices, blocked).await?;
        deliveries(conn, slot, &notices, now, out).await
    };
    together(vec![Box::pin(alerts), Box::pin(timeline(conn, &lines)), Box::pin(told)]).await?;
    out.transitions.extend(transitions);
    Ok(())
}

async fn timeline(conn: &Conn, rows: &[TimelineRow]) -> Result<(), StoreError> {
    if rows.is_empty() {
        return Ok(());
    }
    let alerts: Vec<Uid> = rows.iter().map(|r| Uid(r.alert)).collect();
    let at: Vec<i64> = rows.iter().map(|r| r.at.0).collect();
    let what: Vec<&str> = rows.iter().map(|r| r.what).collect();
    let who: Vec<&str> = rows.iter().map(|r| r.who.as_str()).collect();
    let text: Vec<Option<&str>> = rows.iter().map(|r| r.text.as_deref()).collect();
    let events: Vec<Option<Uid>> = rows.iter().map(|r| r.event.map(Uid)).collect();
    conn.run(
        "INSERT INTO timeline (alert_id, at, what, who, text, event_id)
         SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::text[], $4::text[], $5::text[],
            $6::uuid[])",
        &[&alerts, &at, &what, &who, &text, &events],
    )
    .await?;
    Ok(())
}

/// Deliveries to be made, and how many notices each stands for.
struct Joined<'a> {
    made: Vec<(NewNotice<'a>, i64)>,
    /// Notices that became part of one that waits, by sink.
    joined: BTreeMap<&'a str, i64>,
}

/// The unfinished delivery that is last in its key.
enum Last {
    /// In the store; may be joined.
    Stored { seq: i64, alert: mutt_model::Id },
    /// At this place among those to be made.
    New(usize),
    /// One that may not be joined.
    Other,
}

/// While nothing can leave, a repeat becomes part of the repeat of its alert that waits last in its
/// key, untried: that one tells the newest and carries the count. So an outage of a sink costs a row
/// for each problem, not one for each event.
async fn join<'a>(
    conn: &Conn,
    notices: Vec<NewNotice<'a>>,
    blocked: &HashSet<String>,
) -> Result<Joined<'a>, StoreError> {
    let mut out = Joined { made: Vec::with_capacity(notices.len()), joined: BTreeMap::new() };
    let mut last: HashMap<(&'a str, String), Last> = HashMap::new();
    let wanted: Vec<&NewNotice<'_>> = notices.iter().filter(|n| blocked.contains(n.sink)).collect();
    if !wanted.is_empty() {
        let sinks: Vec<&str> = wanted.iter().map(|n| n.sink).collect();
        let keys: Vec<&str> = wanted.iter().map(|n| n.key.as_str()).collect();
        let rows = conn
            .all(
                "SELECT l.seq, l.kind, l.state, l.attempts, l.alert_id, w.sink, w.key
                 FROM (SELECT DISTINCT * FROM unnest($1::text[], $2::text[])) AS w (sink, key),
                 LATERAL (SELECT * FROM deliveries d WHERE d.sink = w.sink AND d.key = w.key
                    AND d.state < 3 ORDER BY d.seq DESC LIMIT 1) AS l",
                &[&sinks, &keys],
            )
            .await?;
        for row in rows {
            let free = row.get::<_, i16>(1) == kind_number(NoticeKind::Repeated)
                && row.get::<_, i16>(2) == WAITING
                && row.get::<_, i64>(3) == 0;
            let known = if free {
                Last::Stored { seq: row.get(0), alert: row.get::<_, Uid>(4).0 }
            } else {
                Last::Other
            };
            let sink: &str = row.get(5);
            if let Some(notice) = notices.iter().find(|n| n.sink == sink) {
                last.insert((notice.sink, row.get(6)), known);
            }
        }
    }
    let mut stored: BTreeMap<i64, (NewNotice<'a>, i64)> = BTreeMap::new();
    for notice in notices {
        let place = (notice.sink, notice.key.clone());
        if blocked.contains(notice.sink) && notice.kind == NoticeKind::Repeated {
            match last.get(&place) {
                Some(Last::Stored { seq, alert }) if *alert == notice.alert_id => {
                    *out.joined.entry(notice.sink).or_default() += 1;
                    let by = stored.get(seq).map_or(0, |(_, by)| *by) + 1;
                    stored.insert(*seq, (notice, by));
                    continue;
                }
                Some(Last::New(at))
                    if out.made[*at].0.alert_id == notice.alert_id
                        && out.made[*at].0.kind == NoticeKind::Repeated =>
                {
                    *out.joined.entry(notice.sink).or_default() += 1;
                    let (waiting, by) = &mut out.made[*at];
                    waiting.alert = notice.alert;
                    waiting.event_id = notice.event_id;
                    *by += 1;
                    continue;
                }
                _ => {}
            }
        }
        last.insert(place, Last::New(out.made.len()));
        out.made.push((notice, 1));
    }
    if !stored.is_empty() {
        let seqs: Vec<i64> = stored.keys().copied().collect();
        let alerts: Vec<&str> = stored.values().map(|(n, _)| n.alert.as_str()).collect();
        let events: Vec<Option<Uid>> = stored.values().map(|(n, _)| n.event_id.map(Uid)).collect();
        let by: Vec<i64> = stored.values().map(|(_, by)| *by).collect();
        conn.run(
            "UPDATE deliveries d SET alert = n.alert, event_id = n.event_id,
                stands_for = d.stands_for + n.by
             FROM unnest($1::bigint[], $2::text[], $3::uuid[], $4::bigint[])
                AS n (seq, alert, event_id, by) WHERE d.seq = n.seq",
            &[&seqs, &alerts, &events, &by],
        )
        .await?;
    }
    Ok(out)
}

/// New ones wait; the first of its key is the head when no other of the key is unfinished.
async fn deliveries(
    conn: &Conn,
    slot: i32,
    new: &Joined<'_>,
    now: Timestamp,
    out: &mut Committed,
) -> Result<(), StoreError> {
    let mut made: BTreeMap<&str, i64> = BTreeMap::new();
    if !new.made.is_empty() {
        let mut seen = HashSet::new();
        let rows = &new.made;
        let ids: Vec<Uid> = rows.iter().map(|(n, _)| Uid(n.id)).collect();
        let sinks: Vec<&str> = rows.iter().map(|(n, _)| n.sink).collect();
        let keys: Vec<&str> = rows.iter().map(|(n, _)| n.key.as_str()).collect();
        let kinds: Vec<i16> = rows.iter().map(|(n, _)| kind_number(n.kind)).collect();
        let first: Vec<bool> =
            rows.iter().map(|(n, _)| seen.insert((n.sink, n.key.as_str()))).collect();
        let stands: Vec<i64> = rows.iter().map(|(_, by)| *by).collect();
        let alert_ids: Vec<Uid> = rows.iter().map(|(n, _)| Uid(n.alert_id)).collect();
        let events: Vec<Option<Uid>> = rows.iter().map(|(n, _)| n.event_id.map(Uid)).collect();
        let alerts: Vec<&str> = rows.iter().map(|(n, _)| n.alert.as_str()).collect();
        // The numbers are drawn while the keys are locked: within a key they are in order.
        conn.run(
            "INSERT INTO deliveries (seq, id, sink, key, kind, state, head, attempts, stands_for,
                created_at, due_at, alert_id, event_id, alert)
             SELECT nextval('deliveries_seq'), n.id, n.sink, n.key, n.kind, 0,
                n.first AND NOT EXISTS (SELECT 1 FROM deliveries d
                    WHERE d.sink = n.sink AND d.key = n.key AND d.state < 3),
                0, n.stands_for, $10, $10, n.alert_id, n.event_id, n.alert
             FROM unnest($1::uuid[], $2::text[], $3::text[], $4::smallint[], $5::boolean[],
                $6::bigint[], $7::uuid[], $8::uuid[], $9::text[]) AS n (id, sink, key, kind, first,
                stands_for, alert_id, event_id, alert)",
            &[&ids, &sinks, &keys, &kinds, &first, &stands, &alert_ids, &events, &alerts, &now.0],
        )
        .await?;
        for sink in sinks {
            *made.entry(sink).or_default() += 1;
        }
    }
    let mut changes: Vec<(&str, i16, i64, i64)> =
        made.iter().map(|(sink, n)| (*sink, WAITING, *n, 0)).collect();
    // What was joined was made and ended suppressed (coalesced) at once: in the ledger, without rows.
    changes.extend(new.joined.iter().map(|(sink, n)| (*sink, SUPPRESSED, 0, *n)));
    super::counts::deliveries(conn, slot, &mut changes).await?;
    for (sink, n) in made.into_iter().chain(new.joined.iter().map(|(s, n)| (*s, *n))) {
        *out.deliveries.entry(sink.to_owned()).or_default() += u64::try_from(n).unwrap_or(0);
    }
    Ok(())
}
