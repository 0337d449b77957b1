//! A simulated disk for tests: it forgets what was not synced, tears what it keeps, fills up,
//! and fails when told.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use super::storage::{Access, DirEntry, Lock, Storage, StoredFile};

const SECTOR: usize = 512;

/// A generator of the xorshift family: the same seed gives the same run.
#[derive(Clone)]
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub(super) fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % n.max(1)
    }

    pub(super) fn coin(&mut self) -> bool {
        self.below(2) == 0
    }
}

#[derive(Clone, Default)]
struct Inode {
    now: Vec<u8>,
    durable: Vec<u8>,
    dirty: BTreeSet<usize>,
}

#[derive(Clone)]
enum NameOp {
    Link(PathBuf, u64),
    Unlink(PathBuf),
    Rename(PathBuf, PathBuf, u64),
}

/// What goes wrong, and when, counted in calls.
#[derive(Copy, Clone, Debug)]
pub(super) struct Fault {
    pub(super) from: u64,
    pub(super) calls: u64,
    pub(super) kind: io::ErrorKind,
}

#[derive(Default)]
struct State {
    inodes: HashMap<u64, Inode>,
    names: BTreeMap<PathBuf, u64>,
    durable_names: BTreeMap<PathBuf, u64>,
    journal: Vec<NameOp>,
    directories: BTreeSet<PathBuf>,
    locks: HashSet<u64>,
    next_inode: u64,
    calls: u64,
    fault: Option<Fault>,
    capacity: Option<u64>,
    read_only: bool,
    /// Files whose names end like this cannot be opened or written.
    forbidden: &'static str,
    /// Bytes of removed files that are not free yet; counted while this is `Some`.
    unfreed: Option<u64>,
}

/// What was in a directory that was removed or unmounted.
pub(super) struct TakenAway {
    files: Vec<(PathBuf, u64)>,
    directories: Vec<PathBuf>,
}

/// The simulated disk; clones are the same disk.
#[derive(Clone, Default)]
pub(super) struct SimDisk(Arc<Mutex<State>>);

impl SimDisk {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// Counts a call, and fails it when its time has come.
    fn call(&self) -> io::Result<MutexGuard<'_, State>> {
        let mut state = self.state();
        let call = state.calls;
        state.calls += 1;
        match state.fault {
            Some(f) if call >= f.from && call - f.from < f.calls => Err(f.kind.into()),
            _ => Ok(state),
        }
    }

    fn change(&self) -> io::Result<MutexGuard<'_, State>> {
        let state = self.call()?;
        if state.read_only {
            return Err(io::ErrorKind::ReadOnlyFilesystem.into());
        }
        Ok(state)
    }

    pub(super) fn calls(&self) -> u64 {
        self.state().calls
    }

    pub(super) fn set_fault(&self, fault: Option<Fault>) {
        self.state().fault = fault;
    }

    pub(super) fn set_capacity(&self, bytes: Option<u64>) {
        self.state().capacity = bytes;
    }

    /// From now on the room of removed files does not come back.
    pub(super) fn free_late(&self) {
        self.state().unfreed = Some(0);
    }

    /// From now on files with this ending cannot be opened; none when it is empty.
    pub(super) fn forbid(&self, ending: &'static str) {
        self.state().forbidden = ending;
    }

    pub(super) fn set_read_only(&self, read_only: bool) {
        self.state().read_only = read_only;
    }

    pub(super) fn contents(&self, path: &Path) -> Option<Vec<u8>> {
        let state = self.state();
        let inode = state.names.get(path)?;
        state.inodes.get(inode).map(|i| i.now.clone())
    }

    pub(super) fn put(&self, path: &Path, bytes: &[u8]) {
        let mut state = self.state();
        let inode = state.create(path);
        let file = state.inodes.get_mut(&inode).unwrap();
        file.now = bytes.to_vec();
        file.durable = bytes.to_vec();
        state.durable_names.insert(path.to_owned(), inode);
    }

    /// Removes a directory and all in it, and returns what it held.
    pub(super) fn take_away(&self, dir: &Path) -> TakenAway {
        let mut state = self.state();
        let inside = |path: &Path| path.starts_with(dir);
        let files = state.names.extract_if(.., |path, _| inside(path)).collect();
        let directories = state
            .directories
            .extract_if(.., |path| inside(path))
            .collect();
        state.durable_names.retain(|path, _| !inside(path));
        TakenAway { files, directories }
    }

    /// What was unmounted is mounted again, over whatever was made there meanwhile.
    pub(super) fn bring_back(&self, dir: &Path, taken: TakenAway) {
        self.take_away(dir);
        let mut state = self.state();
        state.names.extend(taken.files);
        state.directories.extend(taken.directories);
    }

    /// The processes are killed: locks are free, the page cache survives.
    pub(super) fn kill(&self) {
        let mut state = self.state();
        state.locks.clear();
        state.fault = None;
    }

    /// The power fails: what was not synced is kept or lost at random, sector by sector and name
    /// by name.
    pub(super) fn lose_power(&self, random: &mut Random) {
        let mut state = self.state();
        state.locks.clear();
        state.fault = None;
        let mut names = state.durable_names.clone();
        for op in std::mem::take(&mut state.journal) {
            if random.coin() {
                apply(&mut names, &op);
            }
        }
        let mut ids: Vec<u64> = state.inodes.keys().copied().collect();
        ids.sort_unstable();
        for id in ids {
            let inode = state.inodes.get_mut(&id).unwrap();
            let (low, high) = (
                inode.durable.len().min(inode.now.len()),
                inode.durable.len().max(inode.now.len()),
            );
            let len = match random.below(3) {
                0 => inode.durable.len(),
                1 => inode.now.len(),
                _ => low + random.below((high - low + 1) as u64) as usize,
            };
            let mut bytes = inode.durable.clone();
            bytes.resize(len, 0);
            for sector in std::mem::take(&mut inode.dirty) {
                let from = sector * SECTOR;
                let to = (from + SECTOR).min(len).min(inode.now.len());
                if random.coin() && from < to {
                    bytes[from..to].copy_from_slice(&inode.now[from..to]);
                }
            }
            inode.now = bytes.clone();
            inode.durable = bytes;
        }
        state.durable_names = names.clone();
        state.names = names;
    }
}

fn apply(names: &mut BTreeMap<PathBuf, u64>, op: &NameOp) {
    match op {
        NameOp::Link(path, inode) => {
            names.insert(path.clone(), *inode);
        }
        NameOp::Unlink(path) => {
            names.remove(path);
        }
        NameOp::Rename(from, to, inode) => {
            names.remove(from);
            names.insert(to.clone(), *inode);
        }
    }
}

impl State {
    /// Nothing is made in a directory that is not there.
    fn needs_parent(&self, path: &Path) -> io::Result<()> {
        let parent = path.parent().filter(|dir| dir.parent().is_some());
        match parent.is_none_or(|dir| self.directories.contains(dir)) {
            true => Ok(()),
            false => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn create(&mut self, path: &Path) -> u64 {
        self.next_inode += 1;
        let inode = self.next_inode;
        self.inodes.insert(inode, Inode::default());
        self.names.insert(path.to_owned(), inode);
        self.journal.push(NameOp::Link(path.to_owned(), inode));
        inode
    }

    fn used(&self) -> u64 {
        let live: BTreeSet<u64> = self.names.values().copied().collect();
        live.iter()
            .filter_map(|i| self.inodes.get(i))
            .map(|i| i.now.len() as u64)
            .sum::<u64>()
            + self.unfreed.unwrap_or(0)
    }

    fn room(&self) -> u64 {
        self.capacity
            .map_or(u64::MAX, |c| c.saturating_sub(self.used()))
    }
}

impl Storage for SimDisk {
    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.change()?;
        let above = dir.ancestors().filter(|dir| dir.parent().is_some());
        state.directories.extend(above.map(Path::to_owned));
        Ok(())
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.change()?;
        state.needs_parent(dir)?;
        state.directories.insert(dir.to_owned());
        Ok(())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        let state = self.call()?;
        let files = state.names.keys().map(|p| (p, false));
        let directories = state.directories.iter().map(|p| (p, true));
        Ok(files
            .chain(directories)
            .filter(|(path, _)| path.parent() == Some(dir))
            .map(|(path, directory)| DirEntry {
                name: path.file_name().unwrap().to_string_lossy().into_owned(),
                directory,
                strange: false,
            })
            .collect())
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<Box<dyn StoredFile>> {
        let mut state = match access {
            Access::Read => self.call()?,
            _ => self.change()?,
        };
        let ending = state.forbidden;
        if !ending.is_empty() && path.to_string_lossy().ends_with(ending) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let found = state.names.get(path).copied();
        let inode = match (access, found) {
            (Access::Read | Access::Write, Some(inode)) => inode,
            (Access::Read | Access::Write, None) => return Err(io::ErrorKind::NotFound.into()),
            (Access::Create, Some(_)) => return Err(io::ErrorKind::AlreadyExists.into()),
            (Access::Replace, Some(inode)) => {
                let file = state.inodes.get_mut(&inode).unwrap();
                file.now.clear();
                inode
            }
            (_, None) => {
                state.needs_parent(path)?;
                state.create(path)
            }
        };
        Ok(Box::new(SimFile {
            disk: self.clone(),
            inode,
        }))
    }

    fn size(&self, path: &Path) -> io::Result<u64> {
        let state = self.call()?;
        let inode = state.names.get(path).ok_or(io::ErrorKind::NotFound)?;
        Ok(state.inodes[inode].now.len() as u64)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.change()?;
        let inode = state.names.remove(from).ok_or(io::ErrorKind::NotFound)?;
        state.names.insert(to.to_owned(), inode);
        state
            .journal
            .push(NameOp::Rename(from.to_owned(), to.to_owned(), inode));
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.change()?;
        let inode = state.names.remove(path).ok_or(io::ErrorKind::NotFound)?;
        let size = state.inodes[&inode].now.len() as u64;
        if let Some(unfreed) = &mut state.unfreed {
            *unfreed += size;
        }
        state.journal.push(NameOp::Unlink(path.to_owned()));
        Ok(())
    }

    fn remove_dir(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.change()?;
        if state.names.keys().any(|p| p.parent() == Some(dir)) {
            return Err(io::ErrorKind::DirectoryNotEmpty.into());
        }
        state.directories.remove(dir);
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.call()?;
        let inside = |p: &Path| p.parent() == Some(dir);
        let mut durable = std::mem::take(&mut state.durable_names);
        state.journal.retain(|op| {
            let ours = match op {
                NameOp::Link(p, _) | NameOp::Unlink(p) => inside(p),
                NameOp::Rename(from, to, _) => inside(from) || inside(to),
            };
            if ours {
                apply(&mut durable, op);
            }
            !ours
        });
        state.durable_names = durable;
        Ok(())
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn Lock>>> {
        let mut state = self.change()?;
        if !state.names.contains_key(path) {
            state.needs_parent(path)?;
            state.create(path);
        }
        let inode = state.names[path];
        if !state.locks.insert(inode) {
            return Ok(None);
        }
        state.inodes.get_mut(&inode).unwrap().now.clear();
        Ok(Some(Box::new(SimLock {
            disk: self.clone(),
            path: path.to_owned(),
            inode,
        })))
    }

    fn is_locked(&self, path: &Path) -> io::Result<bool> {
        let state = self.call()?;
        let inode = state.names.get(path);
        Ok(inode.is_some_and(|inode| state.locks.contains(inode)))
    }

    fn free_bytes(&self, _dir: &Path) -> io::Result<u64> {
        Ok(self.call()?.room())
    }
}

struct SimLock {
    disk: SimDisk,
    path: PathBuf,
    inode: u64,
}

impl Lock for SimLock {
    fn is_lost(&self) -> io::Result<bool> {
        Ok(self.disk.state().names.get(&self.path) != Some(&self.inode))
    }

    fn note(&self, line: &str) -> io::Result<()> {
        let mut state = self.disk.state();
        if let Some(inode) = state.names.get(&self.path).copied() {
            state.inodes.get_mut(&inode).unwrap().now = format!("1\n{line}\n").into_bytes();
        }
        Ok(())
    }
}

impl Drop for SimLock {
    fn drop(&mut self) {
        self.disk.state().locks.remove(&self.inode);
    }
}

struct SimFile {
    disk: SimDisk,
    inode: u64,
}

impl StoredFile for SimFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.disk.call()?.inodes[&self.inode].now.len() as u64)
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let state = self.disk.call()?;
        let bytes = &state.inodes[&self.inode].now;
        let from = bytes.len().min(offset as usize);
        let n = buf.len().min(bytes.len() - from);
        buf[..n].copy_from_slice(&bytes[from..from + n]);
        Ok(n)
    }

    fn write_at(&self, parts: [&[u8]; 2], offset: u64) -> io::Result<()> {
        let mut bytes = parts.concat();
        let fault = self.disk.state().fault;
        let mut state = match self.disk.change() {
            Ok(state) => state,
            Err(e) => {
                // A write that fails may have written some of it.
                let mut state = self.disk.state();
                if state.read_only || fault.is_none() {
                    return Err(e);
                }
                bytes.truncate(bytes.len() * 5 / 8);
                state.write(self.inode, &bytes, offset as usize);
                return Err(e);
            }
        };
        let end = offset + bytes.len() as u64;
        let growth = end.saturating_sub(state.inodes[&self.inode].now.len() as u64);
        let room = state.room();
        if growth > room {
            let short = bytes.len().saturating_sub((growth - room) as usize);
            bytes.truncate(short);
            state.write(self.inode, &bytes, offset as usize);
            return Err(io::ErrorKind::StorageFull.into());
        }
        state.write(self.inode, &bytes, offset as usize);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.disk.change()?;
        let inode = state.inodes.get_mut(&self.inode).unwrap();
        inode.now.resize(len as usize, 0);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.disk.call()?;
        let inode = state.inodes.get_mut(&self.inode).unwrap();
        inode.durable = inode.now.clone();
        inode.dirty.clear();
        Ok(())
    }

    fn removed(&self) -> io::Result<bool> {
        let state = self.disk.call()?;
        Ok(!state.names.values().any(|i| *i == self.inode))
    }
}

impl State {
    fn write(&mut self, inode: u64, bytes: &[u8], offset: usize) {
        if bytes.is_empty() {
            return;
        }
        let inode = self.inodes.get_mut(&inode).unwrap();
        let end = offset + bytes.len();
        if inode.now.len() < end {
            inode.now.resize(end, 0);
        }
        inode.now[offset..end].copy_from_slice(bytes);
        inode.dirty.extend(offset / SECTOR..=(end - 1) / SECTOR);
    }
}
