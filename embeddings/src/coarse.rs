//! Vectors in eight bits a number, with a bound of what that loses.
//!
//! A row `x` is kept as whole numbers `c` from -127 to 127 and a scale `s`. With a query `q` of length 1, kept as `t·d`,
//! `x·q - s·t·(c·d) = (x - s·c)·q + s·c·(q - t·d)`, so by the inequality of Cauchy and Schwarz a product of whole numbers, of a
//! quarter of the bytes, is wrong by at most `|x - s·c| + |s·c|·|q - t·d|`. What is outside of that bound need not be read exactly.

use wide::i16x8;

/// Sixteen codes, two in a word: the even ones in the low bytes, from which two shifts spread the sign.
type Block = [i16; 8];

const CODES: usize = 16;

/// The rows.
#[derive(Clone, Debug)]
pub(crate) struct Coarse {
    /// Of a row, the last one filled up with zeros.
    blocks_per_row: usize,
    blocks: Vec<Block>,
    rows: Vec<Row>,
}

#[derive(Clone, Copy, Debug)]
struct Row {
    /// 0 for a row of zeros.
    scale: f32,
    /// The length of what the codes leave out.
    error: f32,
}

/// A query in sixteen bits, against which rows are bounded.
#[derive(Clone, Debug)]
pub(crate) struct CoarseQuery {
    /// The even codes and the odd ones of each block.
    blocks: Vec<(i16x8, i16x8)>,
    scale: f32,
    error: f32,
}

impl Coarse {
    /// No rows, of vectors with this many numbers.
    pub(crate) fn new(dimensions: usize) -> Self {
        Self { blocks_per_row: dimensions.div_ceil(CODES), blocks: Vec::new(), rows: Vec::new() }
    }

    /// Makes room for so many more rows.
    pub(crate) fn reserve(&mut self, more: usize) {
        self.blocks.reserve(more * self.blocks_per_row);
        self.rows.reserve(more);
    }

    /// Replaces a row, or adds it behind the last. The vector has length 1 or is all zeros.
    pub(crate) fn set(&mut self, row: usize, vector: &[f32]) {
        let scale = largest(vector) / 127.0;
        let per_code = if scale > 0.0 { 1.0 / scale } else { 0.0 };
        // To the nearest, without a call of the library for each number; how far it is off is measured below.
        let codes: Vec<i8> = vector.iter().map(|v| (v * per_code + 0.5_f32.copysign(*v)) as i8).collect();
        if row == self.rows.len() {
            self.blocks.resize(self.blocks.len() + self.blocks_per_row, [0; 8]);
            self.rows.push(Row { scale, error: 0.0 });
        }
        let blocks = &mut self.blocks[row * self.blocks_per_row..][..self.blocks_per_row];
        for (block, codes) in blocks.iter_mut().zip(codes.chunks(CODES)) {
            let code = |i: usize| codes.get(i).copied().unwrap_or(0);
            *block = std::array::from_fn(|i| i16::from_le_bytes([code(2 * i).to_le_bytes()[0], code(2 * i + 1).to_le_bytes()[0]]));
        }
        self.rows[row] = Row { scale, error: distance(vector, codes.iter().map(|c| f32::from(*c) * scale)) };
    }

    /// Prepares a query of length 1.
    pub(crate) fn query(&self, vector: &[f32]) -> CoarseQuery {
        // The sum of products with a row stays within an i32.
        let most = (i32::MAX / 127 / i32::try_from(vector.len().max(1)).unwrap_or(i32::MAX)).clamp(1, 32_767) as f32;
        let scale = largest(vector) / most;
        let codes: Vec<i16> = vector.iter().map(|v| if scale > 0.0 { (v / scale).round() as i16 } else { 0 }).collect();
        let half = |codes: &[i16], odd: usize| i16x8::new(std::array::from_fn(|i| codes.get(2 * i + odd).copied().unwrap_or(0)));
        let blocks = codes.chunks(CODES).map(|codes| (half(codes, 0), half(codes, 1))).collect();
        let error = distance(vector, codes.iter().map(|c| f32::from(*c) * scale));
        CoarseQuery { blocks, scale, error }
    }

    /// Calls `each` for every row but zeros, in order, with what its product with the query surely lies between.
    pub(crate) fn bounds(&self, query: &CoarseQuery, mut each: impl FnMut(usize, f32, f32)) {
        // Single precision, in the exact product too, loses at most this.
        let rounding = 4.0 * f32::EPSILON * (self.blocks_per_row * CODES) as f32;
        let by_query = query.error + rounding;
        for (row, (blocks, Row { scale, error })) in self.blocks.chunks_exact(self.blocks_per_row.max(1)).zip(&self.rows).enumerate() {
            if *scale > 0.0 {
                let product = scale * query.scale * product(blocks, &query.blocks) as f32;
                let width = error + error * query.error + by_query;
                each(row, product - width, product + width);
            }
        }
    }
}

fn product(row: &[Block], query: &[(i16x8, i16x8)]) -> i32 {
    let sums = row.iter().zip(query).fold(wide::i32x4::ZERO, |sums, (block, (even, odd))| {
        let block = i16x8::new(*block);
        let (low, high): (i16x8, i16x8) = (block << 8_i32, block >> 8_i32);
        let low: i16x8 = low >> 8_i32;
        sums + low.dot(*even) + high.dot(*odd)
    });
    sums.reduce_add()
}

fn largest(vector: &[f32]) -> f32 {
    vector.iter().fold(0.0, |most, v| v.abs().max(most))
}

/// Rounded up.
fn distance(a: &[f32], b: impl Iterator<Item = f32>) -> f32 {
    let squares: f64 = a.iter().zip(b).map(|(x, y)| (f64::from(*x) - f64::from(y)).powi(2)).sum();
    (squares.sqrt() as f32) * (1.0 + f32::EPSILON) + f32::MIN_POSITIVE
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn products_lie_within_the_bounds(
            rows in proptest::collection::vec(proptest::collection::vec(-1.0_f32..1.0, 24), 1..20),
            query in proptest::collection::vec(-1.0_f32..1.0, 24),
        ) {
            let unit = |v: &[f32]| -> Vec<f32> {
                let norm = v.iter().map(|x| x * x).sum::<f32>().sqrt();
                v.iter().map(|x| if norm > 0.0 { x / norm } else { 0.0 }).collect()
            };
            let (rows, query): (Vec<_>, _) = (rows.iter().map(|r| unit(r)).collect(), unit(&query));
            let mut coarse = Coarse::new(24);
            rows.iter().enumerate().for_each(|(i, row)| coarse.set(i, row));
            coarse.set(0, &rows[rows.len() - 1]);
            coarse.set(0, &rows[0]);
            let mut seen = 0;
            coarse.bounds(&coarse.query(&query), |row, low, high| {
                let exact: f64 = rows[row].iter().zip(&query).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum();
                assert!(f64::from(low) <= exact && exact <= f64::from(high), "{low} <= {exact} <= {high}");
                assert!(high - low < 0.1, "the bound is of use: {low} to {high}");
                seen += 1;
            });
            prop_assert_eq!(seen, rows.len());
        }
    }
}
