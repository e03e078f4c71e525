"""The demo model: a Gemma 4 of the E kind, small enough for two processor cores."""
import math

import torch
from transformers import Gemma4Config, Gemma4ForConditionalGeneration

import vocabulary

# Four sliding layers to a global one; the second half reads the keys and values of the first.
LAYER_TYPES = [*["sliding_attention"] * 4, "full_attention"] * 2


def config(vocab: dict) -> Gemma4Config:
    """vocab: piece → id, of tokenizer.json."""
    media = {key: vocab[piece] for key, piece in (
        ("boi_token_id", "<|image>"), ("boa_token_id", "<|audio>"), ("image_token_id", "<|image|>"),
        ("audio_token_id", "<|audio|>"), ("eoi_token_id", "<image|>"), ("eoa_token_index", "<audio|>"),
        ("video_token_id", "<|video|>"))}
    text = {
        "vocab_size": vocabulary.SIZE, "vocab_size_per_layer_input": vocabulary.SIZE, "hidden_size": 128,
        "hidden_size_per_layer_input": 16, "intermediate_size": 256, "num_hidden_layers": len(LAYER_TYPES),
        "layer_types": LAYER_TYPES, "num_kv_shared_layers": 5, "num_attention_heads": 4, "num_key_value_heads": 1,
        "head_dim": 32, "global_head_dim": 64, "sliding_window": 512, "max_position_embeddings": 4096,
        "final_logit_softcapping": 30.0, "tie_word_embeddings": True,
        "rope_parameters": {
            "sliding_attention": {"rope_type": "default", "rope_theta": 10_000.0},
            "full_attention": {"rope_type": "proportional", "partial_rotary_factor": 0.25, "rope_theta": 1_000_000.0}}}
    vision = {"hidden_size": 96, "intermediate_size": 192, "num_hidden_layers": 3, "num_attention_heads": 3,
              "num_key_value_heads": 3, "head_dim": 32, "position_embedding_size": 320, "use_clipped_linears": True}
    audio = {"hidden_size": 96, "num_hidden_layers": 3, "num_attention_heads": 4,
             "subsampling_conv_channels": [128, 16], "output_proj_dims": 96, "use_clipped_linears": True}
    return Gemma4Config(text_config=text, vision_config=vision, audio_config=audio, **media)


def create(vocab: dict) -> Gemma4ForConditionalGeneration:
    """A model to be trained. Its first values differ from transformers' where these learn slowly from nothing."""
    model = Gemma4ForConditionalGeneration(config(vocab)).float()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith(("q_norm.weight", "k_norm.weight")):
                # The published models' attention has no scale: this is head_dim^-1/2, half of it on each side.
                parameter.fill_(parameter.numel() ** -0.25)
            elif name.endswith(("post_attention_layernorm.weight", "post_feedforward_layernorm.weight",
                                "post_per_layer_input_norm.weight")):
                parameter.fill_(0.4)  # branches start smaller than the stream they are added to
            elif name.endswith("position_embedding_table"):
                parameter.copy_(waves(*parameter.shape[1:]) * 0.3)
            elif parameter.dim() >= 2:
                torch.nn.init.normal_(parameter, std=math.prod(parameter.shape[1:]) ** -0.5)
    return model


def waves(positions: int, width: int) -> torch.Tensor:
    """[2, positions, width]: sines and cosines; half of the width tells columns, the other half rows.

    Their periods reach from 3 patches, the pooling's, to the whole table.
    """
    quarter = width // 4
    periods = 3.0 * (positions / 3.0) ** (torch.arange(quarter) / max(quarter - 1, 1))
    angles = 2 * math.pi * torch.arange(positions)[:, None] / periods
    both = torch.cat([angles.sin(), angles.cos()], dim=1)
    empty = torch.zeros_like(both)
    return torch.stack([torch.cat([both, empty], dim=1), torch.cat([empty, both], dim=1)])


def without_clipping(model):
    """While it is trained, the clipped linears' bounds are infinite: asking for them costs a third of the time."""
    for module in model.modules():
        if hasattr(module, "use_clipped_linears"):
            module.use_clipped_linears = False
    return model


def accept_parts(vision_tower) -> None:
    """Lets the tower look at parts of larger pictures: their patches keep the places they have there, and the pooling,
    which counts places from 0, gets them less those of the first."""
    pool = vision_tower.pooler.forward

    def pool_part(hidden_states, pixel_position_ids, **others):
        first = pixel_position_ids.amin(dim=1, keepdim=True)  # [pictures, 1, 2]
        return pool(hidden_states=hidden_states, pixel_position_ids=pixel_position_ids - first, **others)

    vision_tower.pooler.forward = pool_part


def finish_clipping(model, bounds: float = 1e4) -> None:
    """Gives the clipped linears of the towers finite bounds, as published files have: wide enough to change nothing."""
    for name, buffer in model.named_buffers():
        if name.endswith(("input_min", "output_min")):
            buffer.fill_(-bounds)
        elif name.endswith(("input_max", "output_max")):
            buffer.fill_(bounds)
