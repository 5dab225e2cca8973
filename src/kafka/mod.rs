//! The only module that names rdkafka.

mod raw;
