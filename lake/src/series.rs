//! Which series are stored, so that a new one is stored once and two with one id are told apart.

use std::collections::{BTreeSet, HashMap};
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::sync::Arc;

use bellwether_model::series::Series;

use crate::error::LakeError;
use crate::file::DataFile;
use crate::rows;
use crate::scan::read_rows;
use crate::store::Place;
use crate::tables::SERIES;

/// The stored series: for each id a second, unrelated hash of metric and labels.
#[derive(Debug, Default)]
pub(crate) struct KnownSeries {
    second: HashMap<i64, u64>,
    read: BTreeSet<String>,
}

fn second_hash(series: &Series) -> u64 {
    BuildHasherDefault::<DefaultHasher>::default().hash_one((&series.metric, &series.labels))
}

impl KnownSeries {
    /// Reads the files of the table `series` that were not read before.
    pub(crate) async fn learn(&mut self, place: &Place, files: &[Arc<DataFile>]) -> Result<(), LakeError> {
        for file in files.iter().filter(|f| !self.read.contains(&f.path)).cloned().collect::<Vec<_>>() {
            for series in load(place, &file).await? {
                self.second.insert(series.series_id.0, second_hash(&series));
            }
            self.read.insert(file.path.clone());
        }
        Ok(())
    }

    /// Those of `offered` that are not stored, each once, in order of id.
    pub(crate) async fn new_among(&self, place: &Place, offered: &[Series], files: &[Arc<DataFile>]) -> Result<Vec<Series>, LakeError> {
        let mut new: Vec<&Series> = Vec::new();
        for series in offered {
            match self.second.get(&series.series_id.0) {
                None => new.push(series),
                Some(hash) if *hash == second_hash(series) => {}
                Some(_) => return Err(collision(place, series, files).await?),
            }
        }
        new.sort();
        new.dedup();
        match new.windows(2).find(|pair| pair[0].series_id == pair[1].series_id) {
            Some(pair) => Err(LakeError::Collision { stored: Box::new(pair[0].clone()), offered: Box::new(pair[1].clone()) }),
            None => Ok(new.into_iter().cloned().collect()),
        }
    }

    /// Takes note of series that were stored in this file.
    pub(crate) fn remember(&mut self, stored: &[Series], path: String) {
        self.second.extend(stored.iter().map(|s| (s.series_id.0, second_hash(s))));
        self.read.insert(path);
    }
}

async fn collision(place: &Place, offered: &Series, files: &[Arc<DataFile>]) -> Result<LakeError, LakeError> {
    for file in files {
        if let Some(stored) = load(place, file).await?.into_iter().find(|s| s.series_id == offered.series_id && s != offered) {
            return Ok(LakeError::Collision { stored: Box::new(stored), offered: Box::new(offered.clone()) });
        }
    }
    Ok(LakeError::Bug(format!("series id {} of {offered} is stored, but not to be found", offered.series_id)))
}

async fn load(place: &Place, file: &DataFile) -> Result<Vec<Series>, LakeError> {
    let batches = read_rows(place, &SERIES, file).await?;
    rows::decode(&batches).map_err(|source| LakeError::Rows { table: SERIES.name, source })
}
