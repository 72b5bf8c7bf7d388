//! One listening socket of any of the three kinds.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::net::{TcpListener, UnixListener, UnixSocket, UnixStream};
use tokio_vsock::{VsockAddr, VsockListener};

use super::config::{ListenAddress, ListenerConfig};
use super::error::ServerError;
use super::handler::PeerAddress;
use super::stream::Stream;
use super::tls::ServerTls;

/// Connections that the kernel holds for a listener until accepted; what Tokio takes for TCP. The vsock crate takes 128,
/// under which a crowd of enclaves that connect at once is refused.
const BACKLOG: u16 = 1024;

/// How long to wait after an accept failed for a reason that lies with this host, such as no file descriptors left.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(200);

/// A bound socket, its TLS identity and its own name.
#[derive(Debug)]
pub(crate) struct Listener {
    socket: Socket,
    tls: Option<ServerTls>,
    local_address: LocalAddress,
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener, #[expect(dead_code, reason = "held for its Drop, which removes the path")] SocketFile),
    Vsock(VsockListener),
}

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LocalAddress {
    /// Address and port.
    Tcp(SocketAddr),
    /// Path.
    Unix(PathBuf),
    /// Context id and port.
    Vsock {
        /// The context id.
        cid: u32,
        /// The port.
        port: u32,
    },
}

impl fmt::Display for LocalAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "tcp:{address}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Vsock { cid, port } => write!(f, "vsock:{cid}:{port}"),
        }
    }
}

impl Listener {
    pub(crate) async fn bind(config: ListenerConfig) -> Result<Self, ServerError> {
        let ListenerConfig { address, tls } = config;
        let (socket, local_address) = match address {
            ListenAddress::Tcp { address, allow_plain_non_loopback } => {
                let is_loopback = address.ip().to_canonical().is_loopback();
                if tls.is_none() && !is_loopback && !allow_plain_non_loopback {
                    return Err(ServerError::PlainNonLoopback { address });
                }
                bind_tcp(address).await.map_err(|source| ServerError::BindTcp { address, source })?
            }
            ListenAddress::Unix { path, mode } => bind_unix(path, mode).await?,
            ListenAddress::Vsock { cid, port } => {
                bind_vsock(cid, port).map_err(|source| ServerError::BindVsock { cid, port, source })?
            }
        };
        Ok(Self { socket, tls, local_address })
    }

    pub(crate) fn local_address(&self) -> &LocalAddress {
        &self.local_address
    }

    pub(super) fn tls(&self) -> Option<&ServerTls> {
        self.tls.as_ref()
    }

    /// The next connection, however many fail before it. Cancelling loses none.
    pub(crate) async fn next_connection(&mut self) -> (Stream, PeerAddress) {
        loop {
            match self.accept().await {
                Ok(accepted) => return accepted,
                Err(error) if is_peers_fault(&error) => {
                    tracing::debug!(listener = %self.local_address, %error, "a connection was lost while accepted");
                }
                Err(error) => {
                    tracing::warn!(listener = %self.local_address, %error, "cannot accept connections");
                    tokio::time::sleep(ACCEPT_BACKOFF).await;
                }
            }
        }
    }

    async fn accept(&mut self) -> io::Result<(Stream, PeerAddress)> {
        match &self.socket {
            Socket::Tcp(listener) => {
                let (stream, address) = listener.accept().await?;
                // Answers leave in one write; waiting for more to fill a segment only delays them.
                stream.set_nodelay(true)?;
                Ok((Stream::Tcp(stream), PeerAddress::Tcp(address)))
            }
            Socket::Unix(listener, _) => {
                let (stream, _) = listener.accept().await?;
                let peer = stream.peer_cred()?;
                let address = PeerAddress::Unix { pid: peer.pid(), uid: peer.uid(), gid: peer.gid() };
                Ok((Stream::Unix(stream), address))
            }
            Socket::Vsock(listener) => {
                let (stream, address) = listener.accept().await?;
                Ok((Stream::Vsock(stream), PeerAddress::Vsock { cid: address.cid(), port: address.port() }))
            }
        }
    }
}

/// Whether an accept failed for a reason that lies with the connection and not with this host (accept(2)). What a
/// connection that was reset meanwhile gives on `TCP_NODELAY` or `SO_PEERCRED` counts too.
fn is_peers_fault(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::NotConnected
    )
}

async fn bind_tcp(address: SocketAddr) -> io::Result<(Socket, LocalAddress)> {
    let listener = TcpListener::bind(address).await?;
    let local_address = LocalAddress::Tcp(listener.local_addr()?);
    Ok((Socket::Tcp(listener), local_address))
}

fn bind_vsock(cid: u32, port: u32) -> io::Result<(Socket, LocalAddress)> {
    let listener = VsockListener::bind(VsockAddr::new(cid, port))?;
    // To listen again changes the length of the queue and nothing else.
    rustix::net::listen(&listener, i32::from(BACKLOG))?;
    let address = listener.local_addr()?;
    Ok((Socket::Vsock(listener), LocalAddress::Vsock { cid: address.cid(), port: address.port() }))
}

/// Binds, sets the mode and only then listens, so that at no moment can anyone connect whom the mode keeps out.
async fn bind_unix(path: PathBuf, mode: u32) -> Result<(Socket, LocalAddress), ServerError> {
    let failed = |source| ServerError::BindUnix { path: path.clone(), source };
    remove_stale_socket(&path).await?;
    let socket = UnixSocket::new_stream().map_err(failed)?;
    socket.bind(&path).map_err(failed)?;
    let file = SocketFile::at(&path).map_err(failed)?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).map_err(failed)?;
    let listener = socket.listen(u32::from(BACKLOG)).map_err(failed)?;
    Ok((Socket::Unix(listener, file), LocalAddress::Unix(path)))
}

/// Removes a socket that nobody listens on any more, which a process that was killed leaves behind.
async fn remove_stale_socket(path: &Path) -> Result<(), ServerError> {
    let failed = |source| ServerError::BindUnix { path: path.to_owned(), source };
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
        Ok(metadata) if !metadata.file_type().is_socket() => {
            return Err(ServerError::NotASocket { path: path.to_owned() });
        }
        Ok(_) => {}
    }
    match UnixStream::connect(path).await {
        Ok(_) => Err(ServerError::SocketInUse { path: path.to_owned() }),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path).map_err(failed)
        }
        Err(error) => Err(failed(error)),
    }
}

/// The path of a bound Unix socket, removed when dropped, unless another file has taken the place.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    id: FileId,
}

impl SocketFile {
    fn at(path: &Path) -> io::Result<Self> {
        Ok(Self { path: path.to_owned(), id: FileId::of(path)? })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let is_ours = FileId::of(&self.path).is_ok_and(|now| now == self.id);
        if is_ours && let Err(error) = std::fs::remove_file(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "cannot remove the socket");
        }
    }
}

/// What tells one file from another of the same name.
#[derive(Debug, PartialEq, Eq)]
struct FileId {
    device: u64,
    inode: u64,
}

impl FileId {
    fn of(path: &Path) -> io::Result<Self> {
        let metadata = std::fs::symlink_metadata(path)?;
        Ok(Self { device: metadata.dev(), inode: metadata.ino() })
    }
}
