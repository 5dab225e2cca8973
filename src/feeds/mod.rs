//! Where ticks come from for `produce` and `demo`.
