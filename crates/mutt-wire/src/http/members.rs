//! The members of a JSON object as ranges over its text: looked up by key, taken out one by one, and
//! what is left written as the fields of an event.

use std::borrow::Cow;
use std::collections::HashMap;

use mutt_model::{Event, ParseStatus};

use super::record::FIELD_DEPTH_MAX;
use super::scan::{Kind, Repairs, Scanned, Scanner, unescape, write_clean, write_text};

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

/// The members of a record, in order; of equal keys the last.
#[derive(Default)]
pub(super) struct Members<'a> {
    items: Vec<Option<(Cow<'a, str>, Scanned<'a>)>>,
    index: HashMap<Cow<'a, str>, usize>,
    pub(super) repairs: Repairs,
    pub(super) repeated: bool,
}

impl<'a> Members<'a> {
    /// Of an object that was scanned before.
    pub(super) fn read(object: &'a [u8]) -> Self {
        let mut members = Self::default();
        let mut scanner = Scanner::new(object);
        scanner.take(b'{');
        loop {
            scanner.skip_space();
            // The object was scanned before: what fails here is its end.
            let Ok(key) = scanner.key() else { return members };
            let Ok(value) = scanner.value() else { return members };
            let key = unescape(key, &mut members.repairs);
            match members.index.get(&key) {
                Some(at) => {
                    members.repeated = true;
                    members.items[*at] = Some((key, value));
                }
                None => members.add(key, value),
            }
            scanner.skip_space();
            if !scanner.take(b',') {
                return members;
            }
        }
    }

    fn add(&mut self, key: Cow<'a, str>, value: Scanned<'a>) {
        self.index.insert(key.clone(), self.items.len());
        self.items.push(Some((key, value)));
    }

    /// Adds what is not here yet.
    pub(super) fn merge(&mut self, other: Members<'a>) {
        self.repairs.nul |= other.repairs.nul;
        self.repairs.not_unicode |= other.repairs.not_unicode;
        self.repeated |= other.repeated;
        for (key, value) in other.items.into_iter().flatten() {
            if !self.index.contains_key(&key) {
                self.add(key, value);
            }
        }
    }

    /// Adds the members of an object's text, as far as they are not here yet.
    pub(super) fn merge_object(&mut self, object: &'a [u8]) {
        self.merge(Members::read(object));
    }

    /// A member that is not null.
    pub(super) fn peek(&self, key: &str) -> Option<Scanned<'a>> {
        let item = self.items.get(*self.index.get(key)?)?.as_ref()?;
        (item.1.kind != Kind::Null).then_some(item.1)
    }

    /// Takes a member out, so that it is not among the fields.
    pub(super) fn remove(&mut self, key: &str) {
        if let Some(item) = self.index.get(key).and_then(|at| self.items.get_mut(*at)) {
            *item = None;
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
        let mut out = String::from("{");
        for (key, value) in self.items.into_iter().flatten() {
            if out.len() > 1 {
                out.push(',');
            }
            write_text(&key, &mut out);
            out.push(':');
            if value.depth > FIELD_DEPTH_MAX {
                *deep = true;
                write_text(&String::from_utf8_lossy(value.raw), &mut out);
            } else {
                write_clean(value.raw, &mut out, &mut repairs);
            }
        }
        out.push('}');
        ((out.len() > 2).then_some(out), repairs)
    }
}
