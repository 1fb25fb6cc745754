//! The life of one store: it is made, loses its power again and again, and is looked at each time.

use std::{
    path::Path,
    sync::Mutex,
    thread,
    time::{Duration, Instant},
};

use rand::{SeedableRng, rngs::StdRng};

use crate::{
    book::Book,
    campaign::{CYCLES_OF_A_LIFE, LYING_DISK, Orders},
    check::{self, Fault},
    loss::{self, Loss},
    plan::{Moment, Plan},
    process::{Addresses, Process, ask},
    rows,
    sender::Sender,
    shim::Shim,
    site::Site,
};

const N_SENDERS: usize = 12;
/// How long a call may take to come at which the process is to die; then it dies anyway.
const PATIENCE: Duration = Duration::from_millis(1500);
/// Past the 64 MiB from which on the writer itself copies the log back.
const SWOLLEN: u64 = 66 << 20;
const MAX_SWELLING: Duration = Duration::from_secs(8);

#[derive(Debug)]
pub(crate) struct Life<'a> {
    orders: &'a Orders,
    gatepost: &'a Path,
    site: Site,
    senders: Vec<Sender>,
    pub(crate) book: Mutex<Book>,
    is_first: bool,
}

/// Of one start, the load after it, and its end.
#[derive(Debug, Default)]
pub(crate) struct Cycle {
    pub(crate) faults: Vec<Fault>,
    pub(crate) loss: Loss,
    /// When the power went.
    pub(crate) log_size: u64,
    /// From the start to the first 200, where it came to that.
    pub(crate) recovery: Option<Duration>,
}

impl<'a> Life<'a> {
    pub(crate) fn begin(shim: &Shim, orders: &'a Orders, gatepost: &'a Path, number: u64) -> Self {
        let seed = orders.seed_of(number);
        Self {
            orders,
            gatepost,
            site: Site::make(shim),
            senders: (0..N_SENDERS).map(|it| Sender::new(seed, it)).collect(),
            book: Mutex::default(),
            is_first: true,
        }
    }

    /// Leaves the files where they are.
    pub(crate) fn keep(&mut self) -> &Path {
        self.site.keep()
    }

    /// Starts on what the last loss left, looks at it, works, and loses power.
    pub(crate) fn cycle(&mut self, number: u64) -> Cycle {
        let mut random = StdRng::seed_from_u64(self.orders.seed_of(number));
        let is_last = (number + 1).is_multiple_of(CYCLES_OF_A_LIFE);
        let plan = Plan::draw(&mut random, self.is_first, is_last);
        let extent = self.orders.mode.extent(&mut random);
        self.is_first = false;
        for sender in &mut self.senders {
            sender.is_heavy = plan.is_heavy;
        }
        let mut cycle = Cycle::default();
        if let Some(call) = plan.dies_before {
            let before = Moment::Start(call);
            if let Some((process, _)) = &mut self.start(Some(&before), &mut cycle) {
                process.kill();
            }
            self.site.disk.disarm();
        }
        let mut process = self.start(Some(&plan.moment), &mut cycle);

        if let Some((process, addresses)) = &mut process {
            self.work(process, *addresses, &plan.moment);
            if !process.was_killed() && !matches!(plan.moment, Moment::Stop { .. }) {
                cycle.faults.push(Fault::DoesNotStart(process.said()));
            }
        }
        drop(process);
        cycle.log_size = self.site.log_size();
        cycle.loss = loss::strike(&self.site.disk, extent, &mut random);
        if self.orders.keep {
            self.site.copy();
        }
        cycle
    }

    /// Looks at what the last loss left, and ends in order.
    pub(crate) fn end(&mut self) -> Cycle {
        let mut cycle = Cycle::default();
        if let Some((mut process, _)) = self.start(None, &mut cycle) {
            process.terminate();
            if !process.ended().success() {
                cycle.faults.push(Fault::Wrong(process.said()));
            }
        }
        cycle
    }

    /// Starts, and looks at the store as soon as there was a 200. `None`: it died on the way, or should have.
    fn start(&mut self, moment: Option<&Moment>, cycle: &mut Cycle) -> Option<(Process, Addresses)> {
        let mut command = self.site.command(self.gatepost);
        match &self.orders.flaw {
            Some(flaw) if flaw == LYING_DISK => command.env("AMNESIA_LIES", "gatepost.db"),
            Some(flaw) => command.env("GATEPOST_TRIAL_FLAW", flaw),
            None => &mut command,
        };
        let mut dies_early = false;
        match moment {
            Some(Moment::Start(call)) => {
                dies_early = true;
                self.site.disk.arm();
                command.env("AMNESIA_DIE", call);
            }
            Some(Moment::Call(call)) => drop(command.env("AMNESIA_DIE", call)),
            _ => (),
        }
        let started = Instant::now();
        let mut process = Process::spawn(command);
        let addresses = process.listening();
        let is_up = addresses.is_some_and(|it| self.senders[0].first(it.public, &self.book));
        let recovery = started.elapsed();
        let (true, Some(addresses)) = (is_up, addresses) else {
            if !dies_early || !process.was_killed() {
                process.kill();
                cycle.faults.push(Fault::DoesNotStart(process.said()));
            }
            return None;
        };
        cycle.recovery = Some(recovery);
        if recovery > Duration::from_millis(self.orders.recovery_ms) {
            cycle.faults.push(Fault::Late(recovery));
        }
        // It may die while it is looked at: what it left is looked at after the next start.
        if !dies_early {
            self.look(addresses, cycle);
        }
        Some((process, addresses))
    }

    fn look(&self, addresses: Addresses, cycle: &mut Cycle) {
        let ledger = ask(addresses.admin, "/v1/ledger");
        if ledger["balanced"] != true {
            cycle.faults.push(Fault::Ledger(ledger.to_string()));
        }
        let mut book = self.book.lock().unwrap();
        cycle.faults.extend(check::store(&self.site.database(), &book));
        cycle.faults.extend(book.wrong.drain(..).map(Fault::Wrong));
    }

    /// Under load until its power goes.
    fn work(&mut self, process: &mut Process, addresses: Addresses, moment: &Moment) {
        thread::scope(|scope| {
            for sender in &mut self.senders {
                let book = &self.book;
                scope.spawn(move || sender.run(addresses.public, book));
            }
            match moment {
                Moment::After(time) => {
                    process.runs_for(*time);
                }
                Moment::Call(_) => {
                    self.site.disk.arm();
                    process.runs_for(PATIENCE);
                }
                Moment::Start(_) => {
                    process.runs_for(PATIENCE);
                }
                Moment::Swollen { then } => {
                    swell(&self.site, process);
                    process.runs_for(*then);
                }
                Moment::Stop { after, then } => {
                    process.runs_for(*after);
                    process.terminate();
                    process.runs_for(*then);
                }
            }
            process.kill();
        });
    }
}

/// Lets the log grow, under a reader that still needs its beginning.
fn swell(site: &Site, process: &mut Process) {
    let reader = rows::Reader::begin(&site.database());
    let deadline = Instant::now() + MAX_SWELLING;
    let step = Duration::from_millis(20);
    while site.log_size() < SWOLLEN && Instant::now() < deadline && process.runs_for(step) {}
    reader.end();
}
