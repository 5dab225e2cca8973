//! The named queries as text: a list of all, or the description of one.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::query::{NamedQueries, NamedQuery, QueryHeader};

/// The name and the question of each query, by group. Queries without a group are the user's own.
pub(in crate::cli::commands) fn listing(catalog: &NamedQueries) -> String {
    let mut groups: BTreeMap<&str, Vec<(&str, &NamedQuery)>> = BTreeMap::new();
    for (name, query) in catalog.iter() {
        groups.entry(query.header.group.as_deref().unwrap_or("own")).or_default().push((name, query));
    }
    let width = catalog.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    let mut text = String::new();
    let mut line = |content: std::fmt::Arguments<'_>| writeln!(text, "{content}").expect("a string takes all text");
    for (group, queries) in groups {
        line(format_args!("{group}"));
        for (name, query) in queries {
            let params: Vec<String> = query.header.params.iter().map(|p| format!("{}={}", p.name, p.default)).collect();
            let params = if params.is_empty() { String::new() } else { format!("  [{}]", params.join(", ")) };
            line(format_args!("  {name:width$}  {}{params}", query.header.question));
        }
    }
    text
}

/// The description of a query with all fields of its header.
pub(in crate::cli::commands) fn description(name: &str, header: &QueryHeader) -> String {
    let mut text = String::new();
    let mut line = |content: std::fmt::Arguments<'_>| writeln!(text, "{content}").expect("a string takes all text");
    line(format_args!("{name}: {}", header.question));
    for param in &header.params {
        line(format_args!("--param {}={}  {} ({})", param.name, param.default, param.description, param.kind));
    }
    for column in &header.columns {
        line(format_args!("column {} ({})  {}", column.name, column.kind, column.description));
    }
    if let Some(warm_up) = &header.warm_up {
        line(format_args!("warm-up: {warm_up}"));
    }
    for edge in &header.edges {
        line(format_args!("{edge}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_has_a_line_for_each_query() {
        let catalog = NamedQueries::load(None).unwrap();
        let listing = listing(&catalog);
        assert_eq!(listing.lines().filter(|line| line.starts_with("  ")).count(), catalog.iter().count());
        assert!(listing.starts_with("signals\n") && listing.contains("\nsummaries\n"), "{listing}");
        assert!(listing.contains("[fast=9, slow=21]") && listing.contains("[since=7days]"), "{listing}");
        let bars = description("bars", &catalog.get("bars").unwrap().header);
        assert!(bars.contains("--param interval=5m") && bars.contains("column vwap (double)"), "{bars}");
    }
}
