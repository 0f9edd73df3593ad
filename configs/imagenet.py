"""ImageNet-1k classification (Perceiver table 1; Perceiver IO table 7).

    python -m experiments.train --config=configs/imagenet.py:fourier --workdir=DIR

Paper: 64 TPUv3, batch 1,024, 110 epochs = 137,622 steps; at the paper's rates of table
8 that is 8 hours (4.85 steps/s). We have not trained these here: no accelerator.

| variant            | top-1, paper | paper's parameters |
|--------------------|--------------|--------------------|
| fourier            | 79.0         | 48.4M              |
| learned            | 72.7         | 62.3M              |
| conv               | 82.1         | 48.6M              |
| perceiver          | 78.0         | 44.9M              |
| perceiver_unshared | 72.9         | 326.2M             |
| perceiver_learned  | 70.9         |                    |
| b_pretrain         | (JFT)        | 212M               |
| b_finetune         | 84.5         | 212M               |
| b_conv_pretrain    | (JFT)        | 212M               |
| b_conv_finetune    | 86.4         | 212M               |

Data, once, from the two archives of ILSVRC2012 in TARS:
    python -m scripts.prepare_tfds --name=imagenet2012 --data_dir=D --manual_dir=TARS
"""

from ml_collections import config_dict

from configs import base


def get_config(variant: str = "fourier") -> config_dict.ConfigDict:
    """Returns the papers' recipe for one of VARIANTS."""
    if variant not in VARIANTS:
        raise ValueError(
            f"Variant '{variant}' is unknown; configs/imagenet.py has "
            f"{', '.join(VARIANTS)}."
        )
    config = perceiver_io()
    VARIANTS[variant](config)
    return config


def perceiver_io() -> config_dict.ConfigDict:
    """Perceiver IO, config A, pixels with 2D Fourier features."""
    config = base.get_config()
    config.task = "imagenet"
    config.epochs = 110.0

    config.optimizer.learning_rate = 2e-3
    config.optimizer.reference_batch_size = 1024
    config.optimizer.schedule = "flat_cosine"  # no warm-up: it broke training
    config.optimizer.weight_decay = 0.1
    config.optimizer.clip_norm = 10.0

    config.data = data = config_dict.ConfigDict()
    data.source = "tfds"  # or "folder": DIR/SPLIT/CLASS/IMAGE, "digits", "synthetic"
    data.name = "imagenet2012"  # of a TFDS dataset
    data.dir = ""  # TFDS data_dir ("": its default), or the folder
    data.train_split = "train"  # a TFDS split, or a folder in `dir`
    data.eval_split = "validation"  # the 50,000 images that papers report on
    data.num_classes = 1000
    data.image_size = (224, 224)
    data.crop_area = (0.08, 1.0)  # share of the image, Inception crop
    data.flip = True
    data.randaugment_layers = 4
    data.randaugment_magnitude = 5.0  # of 10
    data.mix_alpha = 0.2  # MixUp on one half of a batch, CutMix on the other; 0: none
    data.label_smoothing = 0.1  # in the released code, not in the paper's text
    data.eval_crop = 0.875  # centre crop, 224 of 256
    data.loss = "softmax"  # or "sigmoid", for several labels an image
    data.max_corrupt = 100  # files that training may skip before it stops
    data.num_workers = 0  # processes that decode; 0: threads only

    config.model = model = base.get_model()
    model.stem = "pixels"  # or "pointwise", "conv", "patches"
    model.stem_channels = 0
    model.stem_padding = "same"  # of "conv"; "torch": as in Hugging Face's port
    model.patch_size = 0
    model.positions = ("fourier",)  # and / or "learned", concatenated
    model.num_bands = 64
    model.max_resolution = (224, 224)  # of the feature map; separate from its size
    model.position_channels = 256  # of the learned table
    model.position_projection = 0  # width of a linear map on the table; 0: none
    model.position_init_scale = 0.02
    model.permute = False  # shuffle all inputs by one fixed permutation

    model.num_latents = 512
    model.latent_channels = 1024
    model.num_blocks = 8
    model.layers_per_block = 6
    model.head = "query"  # or "mean", the head of 2021
    model.remat = True  # recompute layers in the backward pass: batch 16 a chip fits
    return config


def _fourier(config):
    del config


def _learned(config):
    config.model.stem = "pointwise"
    config.model.stem_channels = 256
    config.model.positions = ("learned",)
    config.model.position_projection = 256
    config.model.decoder_query_residual = False  # as released


def _conv(config):
    config.model.stem = "conv"
    config.model.stem_channels = 64
    config.model.max_resolution = (56, 56)


def _perceiver(config):
    """Perceiver (2021): batch size and weight decay are not in its text; as of 2022."""
    config.epochs = 120.0
    config.optimizer.learning_rate = 4e-3
    config.optimizer.schedule = "step_decay"  # at epochs 84, 102, 114
    config.model.num_cross_attends = 8
    config.model.head = "mean"


def _perceiver_unshared(config):
    _perceiver(config)
    config.model.share_weights = False


def _perceiver_learned(config):
    _perceiver(config)
    config.model.num_cross_attends = 1  # eight were unstable with learned positions
    config.model.positions = ("learned",)
    config.model.position_channels = 128
    config.model.position_init_scale = 1.0


def _b_model(config):
    """Config B: 16 unshared self-attends with a four times wider MLP."""
    config.model.stem = "pointwise"
    config.model.stem_channels = 256
    config.model.num_blocks = 1
    config.model.layers_per_block = 16
    config.model.self_widening = 4


def _b_pretrain(config):
    """JFT-300M is not public: bring a dataset of many labels an image."""
    _b_model(config)
    config.epochs = 14.0
    config.batch_size = 8192  # 256 TPUs
    config.optimizer.learning_rate = 3e-4
    config.optimizer.reference_batch_size = 8192
    config.optimizer.flat_fraction = 0.0
    config.data.name = "jft"
    config.data.num_classes = 18_000  # "about 18k" in the paper
    config.data.loss = "sigmoid"
    config.data.randaugment_layers = 0  # crop, resize and flip only
    config.data.mix_alpha = 0.0
    config.data.label_smoothing = 0.0


def _b_finetune(config):
    _b_model(config)
    config.epochs = 0.0
    config.steps = 131_000
    config.optimizer.flat_fraction = 70 / 131
    config.init_skip = ("decoder/output/*",)  # the classes differ


def _b_conv_pretrain(config):
    _b_pretrain(config)
    _conv(config)


def _b_conv_finetune(config):
    _b_finetune(config)
    _conv(config)
    config.optimizer.learning_rate = 2e-4


VARIANTS = {
    "fourier": _fourier,
    "learned": _learned,
    "conv": _conv,
    "perceiver": _perceiver,
    "perceiver_unshared": _perceiver_unshared,
    "perceiver_learned": _perceiver_learned,
    "b_pretrain": _b_pretrain,
    "b_finetune": _b_finetune,
    "b_conv_pretrain": _b_conv_pretrain,
    "b_conv_finetune": _b_conv_finetune,
}


def sweep() -> list[dict[str, object]]:
    """Cross-attends and their placement (Perceiver, table 6), from `perceiver`."""
    return [
        {
            "model.num_cross_attends": count,
            "model.cross_attends_at_start": at_start,
        }
        for count in (1, 2, 4, 8)
        for at_start in (False, True)
    ]
