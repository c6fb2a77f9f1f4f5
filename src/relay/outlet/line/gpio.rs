//! A line of a GPIO chip, as an output.

use super::Output;
use crate::pin::{CONSUMER, HardwareError};
use std::path::{Path, PathBuf};

pub(super) struct GpioLine {
    request: gpiocdev::Request,
    path: PathBuf,
}

impl GpioLine {
    pub(super) fn open(path: &Path, offset: u32, active_low: bool) -> Result<Self, HardwareError> {
        let mut builder = gpiocdev::Request::builder();
        builder.on_chip(path).with_consumer(CONSUMER).with_line(offset);
        if active_low {
            builder.as_active_low();
        }
        let request = builder.as_output(gpiocdev::line::Value::Inactive).request();
        request.map(|request| Self { request, path: path.into() }).map_err(HardwareError::gpio(path))
    }
}

impl Output for GpioLine {
    fn set(&mut self, active: bool) -> Result<(), HardwareError> {
        let value = if active { gpiocdev::line::Value::Active } else { gpiocdev::line::Value::Inactive };
        self.request.set_lone_value(value).map_err(HardwareError::gpio(&self.path))
    }
}
