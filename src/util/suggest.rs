//! "Did you mean": the known name that is closest to a wrong one.

/// Two of five letters may be wrong; beyond that a suggestion misleads.
const MIN_SIMILARITY: f64 = 0.6;

pub fn closest<'a>(wrong: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wrong = wrong.to_lowercase();
    let scored =
        known.into_iter().map(|name| (strsim::normalized_damerau_levenshtein(&wrong, &name.to_lowercase()), name));
    let best = scored.max_by(|a, b| a.0.total_cmp(&b.0))?;
    (best.0 >= MIN_SIMILARITY).then_some(best.1)
}

/// A name of a message or a file without control, invisible and bidirectional characters; quotes stay as they are.
pub fn shown(name: &str) -> String {
    let escaped = name.chars().flat_map(|character| match character {
        '"' | '\'' | '\\' => vec![character],
        other => other.escape_debug().collect(),
    });
    escaped.collect()
}

/// `; did you mean 'x'?` or nothing. The name may come from a message or a file.
pub fn did_you_mean<'a>(wrong: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    closest(wrong, known).map(|name| format!("; did you mean '{}'?", shown(name))).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typing_errors_are_found_and_other_words_are_not() {
        let known = ["sma_crossover", "daily_summary", "close"];
        assert_eq!(closest("sma_crosover", known), Some("sma_crossover"));
        assert_eq!(closest("CLSOE", known), Some("close"));
        assert_eq!(closest("volume", known), None);
        assert_eq!(did_you_mean("x", []), "");
        assert_eq!(did_you_mean("/close", ["/clo\u{1b}se\n"]), "; did you mean '/clo\\u{1b}se\\n'?");
    }
}
