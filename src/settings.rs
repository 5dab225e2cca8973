//! Flags > environment > file > defaults, resolved once.
