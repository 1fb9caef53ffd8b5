//! The body of a request: read and unpacked within bounds, so that a bomb ends at the cap.

use std::io::Read;

use axum::body::Body;
use axum::http::{HeaderMap, StatusCode, header};
use http_body_util::{BodyExt as _, Limited};
use mutt_model::codes;
use mutt_wire::http::snappy::{self, SnappyError};

use super::HttpDoor;
use super::answer::Refusal;

/// A body may unpack to so many times its size. What devices say packs at best some hundred times; zeros
/// pack a thousand times.
pub const RATIO_MAX: usize = 1_000;
/// Up to this many octets the ratio is not asked for: a small body may well repeat itself.
const RATIO_FREE: usize = 1024 * 1024;
/// The largest window that a zstd frame may ask for, as RFC 9659 has it for HTTP.
pub const ZSTD_WINDOW_MAX: usize = 8 * 1024 * 1024;
/// Octets unpacked at a time.
const STEP: usize = 64 * 1024;

/// Why a body could not be unpacked.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unpack {
    TooLarge,
    Ratio,
    Damaged(String),
    Unknown,
}

/// Reads and unpacks the body.
pub(super) async fn read(
    door: &HttpDoor,
    headers: &HeaderMap,
    body: Body,
) -> Result<Vec<u8>, Refusal> {
    let packed = match Limited::new(body, door.max_body).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => {
            return Err(refusal(door, "", &Unpack::TooLarge));
        }
        Err(error) => {
            let why = format!("the body could not be read: {error}");
            let status = StatusCode::BAD_REQUEST;
            return Err(Refusal::new(status, codes::INGEST_NOT_JSON, why, "json"));
        }
    };
    let encoding = headers.get(header::CONTENT_ENCODING).and_then(|v| v.to_str().ok());
    let encoding = encoding.unwrap_or_default().trim().to_ascii_lowercase();
    if matches!(encoding.as_str(), "" | "identity") {
        return Ok(packed.to_vec());
    }
    tokio::task::block_in_place(|| unpack(&encoding, &packed, door.max_body))
        .map_err(|why| refusal(door, &encoding, &why))
}

fn refusal(door: &HttpDoor, encoding: &str, why: &Unpack) -> Refusal {
    let max = door.max_body;
    let too_large = |message| {
        let status = StatusCode::PAYLOAD_TOO_LARGE;
        Refusal::new(status, codes::INGEST_TOO_LARGE, message, "too_large")
    };
    match why {
        Unpack::TooLarge => {
            too_large(format!("the body is larger than ingestor.http.max_body = {max} bytes"))
        }
        Unpack::Ratio => too_large(format!(
            "the body unpacks to more than {RATIO_MAX} times its size; send smaller batches"
        )),
        Unpack::Damaged(error) => Refusal::new(
            StatusCode::BAD_REQUEST,
            codes::INGEST_NOT_JSON,
            format!("the body is not {encoding} as Content-Encoding says: {error}"),
            "json",
        ),
        Unpack::Unknown => Refusal::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            codes::INGEST_ENCODING,
            format!(
                "Content-Encoding `{encoding}` is not understood; send gzip, deflate, zstd, snappy or none"
            ),
            "encoding",
        ),
    }
}

/// Unpacks to at most `max` octets.
pub(super) fn unpack(encoding: &str, packed: &[u8], max: usize) -> Result<Vec<u8>, Unpack> {
    let mut out = Bounded { bytes: Vec::new(), packed: packed.len(), max };
    match encoding {
        "gzip" | "x-gzip" => out.fill(flate2::read::MultiGzDecoder::new(packed))?,
        "deflate" | "zlib" if has_zlib_header(packed) => {
            out.fill(flate2::read::ZlibDecoder::new(packed))?;
        }
        // Some clients send the stream without the header that the standard asks for.
        "deflate" | "zlib" => out.fill(flate2::read::DeflateDecoder::new(packed))?,
        "zstd" => out.zstd(packed)?,
        "snappy" => {
            out.bytes = snappy::unpack(packed, max).map_err(|error| match error {
                SnappyError::TooLarge => Unpack::TooLarge,
                SnappyError::Damaged => Unpack::Damaged("no block of snappy".to_owned()),
            })?;
            out.check()?;
        }
        _ => return Err(Unpack::Unknown),
    }
    Ok(out.bytes)
}

fn has_zlib_header(packed: &[u8]) -> bool {
    let &[first, second, ..] = packed else { return false };
    first & 0x0f == 8 && u16::from_be_bytes([first, second]).is_multiple_of(31)
}

/// What was unpacked so far.
struct Bounded {
    bytes: Vec<u8>,
    packed: usize,
    max: usize,
}

impl Bounded {
    fn check(&self) -> Result<(), Unpack> {
        if self.bytes.len() > self.max {
            return Err(Unpack::TooLarge);
        }
        let ratio_holds = self.bytes.len() / RATIO_MAX <= self.packed;
        if ratio_holds || self.bytes.len() <= RATIO_FREE { Ok(()) } else { Err(Unpack::Ratio) }
    }

    fn fill(&mut self, mut reader: impl Read) -> Result<(), Unpack> {
        loop {
            let read = reader.by_ref().take(STEP as u64).read_to_end(&mut self.bytes);
            if read.map_err(|error| Unpack::Damaged(error.to_string()))? == 0 {
                return Ok(());
            }
            self.check()?;
        }
    }

    /// Frames one after the other; those that carry no data are passed over.
    fn zstd(&mut self, mut left: &[u8]) -> Result<(), Unpack> {
        let cut = || Unpack::Damaged("a frame is cut off".to_owned());
        loop {
            if let Some(rest) = left.get(4..).filter(|_| is_skipped(left)) {
                let (length, rest) = rest.split_first_chunk::<4>().ok_or_else(cut)?;
                let length = usize::try_from(u32::from_le_bytes(*length)).map_err(|_| cut())?;
                left = rest.get(length..).ok_or_else(cut)?;
            } else {
                // The decoder is another's: should it panic, one request is refused.
                let frame = std::panic::AssertUnwindSafe(|| self.frame(&mut left));
                std::panic::catch_unwind(frame).map_err(|_| cut())??;
            }
            if left.is_empty() {
                return Ok(());
            }
        }
    }

    fn frame(&mut self, left: &mut &[u8]) -> Result<(), Unpack> {
        use ruzstd::decoding::StreamingDecoder;
        let frame = StreamingDecoder::new_with_max_window_size(left, ZSTD_WINDOW_MAX as u64);
        let frame = frame.map_err(|error| Unpack::Damaged(error.to_string()))?;
        self.fill(frame)
    }
}

fn is_skipped(frame: &[u8]) -> bool {
    matches!(frame, [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..])
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
    use ruzstd::encoding::{CompressionLevel, compress_to_vec};

    use super::*;

    const MAX: usize = 4 * 1024 * 1024;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut out = GzEncoder::new(Vec::new(), Compression::best());
        out.write_all(bytes).unwrap();
        out.finish().unwrap()
    }

    #[test]
    fn every_encoding_is_unpacked() {
        let text = b"{\"message\":\"packed packed packed\"}".as_slice();
        let check = |encoding: &str, packed: &[u8], expected: Result<&[u8], Unpack>| {
            let found = unpack(encoding, packed, MAX);
            assert_eq!(found.as_deref(), expected.as_ref().copied(), "{encoding}");
        };
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::fast());
        zlib.write_all(text).unwrap();
        let mut raw = DeflateEncoder::new(Vec::new(), Compression::fast());
        raw.write_all(text).unwrap();
        let zstd = compress_to_vec(text, CompressionLevel::Fastest);
        check("gzip", &gzip(text), Ok(text));
        check("x-gzip", &[gzip(&text[..9]), gzip(&text[9..])].concat(), Ok(text));
        check("deflate", &zlib.finish().unwrap(), Ok(text));
        check("deflate", &raw.finish().unwrap(), Ok(text));
        check("zstd", &zstd, Ok(text));
        let skipped = b"\x50\x2a\x4d\x18\x02\x00\x00\x00ab".as_slice();
        check("zstd", &[skipped, &zstd, skipped].concat(), Ok(text));
        check("snappy", b"\x03\x08abc", Ok(b"abc"));
        check("br", b"", Err(Unpack::Unknown));
        check("gzip, gzip", b"", Err(Unpack::Unknown));
        for encoding in ["gzip", "zstd", "snappy"] {
            assert!(matches!(unpack(encoding, b"plain", MAX), Err(Unpack::Damaged(_))));
            assert!(matches!(unpack(encoding, b"", MAX), Err(Unpack::Damaged(_))), "{encoding}");
        }
        assert!(matches!(unpack("gzip", &gzip(text)[..20], MAX), Err(Unpack::Damaged(_))));
        assert!(matches!(unpack("zstd", &zstd[..zstd.len() - 3], MAX), Err(Unpack::Damaged(_))));
        assert!(matches!(unpack("zstd", &skipped[..9], MAX), Err(Unpack::Damaged(_))));
    }

    #[test]
    fn a_bomb_ends_at_the_cap() {
        let zeros = vec![0; MAX + 1];
        assert_eq!(unpack("gzip", &gzip(&zeros), MAX), Err(Unpack::Ratio));
        // A bomb of bombs is what it is packed to, no more.
        let twice = unpack("gzip", &gzip(&gzip(&zeros)), MAX).unwrap();
        assert_eq!(twice, gzip(&zeros));
        let zstd = compress_to_vec(zeros.as_slice(), CompressionLevel::Fastest);
        assert_eq!(unpack("zstd", &zstd, MAX), Err(Unpack::Ratio));
        // Packed less tightly, it meets the cap itself.
        let lines: String = (0..400_000).map(|n| format!("line {n} of many\n")).collect();
        assert_eq!(unpack("gzip", &gzip(lines.as_bytes()), MAX), Err(Unpack::TooLarge));
        let snappy = [b"\xff\xff\xff\x7f".as_slice(), &[0; 100]].concat();
        assert_eq!(unpack("snappy", &snappy, MAX), Err(Unpack::TooLarge));
        // A frame that asks for a window of 2 GiB gets nothing.
        let window = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xa8, 0x01, 0x00, 0x00];
        assert!(matches!(unpack("zstd", &window, MAX), Err(Unpack::Damaged(_))));
    }
}
