"""Handwritten digits: the ImageNet task, code and augmentation at the smallest size.

    python -m experiments.train --config=configs/digits.py --workdir=/tmp/digits

scikit-learn's 1,797 real 8x8 images, packed with the library: nothing to download.
"""

from ml_collections import config_dict

from configs import imagenet

VARIANTS = imagenet.VARIANTS


def get_config(variant: str = "fourier") -> config_dict.ConfigDict:
    """Returns a model of every kind that configs/imagenet.py has, made small."""
    config = imagenet.get_config(variant)
    config.batch_size = 64
    config.eval_batch_size = 360
    config.epochs = 50.0
    config.steps = 0
    config.precision = "params=float32,compute=float32,output=float32"  # CPUs
    config.log_every = 50
    config.eval_every = 500
    config.checkpoint_every = 250

    config.optimizer.name = "adamw"  # LAMB is for large batches
    config.optimizer.learning_rate = 3e-3
    config.optimizer.reference_batch_size = 64
    config.optimizer.weight_decay = 0.05

    config.data.source = "digits"
    config.data.name = "digits"
    config.data.eval_split = "test"  # a fifth of the images, held out
    config.data.num_classes = 10
    config.data.image_size = (8, 8)
    config.data.crop_area = (0.8, 1.0)  # 8 pixels can't spare more
    config.data.flip = False  # a mirrored 2 is no digit
    config.data.randaugment_layers = 0  # its scales are made for photos
    config.data.mix_alpha = 0.0
    config.data.eval_crop = 1.0

    config.model.num_bands = 4
    config.model.max_resolution = (8, 8)
    config.model.position_channels = 16
    config.model.num_latents = 16
    config.model.latent_channels = 64
    config.model.num_blocks = 2
    config.model.layers_per_block = 1
    config.model.num_self_heads = 4
    config.model.remat = False
    if config.model.stem_channels:
        config.model.stem_channels = 16
    if config.model.position_projection:
        config.model.position_projection = 16
    if config.model.num_cross_attends > 1:
        config.model.num_cross_attends = 2
    return config


def sweep() -> list[dict[str, object]]:
    """Learning rates."""
    return [{"optimizer.learning_rate": rate} for rate in (1e-3, 2e-3, 4e-3)]
