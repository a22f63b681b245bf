//! Values as the server reads them: without a lock, and with word of each change.

use std::any::Any;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::watch;

use super::{Declared, Entry, Property, PropertyValue};

/// The current value of one property. Clones follow it together.
#[derive(Clone, Debug)]
pub struct Live<T>(Arc<Current<T>>);

#[derive(Debug)]
struct Current<T> {
    value: ArcSwap<T>,
    changes: watch::Sender<()>,
}

impl<T: Clone> Live<T> {
    /// A value that nobody changes, for tests and for what is not configurable yet.
    pub fn fixed(value: T) -> Live<T> {
        let (value, (changes, _)) = (ArcSwap::from_pointee(value), watch::channel(()));
        Live(Arc::new(Current { value, changes }))
    }

    /// The value now; no lock is taken.
    pub fn get(&self) -> T {
        T::clone(&self.0.value.load())
    }

    /// Resolves at each change from now on.
    pub fn changes(&self) -> watch::Receiver<()> {
        self.0.changes.subscribe()
    }
}

impl<T: PartialEq> Live<T> {
    pub(crate) fn set(&self, value: T) {
        if **self.0.value.load() != value {
            self.0.value.store(Arc::new(value));
            self.0.changes.send_replace(());
        }
    }
}

/// Shown in place of a secret, and kept in the history in place of one.
pub(super) const SECRET: &str = "********";

/// A cell whatever its type.
pub trait Watched: Send + Sync {
    /// Takes a stored text, or the default when there is none or it is not allowed any more.
    fn take(&self, text: Option<&str>);
    fn show(&self) -> String;
    /// The [`Live`] inside.
    fn live(&self) -> &dyn Any;
}

pub(super) struct Cell<T: 'static> {
    property: &'static Property<T>,
    live: Live<T>,
}

impl<T: PropertyValue> Cell<T> {
    pub(super) fn new(property: &'static Property<T>) -> Cell<T> {
        Cell { property, live: Live::fixed((property.default)()) }
    }
}

impl<T: PropertyValue> Watched for Cell<T> {
    fn take(&self, text: Option<&str>) {
        let value = text.and_then(|text| {
            let refused = |error: &_| tracing::warn!(%error, "a stored property is ignored");
            self.property.parse(text).inspect_err(refused).ok()
        });
        self.live.set(value.unwrap_or_else(self.property.default));
    }

    fn show(&self) -> String {
        self.live.get().show()
    }

    fn live(&self) -> &dyn Any {
        &self.live
    }
}

/// A declared property with its cell.
pub(super) struct Slot {
    pub(super) declared: &'static dyn Declared,
    cell: Box<dyn Watched>,
    /// What the next start will read.
    stored: ArcSwap<Option<String>>,
}

impl Slot {
    pub(super) fn new(declared: &'static dyn Declared) -> Slot {
        Slot { declared, cell: declared.watched(), stored: ArcSwap::from_pointee(None) }
    }

    pub(super) fn live<T: PropertyValue>(&self) -> Option<Live<T>> {
        self.cell.live().downcast_ref::<Live<T>>().cloned()
    }

    pub(super) fn take(&self, text: Option<&str>, start: bool) {
        self.stored.store(Arc::new(text.map(str::to_owned)));
        if start || self.declared.live() {
            self.cell.take(text);
        }
    }

    pub(super) fn entry(&self) -> Entry {
        let declared = self.declared;
        let default = declared.default();
        let stored = self.stored.load();
        let value = stored.as_ref().clone().unwrap_or_else(|| default.clone());
        let pending = !declared.live() && value != self.cell.show();
        let hide = declared.is_secret() && value != default;
        let value = if hide { SECRET.to_owned() } else { value };
        Entry {
            name: declared.name(),
            pending,
            value,
            default,
            range: declared.range(),
            kind: declared.kind(),
            doc: declared.doc(),
            scope: declared.scope(),
            live: declared.live(),
        }
    }
}
