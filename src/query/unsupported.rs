//! What DataFusion can't plan and says in its own words, with another way to write it.

/// What a statement asks for that isn't supported, and what to write in its place.
pub(super) struct Unsupported {
    pub message: &'static str,
    pub hints: &'static [&'static str],
}

const SUBQUERY_OF_ROW: Unsupported = Unsupported {
    message: "a subquery of one value is not supported here: it may name columns from around it only in equalities of its \
              WHERE, as in b.symbol = a.symbol, and stands in no aggregate function and no ON",
    hints: &[
        "write a window for what came before: max(close) OVER (PARTITION BY symbol ORDER BY ts ROWS BETWEEN UNBOUNDED \
         PRECEDING AND 1 PRECEDING)",
        "or join what it reads: SELECT a.ts, max(b.close) FROM .. a JOIN .. b ON b.symbol = a.symbol AND b.ts < a.ts GROUP BY a.ts",
        "in an aggregate function: SELECT sum(v) FROM (SELECT (SELECT ..) AS v FROM ..)",
    ],
};

const CONDITION_AS_VALUE: Unsupported = Unsupported {
    message: "EXISTS and IN of a subquery are supported in WHERE and HAVING only, not as a value or within CASE",
    hints: &[
        "join it, and test its key: SELECT b.symbol IS NOT NULL FROM .. a LEFT JOIN (SELECT DISTINCT symbol FROM ..) b \
         ON b.symbol = a.symbol",
    ],
};

const LATERAL: Unsupported = Unsupported {
    message: "after LATERAL a subquery may name columns of the tables before it only in equalities of its WHERE",
    hints: &["write a join with GROUP BY, or a window function"],
};

const PLANNER: &str = "Physical plan does not support logical expression ";

/// By the text of an error.
pub(super) fn unsupported(text: &str) -> Option<Unsupported> {
    if text.starts_with("Correlated scalar subquery can only be used in") {
        return Some(SUBQUERY_OF_ROW);
    }
    match text.strip_prefix(PLANNER)?.split(['(', ' ']).next()? {
        "ScalarSubquery" => Some(SUBQUERY_OF_ROW),
        "Exists" | "InSubquery" => Some(CONDITION_AS_VALUE),
        "OuterReferenceColumn" => Some(LATERAL),
        _ => None,
    }
}

/// More to say about an error where the words of the statement show what it is of.
pub(super) fn hint_of(sql: &str, message: &str) -> Option<&'static str> {
    let has = |word: &str| {
        sql.split(|c: char| !c.is_alphanumeric() && c != '_').any(|found| found.eq_ignore_ascii_case(word))
    };
    let begins = |beginnings: &[&str]| beginnings.iter().any(|beginning| message.starts_with(beginning));
    if begins(&["there is no column"]) && has("lateral") {
        return Some("after LATERAL columns of the tables before it may stand only in equalities of a WHERE");
    }
    if begins(&["cannot cast", "casting from", "there is only support Literal"]) && (has("lag") || has("lead")) {
        return Some(
            "what lag and lead take third is a constant of the type of the first; coalesce(lag(..) OVER (..), x) takes any x",
        );
    }
    if begins(&["unsupported function argument type"]) {
        return Some(
            "NAME => VALUE is for named queries, as in bars(interval => '1h'): tickhouse query --list shows them",
        );
    }
    (message.ends_with("is ambiguous") && has("using")).then_some("a column of USING, too, takes the alias of one side")
}
