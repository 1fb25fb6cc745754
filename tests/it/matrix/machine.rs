//! What the kernel says of a process.

/// A line of its status, in bytes: `VmSize`, `VmRSS`.
pub(crate) fn memory(process: u32, name: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find(|it| it.starts_with(name)).unwrap();
    let n_kib: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    n_kib << 10
}

/// User and system time, in hundredths of a second.
pub(crate) fn cpu_ticks(process: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    let (_, fields) = stat.rsplit_once(')').unwrap();
    let fields: Vec<_> = fields.split_whitespace().collect();
    [11, 12]
        .iter()
        .map(|it| fields[*it].parse::<u64>().unwrap())
        .sum()
}

/// Open file descriptors.
pub(crate) fn descriptors(process: u32) -> usize {
    std::fs::read_dir(format!("/proc/{process}/fd")).unwrap().count()
}
