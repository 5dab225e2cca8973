//! Which topic offsets count: a name alone says little, as a topic can be deleted and made again.

/// Where a topic of some name is, and which one of that name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TopicIdentity {
    pub cluster_id: String,
    /// Kafka gives it at the creation and never again; `None` where it isn't known: brokers tell it since 2.8.
    pub topic_id: Option<String>,
}

/// The table's offsets and Kafka's count two topics.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OtherTopic {
    #[error(
        "the table continues a topic of cluster {table}, but the brokers are cluster {kafka}: the topic moved, or these \
         are other brokers"
    )]
    Moved { table: String, kafka: String },
    #[error(
        "the table continues the topic with id {table}, but Kafka's topic of that name has id {kafka}: it was deleted \
         and created again"
    )]
    Recreated { table: String, kafka: String },
}

impl TopicIdentity {
    /// Compares what the table knows with what Kafka says; an id that one side doesn't know is no difference.
    ///
    /// # Errors
    /// They are two topics.
    pub fn require(&self, kafka: &Self) -> Result<(), OtherTopic> {
        if self.cluster_id != kafka.cluster_id {
            return Err(OtherTopic::Moved { table: self.cluster_id.clone(), kafka: kafka.cluster_id.clone() });
        }
        match (&self.topic_id, &kafka.topic_id) {
            (Some(table), Some(kafka)) if table != kafka => {
                Err(OtherTopic::Recreated { table: table.clone(), kafka: kafka.clone() })
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
        let recreated = OtherTopic::Recreated { table: "old".to_owned(), kafka: "new".to_owned() };
        assert_eq!(table.require(&identity("c", Some("new"))), Err(recreated));
        let moved = OtherTopic::Moved { table: "c".to_owned(), kafka: "d".to_owned() };
        assert_eq!(table.require(&identity("d", Some("old"))), Err(moved));
    }
}
