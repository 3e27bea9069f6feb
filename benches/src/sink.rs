//! A collector that answers everything with 200 and keeps nothing: where the shop under load sends to.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::thread;

/// Serves on a free port of loopback, which it prints, until the process is ended.
pub(crate) fn serve() -> io::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    println!("http://{}", listener.local_addr()?);
    for connection in listener.incoming() {
        let connection = connection?;
        // A connection that breaks off concerns nobody else.
        thread::spawn(move || swallow(&connection));
    }
    Ok(())
}

/// Takes requests off a connection until it is closed.
fn swallow(connection: &TcpStream) -> io::Result<()> {
    let mut input = BufReader::new(connection);
    let mut output = connection;
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if input.read_line(&mut line)? == 0 {
                return Ok(());
            }
            if line.trim().is_empty() {
                break;
            }
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse().map_err(io::Error::other)?;
            }
        }
        io::copy(&mut (&mut input).take(length), &mut io::sink())?;
        output.write_all(
            b"HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n",
        )?;
    }
}
