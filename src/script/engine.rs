//! The sandbox: one Rhai engine per process, with bounds on everything and no way out but the host functions.

use std::cell::Cell;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use rhai::module_resolvers::DummyModuleResolver;
use rhai::{Dynamic, Engine, OptimizationLevel};

use super::failure::{OutOfTime, thrown};
use super::{device, facts_path, pure, registry, windows_names, windows_zones};

/// Most operations of one call.
const MAX_OPERATIONS: u64 = 2_000_000;
/// Deepest nesting of calls.
const MAX_CALLS: usize = 32;
/// Longest text, in bytes.
const MAX_STRING: usize = 8 << 20;
/// Most members of a list or map.
const MAX_MEMBERS: usize = 100_000;
/// Time that one call may compute; waiting for the device does not count.
const MAX_TIME: Duration = Duration::from_secs(5);

thread_local! {
    /// When the call that runs on this thread has to be over.
    static DEADLINE: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// The engine of this process.
pub(super) fn engine() -> &'static Engine {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    ENGINE.get_or_init(build)
}

fn build() -> Engine {
    let mut engine = Engine::new();
    engine
        .set_max_operations(MAX_OPERATIONS)
        .set_max_call_levels(MAX_CALLS)
        .set_max_string_size(MAX_STRING)
        .set_max_array_size(MAX_MEMBERS)
        .set_max_map_size(MAX_MEMBERS)
        .set_max_expr_depths(64, 48)
        .set_max_variables(256)
        .set_max_functions(128)
        .set_max_modules(0)
        .set_optimization_level(OptimizationLevel::Simple)
        .set_module_resolver(DummyModuleResolver::new())
        .set_strict_variables(true)
        .disable_symbol("eval")
        .disable_symbol("import")
        .disable_symbol("export")
        .on_print(|_| {})
        .on_debug(|_, _, _| {})
        .on_progress(|operations| {
            let over = operations.is_multiple_of(1024) && DEADLINE.get().is_some_and(|deadline| Instant::now() > deadline);
            over.then(|| Dynamic::from(OutOfTime("5 s of computing")))
        });
    // Neither time nor rest: a script gives the same answer whenever it runs.
    engine.register_fn("sleep", |_: i64| Err::<(), _>(thrown("sleep is not available to scripts")));
    engine.register_fn("sleep", |_: f64| Err::<(), _>(thrown("sleep is not available to scripts")));
    engine.register_fn("timestamp", || Err::<(), _>(thrown("the clock is not available to scripts")));
    engine.register_fn("exit", || Err::<(), _>(thrown("exit is not available to scripts; use return or throw")));
    engine.register_fn("exit", |_: Dynamic| Err::<(), _>(thrown("exit is not available to scripts; use return or throw")));
    device::register(&mut engine);
    pure::register(&mut engine);
    facts_path::register(&mut engine);
    registry::register(&mut engine);
    windows_names::register(&mut engine);
    windows_zones::register(&mut engine);
    engine
}

/// Runs `work` with a limit on its computing time on this thread.
pub(super) fn timed<T>(work: impl FnOnce() -> T) -> T {
    let before = DEADLINE.replace(Some(Instant::now() + MAX_TIME));
    let result = work();
    DEADLINE.set(before);
    result
}

/// Runs `work`, which waits for the device, without counting its time.
pub(super) fn uncounted<T>(work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = work();
    if let Some(deadline) = DEADLINE.get() {
        DEADLINE.set(Some(deadline + start.elapsed()));
    }
    result
}
