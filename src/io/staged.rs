//! Files that appear whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use super::OutputError;

/// A file written beside its place, under a name of its own, and put there when it is whole.
/// Dropped before, it is removed.
#[derive(Debug)]
pub struct StagedFile {
    target: PathBuf,
    temporary: PathBuf,
    /// `None` when another program writes it.
    file: Option<File>,
    placed: bool,
}

impl StagedFile {
    /// Begins the file that will be at `target`.
    ///
    /// # Errors
    /// When its directory does not let it be made, or a directory has its name.
    pub fn create(target: &Path) -> Result<Self, OutputError> {
        let mut staged = Self::reserve(target)?;
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&staged.temporary)
            .map_err(OutputError::system(target.display(), "create"))?;
        staged.file = Some(file);
        Ok(staged)
    }

    /// The place of a file that another program writes at [`temporary`](Self::temporary).
    ///
    /// # Errors
    /// As [`create`](Self::create).
    pub fn reserve(target: &Path) -> Result<Self, OutputError> {
        let error =
            |kind: std::io::ErrorKind| OutputError::system(target.display(), "create")(kind.into());
        if target.is_dir() {
            return Err(error(std::io::ErrorKind::IsADirectory));
        }
        let name = target
            .file_name()
            .ok_or(error(std::io::ErrorKind::InvalidFilename))?;
        let mut hidden = std::ffi::OsString::from(".");
        hidden.push(name);
        hidden.push(format!(".{}.part", std::process::id()));
        let temporary = target.with_file_name(hidden);
        // One that a killed process of this number left.
        let _ = fs::remove_file(&temporary);
        Ok(Self {
            target: target.to_owned(),
            temporary,
            file: None,
            placed: false,
        })
    }

    /// Where the file is while it is written.
    pub fn temporary(&self) -> &Path {
        &self.temporary
    }

    /// Appends.
    ///
    /// # Errors
    /// When the disk takes no more.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), OutputError> {
        match &mut self.file {
            Some(file) => file
                .write_all(bytes)
                .map_err(OutputError::system(self.target.display(), "write")),
            None => Ok(()),
        }
    }

    /// Puts the file in its place, over one that is there.
    ///
    /// # Errors
    /// When it cannot be renamed.
    pub fn place(mut self) -> Result<(), OutputError> {
        self.file = None;
        fs::rename(&self.temporary, &self.target)
            .map_err(OutputError::system(self.target.display(), "put in place"))?;
        self.placed = true;
        Ok(())
    }
}

impl Drop for StagedFile {
    fn drop(&mut self) {
        if !self.placed {
            let _ = fs::remove_file(&self.temporary);
        }
    }
}
