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
}

const MONTHS: [&[u8; 3]; 12] = [
    b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov", b"dec",
];

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
        let bytes = self.text.as_bytes().get(self.at..self.at + 3)?;
        let low = [bytes[0] | 0x20, bytes[1] | 0x20, bytes[2] | 0x20];
        let found = MONTHS.iter().position(|m| **m == low)?;
        self.at += 3;
        u8::try_from(found + 1).ok()
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
    match c.peek()? {
        b'0'..=b'9' => {
            stamp.year = Some(c.year()?);
            match c.peek()? {
                b'-' => iso_date(&mut c, &mut stamp)?,
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

fn iso_date(c: &mut Cursor<'_>, stamp: &mut Stamp<'_>) -> Option<()> {
    c.eat(b'-')?;
    if c.peek()?.is_ascii_digit() {
        stamp.month = c.ranged(1, 2, 12).filter(|&m| m > 0)?;
    } else {
        stamp.month = c.month()?;
    }
    c.eat(b'-')?;
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
    let Some(name) = bytes.get(..3) else { return };
    let low = [name[0] | 0x20, name[1] | 0x20, name[2] | 0x20];
    let days = [b"mon", b"tue", b"wed", b"thu", b"fri", b"sat", b"sun"];
    if days.contains(&&low) {
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
        if c.spaces() == 0 {
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
    let len = rest.bytes().take(7).take_while(|b| b.is_ascii_alphanumeric() || *b == b'-').count();
    let name = &rest[..len];
    let behind = rest.as_bytes().get(len).copied();
    let closed = rest[len..].starts_with(": %")
        && (2..=5).contains(&len)
        && name.bytes().all(|b| b.is_ascii_uppercase());
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

fn ends_word(c: &Cursor<'_>, ahead: usize) -> bool {
    matches!(c.text.as_bytes().get(c.at + ahead), None | Some(b' ' | b':' | b'\t' | b',' | b'"'))
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
