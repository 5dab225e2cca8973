//! What the servers of this program have in common: ports, bounded connections, the guard before every route, and how a
//! refusal looks. The routes are those of `dashboard` and `metrics`.

mod connection;
mod guard;
mod listen;
mod problem;
mod token;

pub use guard::{Guard, Hosts, guard};
pub use listen::{Listen, accept, listen_at};
pub use problem::Problem;
pub use token::{Token, require_strong};
