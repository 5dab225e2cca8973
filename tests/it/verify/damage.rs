//! Ways to damage a lake in a folder, by hand: nothing of the program is used.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{Array, AsArray, BooleanArray, RecordBatch};
use arrow::compute::{concat_batches, filter_record_batch};
use arrow::datatypes::{Float64Type, Int64Type, TimestampMicrosecondType};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::{Value, json};

use crate::support::Place;

/// A table of a lake in a folder.
pub struct TableFolder {
    pub root: PathBuf,
}

impl TableFolder {
    pub fn new(place: &Place, table: &str) -> Self {
        Self { root: Path::new(&place.table).join(table) }
    }

    pub fn log(&self) -> PathBuf {
        self.root.join("_delta_log")
    }

    pub fn commit(&self, version: u64) -> PathBuf {
        self.log().join(format!("{version:020}.json"))
    }

    fn versions(&self, ending: &str) -> Vec<u64> {
        let names = fs::read_dir(self.log()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut all: Vec<u64> = names.filter_map(|name| name.strip_suffix(ending)?.parse().ok()).collect();
        all.sort_unstable();
        all
    }

    pub fn newest(&self) -> u64 {
        *self.versions(".json").last().unwrap()
    }

    pub fn checkpoint(&self) -> u64 {
        *self.versions(".checkpoint.parquet").last().unwrap()
    }

    pub fn actions(&self, version: u64) -> Vec<Value> {
        let text = fs::read_to_string(self.commit(version)).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    pub fn write(&self, version: u64, actions: &[Value]) {
        let lines: String = actions.iter().map(|action| format!("{action}\n")).collect();
        fs::write(self.commit(version), lines).unwrap();
    }

    pub fn edit(&self, version: u64, mut change: impl FnMut(&mut Value)) {
        let mut actions = self.actions(version);
        actions.iter_mut().for_each(&mut change);
        self.write(version, &actions);
    }

    /// The newest commit that adds a file, and the Add.
    pub fn newest_add(&self) -> (u64, Value) {
        let add = |version: u64| {
            let action = self.actions(version).into_iter().find(|action| !action["add"].is_null())?;
            Some((version, action["add"].clone()))
        };
        self.versions(".json").into_iter().rev().find_map(add).unwrap()
    }

    /// A change of the newest Add, its statistics parsed.
    pub fn edit_add(&self, change: impl Fn(&mut Value, &mut Value)) {
        let (version, newest) = self.newest_add();
        self.edit(version, |action| {
            if let Some(add) = action.get_mut("add").filter(|add| add["path"] == newest["path"]) {
                let mut stats: Value = serde_json::from_str(add["stats"].as_str().unwrap()).unwrap();
                change(add, &mut stats);
                add["stats"] = json!(stats.to_string());
            }
        });
    }

    pub fn file(&self, add: &Value) -> PathBuf {
        self.root.join(add["path"].as_str().unwrap())
    }

    /// Writes the file of the newest Add anew, and corrects what the log says of its size and number of rows.
    pub fn rewrite(&self, change: impl Fn(RecordBatch) -> RecordBatch) {
        let path = self.file(&self.newest_add().1);
        let reader = ParquetRecordBatchReaderBuilder::try_new(fs::File::open(&path).unwrap()).unwrap();
        let batches: Vec<RecordBatch> = reader.build().unwrap().map(Result::unwrap).collect();
        let rows = change(concat_batches(&batches[0].schema(), &batches).unwrap());
        let mut writer = ArrowWriter::try_new(fs::File::create(&path).unwrap(), rows.schema(), None).unwrap();
        writer.write(&rows).unwrap();
        writer.close().unwrap();
        let bytes = fs::metadata(&path).unwrap().len();
        self.edit_add(|add, stats| {
            add["size"] = json!(bytes);
            stats["numRecords"] = json!(rows.num_rows());
        });
    }
}

/// Takes a row out that no statistics speak of; (partition, offset) of it.
pub fn without_a_row(rows: &RecordBatch) -> (RecordBatch, i64) {
    let ts = rows["ts"].as_primitive::<TimestampMicrosecondType>().values().to_vec();
    let close = rows["close"].as_primitive::<Float64Type>().values().to_vec();
    let offset = rows["kafka_offset"].as_primitive::<Int64Type>().values().to_vec();
    fn inside<T: PartialOrd + Copy>(values: &[T], at: usize) -> bool {
        values.iter().any(|other| *other < values[at]) && values.iter().any(|other| *other > values[at])
    }
    let symbols = arrow::compute::cast(&rows["symbol"], &arrow::datatypes::DataType::Utf8).unwrap();
    let symbols = symbols.as_string::<i32>();
    let is_alone =
        |at: usize| (0..rows.num_rows()).filter(|other| symbols.value(*other) == symbols.value(at)).count() < 2;
    let victim = (0..rows.num_rows())
        .find(|at| inside(&ts, *at) && inside(&close, *at) && inside(&offset, *at) && !is_alone(*at))
        .expect("some row is no extreme");
    let kept: BooleanArray = (0..rows.num_rows()).map(|at| Some(at != victim)).collect();
    (filter_record_batch(rows, &kept).unwrap(), offset[victim])
}

/// The batch with another column.
pub fn with_column(rows: &RecordBatch, name: &str, column: Arc<dyn Array>) -> RecordBatch {
    let mut columns = rows.columns().to_vec();
    columns[rows.schema().index_of(name).unwrap()] = column;
    RecordBatch::try_new(rows.schema(), columns).unwrap()
}
