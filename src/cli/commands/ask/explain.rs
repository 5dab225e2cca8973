//! Output of `--explain`: the plan, and then the parts of each table that are read or pruned.

use std::fmt::Write as _;

use indicatif::{BinaryBytes, HumanCount};

use crate::query::{ReadAmount, TableReads};

pub(in crate::cli::commands) fn explanation(plan: &str, tables: &[TableReads]) -> String {
    let mut text = plan.to_owned();
    for table in tables {
        text.push('\n');
        write_reads(&mut text, table);
    }
    text
}

fn write_reads(text: &mut String, reads: &TableReads) {
    let mut line = |content: std::fmt::Arguments<'_>| writeln!(text, "{content}").expect("a string takes all text");
    line(format_args!("{}: reads {} of {}", reads.table, amount_text(reads.opened), amount_text(reads.all)));
    for (skipped, why) in [
        (reads.of_other_partitions, format!("by {}", reads.partition_column)),
        (reads.out_of_bounds, "by the statistics of their columns".to_owned()),
    ] {
        if skipped.files > 0 {
            line(format_args!("  skips {} {why}", amount_text(skipped)));
        }
    }
    let answered = reads.all.files - reads.of_other_partitions.files - reads.out_of_bounds.files - reads.opened.files;
    if answered > 0 {
        line(format_args!("  takes the row counts of {} from the log of the table", counted(answered, "file")));
    }
    if let Some(groups) = reads.row_groups {
        let (may_match, all) = (HumanCount(groups.may_match), counted(groups.all, "row group"));
        line(format_args!("  of their {all} {may_match} can match by the statistics of their columns"));
    }
}

fn amount_text(amount: ReadAmount) -> String {
    format!("{} ({})", counted(amount.files, "file"), BinaryBytes(amount.bytes))
}

fn counted(number: u64, noun: &str) -> String {
    format!("{} {noun}{}", HumanCount(number), if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::RowGroups;

    #[test]
    fn what_is_skipped_is_told_by_its_reason() {
        let amount = |files| ReadAmount { files, bytes: files * 1_024 };
        let reads = TableReads {
            table: "ticks".to_owned(),
            partition_column: "trade_date".to_owned(),
            all: amount(1_480),
            of_other_partitions: amount(1_470),
            out_of_bounds: amount(6),
            opened: amount(4),
            row_groups: Some(RowGroups { all: 12, may_match: 5 }),
        };
        assert_eq!(
            explanation("Plan\n", std::slice::from_ref(&reads)),
            "Plan\n\nticks: reads 4 files (4.00 KiB) of 1,480 files (1.45 MiB)\n  \
             skips 1,470 files (1.44 MiB) by trade_date\n  skips 6 files (6.00 KiB) by the statistics of their \
             columns\n  of their 12 row groups 5 can match by the statistics of their columns\n"
        );
        let counted = TableReads { opened: ReadAmount::default(), row_groups: None, ..reads };
        let text = explanation("", &[counted]);
        assert!(text.ends_with("  takes the row counts of 4 files from the log of the table\n"), "{text}");
    }
}
