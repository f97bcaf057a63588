//! The fuzzer that follows coverage. `fuzz/run` builds and starts it.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use oncelog_fuzz::Target;

static TARGET: LazyLock<Target> = LazyLock::new(|| {
    let name = std::env::var("FUZZ_TARGET").unwrap_or_default();
    oncelog_fuzz::target(&name).unwrap_or_else(|| panic!("no target is called {name:?}"))
});

fuzz_target!(|input: &[u8]| (TARGET.run)(input));
