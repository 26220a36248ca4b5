//! A distribution drawn, before and now, in the same bars. Positions across are percentages, so a drawing fits any width without
//! shrinking its words.

use std::fmt::Write as _;

use bellwether_detectors::drift::shape::{Bar, Named, Shape, Summary};
use bellwether_detectors::drift::words::percent;
use bellwether_model::unit::Unit;

use crate::report::escape::esc;

/// Height of a histogram in pixels.
const HEIGHT: f64 = 132.0;

/// The drawing of a shape.
pub(super) fn draw(shape: &Shape) -> String {
    match shape {
        Shape::Numbers { before, now, bars } => histogram(bars, before.as_ref(), now.as_ref()),
        Shape::Categories { named, others } => categories(named, others.as_ref().map(|(_, rest)| rest)),
    }
}

fn histogram(bars: &[Bar], before: Option<&Summary>, now: Option<&Summary>) -> String {
    let (Some(first), Some(last)) = (bars.first(), bars.last()) else { return String::new() };
    let highest = bars.iter().map(|b| b.before.max(b.now)).fold(f64::MIN_POSITIVE, f64::max);
    let span = last.to - first.from;
    let x = |value: f64| ((value - first.from) / span * 100.0).clamp(0.0, 100.0);
    let mut svg =
        format!(r#"<svg class="dist" width="100%" height="{:.0}" role="img" aria-label="histograms before and now">"#, HEIGHT + 18.0);
    for bar in bars {
        let (left, width) = (x(bar.from), (bar.to - bar.from) / span * 100.0);
        let stretch = format!("{} to {}", Unit::Number.show(bar.from), Unit::Number.show(bar.to));
        let _ = write!(svg, "<g><title>{}: {}, was {}</title>", esc(&stretch), percent(bar.now), percent(bar.before));
        for (class, share, inset) in [("before", bar.before, 0.06), ("now", bar.now, 0.28)] {
            let height = share / highest * HEIGHT;
            if height > 0.0 {
                let _ = write!(
                    svg,
                    r#"<rect class="{class}" x="{:.2}%" y="{:.1}" width="{:.2}%" height="{:.1}"/>"#,
                    left + inset * width,
                    HEIGHT - height,
                    width * (1.0 - 2.0 * inset),
                    height
                );
            }
        }
        svg.push_str("</g>");
    }
    let _ = write!(svg, r#"<rect class="floor" x="0" y="{HEIGHT}" width="100%" height="1"/>"#);
    for (class, side) in [("before", before), ("now", now)] {
        if let Some(Summary { mean, .. }) = side {
            for class in ["halo", class] {
                let _ = write!(svg, r#"<line class="mean {class}" x1="{0:.2}%" x2="{0:.2}%" y1="0" y2="{HEIGHT}"/>"#, x(*mean));
            }
        }
    }
    // Bars of whole numbers reach half a number beyond them.
    let beyond = if first.from.fract().abs() == 0.5 && (first.to - first.from).fract() == 0.0 { 0.5 } else { 0.0 };
    let middle = f64::midpoint(first.from, last.to);
    for (value, place, anchor) in [(first.from + beyond, 0, "start"), (middle, 50, "middle"), (last.to - beyond, 100, "end")] {
        let label = esc(&Unit::Number.show(value));
        let _ = write!(svg, r#"<text class="tick" x="{place}%" y="{:.0}" text-anchor="{anchor}">{label}</text>"#, HEIGHT + 14.0);
    }
    svg.push_str("</svg>");
    svg
}

fn categories(named: &[Named], others: Option<&Named>) -> String {
    let highest = named.iter().chain(others).map(|c| c.before.max(c.now)).fold(f64::MIN_POSITIVE, f64::max);
    let mut list = String::from(r#"<ul class="cats">"#);
    for (category, is_rest) in named.iter().map(|c| (c, false)).chain(others.map(|c| (c, true))) {
        let class = if is_rest { " class=\"soft\"" } else { "" };
        let _ = write!(list, "<li><span{class}>{}</span><i>", esc(&category.name));
        for (class, share) in [("before", category.before), ("now", category.now)] {
            let _ = write!(list, r#"<b class="{class}" style="width:{:.1}%"></b>"#, share / highest * 100.0);
        }
        let _ = write!(list, r#"</i><span class="num">{} → {}</span></li>"#, percent(category.before), percent(category.now));
    }
    list.push_str("</ul>");
    list
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::xml::well_formed;
    use bellwether_detectors::drift::shape::{Steps, of_categories, of_numbers};

    #[test]
    fn drawings_are_well_formed_whatever_is_drawn() {
        let steps = |values: &[f64]| Steps::of_values(values);
        let wide: Vec<f64> = (0..500).map(|i| f64::from(i).powi(3)).collect();
        for (a, b) in
            [(steps(&wide), steps(&[1e150, -1e150])), (steps(&wide), None), (None, steps(&[7.0; 9])), (steps(&[1.0, 2.0]), steps(&wide))]
        {
            let svg = draw(&of_numbers(a.as_ref(), b.as_ref()).unwrap());
            well_formed(&svg).unwrap();
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        }
        let counts = [("<b>&\"".to_owned(), 3), ("plain".to_owned(), 9)].into();
        let list = draw(&of_categories(&counts, &Default::default()).unwrap());
        let text = well_formed(&list).unwrap();
        assert!(text.contains("&lt;b&gt;") && text.contains("75 % → 0 %"), "{text}");
    }
}
