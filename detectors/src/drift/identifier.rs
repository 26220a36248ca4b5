//! Columns that name rows: numbers that count up, keys, texts of which each row has its own. Their distribution says nothing of drift, for
//! new rows have new names.

use crate::drift::column::Column;
use crate::drift::order::sorted;
use crate::drift::shape::Steps;
use crate::drift::sketch::Sketch;

/// Fewer rows than this are not enough to tell.
const FEW: usize = 20;
/// From this many whole numbers that are all different on, they are names.
const MANY: usize = 1_000;
/// Of a sketch, whose count of different values is an estimate.
const NEARLY: f64 = 0.93;

/// Whether a column names its rows: whole numbers that rise or fall with every row, or a thousand of them and no two alike; texts that
/// are all different, or thousands of them and most different.
pub fn names_rows(column: &Column<'_>) -> bool {
    match column {
        Column::Numbers { values, .. } => {
            let is_ordered = || values.windows(2).all(|w| w[0] < w[1]) || values.windows(2).all(|w| w[0] > w[1]);
            let differ = || sorted(values).windows(2).all(|w| w[0] < w[1]);
            let is_whole = || values.iter().all(|v| v.fract() == 0.0);
            values.len() >= FEW && is_whole() && (is_ordered() || values.len() >= MANY && differ())
        }
        Column::Categories { counts, .. } => {
            let total = counts.values().sum::<u64>();
            total >= FEW as u64 && counts.len() as u64 == total || counts.len() > MANY && counts.len() as u64 * 2 > total
        }
    }
}

/// The same of a sketch, from about a thousand values on.
pub fn sketch_names_rows(sketch: &Sketch) -> bool {
    let (values, different) = (sketch.rows() - sketch.nulls(), sketch.distinct());
    let is_whole = || sketch.quantiles().and_then(Steps::of_sketch).is_some_and(|s| s.is_whole());
    match sketch.frequent() {
        Some(_) => different > MANY as u64 && different * 2 > values,
        None => values >= MANY as u64 && different as f64 >= NEARLY * values as f64 && is_whole(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn names(values: &[f64]) -> bool {
        names_rows(&Column::Numbers { values, nulls: 0 })
    }

    #[test]
    fn names_are_told_from_measurements() {
        let whole = |n: u32, f: fn(u32) -> u32| (0..n).map(|i| f64::from(f(i))).collect::<Vec<_>>();
        assert!(names(&whole(100, |i| i)) && names(&whole(100, |i| 9_000 - 7 * i)), "they count up or down");
        assert!(names(&whole(2_000, |i| i * 7_919 % 2_003)), "no two alike");
        assert!(!names(&whole(10, |i| i)) && !names(&whole(500, |i| i * 7_919 % 509)), "too few to tell");
        assert!(!names(&whole(2_000, |i| i % 999)), "they repeat");
        assert!(!names(&whole(2_000, |i| i).iter().map(|v| v + 0.5).collect::<Vec<_>>()), "measurements may all differ");
        let texts = |n: u32, times: u64| -> BTreeMap<String, u64> { (0..n).map(|i| (format!("name {i}"), times)).collect() };
        let of = |counts: &BTreeMap<String, u64>| names_rows(&Column::Categories { counts, nulls: 0 });
        assert!(of(&texts(30, 1)) && !of(&texts(30, 2)) && !of(&texts(5, 1)));
        let mut mostly = texts(1_500, 1);
        mostly.insert("unknown".into(), 400);
        assert!(of(&mostly) && !of(&texts(1_500, 9)));
    }

    #[test]
    fn a_sketch_tells_it_too() {
        use crate::drift::histogram::Grid;
        let of = |f: fn(u32) -> f64| {
            let mut sketch = Sketch::of_numbers(Grid::new(0.0, 50_000.0, 64).unwrap(), 0, 1);
            sketch.add_numbers(&(0..20_000).map(f).collect::<Vec<_>>()).unwrap();
            sketch_names_rows(&sketch)
        };
        assert!(of(f64::from) && !of(|i| f64::from(i) + 0.25) && !of(|i| f64::from(i % 900)));
        let mut texts = Sketch::of_categories(100);
        (0..5_000).for_each(|i| texts.add_category(&format!("name {i}"), 1).unwrap());
        assert!(sketch_names_rows(&texts));
    }
}
