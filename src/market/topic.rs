//! Identifies the topic that offsets belong to. Its name is not enough, as a topic can be deleted and created again.

/// The cluster of a topic, and its id there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TopicIdentity {
    pub cluster_id: String,
    /// Unique id that Kafka assigns at creation; `None` if unknown, as brokers before 2.8 don't report it.
    pub topic_id: Option<String>,
}

/// The table's offsets and Kafka's belong to different topics.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TopicMismatch {
    #[error(
        "the table continues a topic of cluster {table}, but the brokers are cluster {kafka}: the topic moved, or \
         these are other brokers"
    )]
    Moved { table: String, kafka: String },
    #[error(
        "the table continues the topic with id {table}, but Kafka's topic of that name has id {kafka}: it was deleted \
         and created again"
    )]
    Recreated { table: String, kafka: String },
}

impl TopicIdentity {
    /// Compares the identity in the table with Kafka's; an id that one side doesn't know is not a difference.
    ///
    /// # Errors
    /// The topics differ.
    pub fn require(&self, kafka: &Self) -> Result<(), TopicMismatch> {
        if self.cluster_id != kafka.cluster_id {
            return Err(TopicMismatch::Moved { table: self.cluster_id.clone(), kafka: kafka.cluster_id.clone() });
        }
        match (&self.topic_id, &kafka.topic_id) {
            (Some(table), Some(kafka)) if table != kafka => {
                Err(TopicMismatch::Recreated { table: table.clone(), kafka: kafka.clone() })
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(cluster_id: &str, topic_id: Option<&str>) -> TopicIdentity {
        TopicIdentity { cluster_id: cluster_id.to_owned(), topic_id: topic_id.map(str::to_owned) }
    }

    #[test]
    fn an_unknown_id_proves_nothing_and_a_known_one_does() {
        let table = identity("c", Some("old"));
        for same in [identity("c", Some("old")), identity("c", None)] {
            assert_eq!(table.require(&same), Ok(()));
        }
        assert_eq!(identity("c", None).require(&table), Ok(()));
        let recreated = TopicMismatch::Recreated { table: "old".to_owned(), kafka: "new".to_owned() };
        assert_eq!(table.require(&identity("c", Some("new"))), Err(recreated));
        let moved = TopicMismatch::Moved { table: "c".to_owned(), kafka: "d".to_owned() };
        assert_eq!(table.require(&identity("d", Some("old"))), Err(moved));
    }
}
