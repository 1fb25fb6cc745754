//! The power loss: undoes what the shim saw written and never saw synced.

use std::{
    fs::{self, File},
    io::Write as _,
    ops::AddAssign,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use clap::ValueEnum;
use rand::{Rng, RngCore, rngs::StdRng, seq::IndexedRandom};

use crate::{entries, shim::Disk};

/// The unit that a disk writes whole or not at all.
const SECTOR: usize = 512;
/// Of a change in the shim's journal, before the bytes that it replaced.
const HEAD: usize = 32;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mode {
    /// Nothing unsynced survives.
    All,
    /// Each sector of each unsynced write survives or not, as the seed has it.
    Torn,
    /// Now this, now that.
    Mixed,
}

/// How much of what was never synced goes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Extent {
    All,
    Torn { survival: f64 },
}

impl Mode {
    pub(crate) fn extent(self, random: &mut StdRng) -> Extent {
        // Drawn in any case, so that what comes after is the same in every mode.
        let survival = *[0.05, 0.5, 0.5, 0.95].choose(random).unwrap();
        let is_torn = random.random_bool(0.7);
        match self {
            Self::All => Extent::All,
            Self::Torn => Extent::Torn { survival },
            Self::Mixed if is_torn => Extent::Torn { survival },
            Self::Mixed => Extent::All,
        }
    }
}

/// What went.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Loss {
    pub(crate) n_entries: usize,
    /// Sectors that were written and not synced.
    pub(crate) n_sectors: usize,
    pub(crate) n_forgotten: usize,
    /// Writes of which a part survived.
    pub(crate) n_torn: usize,
    /// Whether the main file was being written: SQLite does so in a checkpoint alone.
    pub(crate) is_in_checkpoint: bool,
}

impl AddAssign for Loss {
    fn add_assign(&mut self, other: Self) {
        self.n_entries += other.n_entries;
        self.n_sectors += other.n_sectors;
        self.n_forgotten += other.n_forgotten;
        self.n_torn += other.n_torn;
        self.is_in_checkpoint |= other.is_in_checkpoint;
    }
}

#[derive(Debug)]
struct Change {
    /// A write; else the file got the length `offset`.
    is_write: bool,
    offset: usize,
    length: usize,
    replaced: Vec<u8>,
    old_size: usize,
}

/// The process must be gone.
pub(crate) fn strike(disk: &Disk, extent: Extent, random: &mut StdRng) -> Loss {
    let mut loss = Loss {
        n_entries: entries::undo(&disk.journal, extent, random),
        ..Loss::default()
    };
    for path in files(&disk.directory) {
        if path.to_string_lossy().ends_with("-shm") {
            scramble(&path, random);
            continue;
        }
        let inode = fs::metadata(&path).unwrap().ino();
        let journal = fs::read(disk.journal.join(inode.to_string())).unwrap_or_default();
        let changes = changes(&journal);
        if changes.is_empty() {
            continue;
        }
        let mut image = fs::read(&path).unwrap();
        loss += forget(&mut image, &changes, extent, random);
        loss.is_in_checkpoint |= path.extension().is_some_and(|it| it == "db");
        fs::write(&path, image).unwrap();
    }
    disk.forget_journal();
    loss
}

/// In a fixed order, because each takes its share of the random numbers.
fn files(directory: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|it| it.unwrap().path())
        .collect();
    paths.sort();
    paths
        .into_iter()
        .flat_map(|it| if it.is_dir() { files(&it) } else { vec![it] })
        .collect()
}

/// Shared memory that happens to lie in a file: nobody may count on what a power loss leaves of it.
fn scramble(path: &Path, random: &mut StdRng) {
    if random.random_bool(0.5) {
        fs::remove_file(path).unwrap();
        return;
    }
    let mut noise = vec![0; random.random_range(0..40_000)];
    random.fill_bytes(&mut noise);
    File::create(path).unwrap().write_all(&noise).unwrap();
}

/// Those since the last sync, the first one first.
fn changes(journal: &[u8]) -> Vec<Change> {
    let mut changes = Vec::new();
    let mut durable = 0;
    let mut at = 0;
    while let Some(head) = journal.get(at..at + HEAD) {
        let small = |at: usize| u32::from_le_bytes(head[at..at + 4].try_into().unwrap());
        let large = |at: usize| usize::from_le_bytes(head[at..at + 8].try_into().unwrap());
        let (kind, n_replaced, offset) = (small(0), small(4) as usize, large(8));
        // Cut in the middle of being written: the change was not made.
        let Some(replaced) = journal.get(at + HEAD..at + HEAD + n_replaced) else {
            break;
        };
        if kind == u32::from(b'S') {
            durable = offset;
        } else {
            changes.push((
                at,
                Change {
                    is_write: kind == u32::from(b'W'),
                    offset,
                    length: large(16),
                    replaced: replaced.to_vec(),
                    old_size: large(24),
                },
            ));
        }
        at += HEAD + n_replaced;
    }
    changes.retain(|(at, _)| *at >= durable);
    changes.into_iter().map(|(_, it)| it).collect()
}

/// Takes the changes back, the last one first, which leaves what was synced; then lets come back what survives.
fn forget(image: &mut Vec<u8>, changes: &[Change], extent: Extent, random: &mut StdRng) -> Loss {
    let mut largest = image.len();
    let mut written = Vec::with_capacity(changes.len());
    for change in changes.iter().rev() {
        let end = (change.offset + change.length).min(image.len());
        let bytes = if change.is_write {
            image.get(change.offset..end).unwrap_or_default().to_vec()
        } else {
            Vec::new()
        };
        written.push(bytes);
        largest = largest.max(image.len());
        image.resize(change.old_size, 0);
        image[change.offset.min(change.old_size)..][..change.replaced.len()]
            .copy_from_slice(&change.replaced);
    }
    let synced_size = image.len();
    let mut loss = Loss::default();
    for (change, bytes) in changes.iter().zip(written.into_iter().rev()) {
        let mut survives = || match extent {
            Extent::All => false,
            Extent::Torn { survival } => random.random_bool(survival),
        };
        if !change.is_write {
            if survives() {
                image.resize(change.offset, 0);
            }
            continue;
        }
        let (mut n_sectors, mut n_forgotten) = (0, 0);
        let mut at = change.offset;
        let end = at + bytes.len();
        while at < end {
            let next = ((at / SECTOR + 1) * SECTOR).min(end);
            n_sectors += 1;
            if survives() {
                image.resize(image.len().max(next), 0);
                image[at..next].copy_from_slice(&bytes[at - change.offset..next - change.offset]);
            } else {
                n_forgotten += 1;
            }
            at = next;
        }
        loss.n_sectors += n_sectors;
        loss.n_forgotten += n_forgotten;
        loss.n_torn += usize::from(n_forgotten > 0 && n_forgotten < n_sectors);
    }
    if matches!(extent, Extent::Torn { .. }) {
        tear_size(image, synced_size, largest, random);
    }
    loss
}

/// The length is written apart from the bytes: some of them may lie beyond it, or zeros before it.
fn tear_size(image: &mut Vec<u8>, synced: usize, largest: usize, random: &mut StdRng) {
    match random.random_range(0..3) {
        0 if image.len() > synced => image.truncate(random.random_range(synced..=image.len())),
        1 if image.len() < largest => image.resize(random.random_range(image.len()..=largest), 0),
        _ => (),
    }
}
