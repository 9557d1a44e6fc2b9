//! A bound on described types, checked before anything is decoded by their description.
//!
//! A node's metadata and a bundle's types come from outside. A decoder that takes them as they are follows a type that
//! contains itself without end, and reads a list of things that take no bytes as long as its length says.

use scale_info::{form::PortableForm, PortableRegistry, TypeDef};

/// How deep types may be nested in each other.
const MAX_LEVELS: usize = 64;

/// How many types may be met on the way through a value, a list counted as one element.
const MAX_PARTS: u32 = 1 << 16;

/// Types that nothing is decoded by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadTypes {
    /// What is looked up at its place in the registry would be another one.
    #[error("type {0} is not at its place")]
    Misplaced(u32),
    /// It is missing, contains itself, is nested too deep, is made of too much, or holds a list of nothing.
    #[error("type {0} does not come to an end within {MAX_LEVELS} levels and {MAX_PARTS} parts")]
    Endless(u32),
}

/// How much a value of a type is made of at most, a list counted as one element.
#[derive(Clone, Copy)]
struct Extent {
    parts: u32,
    /// Whether it takes no bytes.
    empty: bool,
}

/// Refuses a registry in which a type is not at its place, or one of those `used` has no end.
pub(crate) fn check_types(types: &PortableRegistry, used: impl IntoIterator<Item = u32>) -> Result<(), BadTypes> {
    if let Some((_, misplaced)) = (0..).zip(&types.types).find(|(place, kind)| *place != kind.id) {
        return Err(BadTypes::Misplaced(misplaced.id));
    }
    // Each round finds the types that contain only those found before: one level more.
    let mut extents = vec![None; types.types.len()];
    for _ in 0..MAX_LEVELS {
        let known = extents.clone();
        for (found, kind) in extents.iter_mut().zip(&types.types).filter(|(found, _)| found.is_none()) {
            *found = extent(&kind.ty.type_def, &known);
        }
    }
    let is_endless = |id: &u32| extent_of(*id, &extents).is_none();
    used.into_iter().find(is_endless).map_or(Ok(()), |id| Err(BadTypes::Endless(id)))
}

fn extent(kind: &TypeDef<PortableForm>, known: &[Option<Extent>]) -> Option<Extent> {
    let element = |id| extent_of(id, known).filter(|element| !element.empty);
    let extent = match kind {
        TypeDef::Composite(fields) => sum(fields.fields.iter().map(|field| field.ty.id), known)?,
        TypeDef::Tuple(fields) => sum(fields.fields.iter().map(|field| field.id), known)?,
        TypeDef::Variant(variants) => {
            let fields = variants.variants.iter().flat_map(|variant| &variant.fields);
            Extent { empty: false, ..sum(fields.map(|field| field.ty.id), known)? }
        }
        TypeDef::Sequence(list) => element(list.type_param.id)?,
        TypeDef::Array(list) => Extent { empty: list.len == 0, ..element(list.type_param.id)? },
        TypeDef::Compact(number) => extent_of(number.type_param.id, known)?,
        TypeDef::Primitive(_) | TypeDef::BitSequence(_) => Extent { parts: 1, empty: false },
    };
    Some(extent).filter(|extent| extent.parts <= MAX_PARTS)
}

fn sum(mut fields: impl Iterator<Item = u32>, known: &[Option<Extent>]) -> Option<Extent> {
    fields.try_fold(Extent { parts: 1, empty: true }, |sum, id| {
        let field = extent_of(id, known)?;
        Some(Extent { parts: sum.parts.checked_add(field.parts)?, empty: sum.empty && field.empty })
    })
}

fn extent_of(id: u32, known: &[Option<Extent>]) -> Option<Extent> {
    known.get(usize::try_from(id).ok()?).copied().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{json, Value};

    fn check(types: &[Value], used: u32) -> Result<(), BadTypes> {
        let listed = (0..).zip(types).map(|(id, kind): (u32, _)| json!({ "id": id, "type": { "def": kind } }));
        let types = serde_json::from_value(json!({ "types": listed.collect::<Vec<_>>() })).expect("types");
        check_types(&types, [used])
    }

    /// A chain of structs, one in the other, the first in `first`.
    fn nested(levels: u32, first: Value) -> Vec<Value> {
        let field = |id: u32| json!({ "composite": { "fields": [{ "type": id }] } });
        std::iter::once(first).chain((0..levels).map(field)).collect()
    }

    #[test]
    fn nested_types_are_taken_up_to_their_bounds() {
        let number = json!({ "primitive": "u8" });
        let list = |of: u32| json!({ "sequence": { "type": of } });
        assert_eq!(check(&[number.clone(), list(0), list(1)], 2), Ok(()));
        assert_eq!(check(&nested(63, number.clone()), 63), Ok(()));
        assert_eq!(check(&nested(64, number.clone()), 64), Err(BadTypes::Endless(64)));
        assert_eq!(check(&[number], 1), Err(BadTypes::Endless(1)), "missing");
    }

    #[test]
    fn types_without_an_end_are_refused() {
        let itself = json!({ "composite": { "fields": [{ "type": 0 }] } });
        let list_of_itself = json!({ "sequence": { "type": 0 } });
        for kind in [itself, list_of_itself] {
            assert_eq!(check(&[kind], 0), Err(BadTypes::Endless(0)));
        }
        let nothing = json!({ "tuple": [] });
        for list in [json!({ "sequence": { "type": 0 } }), json!({ "array": { "len": u32::MAX, "type": 0 } })] {
            assert_eq!(check(&[nothing.clone(), list], 1), Err(BadTypes::Endless(1)), "a list of nothing");
        }
        let doubled = (0..20).map(|id| json!({ "tuple": [id, id] }));
        let types: Vec<_> = std::iter::once(nothing).chain(doubled).collect();
        assert_eq!(check(&types, 20), Err(BadTypes::Endless(20)), "a million parts of nothing");
        assert_eq!(check(&types, 10), Ok(()));
    }

    #[test]
    fn a_type_has_to_be_at_its_place() {
        let types = json!({ "types": [{ "id": 7, "type": { "def": { "tuple": [] } } }] });
        assert_eq!(check_types(&serde_json::from_value(types).expect("types"), []), Err(BadTypes::Misplaced(7)));
    }
}
