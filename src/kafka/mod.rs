//! The only module that names rdkafka.
