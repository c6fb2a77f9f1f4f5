//! Frames of the maker's paper "VMC – Upper computer": `FA FB`, command, length, number and text, XOR of all before it.

const START: [u8; 2] = [0xfa, 0xfb];
const POLL: u8 = 0x41;
const ACK: u8 = 0x42;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// The board asks whether there is something for it.
    Poll,
    Ack,
    Data(Data),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Data {
    pub command: u8,
    /// 1 to 255. It stays for all repeats of a frame.
    pub number: u8,
    /// At most 254 bytes.
    pub text: Vec<u8>,
}

impl Frame {
    pub fn encode(&self) -> Vec<u8> {
        let (command, body) = match self {
            Self::Poll => (POLL, vec![]),
            Self::Ack => (ACK, vec![]),
            Self::Data(Data { command, number, text }) => (*command, [&[*number], text.as_slice()].concat()),
        };
        let length = u8::try_from(body.len()).expect("our own texts are short");
        let mut bytes = [START.as_slice(), &[command, length], &body].concat();
        bytes.push(xor(&bytes));
        bytes
    }
}

fn xor(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |sum, byte| sum ^ byte)
}

/// Finds frames in whatever comes. It never holds more than 260 bytes, the longest frame.
#[derive(Debug, Default)]
pub struct Decoder(Vec<u8>);

impl Decoder {
    /// The frames that these bytes complete.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<Frame> {
        let mut frames = Vec::new();
        for byte in bytes {
            self.0.push(*byte);
            self.take(&mut frames);
        }
        frames
    }

    /// The rest of a begun frame will not come. What stands behind its start may be another one.
    pub fn give_up(&mut self) -> Vec<Frame> {
        let mut frames = Vec::new();
        while !self.0.is_empty() {
            self.skip(START.len());
            self.take(&mut frames);
        }
        frames
    }

    #[cfg(test)]
    pub fn held(&self) -> usize {
        self.0.len()
    }

    fn skip(&mut self, count: usize) {
        self.0.drain(..count.min(self.0.len()));
    }

    fn take(&mut self, frames: &mut Vec<Frame>) {
        loop {
            // A single FA at the end may be the first half of a start.
            let start = self.0.windows(2).position(|two| two == START);
            let junk = start.unwrap_or(self.0.len() - usize::from(self.0.last() == Some(&START[0])));
            self.skip(junk);
            let [_, _, command, length, rest @ ..] = self.0.as_slice() else { return };
            let length = usize::from(*length);
            let Some(sum) = rest.get(length) else { return };
            let whole = length + 5;
            if *sum != xor(&self.0[..whole - 1]) {
                // A frame may begin inside of what was taken for one.
                self.skip(START.len());
                continue;
            }
            frames.extend(match (*command, &rest[..length]) {
                (POLL, []) => Some(Frame::Poll),
                (ACK, []) => Some(Frame::Ack),
                // Neither has a number, and all else has one.
                (POLL | ACK, _) | (_, []) => None,
                (command, [number, text @ ..]) => Some(Frame::Data(Data { command, number: *number, text: text.to_vec() })),
            });
            self.skip(whole);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME_MAX: usize = 260;
    use crate::outlet::vmc::board::Random;

    fn bytes(hex: &str) -> Vec<u8> {
        hex.split(' ').map(|byte| u8::from_str_radix(byte, 16).expect("hex")).collect()
    }

    fn data(command: u8, number: u8, text: &[u8]) -> Frame {
        Frame::Data(Data { command, number, text: text.to_vec() })
    }

    /// Computed by the maker's paper, and recorded by others on real machines (vending-server of laoapps).
    #[test]
    fn what_was_recorded_on_real_machines_is_read_and_written_the_same() {
        for (hex, frame) in [
            ("FA FB 41 00 40", Frame::Poll),
            ("FA FB 42 00 43", Frame::Ack),
            ("FA FB 31 01 01 30", data(0x31, 1, &[])),
            ("FA FB 01 03 05 00 0C 0A", data(0x01, 5, &[0, 12])),
            ("FA FB 02 04 21 01 00 0C 2B", data(0x02, 0x21, &[1, 0, 12])),
            ("FA FB 06 05 06 01 00 01 2C 28", data(0x06, 6, &[1, 0, 1, 0x2c])),
            ("FA FB 70 03 07 32 01 46", data(0x70, 7, &[0x32, 1])),
            ("FA FB 71 04 52 32 01 00 15", data(0x71, 0x52, &[0x32, 1, 0])),
            ("FA FB 04 05 23 02 00 0C 00 2D", data(0x04, 0x23, &[2, 0, 12, 0])),
            // Recorded from here on.
            ("FA FB 06 05 A6 01 00 00 3C 99", data(0x06, 0xa6, &[1, 0, 0, 60])),
            ("FA FB 04 04 A3 01 00 3C 9F", data(0x04, 0xa3, &[1, 0, 60])),
            ("FA FB 04 04 A4 02 00 3C 9B", data(0x04, 0xa4, &[2, 0, 60])),
            ("FA FB 04 04 9E 03 00 3C A0", data(0x04, 0x9e, &[3, 0, 60])),
            ("FA FB 04 04 40 03 00 01 43", data(0x04, 0x40, &[3, 0, 1])),
            ("FA FB 11 0C 41 00 01 00 00 26 AC 04 04 00 01 03 D4", data(0x11, 0x41, &[0, 1, 0, 0, 0x26, 0xac, 4, 4, 0, 1, 3])),
            ("FA FB 21 06 C3 01 00 03 0D 40 AA", data(0x21, 0xc3, &[1, 0, 3, 0x0d, 0x40])),
            ("FA FB 21 06 83 08 00 01 86 A0 8A", data(0x21, 0x83, &[8, 0, 1, 0x86, 0xa0])),
        ] {
            assert_eq!(Decoder::default().push(&bytes(hex)), std::slice::from_ref(&frame), "{hex}");
            assert_eq!(frame.encode(), bytes(hex));
        }
        let machine = "FA FB 52 21 54 00 01 00 00 13 00 00 00 00 00 00 00 00 00 30 30 30 30 30 30 30 30 30 30 13 AA AA AA AA AA AA AA 8D";
        assert_eq!(Decoder::default().push(&bytes(machine)).len(), 1);
    }

    #[test]
    fn a_frame_with_a_wrong_sum_is_none_and_a_poll_inside_of_it_is_found() {
        let mut decoder = Decoder::default();
        assert_eq!(decoder.push(&bytes("FA FB 04 04 23 02 00 0C 2D")), []);
        assert_eq!(decoder.push(&bytes("FA FB 04 05 FA FB 41 00 40 01")), [Frame::Poll]);
        assert_eq!(decoder.push(&bytes("FA FA FB 42 00 43")), [Frame::Ack]);
        // A damaged length would eat the next 255 bytes.
        assert_eq!(decoder.push(&bytes("FA FB 04 FF 01")), []);
        assert_eq!(decoder.push(&bytes("FA FB 41 00 40")), []);
        assert_eq!((decoder.give_up(), decoder.held()), (vec![Frame::Poll], 0));
    }

    #[test]
    fn any_bytes_in_any_cuts_are_taken_and_a_whole_frame_is_found_behind_them() {
        for seed in 0..2_000 {
            let mut random = Random(seed);
            let mut decoder = Decoder::default();
            // Starts and short lengths are frequent, or no frame would ever begin.
            let junk: Vec<u8> = (0..random.below(600)).map(|_| [0xfa, 0xfb, 4, random.byte(), random.byte()][random.below(5)]).collect();
            for piece in junk.chunks(1 + random.below(40)) {
                decoder.push(piece);
                assert!(decoder.held() <= FRAME_MAX, "seed {seed}");
            }
            let wanted = data(0x04, 7, &[2, 0, 12]);
            let found = (0..=FRAME_MAX / 9 + 1).any(|_| decoder.push(&wanted.encode()).contains(&wanted));
            assert!(found, "seed {seed}");
        }
    }
}
