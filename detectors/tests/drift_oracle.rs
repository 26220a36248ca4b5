//! Drift statistics against scipy's answers: always on UCI Adult (a digest of it is in `data/adult.json`), and on everything in
//! `drift-oracle/oracle.json` of the folder that `BELLWETHER_DATA` names, where it is set.

#![allow(clippy::unwrap_used)] // tests

use std::path::PathBuf;

use bellwether_detectors::drift::column::Column;
use bellwether_detectors::drift::dataset::{DatasetRule, decide};
use bellwether_detectors::drift::embedding::Rows;
use bellwether_detectors::drift::examine::{Settings, examine};
use bellwether_detectors::drift::order::sorted;
use bellwether_detectors::drift::{
    bins, contingency, cramer_von_mises, energy, hellinger, jensen_shannon, ks, kullback_leibler, mmd, psi, wasserstein,
};
use bellwether_model::verdict::Verdict;
use serde_json::Value;

fn close(what: &str, got: f64, want: f64) {
    assert!((got - want).abs() <= 1e-9 * want.abs().max(1e-290), "{what}: {got} is not {want}");
}

fn number(case: &Value, key: &str) -> f64 {
    case[key].as_f64().unwrap_or_else(|| panic!("{key} of {}", case["pair"]))
}

fn check_numbers(case: &Value, a: &[f64], b: &[f64]) {
    let pair = case["pair"].as_str().unwrap();
    check_decision(pair, a, b);
    let (a, b) = (sorted(a), sorted(b));
    let (n, m) = (a.len() as f64, b.len() as f64);
    assert_eq!((n, m), (number(case, "n_ref"), number(case, "n_cur")), "{pair}");
    let check = |key: &str, got: f64| close(&format!("{pair}: {key}"), got, number(case, key));
    let d = ks::of_sorted(&a, &b).unwrap();
    check("ks_d", d);
    check("ks_p_asymp", ks::p_value_asymptotic(d, n, m));
    check("wasserstein1", wasserstein::of_sorted(&a, &b).unwrap());
    check("wasserstein1_over_std_ref", wasserstein::in_deviations(&a, &b).unwrap());
    check("energy", energy::of_sorted(&a, &b).unwrap());
    check("cramer_von_mises", cramer_von_mises::of_sorted(&a, &b).unwrap().value);
    let edges = psi::edges(&a, 10);
    assert_eq!(serde_json::to_value(&edges).unwrap(), case["psi_edges"], "{pair}");
    let shares = |values: &[f64]| psi::shares(&psi::counts_sorted(&edges, values));
    check("psi_q10", psi::of_shares(&shares(&a), &shares(&b)));
    let (p, q) = bins::shares(&a, &b, 30).unwrap();
    check("js_distance_base2_30bins", jensen_shannon::of_shares(&p, &q));
}

/// What is known of the pairs: drift, or none.
fn check_decision(pair: &str, a: &[f64], b: &[f64]) {
    let of = |values| Column::Numbers { values, nulls: 0 };
    let decision = decide(&[examine(of(a), of(b), &Settings::default())], &[], &DatasetRule::default());
    if pair.contains("no drift") {
        assert_eq!(decision.verdict, Verdict::Pass, "{pair}: {decision:?}");
    } else {
        assert_eq!(decision.verdict, Verdict::Fail, "{pair}: {decision:?}");
    }
}

fn check_categories(case: &Value) {
    let pair = case["pair"].as_str().unwrap();
    let counts = |key: &str| case[key].as_array().unwrap().iter().map(|c| c.as_u64().unwrap()).collect::<Vec<u64>>();
    let (a, b) = (counts("counts_ref"), counts("counts_cur"));
    let check = |key: &str, got: f64| close(&format!("{pair}: {key}"), got, number(case, key));
    let chi = contingency::chi_square(&a, &b).unwrap();
    check("chi2", chi.value);
    check("p", chi.p_value);
    let (p, q) = (psi::shares(&a), psi::shares(&b));
    check("psi", psi::of_shares(&p, &q));
    check("js_distance_base2", jensen_shannon::of_shares(&p, &q));
}

fn adult() -> Value {
    serde_json::from_str(include_str!("data/adult.json")).unwrap()
}

/// The two samples of an Adult case, by its name: `adult male->female age`.
fn adult_samples(adult: &Value, pair: &str) -> (Vec<f64>, Vec<f64>) {
    let mut words = pair.split_whitespace().skip(1);
    let (before, now) = words.next().unwrap().split_once("->").unwrap();
    let counted = &adult["values_and_counts"][words.next().unwrap()];
    let repeated = |entry: &Value| vec![entry[0].as_f64().unwrap(); entry[1].as_u64().unwrap() as usize];
    let sample = |who: &str| counted[who].as_array().unwrap().iter().flat_map(repeated).collect();
    (sample(before), sample(now))
}

#[test]
fn adult_is_as_scipy_says() {
    let adult = adult();
    for case in adult["cases"].as_array().unwrap() {
        match case["kind"].as_str().unwrap() {
            "numeric" => {
                let (a, b) = adult_samples(&adult, case["pair"].as_str().unwrap());
                check_numbers(case, &a, &b);
            }
            "categorical" => check_categories(case),
            _ => {
                let (a, b) = adult_rows(&adult, case["pair"].as_str().unwrap());
                let found = mmd::mmd(Rows::new(&a, 3).unwrap(), Rows::new(&b, 3).unwrap(), 0, 0).unwrap();
                close(case["pair"].as_str().unwrap(), found.value, number(case, "mmd2"));
            }
        }
    }
}

/// The first 500 rows of two groups, in deviations of the whole table.
fn adult_rows(adult: &Value, pair: &str) -> (Vec<f64>, Vec<f64>) {
    let scale: Vec<(f64, f64)> =
        adult["mean_and_deviation"].as_array().unwrap().iter().map(|s| (s[0].as_f64().unwrap(), s[1].as_f64().unwrap())).collect();
    let of = |who: &str| {
        let rows = adult["first_500_rows_of_age_hours_education"][who].as_array().unwrap();
        let scaled = |row: &Value| (0..3).map(|i| (row[i].as_f64().unwrap() - scale[i].0) / scale[i].1).collect::<Vec<_>>();
        rows.iter().flat_map(scaled).collect()
    };
    if pair.contains("female") { (of("male"), of("female")) } else { (of("even"), of("odd")) }
}

/// scipy 1.17.1 on a table of two rows and six columns, and on lists with ties.
#[test]
fn small_answers_of_scipy() {
    let (a, b) = ([30, 14, 34, 45, 57, 20], [48, 29, 20, 31, 26, 40]);
    let (g, chi) = (contingency::g(&a, &b).unwrap(), contingency::chi_square(&a, &b).unwrap());
    close("G", g.value, 34.36923663473826);
    close("p of G", g.p_value, 2.010106753123711e-06);
    close("chi-square", chi.value, 33.75641893407177);
    close("p of chi-square", chi.p_value, 2.6621782360947664e-06);
    let (p, q) = (psi::shares(&a), psi::shares(&b));
    close("hellinger", hellinger::of_shares(&p, &q), 0.20983260763413317);
    close("kullback-leibler", kullback_leibler::of_shares(&p, &q), 0.17907083684932076);
    close("jensen-shannon", jensen_shannon::of_shares(&p, &q), 0.25086221166757183);
    close("psi", psi::of_shares(&p, &q), 0.3555905117622299);
    let z = contingency::z((120, 1_000), (150, 900)).unwrap();
    close("z", z.value, 2.908902412764876);
    close("p of z", z.p_value, 0.003627000566647601);
    let a = [1.0, 2.0, 2.0, 3.0, 3.0, 3.0, 4.0, 5.0, 6.0, 9.0];
    let b = [2.0, 3.0, 3.0, 5.0, 5.0, 7.0, 8.0, 8.0, 9.0, 10.0, 11.0, 12.0];
    close("wasserstein", wasserstein::of_sorted(&a, &b).unwrap(), 3.1166666666666667);
    close("energy", energy::of_sorted(&a, &b).unwrap(), 1.4657193910613768);
    let cvm = cramer_von_mises::of_sorted(&sorted(&[a; 3].concat()), &sorted(&[b; 2].concat())).unwrap();
    close("cramer-von-mises", cvm.value, 1.2210648148148149);
    close("p of cramer-von-mises", cvm.p_value, 0.0007236827868360995);
    let adult = adult();
    let (x, y) = adult_samples(&adult, "adult even->odd age");
    close("p of cramer-von-mises", cramer_von_mises::of_sorted(&x, &y).unwrap().p_value, 0.22498358712256927);
}

#[test]
fn everything_is_as_the_oracle_says() {
    let Some(data) = std::env::var_os("BELLWETHER_DATA").map(PathBuf::from) else {
        eprintln!("not run: set BELLWETHER_DATA to a folder with drift-oracle/oracle.json and azure-llm-tokens");
        return;
    };
    let oracle: Value = serde_json::from_slice(&std::fs::read(data.join("drift-oracle/oracle.json")).unwrap()).unwrap();
    let tokens = |service: &str, column: usize| {
        let path = data.join(format!("azure-llm-tokens/data/AzureLLMInferenceTrace_{service}.csv"));
        let text = std::fs::read_to_string(path).unwrap();
        text.lines().skip(1).map(|line| line.split(',').nth(column).unwrap().trim().parse().unwrap()).collect::<Vec<f64>>()
    };
    let adult = adult();
    let (mut numbers, mut categories) = (0, 0);
    for case in oracle["cases"].as_array().unwrap() {
        let pair = case["pair"].as_str().unwrap();
        match case["kind"].as_str().unwrap() {
            "numeric" => {
                let (a, b) = if pair.starts_with("adult") {
                    adult_samples(&adult, pair)
                } else {
                    let conversations = tokens("conv", if pair.contains("ContextTokens") { 1 } else { 2 });
                    let half = conversations.len() / 2;
                    let every_second = |from: usize| conversations.iter().copied().skip(from).step_by(2).collect();
                    match pair {
                        _ if pair.contains("even->odd") => (every_second(0), every_second(1)),
                        _ if pair.contains("half") => (conversations[..half].to_vec(), conversations[half..].to_vec()),
                        _ => (conversations.clone(), tokens("code", if pair.contains("ContextTokens") { 1 } else { 2 })),
                    }
                };
                check_numbers(case, &a, &b);
                numbers += 1;
            }
            "categorical" => {
                check_categories(case);
                categories += 1;
            }
            _ => {}
        }
    }
    assert!(numbers >= 10 && categories >= 6);
}
