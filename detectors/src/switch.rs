//! A setting that can be switched off: `off`, `on`, or its keys.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What is written of a setting that has a default and can be switched off.
#[derive(Clone, Debug, PartialEq)]
pub enum Switch<T> {
    /// `off`, or `false`.
    Off,
    /// `on`, or `true`: with its defaults.
    On,
    /// With these keys.
    With(T),
}

impl<T: Default> Switch<T> {
    /// The setting, where it is on.
    pub fn setting(self) -> Option<T> {
        match self {
            Self::Off => None,
            Self::On => Some(T::default()),
            Self::With(keys) => Some(keys),
        }
    }
}

impl<T> From<Option<T>> for Switch<T> {
    fn from(setting: Option<T>) -> Self {
        setting.map_or(Self::Off, Self::With)
    }
}

impl<T: Serialize> Serialize for Switch<T> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Off => s.serialize_str("off"),
            Self::On => s.serialize_str("on"),
            Self::With(keys) => keys.serialize(s),
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Switch<T> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Written<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Written<T> {
            type Value = Switch<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("off, on, or the keys of the setting")
            }
            fn visit_bool<E: serde::de::Error>(self, on: bool) -> Result<Switch<T>, E> {
                Ok(if on { Switch::On } else { Switch::Off })
            }
            fn visit_str<E: serde::de::Error>(self, word: &str) -> Result<Switch<T>, E> {
                match word {
                    "off" | "false" => Ok(Switch::Off),
                    "on" | "true" => Ok(Switch::On),
                    other => Err(E::custom(format!("{other:?} is neither off nor on, nor the keys of the setting"))),
                }
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Switch<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(Switch::With)
            }
            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Switch<T>, A::Error> {
                T::deserialize(SeqAccessDeserializer::new(seq)).map(Switch::With)
            }
        }
        d.deserialize_any(Written(PhantomData))
    }
}
