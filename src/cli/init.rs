use std::fs::DirBuilder;
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use clap::Args;

use super::data_dir::DataDir;
use super::error::CliError;
use super::output::print_line;
use crate::audit::create_key;
use crate::keys::Realm;
use crate::operations::Broker;
use crate::root_key::FileRootKey;
use crate::server::tls_identity::{DEFAULT_NAMES, mint};
use crate::store::SqliteStore;
use crate::time::UnixTime;

/// Make a data directory: a root key, an empty store and, with --tls, a private CA and a server certificate.
///
/// Nothing that exists is overwritten.
#[derive(Debug, Args)]
pub(super) struct Init {
    /// The region in the keys' ARNs, which clients must sign for.
    #[arg(long, default_value = "us-east-1")]
    region: String,

    /// The account in the keys' ARNs, 12 digits.
    #[arg(long, default_value = "000000000000")]
    account: String,

    /// Mint a private CA and a server certificate for a quick start.
    #[arg(long)]
    tls: bool,

    /// A DNS name or IP address that clients reach the server by; repeatable, with --tls. Replaces the default:
    /// localhost, 127.0.0.1, ::1 and nitro-key-broker.
    #[arg(long, value_name = "NAME", requires = "tls")]
    tls_name: Vec<String>,
}

impl Init {
    pub(super) async fn run(self, data_dir: &DataDir) -> Result<(), CliError> {
        let realm = Realm::new(&self.region, &self.account).map_err(CliError::usage)?;
        make_private_directory(data_dir.path())?;
        let existing = [data_dir.root_key(), data_dir.store(), data_dir.audit_key()]
            .into_iter()
            .find(|path| path.exists());
        if let Some(path) = existing {
            return Err(CliError::failed(format!("{} exists already", path.display()))
                .hint("name another directory with --data-dir; nothing was changed"));
        }
        if self.tls {
            self.mint_tls_identity(data_dir)?;
        }
        let root_key = FileRootKey::create(&data_dir.root_key()).map_err(CliError::failed)?;
        let check = Broker::root_key_check(&root_key).await.map_err(CliError::failed)?;
        SqliteStore::create(&data_dir.store(), &realm, &check).await.map_err(CliError::failed)?;
        let audit_key = create_key(&data_dir.audit_key()).map_err(CliError::failed)?;
        print_line(&format!(
            "root key  {} (mode 0600; keep a copy of it elsewhere)",
            data_dir.root_key().display()
        ))?;
        print_line(&format!("store     {}", data_dir.store().display()))?;
        print_line(&format!(
            "audit key {} (mode 0600; signs checkpoints of the audit log)",
            data_dir.audit_key().display()
        ))?;
        print_line(&format!("  verifier key for whoever keeps checkpoints: {}", audit_key.verifier()))?;
        if self.tls {
            print_line(&format!("CA        {} (give this to clients)", data_dir.tls_ca().display()))?;
            print_line(&format!("server    {}", data_dir.tls_certificate().display()))?;
        }
        Ok(())
    }

    fn mint_tls_identity(&self, data_dir: &DataDir) -> Result<(), CliError> {
        let default_names = DEFAULT_NAMES.map(str::to_owned);
        let names = if self.tls_name.is_empty() { &default_names[..] } else { &self.tls_name[..] };
        let identity = mint(names, UnixTime::now()).map_err(CliError::usage)?;
        make_private_directory(&data_dir.tls())?;
        // The CA's own key is not kept: nobody can mint another certificate that the clients would take.
        let files = [
            (data_dir.tls_ca(), identity.ca_certificate_pem.as_str()),
            (data_dir.tls_certificate(), identity.server_certificate_pem.as_str()),
            (data_dir.tls_key(), identity.server_key_pem.as_str()),
        ];
        for (path, content) in files {
            crate::root_key::write_private_file(&path, content.as_bytes())
                .map_err(|error| CliError::failed(format!("{}: {error}", path.display())))?;
        }
        Ok(())
    }
}

fn make_private_directory(path: &Path) -> Result<(), CliError> {
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => {
            Err(CliError::failed(format!("{}: {error}", path.display())))
        }
        _ => Ok(()),
    }
}
