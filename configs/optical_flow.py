r"""Optical flow between two frames (Perceiver IO, section 4.2, tables 3 and 16).

    python -m experiments.train --config=configs/optical_flow.py --workdir=/tmp/flow
    python -m experiments.train --config=configs/optical_flow.py:autoflow \
        --workdir=DIR --config.data.dir=DATASETS

| variant | what | parameters | end-point error in the paper |
| --- | --- | --- | --- |
| autoflow | the paper's recipe, the released model | 41,057,134 | 1.81, 2.42, 4.98 |
| separate_frames | an input is a pixel of one frame | 41,720,272 | 1.78, 2.70, 6.19 |
| light | a quarter of the size, 16 layers | 27,970,910 | 2.06, 2.67, 6.12 |
| chairs_things | FlyingChairs, then FlyingThings3D | 41,057,134 | |
| synthetic | rendered pairs, for one GPU | 41,057,134 | |
| tiny_synthetic | rendered pairs, for 2 CPU cores | 397,598 | |

Errors are of Sintel clean, Sintel final and KITTI 2015, each on its training set.
The paper trains on 400,000 pairs of AutoFlow, of which 40,000 were released; it does
not say on what hardware. Nothing of this size was trained here. `tiny_synthetic` came
to 0.47 pixels on held-out rendered pairs, where no motion has 1.16, and to 0.32 on
photos moved by homographies (1.10), in 11 minutes on 2 CPU cores
(benchmarks/results/flow_cpu.md).

Data: each dataset unpacked, or linked, in data.dir as AutoFlow, FlyingChairs_release,
FlyingThings3D, Sintel, KITTI_2012, KITTI_2015 or HD1K. Pairs of your own lie in
data.dir/train and data.dir/test: NAME_img1.png, NAME_img2.png and NAME_flow.flo.
max_resolution follows image_size; a quarter of it with a convolution.

    python -m experiments.train --config=configs/optical_flow.py:light --workdir=DIR \
        --config.data.dir=PAIRS --config.data.train=pairs_train \
        --config.data.held_out=pairs_test --config.batch_size=16 \
        --config.eval_batch_size=4 --config.model.image_size="(240,320)" \
        --config.model.max_resolution="(60,80)"
"""

from ml_collections import config_dict

from configs import base


def get_config(variant: str = "tiny_synthetic") -> config_dict.ConfigDict:
    """Returns a variant of the table above."""
    if variant not in VARIANTS:
        raise ValueError(
            f"Variant '{variant}' is unknown; configs/optical_flow.py has "
            f"{', '.join(VARIANTS)}."
        )
    config = base.get_config()
    config.task = "optical_flow"
    config.batch_size = 512
    config.eval_batch_size = 64
    config.steps = 375_000  # 480 epochs of 400,000 pairs
    config.eval_every = 10_000
    config.log_every = 500
    config.checkpoint_every = 2_500

    config.optimizer.learning_rate = 4e-4
    config.optimizer.schedule = "flat_cosine"
    config.optimizer.flat_fraction = 0.0

    config.data = data = config_dict.ConfigDict()
    data.source = "datasets"  # or "synthetic", noise
    data.dir = ""  # each dataset in a folder of its own: README
    data.train = ("autoflow",)
    data.held_out = ("sintel_clean", "sintel_final", "kitti_2015")
    # Each row: (end, as share of steps; strength of augmentation; whether reversed
    # pairs are included; weights of the datasets).
    data.phases = (
        (0.1, 0.0, True, (1.0,)),
        (0.4, 0.5, False, (1.0,)),
        (1.0, 1.0, False, (1.0,)),
    )
    data.render_size = (448, 576)  # as AutoFlow's
    data.motion = 60.0  # pixels, of camera and of objects; mostly less
    data.objects = (2, 8)  # at least and at most, in a rendered pair
    data.zoom = (0.5, 2.0)  # a photo's pixels for one of a frame
    data.photos = ""  # a folder of photos to render; "": two of scikit-learn
    data.test_photos = ""  # for moved_photos; "": one of Matplotlib
    data.rendered_pairs = 400_000
    data.keep_rendered = False  # in memory, made once
    data.max_corrupt = 100  # pairs of a dataset that training may skip before it stops
    data.num_workers = 0  # processes that read or render; 0: threads only

    config.model = model = base.get_model()
    model.image_size = (368, 496)  # of parts to train on, and of tiles of larger frames
    model.stem = "patches"  # or "conv": a quarter of the size, upsampled at the end
    model.stem_channels = 64
    model.patch_size = 3  # or 1: pixels without their neighbours
    model.concat_frames = True
    model.num_bands = 64
    model.max_resolution = (368, 496)
    model.num_latents = 2048
    model.latent_channels = 512
    model.layers_per_block = 24
    model.num_self_heads = 16
    model.decoder_query_residual = False  # the query is the pixel's own input
    model.remat = True
    VARIANTS[variant](config)
    return config


def _autoflow(config):
    del config  # the defaults


def _separate_frames(config):
    config.model.concat_frames = False
    config.model.max_resolution = (2, 368, 496)


def _light(config):
    config.model.stem = "conv"
    config.model.max_resolution = (92, 124)
    config.model.layers_per_block = 16
    config.model.num_latents = 1024


def _chairs_things(config):
    config.steps = 200_000  # as RAFT
    config.data.train = ("chairs", "things_clean", "things_final")
    config.data.phases = (
        (0.1, 0.0, True, (1.0, 0.0, 0.0)),
        (0.5, 1.0, False, (1.0, 0.0, 0.0)),
        (1.0, 1.0, False, (0.0, 1.0, 1.0)),
    )


def _synthetic(config):
    config.batch_size = 32
    config.eval_batch_size = 8
    config.accumulate = 8
    config.steps = 100_000
    config.eval_every = 2500
    config.checkpoint_every = 500
    config.log_every = 50
    config.optimizer.name = "adamw"  # LAMB is for large batches
    config.optimizer.learning_rate = 2e-4
    config.optimizer.schedule = "warmup_cosine"
    config.optimizer.warmup_steps = 500
    config.optimizer.clip_norm = 1.0
    config.data.train = ("rendered",)
    config.data.held_out = ("rendered_test", "moved_photos")
    config.data.num_workers = 8  # a core renders 6 pairs a second, and augments 40


def _tiny_synthetic(config):
    config.batch_size = 16
    config.eval_batch_size = 50
    config.steps = 8000
    config.log_every = 200
    config.eval_every = 2000
    config.checkpoint_every = 1000
    config.precision = "params=float32,compute=float32,output=float32"  # CPUs

    config.optimizer.name = "adamw"  # LAMB is for large batches
    config.optimizer.learning_rate = 1e-3
    config.optimizer.schedule = "warmup_cosine"
    config.optimizer.warmup_steps = 100
    config.optimizer.b2 = 0.98
    config.optimizer.clip_norm = 1.0

    config.data.train = ("rendered",)
    config.data.held_out = ("rendered_test", "moved_photos")
    config.data.phases = ((0.5, 0.0, True, (1.0,)), (1.0, 0.3, False, (1.0,)))
    config.data.render_size = (64, 64)
    config.data.motion = 5.0
    config.data.objects = (0, 2)
    config.data.zoom = (2.0, 5.0)
    config.data.rendered_pairs = 5000
    config.data.keep_rendered = True

    config.model.image_size = (48, 48)
    config.model.stem = "conv"
    config.model.num_bands = 8
    config.model.max_resolution = (12, 12)
    config.model.num_latents = 64
    config.model.latent_channels = 128
    config.model.layers_per_block = 2
    config.model.num_self_heads = 4
    config.model.remat = False


VARIANTS = {
    "autoflow": _autoflow,
    "separate_frames": _separate_frames,
    "light": _light,
    "chairs_things": _chairs_things,
    "synthetic": _synthetic,
    "tiny_synthetic": _tiny_synthetic,
}


def sweep() -> list[dict[str, object]]:
    """Ablations (Perceiver IO, table 16, its rows in order), from `autoflow`."""
    pixels, cells = (368, 496), (92, 124)
    apart = {"model.concat_frames": False}
    coarse = {"model.stem": "conv"}
    return [
        {"model.patch_size": 3},
        {"model.patch_size": 3, "model.max_resolution": (2, *pixels), **apart},
        {"model.patch_size": 1},
        {"model.patch_size": 1, "model.max_resolution": (2, *pixels), **apart},
        {"model.max_resolution": cells, **coarse},
        {"model.max_resolution": (2, *cells), **coarse, **apart},
        {
            "model.max_resolution": cells,
            "model.layers_per_block": 16,
            "model.num_latents": 1024,
            **coarse,
        },
    ]
