//! The types that a property can have, and their texts.

use std::time::Duration;

/// What a value is, for whoever offers a field to edit it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `true` or `false`.
    Switch,
    /// One of these words.
    Choice(&'static [&'static str]),
    Number,
    Duration,
    Text,
    /// Words separated by commas.
    Words,
}

/// A type of property. Values are kept as text, so that a newer server may change the type.
pub trait PropertyValue: Clone + PartialEq + Send + Sync + 'static {
    /// `None` when `text` is no such value.
    fn parse(text: &str) -> Option<Self>;
    /// The text that [`PropertyValue::parse`] reads.
    fn show(&self) -> String;
    /// What it takes, in words.
    fn takes() -> String;
    fn kind() -> Kind;
    /// The smallest and the largest, of what is counted.
    fn bounds() -> Option<(Self, Self)> {
        None
    }
}

impl PropertyValue for bool {
    fn parse(text: &str) -> Option<bool> {
        match text {
            "true" | "on" | "yes" | "1" => Some(true),
            "false" | "off" | "no" | "0" => Some(false),
            _ => None,
        }
    }

    fn show(&self) -> String {
        self.to_string()
    }

    fn takes() -> String {
        "true or false".to_owned()
    }

    fn kind() -> Kind {
        Kind::Switch
    }
}

macro_rules! integers {
    ($($type:ty),+) => {$(
        impl PropertyValue for $type {
            fn parse(text: &str) -> Option<$type> {
                text.parse().ok()
            }

            fn show(&self) -> String {
                self.to_string()
            }

            fn takes() -> String {
                "an integer".to_owned()
            }

            fn kind() -> Kind {
                Kind::Number
            }

            fn bounds() -> Option<($type, $type)> {
                Some((<$type>::MIN, <$type>::MAX))
            }
        }
    )+};
}

integers!(i64, u64, u32, u16, usize);

impl PropertyValue for String {
    fn parse(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    fn show(&self) -> String {
        self.clone()
    }

    fn takes() -> String {
        "a text".to_owned()
    }

    fn kind() -> Kind {
        Kind::Text
    }
}

/// Words separated by commas.
impl PropertyValue for Vec<String> {
    fn parse(text: &str) -> Option<Vec<String>> {
        let words = text.split(',').map(str::trim).filter(|word| !word.is_empty());
        Some(words.map(str::to_owned).collect())
    }

    fn show(&self) -> String {
        self.join(", ")
    }

    fn takes() -> String {
        "words separated by commas".to_owned()
    }

    fn kind() -> Kind {
        Kind::Words
    }
}

const UNITS: [(&str, u64); 5] =
    [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

impl PropertyValue for Duration {
    fn parse(text: &str) -> Option<Duration> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let unit = if unit.is_empty() { "s" } else { unit.trim() };
        let (_, milliseconds) = UNITS.iter().find(|(name, _)| *name == unit)?;
        number.parse::<u64>().ok()?.checked_mul(*milliseconds).map(Duration::from_millis)
    }

    fn show(&self) -> String {
        let ms = self.as_millis() as u64;
        let fits = |(_, unit): &&(&str, u64)| ms != 0 && ms.is_multiple_of(*unit);
        match UNITS.iter().rev().find(fits) {
            Some((name, unit)) => format!("{}{name}", ms / unit),
            None => "0s".to_owned(),
        }
    }

    fn takes() -> String {
        "a time such as 500ms, 30s, 5m, 2h or 7d".to_owned()
    }

    fn kind() -> Kind {
        Kind::Duration
    }
}

/// An enum whose variants are words of a property.
#[macro_export]
macro_rules! property_words {
    ($(#[$meta:meta])* $vis:vis enum $name:ident {
        $($(#[$doc:meta])* $variant:ident = $word:literal),+ $(,)?
    }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        $vis enum $name { $($(#[$doc])* $variant),+ }

        impl $crate::properties::PropertyValue for $name {
            fn parse(text: &str) -> Option<Self> {
                match text {
                    $($word => Some($name::$variant),)+
                    _ => None,
                }
            }

            fn show(&self) -> String {
                match self { $($name::$variant => $word,)+ }.to_owned()
            }

            fn takes() -> String {
                ["one of", $($word),+].join(" ")
            }

            fn kind() -> $crate::properties::Kind {
                $crate::properties::Kind::Choice(&[$($word),+])
            }
        }
    };
}
