//! Code shared by all HTTP servers of the program: ports, bounded connections, the guard of all routes, and the format
//! of errors. The routes are defined in `dashboard` and `metrics`.

mod connection;
mod guard;
mod listen;
mod problem;
mod token;

pub use guard::{Guard, Hosts, guard};
pub use listen::{Listen, accept, listen_at};
pub use problem::Problem;
pub use token::{Token, require_strong};
