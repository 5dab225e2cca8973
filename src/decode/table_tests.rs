//! The verdict table of the design, row by row.
