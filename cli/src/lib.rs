//! The command line of Oncelog. In reading order:
//!
//! - [`Cli`]: the commands
//! - [`up`]: all three services in one process
//! - [`send`]: messages to the facade, by argument or line by line
//! - [`read`]: messages out of the log
//! - [`journal`]: looks after the files of a stopped logging-service
//! - [`prove`]: harms a private cluster and audits what is left; [`serve`]: one service of it
//! - [`mod@bench`]: how fast a facade answers
//! - `terminal`: what commands show

#[cfg(feature = "tools")]
pub mod bench;
mod command;
#[cfg(feature = "tools")]
pub mod journal;
#[cfg(feature = "tools")]
pub mod prove;
#[cfg(feature = "tools")]
pub mod read;
#[cfg(feature = "tools")]
pub mod send;
#[cfg(feature = "tools")]
pub mod serve;
#[cfg(feature = "tools")]
mod terminal;
pub mod up;

pub use self::command::{Cli, Command, main};
