//! The program at a terminal of its own.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

use nix::pty::{Winsize, openpty};
use nix::sys::termios::{LocalFlags, tcgetattr};

use super::PATIENCE;
use super::binary::Tickhouse;

pub struct Terminal {
    child: Child,
    keys: File,
    shown: Receiver<String>,
    /// What was shown since the last thing that was waited for.
    unread: String,
    by: Instant,
}

impl Tickhouse {
    pub fn at_terminal(self) -> Terminal {
        let size = Winsize { ws_row: 50, ws_col: 200, ws_xpixel: 0, ws_ypixel: 0 };
        let pty = openpty(&size, None).unwrap();
        let end = || Stdio::from(OwnedFd::try_clone(&pty.slave).unwrap());
        let mut command = self.env("TERM", "xterm").into_command();
        let child = command.stdin(end()).stdout(end()).stderr(end()).spawn().unwrap();
        // Only the program holds that end, so that its end is seen.
        drop((command, pty.slave));
        let keys = File::from(pty.master);
        let mut screen = keys.try_clone().unwrap();
        let (sender, shown) = channel();
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(length @ 1..) = screen.read(&mut bytes) {
                if sender.send(String::from_utf8_lossy(&bytes[..length]).into_owned()).is_err() {
                    break;
                }
            }
        });
        Terminal { child, keys, shown, unread: String::new(), by: Instant::now() + PATIENCE }
    }
}

impl Terminal {
    /// Waits until the text shows; what was shown up to its end.
    pub fn wait_for(&mut self, text: &str) -> String {
        loop {
            if let Some(at) = self.unread.find(text) {
                return self.unread.drain(..at + text.len()).collect();
            }
            match self.shown.recv_timeout(self.by.saturating_duration_since(Instant::now())) {
                Ok(more) => self.unread.push_str(&more),
                Err(error) => {
                    self.child.kill().unwrap();
                    panic!("no '{text}' ({error}) in: {:?}", self.unread);
                }
            }
        }
    }

    pub fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
    }

    pub fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &id]).status().unwrap().success());
    }

    /// Waits for the end: the exit code, and whether the terminal edits lines itself again.
    pub fn finish(mut self) -> (Option<i32>, bool) {
        let code = self.child.wait().unwrap().code();
        let flags = tcgetattr(&self.keys).unwrap().local_flags;
        (code, flags.contains(LocalFlags::ICANON | LocalFlags::ECHO))
    }
}
