//! Figures as people read them, in their language: the section `amount` of a catalogue.

use super::text::Catalogue;

const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];

impl Catalogue {
    /// A count, its digits in groups of three.
    pub fn count(&self, count: impl Into<u64>) -> String {
        let digits = count.into().to_string();
        let between = self.t("amount.thousands");
        let mut text = String::new();
        for (at, digit) in digits.chars().enumerate() {
            if at > 0 && (digits.len() - at).is_multiple_of(3) {
                text.push_str(&between);
            }
            text.push(digit);
        }
        text
    }

    /// A measure that is not negative, with so many decimals.
    pub fn measure(&self, value: f64, decimals: usize) -> String {
        let text = format!("{value:.decimals$}");
        let (whole, rest) = text.split_once('.').unwrap_or((&text, ""));
        let whole = whole.parse().map_or_else(|_| whole.to_owned(), |whole: u64| self.count(whole));
        match rest {
            "" => whole,
            rest => format!("{whole}{}{rest}", self.t("amount.decimal")),
        }
    }

    /// Octets in the largest unit in which they are at least one.
    pub fn octets(&self, octets: u64) -> String {
        let mut amount = octets as f64 / 1024.0;
        let mut unit = 0;
        while amount >= 1024.0 && unit + 1 < UNITS.len() {
            amount /= 1024.0;
            unit += 1;
        }
        format!("{} {}", self.measure(amount, 1), UNITS[unit])
    }

    /// A span of time in its two largest units.
    pub fn span(&self, seconds: u64) -> String {
        let all = [
            (seconds / 86_400, self.t("amount.days")),
            (seconds / 3600 % 24, self.t("amount.hours")),
            (seconds / 60 % 60, self.t("amount.minutes")),
            (seconds % 60, self.t("amount.seconds")),
        ];
        let first = all.iter().position(|(count, _)| *count > 0).unwrap_or(all.len() - 1);
        let shown = all[first..].iter().take(2);
        let shown = shown.map(|(count, unit)| format!("{} {unit}", self.count(*count)));
        shown.collect::<Vec<_>>().join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn language(code: &str) -> &'static Catalogue {
        Catalogue::named(code).expect("a language of ours")
    }

    #[test]
    fn counts_have_groups() {
        let rows = [
            (0, "0", "0"),
            (999, "999", "999"),
            (1000, "1,000", "1.000"),
            (12_345_678, "12,345,678", "12.345.678"),
        ];
        for (count, english, german) in rows {
            assert_eq!(language("en").count(count as u64), english);
            assert_eq!(language("de").count(count as u64), german);
        }
    }

    #[test]
    fn measures_have_a_decimal_sign() {
        let rows = [(0.0, "0.00", "0,00"), (1.005e3, "1,005.00", "1.005,00")];
        for (value, english, german) in rows {
            assert_eq!(language("en").measure(value, 2), english);
            assert_eq!(language("de").measure(value, 2), german);
        }
        assert_eq!(language("de").measure(1499.6, 0), "1.500");
    }

    #[test]
    fn octets_have_a_unit() {
        let rows = [
            (512, "0.5 KiB", "0,5 KiB"),
            (5 << 20, "5.0 MiB", "5,0 MiB"),
            (3 << 40, "3.0 TiB", "3,0 TiB"),
            (2000 << 40, "2,000.0 TiB", "2.000,0 TiB"),
        ];
        for (amount, english, german) in rows {
            assert_eq!(language("en").octets(amount), english);
            assert_eq!(language("de").octets(amount), german);
        }
    }

    #[test]
    fn spans_have_two_units() {
        let rows = [
            (0, "0 s", "0 Sek."),
            (59, "59 s", "59 Sek."),
            (61, "1 min 1 s", "1 Min. 1 Sek."),
            (3720, "1 h 2 min", "1 Std. 2 Min."),
            (90_000, "1 d 1 h", "1 Tg. 1 Std."),
        ];
        for (seconds, english, german) in rows {
            assert_eq!(language("en").span(seconds), english);
            assert_eq!(language("de").span(seconds), german);
        }
    }
}
