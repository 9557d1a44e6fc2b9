//! A disk that fails: it crashes, is full, or cannot make durable what it took.

use redb::StorageBackend;
use std::{
    io::{Error, ErrorKind, Result},
    sync::{Arc, Mutex, MutexGuard},
};

/// What a disk writes as a whole.
const SECTOR: usize = 512;

/// What happens at an operation. Reads are none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The machine stops: it fails, and so does everything after it.
    Crash,
    /// There is no more space: half of the write is done, and every write from then on fails.
    Full,
    /// The next sync of any file fails. What was written since the one before stays unsure for ever: a later sync confirms
    /// what was written after it.
    BadSync,
}

/// What of the writes that no sync confirmed is on the disk after a crash.
#[derive(Clone, Copy, Debug)]
pub enum Torn {
    /// Nothing.
    Nothing,
    /// All of it.
    Everything,
    /// The first so many sectors, in the order of the writes.
    Prefix(usize),
    /// The sectors that a generator with this seed chooses.
    Some(u64),
}

#[derive(Clone, Debug)]
enum Write {
    Bytes(usize, Vec<u8>),
    Length(usize),
}

impl Write {
    fn apply(&self, to: &mut Vec<u8>) {
        match self {
            Self::Bytes(offset, bytes) => {
                let end = offset + bytes.len();
                // A sector may reach the disk before the length that makes room for it.
                to.resize(to.len().max(end), 0);
                to[*offset..end].copy_from_slice(bytes);
            }
            Self::Length(length) => to.resize(*length, 0),
        }
    }

    fn sectors(&self) -> Vec<Self> {
        match self {
            Self::Bytes(offset, bytes) => {
                let sectors = bytes.chunks(SECTOR).enumerate();
                sectors.map(|(index, sector)| Self::Bytes(offset + index * SECTOR, sector.to_vec())).collect()
            }
            length => vec![length.clone()],
        }
    }
}

/// A file on a disk.
#[derive(Clone, Debug, Default)]
struct File {
    /// What the system has.
    seen: Vec<u8>,
    /// What is on the disk for sure.
    durable: Vec<u8>,
    /// What was written since, in its order, and what of it is on the disk for sure: what a sync has confirmed after another
    /// has failed for what was before it.
    unsure: Vec<(Write, bool)>,
    /// How many of them a sync has failed for, if one has.
    lost: Option<usize>,
}

/// The bytes of a tree and of a log.
pub type Files = [Vec<u8>; 2];

#[derive(Debug, Default)]
struct State {
    files: [File; 2],
    operations: u64,
    fault: Option<(u64, Fault)>,
    struck: Option<Fault>,
}

/// A disk in memory, with the two files of a store. Its clones are the same disk.
#[derive(Clone, Debug, Default)]
pub struct Disk(Arc<Mutex<State>>);

/// One of its files.
#[derive(Debug)]
pub struct Part(Disk, usize);

impl Disk {
    /// A disk with these files.
    pub fn new(files: Files) -> Self {
        let files = files.map(|bytes| File { seen: bytes.clone(), durable: bytes, unsure: vec![], lost: None });
        Self(Arc::new(Mutex::new(State { files, ..State::default() })))
    }

    /// Has the n-th operation from now on fail, counted from one.
    pub fn fail(self, number: u64, fault: Fault) -> Self {
        self.state().operations = 0;
        self.state().fault = Some((number, fault));
        self
    }

    pub fn tree(&self) -> Part {
        Part(self.clone(), 0)
    }

    pub fn log(&self) -> Part {
        Part(self.clone(), 1)
    }

    /// How many writes, changes of length and syncs there were.
    pub fn operations(&self) -> u64 {
        self.state().operations
    }

    /// Whether the fault has happened.
    pub fn struck(&self) -> bool {
        self.state().struck.is_some()
    }

    /// What the system sees.
    pub fn files(&self) -> Files {
        self.state().files.clone().map(|file| file.seen)
    }

    /// The disk after the machine has lost power.
    pub fn after_crash(&self, torn: Torn) -> Self {
        let mut random = match torn {
            Torn::Some(seed) => seed.wrapping_mul(2).wrapping_add(1),
            _ => 1,
        };
        let files = self.state().files.clone().map(|file| {
            let mut bytes = file.durable;
            let sectors = file.unsure.iter().flat_map(|(write, sure)| write.sectors().into_iter().map(|s| (s, *sure)));
            for (index, (sector, sure)) in sectors.enumerate() {
                // xorshift64*
                random ^= random >> 12;
                random ^= random << 25;
                random ^= random >> 27;
                let kept = match torn {
                    Torn::Nothing => false,
                    Torn::Everything => true,
                    Torn::Prefix(sectors) => index < sectors,
                    Torn::Some(_) => random.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 63 == 1,
                };
                if kept || sure {
                    sector.apply(&mut bytes);
                }
            }
            bytes
        });
        Self::new(files)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }
}

impl State {
    /// Counts an operation. The fault that strikes it.
    fn next(&mut self, sync: bool) -> Result<Option<Fault>> {
        if self.struck == Some(Fault::Crash) {
            return Err(Error::other("the machine is off"));
        }
        self.operations += 1;
        let due = self.fault.filter(|(number, fault)| match fault {
            Fault::BadSync => sync && self.operations >= *number && self.struck.is_none(),
            Fault::Full => !sync && self.operations >= *number,
            Fault::Crash => self.operations == *number,
        });
        self.struck = due.map(|(_, fault)| fault).or(self.struck);
        Ok(due.map(|(_, fault)| fault))
    }
}

impl Part {
    fn write(&self, write: Write) -> Result<()> {
        let mut state = self.0.state();
        let fault = state.next(false)?;
        let write = match write {
            Write::Bytes(offset, mut bytes) if fault == Some(Fault::Full) => {
                bytes.truncate(bytes.len() / 2);
                Write::Bytes(offset, bytes)
            }
            write => write,
        };
        let file = &mut state.files[self.1];
        write.apply(&mut file.seen);
        file.unsure.push((write, false));
        match fault {
            Some(Fault::Crash) => Err(Error::other("power is lost")),
            Some(Fault::Full) => Err(ErrorKind::StorageFull.into()),
            _ => Ok(()),
        }
    }
}

impl StorageBackend for Part {
    fn len(&self) -> Result<u64> {
        Ok(self.0.state().files[self.1].seen.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<()> {
        let state = self.0.state();
        let start = offset as usize;
        let bytes = state.files[self.1].seen.get(start..start + out.len()).ok_or(ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(bytes);
        Ok(())
    }

    fn set_len(&self, len: u64) -> Result<()> {
        self.write(Write::Length(len as usize))
    }

    fn sync_data(&self) -> Result<()> {
        let mut state = self.0.state();
        let fault = state.next(true)?;
        let file = &mut state.files[self.1];
        match fault {
            Some(Fault::Crash) => return Err(Error::other("power is lost")),
            Some(_) => {
                file.lost = Some(file.unsure.len());
                return Err(Error::other("the disk cannot write"));
            }
            None => match file.lost {
                Some(lost) => file.unsure[lost..].iter_mut().for_each(|(_, sure)| *sure = true),
                None => {
                    file.durable = file.seen.clone();
                    file.unsure.clear();
                }
            },
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<()> {
        self.write(Write::Bytes(offset as usize, data.to_vec()))
    }
}
