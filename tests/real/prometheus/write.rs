//! One remote write: protobuf in snappy's framing. It is the one way by which a stale marker can be written at a chosen
//! moment: the text formats have no sign for it.

use std::collections::BTreeMap;

/// The NaN that marks the end of a series.
pub const STALE: f64 = f64::from_bits(0x7ff0_0000_0000_0002);
/// The NaN that is a value.
pub const NORMAL_NAN: f64 = f64::from_bits(0x7ff8_0000_0000_0001);

/// Labels by name, the metric's name among them.
pub type Labels = BTreeMap<String, String>;

/// The body of a write of one sample of each series at one moment, in milliseconds since 1970.
pub fn body(at: i64, samples: &[(Labels, f64)]) -> Vec<u8> {
    let mut request = Vec::new();
    for (labels, value) in samples {
        let mut series = Vec::new();
        for (name, value) in labels {
            let mut label = Vec::new();
            bytes_field(1, name.as_bytes(), &mut label);
            bytes_field(2, value.as_bytes(), &mut label);
            bytes_field(1, &label, &mut series);
        }
        let value = if value.is_nan() && value.to_bits() != STALE.to_bits() { NORMAL_NAN } else { *value };
        let mut sample = vec![1 << 3 | 1];
        sample.extend_from_slice(&value.to_bits().to_le_bytes());
        sample.push(2 << 3);
        varint(at as u64, &mut sample);
        bytes_field(2, &sample, &mut series);
        bytes_field(1, &series, &mut request);
    }
    snappy(&request)
}

fn bytes_field(number: u8, bytes: &[u8], out: &mut Vec<u8>) {
    out.push(number << 3 | 2);
    varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Snappy's block format with literals alone: nothing is made shorter.
fn snappy(bytes: &[u8]) -> Vec<u8> {
    const LITERAL_WITH_TWO_LENGTH_BYTES: u8 = 61 << 2;
    let mut out = Vec::with_capacity(bytes.len() + 16);
    varint(bytes.len() as u64, &mut out);
    for literal in bytes.chunks(1 << 16) {
        out.push(LITERAL_WITH_TWO_LENGTH_BYTES);
        out.extend_from_slice(&((literal.len() - 1) as u16).to_le_bytes());
        out.extend_from_slice(literal);
    }
    out
}
