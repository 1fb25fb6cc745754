//! What stands between a figure and what is asked of it, as far as that is known; said where it was missed. The figures that
//! these sentences point to are measured in the same turns.

const REASONS: [(&str, &str); 5] = [
    (
        "connections: gatepost / L",
        "W is a bare insert. gatepost's own statement leaves out what is known, compares what comes again with what is stored, and \
         counts; W' / W is what that costs the same bare client, and L' is the limit with it. No more rows than connections can wait \
         for one commit, and W has 200 of them: on SQLite, W' is W in batches as large as so many connections let wait.",
    ),
    (
        "50 %: gatepost, p99",
        "Not the machine: a bare log at the same rate on the same disk is far below it. On SQLite commits wait where the log is copied \
         back: its last copy, made while nobody writes, syncs all that the copies before it left to the system. On Postgres it is not known.",
    ),
    (
        "gatepost / limit",
        "Each part of the limit was measured with both cores to itself. Here gatepost, its store, the senders and the handler share them: \
         the CPU per 1,000 events says how many fit.",
    ),
    (
        "a small transform",
        "A context of its own for each event, and a body read and written by QuickJS: `the engine alone` is what these take without \
         gatepost. gatepost also writes the body before the program sees it, to tell whether the program changed it.",
    ),
    (
        "stored: acknowledged, of the empty store's",
        "Not told apart: the disk after it was filled, the larger indexes, gatepost. `claimed, of the empty store's` beside it is by a bare \
         client in which nothing of gatepost runs.",
    ),
];

/// For a figure that was missed.
pub fn reason(figure: &str) -> &'static str {
    let known = REASONS.iter().find(|(part, _)| figure.contains(part));
    known.map_or("Not known.", |(_, reason)| reason)
}
