r"""Video, sound and a label through one latent array (Perceiver IO, section 4.3).

    python -m experiments.train --config=configs/video_autoencoding.py --workdir=/tmp/av
    python -m experiments.train --config=configs/video_autoencoding.py:kinetics \
        --workdir=DIR --config.data.dir=KINETICS

| variant | what | parameters | in the paper |
| --- | --- | --- | --- |
| kinetics | 784 latents (88x), the released model | 19,858,855 | 26.97, 24.37, 10.2 |
| kinetics_176 | 392 latents | 19,658,151 | 25.33, 24.27, 8.6 |
| kinetics_352 | 196 latents | 19,557,799 | 14.15, 23.21, 11.5 |
| kinetics_classes | 784 latents, more weight on the label | 19,858,855 | -, 20.7, 45 |
| shapes | rendered clips, for 2 CPU cores | | |

The paper's numbers are PSNR of sound and of video, in decibels, and top-1 in percent.

The paper trains on Kinetics-700-2020 and tells neither optimizer, nor duration, nor
hardware; nothing of that size was trained here. Clips have 16 frames at 25 a second and
1,920 samples of sound a frame. Pixels are from 0 to 1 and sound from -1 to 1, as in the
released model; PSNR takes 1 for the peak of both.
"""

from ml_collections import config_dict

from configs import base


def get_config(variant: str = "shapes") -> config_dict.ConfigDict:
    """Returns a variant of the table above."""
    if variant not in VARIANTS:
        raise ValueError(
            f"Variant '{variant}' is unknown; configs/video_autoencoding.py has "
            f"{', '.join(VARIANTS)}."
        )
    config = base.get_config()
    config.task = "video_autoencoding"
    config.batch_size = 1024
    config.eval_batch_size = 64
    config.steps = 500_000  # ours: the paper does not say
    config.eval_every = 10_000
    config.log_every = 500
    config.checkpoint_every = 2_500

    config.optimizer.learning_rate = 1e-3

    config.data = data = config_dict.ConfigDict()
    data.source = "kinetics"  # or "folder", "rendered": README
    data.dir = ""
    data.train = "train"  # lists of data.dir: NAME.csv
    data.held_out = "validate"
    data.frames_per_second = 25
    data.num_classes = 700
    data.label_hidden = 0.5  # how often in training; in evaluation always
    data.points = config_dict.ConfigDict()  # decoded of a clip in training; 0: all
    data.points.audio = 512  # patches of sound
    data.points.video = 512  # pixels
    data.loss = "l1"  # or "l2": of sound and video
    data.loss_weights = config_dict.ConfigDict()
    data.loss_weights.audio = 1.0
    data.loss_weights.video = 0.03
    data.loss_weights.label = 1e-4  # of the cross-entropy
    data.rendered_clips = 0
    data.pad = False  # take files shorter than a clip, what is missing not attended to
    data.max_corrupt = 100  # clips that training may skip before it stops
    data.num_workers = 0  # processes that read; 0: threads only

    config.model = model = base.get_model()
    model.num_frames = 16  # of a clip
    model.image_size = (224, 224)
    model.samples_per_frame = 1920
    model.audio_patch = 16
    model.video_patch = (1, 4, 4)
    model.audio_bands = 192  # released; the paper says 64 everywhere
    model.video_bands = 32
    model.video_max_resolution = (56, 56)  # of a frame; a cell is a patch, as released
    model.code_channels = 0  # values of each latent for the decoder; 0: all, released
    model.label_query_channels = 1024
    model.decoder_channels = 512  # of what each modality's own output is made of
    model.num_latents = 784
    model.latent_channels = 512
    model.layers_per_block = 8
    model.num_self_heads = 8
    model.decoder_query_residual = False
    VARIANTS[variant](config)
    return config


def _kinetics(config):
    del config  # the defaults


def _kinetics_176(config):
    config.model.num_latents = 392


def _kinetics_352(config):
    config.model.num_latents = 196


def _kinetics_classes(config):
    config.data.loss_weights.label = 1.0


def _shapes(config):
    config.batch_size = 16
    config.eval_batch_size = 48
    config.steps = 6000
    config.log_every = 100
    config.eval_every = 2000
    config.checkpoint_every = 500
    config.precision = "params=float32,compute=float32,output=float32"  # CPUs

    config.optimizer.name = "adamw"  # LAMB is for large batches
    config.optimizer.learning_rate = 2e-3
    config.optimizer.schedule = "warmup_cosine"
    config.optimizer.warmup_steps = 100
    config.optimizer.b2 = 0.98
    config.optimizer.clip_norm = 1.0

    config.data.source = "rendered"
    config.data.num_classes = 9
    config.data.points.audio = 32
    config.data.points.video = 512
    config.data.loss = "l2"  # "l1" long sees the ground only, most of the pixels
    config.data.loss_weights.video = 1.0
    config.data.loss_weights.label = 0.005
    config.data.rendered_clips = 20_000

    config.model.num_frames = 8
    config.model.image_size = (24, 24)
    config.model.samples_per_frame = 64
    config.model.video_patch = (2, 8, 8)
    config.model.audio_bands = 16
    config.model.video_bands = 8
    config.model.video_max_resolution = (24, 24)
    config.model.label_query_channels = 64
    config.model.decoder_channels = 64
    config.model.code_channels = 4  # 256 values a clip: PCA beside it takes as many
    config.model.num_latents = 64
    config.model.latent_channels = 96
    config.model.latent_init_scale = 1.0  # alike at first, they are slow to part
    config.model.layers_per_block = 2
    config.model.num_self_heads = 4
    config.model.num_cross_heads = 4
    config.model.num_decoder_heads = 4
    config.model.decoder_widening = 2
    config.model.decoder_query_residual = True
    config.model.qk_channels = 96
    config.model.v_channels = 96


VARIANTS = {
    "kinetics": _kinetics,
    "kinetics_176": _kinetics_176,
    "kinetics_352": _kinetics_352,
    "kinetics_classes": _kinetics_classes,
    "shapes": _shapes,
}


def sweep() -> list[dict[str, object]]:
    """Compression (Perceiver IO, table 4, its rows in order), from `kinetics`."""
    return [{"model.num_latents": number} for number in (784, 392, 196)]
