//! The size of fetch requests, changed while the client runs.
//!
//! librdkafka has no call for it, and a new client would be a rebalance. It reads this one setting for every request
//! that it builds, so it is set in the configuration that the running client uses. The test of the memory limit
//! (`tests/limits/run memory`) fails if a later version copies it instead.

use std::ffi::{CString, c_char};

use rdkafka::bindings as rd;
use rdkafka::error::RDKafkaErrorCode;

use super::code::RawError;

const CALL: &str = "set the size of fetches";

/// The handle is a live client's.
pub(super) unsafe fn set_fetch_bytes(handle: *mut rd::rd_kafka_t, bytes: i32) -> Result<(), RawError> {
    let failed = || RawError::new(CALL, RDKafkaErrorCode::InvalidArgument);
    let value = CString::new(bytes.to_string()).map_err(|_| failed())?;
    let mut reason = [0 as c_char; 256];
    // SAFETY: the configuration belongs to the live handle and is no constant; for a whole number the call writes this
    // number and a mark that only it reads. Threads of brokers read the number while they build a request: an aligned
    // int, so the old one or the new one.
    let set = unsafe {
        let conf = rd::rd_kafka_conf(handle).cast_mut();
        rd::rd_kafka_conf_set(conf, c"fetch.max.bytes".as_ptr(), value.as_ptr(), reason.as_mut_ptr(), reason.len())
    };
    match set {
        rd::rd_kafka_conf_res_t::RD_KAFKA_CONF_OK => Ok(()),
        _ => Err(failed()),
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::{CStr, c_char};

    use rdkafka::bindings as rd;
    use rdkafka::config::ClientConfig;

    use super::super::RawConsumer;

    impl RawConsumer {
        fn fetch_bytes(&self) -> String {
            let (mut text, mut bytes) = ([0 as c_char; 32], 32);
            // SAFETY: both out-pointers live through the call, which ends the text with a NUL.
            unsafe {
                let conf = rd::rd_kafka_conf(self.handle);
                rd::rd_kafka_conf_get(conf, c"fetch.max.bytes".as_ptr(), text.as_mut_ptr(), &mut bytes);
                CStr::from_ptr(text.as_ptr()).to_string_lossy().into_owned()
            }
        }
    }

    #[test]
    fn the_running_client_has_the_size() {
        let mut config = ClientConfig::new();
        config.set("group.id", "none").set("bootstrap.servers", "127.0.0.1:1");
        let raw = RawConsumer::new(&config, "ticks", 8).unwrap();
        assert_eq!(raw.fetch_bytes(), raw.fetch_size.bytes().to_string());
        // SAFETY: the handle lives as long as raw.
        unsafe { super::set_fetch_bytes(raw.handle, 1_024) }.unwrap();
        assert_eq!(raw.fetch_bytes(), "1024");
    }
}
