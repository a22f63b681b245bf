use super::*;
use crate::clock::Timestamp;

fn guard(clock: &Clock) -> Arc<Guard> {
    Guard::new("trial", clock, &Tracker::new(Arc::default()), &Live::fixed(3))
}

/// Calls the plugin once, which does `what` meanwhile.
fn call(guard: &Arc<Guard>, what: impl FnOnce()) {
    let call = || {
        what();
        Res::ROk(())
    };
    assert!(guard.now("step", call).is_ok());
}

#[test]
fn whoever_takes_too_long_is_at_fault() {
    let clock = Clock::fake(Timestamp(0));
    let guard = guard(&clock);
    call(&guard, || clock.advance(SYNC - Duration::from_millis(1)));
    assert_eq!(guard.faults(), (0, None));
    call(&guard, || clock.advance(SYNC));
    assert_eq!(guard.faults(), (1, Some("step: took 50 ms to answer at once".into())));
    assert!(!guard.exhausted.is_cancelled());
    call(&guard, || clock.advance(STALL));
    assert!(guard.exhausted.is_cancelled());
}

#[test]
fn nobody_is_at_fault_for_others_having_the_processor() {
    let clock = Clock::fake(Timestamp(0));
    let guard = guard(&clock);
    call(&guard, || clock.keep_waiting(STALL * 2));
    assert_eq!(guard.faults(), (0, None));
    // What was waited before a call excuses nothing in it.
    clock.keep_waiting(STALL);
    call(&guard, || {
        clock.keep_waiting(SYNC);
        clock.advance(SYNC);
    });
    assert_eq!(guard.faults().0, 1);
}
