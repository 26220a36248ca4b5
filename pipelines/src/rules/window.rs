//! How long the window is that an expression computes each value from.
//!
//! `rate(x[5m])` divides by five minutes also where a series has been there for one: the first values of a new series climb from nearly
//! nothing to what is true. They say how long Prometheus has known the series and nothing of the fleet, so they are not asked for.

use bellwether_model::time::Span;
use promql_parser::parser::Expr;
use promql_parser::parser::token::{T_BOTTOMK, T_LIMIT_RATIO, T_LIMITK, T_TOPK};

/// The longest range that the expression looks back over for one value; zero for one without ranges.
///
/// Zero too where a series comes and goes with its values (`rate(x[5m]) > 1`, `topk(3, …)`): its first value then is not the beginning of its
/// data.
pub fn longest(expr: &Expr) -> Span {
    if comes_and_goes(expr) { Span::ZERO } else { range(expr) }
}

fn range(expr: &Expr) -> Span {
    match expr {
        Expr::MatrixSelector(selector) => span(selector.range),
        Expr::Subquery(subquery) => span(subquery.range) + range(&subquery.expr),
        other => parts(other).into_iter().map(range).max().unwrap_or(Span::ZERO),
    }
}

fn comes_and_goes(expr: &Expr) -> bool {
    let here = match expr {
        Expr::Binary(binary) => binary.op.is_comparison_operator() && !binary.return_bool(),
        Expr::Aggregate(aggregate) => matches!(aggregate.op.id(), T_TOPK | T_BOTTOMK | T_LIMITK | T_LIMIT_RATIO),
        _ => false,
    };
    here || parts(expr).into_iter().any(comes_and_goes)
}

/// The expressions directly within an expression.
fn parts(expr: &Expr) -> Vec<&Expr> {
    match expr {
        Expr::Aggregate(aggregate) => vec![&aggregate.expr],
        Expr::Unary(unary) => vec![&unary.expr],
        Expr::Binary(binary) => vec![&binary.lhs, &binary.rhs],
        Expr::Paren(paren) => vec![&paren.expr],
        Expr::Subquery(subquery) => vec![&subquery.expr],
        Expr::Call(call) => call.args.args.iter().map(AsRef::as_ref).collect(),
        Expr::NumberLiteral(_) | Expr::StringLiteral(_) | Expr::VectorSelector(_) | Expr::MatrixSelector(_) | Expr::Extension(_) => vec![],
    }
}

fn span(duration: std::time::Duration) -> Span {
    Span::from_micros(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_range_counts() {
        let table = [
            ("up", 0),
            ("rate(x[5m])", 300),
            ("histogram_quantile(0.95, sum by (le) (rate(x_bucket[10m])))", 600),
            ("(-rate(a[1m])) / sum(rate(b[15m])) or rate(c[2m])", 900),
            ("max_over_time(rate(x[5m])[1h:1m])", 3_900),
            ("rate(x[5m]) > 1", 0),
            ("rate(x[5m]) > bool 1", 300),
            ("topk(3, rate(x[5m]))", 0),
            ("sum(rate(x[5m]) unless y == 0)", 0),
        ];
        for (expr, seconds) in table {
            assert_eq!(longest(&promql_parser::parser::parse(expr).unwrap()), Span::from_secs(seconds), "{expr}");
        }
    }
}
