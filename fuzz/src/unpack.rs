//! The targets for what packs the bodies of HTTP ingest.

use std::io::Write;

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use mutt_wire::http::snappy;
use mutt_wire::http::unpack::{RATIO_MAX, Unpack, ZSTD_WINDOW_MAX, unpack};

use crate::bound::{Bound, bounded};
use crate::target::Target;

/// The targets of this file.
pub const TARGETS: &[Target] = &[
    Target { name: "inflate", run: run_inflate, seeds: seeds_inflate },
    Target { name: "zstd", run: run_zstd, seeds: seeds_zstd },
    Target { name: "snappy", run: run_snappy, seeds: seeds_snappy },
];

/// What a body may unpack to here: above what the ratio is asked from, so that both caps are met.
const MAX: usize = 2 << 20;
/// A step past the cap, and the vector that doubles on its way there; the tables of inflate.
const INFLATE: Bound = Bound { per_byte: 0, fixed: 3 * (MAX as u64 + (64 << 10)) };
/// The window as well, in a buffer that doubles, and the tables of zstd.
const ZSTD: Bound =
    Bound { per_byte: 0, fixed: INFLATE.fixed + 3 * ZSTD_WINDOW_MAX as u64 + (1 << 20) };

/// Unpacks, and holds what comes to the caps.
fn within(encoding: &str, packed: &[u8], bound: Bound) -> Result<Vec<u8>, Unpack> {
    let unpacked = bounded(packed.len(), bound, || unpack(encoding, packed, MAX));
    if let Ok(bytes) = &unpacked {
        assert!(bytes.len() <= MAX);
        assert!(bytes.len() <= 1 << 20 || bytes.len() / RATIO_MAX <= packed.len());
    }
    assert_ne!(unpacked, Err(Unpack::Unknown));
    if let Ok(bytes) = &unpacked
        && let Some(less) = bytes.len().checked_sub(1)
    {
        assert_eq!(unpack(encoding, packed, less), Err(Unpack::TooLarge));
    }
    unpacked
}

/// The encodings of inflate; the first octet of an input says which, or that the rest is to be packed.
const INFLATES: [&str; 2] = ["gzip", "deflate"];
const PACKS: u8 = 0x80;

fn seeds_inflate() -> Vec<Vec<u8>> {
    let text = b"{\"message\":\"packed packed packed\"}".as_slice();
    let (gzip, zlib, raw) = packed(text, Compression::best());
    let stored = packed(text, Compression::none());
    let twice = [gzip.as_slice(), &gzip].concat();
    // As tight as it goes: the ratio.
    let zeros = packed(&[0; MAX], Compression::best());
    let named = b"\x1f\x8b\x08\x1e\0\0\0\0\0\xff\x02\0abname\0comment\0\0\0\x03\0\0\0\0\0\0\0\0\0";
    [
        (0, gzip.as_slice()),
        (0, &twice),
        (0, &stored.0),
        (0, &zeros.0),
        (0, named),
        (PACKS, text),
        (1, &zlib),
        (1, &raw),
        (1, &stored.1),
        (1, &zeros.2),
    ]
    .map(|(which, packed)| [&[which], packed].concat())
    .to_vec()
}

/// As gzip, with zlib's header, without any.
fn packed(bytes: &[u8], how: Compression) -> (Vec<u8>, Vec<u8>, Vec<u8>) {
    let (mut gzip, mut zlib, mut raw) = (
        GzEncoder::new(Vec::new(), how),
        ZlibEncoder::new(Vec::new(), how),
        DeflateEncoder::new(Vec::new(), how),
    );
    for out in [&mut gzip as &mut dyn Write, &mut zlib, &mut raw] {
        out.write_all(bytes).expect("a vector takes all");
    }
    let whole = "a vector takes all";
    (gzip.finish().expect(whole), zlib.finish().expect(whole), raw.finish().expect(whole))
}

fn run_inflate(data: &[u8]) {
    let Some((which, data)) = data.split_first() else { return };
    if which & PACKS == 0 {
        let _ = within(INFLATES[usize::from(*which) % INFLATES.len()], data, INFLATE);
        return;
    }
    let (gzip, zlib, _) = packed(data, Compression::new(u32::from(which % 10)));
    for (encoding, packed) in [("gzip", gzip), ("deflate", zlib)] {
        assert_eq!(within(encoding, &packed, INFLATE).as_deref(), Ok(data));
    }
}

fn seeds_zstd() -> Vec<Vec<u8>> {
    use ruzstd::encoding::CompressionLevel::{Fastest, Uncompressed};
    use ruzstd::encoding::compress_to_vec;
    let text = b"{\"message\":\"packed packed packed\"}".as_slice();
    let long: Vec<u8> =
        (0..90u32).flat_map(|n| format!("line {n} of {}\n", n * n).into_bytes()).collect();
    let skipped = b"\x50\x2a\x4d\x18\x02\0\0\0ab".to_vec();
    let one = compress_to_vec(text, Fastest);
    vec![
        [skipped.as_slice(), &one, &skipped].concat(),
        compress_to_vec(long.as_slice(), Fastest),
        compress_to_vec(text, Uncompressed),
        compress_to_vec([0; 300_000].as_slice(), Fastest),
        one,
        b"\x28\xb5\x2f\xfd\0\xa8\x01\0\0".to_vec(),
    ]
}

fn run_zstd(data: &[u8]) {
    let _ = within("zstd", data, ZSTD);
}

fn seeds_snappy() -> Vec<Vec<u8>> {
    vec![
        b"\x03\x08abc".to_vec(),
        b"\x0a\x08abc\x0d\x03\x00".to_vec(),
        b"\x14\x08abc\x0e\x03\x00\x0e\x06\x00".to_vec(),
        b"\xff\xff\xff\x7f\x00".to_vec(),
    ]
}

fn run_snappy(data: &[u8]) {
    let bound = Bound { per_byte: 0, fixed: INFLATE.fixed };
    let unpacked = within("snappy", data, bound);
    // The ratio is asked on top of what the format gives.
    if let Ok(bytes) = snappy::unpack(data, MAX) {
        assert!(unpacked == Err(Unpack::Ratio) || unpacked == Ok(bytes));
    }
}
