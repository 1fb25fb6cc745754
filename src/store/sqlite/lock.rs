//! One process for one file.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{Read, Seek, Write},
    path::{Path, PathBuf},
};

use crate::store::error::StoreError;

/// Held for as long as the store is open; the operating system lets go of it however the process ends.
#[derive(Debug)]
pub(super) struct FileLock(File);

impl FileLock {
    pub(super) fn take(database: &Path) -> Result<Self, StoreError> {
        let path = lock_path(database);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(|error| unusable(&path, &error))?;
        match file.try_lock() {
            Ok(()) => (),
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                // The number only helps the operator; without it the message stands as well.
                let _ = file.read_to_string(&mut holder);
                return Err(StoreError::Unusable {
                    reason: format!(
                        "`{}` is in use by another process ({})",
                        database.display(),
                        holder.trim()
                    ),
                    hint: "stop that one first, or give this one a file of its own; for several processes use Postgres"
                        .to_owned(),
                });
            }
            Err(TryLockError::Error(error)) => return Err(unusable(&path, &error)),
        }
        let text = format!("process {}\n", std::process::id());
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| file.write_all(text.as_bytes()))
            .map_err(|error| unusable(&path, &error))?;
        Ok(Self(file))
    }
}

impl Drop for FileLock {
    fn drop(&mut self) {
        // Closing the file does the same; nothing is left to do if this fails.
        let _ = self.0.unlock();
    }
}

fn lock_path(database: &Path) -> PathBuf {
    let mut path = database.as_os_str().to_owned();
    path.push(".lock");
    path.into()
}

fn unusable(path: &Path, error: &std::io::Error) -> StoreError {
    StoreError::Unusable {
        reason: format!("the lock file `{}`: {error}", path.display()),
        hint: "check that its directory may be written by this user".to_owned(),
    }
}
