//! The members of a JSON object as ranges over its text: looked up by key, taken out one by one, and
//! what is left written as the fields of an event.

use std::borrow::Cow;
use std::collections::HashMap;

use mutt_model::{Event, ParseStatus};

use super::record::FIELD_DEPTH_MAX;
use super::scan::{Fault, Kind, Repairs, Scanned, Scanner, unescape, write_clean};
use crate::text::push_json_str;

/// A text is itself, any other value its JSON.
pub(super) fn plain<'a>(value: &Scanned<'a>, repairs: &mut Repairs) -> Cow<'a, str> {
    if value.kind == Kind::Text {
        return unescape(value.raw, repairs);
    }
    let mut out = String::new();
    write_clean(value.raw, &mut out, repairs);
    Cow::Owned(out)
}

pub(super) fn note_repairs(event: &mut Event<'_>, repairs: Repairs) {
    if repairs.nul {
        event.note(ParseStatus::Partial, "nul replaced");
    }
    if repairs.not_unicode {
        event.note(ParseStatus::Partial, "invalid utf-8 replaced");
    }
}

/// Beyond so many members an index is kept: hashing is dear for the few that records have, and a
/// walk would be for those that somebody makes up.
const INDEXED_FROM: usize = 64;

struct Member<'a> {
    key: Cow<'a, str>,
    value: Scanned<'a>,
    taken: bool,
}

/// The members of a record, in order; of equal keys the last.
#[derive(Default)]
pub(super) struct Members<'a> {
    items: Vec<Member<'a>>,
    /// What tells most keys apart at a glance, in the order of the items.
    marks: Vec<u32>,
    /// A bit for each of the marks: most keys that are asked for are not here.
    here: u64,
    /// The places of all keys, once there are many.
    index: HashMap<Cow<'a, str>, usize>,
    pub(super) repairs: Repairs,
    pub(super) repeated: bool,
}

/// A key's length, its first, its middle and its last byte.
#[inline]
fn mark(key: &str) -> u32 {
    let bytes = key.as_bytes();
    let byte = |at: usize| bytes.get(at).copied().unwrap_or(0);
    let (middle, last) = (byte(bytes.len() / 2), byte(bytes.len().wrapping_sub(1)));
    u32::from_le_bytes([bytes.len() as u8, byte(0), middle, last])
}

/// One of 64 bits, by the mark.
fn bit(mark: u32) -> u64 {
    1 << (mark.wrapping_mul(0x9e37_79b1) >> 26)
}

impl<'a> Members<'a> {
    /// Of an object that was scanned before, or that nobody doubts: of another what stands before its
    /// fault.
    pub(super) fn read(object: &'a [u8]) -> Self {
        let mut members = Self::default();
        let _ = members.take_object(object);
        members
    }

    /// Of an object at the beginning of a text.
    ///
    /// # Errors
    ///
    /// Where the text is no object.
    pub(super) fn scan(object: &'a [u8]) -> Result<Self, Fault> {
        let mut members = Self::default();
        members.take_object(object)?;
        Ok(members)
    }

    fn take_object(&mut self, object: &'a [u8]) -> Result<(), Fault> {
        // As many as records usually have.
        self.items.reserve(16);
        self.marks.reserve(16);
        for member in Scanner::new(object).members() {
            let (key, value) = member?;
            let key = unescape(key, &mut self.repairs);
            match self.place(&key) {
                Some(at) => {
                    self.repeated = true;
                    self.items[at].value = value;
                }
                None => self.add(key, value),
            }
        }
        Ok(())
    }

    fn add(&mut self, key: Cow<'a, str>, value: Scanned<'a>) {
        if self.items.len() == INDEXED_FROM {
            let keys = self.items.iter().map(|item| item.key.clone());
            self.index = keys.zip(0..).collect();
        }
        if self.items.len() >= INDEXED_FROM {
            self.index.insert(key.clone(), self.items.len());
        }
        let mark = mark(&key);
        self.here |= bit(mark);
        self.marks.push(mark);
        self.items.push(Member { key, value, taken: false });
    }

    fn place(&self, key: &str) -> Option<usize> {
        let wanted = mark(key);
        if self.here & bit(wanted) == 0 {
            return None;
        }
        if self.items.len() > INDEXED_FROM {
            return self.index.get(key).copied();
        }
        let alike = self.marks.iter().enumerate().filter(|(_, mark)| **mark == wanted);
        alike.map(|(at, _)| at).find(|at| self.items[*at].key == key)
    }

    /// Adds what is not here yet.
    pub(super) fn merge(&mut self, other: Members<'a>) {
        self.repairs.nul |= other.repairs.nul;
        self.repairs.not_unicode |= other.repairs.not_unicode;
        self.repeated |= other.repeated;
        for item in other.items.into_iter().filter(|item| !item.taken) {
            if self.place(&item.key).is_none() {
                self.add(item.key, item.value);
            }
        }
    }

    /// Adds the members of an object's text, as far as they are not here yet.
    pub(super) fn merge_object(&mut self, object: &'a [u8]) {
        self.merge(Members::read(object));
    }

    /// A member that is not null.
    pub(super) fn peek(&self, key: &str) -> Option<Scanned<'a>> {
        let item = &self.items[self.place(key)?];
        (!item.taken && item.value.kind != Kind::Null).then_some(item.value)
    }

    /// Takes a member out, so that it is not among the fields.
    pub(super) fn remove(&mut self, key: &str) {
        if let Some(at) = self.place(key) {
            self.items[at].taken = true;
        }
    }

    /// A text that is not empty, left where it is.
    pub(super) fn text(&mut self, key: &str) -> Option<Cow<'a, str>> {
        let value = self.peek(key)?;
        let mut repairs = Repairs::default();
        let text = plain(&value, &mut repairs);
        let usable = matches!(value.kind, Kind::Text | Kind::Number) && !text.trim().is_empty();
        if !usable {
            return None;
        }
        self.repairs.nul |= repairs.nul;
        self.repairs.not_unicode |= repairs.not_unicode;
        Some(text)
    }

    /// The first of these that is there, with its key.
    pub(super) fn first<'k>(&mut self, keys: &[&'k str]) -> Option<(&'k str, Cow<'a, str>)> {
        keys.iter().find_map(|key| Some((*key, self.text(key)?)))
    }

    /// What was not taken, as one JSON object.
    pub(super) fn into_fields(self, deep: &mut bool) -> (Option<String>, Repairs) {
        let mut repairs = self.repairs;
        let left = || self.items.iter().filter(|item| !item.taken);
        let length = left().map(|item| item.key.len() + item.value.raw.len() + 4).sum::<usize>();
        if length == 0 {
            return (None, repairs);
        }
        let mut out = String::with_capacity(length + 2);
        out.push('{');
        for Member { key, value, .. } in left() {
            if out.len() > 1 {
                out.push(',');
            }
            push_json_str(&mut out, key);
            out.push(':');
            if value.depth > FIELD_DEPTH_MAX {
                *deep = true;
                push_json_str(&mut out, &String::from_utf8_lossy(value.raw));
            } else {
                write_clean(value.raw, &mut out, &mut repairs);
            }
        }
        out.push('}');
        (Some(out), repairs)
    }
}
