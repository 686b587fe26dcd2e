//! The entries of a mapping: a sorted list, since most mappings of a Compose file have a handful of entries.

use smol_str::SmolStr;

use crate::node::Node;
use crate::source::Span;

/// The text of a key. Short ones, as nearly all are, need no memory beside the entry.
pub(crate) type Key = SmolStr;

/// Up to how many entries a map that grows has no room to spare.
const SMALL: usize = 8;

/// One entry of a mapping.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    /// Where the key stands.
    pub(crate) key: Span,
    /// The value.
    pub(crate) node: Node,
}

/// Entries by key. The format gives their order no meaning, so they are kept sorted.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Map {
    entries: Vec<(Key, Entry)>,
}

impl Map {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// A map of entries in any order; of entries with the same key the last one counts.
    pub(crate) fn from_pairs(mut entries: Vec<(Key, Entry)>) -> Self {
        if !entries.is_sorted_by(|(a, _), (b, _)| a < b) {
            // The sort is stable, so that the last one of a key comes last, and first once reversed.
            entries.reverse();
            entries.sort_by(|(a, _), (b, _)| a.cmp(b));
            entries.dedup_by(|(a, _), (b, _)| a == b);
        }
        entries.shrink_to_fit();
        Self { entries }
    }

    fn find(&self, key: &str) -> Result<usize, usize> {
        match self.entries.last() {
            // What is built in order is appended.
            Some((last, _)) if last.as_str() < key => Err(self.entries.len()),
            _ => self.entries.binary_search_by(|(known, _)| known.as_str().cmp(key)),
        }
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Entry> {
        self.find(key).ok().map(|index| &self.entries[index].1)
    }

    pub(crate) fn get_mut(&mut self, key: &str) -> Option<&mut Entry> {
        self.find(key).ok().map(|index| &mut self.entries[index].1)
    }

    pub(crate) fn contains_key(&self, key: &str) -> bool {
        self.find(key).is_ok()
    }

    pub(crate) fn insert(&mut self, key: impl Into<Key>, entry: Entry) {
        let key = key.into();
        match self.find(&key) {
            Ok(index) => self.entries[index].1 = entry,
            Err(index) => self.insert_at(index, key, entry),
        }
    }

    fn insert_at(&mut self, index: usize, key: Key, entry: Entry) {
        // What is made entry by entry mostly stays small, and there are many such maps: no room is kept in them.
        if self.entries.len() < SMALL {
            self.entries.reserve_exact(1);
        }
        self.entries.insert(index, (key, entry));
    }

    /// Adds an entry unless the key is there.
    pub(crate) fn insert_new(&mut self, key: impl Into<Key>, entry: Entry) {
        let key = key.into();
        if let Err(index) = self.find(&key) {
            self.insert_at(index, key, entry);
        }
    }

    pub(crate) fn remove(&mut self, key: &str) -> Option<Entry> {
        self.find(key).ok().map(|index| self.entries.remove(index).1)
    }

    /// Keeps the entries that are to stay.
    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&str, &mut Entry) -> bool) {
        self.entries.retain_mut(|(key, entry)| keep(key, entry));
    }

    /// Takes over the entries of another map; `both` decides what becomes of two with the same key.
    pub(crate) fn merge(&mut self, other: Self, mut both: impl FnMut(&str, Entry, Entry) -> Entry) {
        let mut merged = Vec::with_capacity(self.entries.len() + other.entries.len());
        let mut later = other.entries.into_iter().peekable();
        for (key, entry) in std::mem::take(&mut self.entries) {
            while let Some(new) = later.next_if(|(other, _)| *other < key) {
                merged.push(new);
            }
            match later.next_if(|(other, _)| *other == key) {
                Some((_, over)) => {
                    let entry = both(&key, entry, over);
                    merged.push((key, entry));
                }
                None => merged.push((key, entry)),
            }
        }
        merged.extend(later);
        self.entries = merged;
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &str> + Clone {
        self.entries.iter().map(|(key, _)| key.as_str())
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Entry)> {
        self.entries.iter().map(|(key, entry)| (key.as_str(), entry))
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (&str, &mut Entry)> {
        self.entries.iter_mut().map(|(key, entry)| (key.as_str(), entry))
    }

    /// The entries themselves, in order.
    pub(crate) fn as_mut_slice(&mut self) -> &mut [(Key, Entry)] {
        &mut self.entries
    }

    /// The entries themselves, in order.
    pub(crate) fn into_entries(self) -> Vec<(Key, Entry)> {
        self.entries
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::node::Value;
    use crate::source::Sources;

    fn entry(number: i64) -> Entry {
        let file = Sources::default().add(Path::new("a"), String::new(), String::new());
        let span = Span { file, line: 1, column: 1, length: 1 };
        Entry { key: span, node: Node::new(Value::Int(number), span) }
    }

    fn shown(map: &Map) -> String {
        map.iter().map(|(key, entry)| format!("{key}{}", entry.node.as_int().unwrap_or(-1))).collect()
    }

    #[test]
    fn entries_are_sorted_and_the_last_of_a_key_counts() {
        let pairs = [("b", 1), ("a", 2), ("b", 3)].map(|(key, n)| (Key::new(key), entry(n)));
        let mut map = Map::from_pairs(pairs.into());
        assert_eq!(shown(&map), "a2b3");
        map.insert("ab", entry(4));
        map.insert("a", entry(5));
        map.insert_new("a", entry(6));
        assert_eq!(shown(&map), "a5ab4b3");
        assert!(map.remove("ab").is_some() && map.remove("x").is_none());
        assert_eq!(shown(&map), "a5b3");
    }

    #[test]
    fn maps_merge_in_order() {
        let map = |pairs: &[(&str, i64)]| {
            Map::from_pairs(pairs.iter().map(|(key, n)| (Key::new(key), entry(*n))).collect())
        };
        let mut base = map(&[("a", 1), ("c", 1), ("d", 1)]);
        base.merge(map(&[("b", 2), ("c", 2), ("e", 2)]), |_, _, over| over);
        assert_eq!(shown(&base), "a1b2c2d1e2");
    }
}
