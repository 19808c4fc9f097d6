//! Certificates and revocation lists that policies refer to, read with them.

use crate::config::inputs::ReferredFiles;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::policy::compile::CertificateFiles;
use crate::policy::source::PolicySet;
use crate::policy::source::mtls::MtlsSource;

/// Takes every such file of a policy set. One that cannot be read is a mistake of the policy.
pub fn read(set: &PolicySet, files: &ReferredFiles, out: &mut Diagnostics) -> CertificateFiles {
    let mut certificates = CertificateFiles::default();
    for file in set.mtls().flat_map(MtlsSource::files) {
        match files.get(&file.value) {
            Ok(content) => certificates.insert(&file.value, content),
            Err(error) => {
                let message = format!("cannot read {}: {error}", file.value.display());
                out.push(
                    Diagnostic::error("unreadable-file", &file.place, message)
                        .with_help("relative paths start at the directory of the policy file"),
                );
            }
        }
    }
    certificates
}
