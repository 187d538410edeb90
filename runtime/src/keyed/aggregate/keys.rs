//! Keys as numbers. Keys are compared in arrow's row format, so that any number and mix of key columns costs one
//! comparison of bytes.

use std::ops::Range;

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use arrow_row::{RowConverter, Rows, SortField};
use hashbrown::HashTable;
use xxhash_rust::xxh3::xxh3_64;

use crate::failure::{Failure, Result};

/// Distinct keys, numbered in the order of their first occurrence.
pub(in crate::keyed) enum Keys {
    /// Without key columns, there is one group from the first row on.
    Global {
        seen: bool,
    },
    Rows(Box<RowKeys>),
}

pub(in crate::keyed) struct RowKeys {
    converter: RowConverter,
    index: HashTable<(u64, u32)>,
    distinct: Rows,
    batch: Rows,
}

impl Keys {
    pub fn new(types: &[DataType]) -> Result<Self> {
        if types.is_empty() {
            return Ok(Self::Global { seen: false });
        }
        let fields = types.iter().cloned().map(SortField::new).collect();
        let converter = RowConverter::new(fields).map_err(|e| Failure::bug(format!("keys of types {types:?}: {e}")))?;
        let (distinct, batch) = (converter.empty_rows(0, 0), converter.empty_rows(0, 0));
        Ok(Self::Rows(Box::new(RowKeys { converter, index: HashTable::new(), distinct, batch })))
    }

    pub fn len(&self) -> usize {
        match self {
            Self::Global { seen } => usize::from(*seen),
            Self::Rows(k) => k.distinct.num_rows(),
        }
    }

    pub fn bytes(&self) -> usize {
        match self {
            Self::Global { .. } => 0,
            Self::Rows(k) => k.index.allocation_size() + k.distinct.size() + k.batch.size(),
        }
    }

    /// Writes the number of each row's group into `groups`.
    pub fn intern(&mut self, columns: &[ArrayRef], rows: usize, groups: &mut Vec<usize>) -> Result<()> {
        groups.clear();
        match self {
            Self::Global { seen } => {
                *seen |= rows > 0;
                groups.resize(rows, 0);
                Ok(())
            }
            Self::Rows(keys) => keys.intern(columns, groups),
        }
    }

    /// Bytes of one key.
    pub fn bytes_of(&self, group: usize) -> usize {
        match self {
            Self::Global { .. } => 0,
            Self::Rows(k) => k.distinct.row(group).as_ref().len(),
        }
    }

    pub fn arrays(&self, groups: Range<usize>) -> Result<Vec<ArrayRef>> {
        match self {
            Self::Global { .. } => Ok(Vec::new()),
            Self::Rows(k) => {
                let rows = groups.map(|group| k.distinct.row(group));
                k.converter.convert_rows(rows).map_err(|e| Failure::bug(format!("keys back from rows: {e}")))
            }
        }
    }
}

impl RowKeys {
    fn intern(&mut self, columns: &[ArrayRef], groups: &mut Vec<usize>) -> Result<()> {
        self.batch.clear();
        self.converter.append(&mut self.batch, columns).map_err(|e| Failure::bug(format!("keys into rows: {e}")))?;
        for row in self.batch.iter() {
            let hash = xxh3_64(row.as_ref());
            let distinct = &self.distinct;
            let found = self.index.find(hash, |(h, i)| *h == hash && distinct.row(*i as usize) == row);
            let group = match found {
                Some((_, group)) => *group,
                None => {
                    let group = u32::try_from(self.distinct.num_rows()).map_err(|_| {
                        Failure::config("a window has more than 4,294,967,295 groups; group by something coarser")
                    })?;
                    self.distinct.push(row);
                    self.index.insert_unique(hash, (hash, group), |(h, _)| *h);
                    group
                }
            };
            groups.push(group as usize);
        }
        Ok(())
    }
}
