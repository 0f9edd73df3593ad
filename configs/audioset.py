r"""AudioSet: what sounds in a video clip (Perceiver, table 3; Perceiver IO, table 10).

    python -m experiments.train --config=configs/audioset.py --workdir=/tmp/audioset
    python -m experiments.train --config=configs/audioset.py:io_mel_video \
        --workdir=DIR --config.data.dir=AUDIOSET

| variant | what | mAP in the paper |
| --- | --- | --- |
| perceiver_audio, perceiver_mel, perceiver_video | 2021, one sense | 38.3, 38.4, 25.8 |
| perceiver_audio_video, perceiver_mel_video | 2021, both | 43.5, 43.2 |
| perceiver_mel_video_tuned | 2021, after the camera-ready version | 44.2 |
| small_audio_video, small_mel_video | "Perceiver" of 2022's table 10 | 42.4, 43.6 |
| io_audio_video, io_mel_video | Perceiver IO | 43.3, 44.9 |
| shapes | rendered clips, for 2 CPU cores: README | |

Papers: 100 epochs of 32 frames at 25 a second, with sound at 48 kHz; 16 overlapping
clips of each ten seconds are averaged. Batch size and optimizer are not told: here they
are those of ImageNet of the same year. Nothing of this size was trained here.
"""

from ml_collections import config_dict

from configs import base


def get_config(variant: str = "shapes") -> config_dict.ConfigDict:
    """Returns a variant of the table above."""
    if variant not in VARIANTS:
        raise ValueError(
            f"Variant '{variant}' is unknown; configs/audioset.py has "
            f"{', '.join(VARIANTS)}."
        )
    config = base.get_config()
    config.task = "audioset"
    config.eval_batch_size = 256
    config.epochs = 100.0
    config.eval_every = 20_000  # 16 clips of each of 20,000 files take long
    config.log_every = 500

    config.optimizer.reference_batch_size = 1024
    config.optimizer.weight_decay = 0.1
    config.optimizer.clip_norm = 10.0
    config.data = _data()
    config.model = _model()
    _io(config)
    VARIANTS[variant](config)
    return config


def _data():
    data = config_dict.ConfigDict()
    data.source = "audioset"  # or "folder", "rendered": README
    data.dir = ""
    data.classes = "class_labels_indices"  # of "audioset": data.dir/NAME.csv
    data.train = ("balanced_train_segments", "unbalanced_train_segments")  # likewise
    data.held_out = "eval_segments"
    data.whole_videos = False  # files named by YTID alone hold more than their segment
    data.num_classes = 527
    data.frames_per_second = 25
    data.eval_clips = 16  # of each file, evenly spaced; probabilities are averaged
    data.read_side = 256  # shorter side of frames, before a part of them is taken
    data.crop_area = (0.08, 1.0)  # share of the frame, Inception crop
    data.flip = True
    data.color = 0.4  # largest change of brightness, contrast, saturation; hue: 1/4
    data.dropout = config_dict.ConfigDict()  # how often a sense is left out in training
    data.dropout.audio = 0.0
    data.dropout.mel = 0.0
    data.dropout.video = 0.3
    data.mel_masks = 2  # SpecAugment: stretches of time that are covered, and of pitch
    data.mel_mask_longest = (0.2, 0.3)  # as shares of both; not in the paper
    data.rendered_clips = 0
    data.pad = False  # take files shorter than a clip, what is missing not attended to
    data.max_corrupt = 1000  # files that training may skip before it stops
    data.num_workers = 16  # processes that read; 0: threads only
    return data


def _model():
    model = base.get_model()
    model.inputs = ("audio", "video")  # any of "audio", "mel", "video"
    model.num_frames = 32  # of a clip
    model.image_size = (224, 224)
    model.samples_per_frame = 1920
    model.video_patch = (2, 8, 8)
    model.audio_patch = 128  # samples
    model.mel_windows = 60
    model.mel_bins = 80
    model.mel_patch = 1  # values of an element: 4,800 of them; mel_bins: whole windows
    model.video_bands = 16  # as 487 input channels say: 2*8*8*3 + 3*(2*16+1) + 4
    model.audio_bands = 64
    model.mel_bands = 64
    model.num_latents = 512
    model.latent_channels = 512
    model.layers_per_block = 12
    model.head = "query"  # or "mean", the head of 2021
    model.query_channels = 1024
    model.remat = True
    return model


def _io(config):
    """The optimizer of Perceiver IO's ImageNet."""
    config.optimizer.learning_rate = 2e-3
    config.optimizer.schedule = "flat_cosine"


def _2021(config):
    config.optimizer.learning_rate = 4e-3
    config.optimizer.schedule = "step_decay"
    config.model.latent_channels = 1024
    config.model.num_cross_attends = 2
    config.model.num_blocks = 2
    config.model.layers_per_block = 8
    config.model.share_weights = False
    config.model.head = "mean"


def _perceiver_audio(config):
    _2021(config)
    config.model.inputs = ("audio",)


def _perceiver_mel(config):
    _2021(config)
    config.model.inputs = ("mel",)


def _perceiver_video(config):
    _2021(config)
    config.model.inputs = ("video",)


def _perceiver_audio_video(config):
    _2021(config)


def _perceiver_mel_video(config):
    _2021(config)
    config.model.inputs = ("mel", "video")


def _perceiver_mel_video_tuned(config):
    _perceiver_mel_video(config)
    config.data.mel_masks = 0
    config.data.dropout.mel = 0.1


def _small_audio_video(config):
    config.model.head = "mean"


def _small_mel_video(config):
    config.model.inputs = ("mel", "video")
    config.model.head = "mean"


def _io_audio_video(config):
    del config  # the defaults


def _io_mel_video(config):
    config.model.inputs = ("mel", "video")
    config.model.latent_channels = 1024


def _shapes(config):
    config.batch_size = 32
    config.eval_batch_size = 48
    config.epochs = 0.0
    config.steps = 1000
    config.log_every = 100
    config.eval_every = 500
    config.checkpoint_every = 500
    config.precision = "params=float32,compute=float32,output=float32"  # CPUs

    config.optimizer.name = "adamw"  # LAMB is for large batches
    config.optimizer.learning_rate = 1e-3
    config.optimizer.reference_batch_size = 0
    config.optimizer.schedule = "warmup_cosine"
    config.optimizer.warmup_steps = 100
    config.optimizer.weight_decay = 0.01
    config.optimizer.b2 = 0.98
    config.optimizer.clip_norm = 1.0

    config.data.source = "rendered"
    config.data.train = ("train",)
    config.data.held_out = "test"
    config.data.num_classes = 6
    config.data.eval_clips = 1
    config.data.read_side = 28
    config.data.crop_area = (1.0, 1.0)  # parts of a shape would not tell which it is
    config.data.color = 0.0
    # Else the sense that is learned first is the only one.
    config.data.dropout.audio = 0.4
    config.data.dropout.mel = 0.4
    config.data.dropout.video = 0.4
    config.data.rendered_clips = 20_000
    config.data.num_workers = 0

    config.model.num_frames = 8
    config.model.image_size = (24, 24)
    config.model.samples_per_frame = 64
    config.model.audio_patch = 16
    config.model.mel_windows = 16
    config.model.mel_bins = 16
    config.model.mel_patch = 16
    config.model.video_bands = 4
    config.model.audio_bands = 16
    config.model.mel_bands = 8
    config.model.num_latents = 32
    config.model.latent_channels = 96
    config.model.latent_init_scale = 0.5  # latents differ from the start
    config.model.layers_per_block = 3
    config.model.num_self_heads = 4
    config.model.head = "mean"  # a query would look at latents of one sense alone
    config.model.remat = False


VARIANTS = {
    "perceiver_audio": _perceiver_audio,
    "perceiver_mel": _perceiver_mel,
    "perceiver_video": _perceiver_video,
    "perceiver_audio_video": _perceiver_audio_video,
    "perceiver_mel_video": _perceiver_mel_video,
    "perceiver_mel_video_tuned": _perceiver_mel_video_tuned,
    "small_audio_video": _small_audio_video,
    "io_audio_video": _io_audio_video,
    "small_mel_video": _small_mel_video,
    "io_mel_video": _io_mel_video,
    "shapes": _shapes,
}


def sweep() -> list[dict[str, object]]:
    """Sound alone, video alone, and both (Perceiver, table 3, its columns)."""
    return [
        {"model.inputs": inputs}
        for inputs in (("audio",), ("video",), ("audio", "video"))
    ]
