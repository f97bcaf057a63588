//! How much memory a case takes.

use peak_alloc::PeakAlloc;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// Runs `case`, which may allocate `cap` bytes at a time.
///
/// # Panics
/// If it took more: something believed a length before it had the bytes.
pub fn within<T>(cap: usize, case: impl FnOnce() -> T) -> T {
    let before = MEMORY.current_usage();
    MEMORY.reset_peak_usage();
    let result = case();
    let taken = MEMORY.peak_usage().saturating_sub(before);
    assert!(taken <= cap, "{taken} bytes of memory were taken, {cap} are allowed");
    result
}
