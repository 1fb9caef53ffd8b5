//! Reads the time stamps of devices: the civil date and time that stand there and what is missing.

use crate::octets;

/// A stamp as written; nothing is worked out yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stamp<'a> {
    pub(crate) year: Option<i16>,
    /// 1 to 12.
    pub(crate) month: u8,
    /// 1 to 31.
    pub(crate) day: u8,
    pub(crate) hour: u8,
    pub(crate) minute: u8,
    /// 0 to 60 (a leap second is written so).
    pub(crate) second: u8,
    pub(crate) micros: u32,
    /// More than six fractional digits were written.
    pub(crate) cut: bool,
    /// Seconds east of UTC, where the stamp says so in figures (`Z`, `+02:00`).
    pub(crate) offset: Option<i32>,
    /// The name of a zone (`CEST`), where the stamp has one.
    pub(crate) zone: Option<&'a str>,
    /// The year stands first, as NX-OS writes it.
    pub(crate) year_first: bool,
    /// The day stands first, as BIND writes it.
    pub(crate) day_first: bool,
}

/// The names of the months and of the weekdays, each in a slot of its own: `slot_of` multiplies them
/// apart. Behind a month its number stands, behind a weekday `WEEKDAY`.
static NAMES: [(u32, u8); 32] = {
    let names = *b"janfebmaraprmayjunjulaugsepoctnovdecmontuewedthufrisatsun";
    let (mut slots, mut at) = ([(0, 0); 32], 0);
    while at < 19 {
        let [a, b, c] = [names[at * 3], names[at * 3 + 1], names[at * 3 + 2]];
        let name = u32::from_le_bytes([a, b, c, 0]);
        let slot = slot_of(name);
        assert!(slots[slot].1 == 0, "two names in one slot");
        slots[slot] = (name, if at < 12 { at as u8 + 1 } else { WEEKDAY });
        at += 1;
    }
    slots
};

const WEEKDAY: u8 = 13;

const fn slot_of(name: u32) -> usize {
    (name.wrapping_mul(0xf300_9a5d) >> 27) as usize
}

/// What a text's first three letters are the name of: a month, 1 to 12, or a weekday.
#[inline]
fn named(bytes: &[u8]) -> Option<u8> {
    let [a, b, c] = *bytes.first_chunk::<3>()?;
    let name = u32::from_le_bytes([a, b, c, 0]) | 0x0020_2020;
    let (known, of) = NAMES[slot_of(name)];
    (known == name).then_some(of)
}

/// The month of which a text's first three letters are the name; 1 to 12.
#[inline]
fn month_of(bytes: &[u8]) -> Option<u8> {
    named(bytes).filter(|of| *of != WEEKDAY)
}

#[inline]
fn is_weekday(bytes: &[u8]) -> bool {
    named(bytes) == Some(WEEKDAY)
}

/// True where the name of a month or of a weekday stands.
#[inline]
pub(crate) fn begins_with_name(bytes: &[u8]) -> bool {
    named(bytes).is_some()
}

/// Reads from the front of a text.
#[derive(Clone, Copy)]
struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn eat(&mut self, byte: u8) -> Option<()> {
        (self.peek() == Some(byte)).then(|| self.at += 1)
    }

    fn spaces(&mut self) -> usize {
        let from = self.at;
        while self.peek() == Some(b' ') {
            self.at += 1;
        }
        self.at - from
    }

    /// A number of `min` to `max` digits.
    fn number(&mut self, min: usize, max: usize) -> Option<u32> {
        let (from, mut value) = (self.at, 0u32);
        while let Some(digit @ b'0'..=b'9') = self.peek() {
            if self.at - from == max {
                return None;
            }
            value = value * 10 + u32::from(digit - b'0');
            self.at += 1;
        }
        (self.at - from >= min).then_some(value)
    }

    fn ranged(&mut self, min: usize, max: usize, most: u32) -> Option<u8> {
        let value = self.number(min, max)?;
        if value <= most { u8::try_from(value).ok() } else { None }
    }

    fn month(&mut self) -> Option<u8> {
        let month = month_of(self.text.as_bytes().get(self.at..)?)?;
        self.at += 3;
        Some(month)
    }

    fn day(&mut self) -> Option<u8> {
        self.ranged(1, 2, 31).filter(|&day| day > 0)
    }

    fn year(&mut self) -> Option<i16> {
        let from = self.at;
        let value = self.number(4, 4)?;
        (self.at - from == 4 && (1970..2200).contains(&value)).then_some(value as i16)
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }
}

/// Reads a stamp at the front of `text`; the number is how many bytes it takes. Understood are
/// `Aug  6 10:00:00`, with fraction, year before or after, weekday, zone name or offset;
/// `2026 Aug  6 10:00:00`; `2026-08-06T10:00:00.123Z` with a space or a month's name too.
#[inline]
pub(crate) fn read(text: &str) -> Option<(Stamp<'_>, usize)> {
    let mut stamp = Stamp::default();
    let bytes = text.as_bytes();
    let Some(mut len) = usual(bytes, &mut stamp) else {
        let word = bytes.first()?.is_ascii_alphabetic() && !begins_with_name(bytes);
        return if word { None } else { read_parts(text) };
    };
    match bytes[len..] {
        [b'.', ..] if let Some((micros, digits)) = usual_fraction(&bytes[len..]) => {
            (stamp.micros, stamp.cut) = (micros, digits > 6 + 1);
            len += digits;
        }
        [b':', b' ', ..] => {}
        [b'.' | b',' | b':', ..] => {
            let mut c = Cursor { text, at: len };
            fraction(&mut c, &mut stamp);
            len = c.at;
        }
        _ => {}
    }
    if let Some(zone) = ends_plainly(&bytes[len..], &mut stamp) {
        return Some((stamp, len + zone));
    }
    let mut c = Cursor { text, at: len };
    zone(&mut c, &mut stamp);
    Some((stamp, c.at))
}

/// What `read` gives of the form of RFC 3339 with a zone in figures that ends plainly, its parts in whole
/// words; `None` for anything else.
#[inline]
pub(crate) fn internet(text: &str) -> Option<(Stamp<'_>, usize)> {
    let bytes = text.as_bytes();
    let (words, _) = bytes.first_chunk::<24>()?.as_chunks::<8>();
    let [century, _, year, _, _, month, ..] = digits(&words[0], b"0000-00-")?;
    let [day, _, _, hour, _, _, minute, _] = digits(&words[1], b"00T00:00")?;
    let [b':', tens, ones, mark, ..] = words[2] else { return None };
    let (year, second) = (u16::from(century) * 100 + u16::from(year), two_digits(tens, ones)?);
    let fits = (1970..2200).contains(&year)
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && (hour <= 23 && minute <= 59 && second <= 60);
    let (micros, len) = match mark {
        _ if !fits => return None,
        b'.' => usual_fraction(&bytes[19..])?,
        b'Z' | b'+' | b'-' => (0, 0),
        _ => return None,
    };
    let year = Some(year.cast_signed());
    let mut stamp = Stamp { year, month, day, hour, minute, second, micros, ..Stamp::default() };
    stamp.cut = len > 6 + 1;
    let zone = ends_plainly(&bytes[19 + len..], &mut stamp)?;
    stamp.offset.map(|_| (stamp, 19 + len + zone))
}

/// What `read` gives, part after part: for the forms that are rare.
fn read_parts(text: &str) -> Option<(Stamp<'_>, usize)> {
    let mut c = Cursor { text, at: 0 };
    let mut stamp = Stamp::default();
    match c.peek()? {
        b'0'..=b'9' if day_first(&c) => day_month_year(&mut c, &mut stamp)?,
        b'0'..=b'9' => {
            stamp.year = Some(c.year()?);
            match c.peek()? {
                b'-' | b'/' => iso_date(&mut c, &mut stamp)?,
                b' ' => {
                    c.spaces();
                    stamp.year_first = true;
                    month_day(&mut c, &mut stamp)?;
                }
                _ => return None,
            }
        }
        byte if byte.is_ascii_alphabetic() => {
            weekday(&mut c);
            month_day(&mut c, &mut stamp)?;
            let before_year = c.at;
            stamp.year = c.year().filter(|_| c.peek() == Some(b' '));
            if stamp.year.is_some() {
                c.spaces();
            } else {
                c.at = before_year;
            }
        }
        _ => return None,
    }
    clock(&mut c, &mut stamp)?;
    zone(&mut c, &mut stamp);
    Some((stamp, c.at))
}

/// What eight bytes say that have digits and marks in known places: the number of two digits stands
/// in the byte of the first of them.
#[inline]
fn digits(bytes: &[u8; 8], shape: &[u8; 8]) -> Option<[u8; 8]> {
    let (mut most, mut at) = ([0; 8], 0);
    while at < 8 {
        // What may be added to a byte until its highest bit stands.
        most[at] = if shape[at] == b'0' { 0x7f - 9 } else { 0x7f };
        at += 1;
    }
    let parts = u64::from_le_bytes(*bytes) ^ u64::from_le_bytes(*shape);
    let over = parts | parts.wrapping_add(u64::from_le_bytes(most));
    if over & 0x8080_8080_8080_8080 != 0 {
        return None;
    }
    Some((parts.wrapping_mul(10).wrapping_add(parts >> 8)).to_le_bytes())
}

/// The forms that nearly every stamp has, up to their seconds, where each part stands in a known
/// place: `Aug  6 10:00:00`, `Aug  6 2026 10:00:00`, `2026 Aug  6 10:00:00`, `2026-08-06T10:00:00`.
/// Anything odd is left to the readers of the parts.
#[inline]
fn usual(bytes: &[u8], stamp: &mut Stamp<'_>) -> Option<usize> {
    let at = match bytes.first()? {
        b'0'..=b'9' if matches!(bytes.get(4), Some(b'-' | b'/')) => usual_iso(bytes, stamp)?,
        b'0'..=b'9' => {
            stamp.year = Some(usual_year(bytes)?);
            stamp.year_first = true;
            5 + usual_day(&bytes[5..], stamp)?
        }
        _ => {
            let at = usual_day(bytes, stamp)?;
            match usual_year(&bytes[at..]) {
                Some(year) => {
                    stamp.year = Some(year);
                    at + 5
                }
                None => at,
            }
        }
    };
    let [hour, _, _, minute, _, _, second, _] =
        digits(bytes.get(at..)?.first_chunk()?, b"00:00:00")?;
    (stamp.hour, stamp.minute, stamp.second) = (hour, minute, second);
    let fits = hour <= 23
        && minute <= 59
        && second <= 60
        // No third digit behind it.
        && !bytes.get(at + 8).is_some_and(u8::is_ascii_digit);
    fits.then_some(at + 8)
}

/// `.123`, `.123456` and `.123456789`, no more digits and no counter behind them.
#[inline(always)]
fn usual_fraction(bytes: &[u8]) -> Option<(u32, usize)> {
    let [b'.', ..] = bytes else { return None };
    // Where fewer bytes follow, no text does.
    let eight = bytes[1..].first_chunk::<8>()?;
    let word = u64::from_le_bytes(*eight);
    let count = ((octets::no_digit(word) & octets::HIGH).trailing_zeros() / 8) as usize;
    let (count, behind) = match count {
        3 | 6 => (count, eight[count]),
        8 if bytes.get(9)?.is_ascii_digit() => (9, *bytes.get(10)?),
        _ => return None,
    };
    if behind == b'.' || behind.is_ascii_digit() {
        return None;
    }
    // Eight digits, those that are not there zeros in front.
    let ones = (word & 0x0f0f_0f0f_0f0f_0f0f) << (64 - 8 * count.min(6));
    let tens = (ones * 10 + (ones >> 8)) & 0x00ff_00ff_00ff_00ff;
    let hundreds = (tens * 100 + (tens >> 16)) & 0x0000_ffff_0000_ffff;
    let value = (hundreds * 10_000 + (hundreds >> 32)) as u32;
    Some((if count == 3 { value * 1000 } else { value }, count + 1))
}

/// `2026-08-06T`, `2026/08/06 `
#[inline]
fn usual_iso(bytes: &[u8], stamp: &mut Stamp<'_>) -> Option<usize> {
    let [century, _, year, _, _, month, ..] = match bytes.get(4)? {
        b'-' => digits(bytes.first_chunk()?, b"0000-00-")?,
        _ => digits(bytes.first_chunk()?, b"0000/00/")?,
    };
    let [tens, ones, b'T' | b' '] = *bytes[8..].first_chunk()? else { return None };
    let year = u16::from(century) * 100 + u16::from(year);
    let day = two_digits(tens, ones)?;
    stamp.year = i16::try_from(year).ok();
    (stamp.month, stamp.day) = (month, day);
    let fits = (1970..2200).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day);
    fits.then_some(11)
}

/// `2026 `
#[inline]
fn usual_year(bytes: &[u8]) -> Option<i16> {
    let [a, b, c, d, b' '] = *bytes.first_chunk()? else { return None };
    let year = i16::from(two_digits(a, b)?) * 100 + i16::from(two_digits(c, d)?);
    (1970..2200).contains(&year).then_some(year)
}

/// `Aug  6 ` and `Aug 6 `
#[inline]
fn usual_day(bytes: &[u8], stamp: &mut Stamp<'_>) -> Option<usize> {
    stamp.month = month_of(bytes)?;
    let (day, len) = match *bytes[3..].first_chunk()? {
        [b' ', tens, ones, b' '] => (two_digits(if tens == b' ' { b'0' } else { tens }, ones)?, 7),
        [b' ', ones, b' ', _] => (two_digits(b'0', ones)?, 6),
        _ => return None,
    };
    stamp.day = day;
    (1..=31).contains(&day).then_some(len)
}

#[inline]
fn two_digits(tens: u8, ones: u8) -> Option<u8> {
    let (tens, ones) = (tens.wrapping_sub(b'0'), ones.wrapping_sub(b'0'));
    (tens <= 9 && ones <= 9).then(|| tens * 10 + ones)
}

/// How long the zone is with which a usual stamp ends, `Z` or nothing, where a host in small letters
/// follows or a colon closes it: it can have no other.
#[inline(always)]
fn ends_plainly(bytes: &[u8], stamp: &mut Stamp<'_>) -> Option<usize> {
    let [first, second, ..] = bytes else { return None };
    match (first, second) {
        (b' ', b'a'..=b'z') | (b':', b' ') => Some(0),
        (b' ', b'U') if bytes.starts_with(b" UTC: ") => {
            stamp.zone = Some("UTC");
            Some(4)
        }
        (b'Z', b' ') if bytes.get(2)?.is_ascii_lowercase() => {
            stamp.offset = Some(0);
            Some(1)
        }
        (b'+' | b'-', _) => {
            let [hour, hours, b':', minute, minutes, b' ', b'a'..=b'z'] =
                *bytes[1..].first_chunk()?
            else {
                return None;
            };
            let (hours, minutes) = (two_digits(hour, hours)?, two_digits(minute, minutes)?);
            if hours > 15 || minutes > 59 {
                return None;
            }
            let seconds = i32::from(hours) * 3600 + i32::from(minutes) * 60;
            stamp.offset = Some(if *first == b'-' { -seconds } else { seconds });
            Some(6)
        }
        _ => None,
    }
}

/// BIND writes `06-Aug-2026`.
fn day_first(c: &Cursor<'_>) -> bool {
    let bytes = c.text.as_bytes();
    bytes.get(2) == Some(&b'-') && bytes.get(3).is_some_and(u8::is_ascii_alphabetic)
}

fn day_month_year(c: &mut Cursor<'_>, stamp: &mut Stamp<'_>) -> Option<()> {
    stamp.day = c.day()?;
    c.eat(b'-')?;
    stamp.month = c.month()?;
    c.eat(b'-')?;
    stamp.year = Some(c.year()?);
    stamp.day_first = true;
    (c.spaces() > 0).then_some(())
}

/// `2026-08-06`, `2026/08/06`, `2026-Aug- 6`.
fn iso_date(c: &mut Cursor<'_>, stamp: &mut Stamp<'_>) -> Option<()> {
    let between = c.peek()?;
    c.eat(between)?;
    if c.peek()?.is_ascii_digit() {
        stamp.month = c.ranged(1, 2, 12).filter(|&m| m > 0)?;
    } else {
        stamp.month = c.month()?;
    }
    c.eat(between)?;
    c.spaces();
    stamp.day = c.day()?;
    match c.peek()? {
        b'T' | b't' | b' ' => c.at += 1,
        _ => return None,
    }
    Some(())
}

fn month_day(c: &mut Cursor<'_>, stamp: &mut Stamp<'_>) -> Option<()> {
    stamp.month = c.month()?;
    (c.spaces() > 0).then_some(())?;
    stamp.day = c.day()?;
    (c.spaces() > 0).then_some(())
}

/// Skips `Thu ` or `Thu, `.
fn weekday(c: &mut Cursor<'_>) {
    let bytes = &c.text.as_bytes()[c.at..];
    if is_weekday(bytes) {
        let comma = usize::from(bytes.get(3) == Some(&b','));
        if bytes.get(3 + comma) == Some(&b' ') {
            c.at += 4 + comma;
        }
    }
}

fn clock(c: &mut Cursor<'_>, stamp: &mut Stamp<'_>) -> Option<()> {
    stamp.hour = c.ranged(1, 2, 23)?;
    c.eat(b':')?;
    stamp.minute = c.ranged(2, 2, 59)?;
    c.eat(b':')?;
    stamp.second = c.ranged(2, 2, 60)?;
    fraction(c, stamp);
    Some(())
}

fn fraction(c: &mut Cursor<'_>, stamp: &mut Stamp<'_>) {
    let digit_follows =
        |c: &Cursor<'_>| c.text.as_bytes().get(c.at + 1).is_some_and(u8::is_ascii_digit);
    if c.peek() == Some(b':') {
        return colon_millis(c, stamp);
    }
    if !matches!(c.peek(), Some(b'.' | b',')) || !digit_follows(c) {
        return;
    }
    c.at += 1;
    let mut unit = 100_000;
    while let Some(digit @ b'0'..=b'9') = c.peek() {
        stamp.micros += u32::from(digit - b'0') * unit;
        stamp.cut |= unit == 0;
        unit /= 10;
        c.at += 1;
    }
    // Huawei writes a counter behind the milliseconds: `01:00:34.270.1`.
    if c.peek() == Some(b'.') && digit_follows(c) {
        c.at += 1;
        while matches!(c.peek(), Some(b'0'..=b'9')) {
            c.at += 1;
        }
    }
}

/// Comware and the older VRP put a colon before the milliseconds: `17:28:50:524`.
fn colon_millis(c: &mut Cursor<'_>, stamp: &mut Stamp<'_>) {
    let digits = c.text.as_bytes().get(c.at + 1..c.at + 4);
    let Some(digits) = digits.filter(|digits| digits.iter().all(u8::is_ascii_digit)) else {
        return;
    };
    let ends = matches!(c.text.as_bytes().get(c.at + 4), None | Some(b' ' | b'+' | b'-'));
    if ends {
        stamp.micros = digits.iter().fold(0, |n, b| n * 10 + u32::from(b - b'0')) * 1000;
        c.at += 4;
    }
}

/// An offset at the time itself; else, behind a space, an offset, a zone's name, a year, in the
/// orders that devices use.
fn zone<'a>(c: &mut Cursor<'a>, stamp: &mut Stamp<'a>) {
    match c.peek() {
        Some(b'Z' | b'z') if ends_word(c, 1) => {
            c.at += 1;
            stamp.offset = Some(0);
        }
        Some(b'+' | b'-') => stamp.offset = offset(c),
        _ => {}
    }
    for _ in 0..2 {
        let back = *c;
        // Small letters begin a host: most stamps end so.
        if c.peek() != Some(b' ')
            || matches!(c.text.as_bytes().get(c.at + 1), Some(b'a'..=b'z'))
            || c.spaces() == 0
        {
            return;
        }
        let taken = match c.peek() {
            Some(b'0'..=b'9') => year_after(c, stamp),
            Some(b'+' | b'-') if stamp.offset.is_none() => {
                stamp.offset = offset(c).filter(|_| ends_word(c, 0));
                stamp.offset.is_some()
            }
            Some(b'A'..=b'Z') if stamp.zone.is_none() => zone_name(c, stamp),
            _ => false,
        };
        if !taken {
            *c = back;
            return;
        }
    }
}

fn year_after(c: &mut Cursor<'_>, stamp: &mut Stamp<'_>) -> bool {
    if stamp.year.is_some() {
        return false;
    }
    stamp.year = c.year().filter(|_| ends_word(c, 0));
    stamp.year.is_some()
}

/// A name is taken for a zone when it is one that we know, or when Cisco's mnemonic follows it.
fn zone_name<'a>(c: &mut Cursor<'a>, stamp: &mut Stamp<'a>) -> bool {
    let rest = c.rest();
    if rest.starts_with("UTC") || rest.starts_with("GMT") {
        let mut ahead = Cursor { at: c.at + 3, ..*c };
        if let Some(offset) = loose_offset(&mut ahead).filter(|_| ends_word(&ahead, 0)) {
            stamp.offset = stamp.offset.or(Some(offset));
            *c = ahead;
            return true;
        }
    }
    let len = rest.bytes().take(7).take_while(|b| b.is_ascii_alphanumeric() || *b == b'-').count();
    let name = &rest[..len];
    let behind = rest.as_bytes().get(len).copied();
    let closed = (2..=5).contains(&len)
        && name.bytes().all(|b| b.is_ascii_uppercase())
        && before_mnemonic(&rest[len..]);
    let known = || matches!(behind, Some(b' ' | b':') | None) && super::zone::is_known(name);
    if !(closed || known()) {
        return false;
    }
    // `DST` behind an offset belongs to it and says nothing more.
    if stamp.offset.is_none() {
        stamp.zone = Some(name);
    }
    c.at += len;
    true
}

/// `: %SYS-5-...`, or `: ifmgr[123]: %PKT_INFRA-...` as IOS-XR writes it.
fn before_mnemonic(text: &str) -> bool {
    let Some(behind) = text.strip_prefix(": ") else { return false };
    if behind.starts_with('%') {
        return true;
    }
    let front = &behind.as_bytes()[..behind.len().min(64)];
    memchr::memchr(b' ', front)
        .is_some_and(|at| at > 2 && &front[at - 2..at] == b"]:" && front.get(at + 1) == Some(&b'%'))
}

/// A colon ends a word when nothing of the word follows: `2001:db8::1` is no year.
fn ends_word(c: &Cursor<'_>, ahead: usize) -> bool {
    let rest = c.text.as_bytes().get(c.at + ahead..).unwrap_or_default();
    match rest.first() {
        None | Some(b' ' | b'\t' | b',' | b'"') => true,
        Some(b':') => matches!(rest.get(1), None | Some(b' ' | b'%')),
        _ => false,
    }
}

/// `+02:00`, `+0200`, `+02`; nothing is taken when it is none.
fn offset(c: &mut Cursor<'_>) -> Option<i32> {
    let back = c.at;
    let value = read_offset(c);
    if value.is_none() {
        c.at = back;
    }
    value
}

fn read_offset(c: &mut Cursor<'_>) -> Option<i32> {
    let sign = if c.peek()? == b'-' { -1 } else { 1 };
    c.at += 1;
    let from = c.at;
    let value = c.number(2, 4)?;
    let (hours, minutes) = match c.at - from {
        2 if c.peek() == Some(b':') => {
            c.at += 1;
            (value, c.number(2, 2)?)
        }
        2 => (value, 0),
        4 => (value / 100, value % 100),
        _ => return None,
    };
    if hours > 15 || minutes > 59 {
        return None;
    }
    i32::try_from(hours * 3600 + minutes * 60).ok().map(|seconds| sign * seconds)
}

/// `+2` beside what others may write, behind `UTC` and `GMT`.
fn loose_offset(c: &mut Cursor<'_>) -> Option<i32> {
    if let Some(offset) = offset(c) {
        return Some(offset);
    }
    let sign = match c.peek()? {
        b'-' => -1,
        b'+' => 1,
        _ => return None,
    };
    let digit = c.text.as_bytes().get(c.at + 1).filter(|b| b.is_ascii_digit())?;
    c.at += 2;
    Some(sign * i32::from(digit - b'0') * 3600)
}

/// An offset that is the whole text.
pub(crate) fn whole_offset(text: &str) -> Option<i32> {
    let mut c = Cursor { text, at: 0 };
    matches!(c.peek()?, b'+' | b'-').then_some(())?;
    read_offset(&mut c).filter(|_| c.at == text.len())
}

/// The month that a text begins with, in full or by three letters, and what stands behind it.
pub(crate) fn month_name(text: &str) -> Option<(u8, &str)> {
    let mut c = Cursor { text, at: 0 };
    let month = c.month()?;
    Some((month, c.rest().trim_start_matches(|letter: char| letter.is_ascii_alphabetic())))
}

/// `1w2d`, `3d04h`, `1y12w`, `00:01:01`: time since the device started. The number is its length.
pub(crate) fn read_uptime(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let len =
        bytes.iter().take(12).take_while(|b| b.is_ascii_digit() || b"ywdhm:.".contains(b)).count();
    // A colon that ends the word closes the stamp.
    let word = text[..len].trim_end_matches(':');
    let bytes = word.as_bytes();
    let clock = bytes.len() >= 8
        && bytes[2] == b':'
        && bytes[5] == b':'
        && [0, 1, 3, 4, 6, 7].iter().all(|&i| bytes[i].is_ascii_digit());
    let units = bytes.len() >= 4
        && bytes[0].is_ascii_digit()
        && !word.contains([':', '.'])
        && bytes.last().is_some_and(u8::is_ascii_alphabetic)
        && bytes.windows(2).all(|w| w[0].is_ascii_digit() || w[1].is_ascii_digit());
    (clock || units).then_some(word.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_are_read() {
        let check = |text: &str, expected: &str| {
            let got = read(text).map_or("none".to_owned(), |(s, len)| {
                format!(
                    "{:?}-{}-{} {}:{}:{}.{} {:?} {:?} |{}",
                    s.year,
                    s.month,
                    s.day,
                    s.hour,
                    s.minute,
                    s.second,
                    s.micros,
                    s.offset,
                    s.zone,
                    &text[len..]
                )
                .replace("Some(", "")
                .replace("None", "-")
                .replace(')', "")
            });
            assert_eq!(got, expected, "{text}");
        };
        check("Oct 11 22:14:15 mymachine su", "--10-11 22:14:15.0 - - | mymachine su");
        check("Jan  5 01:02:03 h", "--1-5 1:2:3.0 - - | h");
        check("Mar  1 00:01:01.123: %X", "--3-1 0:1:1.123000 - - |: %X");
        check("Aug  6 2026 10:00:00 h", "2026-8-6 10:0:0.0 - - | h");
        check("Aug  6 10:00:00 2026 h", "2026-8-6 10:0:0.0 - - | h");
        check("Aug 24 05:34:00 CST 1987 h", "1987-8-24 5:34:0.0 - \"CST\" | h");
        check("2026 Aug  6 10:00:00 UTC: %X", "2026-8-6 10:0:0.0 - \"UTC\" |: %X");
        check("May 31 15:25:53.743 MEST: %X", "--5-31 15:25:53.743000 - \"MEST\" |: %X");
        check("May 31 15:25:53 WONDER: %X", "--5-31 15:25:53.0 - - | WONDER: %X");
        check("Oct  4 22:52:47.441 : cfg", "--10-4 22:52:47.441000 - - | : cfg");
        check("2026-08-06T10:00:00.123456789Z h", "2026-8-6 10:0:0.123456 0 - | h");
        check("2026-08-06T10:00:00+02:00 h", "2026-8-6 10:0:0.0 7200 - | h");
        check("2026-08-06 10:00:00 -0330 h", "2026-8-6 10:0:0.0 -12600 - | h");
        check("2018-7-23 01:00:34.270.1 sw", "2018-7-23 1:0:34.270000 - - | sw");
        check("2018-Nov- 9 15:41:30 AR: x", "2018-11-9 15:41:30.0 - - | AR: x");
        check("Thu Aug  6 10:00:00 2026 h", "2026-8-6 10:0:0.0 - - | h");
        check("Aug  6 2026 10:00:00+08:00 DST h", "2026-8-6 10:0:0.0 28800 - | h");
        check("Apr 9 17:28:50:524 2004 sw", "2004-4-9 17:28:50.524000 - - | sw");
        check("Apr 9 17:28:50:52 sw", "--4-9 17:28:50.0 - - |:52 sw");
        check("06-Aug-2026 10:00:00.123 q", "2026-8-6 10:0:0.123000 - - | q");
        check("2026/08/06 10:00:00 h", "2026-8-6 10:0:0.0 - - | h");
        check("2002 SEP 12 13:52:12 PST -08:00: %X", "2002-9-12 13:52:12.0 -28800 \"PST\" |: %X");
        check("May 31 15:25:53 WIB: a[1]: %X", "--5-31 15:25:53.0 - \"WIB\" |: a[1]: %X");
        check("May 31 15:25:53 XYT: a[1]: X", "--5-31 15:25:53.0 - - | XYT: a[1]: X");
        check("Aug  6 10:00:00 UTC+02:00 h", "--8-6 10:0:0.0 7200 - | h");
        check("Aug  6 10:00:00 GMT-5: %X", "--8-6 10:0:0.0 -18000 - |: %X");
        check("Aug  6 10:00:00 UTC+x h", "--8-6 10:0:0.0 - - | UTC+x h");
        check("Aug  6 10:00:00 2001:db8::9 a", "--8-6 10:0:0.0 - - | 2001:db8::9 a");
        check("Aug 36 10:00:00 h", "none");
        check("Aug  6 24:00:00 h", "none");
        check("Foo  6 10:00:00 h", "none");
        check("Aug", "none");
        check("2026", "none");
        check("", "none");
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(20_000))]

        #[test]
        fn what_is_usual_is_read_alike(parts in proptest::collection::vec(proptest::sample::select(vec![
            "Aug", "jan", "FEB", "Thu ", " 6", "  6", " 06", " 31", " 32", " 0", " 2026", "2026", "1969", "2200",
            "-08-06", "-8-6", "-13-01", "-00-10", "-02-31", "T", " ", " 10:00:00", "10:59:60", "23:60:00", "24:00:00",
            "1:02:03", "10:00:000", ".123", ".1234567", ":524", ",5", "Z", "+02:00", " -0330", " UTC", " CEST:", ": %A",
            ": ", ":", "%", " host", " Host", " 192.0.2.1", "\u{fc}", " 2001:db8::1", "x",
        ]), 0..7)) {
            let text = parts.concat();
            proptest::prop_assert_eq!(read(&text), read_parts(&text), "{}", text);
        }

        #[test]
        fn stamps_of_the_internet_are_read_alike(parts in (
            "(19[67]|20[0-9]|2[12]0)[0-9]-[01][0-9]-[0-3][0-9]T", "[0-2][0-9]:[0-6][0-9]:[0-6][0-9]",
            proptest::sample::select(vec!["", ".", ".1", ".123", ".123456", ".123456789", ".1234567890", ".123.4", ",123", "1"]),
            proptest::sample::select(vec!["Z ", "z ", "+02:00 ", "-07:30 ", "+16:00 ", "+02:60 ", "+0200 ", "+02 ", " ", ": ", " UTC: "]),
            proptest::sample::select(vec!["host 1 2 3", "Host 1 2 3", "2026 host", "UTC host", "h", "192.0.2.1 a"]),
        )) {
            let text = [parts.0.as_str(), &parts.1, parts.2, parts.3, parts.4].concat();
            if let Some(found) = internet(&text) {
                proptest::prop_assert_eq!(Some(found), read_parts(&text), "{}", text);
            }
        }
    }

    #[test]
    fn uptimes_are_read() {
        let check = |text: &str, expected: Option<usize>| {
            assert_eq!(read_uptime(text), expected, "{text}");
        };
        check("00:01:01: %SYS", Some(8));
        check("1w2d: %SYS", Some(4));
        check("3d04h: %SYS", Some(5));
        check("12: %SYS", None);
        check("wwww", None);
        check("00:00", None);
    }
}
