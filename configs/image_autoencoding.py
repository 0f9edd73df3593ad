r"""Photos into a few values, and out of them pixel by pixel (Perceiver IO's queries).

    python -m experiments.train --config=configs/image_autoencoding.py \
        --workdir=/tmp/photos
    python -m experiments.train --config=configs/image_autoencoding.py:photos \
        --workdir=DIR --config.data.photos=PHOTOS --config.data.test_photos=OTHERS

| variant | what | parameters |
| --- | --- | --- |
| tiny | crops of scikit-learn's two photos, for 2 CPU cores | 316,611 |
| photos | a folder of photos, or ImageNet's, for a TPU v4-32 | 22,290,763 |

`tiny` came to 27.2 dB of PSNR on held-out crops in 9 minutes on 2 CPU cores; PCA of
patches with as many values has 32.9, the mean colour 18.9
(experiments/image_autoencoding/README.md). `photos` was not trained: no accelerator and
no such photos were at hand.
"""

from ml_collections import config_dict

from configs import base


def get_config(variant: str = "tiny") -> config_dict.ConfigDict:
    """Returns a variant of the table above."""
    if variant not in VARIANTS:
        raise ValueError(
            f"Variant '{variant}' is unknown; configs/image_autoencoding.py has "
            f"{', '.join(VARIANTS)}."
        )
    config = base.get_config()
    config.task = "image_autoencoding"
    config.batch_size = 8
    config.eval_batch_size = 16
    config.steps = 4000
    config.log_every = 100
    config.eval_every = 500
    config.checkpoint_every = 500
    config.precision = "params=float32,compute=float32,output=float32"  # CPUs

    config.optimizer.name = "adamw"  # LAMB is for large batches
    config.optimizer.learning_rate = 2e-3
    config.optimizer.schedule = "warmup_cosine"
    config.optimizer.warmup_steps = 100
    config.optimizer.b2 = 0.98
    config.optimizer.clip_norm = 1.0

    config.data = data = config_dict.ConfigDict()
    data.photos = ""  # a folder; "": two photos of scikit-learn
    data.test_photos = ""  # a folder; "": the lowest 30% of each photo, held out
    data.crops_per_photo = 4  # cut each time that a photo is decoded
    data.test_crops = 24  # of each photo
    data.num_queries = 512  # pixels of a crop that a step decodes
    data.loss = "l2"  # or "l1"
    data.max_corrupt = 100  # photos that may be damaged or too small before it stops
    data.num_workers = 0  # processes that read photos; 0: threads only

    config.model = model = base.get_model()
    model.image_size = (56, 56)  # of crops, and of tiles of larger pictures
    model.patch_size = 4
    model.stem_channels = 64
    model.num_bands = 12
    model.max_resolution = (14, 14)  # patches of a crop
    # Half a crop's pixels: places between pixels then look like places on them. Finer
    # bands would be told apart at pixels alone.
    model.query_max_resolution = (28, 28)
    model.num_latents = 256
    model.latent_channels = 128
    model.latent_init_scale = 1.0  # of 0.02, they take long to look at different places
    model.code_channels = 8  # values of each latent that the decoder gets
    model.layers_per_block = 1
    model.num_self_heads = 4
    model.num_decoder_heads = 4
    model.decoder_widening = 2
    VARIANTS[variant](config)
    return config


def _tiny(config):
    del config  # the defaults


def _photos(config):
    config.batch_size = 512
    config.eval_batch_size = 64
    config.steps = 250_000  # 100 epochs of ImageNet
    config.eval_every = 5000
    config.checkpoint_every = 1000
    config.precision = base.get_config().precision

    config.optimizer.learning_rate = 3e-4
    config.optimizer.warmup_steps = 2500
    config.optimizer.weight_decay = 0.01

    config.data.crops_per_photo = 2
    config.data.test_crops = 1
    config.data.num_queries = 4096
    config.data.max_corrupt = 100_000  # ImageNet has photos smaller than a crop
    config.data.num_workers = 16

    config.model.image_size = (224, 224)
    config.model.stem_channels = 128
    config.model.num_bands = 64
    config.model.max_resolution = (56, 56)
    config.model.query_max_resolution = (112, 112)
    config.model.num_latents = 1024
    config.model.latent_channels = 512
    config.model.code_channels = 16
    config.model.layers_per_block = 12
    config.model.num_self_heads = 8
    config.model.remat = True


VARIANTS = {"tiny": _tiny, "photos": _photos}


def sweep() -> list[dict[str, object]]:
    """Numbers of latents."""
    return [{"model.num_latents": count} for count in (64, 256, 1024)]
