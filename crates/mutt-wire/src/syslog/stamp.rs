//! Reads the time stamps of devices: the civil date and time that stand there and what is missing.

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

/// The month of which a text's first three letters are the name; 1 to 12.
#[inline]
fn month_of(bytes: &[u8]) -> Option<u8> {
    let name = bytes.first_chunk::<3>()?;
    Some(match &name.map(|letter| letter | 0x20) {
        b"jan" => 1,
        b"feb" => 2,
        b"mar" => 3,
        b"apr" => 4,
        b"may" => 5,
        b"jun" => 6,
        b"jul" => 7,
        b"aug" => 8,
        b"sep" => 9,
        b"oct" => 10,
        b"nov" => 11,
        b"dec" => 12,
        _ => return None,
    })
}

#[inline]
fn is_weekday(bytes: &[u8]) -> bool {
    let name = bytes.first_chunk::<3>().map(|name| name.map(|letter| letter | 0x20));
    matches!(name.as_ref(), Some(b"mon" | b"tue" | b"wed" | b"thu" | b"fri" | b"sat" | b"sun"))
}

/// True where the name of a month or of a weekday stands.
pub(crate) fn begins_with_name(bytes: &[u8]) -> bool {
    month_of(bytes).is_some() || is_weekday(bytes)
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
pub(crate) fn read(text: &str) -> Option<(Stamp<'_>, usize)> {
    let mut c = Cursor { text, at: 0 };
    let mut stamp = Stamp::default();
    if let Some(len) = usual(text.as_bytes(), &mut stamp) {
        c.at = len;
        let mut ends = ends_plainly(&text.as_bytes()[len..], &mut stamp);
        if ends.is_none() {
            fraction(&mut c, &mut stamp);
            ends = ends_plainly(&text.as_bytes()[c.at..], &mut stamp);
        }
        match ends {
            Some(zone) => c.at += zone,
            None => zone(&mut c, &mut stamp),
        }
        return Some((stamp, c.at));
    }
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

/// The two forms that nearly every stamp has, `Aug  6 10:00:00` and `2026-08-06T10:00:00`, up to their
/// seconds: their parts stand in known places. Anything odd is left to the readers of the parts.
#[inline]
fn usual(bytes: &[u8], stamp: &mut Stamp<'_>) -> Option<usize> {
    let two = |high: u8, low: u8| {
        let (high, low) = (high.wrapping_sub(b'0'), low.wrapping_sub(b'0'));
        // What is no digit is made too large for any part.
        if high > 9 || low > 9 { u8::MAX } else { high * 10 + low }
    };
    let len;
    let clock;
    match bytes.first()? {
        b'0'..=b'9' => {
            let date = bytes.first_chunk::<11>()?;
            let year = u16::from(two(date[0], date[1])) * 100 + u16::from(two(date[2], date[3]));
            if !(1970..2200).contains(&year)
                || two(date[2], date[3]) > 99
                || [date[4], date[7]] != [b'-'; 2]
                || !matches!(date[10], b'T' | b' ')
            {
                return None;
            }
            stamp.year = i16::try_from(year).ok();
            (stamp.month, stamp.day) = (two(date[5], date[6]), two(date[8], date[9]));
            clock = bytes[11..].first_chunk::<8>()?;
            len = 19;
        }
        b'A'..=b'Z' | b'a'..=b'z' => {
            let date = bytes.first_chunk::<7>()?;
            if [date[3], date[6]] != [b' '; 2] {
                return None;
            }
            stamp.month = month_of(date)?;
            let tens = if date[4] == b' ' { b'0' } else { date[4] };
            stamp.day = two(tens, date[5]);
            clock = bytes[7..].first_chunk::<8>()?;
            len = 15;
        }
        _ => return None,
    }
    stamp.hour = two(clock[0], clock[1]);
    stamp.minute = two(clock[3], clock[4]);
    stamp.second = two(clock[6], clock[7]);
    let fits = (1..=12).contains(&stamp.month)
        && (1..=31).contains(&stamp.day)
        && stamp.hour <= 23
        && stamp.minute <= 59
        && stamp.second <= 60
        && [clock[2], clock[5]] == [b':'; 2]
        // A year may stand where the clock is looked for, and a third digit behind it.
        && !bytes.get(len).is_some_and(u8::is_ascii_digit);
    if fits {
        return Some(len);
    }
    *stamp = Stamp::default();
    None
}

/// How long the zone is with which a usual stamp ends, `Z` or nothing, where a host in small letters
/// follows: it can have no other.
#[inline]
fn ends_plainly(bytes: &[u8], stamp: &mut Stamp<'_>) -> Option<usize> {
    match bytes {
        [b' ', b'a'..=b'z', ..] => Some(0),
        [b'Z', b' ', b'a'..=b'z', ..] => {
            stamp.offset = Some(0);
            Some(1)
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
    let known = matches!(behind, Some(b' ' | b':') | None) && super::zone::is_known(name);
    if !(closed || known) {
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
