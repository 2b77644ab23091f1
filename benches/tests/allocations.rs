//! What every message goes through allocates nothing once a session has found its size.

#![expect(clippy::unwrap_used, reason = "a test ends by panicking")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use pgferry_pg::frame::{Framer, Side};
use pgferry_pg::session::{Event, Session, Tick};
use pgferry_pg::startup::Replication;

/// The system's allocator, counting what each thread asks of it.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

#[expect(unsafe_code, reason = "the trait is unsafe; every call goes to the system as it came")]
// SAFETY: forwards to the system's allocator, which keeps the contract.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // A thread that is ending has no counter any more.
        ALLOCATIONS.try_with(|count| count.set(count.get() + 1)).ok();
        // SAFETY: the caller's promise, passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise, passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// A session, followed from both sides.
struct Follower {
    session: Session,
    up: Framer,
    down: Framer,
    operations: usize,
}

impl Follower {
    fn new() -> Self {
        let mut follower = Self {
            session: Session::new(Replication::None),
            up: Framer::new(Side::Frontend),
            down: Framer::new(Side::Backend),
            operations: 0,
        };
        follower.answer(READY);
        follower
    }

    fn ask(&mut self, bytes: &[u8]) {
        let Self { session, up, .. } = self;
        up.scan(bytes, |message| session.on_frontend(message, Tick(1))).unwrap();
    }

    fn answer(&mut self, bytes: &[u8]) {
        let Self { session, down, operations, .. } = self;
        let scanned = down.scan(bytes, |message| {
            session.on_backend(message, Tick(2), &mut |event| {
                *operations += usize::from(matches!(event, Event::Operation(_)));
            });
        });
        scanned.unwrap();
    }
}

fn allocations_in(work: impl FnOnce()) -> u64 {
    let before = ALLOCATIONS.get();
    work();
    ALLOCATIONS.get() - before
}

fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap();
    [&[tag][..], &length.to_be_bytes(), body].concat()
}

const READY: &[u8] = b"Z\0\0\0\x05I";

fn row_and_end() -> Vec<u8> {
    let row = message(b'D', b"\0\x01\0\0\0\x0242");
    [row, message(b'C', b"SELECT 1\0"), READY.to_vec()].concat()
}

#[test]
fn the_counter_counts() {
    assert_ne!(allocations_in(|| drop(std::hint::black_box(vec![1_u8]))), 0);
}

#[test]
fn a_simple_query_allocates_nothing() {
    let mut follower = Follower::new();
    let (ask, answer) = (message(b'Q', b"SELECT 1\0"), row_and_end());
    let mut turn = || {
        follower.ask(&ask);
        follower.answer(&answer);
    };
    turn();
    assert_eq!(allocations_in(|| (0..1000).for_each(|_| turn())), 0);
    assert_eq!(follower.operations, 1001);
}

#[test]
fn pipelined_executions_of_a_prepared_statement_allocate_nothing() {
    const DEPTH: usize = 100;
    let mut follower = Follower::new();
    follower.ask(&[message(b'P', b"s1\0SELECT $1\0\0\0"), message(b'S', b"")].concat());
    follower.answer(&[message(b'1', b""), READY.to_vec()].concat());
    let bind = message(b'B', b"\0s1\0\0\0\0\x01\0\0\0\x0242\0\0");
    let one = [bind, message(b'E', b"\0\0\0\0\0"), message(b'S', b"")].concat();
    let (ask, answer) = (one.repeat(DEPTH), [message(b'2', b""), row_and_end()].concat());
    let answer = answer.repeat(DEPTH);
    let mut turn = || {
        follower.ask(&ask);
        follower.answer(&answer);
    };
    turn();
    assert_eq!(allocations_in(|| (0..100).for_each(|_| turn())), 0);
    assert_eq!(follower.operations, 101 * DEPTH);
}

#[test]
fn rows_and_copy_data_cut_anywhere_allocate_nothing() {
    let mut follower = Follower::new();
    follower.ask(&message(b'Q', b"SELECT * FROM wide\0"));
    let rows = message(b'D', &[b'x'; 1000]).repeat(64);
    let copied = message(b'd', &[b'x'; 8192]);
    let counted = allocations_in(|| {
        rows.chunks(777).for_each(|chunk| follower.answer(chunk));
        copied.chunks(1000).for_each(|chunk| follower.ask(chunk));
    });
    assert_eq!(counted, 0);
    assert!(follower.session.in_flight());
}
