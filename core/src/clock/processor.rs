//! How long a thread had to wait for a processor.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::Duration;

thread_local! {
    /// Open as long as the thread lives: it is asked often. `None` where the kernel does not count.
    static FIGURES: Option<File> = File::open("/proc/thread-self/schedstat").ok();
}

/// How long this thread, since it began, was ready to run while others had the processor; zero
/// where the kernel does not count.
pub(super) fn waited() -> Duration {
    let mut octets = [0; 64];
    let read = FIGURES.with(|figures| figures.as_ref()?.read_at(&mut octets, 0).ok());
    Duration::from_nanos(read.and_then(|length| parse(&octets[..length])).unwrap_or(0))
}

/// Nanoseconds on the processor, nanoseconds waited for it, turns: the second of them.
fn parse(figures: &[u8]) -> Option<u64> {
    std::str::from_utf8(figures).ok()?.split_ascii_whitespace().nth(1)?.parse().ok()
}
