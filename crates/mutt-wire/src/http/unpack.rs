//! What packs the body of a request, taken off within bounds, so that a bomb ends at the cap.

use std::io::Read;

use super::snappy::{self, SnappyError};

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
pub enum Unpack {
    /// It has, or would have, more octets than are allowed.
    TooLarge,
    /// It would have more than [`RATIO_MAX`] times as many as came.
    Ratio,
    /// It is not what it is said to be.
    Damaged(String),
    /// Nothing here unpacks this encoding.
    Unknown,
}

/// Unpacks to at most `max` octets what a client packed as `encoding` (a `Content-Encoding` in lower case).
///
/// # Errors
///
/// When it is not packed like that, or becomes too large. What it says of its size allocates nothing.
pub fn unpack(encoding: &str, packed: &[u8], max: usize) -> Result<Vec<u8>, Unpack> {
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
