//! What was sent, and what was promised. It is outside of what loses its power.

use std::collections::{HashMap, HashSet};

#[derive(Debug, Default)]
pub(crate) struct Book {
    /// Every genuine event that a request was begun for: id and body.
    pub(crate) sent: HashMap<String, Vec<u8>>,
    /// Ids of which a 200 was read.
    pub(crate) acknowledged: HashSet<String>,
    pub(crate) n_own_faults: usize,
    /// No answer to a request that may have been read.
    pub(crate) n_broken: usize,
    pub(crate) n_forged: usize,
    /// Answers that nobody should ever get.
    pub(crate) wrong: Vec<String>,
}

impl Book {
    pub(crate) fn note(&mut self, id: &str, is_forged: bool, status: u16) {
        match (is_forged, status) {
            (false, 200) => drop(self.acknowledged.insert(id.to_owned())),
            (true, 401) => self.n_forged += 1,
            (_, 503) => self.n_own_faults += 1,
            _ => self.wrong.push(format!("{status} for {id}")),
        }
    }
}
