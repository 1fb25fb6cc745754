//! What was promised, on disk: a line for each acknowledgement that was read from a socket, flushed in groups.

use std::{
    fs::File,
    io::Write,
    path::Path,
    sync::mpsc::{Receiver, Sender, channel},
    thread::JoinHandle,
};

#[derive(Debug)]
pub(crate) struct Journal {
    lines: Sender<String>,
    writer: JoinHandle<u64>,
}

impl Journal {
    pub(crate) fn create(path: &Path) -> Self {
        let file = File::create(path).unwrap();
        let (lines, received) = channel();
        let writer = std::thread::spawn(move || write(file, &received));
        Self { lines, writer }
    }

    pub(crate) fn handle(&self) -> Sender<String> {
        self.lines.clone()
    }

    /// How many lines it holds, all of them on disk.
    pub(crate) fn finish(self) -> u64 {
        drop(self.lines);
        self.writer.join().unwrap()
    }
}

fn write(mut file: File, received: &Receiver<String>) -> u64 {
    let mut n_lines = 0;
    while let Ok(first) = received.recv() {
        // While one group is flushed, the next one gathers.
        let mut group = first;
        n_lines += 1;
        for line in received.try_iter() {
            group.push_str(&line);
            n_lines += 1;
        }
        file.write_all(group.as_bytes()).unwrap();
        file.sync_data().unwrap();
    }
    n_lines
}
