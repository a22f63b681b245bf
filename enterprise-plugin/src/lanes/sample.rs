//! What crosses a link in one piece.

use bytes::{Buf, BufMut, Bytes};
use smallvec::SmallVec;

/// In order. Mostly it is one: that needs no memory of its own.
pub type Parcels = SmallVec<[Bytes; 1]>;

/// Parcels with their place in the lane, and what the sender has received on the lane towards it.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Sample {
    /// The number of the first parcel; of the next one when there is none.
    pub first: u64,
    /// All parcels of the other lane below this number have arrived.
    pub received: u64,
    /// Something before what arrived last is missing: send again from `received` on.
    pub gap: bool,
    pub parcels: Parcels,
}

/// The sample does not have our form: another version of the protocol, or a bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a sample of {0} octets has not the form of a lane")]
pub struct SampleError(usize);

/// `first`, `received`, flags, number of parcels.
const HEAD: usize = 8 + 8 + 1 + 4;

impl Sample {
    /// Octets that [`Sample::encode`] appends.
    pub fn octets(&self) -> usize {
        HEAD + self.parcels.iter().map(|parcel| parcel.len() + 4).sum::<usize>()
    }

    pub fn encode(&self, out: &mut Vec<u8>) {
        out.put_u64(self.first);
        out.put_u64(self.received);
        out.put_u8(self.gap.into());
        out.put_u32(self.parcels.len() as u32);
        for parcel in &self.parcels {
            out.put_u32(parcel.len() as u32);
            out.put_slice(parcel);
        }
    }

    /// The parcels share the octets of `input`.
    pub fn decode(mut input: Bytes) -> Result<Sample, SampleError> {
        let error = SampleError(input.len());
        if input.len() < HEAD {
            return Err(error);
        }
        let (first, received, flags) = (input.get_u64(), input.get_u64(), input.get_u8());
        let count = input.get_u32() as usize;
        // However many it says: each has its length before it.
        let mut parcels = Parcels::with_capacity(count.min(input.len() / 4));
        for _ in 0..count {
            let length = input.try_get_u32().map_err(|_| error)? as usize;
            if input.len() < length {
                return Err(error);
            }
            parcels.push(input.split_to(length));
        }
        match (flags, input.is_empty()) {
            (0 | 1, true) => Ok(Sample { first, received, gap: flags == 1, parcels }),
            _ => Err(error),
        }
    }
}
