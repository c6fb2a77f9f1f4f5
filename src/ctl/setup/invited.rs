//! A machine that has only its code: the merchant's backend gives it all else for it.

use super::answers;
use super::text::{fill, texts};
use crate::print;
use qris_core::order::ids::DeviceId;
use qris_core::wire::enrolment::{Enrolment, TEXT_MAX};
use qris_core::wire::invitation::{Claim, Code, Invitation, InvitationError, PATH};
use qris_core::wire::orders::Problem;
use qris_host::Failure;
use qris_host::causes;
use qris_host::http::{Limits, client, read_limited};
use qris_host::interrupt::Input;
use qris_host::setup::ask;
use qris_host::tls::{LastTrusted, TlsError, client_config, install_provider};
use std::io::Read as _;
use std::path::Path;
use std::time::Duration;

/// The backend makes an account at the broker meanwhile, and machines wait for each other.
const WAIT: Duration = Duration::from_secs(60);
const LIMITS: Limits = Limits { total: WAIT, read: WAIT, idle_connections: 0 };

/// Reads what was said to be the code: the code itself, a file, or standard input (`-`). A bare code needs the rest beside it.
/// The error does not repeat the code.
pub(super) fn read(from: &str, device: Option<&DeviceId>, backend: Option<&str>) -> Result<Invitation, Failure> {
    let text = match from {
        "-" => {
            let mut text = String::new();
            let read = Input::open().and_then(|input| input.take(TEXT_MAX as u64).read_to_string(&mut text));
            read.map_err(|why| Failure::usage(ask::no_input(&why)))?;
            text
        }
        path if Path::new(path).is_file() => answers::file(Path::new(path))?,
        text => text.to_owned(),
    };
    let told = |why: String| Failure::usage(format!("--code: {why}"));
    if text.contains('#') {
        let invitation: Invitation = text.parse().map_err(|why| told(no_invitation(&why)))?;
        return match device {
            Some(said) if *said != invitation.claim.device => Err(told(fill(texts().code_other, &[&invitation.claim.device, said]))),
            _ => Ok(Invitation { url: backend.map_or(invitation.url, Into::into), ..invitation }),
        };
    }
    let code: Code = text.parse().map_err(|_| told(texts().code_form.into()))?;
    match (device, backend) {
        (Some(device), Some(url)) => Ok(Invitation { url: url.into(), claim: Claim { device: device.clone(), code } }),
        (_, _) => Err(told(texts().code_alone.into())),
    }
}

pub(super) fn no_invitation(why: &InvitationError) -> String {
    match why {
        InvitationError::Code(_) => texts().code_form.into(),
        InvitationError::Other => texts().no_invitation.into(),
    }
}

pub(super) fn no_authority(why: &TlsError) -> String {
    match why {
        TlsError::NoCertificate { path } => fill(texts().no_certificate, &[&path.display()]),
        TlsError::Roots { path, why } => fill(texts().no_roots, &[&path.display(), why]),
        // What the reader of the file says.
        TlsError::Read { .. } | TlsError::File { .. } | TlsError::Client { .. } | TlsError::Provider(_) => why.to_string(),
    }
}

/// Uses the code. It stays good until this machine has sold, or shown its relay's key.
pub(super) async fn claim(invitation: &Invitation, ca_file: Option<&Path>) -> Result<Enrolment, Failure> {
    install_provider();
    let url = ask::http(&invitation.url).map_err(|why| Failure::usage(fill(texts().backend_address, &[&why])))?;
    let tls = match url.starts_with("https://") {
        true => Some(client_config(ca_file, None, &LastTrusted::default()).map_err(|why| Failure::usage(no_authority(&why)))?),
        false => None,
    };
    let client = client(tls.as_deref(), LIMITS).map_err(Failure::failed)?;
    let unreached = |why: &dyn std::error::Error| Failure::failed(fill(texts().unreached, &[&url, &causes::last(why)]));
    let response = client.post(format!("{url}{PATH}")).json(&invitation.claim).send().await.map_err(|why| unreached(&why))?;
    let status = response.status();
    let body = read_limited(response, TEXT_MAX).await.map_err(|why| unreached(&why))?;
    if status.is_success() {
        let enrolment: Enrolment = serde_json::from_slice(&body).map_err(|_| Failure::failed(fill(texts().answers_strangely, &[&url])))?;
        if enrolment.device != invitation.claim.device {
            return Err(Failure::failed(fill(texts().answers_for_other, &[&url, &enrolment.device])));
        }
        enrolment.key_set().map_err(|why| Failure::failed(fill(texts().answers_bad_keys, &[&url, &why])))?;
        print::remark(&fill(texts().new_token, &[&enrolment.device]));
        return Ok(enrolment);
    }
    let detail = serde_json::from_slice::<Problem>(&body).ok().and_then(|problem| problem.detail);
    let why = match (status.as_u16(), detail) {
        (404, _) => texts().no_codes.into(),
        (403, Some(detail)) => fill(texts().code_refused, &[&print::plain(&detail)]),
        (503, Some(detail)) => fill(texts().backend_busy, &[&print::plain(&detail)]),
        (_, Some(detail)) => print::plain(&detail),
        (status, None) => fill(texts().answers_status, &[&status]),
    };
    Err(Failure::failed(fill(texts().not_let_in, &[&url, &invitation.claim.device, &why])))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Another one than in the errors.
    const CODE: &str = "3WZZ-9MKP-V4TD-0RHE-6ZNA";

    #[test]
    fn a_code_comes_whole_or_with_the_rest_beside_it() {
        let device = DeviceId::new("vm-003").expect("an id");
        let whole = format!("https://pay.example#vm-003.{CODE}");
        let told = |from: &str, device: Option<&DeviceId>, backend: Option<&str>| {
            read(from, device, backend).map(|read| read.to_string()).map_err(|failure| failure.lines("t").join(" "))
        };
        assert_eq!(told(&whole, None, None), Ok(whole.clone()));
        assert_eq!(told(CODE, Some(&device), Some("https://pay.example")), Ok(whole.clone()));
        assert_eq!(told(&whole, Some(&device), Some("https://other.example")), Ok(whole.replace("pay", "other")));
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("code");
        std::fs::write(&path, format!("{whole}\n")).expect("written");
        assert_eq!(told(path.to_str().expect("text"), None, None), Ok(whole.clone()));
        let other = DeviceId::new("vm-004").expect("an id");
        for (why, wanted) in [
            (told(&whole, Some(&other), None), "--device names vm-004"),
            (told(CODE, Some(&device), None), "--backend URL"),
            (told(&whole[..40], None, None), "letters and digits"),
            (told("hunter2", None, None), "letters and digits"),
        ] {
            assert!(why.as_ref().is_err_and(|why| why.contains(wanted) && !why.contains("hunter2") && !why.contains("3WZZ")), "{why:?}");
        }
    }
}
