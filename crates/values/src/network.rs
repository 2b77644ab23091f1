//! Addresses of networks and of interfaces.

use std::{fmt::Write as _, net::IpAddr, net::Ipv4Addr};

use bytes::{BufMut as _, BytesMut};

use crate::{
    bytea::{push_digits, put_hex},
    error::Fault,
    reader::Reader,
    scan::integer,
};

pub(crate) fn encode_inet(text: &str, out: &mut BytesMut) -> Result<(), Fault> {
    encode(text, Kind::Inet, out)
}

pub(crate) fn decode_inet(reader: &mut Reader<'_>, out: &mut String) -> Result<(), Fault> {
    decode(reader, Kind::Inet, out)
}

pub(crate) fn encode_cidr(text: &str, out: &mut BytesMut) -> Result<(), Fault> {
    encode(text, Kind::Cidr, out)
}

pub(crate) fn decode_cidr(reader: &mut Reader<'_>, out: &mut String) -> Result<(), Fault> {
    decode(reader, Kind::Cidr, out)
}

pub(crate) fn encode_macaddr(text: &str, out: &mut BytesMut) -> Result<(), Fault> {
    encode_hardware(text, 6, out)
}

pub(crate) fn decode_macaddr(reader: &mut Reader<'_>, out: &mut String) -> Result<(), Fault> {
    print_hardware(reader.bytes(6)?, out);
    Ok(())
}

pub(crate) fn encode_macaddr8(text: &str, out: &mut BytesMut) -> Result<(), Fault> {
    encode_hardware(text, 8, out)
}

/// One of six bytes has two more in the middle. Source: `macaddr8_recv` in `mac8.c`.
pub(crate) fn decode_macaddr8(reader: &mut Reader<'_>, out: &mut String) -> Result<(), Fault> {
    match *reader.rest() {
        [ref maker @ .., x, y, z] if maker.len() == 3 => {
            print_hardware(maker, out);
            out.push(':');
            print_hardware(&[0xff, 0xfe, x, y, z], out);
        }
        ref all if all.len() == 8 => print_hardware(all, out),
        _ => return Err(Fault::Binary("it has neither six nor eight bytes")),
    }
    Ok(())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Inet,
    Cidr,
}

/// The family, the bits of the network, whether it is a `cidr`, and the address with its length.
/// Source: `network_send` in `network.c`.
fn encode(text: &str, kind: Kind, out: &mut BytesMut) -> Result<(), Fault> {
    let (address, bits) =
        text.split_once('/').map_or((text, None), |(left, right)| (left, Some(right)));
    let address: IpAddr = address.parse().map_err(|_| Fault::Text)?;
    let (family, all) = if address.is_ipv4() { (INET, 32) } else { (INET6, 128) };
    let bits: u8 = bits.map_or(Ok(all), integer)?;
    if bits > all {
        return Err(Fault::OutOfRange);
    }
    out.put_slice(&[family, bits, u8::from(kind == Kind::Cidr), all / 8]);
    match address {
        IpAddr::V4(address) => out.put_slice(&address.octets()),
        IpAddr::V6(address) => out.put_slice(&address.octets()),
    }
    Ok(())
}

fn decode(reader: &mut Reader<'_>, kind: Kind, out: &mut String) -> Result<(), Fault> {
    let (family, bits) = (reader.u8()?, reader.u8()?);
    // Which of both types it is says the type, not this byte.
    reader.u8()?;
    let all = match (family, reader.u8()?) {
        (INET, 4) => {
            _ = write!(out, "{}", Ipv4Addr::from(reader.array()?));
            32
        }
        (INET6, 16) => {
            print6(reader.array()?, out);
            128
        }
        _ => return Err(Fault::Binary("its family or its length is wrong")),
    };
    if bits > all {
        return Err(Fault::Binary("it has too many bits"));
    }
    if kind == Kind::Cidr || bits < all {
        _ = write!(out, "/{bits}");
    }
    Ok(())
}

/// As [`std::net::Ipv6Addr`] prints it, but for `::1.2.3.4`. Source: `inet_net_ntop_ipv6` in
/// `inet_net_ntop.c`.
fn print6(octets: [u8; 16], out: &mut String) {
    let [zeros @ .., a, b, c, d] = octets;
    let compatible = zeros == [0; 12] && [a, b] != [0, 0];
    _ = if compatible {
        write!(out, "::{}", Ipv4Addr::new(a, b, c, d))
    } else {
        write!(out, "{}", std::net::Ipv6Addr::from(octets))
    };
}

fn encode_hardware(text: &str, octets: usize, out: &mut BytesMut) -> Result<(), Fault> {
    let mut groups = text.split(':');
    for _ in 0..octets {
        let group = groups.next().filter(|group| group.len() == 2).ok_or(Fault::Text)?;
        put_hex(group.as_bytes(), out)?;
    }
    if groups.next().is_some() { Err(Fault::Text) } else { Ok(()) }
}

fn print_hardware(octets: &[u8], out: &mut String) {
    for (index, octet) in octets.iter().enumerate() {
        if index > 0 {
            out.push(':');
        }
        push_digits(&[*octet], out);
    }
}

/// `PGSQL_AF_INET` and `PGSQL_AF_INET6` in `utils/inet.h`.
const INET: u8 = 2;
const INET6: u8 = 3;
