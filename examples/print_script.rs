//! Prints the shell script that `rmm collect` runs on a device for a full inventory: to read it, or to measure it alone.
#![allow(clippy::print_stdout, reason = "a tool for people")]

use rmm::collect::{CollectError, Request, nonce, script};

fn main() -> Result<(), CollectError> {
    print!("{}", script(&Request::full(), &nonce())?);
    Ok(())
}
