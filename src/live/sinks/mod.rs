//! Where events go: the table `signals`, a topic, webhooks.

pub(in crate::live) mod encode;
pub(in crate::live) mod table;
pub(in crate::live) mod topic;
pub(in crate::live) mod webhook;
