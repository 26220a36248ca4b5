//! What is true of every kernel, each in a table of all: saved and continued it goes on as if it had never stopped; whatever goes in,
//! nothing but numbers comes out; it shifts and scales as its documentation says. Then what is true of some: order does not matter, parts
//! together are the whole. Each kernel's known answers stand beside it.
//!
//! | kernel | shift, scale | order of values | parts together |
//! |---|---|---|---|
//! | `ewma`, `robust`, `range`, `entropy`, `block` | change nothing | `robust`: of those in the window none; `range`: none | `range` |
//! | `tail` | change nothing, nor does any rising function | none | – |
//! | `seasonal`, `mstl`, `window` | shift and scale with the values | `window`: none | – |
//! | `period`, `alike` | change nothing | `alike`: of the columns none | – |
//! | `principal` | errors scale with the square of the values | of the rows none | – |
//! | `adwin` | change nothing, where its range scales along | – | – |
//! | `hold`, `smooth`, `record`, `counter` | scale with the values | – | – |
//! | `cusum` | takes standard deviations; turned upside down it turns its sign | – | – |
//! | `pelt` | change nothing | turned back to front it cuts at the mirrored places | – |
//! | `ordered` | – | none | – |

use bellwether_detectors::calendar::Calendar;
use bellwether_detectors::kernel::adwin::Adwin;
use bellwether_detectors::kernel::alike::alike;
use bellwether_detectors::kernel::block::{Charts, rolling_z_ewma};
use bellwether_detectors::kernel::counter::Counter;
use bellwether_detectors::kernel::cusum::Cusum;
use bellwether_detectors::kernel::entropy::Novelty;
use bellwether_detectors::kernel::ewma::Ewma;
use bellwether_detectors::kernel::hold::{Hold, Smooth};
use bellwether_detectors::kernel::mstl::Mstl;
use bellwether_detectors::kernel::ordered::Ordered;
use bellwether_detectors::kernel::pelt::change_points;
use bellwether_detectors::kernel::period::period;
use bellwether_detectors::kernel::principal::Principal;
use bellwether_detectors::kernel::range::Range;
use bellwether_detectors::kernel::record::Record;
use bellwether_detectors::kernel::robust::{RobustZ, robust_z};
use bellwether_detectors::kernel::seasonal::Seasonal;
use bellwether_detectors::kernel::tail::Tail;
use bellwether_detectors::kernel::window::Window;
use bellwether_model::time::Span;
use proptest::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A kernel as all of them can be driven: a value at a time goes in, a number comes out, 0 where it has none to give.
trait Streaming {
    fn push(&mut self, t: i64, x: f64) -> f64;
    /// The same, written as JSON and read again.
    fn restarted(&self) -> Box<dyn Streaming>;
}

struct Kernel<S> {
    state: S,
    step: fn(&mut S, i64, f64) -> f64,
}

impl<S: Serialize + DeserializeOwned + 'static> Streaming for Kernel<S> {
    fn push(&mut self, t: i64, x: f64) -> f64 {
        (self.step)(&mut self.state, t, x)
    }
    fn restarted(&self) -> Box<dyn Streaming> {
        let saved = serde_json::to_string(&self.state).expect("a state has a JSON form");
        Box::new(Self { state: serde_json::from_str(&saved).expect("and can be read from it"), step: self.step })
    }
}

/// What shifting and scaling the values does to what comes out.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Law {
    /// Nothing.
    Invariant,
    /// It is shifted and scaled along.
    Equivariant,
    /// It is scaled along; the values may not be shifted.
    Scales,
    /// Only turning the values upside down has a law: the sign turns.
    Odd,
}

fn kernel<S: Serialize + DeserializeOwned + 'static>(state: S, step: fn(&mut S, i64, f64) -> f64) -> Box<dyn Streaming> {
    Box::new(Kernel { state, step })
}

/// Every streaming kernel, for values whose unit is `scale`, and which lie in `low..low + 64 * scale`.
fn kernels(low: f64, scale: f64) -> Vec<(&'static str, Law, Box<dyn Streaming>)> {
    vec![
        ("adwin", Law::Invariant, kernel(Adwin::new(0.01, 64.0 * scale), |k: &mut Adwin, _, x| f64::from(u8::from(k.push(x))))),
        ("counter", Law::Scales, kernel(Counter::default(), |k: &mut Counter, t, x| k.push(t, x).unwrap_or(0.0))),
        ("cusum", Law::Odd, kernel(Cusum::default(), |k: &mut Cusum, _, x| k.push(x))),
        (
            "entropy",
            Law::Invariant,
            kernel(Novelty::new(8, 12, (low, low + 64.0 * scale), 0.01), |k: &mut Novelty, _, x| f64::from(u8::from(k.push(x)))),
        ),
        ("ewma", Law::Invariant, kernel(Ewma::new(60e6), |k: &mut Ewma, t, x| k.push(t, x))),
        ("hold", Law::Scales, kernel(Hold::new(7), |k: &mut Hold, _, x| k.push(x))),
        ("smooth", Law::Scales, kernel(Smooth::new(7), |k: &mut Smooth, _, x| k.push(x))),
        (
            "mstl",
            Law::Equivariant,
            // A second of the test is half an hour of the kernel, so that it sees days.
            kernel(Mstl::new(&Calendar::default(), Span::from_days(28)), |k: &mut Mstl, t, x| k.push(t * 1_800, x).unwrap_or(x)),
        ),
        ("range", Law::Invariant, kernel(Range::default(), |k: &mut Range, _, x| k.push(x))),
        ("record", Law::Scales, kernel(Record::new(9), |k: &mut Record, _, x| k.push(x))),
        ("robust", Law::Invariant, kernel(RobustZ::new(11, 0.1, 20.0), |k: &mut RobustZ, _, x| k.push(x))),
        ("seasonal", Law::Equivariant, kernel(Seasonal::new(24_000_000, 4), |k: &mut Seasonal, t, x| k.push(t, x).unwrap_or(x))),
        ("tail", Law::Invariant, kernel(Tail::new(20), |k: &mut Tail, _, x| k.push(x))),
        (
            "window",
            Law::Equivariant,
            kernel(Window::new(40_000_000, 30), |k: &mut Window, t, x| {
                k.push(t, x);
                k.moments().map_or(x, |(mean, _)| mean)
            }),
        ),
    ]
}

/// Steps of a second mostly, some shorter, some gaps of more than any window.
fn any_times(n: usize) -> impl Strategy<Value = Vec<i64>> {
    let step = prop_oneof![20 => Just(1_000_000i64), 4 => 1i64..3_000_000, 1 => Just(200_000_000)];
    prop::collection::vec(step, n).prop_map(|steps| {
        steps
            .iter()
            .scan(0, |t, step| {
                *t += step;
                Some(*t)
            })
            .collect()
    })
}

const N: usize = 160;

/// Whole numbers of 0..64 that stay near a level for a while: scaled and shifted by powers of two they stay exact.
fn any_levels() -> impl Strategy<Value = Vec<f64>> {
    prop::collection::vec((0i32..56, prop::collection::vec(0i32..8, 20)), N / 20)
        .prop_map(|parts| parts.into_iter().flat_map(|(level, noise)| noise.into_iter().map(move |e| f64::from(level + e))).collect())
}

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-9 * a.abs().max(1.0)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn saved_and_continued_is_never_having_stopped(ts in any_times(N), values in any_levels(), cut in 1usize..N) {
        for ((name, _, mut whole), (_, _, mut parts)) in kernels(0.0, 1.0).into_iter().zip(kernels(0.0, 1.0)) {
            for i in 0..N {
                if i == cut {
                    parts = parts.restarted();
                }
                let (a, b) = (whole.push(ts[i], values[i]), parts.push(ts[i], values[i]));
                prop_assert!(close(a, b), "{} at {}: {} and {}", name, i, a, b);
            }
        }
    }

    #[test]
    fn shift_and_scale_do_what_is_documented(ts in any_times(N), values in any_levels(), power in -3i32..6, shift in -32i32..32) {
        let (scale, shift) = (2f64.powi(power), f64::from(shift));
        for ((name, law, mut plain), (_, _, mut moved)) in kernels(0.0, 1.0).into_iter().zip(kernels(shift, scale)) {
            for i in 0..N {
                let x = values[i];
                let y = plain.push(ts[i], x);
                let (given, wanted) = match law {
                    Law::Invariant => (x * scale + shift, y),
                    Law::Equivariant => (x * scale + shift, y * scale + shift),
                    Law::Scales => (x * scale, y * scale),
                    Law::Odd => (-x, -y),
                };
                let got = moved.push(ts[i], given);
                prop_assert!(close(wanted, got), "{} ({:?}) at {}: {} and not {}", name, law, i, got, wanted);
            }
        }
    }

    #[test]
    fn nothing_but_numbers_comes_out(
        ts in any_times(80), values in prop::collection::vec(prop_oneof![prop::num::f64::ANY, Just(1.0), -1e119..1e119f64], 80),
    ) {
        for (name, _, mut kernel) in kernels(0.0, 1.0) {
            for (t, x) in ts.iter().zip(&values) {
                // Three take measurements only, and say so.
                if ["window", "seasonal", "mstl"].contains(&name) && (x.is_nan() || x.abs() > 1e119) {
                    continue;
                }
                let y = kernel.push(*t, *x);
                prop_assert!(y.is_finite(), "{} of {}", name, x);
            }
        }
        let (mut z, mut ewma) = (vec![0.0; 80], vec![0.0; 80]);
        rolling_z_ewma(&values, 40, Charts { width: 9, alpha: 0.2 }, &mut z, &mut ewma);
        let mut robust = vec![0.0; 80];
        robust_z(&values, 9, 0.0, 20.0, &mut robust);
        prop_assert!(z.iter().chain(&ewma).chain(&robust).all(|s| s.is_finite()));
        prop_assert!(period(&ts, &values).is_none_or(|p| p > 0));
        prop_assert!(alike(&values, 4).iter().all(|cluster| cluster.len() >= 2));
        if let Some(found) = Principal::learn(&values, 4) {
            prop_assert!(found.line().is_finite() && found.error(&[1.0, 2.0, 3.0, 4.0]).is_finite());
        }
        prop_assert!(change_points(&values, None).windows(2).all(|p| p[0] < p[1]));
    }

    /// What a multiset, a range, a tail and the moments of a window say of values does not depend on their order.
    #[test]
    fn order_does_not_matter_where_it_should_not(values in prop::collection::vec(-50i32..50, 2..40), last in -60i32..60) {
        let values: Vec<f64> = values.into_iter().map(f64::from).collect();
        let mut sorted = values.clone();
        sorted.sort_by(f64::total_cmp);
        let last = f64::from(last);
        let of = |values: &[f64]| {
            let (mut set, mut range, mut tail) = (Ordered::default(), Range::default(), Tail::new(100));
            let (mut window, mut robust) = (Window::new(1_000, 100), RobustZ::new(100, 0.1, 20.0));
            for (t, x) in values.iter().enumerate() {
                set.insert(*x);
                range.push(*x);
                tail.push(*x);
                window.push(t as i64, *x);
                robust.push(*x);
            }
            let (mean, sd) = window.moments().unwrap_or_default();
            let (median, scale) = window.robust(0.2).unwrap_or_default();
            let mad = set.mad(set.median().unwrap_or_default()).unwrap_or_default();
            [set.quantile(0.3).unwrap_or_default(), mad, range.push(last), tail.push(last), mean, sd, median, scale, robust.push(last)]
        };
        for (a, b) in of(&values).into_iter().zip(of(&sorted)) {
            prop_assert!(close(a, b), "{} {}", a, b);
        }
    }

    /// The range of both parts is that of the whole; no other kernel's state can be merged, because each depends on what came before.
    #[test]
    fn parts_together_are_the_whole(values in prop::collection::vec(-50.0f64..50.0, 1..60), cut in 0usize..60, next in -80.0f64..80.0) {
        let cut = cut.min(values.len());
        let of = |values: &[f64]| values.iter().fold(Range::default(), |mut range, x| { range.push(*x); range });
        let (mut whole, mut merged) = (of(&values), of(&values[..cut]).merge(of(&values[cut..])));
        prop_assert_eq!(whole.seen(), merged.seen());
        prop_assert_eq!(whole.push(next), merged.push(next));
    }

    /// Rows in another order teach the same; columns in another order are explained the same; and errors are those of scaled rows, squared.
    #[test]
    fn principal_components_know_no_order(noise in prop::collection::vec(-1.0f64..1.0, 240), turn in 1usize..4, power in -3i32..6) {
        let width = 4;
        let rows: Vec<f64> = noise.chunks(6).flat_map(|n| (0..width).map(|c| 2.0 * n[4] + n[5] * c as f64 + 0.5 * n[c])).collect();
        let mean = |c: usize| rows.iter().skip(c).step_by(width).sum::<f64>() / (rows.len() / width) as f64;
        let rows: Vec<f64> = rows.iter().enumerate().map(|(i, x)| x - mean(i % width)).collect();
        let plain = Principal::learn(&rows, width).expect("enough rows");
        let mut backwards: Vec<&[f64]> = rows.chunks(width).collect();
        backwards.reverse();
        let backwards = Principal::learn(&backwards.concat(), width).expect("the same rows");
        let turned = |row: &[f64]| { let mut row = row.to_vec(); row.rotate_left(turn); row };
        let sideways = Principal::learn(&rows.chunks(width).flat_map(turned).collect::<Vec<_>>(), width).expect("the same rows");
        let scale = 2f64.powi(power);
        let moved = Principal::learn(&rows.iter().map(|x| x * scale).collect::<Vec<_>>(), width).expect("the same rows");
        let near = |a: f64, b: f64| (a - b).abs() <= 1e-6 * a.abs().max(1.0);
        for row in rows.chunks(width).take(10) {
            let error = plain.error(row);
            prop_assert!(near(error, backwards.error(row)) && near(error, sideways.error(&turned(row))), "{} {}", error, sideways.error(&turned(row)));
            let scaled: Vec<f64> = row.iter().map(|x| x * scale).collect();
            prop_assert!(near(error * scale * scale, moved.error(&scaled)));
        }
        prop_assert!(near(plain.line(), backwards.line()) && near(plain.line() * scale * scale, moved.line()));
    }

    /// Series side by side do not know of each other: in another order they get the same scores, in that order.
    #[test]
    fn a_block_of_series_scores_each_alone(values in prop::collection::vec(-9.0f64..9.0, 300), turn in 0usize..6, power in -3i32..6, shift in -8i32..8) {
        let charts = Charts { width: 10, alpha: 0.2 };
        let run = |values: &[f64]| {
            let (mut z, mut ewma) = (vec![0.0; values.len()], vec![0.0; values.len()]);
            rolling_z_ewma(values, 50, charts, &mut z, &mut ewma);
            (z, ewma)
        };
        let mut turned = values.clone();
        turned.rotate_left(turn * 50);
        let ((mut z, mut ewma), (z_turned, ewma_turned)) = (run(&values), run(&turned));
        let moved: Vec<f64> = values.iter().map(|v| v * 2f64.powi(power) + f64::from(shift)).collect();
        let (z_moved, ewma_moved) = run(&moved);
        for i in 0..values.len() {
            prop_assert!((z[i] - z_moved[i]).abs() < 1e-6 && (ewma[i] - ewma_moved[i]).abs() < 1e-6, "at {}", i);
        }
        z.rotate_left(turn * 50);
        ewma.rotate_left(turn * 50);
        for i in 0..values.len() {
            prop_assert!(close(z[i], z_turned[i]) && close(ewma[i], ewma_turned[i]), "at {}", i);
        }
    }

    #[test]
    fn a_robust_score_of_a_slice_is_that_of_its_points(values in prop::collection::vec(-9.0f64..9.0, 1..60), width in 3usize..20) {
        let mut whole = vec![0.0; values.len()];
        robust_z(&values, width, 0.1, 20.0, &mut whole);
        let mut window = RobustZ::new(width, 0.1, 20.0);
        let each: Vec<f64> = values.iter().map(|x| window.push(*x)).collect();
        prop_assert_eq!(whole, each);
    }

    /// A level that begins at `at` ends there when time is turned around.
    #[test]
    fn change_points_are_mirrored_with_time(noise in prop::collection::vec(-1.0f64..1.0, 60), at in 15usize..45, scale in 0.1f64..50.0, shift in -1e3f64..1e3) {
        let values: Vec<f64> = noise.iter().enumerate().map(|(i, e)| e + if i >= at { 30.0 } else { 0.0 }).collect();
        let found = change_points(&values, Some(40.0));
        let mut mirrored = values.clone();
        mirrored.reverse();
        let back: Vec<usize> = change_points(&mirrored, Some(40.0)).iter().rev().map(|i| values.len() - i).collect();
        prop_assert_eq!(&found, &back);
        let moved: Vec<f64> = values.iter().map(|v| v * scale + shift).collect();
        prop_assert_eq!(&found, &change_points(&moved, Some(40.0)));
        prop_assert_eq!(found, vec![at]);
    }
}

/// Constant, all NaN, empty, with gaps, falling back to zero, at odd times: what each kernel says of it.
#[test]
fn edges_are_what_is_documented() {
    let quiet = |name: &str, ts: &[i64], values: &[f64]| {
        let (_, _, mut kernel) = kernels(0.0, 1.0).into_iter().find(|(n, ..)| *n == name).expect("a known name");
        ts.iter().zip(values).map(|(t, x)| kernel.push(*t, *x)).collect::<Vec<f64>>()
    };
    let ts: Vec<i64> = (0..100).map(|t| t * 1_000_000).collect();
    for name in ["adwin", "counter", "ewma", "range", "robust"] {
        let said = quiet(name, &ts, &[7.0; 100]);
        assert!(said.iter().all(|y| *y == 0.0), "{name} of a constant: {said:?}");
    }
    assert_eq!(quiet("tail", &ts, &[7.0; 100]), [1.0; 100], "nothing is rare of what is always the same");
    assert_eq!(quiet("seasonal", &ts, &[7.0; 100]), [7.0; 100]);
    assert_eq!(quiet("mstl", &ts, &[7.0; 100]), [7.0; 100]);
    for name in ["adwin", "counter", "cusum", "ewma", "hold", "smooth", "range", "record", "robust", "entropy"] {
        let said = quiet(name, &ts, &[f64::NAN; 100]);
        assert!(said.iter().all(|y| *y == 0.0), "{name} of no number: {said:?}");
    }
    assert_eq!(quiet("tail", &ts, &[f64::NAN; 100]), [1.0; 100]);
    // A counter that begins anew counts on; its rate never falls below 0.
    let reset: Vec<f64> = (0..100).map(|i| f64::from(i % 40) * 2.0).collect();
    let rates = quiet("counter", &ts, &reset);
    assert!(rates.iter().all(|r| (0.0..=2.0).contains(r)) && rates[41..79].iter().all(|r| *r == 2.0) && rates[40] == 0.0);
    // After a gap longer than the window, the window holds what is new alone; a daily median has nothing to say.
    let mut window = Window::new(10, 100);
    (0..20).for_each(|t| window.push(t, 1.0));
    window.push(1_000, 5.0);
    assert_eq!((window.len(), window.moments()), (1, None));
    let mut seasonal = Seasonal::new(24, 4);
    for t in 0..72 {
        seasonal.push(t, 1.0);
    }
    assert_eq!(seasonal.push(10_000, 1.0), None);
    // Irregular steps: the memory of an EWMA is in time, so many points in a moment weigh no more than one.
    let (mut dense, mut sparse) = (Ewma::new(100.0), Ewma::new(100.0));

    for t in [0, 100, 200] {
        sparse.push(t, 4.0 + t as f64);
        for _ in 0..50 {
            dense.push(t, 4.0 + t as f64);
        }
    }
    assert_eq!(sparse.mean(), dense.mean());
    let (mut z, mut ewma) = ([9.0; 0], [9.0; 0]);
    rolling_z_ewma(&[], 0, Charts::default(), &mut z, &mut ewma);
    assert!(change_points(&[], None).is_empty() && Ordered::default().median().is_none());
}
