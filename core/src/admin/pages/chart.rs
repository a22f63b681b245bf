//! A curve of the last minutes as the numbers of an SVG.

use std::fmt::Write;

/// The picture's size in its own units; the style sheet stretches it.
const WIDTH: f64 = 300.0;
const HEIGHT: f64 = 60.0;

/// A curve that ends at the right border with the newest value.
pub struct Chart {
    /// `d` of the curve's path, and of the area below it.
    pub curve: String,
    pub area: String,
}

impl Chart {
    /// `slots` is how many values fill the picture; the vertical axis goes from 0 to the greatest
    /// value, `least` at least.
    pub fn of(values: &[f64], slots: usize, least: f64) -> Chart {
        let top = values.iter().copied().fold(least, f64::max) * 1.1;
        let step = WIDTH / (slots.max(2) - 1) as f64;
        let start = WIDTH - step * values.len().saturating_sub(1) as f64;
        let mut curve = String::new();
        for (n, value) in values.iter().enumerate() {
            let (x, y) = (start + step * n as f64, HEIGHT - HEIGHT * value / top);
            let command = if n == 0 { 'M' } else { 'L' };
            // Writing into a string does not fail.
            let _ = write!(curve, "{command}{x:.1} {y:.1}");
        }
        let area = match values {
            [] => String::new(),
            _ => format!("{curve}L{WIDTH} {HEIGHT}L{start:.1} {HEIGHT}Z"),
        };
        Chart { curve, area }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_value_is_at_the_right() {
        let chart = Chart::of(&[0.0, 10.0], 3, 1.0);
        assert_eq!(chart.curve, "M150.0 60.0L300.0 5.5");
        assert_eq!(chart.area, "M150.0 60.0L300.0 5.5L300 60L150.0 60Z");
    }

    #[test]
    fn no_values_and_nothing_but_zeros_are_no_trouble() {
        assert_eq!(Chart::of(&[], 150, 1.0).area, "");
        assert_eq!(Chart::of(&[0.0], 1, 1.0).curve, "M300.0 60.0");
    }
}
