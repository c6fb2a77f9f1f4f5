//! The structures of `drm/drm.h` and `drm/drm_mode.h` that a picture needs, and their requests.

/// `struct drm_get_cap`.
#[repr(C)]
#[derive(Default)]
pub(super) struct Capability {
    pub(super) capability: u64,
    pub(super) value: u64,
}

/// `struct drm_mode_card_res`.
#[repr(C)]
#[derive(Default)]
pub(super) struct Resources {
    pub(super) framebuffers: u64,
    pub(super) crtcs: u64,
    pub(super) connectors: u64,
    pub(super) encoders: u64,
    pub(super) count_framebuffers: u32,
    pub(super) count_crtcs: u32,
    pub(super) count_connectors: u32,
    pub(super) count_encoders: u32,
    pub(super) _sizes: [u32; 4],
}

/// `struct drm_mode_modeinfo`.
#[repr(C)]
#[derive(Default, Clone, Copy)]
pub(super) struct Mode {
    pub(super) _clock: u32,
    pub(super) width: u16,
    pub(super) _horizontal: [u16; 4],
    pub(super) height: u16,
    pub(super) _vertical: [u16; 4],
    pub(super) _refresh: u32,
    pub(super) _flags: u32,
    pub(super) kind: u32,
    pub(super) _name: [u8; 32],
}

/// `struct drm_mode_crtc`.
#[repr(C)]
#[derive(Default, Clone, Copy)]
pub(super) struct Crtc {
    pub(super) connectors: u64,
    pub(super) count_connectors: u32,
    pub(super) id: u32,
    pub(super) framebuffer: u32,
    pub(super) x: u32,
    pub(super) y: u32,
    pub(super) gamma_size: u32,
    pub(super) mode_valid: u32,
    pub(super) mode: Mode,
}

/// `struct drm_mode_get_encoder`.
#[repr(C)]
#[derive(Default)]
pub(super) struct Encoder {
    pub(super) id: u32,
    pub(super) _kind: u32,
    pub(super) crtc: u32,
    pub(super) possible_crtcs: u32,
    pub(super) _possible_clones: u32,
}

/// `struct drm_mode_get_connector`.
#[repr(C)]
#[derive(Default)]
pub(super) struct Connector {
    pub(super) encoders: u64,
    pub(super) modes: u64,
    pub(super) _properties: [u64; 2],
    pub(super) count_modes: u32,
    pub(super) _count_properties: u32,
    pub(super) count_encoders: u32,
    pub(super) encoder: u32,
    pub(super) id: u32,
    pub(super) _kind: [u32; 2],
    pub(super) connection: u32,
    pub(super) _rest: [u32; 4],
}

/// `struct drm_mode_fb_cmd`.
#[repr(C)]
#[derive(Default)]
pub(super) struct Framebuffer {
    pub(super) id: u32,
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) pitch: u32,
    pub(super) bits: u32,
    pub(super) depth: u32,
    pub(super) handle: u32,
}

/// `struct drm_mode_crtc_page_flip`.
#[repr(C)]
#[derive(Default)]
pub(super) struct PageFlip {
    pub(super) crtc: u32,
    pub(super) framebuffer: u32,
    pub(super) flags: u32,
    pub(super) _reserved: u32,
    pub(super) _user_data: u64,
}

/// `struct drm_mode_fb_dirty_cmd`.
#[repr(C)]
#[derive(Default)]
pub(super) struct Dirty {
    pub(super) framebuffer: u32,
    pub(super) _flags: u32,
    pub(super) _colour: u32,
    pub(super) count: u32,
    pub(super) areas: u64,
}

/// `struct drm_clip_rect`.
#[repr(C)]
pub(super) struct Area {
    pub(super) x1: u16,
    pub(super) y1: u16,
    pub(super) x2: u16,
    pub(super) y2: u16,
}

/// `struct drm_mode_create_dumb`.
#[repr(C)]
#[derive(Default)]
pub(super) struct CreateDumb {
    pub(super) height: u32,
    pub(super) width: u32,
    pub(super) bits: u32,
    pub(super) _flags: u32,
    pub(super) handle: u32,
    pub(super) pitch: u32,
    pub(super) size: u64,
}

/// `struct drm_mode_map_dumb`.
#[repr(C)]
#[derive(Default)]
pub(super) struct MapDumb {
    pub(super) handle: u32,
    pub(super) _pad: u32,
    pub(super) offset: u64,
}

pub(super) const GET_CAP: u32 = both::<Capability>(0x0c);
pub(super) const SET_MASTER: u32 = 0x641e;
pub(super) const GET_RESOURCES: u32 = both::<Resources>(0xa0);
pub(super) const GET_CRTC: u32 = both::<Crtc>(0xa1);
pub(super) const SET_CRTC: u32 = both::<Crtc>(0xa2);
pub(super) const GET_ENCODER: u32 = both::<Encoder>(0xa6);
pub(super) const GET_CONNECTOR: u32 = both::<Connector>(0xa7);
pub(super) const ADD_FRAMEBUFFER: u32 = both::<Framebuffer>(0xae);
pub(super) const REMOVE_FRAMEBUFFER: u32 = both::<u32>(0xaf);
pub(super) const PAGE_FLIP: u32 = both::<PageFlip>(0xb0);
pub(super) const DIRTY: u32 = both::<Dirty>(0xb1);
pub(super) const CREATE_DUMB: u32 = both::<CreateDumb>(0xb2);
pub(super) const MAP_DUMB: u32 = both::<MapDumb>(0xb3);
pub(super) const DESTROY_DUMB: u32 = both::<u32>(0xb4);

pub(super) const CAP_DUMB_BUFFER: u64 = 1;
pub(super) const CAP_DUMB_PREFERRED_DEPTH: u64 = 3;
pub(super) const CONNECTED: u32 = 1;
pub(super) const DISCONNECTED: u32 = 2;
pub(super) const MODE_PREFERRED: u32 = 1 << 3;
pub(super) const PAGE_FLIP_EVENT: u32 = 1;

/// `DRM_IOWR`: the direction, the size of what is asked about, the type `d`, the number.
const fn both<T>(number: u32) -> u32 {
    3 << 30 | (size_of::<T>() as u32) << 16 | 0x64 << 8 | number
}

const _: () = {
    assert!(GET_CAP == 0xc010_640c && GET_RESOURCES == 0xc040_64a0 && GET_CRTC == 0xc068_64a1 && SET_CRTC == 0xc068_64a2);
    assert!(GET_ENCODER == 0xc014_64a6 && GET_CONNECTOR == 0xc050_64a7 && ADD_FRAMEBUFFER == 0xc01c_64ae);
    assert!(REMOVE_FRAMEBUFFER == 0xc004_64af && PAGE_FLIP == 0xc018_64b0 && DIRTY == 0xc018_64b1);
    assert!(CREATE_DUMB == 0xc020_64b2 && MAP_DUMB == 0xc010_64b3 && DESTROY_DUMB == 0xc004_64b4);
    assert!(size_of::<Mode>() == 68, "as in drm/drm_mode.h");
};
