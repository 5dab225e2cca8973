//! Tables for people: aligned columns for a terminal, or Markdown. Widths come from the first rows; a later
//! value that is wider pushes its line out instead of being cut.

use std::io::Write;

use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};

/// Rows looked at before the first line is written.
const SAMPLE_ROWS: usize = 1_000;
const NULL: &str = "NULL";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum GridStyle {
    Table,
    Markdown,
}

/// Lines of a cell.
type Cell = Vec<String>;

pub(super) struct Grid<W: Write> {
    sink: W,
    style: GridStyle,
    names: Vec<String>,
    right: Vec<bool>,
    /// Rows kept until the widths are known.
    sample: Vec<Vec<Cell>>,
    widths: Option<Vec<usize>>,
    rows: u64,
}

impl<W: Write> Grid<W> {
    pub(super) fn new(sink: W, schema: &SchemaRef, style: GridStyle) -> Self {
        let names = schema.fields().iter().map(|field| cell(field.name(), style).join(" ")).collect();
        let right = schema.fields().iter().map(|field| field.data_type().is_numeric()).collect();
        Self { sink, style, names, right, sample: Vec::new(), widths: None, rows: 0 }
    }

    pub(super) fn write(&mut self, batch: &RecordBatch) -> Result<(), ArrowError> {
        let options = FormatOptions::default().with_null(NULL);
        let columns: Result<Vec<ArrayFormatter<'_>>, ArrowError> =
            batch.columns().iter().map(|column| ArrayFormatter::try_new(column, &options)).collect();
        let columns = columns?;
        for row in 0..batch.num_rows() {
            let cells: Result<Vec<Cell>, ArrowError> =
                columns.iter().map(|column| Ok(cell(&column.value(row).try_to_string()?, self.style))).collect();
            self.rows += 1;
            match &self.widths {
                Some(_) => self.write_row(&cells?)?,
                None => self.sample.push(cells?),
            }
            if self.widths.is_none() && self.sample.len() == SAMPLE_ROWS {
                self.write_sample()?;
            }
        }
        Ok(())
    }

    pub(super) fn finish(mut self) -> Result<(), ArrowError> {
        if self.widths.is_none() {
            self.write_sample()?;
        }
        if self.style == GridStyle::Table {
            let plural = if self.rows == 1 { "" } else { "s" };
            writeln!(self.sink, "({} row{plural})", self.rows)?;
        }
        Ok(self.sink.flush()?)
    }

    fn write_sample(&mut self) -> Result<(), ArrowError> {
        let mut widths: Vec<usize> = self.names.iter().map(|name| width(name)).collect();
        let sample = std::mem::take(&mut self.sample);
        for cells in &sample {
            for (widest, lines) in widths.iter_mut().zip(cells) {
                *widest = lines.iter().map(|line| width(line)).fold(*widest, usize::max);
            }
        }
        let names: Vec<Cell> = self.names.iter().map(|name| vec![name.clone()]).collect();
        let (between, edge) = match self.style {
            GridStyle::Table => ("-+-", ""),
            GridStyle::Markdown => ("|", "|"),
        };
        let rule: Vec<String> = widths
            .iter()
            .zip(&self.right)
            .map(|(width, right)| match (self.style, right) {
                (GridStyle::Table, _) => "-".repeat(*width),
                (GridStyle::Markdown, true) => format!("{}:", "-".repeat(width + 1)),
                (GridStyle::Markdown, false) => "-".repeat(width + 2),
            })
            .collect();
        self.widths = Some(widths);
        self.write_row(&names)?;
        writeln!(self.sink, "{edge}{}{edge}", rule.join(between))?;
        for cells in &sample {
            self.write_row(cells)?;
        }
        Ok(())
    }

    fn write_row(&mut self, cells: &[Cell]) -> Result<(), ArrowError> {
        let widths = self.widths.as_deref().unwrap_or_default();
        let height = cells.iter().map(Vec::len).max().unwrap_or(1);
        let mut line = String::new();
        for row in 0..height {
            line.clear();
            for (at, ((lines, width), right)) in cells.iter().zip(widths).zip(&self.right).enumerate() {
                line.push_str(match (self.style, at) {
                    (GridStyle::Table, 0) => "",
                    (GridStyle::Markdown, 0) => "| ",
                    _ => " | ",
                });
                let text = lines.get(row).map_or("", String::as_str);
                let pad = " ".repeat(width.saturating_sub(self::width(text)));
                let (before, after) = if *right { (pad.as_str(), "") } else { ("", pad.as_str()) };
                line.push_str(before);
                line.push_str(text);
                line.push_str(after);
            }
            match self.style {
                GridStyle::Table => writeln!(self.sink, "{}", line.trim_end())?,
                GridStyle::Markdown => writeln!(self.sink, "{line} |")?,
            }
        }
        Ok(())
    }
}

/// Without what would move the cursor or break the grid: text in a table may come from a stranger.
fn cell(text: &str, style: GridStyle) -> Cell {
    let clean = |line: &str| -> String {
        line.chars()
            .flat_map(|c| match c {
                '|' if style == GridStyle::Markdown => vec!['\\', '|'],
                c if c.is_control() || is_bidi_control(c) => c.escape_unicode().collect(),
                c => vec![c],
            })
            .collect()
    };
    match style {
        GridStyle::Table => text.trim_end_matches('\n').split('\n').map(clean).collect(),
        GridStyle::Markdown => {
            vec![text.trim_end_matches('\n').split('\n').map(clean).collect::<Vec<_>>().join("<br>")]
        }
    }
}

fn is_bidi_control(c: char) -> bool {
    matches!(c, '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn width(text: &str) -> usize {
    text.chars().count()
}
