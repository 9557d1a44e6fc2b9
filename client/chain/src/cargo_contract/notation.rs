//! Calls as `cargo contract call` takes them: in its object notation, SCON, by the types in the bundle's metadata.

use crate::type_bounds::check_types;
use scale_info::{PortableRegistry, TypeDef};
use subxt::ext::{
    scale_decode::visitor::{decode_with_visitor, IgnoreVisitor},
    scale_value::{scale::decode_as_type, Composite, Primitive, Value, ValueDef},
};

/// A call as cargo-contract names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallText {
    /// The message's or constructor's name.
    pub message: String,
    /// Its arguments in SCON.
    pub arguments: Vec<String>,
}

/// Call data that no message of the metadata has.
#[derive(Debug, thiserror::Error)]
#[error("the call cannot be written down: {0}")]
pub struct UnknownCall(String);

/// The text of the encoded call `data`, given ink!'s metadata.
///
/// # Errors
/// If the metadata has no such message, its types have no end, or the arguments do not fit it.
pub fn call_text(metadata: &serde_json::Value, data: &[u8]) -> Result<CallText, UnknownCall> {
    let (selector, mut input) = data.split_at_checked(4).ok_or_else(|| UnknownCall("it has no selector".into()))?;
    let registry = PortableRegistry { types: types(metadata)? };
    let selector = format!("0x{}", hex::encode(selector));
    let spec = &metadata["spec"];
    let listed = ["constructors", "messages"].iter().filter_map(|list| spec[*list].as_array()).flatten();
    let message = listed
        .clone()
        .find(|message| message["selector"] == *selector)
        .ok_or_else(|| UnknownCall(format!("no message has the selector {selector}")))?;
    let id = |argument: &serde_json::Value| {
        let id = argument["type"]["type"].as_u64().and_then(|id| u32::try_from(id).ok());
        id.ok_or_else(|| UnknownCall("an argument has no type".into()))
    };
    let ids = message["args"].as_array().into_iter().flatten().map(id).collect::<Result<Vec<_>, _>>()?;
    check_types(&registry, ids.iter().copied()).map_err(|error| UnknownCall(error.to_string()))?;
    let mut arguments = vec![];
    for id in ids {
        // Before there is memory for a list, whether as much as its length says is there.
        let unread = &mut &*input;
        decode_with_visitor(unread, id, &registry, IgnoreVisitor::new())
            .map_err(|error| UnknownCall(error.to_string()))?;
        let value = decode_as_type(&mut input, id, &registry).map_err(|error| UnknownCall(error.to_string()))?;
        arguments.push(text(&value, &registry));
    }
    if !input.is_empty() {
        return Err(UnknownCall("it has more bytes than its message has arguments".into()));
    }
    Ok(CallText { message: message["label"].as_str().unwrap_or_default().to_owned(), arguments })
}

fn types(metadata: &serde_json::Value) -> Result<Vec<scale_info::PortableType>, UnknownCall> {
    serde_json::from_value(metadata["types"].clone()).map_err(|error| UnknownCall(error.to_string()))
}

fn text(value: &Value<u32>, registry: &PortableRegistry) -> String {
    match &value.value {
        ValueDef::Composite(fields) => {
            let is_list = matches!(
                registry.resolve(value.context).map(|kind| &kind.type_def),
                Some(TypeDef::Array(_) | TypeDef::Sequence(_))
            );
            composite(fields, is_list, registry)
        }
        ValueDef::Variant(variant) => match &variant.values {
            fields if fields.is_empty() => variant.name.clone(),
            // cargo-contract looks through no variant, also if it wraps a single value.
            Composite::Unnamed(fields) => {
                let fields: Vec<_> = fields.iter().map(|value| text(value, registry)).collect();
                format!("{}({})", variant.name, fields.join(", "))
            }
            fields => format!("{} {}", variant.name, composite(fields, false, registry)),
        },
        ValueDef::Primitive(Primitive::U128(number)) => number.to_string(),
        ValueDef::Primitive(Primitive::I128(number)) => number.to_string(),
        ValueDef::Primitive(Primitive::Bool(is)) => is.to_string(),
        // Nothing that Braid signs holds another primitive.
        other => format!("{other:?}"),
    }
}

fn composite(fields: &Composite<u32>, is_list: bool, registry: &PortableRegistry) -> String {
    let joined = |parts: Vec<String>| parts.join(", ");
    match fields {
        Composite::Named(fields) => {
            let named = fields.iter().map(|(name, value)| format!("{name}: {}", text(value, registry)));
            format!("{{ {} }}", joined(named.collect()))
        }
        Composite::Unnamed(fields) => {
            let is_bytes = |value: &Value<u32>| {
                let kind = registry.resolve(value.context).map(|kind| &kind.type_def);
                matches!(kind, Some(TypeDef::Primitive(scale_info::TypeDefPrimitive::U8)))
            };
            let parts = || fields.iter().map(|value| text(value, registry)).collect();
            match fields.as_slice() {
                [first, ..] if is_list && is_bytes(first) => {
                    let bytes = fields.iter().filter_map(|value| u8::try_from(value.as_u128()?).ok());
                    format!("0x{}", hex::encode(bytes.collect::<Vec<_>>()))
                }
                _ if is_list => format!("[{}]", joined(parts())),
                // cargo-contract looks through what wraps a single value.
                [inner] => text(inner, registry),
                _ => format!("({})", joined(parts())),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::Bundle;
    use engine::Native;
    use protocol::{
        abi::{CreateTpc, Deposit, Message, New, UpdateChannels},
        AccountId, Asset, Origin, Owners, Signature, TpcCreation, TpcId, Update,
    };

    #[test]
    fn calls_are_written_as_cargo_contract_reads_them() {
        let metadata = Bundle::built_in().unwrap().metadata;
        let text = |data: Vec<u8>| call_text(&metadata, &data).unwrap();
        let new = text(New { genesis_hash: [7; 32] }.call_data(&Native));
        assert_eq!((new.message.as_str(), &new.arguments[..]), ("new", &[format!("0x{}", "07".repeat(32))][..]));
        assert_eq!(text(Deposit {}.call_data(&Native)), CallText { message: "deposit".into(), arguments: vec![] });
        let creation = TpcCreation {
            parties: [AccountId::from([1; 32]), AccountId::from([2; 32])],
            nonce: 3,
            asset: Asset::Native,
            balances: [u128::MAX, 5],
            window: 10_000,
            valid_until: 6,
        };
        let create = CreateTpc { creation, signatures: [Signature([8; 64]), Signature([9; 64])] };
        let written = text(create.call_data(&Native));
        assert_eq!(written.message, "create_tpc");
        let parties = format!("[0x{}, 0x{}]", "01".repeat(32), "02".repeat(32));
        let balances = format!("[{}, 5]", u128::MAX);
        assert_eq!(
            written.arguments,
            [
                format!("{{ parties: {parties}, nonce: 3, asset: Native, balances: {balances}, window: 10000, valid_until: 6 }}"),
                format!("[0x{}, 0x{}]", "08".repeat(64), "09".repeat(64)),
            ]
        );
    }

    #[test]
    fn variants_are_written_with_what_they_hold() {
        let metadata = Bundle::built_in().unwrap().metadata;
        let parties = [AccountId::from([1; 32]), AccountId::from([2; 32])];
        let created =
            Owners { parties, window: 10_000, asset: Asset::Psp22([3; 32].into()), origin: Origin::Creation(4) };
        let part = created.part(TpcId([5; 32]), 6, 7);
        let update =
            UpdateChannels { update: Update { entries: vec![] }, owners: vec![created, part], signatures: vec![] };
        let written = call_text(&metadata, &update.call_data(&Native)).unwrap();
        let word = |byte: &str| format!("0x{}", byte.repeat(32));
        let [one, two, token, first] = ["01", "02", "03", "05"].map(word);
        let alike = format!("parties: [{one}, {two}], window: 10000, asset: Psp22({token})");
        assert_eq!(
            written.arguments[1],
            format!(
                "[{{ {alike}, origin: Creation(4) }}, \
                 {{ {alike}, origin: Split {{ first: {first}, epoch: 6, index: 7 }} }}]"
            )
        );
    }

    #[test]
    fn what_is_no_call_is_refused() {
        let metadata = Bundle::built_in().unwrap().metadata;
        let mut long = Deposit {}.call_data(&Native);
        long.push(0);
        for data in [vec![], vec![1, 2, 3, 4], long] {
            assert!(call_text(&metadata, &data).is_err(), "{data:?}");
        }
    }
}
