//! Rows of many numbers (embeddings, or all columns of a table side by side): what no column alone shows.

/// Rows of equal length, one after another.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rows<'a> {
    values: &'a [f64],
    width: usize,
}

/// Values that are not rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RowsError {
    /// The values do not divide into rows.
    #[error("{values} values do not make rows of {width}")]
    Width {
        /// How many values.
        values: usize,
        /// How long a row is.
        width: usize,
    },
    /// A value is NaN or infinite.
    #[error("row {row} holds a value that is NaN or infinite")]
    NotFinite {
        /// Which row, from 0.
        row: usize,
    },
}

impl<'a> Rows<'a> {
    /// Rows of `width` values each.
    ///
    /// # Errors
    /// When values are left over, or one is not finite.
    pub fn new(values: &'a [f64], width: usize) -> Result<Self, RowsError> {
        if width == 0 || !values.len().is_multiple_of(width) {
            return Err(RowsError::Width { values: values.len(), width });
        }
        match values.iter().position(|v| !v.is_finite()) {
            Some(place) => Err(RowsError::NotFinite { row: place / width }),
            None => Ok(Self { values, width }),
        }
    }

    /// How many rows.
    pub fn len(&self) -> usize {
        self.values.len() / self.width
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// How many values a row has.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Row `i`.
    ///
    /// # Panics
    /// When there is no such row.
    pub fn row(&self, i: usize) -> &'a [f64] {
        &self.values[i * self.width..][..self.width]
    }

    /// All of them in order.
    pub fn iter(&self) -> impl Iterator<Item = &'a [f64]> {
        self.values.chunks_exact(self.width)
    }
}

/// The squared distance of two rows.
pub(crate) fn squared_distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| (x - y) * (x - y)).sum()
}

/// The scalar product of two rows.
pub(crate) fn product(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}
