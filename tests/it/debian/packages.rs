//! A package repository on the loopback network: packages made on the spot, lists that apt understands, and a server for the files.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};

use sha2::{Digest, Sha256};

use super::{must, write};

/// A package to be made.
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) version: String,
    /// Other packages that it needs, as in `Depends`.
    pub(crate) depends: String,
    /// Shell text that is run after it has been unpacked: where it fails, the installation does; what it writes, a health check sees.
    pub(crate) postinst: String,
    /// The advisory that its publisher has written about it, in the words of RPM repositories: kind and severity.
    pub(crate) advisory: Option<(String, String)>,
}

impl Package {
    /// One that does nothing but be there: its version stands in `/usr/share/NAME/version`.
    pub(crate) fn new(name: &str, version: &str) -> Self {
        Self { name: name.into(), version: version.into(), depends: String::new(), postinst: String::new(), advisory: None }
    }

    pub(crate) fn depends(mut self, on: &str) -> Self {
        self.depends = on.into();
        self
    }

    pub(crate) fn postinst(mut self, text: &str) -> Self {
        self.postinst = text.into();
        self
    }

    pub(crate) fn advisory(mut self, kind: &str, severity: &str) -> Self {
        self.advisory = Some((kind.into(), severity.into()));
        self
    }

    fn file(&self) -> String {
        format!("{}_{}_all.deb", self.name, self.version)
    }

    fn control(&self) -> String {
        let depends = if self.depends.is_empty() { String::new() } else { format!("Depends: {}\n", self.depends) };
        format!(
            "Package: {}\nVersion: {}\nArchitecture: all\nMaintainer: Test <test@example.com>\n{depends}Description: made for a test\n",
            self.name, self.version
        )
    }

    fn build(&self, folder: &Path) -> PathBuf {
        let tree = tempfile::tempdir().unwrap();
        write(&tree.path().join("DEBIAN/control"), &self.control());
        write(&tree.path().join(format!("usr/share/{}/version", self.name)), &format!("{}\n", self.version));
        if !self.postinst.is_empty() {
            let path = tree.path().join("DEBIAN/postinst");
            write(&path, &format!("#!/bin/sh\nset -e\n{}\n", self.postinst));
            must(Command::new("chmod").arg("755").arg(&path));
        }
        must(Command::new("chmod").args(["-R", "u=rwX,go=rX"]).arg(tree.path()));
        let file = folder.join(self.file());
        must(Command::new("dpkg-deb").args(["--root-owner-group", "--build"]).arg(tree.path()).arg(&file));
        file
    }
}

/// What is published, and under which suite.
#[derive(Default)]
struct Published {
    /// File and stanza by package and version.
    packages: BTreeMap<(String, String), (PathBuf, String)>,
    suite: String,
}

/// The repository; its server ends with the process.
pub(super) struct Repository {
    folder: PathBuf,
    port: u16,
    published: Arc<Mutex<Published>>,
}

impl Repository {
    pub(super) fn start(folder: &Path) -> Self {
        std::fs::create_dir_all(folder).unwrap();
        let published = Arc::new(Mutex::new(Published { suite: "stable".into(), ..Published::default() }));
        let served = Arc::clone(&published);
        let port = listen(move |file| content(file, &served.lock().unwrap_or_else(PoisonError::into_inner)));
        Self { folder: folder.to_owned(), port, published }
    }

    /// The line of sources.list.
    pub(super) fn source(&self) -> String {
        format!("deb [trusted=yes] http://127.0.0.1:{}/ ./\n", self.port)
    }

    fn published(&self) -> std::sync::MutexGuard<'_, Published> {
        self.published.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn add(&self, package: &Package) {
        let file = package.build(&self.folder);
        let bytes = std::fs::read(&file).unwrap();
        let (size, hash) = (bytes.len(), hex::encode(Sha256::digest(&bytes)));
        let stanza = format!("{}Filename: ./{}\nSize: {size}\nSHA256: {hash}\n\n", package.control(), package.file());
        self.published().packages.insert((package.name.clone(), package.version.clone()), (file, stanza));
    }

    pub(super) fn remove(&self, name: &str, version: &str) {
        self.published().packages.remove(&(name.to_owned(), version.to_owned())).unwrap();
    }

    pub(super) fn suite(&self, suite: &str) {
        suite.clone_into(&mut self.published().suite);
    }
}

/// Serves files by their names, whatever folder they are asked for in, on the port that is returned, until the process ends.
pub(super) fn listen(content: impl Fn(&str) -> Option<Vec<u8>> + Send + Sync + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let content = Arc::new(content);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let content = Arc::clone(&content);
            std::thread::spawn(move || drop(serve(stream, &*content)));
        }
    });
    port
}

fn serve(stream: TcpStream, content: &dyn Fn(&str) -> Option<Vec<u8>>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let mut first = String::new();
        if reader.read_line(&mut first)? == 0 {
            return Ok(());
        }
        let mut header = String::new();
        while reader.read_line(&mut header)? > 0 && !header.trim().is_empty() {
            header.clear();
        }
        let path =
            first.split(' ').nth(1).unwrap_or_default().rsplit('/').next().unwrap_or_default().replace("%7e", "~").replace("%2b", "+");
        let body = content(&path);
        let (status, body) = body.map_or(("404 Not Found", Vec::new()), |body| ("200 OK", body));
        let out = reader.get_mut();
        write!(out, "HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n", body.len())?;
        out.write_all(&body)?;
    }
}

fn content(path: &str, published: &Published) -> Option<Vec<u8>> {
    let list: String = published.packages.values().map(|(_, stanza)| stanza.as_str()).collect();
    match path {
        "Packages" => Some(list.into_bytes()),
        "Release" => {
            let (hash, size) = (hex::encode(Sha256::digest(&list)), list.len());
            // Without a date apt takes every list for new enough.
            Some(
                format!("Origin: Test\nLabel: Test\nSuite: {}\nCodename: test\nSHA256:\n {hash} {size} Packages\n", published.suite)
                    .into_bytes(),
            )
        }
        file => {
            let (path, _) = published.packages.values().find(|(path, _)| path.file_name().is_some_and(|name| name == file))?;
            std::fs::read(path).ok()
        }
    }
}
