"""Files of optical flow: Middlebury's .flo, .pfm, and KITTI's 16-bit .png.

Flow is [H, W, 2] float32 in pixels, x then y, and comes with `valid` [H, W] bool: where
it is known. What is written is read again to the bit; KITTI's format has steps of 1/64
pixel.
"""

import pathlib

import numpy as np

from perceiver_jax import extras
from perceiver_jax.data.sources import CorruptExample

cv2 = extras.Library("cv2", extra="flow")

_MAGIC = np.float32(202021.25)  # first number of every .flo file
_MAX_SIDE = 100_000  # of a frame that a .flo file may claim
_UNKNOWN = 1e9  # larger numbers in a .flo file mean that flow is not known
_KITTI_ZERO, _KITTI_STEPS = 2**15, 64  # of a .png: its 0, and its steps in a pixel


def read_flow(path: pathlib.Path) -> tuple[np.ndarray, np.ndarray]:
    """Reads a flow file of any of the three formats, told by its suffix.

    Returns:
      flow [H, W, 2] float32, and valid [H, W] bool. Where it is not valid, flow of a
      .png is 0, and that of others is what the file holds. It may be NaN anywhere.

    Raises:
      FileNotFoundError: there is no such file.
      CorruptExample: it is damaged, truncated, or in another format than its suffix
        says.
      ValueError: its suffix is none of SUFFIXES.
    """
    return _format_of(path)[0](path)


def write_flow(
    path: pathlib.Path, flow: np.ndarray, valid: np.ndarray | None = None
) -> None:
    """Writes flow [H, W, 2] as a file of the format that its suffix says.

    Args:
      path: .flo, .pfm or .png.
      flow: in pixels. A .png holds -512 to 511.98.
      valid: [H, W]; everywhere by default. A .pfm has no way to say it.

    Raises:
      ValueError: an unknown suffix; flow or `valid` that the format can't hold.
    """
    if flow.ndim != 3 or flow.shape[-1] != 2:
        raise ValueError(f"{path}: flow is [H, W, 2], got {list(flow.shape)}.")
    if valid is None:
        valid = np.ones(flow.shape[:2], bool)
    _format_of(path)[1](path, flow, valid)


def _read_flo(path):
    data = path.read_bytes()
    if len(data) < 12 or np.frombuffer(data, "<f4", 1)[0] != _MAGIC:
        raise CorruptExample(
            f"{path} is no .flo file: its first bytes are {data[:4]!r}."
        )
    width, height = (int(n) for n in np.frombuffer(data, "<i4", 2, 4))
    sane = 0 < width < _MAX_SIDE and 0 < height < _MAX_SIDE
    if not sane or len(data) != 12 + 8 * width * height:
        raise CorruptExample(
            f"{path} says {height}x{width} pixels and has {len(data)} bytes: it is "
            "damaged or truncated."
        )
    flow = np.frombuffer(data, "<f4", offset=12).reshape(height, width, 2).copy()
    return flow, ~(np.abs(flow) > _UNKNOWN).any(-1)  # NaN is no word for unknown


def _write_flo(path, flow, valid):
    height, width, _ = flow.shape
    flow = np.where(valid[..., None], flow, 10 * _UNKNOWN)
    with path.open("wb") as file:
        file.write(_MAGIC.astype("<f4").tobytes())
        file.write(np.array([width, height], "<i4").tobytes())
        file.write(flow.astype("<f4").tobytes())


def _read_pfm(path):
    pixels = _decode(path)
    if pixels.dtype != np.float32 or pixels.ndim != 3:
        raise CorruptExample(f"{path} is no .pfm file of three channels, as flow has.")
    return np.ascontiguousarray(pixels[..., :0:-1]), np.ones(pixels.shape[:2], bool)


def _write_pfm(path, flow, valid):
    if not valid.all():
        raise ValueError(f"{path}: a .pfm file can't tell where flow is not valid.")
    # OpenCV has channels in the order blue, green, red.
    _encode(path, np.dstack([np.zeros_like(flow[..., 0]), flow[..., ::-1]]), np.float32)


def _read_kitti(path):
    pixels = _decode(path)
    if pixels.dtype != np.uint16 or pixels.shape[2:] != (3,):
        raise CorruptExample(
            f"{path} is {pixels.dtype} {list(pixels.shape)}, but KITTI's flow is a "
            "16-bit .png of three channels: was it saved anew by another program?"
        )
    valid = pixels[..., 0] > 0
    steps = pixels[..., :0:-1].astype(np.float32) - _KITTI_ZERO
    return np.where(valid[..., None], steps / _KITTI_STEPS, np.float32(0)), valid


def _write_kitti(path, flow, valid):
    steps = np.rint(np.where(valid[..., None], flow, 0) * _KITTI_STEPS) + _KITTI_ZERO
    if not ((steps >= 0) & (steps < 2**16)).all():
        raise ValueError(
            f"{path}: KITTI's format holds -512 to 511.98 pixels, but flow reaches "
            f"from {flow[valid].min()} to {flow[valid].max()}."
        )
    _encode(path, np.dstack([valid, steps[..., ::-1]]), np.uint16)


def _decode(path):
    data = np.frombuffer(path.read_bytes(), np.uint8)
    damaged = CorruptExample(f"{path} is damaged, truncated or no {path.suffix} file.")
    try:
        pixels = cv2.imdecode(data, cv2.IMREAD_UNCHANGED) if data.size else None
    except cv2.error as error:  # such as a size below 0, or beyond all bounds
        raise damaged from error
    if pixels is None:
        raise damaged
    return pixels


def _encode(path, pixels, dtype):
    _, data = cv2.imencode(path.suffix, np.ascontiguousarray(pixels, dtype))
    path.write_bytes(data.tobytes())


_FORMATS = {
    ".flo": (_read_flo, _write_flo),
    ".pfm": (_read_pfm, _write_pfm),
    ".png": (_read_kitti, _write_kitti),
}


SUFFIXES = tuple(_FORMATS)


def _format_of(path):
    if path.suffix.lower() not in _FORMATS:
        raise ValueError(f"{path} is no flow file: use {', '.join(SUFFIXES)}.")
    return _FORMATS[path.suffix.lower()]
