//! The only module that names deltalake: locations, stores, tables, commits.
