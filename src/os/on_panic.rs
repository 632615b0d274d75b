//! Actions that undo something when prun panics.

use std::sync::Once;

/// Installs a panic hook that calls `undo` before the panic message is printed. `installed` makes sure that
/// this happens once.
pub(super) fn run_once(installed: &'static Once, undo: fn()) {
    installed.call_once(|| {
        let next = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            undo();
            next(panic);
        }));
    });
}
