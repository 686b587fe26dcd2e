//! The netlink wire format (`include/uapi/linux/netlink.h`): messages, attributes and their nesting. Pure.

/// Bytes of `struct nlmsghdr`.
const HEADER: usize = 16;
/// Bytes of `struct nlattr`.
const ATTR_HEADER: usize = 4;
/// `NLA_F_NESTED`.
const NESTED: u16 = 0x8000;
/// Strips `NLA_F_NESTED` and `NLA_F_NET_BYTEORDER` from an attribute's type.
const TYPE_MASK: u16 = 0x3fff;

/// One message being written: header, fixed body, attributes.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    bytes: Vec<u8>,
}

impl Message {
    /// A message of this type and these `NLM_F_` flags; the fixed body follows the header.
    pub(crate) fn new(kind: u16, flags: u16, body: &[u8]) -> Message {
        let mut bytes = vec![0; HEADER];
        bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
        bytes[6..8].copy_from_slice(&flags.to_ne_bytes());
        bytes.extend_from_slice(body);
        let mut message = Message { bytes };
        message.pad();
        message
    }

    /// Asks the kernel for an answer when it has taken the message.
    pub(crate) fn ask_for_answer(&mut self) {
        let flags = u16::from_ne_bytes([self.bytes[6], self.bytes[7]]) | super::ACK;
        self.bytes[6..8].copy_from_slice(&flags.to_ne_bytes());
    }

    /// Appends an attribute with these bytes.
    pub(crate) fn attr(&mut self, kind: u16, payload: &[u8]) -> &mut Message {
        let len = u16::try_from(ATTR_HEADER + payload.len()).unwrap_or(u16::MAX);
        self.bytes.extend_from_slice(&len.to_ne_bytes());
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.bytes.extend_from_slice(payload);
        self.pad();
        self
    }

    /// Appends a string that ends with a zero byte.
    pub(crate) fn attr_str(&mut self, kind: u16, text: &str) -> &mut Message {
        let mut bytes = text.as_bytes().to_vec();
        bytes.push(0);
        self.attr(kind, &bytes)
    }

    /// Appends a number in the machine's byte order, as rtnetlink wants it.
    pub(crate) fn attr_u32(&mut self, kind: u16, value: u32) -> &mut Message {
        self.attr(kind, &value.to_ne_bytes())
    }

    /// Appends a number in network byte order, as nfnetlink wants it.
    pub(crate) fn attr_be32(&mut self, kind: u16, value: u32) -> &mut Message {
        self.attr(kind, &value.to_be_bytes())
    }

    /// Appends an attribute whose content is what `content` appends.
    pub(crate) fn nest(&mut self, kind: u16, content: impl FnOnce(&mut Message)) -> &mut Message {
        let start = self.bytes.len();
        self.attr(kind | NESTED, &[]);
        content(self);
        let len = u16::try_from(self.bytes.len() - start).unwrap_or(u16::MAX);
        self.bytes[start..start + 2].copy_from_slice(&len.to_ne_bytes());
        self
    }

    /// Appends bytes that are part of the enclosing attribute, e.g. the `ifinfomsg` of a veth's peer.
    pub(crate) fn raw(&mut self, bytes: &[u8]) -> &mut Message {
        self.bytes.extend_from_slice(bytes);
        self.pad();
        self
    }

    /// Bytes written so far.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Appends the finished message with its sequence number to `out`.
    pub(crate) fn write(mut self, seq: u32, out: &mut Vec<u8>) {
        let len = u32::try_from(self.bytes.len()).unwrap_or(u32::MAX);
        self.bytes[0..4].copy_from_slice(&len.to_ne_bytes());
        self.bytes[8..12].copy_from_slice(&seq.to_ne_bytes());
        out.extend_from_slice(&self.bytes);
    }

    fn pad(&mut self) {
        while !self.bytes.len().is_multiple_of(4) {
            self.bytes.push(0);
        }
    }
}

/// One message read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Received<'a> {
    pub(crate) kind: u16,
    pub(crate) seq: u32,
    /// The socket (its netlink port) of whoever caused a reported change.
    pub(crate) sender: u32,
    /// Everything after the header.
    pub(crate) payload: &'a [u8],
}

/// The messages of one datagram; ends at the first malformed one.
pub(crate) fn messages(mut bytes: &[u8]) -> impl Iterator<Item = Received<'_>> {
    std::iter::from_fn(move || {
        let len = u32_at(bytes, 0)? as usize;
        if len < HEADER || len > bytes.len() {
            return None;
        }
        let message = Received {
            kind: u16_at(bytes, 4)?,
            seq: u32_at(bytes, 8)?,
            sender: u32_at(bytes, 12)?,
            payload: &bytes[HEADER..len],
        };
        bytes = bytes.get(align(len)..).unwrap_or(&[]);
        Some(message)
    })
}

/// The attributes of a message or of an attribute; ends at the first malformed one.
pub(crate) fn attrs(bytes: &[u8]) -> Attrs<'_> {
    Attrs { bytes }
}

/// Iterates over (type, content).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Attrs<'a> {
    bytes: &'a [u8],
}

impl<'a> Attrs<'a> {
    /// The content of the first attribute of this type.
    pub(crate) fn get(mut self, kind: u16) -> Option<&'a [u8]> {
        self.find(|(found, _)| *found == kind).map(|(_, content)| content)
    }

    /// The text of the first attribute of this type, without its final zero byte.
    pub(crate) fn text(self, kind: u16) -> Option<&'a str> {
        let bytes = self.get(kind)?;
        std::str::from_utf8(bytes.strip_suffix(&[0]).unwrap_or(bytes)).ok()
    }

    /// The number of the first attribute of this type, in the machine's byte order.
    pub(crate) fn u32(self, kind: u16) -> Option<u32> {
        u32_at(self.get(kind)?, 0)
    }

    /// The number of the first attribute of this type, in network byte order.
    pub(crate) fn be32(self, kind: u16) -> Option<u32> {
        self.u32(kind).map(u32::from_be)
    }
}

impl<'a> Iterator for Attrs<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let len = u16_at(self.bytes, 0)? as usize;
        let kind = u16_at(self.bytes, 2)? & TYPE_MASK;
        let content = self.bytes.get(ATTR_HEADER..len)?;
        self.bytes = self.bytes.get(align(len)..).unwrap_or(&[]);
        Some((kind, content))
    }
}

fn align(len: usize) -> usize {
    len.next_multiple_of(4)
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let mut message = Message::new(7, 1, &[1, 2, 3]);
        message.attr_str(1, "web").nest(2, |inner| {
            inner.attr_u32(3, 5).attr_be32(4, 6);
        });
        let mut bytes = Vec::new();
        message.write(42, &mut bytes);
        bytes.extend_from_slice(&[9, 0, 0, 0]); // a truncated second message

        let all: Vec<_> = messages(&bytes).collect();
        assert_eq!(all.len(), 1);
        assert_eq!((all[0].kind, all[0].seq), (7, 42));
        let outer = attrs(&all[0].payload[4..]);
        assert_eq!(outer.text(1), Some("web"));
        let inner = attrs(outer.get(2).unwrap());
        assert_eq!((inner.u32(3), inner.be32(4)), (Some(5), Some(6)));
        assert_eq!(inner.get(9), None);
    }

    #[test]
    fn malformed_input_ends_the_iteration() {
        for bytes in [&[][..], &[3, 0, 1, 0], &[255, 255, 1, 0], &[0; 20], &[4, 0, 1]] {
            assert_eq!(messages(bytes).count(), 0, "{bytes:?}");
            assert!(attrs(bytes).count() <= 1, "{bytes:?}");
        }
    }
}
