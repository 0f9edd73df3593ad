"""Fields that every task has."""

from ml_collections import config_dict


def get_config() -> config_dict.ConfigDict:
    """Returns the engine's fields; a task's config adds `model` and `data`."""
    config = config_dict.ConfigDict()
    config.task = ""  # a folder in experiments
    config.seed = 0

    config.batch_size = 1024  # global, over all devices of all processes
    config.eval_batch_size = 1024  # global; any number gives the same metrics
    config.epochs = 0.0  # either epochs or steps, the other 0
    config.steps = 0
    config.accumulate = 1  # parts that a batch is processed in, to save memory

    config.compile = "jit"  # or "pmap": the same losses
    # "replicated", "fsdp", "tensor" or "inputs": what is split over devices besides the
    # batch, see docs/pods.md. "tensor" and "inputs" split over so many neighbours
    # (0: all of a process), and the batch over the rest.
    config.sharding = "replicated"
    config.sharding_devices = 0
    config.precision = "params=float32,compute=bfloat16,output=float32"

    config.log_every = 100  # all cadences in steps
    config.eval_every = 5000
    config.checkpoint_every = 1000
    config.keep_last = 1
    config.keep_best = 1

    config.heartbeat_limit = 30.0  # seconds to wait for a sign of another process
    config.stall_limit = 600.0  # seconds that a step or a batch of data may take

    config.init_from = ""  # workdir or checkpoint of another run
    config.init_skip = ()  # patterns over "module/name" left at initialisation

    config.optimizer = config_dict.ConfigDict()
    config.optimizer.name = "lamb"  # or "adamw"
    config.optimizer.learning_rate = 2e-3
    config.optimizer.reference_batch_size = 0  # scale the rate by batch / this; 0: no
    config.optimizer.schedule = "constant"  # see perceiver_jax/engine/optimizer.py
    config.optimizer.flat_fraction = 0.5  # flat_cosine: share of steps before it falls
    config.optimizer.warmup_steps = 0  # warmup_cosine: at most half of training
    config.optimizer.decay_fractions = (0.7, 0.85, 0.95)  # step_decay, x0.1 at each
    config.optimizer.weight_decay = 0.0
    config.optimizer.decay_positions = True  # latents, queries and embeddings too
    config.optimizer.clip_norm = 0.0  # 0: no clipping
    config.optimizer.b1 = 0.9
    config.optimizer.b2 = 0.999
    config.optimizer.eps = 1e-6
    return config


def get_model() -> config_dict.ConfigDict:
    """Returns the fields of every Perceiver; a task's config adds its inputs' own."""
    model = config_dict.ConfigDict()
    model.num_latents = 256
    model.latent_channels = 512
    model.latent_init_scale = 0.02
    model.num_cross_attends = 1  # in all: the first is the encoder's
    model.cross_attends_at_start = False  # else evenly between the blocks
    model.num_blocks = 1
    model.layers_per_block = 6
    model.share_weights = True  # of blocks, and of cross-attends after the first
    model.num_cross_heads = 1
    model.num_self_heads = 8
    model.num_decoder_heads = 1
    # Widths of attention; 0: qk as wide as the keys' input, v as qk.
    model.qk_channels = 0  # encoder and self-attends
    model.v_channels = 0
    model.decoder_qk_channels = 0
    model.decoder_v_channels = 0
    model.decoder_query_residual = True
    model.query_chunk = 4096  # outputs made at a time, to save memory; 0: all
    model.cross_widening = 1
    model.self_widening = 1
    model.decoder_widening = 1
    model.dropout = 0.0  # none in either paper
    model.gelu = "tanh"  # or "exact", as in most Hugging Face models
    model.remat = False  # recompute layers in the backward pass, to save memory
    return model
