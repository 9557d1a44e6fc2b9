//! Stores of other formats.

use super::{
    folder::backend,
    header,
    tree::{self, HEADER, RECORDS},
    Error, Header, Migration, Store,
};
use codec::{DecodeAll, Encode};
use engine::record::{Change, Store as _};
use protocol::{AccountId, Domain};
use redb::{ReadableTable, WriteTransaction};
use std::path::Path;

fn account() -> AccountId {
    [3; 32].into()
}

fn domain() -> Domain {
    Domain { genesis_hash: [1; 32], contract: [2; 32].into() }
}

/// To a format 2 whose records end with an exclamation mark and whose headers begin with a byte.
fn to_2(write: &WriteTransaction, header: Vec<u8>) -> Result<Vec<u8>, redb::Error> {
    let mut records = write.open_table(RECORDS)?;
    let keys: Vec<_> =
        records.iter()?.map(|entry| Ok(entry?.0.value().to_vec())).collect::<Result<_, redb::Error>>()?;
    for key in keys {
        let value = records.get(key.as_slice())?.map(|value| [value.value(), b"!"].concat()).unwrap_or_default();
        records.insert(key.as_slice(), value.as_slice())?;
    }
    Ok([vec![9], header].concat())
}

/// To a format 3 whose headers are as in format 1.
fn to_3(_: &WriteTransaction, header: Vec<u8>) -> Result<Vec<u8>, redb::Error> {
    Ok(header.into_iter().skip(1).collect())
}

fn fails(write: &WriteTransaction, header: Vec<u8>) -> Result<Vec<u8>, redb::Error> {
    to_2(write, header)?;
    Err(redb::Error::Corrupted("no".to_owned()))
}

fn start(folder: &Path, migrations: &[Migration]) -> Result<Store, Error> {
    let (tree, log) = (backend(&folder.join("store.redb")).unwrap(), backend(&folder.join("store.log")).unwrap());
    Store::start("store".to_owned(), tree, Box::new(log), None, (account(), domain()), migrations)
}

fn values(store: &Store) -> Vec<Vec<u8>> {
    store.records().unwrap().iter().map(|(_, value)| value.to_vec()).collect()
}

#[test]
fn an_older_store_is_migrated_step_by_step_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let mut store = start(path, &[]).unwrap();
    let id = store.header().id;
    store.commit(vec![Change { key: vec![1], value: Some(b"a".to_vec()) }]).unwrap();
    drop(store);
    assert!(start(path, &[fails, to_3]).is_err());
    assert_eq!(values(&start(path, &[]).unwrap()), [b"a"], "a migration that fails changes nothing");
    let store = start(path, &[to_2, to_3]).unwrap();
    assert_eq!((values(&store), store.header().id, store.header().starts), (vec![b"a!".to_vec()], id, 3));
    drop(store);
    assert_eq!(values(&start(path, &[to_2, to_3]).unwrap()), [b"a!"], "it is migrated once");
    let newer = start(path, &[to_2]).unwrap_err();
    assert!(matches!(newer, Error::Newer { found: 3, known: 2, .. }), "{newer}");
    assert!(newer.to_string().contains("start the program that wrote it"));
}

#[test]
fn a_database_of_something_else_is_no_store() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb");
    let other = tree::open("other", backend(&path).unwrap()).unwrap();
    tree::commit("other", &other, |write| write.open_table(RECORDS).map(drop).map_err(Into::into)).unwrap();
    drop(other);
    assert!(matches!(start(folder.path(), &[]), Err(Error::Foreign { .. })));
    let other = tree::open("other", backend(&path).unwrap()).unwrap();
    let foreign = b"otherotherother".as_slice();
    tree::commit("other", &other, |write| {
        write.open_table(HEADER)?.insert((), foreign)?;
        Ok(())
    })
    .unwrap();
    drop(other);
    assert!(matches!(start(folder.path(), &[]), Err(Error::Foreign { .. })));
}

#[test]
fn the_layout_of_a_header_is_fixed() {
    let header = Header::new("store", account(), domain()).unwrap();
    let bytes = header.encode();
    // Account, domain, id, generation, starts, no time of restore, confirmed.
    assert_eq!(bytes.len(), 32 + 64 + 16 + 12 + 8 + 1 + 1);
    assert_eq!(Header::decode_all(&mut &*bytes).unwrap(), header);
    assert_eq!(header::newest(header::MIGRATIONS), 1);
}
