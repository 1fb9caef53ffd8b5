//! The framing traps of the field as a table, and the promise that chunks do not matter.

use proptest::prelude::*;

use super::*;

/// All frames of a stream that comes in chunks of these sizes (the last size repeats).
fn frames(stream: &[u8], chunks: &[usize], max: usize) -> Vec<(Vec<u8>, bool)> {
    let mut framer = Framer::new(max);
    let (mut buf, mut rest, mut out) = (Vec::new(), stream, Vec::new());
    let mut sizes = chunks.iter().copied().chain(std::iter::repeat(*chunks.last().unwrap_or(&7)));
    loop {
        match framer.next(&buf) {
            FrameOutcome::Frame { range, consumed, cut } => {
                assert!(!range.is_empty() && range.end <= consumed && consumed <= buf.len());
                out.push((buf[range].to_vec(), cut));
                buf.drain(..consumed);
            }
            FrameOutcome::Skip { consumed } => {
                assert!(consumed > 0 && consumed <= buf.len());
                buf.drain(..consumed);
            }
            FrameOutcome::NeedMore if rest.is_empty() => break,
            FrameOutcome::NeedMore => {
                assert!(buf.len() < framer.buffer_needed(), "more is asked for than is promised");
                let n = sizes.next().unwrap_or(1).clamp(1, rest.len());
                buf.extend_from_slice(&rest[..n]);
                rest = &rest[n..];
            }
        }
    }
    if let FrameOutcome::Frame { range, cut, .. } = framer.finish(&buf) {
        out.push((buf[range].to_vec(), cut));
    }
    out
}

fn check(stream: &str, expected: &[&str]) {
    for chunks in [&[usize::MAX][..], &[1], &[2], &[3, 1, 5]] {
        let got = frames(stream.as_bytes(), chunks, MAX_MESSAGE);
        let got: Vec<_> =
            got.iter().map(|(f, _)| String::from_utf8_lossy(f).into_owned()).collect();
        assert_eq!(got, expected, "{stream:?} in chunks {chunks:?}");
    }
}

#[test]
fn lines_and_counts_are_told_apart_for_each_message() {
    check("<13>a\n<13>b\n", &["<13>a", "<13>b"]);
    check("<13>a\r\n<13>b\0<13>c", &["<13>a", "<13>b", "<13>c"]);
    check("5 <13>a5 <13>b", &["<13>a", "<13>b"]);
    check("6 <13>a\n5 <13>b", &["<13>a", "<13>b"]);
    check("5 <13>a\n<13>line\n5 <13>b", &["<13>a", "<13>line", "<13>b"]);
    check("\n\r\n\0<13>a\n\n", &["<13>a"]);
    check("", &[]);
    check("\n\n", &[]);
}

#[test]
fn every_trailer_of_the_field_ends_a_message() {
    for trailer in ["\n", "\r\n", "\0", "\r", "\r\0", "\n\0", "\n\r", "\r\r\n", "\n\n"] {
        check(&format!("<13>a{trailer}<13>b{trailer}"), &["<13>a", "<13>b"]);
        let mixed = format!("6 <13>a\n{trailer}<13>b{trailer}5 <13>c");
        // Only a priority behind it makes a lone CR a trailer.
        let (last, expected) = match trailer {
            "\r" => (mixed.len() - 7, &["<13>a", "<13>b"][..]),
            _ => (mixed.len(), &["<13>a", "<13>b", "<13>c"][..]),
        };
        check(&mixed[..last], expected);
    }
    // A CR that no priority follows is the message's own.
    check("<13>a\rb\n", &["<13>a\rb"]);
    check("<13>a\r<b>\r<1234>\r<>\r<12\n<13>c\n", &["<13>a\r<b>\r<1234>\r<>\r<12", "<13>c"]);
    check("<13>a\r\r<13>b", &["<13>a", "<13>b"]);
    check("<13>half\r<1", &["<13>half\r<1"]);
    check("<13>half\r", &["<13>half"]);
}

#[test]
fn counts_may_cover_their_own_trailer_or_not() {
    check("6 <13>a\n6 <13>b\n", &["<13>a", "<13>b"]);
    check("7 <13>a\r\n5 <13>b\n5 <13>c\r\n", &["<13>a", "<13>b", "<13>c"]);
    check("6 <13>a\x005 <13>b\0", &["<13>a", "<13>b"]);
    // Line ends inside the count are the message's own.
    check("13 <13>a\n<13>b\nc5 <13>d", &["<13>a\n<13>b\nc", "<13>d"]);
}

#[test]
fn a_count_is_octets_not_characters() {
    check("9 <13>a\u{fc}bc5 <13>x", &["<13>a\u{fc}bc", "<13>x"]);
    check("10 <13>a\nb\ncde5 <13>x", &["<13>a\nb\ncd", "e5 <13>x"]);
}

#[test]
fn what_only_looks_like_a_count_is_a_line() {
    check("54 <1 minute elapsed\n<13>b\n", &["54 <1 minute elapsed", "<13>b"]);
    check("0 <13>a\n", &["0 <13>a"]);
    check("05 <13>a\n", &["05 <13>a"]);
    check("-5 <13>a\n", &["-5 <13>a"]);
    check("1234567890 <13>a\n", &["1234567890 <13>a"]);
    check("999999999 <13>a\n<13>b\n", &["999999999 <13>a", "<13>b"]);
    check("5 <>ab\n", &["5 <>ab"]);
    check("5 <1234>ab\n", &["5 <1234>ab"]);
    check("2 <13>ab\n", &["2 <13>ab"]);
    check("12\n<13>b\n", &["12", "<13>b"]);
    check("2026 was a good year\n", &["2026 was a good year"]);
    check("5 <1x>ab\n", &["5 <1x>ab"]);
    check("5\t<13>a\n", &["5\t<13>a"]);
    check("+5 <13>a\n", &["+5 <13>a"]);
    check("5. <13>a\n", &["5. <13>a"]);
    check("16777217 <13>a\n<13>b\n", &["16777217 <13>a", "<13>b"]);
}

#[test]
fn spaces_of_cisco_asa() {
    check("5 <13>a\n 5 <13>b", &["<13>a", "<13>b"]);
    check("6  <13>a5 <13>b", &[" <13>a", "<13>b"]);
    check(" indented text\n", &[" indented text"]);
}

#[test]
fn what_is_left_at_the_end_is_a_frame() {
    check("<13>no newline", &["<13>no newline"]);
    check("12", &["12"]);
    check("20 <13>half", &["<13>half"]);
    assert_eq!(frames(b"20 <13>half", &[4], 64), [(b"<13>half".to_vec(), true)]);
}

#[test]
fn a_message_above_the_limit_is_cut_and_the_stream_is_in_step_again() {
    let long = "x".repeat(1000);
    let lines = format!("<13>{long}\n<13>next\n");
    let counted = format!("1004 <13>{long}9 <13>next\n");
    let exact = format!("<13>{}\n", &long[..60]);
    for chunks in [1, 10, 63, 64, 65, 5000] {
        for stream in [&lines, &counted] {
            let got = frames(stream.as_bytes(), &[chunks], 64);
            assert_eq!(got.len(), 2);
            assert_eq!((got[0].0.len(), got[0].1), (64, true));
            assert_eq!((&got[1].0[..], got[1].1), (&b"<13>next"[..], false));
        }
        assert!(!frames(exact.as_bytes(), &[chunks], 64)[0].1);
    }
    let umlauts = format!("<13>x{}\n", "\u{fc}".repeat(100));
    let got = frames(umlauts.as_bytes(), &[50], 64);
    assert_eq!(got[0].0.len(), 63, "a character is not cut in two");
}

#[test]
fn many_megabytes_without_a_line_end_costs_one_buffer_and_one_message() {
    let mut framer = Framer::new(1_024);
    let room = framer.buffer_needed();
    let (mut buf, mut frames, mut left) = (Vec::with_capacity(room), 0, 64usize << 20);
    buf.extend_from_slice(b"<13>");
    loop {
        match framer.next(&buf) {
            FrameOutcome::Frame { consumed, .. } => {
                frames += 1;
                buf.drain(..consumed);
            }
            FrameOutcome::Skip { consumed } => drop(buf.drain(..consumed)),
            FrameOutcome::NeedMore if left == 0 => break,
            FrameOutcome::NeedMore => {
                let more = (room - buf.len()).min(left);
                buf.resize(buf.len() + more, b'x');
                left -= more;
            }
        }
        assert!(buf.len() <= room);
    }
    assert_eq!(frames, 1);
    // The next line is a message of its own.
    buf.extend_from_slice(b"\n<13>next\n");
    assert!(matches!(framer.next(&buf), FrameOutcome::Skip { consumed: 1 }));
    buf.drain(..1);
    assert!(matches!(framer.next(&buf), FrameOutcome::Frame { cut: false, .. }));
}

fn messy_stream() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(b"<13>".to_vec()),
        Just(b"\n".to_vec()),
        Just(b"\r\n".to_vec()),
        Just(b"\r".to_vec()),
        Just(b"\r<13>".to_vec()),
        Just(b"\0".to_vec()),
        Just(b" ".to_vec()),
        "[0-9]{1,4} ".prop_map(String::into_bytes),
        "[0-9]{1,2} <[0-9]{1,3}>".prop_map(String::into_bytes),
        "[a-z<> ]{0,90}".prop_map(String::into_bytes),
        proptest::collection::vec(any::<u8>(), 0..6),
    ];
    proptest::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn chunks_do_not_change_the_frames(
        stream in messy_stream(),
        chunks in proptest::collection::vec(1usize..40, 1..20),
    ) {
        let whole = frames(&stream, &[usize::MAX], 64);
        prop_assert_eq!(&whole, &frames(&stream, &chunks, 64));
        prop_assert_eq!(&whole, &frames(&stream, &[1], 64));
    }

    #[test]
    fn every_split_gives_the_same_frames(stream in messy_stream()) {
        let whole = frames(&stream, &[usize::MAX], 64);
        for at in 1..stream.len() {
            prop_assert_eq!(&whole, &frames(&stream, &[at, usize::MAX], 64), "split at {}", at);
        }
    }
}
