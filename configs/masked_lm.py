r"""Masked language modelling (Perceiver IO, section 4.1 and appendix F).

    python -m scripts.prepare_tfds --name=c4/en --data_dir=DATA
    python -m scripts.prepare_tfds --name=wikipedia/20230601.en --data_dir=DATA
    python -m experiments.train --config=configs/masked_lm.py:bytes --workdir=DIR \
        --config.data.dir=DATA

| variant | model | inputs | parameters | GLUE in the paper |
| --- | --- | --- | --- | --- |
| bytes | Perceiver IO, the released one | 2,048 bytes | 201,108,230 | 81.0 |
| sentencepiece | Perceiver IO Base | 512 pieces | 223 million | 81.2 |
| bytes_plus_plus | Perceiver IO++ | 2,048 bytes | 425 million | 81.8 |
| bert_base | BERT | 512 pieces | 110 million | 81.1 |
| bert_bytes | BERT of matching FLOPs | 2,048 bytes | 20 million | 71.5 |
| one_gpu | as bytes, for 24 GB | 2,048 bytes | 201,108,230 | |
| docs | small, on Python's documentation | 64 bytes | 0.4 million | |

TFDS needs apache-beam to prepare these two; C4's own files (c4-train.*.json.gz) can be
used as they are, with data.source=files. The paper does not say on what hardware, but
500,000 steps at its 7.6 a second are 18 hours. Nothing of this size was trained here.
`one_gpu` takes 6.9 GB of a chip's memory (--compile_for=v5e:1x1). `docs` came to 2.84
bits a hidden byte in 15 minutes on a CPU core, where a byte bigram has 4.04
(benchmarks/results/text_cpu.md). On text of your own:

    python -m experiments.train --config=configs/masked_lm.py:one_gpu --workdir=DIR \
        --config.data.source=files --config.data.names="('mine',)" \
        --config.data.weights="(1.0,)" --config.data.train="('train/**/*.txt',)" \
        --config.data.held_out="('test/*.jsonl.gz',)"
"""

from ml_collections import config_dict

from configs import base


def get_config(variant: str = "docs") -> config_dict.ConfigDict:
    """Returns a variant of the table above."""
    if variant not in VARIANTS:
        raise ValueError(
            f"Variant '{variant}' is unknown; configs/masked_lm.py has "
            f"{', '.join(VARIANTS)}."
        )
    config = base.get_config()
    config.task = "masked_lm"
    config.batch_size = 2048
    config.steps = 500_000
    config.eval_every = 10_000
    config.log_every = 500
    config.checkpoint_every = 5_000

    config.optimizer.learning_rate = 1.25e-3
    config.optimizer.schedule = "warmup_cosine"
    config.optimizer.warmup_steps = 1000
    config.optimizer.weight_decay = 0.01

    config.data = data = config_dict.ConfigDict()
    data.source = "tfds"  # or "files", "python_docs", "synthetic"
    data.dir = ""  # of prepared datasets; "": TFDS's own
    # One entry for each corpus. `train` and `held_out` are splits, or globs of files.
    data.names = ("c4/en", "wikipedia/20230601.en")
    data.weights = (0.7, 0.3)  # shares of the tokens
    data.train = ("train", "train[:99%]")  # Wikipedia has no other split
    data.held_out = ("validation", "train[99%:]")
    data.max_held_out = 10_000  # documents of each corpus that are evaluated
    data.field = "text"  # of JSON files
    data.cache = "~/.cache/perceiver_jax"  # where .gz files are unpacked, once
    data.documents = 10  # joined, then cropped
    data.tokenizer = "bytes"  # or a file of experiments/masked_lm/train_tokenizer.py
    data.length = 2048  # tokens
    data.masking = "words"  # whole ones, or "tokens" one by one
    data.mask_rate = 0.15
    data.num_workers = 0

    config.model = model = base.get_model()
    model.vocab_size = 262  # 256 bytes after 6 reserved tokens
    model.max_length = 2048
    model.input_channels = 768
    model.kind = "perceiver"  # or "transformer", on the inputs themselves: BERT
    model.num_latents = 256
    model.latent_channels = 1280
    model.layers_per_block = 26
    model.num_cross_heads = 8
    model.num_self_heads = 8
    model.num_decoder_heads = 8
    model.qk_channels = 256
    model.v_channels = 1280
    model.decoder_qk_channels = 256
    model.decoder_v_channels = 768
    model.decoder_query_residual = False
    model.mask_queries = True  # padded positions query nothing
    model.remat = True
    VARIANTS[variant](config)
    return config


def _bytes(config):
    del config  # the defaults


def _sentencepiece(config):
    config.data.tokenizer = "sentencepiece.model"
    config.data.length = 512
    config.model.vocab_size = 32_000
    config.model.max_length = 512


def _bytes_plus_plus(config):
    config.model.latent_channels = 1536
    config.model.v_channels = 1536
    config.model.layers_per_block = 40


def _bert_base(config):
    _sentencepiece(config)
    _transformer(config.model, channels=768, layers=12, heads=12)


def _bert_bytes(config):
    _transformer(config.model, channels=512, layers=6, heads=8)


def _transformer(model, channels, layers, heads):
    model.kind = "transformer"
    model.input_channels = channels
    model.layers_per_block = layers
    model.num_self_heads = heads
    model.self_widening = 4
    model.qk_channels = 0
    model.v_channels = 0


def _one_gpu(config):
    config.batch_size = 128
    config.eval_batch_size = 128
    config.accumulate = 8
    config.optimizer.learning_rate = 3e-4  # as the square root of the batch (LAMB)


def _docs(config):
    config.batch_size = 32
    config.eval_batch_size = 64
    config.steps = 8000
    config.log_every = 200
    config.eval_every = 2000
    config.checkpoint_every = 1000
    config.precision = "params=float32,compute=float32,output=float32"  # CPUs

    config.optimizer.name = "adamw"  # LAMB is for large batches
    config.optimizer.learning_rate = 2e-3
    config.optimizer.warmup_steps = 200
    config.optimizer.clip_norm = 1.0
    config.optimizer.b2 = 0.98  # at 0.999, positions are found twice as late, or later
    config.optimizer.eps = 1e-8

    config.data.source = "python_docs"
    config.data.names = ("docs",)
    config.data.weights = (1.0,)
    config.data.train = ("",)
    config.data.held_out = ("",)
    config.data.length = 64
    config.data.masking = "tokens"  # it learns to spell first, words take far longer

    config.model.max_length = 64
    config.model.input_channels = 96
    config.model.num_latents = 64  # with fewer, positions are found much later
    config.model.latent_channels = 128
    config.model.layers_per_block = 2
    config.model.num_cross_heads = 1
    config.model.num_decoder_heads = 1
    config.model.qk_channels = 64
    config.model.v_channels = 128
    config.model.decoder_qk_channels = 64
    config.model.decoder_v_channels = 96
    config.model.remat = False


VARIANTS = {
    "bytes": _bytes,
    "sentencepiece": _sentencepiece,
    "bytes_plus_plus": _bytes_plus_plus,
    "bert_base": _bert_base,
    "bert_bytes": _bert_bytes,
    "one_gpu": _one_gpu,
    "docs": _docs,
}


def sweep() -> list[dict[str, object]]:
    """Latents against width at about the same FLOPs (Perceiver IO, table 15)."""
    return [
        {
            "model.num_latents": latents,
            "model.latent_channels": channels,
            "model.v_channels": channels,
        }
        for latents, channels in ((128, 1920), (256, 1280), (512, 896))
    ]
