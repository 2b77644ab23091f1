//! Floating-point numbers, which are printed with as few digits as tell them apart.

use pgferry_values::builtin;

use crate::server::{Server, agree};

#[tokio::test]
async fn floats_agree_with_the_server() {
    let server = Server::start().await;
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let powers = (-1074..1024).map(|exponent| 2_f64.powi(exponent));
    let near = powers.flat_map(|power| [power, -power, power.next_up(), power.next_down()]);
    let tens = (-323..309).map(|exponent| format!("1e{exponent}").parse().expect("a float"));
    let special = [0.0, -0.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MAX, 1e15, 1e14];
    // What a NaN holds besides is lost in its text.
    let bits = (0..50_000).map(|_| f64::from_bits(random())).filter(|float| !float.is_nan());
    let floats: Vec<f64> = near.chain(tens).chain(special).chain(bits).collect();
    let ty = builtin(701).expect("float8");
    for printed in server.print_with("SELECT unnest($1::float8[])", &[&floats]).await {
        agree(&ty, &printed);
    }
}

#[tokio::test]
async fn short_floats_agree_with_the_server() {
    let server = Server::start().await;
    let powers = (-149..128).map(|exponent| 2_f32.powi(exponent));
    let near = powers.flat_map(|power| [power, -power, power.next_up(), power.next_down()]);
    let tens = (-45..39).map(|exponent| format!("1e{exponent}").parse().expect("a float"));
    let special = [0.0, -0.0, f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, 1e6, 123_456.0];
    let bits = (0..u32::MAX).step_by(199_999).map(f32::from_bits).filter(|float| !float.is_nan());
    let floats: Vec<f32> = near.chain(tens).chain(special).chain(bits).collect();
    let ty = builtin(700).expect("float4");
    for printed in server.print_with("SELECT unnest($1::float4[])", &[&floats]).await {
        agree(&ty, &printed);
    }
}
