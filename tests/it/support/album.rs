//! What a kill between any two steps on the disk leaves behind. A kill leaves the files as they are, so it is a copy of
//! the data directory taken there.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use rollcall::faults::{Faults, Side, Step};
use tempfile::TempDir;

/// A copy of the data directory for each step, as long as it is on.
pub struct Album {
    folder: TempDir,
    images: Mutex<Vec<(Step, Side)>>,
    on: AtomicBool,
}

/// What a kill there leaves, in a folder of its own.
pub struct Image {
    pub step: Step,
    pub side: Side,
    /// Holds the data directory as `data`.
    pub folder: TempDir,
}

impl Album {
    /// An empty album, and the disk that fills it from the data directory in `folder`.
    pub fn of(folder: &TempDir) -> (Arc<Self>, Faults) {
        let album = Self { folder: tempfile::tempdir().unwrap(), images: Mutex::default(), on: AtomicBool::new(false) };
        let (album, data) = (Arc::new(album), folder.path().join("data"));
        let faults = {
            let album = Arc::clone(&album);
            Faults::with(move |step, side| {
                if album.on.load(Ordering::SeqCst) {
                    album.take(&data, step, side);
                }
                Ok(())
            })
        };
        (album, faults)
    }

    fn take(&self, data: &Path, step: Step, side: Side) {
        let mut images = self.images.lock().unwrap();
        copy_data(data, &self.place(images.len()));
        images.push((step, side));
    }

    fn place(&self, number: usize) -> PathBuf {
        self.folder.path().join(number.to_string())
    }

    pub fn turn(&self, on: bool) {
        self.on.store(on, Ordering::SeqCst);
    }

    /// Every image, in the order they were taken. They leave the album.
    pub fn images(&self) -> impl Iterator<Item = Image> {
        let images = std::mem::take(&mut *self.images.lock().unwrap());
        (0..).zip(images).map(|(number, (step, side))| {
            let folder = tempfile::tempdir().unwrap();
            std::fs::rename(self.place(number), folder.path().join("data")).unwrap();
            Image { step, side, folder }
        })
    }
}

impl Image {
    pub fn what(&self) -> String {
        format!("killed {:?} {:?}", self.side, self.step)
    }
}

/// Copies a data directory without its ballast, which is 16 MiB of nothing and is made again.
pub fn copy_data(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap();
        if path.is_dir() {
            copy_data(&path, &to.join(name));
        } else if name != "ballast" {
            // sled removes an older snapshot now and then.
            let _ = std::fs::copy(&path, to.join(name));
        }
    }
}
