//! Undoes what happened to names since their directory was synced: `entries` of the shim's journal.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use rand::{Rng, rngs::StdRng};

use crate::loss::Extent;

#[derive(Debug)]
enum Entry {
    Create(PathBuf),
    MakeDirectory(PathBuf),
    /// With another link to the file that was removed.
    Unlink(PathBuf, PathBuf),
    Rename {
        from: PathBuf,
        to: PathBuf,
        /// Another link to what stood at `to`.
        replaced: Option<PathBuf>,
        inode: u64,
    },
}

/// Says how many were undone.
pub(crate) fn undo(journal: &Path, extent: Extent, random: &mut StdRng) -> usize {
    let text = fs::read(journal.join("entries")).unwrap_or_default();
    let mut entries = Vec::new();
    // Up to where each directory was synced.
    let mut synced: BTreeMap<PathBuf, usize> = BTreeMap::new();
    let mut position = 0;
    for line in String::from_utf8_lossy(&text).split_inclusive('\n') {
        let start = position;
        position += line.len();
        // Cut in the middle of being written: it was not acted on.
        let Some(line) = line.strip_suffix('\n') else {
            break;
        };
        let fields: Vec<&str> = line.split('\t').collect();
        let entry = match fields[..] {
            ["create", path] => Entry::Create(path.into()),
            ["mkdir", path] => Entry::MakeDirectory(path.into()),
            ["unlink", path, saved] => Entry::Unlink(path.into(), saved.into()),
            ["rename", from, to, saved, inode] => Entry::Rename {
                from: from.into(),
                to: to.into(),
                replaced: (saved != "-").then(|| saved.into()),
                inode: inode.parse().unwrap(),
            },
            ["sync", directory, up_to] => {
                synced.insert(directory.trim_end_matches('/').into(), up_to.parse().unwrap());
                continue;
            }
            _ => panic!("not a line of the shim's: `{line}`"),
        };
        entries.push((start, entry));
    }
    let mut lost: Vec<(PathBuf, Entry)> = entries
        .into_iter()
        .map(|(start, entry)| (start, entry.directory(), entry))
        .filter(|(start, directory, _)| synced.get(directory).is_none_or(|up_to| start >= up_to))
        .map(|(_, directory, entry)| (directory, entry))
        .collect();
    if matches!(extent, Extent::Torn { .. }) {
        spare_first(&mut lost, random);
    }
    for (_, entry) in lost.iter().rev() {
        entry.undo();
    }
    lost.len()
}

/// File systems write down names in order: in each directory, those survive that were changed first.
fn spare_first(lost: &mut Vec<(PathBuf, Entry)>, random: &mut StdRng) {
    let mut n_lost: BTreeMap<PathBuf, usize> = BTreeMap::new();
    for (directory, _) in lost.iter() {
        *n_lost.entry(directory.clone()).or_default() += 1;
    }
    let mut n_spared = n_lost;
    for n in n_spared.values_mut() {
        *n = random.random_range(0..=*n);
    }
    lost.retain(|(directory, _)| {
        let left = n_spared.get_mut(directory).unwrap();
        let is_spared = *left > 0;
        *left = left.saturating_sub(1);
        !is_spared
    });
}

impl Entry {
    fn directory(&self) -> PathBuf {
        let path = match self {
            Self::Create(path) | Self::MakeDirectory(path) | Self::Unlink(path, _) => path,
            Self::Rename { to, .. } => to,
        };
        path.parent().unwrap().to_owned()
    }

    /// It may never have happened: the process died between the note and the act.
    fn undo(&self) {
        match self {
            Self::Create(path) => drop(fs::remove_file(path)),
            Self::MakeDirectory(path) => drop(fs::remove_dir_all(path)),
            Self::Unlink(path, saved) => {
                // Its directory may be lost as well.
                if path.parent().is_some_and(Path::exists) {
                    fs::rename(saved, path).unwrap();
                }
            }
            Self::Rename {
                from,
                to,
                replaced,
                inode,
            } => {
                if fs::metadata(to).is_ok_and(|it| it.ino() == *inode) {
                    fs::rename(to, from).unwrap();
                    if let Some(saved) = replaced {
                        fs::rename(saved, to).unwrap();
                    }
                }
            }
        }
    }
}
