//! Tables for people: aligned columns for a terminal, or Markdown. Widths come from the first rows; a later
//! value that is wider pushes its line out instead of being cut. A table that has to fit keeps its outer rows and
//! columns.

use std::io::Write;

use arrow::array::AsArray;
use arrow::datatypes::{DataType, SchemaRef};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};

use super::cell::{CellLines, GridStyle, NULL, cell, rounded};
use super::fit::{KeptRows, TableFit};
use crate::util::text_width::{cut, text_width};

/// Rows that the widths are taken from before the first line is written.
const SAMPLE_ROWS: usize = 1_000;
/// Stands for what is left out.
const FOLD: &str = "…";

pub(super) struct GridWriter<W: Write> {
    sink: W,
    style: GridStyle,
    fit: Option<TableFit>,
    names: Vec<String>,
    right: Vec<bool>,
    rounded: Vec<bool>,
    rows: GridRows,
}

enum GridRows {
    /// Kept until the widths are known.
    Sample(Vec<Vec<CellLines>>),
    /// Written as they come, with the widths and the columns that are shown.
    Streamed(GridLayout, u64),
    /// Written at the end.
    Bounded(KeptRows<Vec<CellLines>>),
}

#[derive(Debug, Clone, Default)]
struct GridLayout {
    widths: Vec<usize>,
    shown: Vec<usize>,
}

impl<W: Write> GridWriter<W> {
    pub(super) fn new(sink: W, schema: &SchemaRef, style: GridStyle, fit: Option<TableFit>) -> Self {
        let kinds = || schema.fields().iter().map(|field| field.data_type());
        let most = fit.map_or(usize::MAX, TableFit::cell_width);
        let names = schema.fields().iter().map(|field| cut(cell(field.name(), style).join(" "), most)).collect();
        let rows = match fit.and_then(|fit| fit.rows) {
            Some(most) => GridRows::Bounded(KeptRows::new(most)),
            None => GridRows::Sample(Vec::new()),
        };
        let right = kinds().map(DataType::is_numeric).collect();
        let rounded = kinds().map(|kind| style == GridStyle::Table && kind.is_floating()).collect();
        Self { sink, style, fit, names, right, rounded, rows }
    }

    pub(super) fn write(&mut self, batch: &RecordBatch) -> Result<(), ArrowError> {
        let columns = self.texts(batch)?;
        let count = batch.num_rows();
        let wanted: Vec<usize> = match &self.rows {
            GridRows::Bounded(kept) => kept.wanted(count).collect(),
            GridRows::Sample(_) | GridRows::Streamed(..) => (0..count).collect(),
        };
        for row in wanted {
            let cells: Result<Vec<CellLines>, ArrowError> =
                columns.iter().map(|column| Ok(self.cell(&column.at(row)?))).collect();
            let cells = cells?;
            match &mut self.rows {
                GridRows::Bounded(kept) => kept.push(cells),
                GridRows::Sample(sample) => {
                    sample.push(cells);
                    if sample.len() == SAMPLE_ROWS {
                        self.stream()?;
                    }
                }
                GridRows::Streamed(layout, rows) => {
                    *rows += 1;
                    write_row(&mut self.sink, self.style, &self.right, layout, &cells)?;
                }
            }
        }
        if let GridRows::Bounded(kept) = &mut self.rows {
            kept.count(count);
        }
        Ok(())
    }

    pub(super) fn finish(mut self) -> Result<(), ArrowError> {
        let mut shown = None;
        let rows = match std::mem::replace(&mut self.rows, GridRows::Sample(Vec::new())) {
            GridRows::Bounded(kept) => {
                let rows = kept.rows();
                let (first, last) = kept.into_halves();
                shown = Some((first.len() + last.len()) as u64).filter(|shown| *shown < rows);
                self.write_bounded(&first, &last)?;
                rows
            }
            GridRows::Sample(sample) => {
                self.rows = GridRows::Sample(sample);
                self.stream()?
            }
            streamed @ GridRows::Streamed(..) => {
                self.rows = streamed;
                self.streamed().1
            }
        };
        if self.style == GridStyle::Table {
            let footer = self.footer(rows, shown);
            writeln!(self.sink, "{footer}")?;
        }
        Ok(self.sink.flush()?)
    }

    fn texts<'a>(&self, batch: &'a RecordBatch) -> Result<Vec<CellTexts<'a>>, ArrowError> {
        let columns = batch.columns().iter().zip(&self.rounded);
        columns
            .map(|(column, is_rounded)| match is_rounded {
                true => Ok(CellTexts::Rounded(arrow::compute::cast(column, &DataType::Float64)?)),
                false => {
                    let options = const { FormatOptions::new().with_null(NULL) };
                    Ok(CellTexts::Plain(ArrayFormatter::try_new(column, &options)?))
                }
            })
            .collect()
    }

    fn cell(&self, text: &str) -> CellLines {
        let lines = cell(text, self.style);
        match self.fit {
            Some(fit) => lines.into_iter().map(|line| cut(line, fit.cell_width())).collect(),
            None => lines,
        }
    }

    fn layout(&self, rows: &[&[Vec<CellLines>]]) -> GridLayout {
        let mut widths: Vec<usize> = self.names.iter().map(|name| text_width(name)).collect();
        for cells in rows.iter().copied().flatten() {
            for (widest, lines) in widths.iter_mut().zip(cells) {
                *widest = lines.iter().map(|line| text_width(line)).fold(*widest, usize::max);
            }
        }
        let shown = match self.fit {
            Some(fit) => fit.columns(&widths, 3),
            None => (0..widths.len()).collect(),
        };
        GridLayout { widths, shown }
    }

    /// Writes the sample, and from then on each row; returns the rows so far.
    fn stream(&mut self) -> Result<u64, ArrowError> {
        let GridRows::Sample(sample) = &mut self.rows else { return Ok(self.streamed().1) };
        let sample = std::mem::take(sample);
        let layout = self.layout(&[&sample]);
        self.write_head(&layout)?;
        for cells in &sample {
            write_row(&mut self.sink, self.style, &self.right, &layout, cells)?;
        }
        self.rows = GridRows::Streamed(layout, sample.len() as u64);
        Ok(sample.len() as u64)
    }

    fn streamed(&self) -> (Option<&GridLayout>, u64) {
        match &self.rows {
            GridRows::Streamed(layout, rows) => (Some(layout), *rows),
            GridRows::Sample(_) | GridRows::Bounded(_) => (None, 0),
        }
    }

    fn write_bounded(&mut self, first: &[Vec<CellLines>], last: &[Vec<CellLines>]) -> Result<(), ArrowError> {
        let layout = self.layout(&[first, last]);
        self.write_head(&layout)?;
        let gap: Vec<CellLines> = layout.widths.iter().map(|_| vec![FOLD.to_owned()]).collect();
        let gap = if last.is_empty() { &[][..] } else { std::slice::from_ref(&gap) };
        for cells in first.iter().chain(gap).chain(last) {
            write_row(&mut self.sink, self.style, &self.right, &layout, cells)?;
        }
        self.rows = GridRows::Streamed(layout, 0);
        Ok(())
    }

    fn footer(&self, rows: u64, shown: Option<u64>) -> String {
        let plural = if rows == 1 { "" } else { "s" };
        let mut footer = format!("{rows} row{plural}");
        if let Some(shown) = shown {
            footer.push_str(&format!(", {shown} shown"));
        }
        let columns = self.streamed().0.map_or(self.names.len(), |layout| layout.shown.len());
        let is_folded = columns < self.names.len();
        if is_folded {
            footer.push_str(&format!("; {} columns, {columns} shown", self.names.len()));
        }
        match self.fit.filter(|_| is_folded || shown.is_some()) {
            Some(fit) => format!("({footer}; {})", fit.way_to_all),
            None => format!("({footer})"),
        }
    }

    fn write_head(&mut self, layout: &GridLayout) -> Result<(), ArrowError> {
        let names: Vec<CellLines> = self.names.iter().map(|name| vec![name.clone()]).collect();
        write_row(&mut self.sink, self.style, &self.right, layout, &names)?;
        let (between, edge) = match self.style {
            GridStyle::Table => ("-+-", ""),
            GridStyle::Markdown => ("|", "|"),
        };
        let mut rule = Vec::new();
        for (at, column) in layout.shown.iter().enumerate() {
            if layout.is_fold(at) {
                rule.push("-".to_owned());
            }
            let width = layout.widths[*column];
            rule.push(match (self.style, self.right[*column]) {
                (GridStyle::Table, _) => "-".repeat(width),
                (GridStyle::Markdown, true) => format!("{}:", "-".repeat(width + 1)),
                (GridStyle::Markdown, false) => "-".repeat(width + 2),
            });
        }
        writeln!(self.sink, "{edge}{}{edge}", rule.join(between))?;
        Ok(())
    }
}

impl GridLayout {
    /// Columns are left out before the one that is shown there.
    fn is_fold(&self, at: usize) -> bool {
        at > 0 && self.shown[at] != self.shown[at - 1] + 1
    }
}

enum CellTexts<'a> {
    Plain(ArrayFormatter<'a>),
    Rounded(arrow::array::ArrayRef),
}

impl CellTexts<'_> {
    fn at(&self, row: usize) -> Result<String, ArrowError> {
        match self {
            Self::Plain(formatter) => formatter.value(row).try_to_string(),
            Self::Rounded(column) if column.is_null(row) => Ok(NULL.to_owned()),
            Self::Rounded(column) => Ok(rounded(column.as_primitive::<arrow::datatypes::Float64Type>().value(row))),
        }
    }
}

fn write_row(
    sink: &mut impl Write,
    style: GridStyle,
    right: &[bool],
    layout: &GridLayout,
    cells: &[CellLines],
) -> Result<(), ArrowError> {
    let height = layout.shown.iter().map(|column| cells[*column].len()).max().unwrap_or(1);
    let mut line = String::new();
    for row in 0..height {
        line.clear();
        for (at, column) in layout.shown.iter().enumerate() {
            line.push_str(match (style, at) {
                (GridStyle::Table, 0) => "",
                (GridStyle::Markdown, 0) => "| ",
                _ => " | ",
            });
            if layout.is_fold(at) {
                line.push_str(FOLD);
                line.push_str(" | ");
            }
            let text = cells[*column].get(row).map_or("", String::as_str);
            let pad = " ".repeat(layout.widths[*column].saturating_sub(text_width(text)));
            let (before, after) = if right[*column] { (pad.as_str(), "") } else { ("", pad.as_str()) };
            line.push_str(before);
            line.push_str(text);
            line.push_str(after);
        }
        match style {
            GridStyle::Table => writeln!(sink, "{}", line.trim_end())?,
            GridStyle::Markdown => writeln!(sink, "{line} |")?,
        }
    }
    Ok(())
}
