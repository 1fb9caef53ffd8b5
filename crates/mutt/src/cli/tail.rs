//! Live events: server-sent events of the REST API, one line each.

use serde_json::Value;

use super::api::{Api, block_on};
use super::args::Target;
use super::failure::Failure;
use super::output::{self, Column};

/// One event of the stream is at most this long.
const EVENT_BYTES_MAX: usize = 4 << 20;

/// Follows the stream until it ends, `count` events were printed, or the reader has seen enough.
pub(super) fn run(
    target: &Target,
    query: &[(&str, String)],
    count: Option<u64>,
    columns: &[Column],
) -> Result<(), Failure> {
    let api = Api::new(target)?;
    block_on(async {
        let mut response = api.stream(&["events", "stream"], query).await?;
        let mut buffer = Vec::new();
        let mut left = count;
        while left != Some(0) {
            let chunk = response.chunk().await.map_err(|_| ended())?;
            let Some(chunk) = chunk else { return Err(ended()) };
            buffer.extend_from_slice(&chunk);
            while let Some(block) = take_block(&mut buffer) {
                if left == Some(0) {
                    break;
                }
                if print(&block, target.json, columns)? {
                    left = left.map(|left| left - 1);
                }
            }
            if buffer.len() > EVENT_BYTES_MAX {
                buffer.clear();
            }
        }
        Ok(())
    })
}

fn ended() -> Failure {
    Failure::new(&mutt_model::codes::UNREACHABLE, "the stream ended")
        .hint("MUTT was stopped, or a proxy cut the connection; call again")
}

/// The next whole block of the stream: its name and data.
fn take_block(buffer: &mut Vec<u8>) -> Option<(String, String)> {
    let end = buffer.windows(2).position(|pair| pair == b"\n\n")?;
    let text = String::from_utf8_lossy(&buffer[..end]).into_owned();
    buffer.drain(..end + 2);
    let (mut name, mut data) = ("message".to_owned(), String::new());
    for line in text.lines() {
        match line.split_once(':') {
            Some(("event", value)) => value.trim_start().clone_into(&mut name),
            Some(("data", value)) => {
                if !data.is_empty() {
                    data.push('\n');
                }
                data.push_str(value.strip_prefix(' ').unwrap_or(value));
            }
            _ => {}
        }
    }
    Some((name, data))
}

/// Prints an event; comments and gaps are no events.
fn print(block: &(String, String), json: bool, columns: &[Column]) -> Result<bool, Failure> {
    let (name, data) = block;
    match name.as_str() {
        "gap" => {
            output::warning(&format!("some events were passed over: {}", output::plain(data)));
            return Ok(false);
        }
        "event" | "message" if !data.is_empty() => {}
        _ => return Ok(false),
    }
    if json {
        output::line(data)?;
        return Ok(true);
    }
    let event: Value = serde_json::from_str(data).unwrap_or_default();
    output::line(&output::cells(&event, columns).join("  "))?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_taken_whole_and_in_order() {
        let mut buffer =
            b": keep-alive\n\nevent: event\nid: 7\ndata: {\"a\":\ndata: 1}\n\nevent: ga".to_vec();
        assert_eq!(take_block(&mut buffer), Some(("message".into(), String::new())));
        assert_eq!(take_block(&mut buffer), Some(("event".into(), "{\"a\":\n1}".into())));
        assert_eq!(take_block(&mut buffer), None);
        assert_eq!(buffer, b"event: ga");
    }
}
