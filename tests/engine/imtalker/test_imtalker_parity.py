"""The networks at full size against values that the public reference code computed under the same seeded weights."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("transformers", reason="transformers is not installed")
import torch
from torch import Tensor
from torch.nn import functional

from avatar_service.engine.imtalker.loading import ON_GPU
from avatar_service.engine.imtalker.model.checkpoint import Checkpoint
from avatar_service.engine.imtalker.model.generator import BEFORE, Style
from avatar_service.engine.imtalker.model.identity import Identity
from avatar_service.engine.imtalker.model.model import Model
from avatar_service.engine.imtalker.model.speech import normalise
from avatar_service.engine.imtalker.model.transfer import picture
from tests.engine.imtalker import seeded
from tests.engine.imtalker.halved import LIMITS, Judge, told

pytestmark = pytest.mark.timeout(300)

Values = dict[str, Any]
CLOSE = 1e-4
"""Limit of the largest difference: modules."""
HEARD = 1e-3
"""Of what is made of audio."""
NEAR_TIE = 1e-3
"""Relative gap between the two foremost keys, below which either may win."""
DECIBEL = 45.0
MEAN = 1e-3
"""Limits of frames: signal to noise, and mean difference."""
SPEECH = "audio_encoder.wav2vec2."


@dataclass(frozen=True)
class Case:
    """A model, what the reference computed, and what is computed once for several tests."""

    model: Model
    values: Values
    made: dict[str, Any] = field(default_factory=dict)

    def tensor(self, name: str) -> Tensor:
        """Return a value of the reference."""
        return torch.from_numpy(self.values[name])

    @property
    def identity(self) -> Identity:
        """The portrait, encoded."""
        if "identity" not in self.made:
            self.made["identity"] = self.model.encode_portrait(self.values["in.image_ref_u8"])
        found: Identity = self.made["identity"]
        return found

    @property
    def features(self) -> Tensor:
        """What is heard in the speech."""
        if "features" not in self.made:
            self.made["features"] = self.model.features(self.tensor("in.audio_i16").float() / 32768)
        found: Tensor = self.made["features"]
        return found

    def sample(self, noise: str, cfg_scale: float, style: Style | None = None) -> Tensor:
        """Return the motion of the speech."""
        nfe = int(self.values["sample.params"][1])
        return self.model.sample(
            self.identity, self.features, nfe=nfe, cfg_scale=cfg_scale, noise=self.tensor(noise), style=style
        )

    def check_map(self, name: str, x: Tensor) -> None:
        """Assert that a map ``[1, channels, height, width]`` is the reference's."""
        step, top, left, side = self.values[f"{name}.slice_idx"]
        near(x[0, ::step, top : top + side, left : left + side], self.tensor(f"{name}.slice"), mapped(name))
        near(x[0, :4, :6, :6], self.tensor(f"{name}.corner"), mapped(name))
        near(x[0].mean((1, 2)), self.tensor(f"{name}.chan_mean"), CLOSE)
        near(x[0].std((1, 2), unbiased=False), self.tensor(f"{name}.chan_std"), CLOSE)


def mapped(name: str) -> float:
    """Return the limit of a map: rounding adds up along the synthesis, where the reference itself is off by 2.3e-4."""
    return 5e-4 if name.startswith("dec1_") else CLOSE


def near(ours: Tensor, theirs: Tensor, limit: float) -> None:
    """Assert that the largest difference is below a limit."""
    assert ours.shape == theirs.shape
    assert float((ours.double() - theirs.double()).abs().max()) < limit


def save(folder: Path, renderer: dict[str, Tensor], generator: dict[str, Tensor]) -> None:
    """Write tensors as the public model card lays them out, with what a Lightning file holds beside them."""
    torch.save({"epoch": 3, "state_dict": {f"gen.{name}": x for name, x in renderer.items()}}, folder / "renderer.ckpt")
    moving = {f"model.{name}": x for name, x in generator.items() if not name.startswith(SPEECH)}
    torch.save({"state_dict": moving, "ema_state_dict": {}}, folder / "generator.ckpt")
    heard = {f"wav2vec2.{name.removeprefix(SPEECH)}": x for name, x in generator.items() if name.startswith(SPEECH)}
    (folder / "wav2vec2-base-960h").mkdir()
    torch.save(heard | {"lm_head.bias": torch.zeros(32)}, folder / "wav2vec2-base-960h" / "pytorch_model.bin")


@pytest.fixture(scope="module")
def parts(goldens: Path) -> dict[str, dict[str, Tensor]]:
    """All tensors of both generations; what they share is the same."""
    drawn = seeded.seeded(seeded.manifest(goldens, 2, "renderer"))
    moved = seeded.seeded(seeded.manifest(goldens, 2, "generator"))
    first = {name: moved.get(name) for name in seeded.manifest(goldens, 1, "generator")}
    entries = seeded.manifest(goldens, 1, "generator")
    own = {name: seeded.tensor(name, *entries[name]) for name, x in first.items() if x is None}
    kept = {name: x for name, x in first.items() if x is not None}
    older = {name: drawn[name] for name in seeded.manifest(goldens, 1, "renderer")}
    return {"drawn 2": drawn, "moved 2": moved, "drawn 1": older, "moved 1": kept | own}


@pytest.fixture(scope="module")
def second(parts: dict[str, dict[str, Tensor]], goldens: Path, tmp_path_factory: pytest.TempPathFactory) -> Case:
    """Generation 2, through files of the public layout: a gigabyte, gone once it is loaded."""
    folder = tmp_path_factory.mktemp("weights")
    save(folder, parts["drawn 2"], parts["moved 2"])
    model = Model.load(folder)
    shutil.rmtree(folder)
    return Case(model, dict(np.load(goldens / "golden_gen2.npz")))


@pytest.fixture(scope="module")
def first(parts: dict[str, dict[str, Tensor]], goldens: Path) -> Case:
    """Generation 1."""
    model = Model(Checkpoint(1, parts["drawn 1"], parts["moved 1"], "renderer", "generator"))
    return Case(model, dict(np.load(goldens / "golden_gen1.npz")))


@pytest.fixture(params=["second", "first"])
def case(request: pytest.FixtureRequest) -> Case:
    """Either generation."""
    found: Case = request.getfixturevalue(request.param)
    return found


def test_seeded_weights_are_those_of_the_recipe(parts: dict[str, dict[str, Tensor]]) -> None:
    """The recipe's own figures hold for what we draw."""
    weight = parts["drawn 2"]["dense_feature_encoder.down_block_0.conv1.weight"]
    assert float(weight.double().abs().sum()) == pytest.approx(516.0624, abs=1e-4)
    assert float(parts["moved 1"]["fmt.pos_embed"].double().sum()) == pytest.approx(11836.020734, abs=1e-3)
    assert float(parts["moved 2"]["fmt.rotary_emb.inv_freq"].double().sum()) == pytest.approx(3.9979083, abs=1e-6)


def test_a_folder_of_the_public_layout_says_its_generation(second: Case) -> None:
    """The generation is read off the names."""
    assert (second.model.generation, second.model.portrait_side, second.model.side) == (2, 512, 512)


def test_speech_is_normalised_as_a_whole(second: Case) -> None:
    """Mean and variance are those of the utterance."""
    audio = normalise(second.tensor("in.audio_i16").float() / 32768)
    ends = second.tensor("audio.normalised_head_tail")
    near(torch.cat([audio[:64], audio[-64:]]), ends, CLOSE)


@torch.inference_mode()
def test_speech_is_heard_as_the_reference_hears_it(second: Case) -> None:
    """Convolutions, interpolation and transformer agree."""
    near(second.features, second.tensor("w2v.features"), HEARD)


def test_embedded_speech_is_the_references(case: Case) -> None:
    """What the flow is told agrees, in both generations."""
    assert case.features.shape[0] == int(case.values["audio.T"])
    near(case.model.speech(case.features), case.tensor("fm.audio_projection"), HEARD)


def test_embedded_style_is_the_sum_of_the_references(second: Case) -> None:
    """Pose, gaze and camera are embedded each by itself and added."""
    style = Style(*(second.tensor(f"in.{name}") for name in ("pose", "gaze", "cam")))
    told = sum(second.tensor(f"fm.{name}_projection") for name in ("pose", "gaze", "cam"))
    near(second.model.style(style, 108), torch.as_tensor(told), CLOSE)


@torch.inference_mode()
def test_the_flow_has_the_references_velocity(case: Case) -> None:
    """Positions, attention, modulation and the time's encoding agree, in both generations."""
    near(case.model.generator.flow(*told(case.values)), case.tensor("fmt.out"), CLOSE)
    near(case.model.generator.flow.t_embedder(case.tensor("fmt.in.t")), case.tensor("fmt.t_embed"), CLOSE)


@torch.inference_mode()
def test_guidance_leaves_out_the_clips_speech_alone(case: Case) -> None:
    """The guided velocity is the reference's."""
    motion, reference, condition, time = told(case.values)
    silent = condition.clone()
    silent[:, BEFORE:] -= case.tensor("fmt.in.a")
    flow = case.model.generator.flow
    without, along = flow(motion, reference, silent, time), flow(motion, reference, condition, time)
    near(without + float(case.values["fmt.cfg"]) * (along - without), case.tensor("fmt.out_cfg"), CLOSE)


def test_the_motion_of_an_utterance_is_the_references(case: Case) -> None:
    """Clips, context, guidance and Euler steps agree, in both generations."""
    near(case.sample("noise.fixed", float(case.values["sample.params"][2])), case.tensor("sample.fixed.cfg"), HEARD)


@pytest.mark.parametrize("name", ["fixed.cfg1", "fixed.cfg_cond", "fixed.cfg_pose_only_short", "sequential.cfg"])
def test_the_motion_agrees_under_every_condition(second: Case, name: str) -> None:
    """Without guidance, with pose, gaze and camera, with a pose that ends early, and with other noise in each clip."""
    pose, gaze, cam = (second.tensor(f"in.{kind}") for kind in ("pose", "gaze", "cam"))
    styles = {"fixed.cfg_cond": Style(pose, gaze, cam), "fixed.cfg_pose_only_short": Style(pose[:-30])}
    scale = 1.0 if name.endswith("cfg1") else float(second.values["sample.params"][2])
    noise = f"noise.{name.partition('.')[0]}"
    near(second.sample(noise, scale, styles.get(name)), second.tensor(f"sample.{name}"), HEARD)


def test_the_motion_in_a_picture_is_the_references(case: Case) -> None:
    """The motion encoder agrees, in both generations."""
    near(case.identity.reference, case.tensor("mot_enc")[:1], CLOSE)
    near(case.model.motion_of(case.values["in.image_drv_u8"][None]), case.tensor("mot_enc")[1:], CLOSE)


@torch.inference_mode()
def test_the_identity_of_a_portrait_is_the_references(case: Case) -> None:
    """The identity encoder agrees, level by level."""
    image = torch.from_numpy(case.values["in.image_ref_u8"]).permute(2, 0, 1)[None].float() / 255
    levels, identity = case.model.renderer.identity_encoder(image)
    near(identity, case.tensor("id_vec"), CLOSE)
    for level, features in enumerate(levels):
        if f"f_r{level}.slice" in case.values:
            case.check_map(f"f_r{level}", features)


@torch.inference_mode()
def test_a_frame_agrees_stage_by_stage(second: Case) -> None:
    """Adapter, motion decoder, transfer and each stage of the synthesis give the reference's maps."""
    renderer, identity = second.model.renderer, second.identity
    adapted = renderer.adapter(second.tensor("in.latents"), identity.adapting)
    near(adapted, second.tensor("adapt.cur"), CLOSE)
    near(renderer.adapter(identity.reference, identity.adapting), second.tensor("adapt.ref"), CLOSE)
    maps = renderer.motion_decoder(second.tensor("adapt.cur")[1:2])
    aligned, first = renderer.transfer(maps, identity.keys, identity.values, identity.fine)
    check_foremost(first[0], second)
    index = torch.from_numpy(second.values["argmax64.1"].astype(np.int64))
    aligned[4:] = [picture(cells[:, index], 64) for cells in identity.fine]  # of near ties, the one that it chose
    for level, motion in enumerate(maps):
        second.check_map(f"m_c1_{level}", motion)
    x = aligned[0]
    for level, features in enumerate(aligned):
        times = 1 << max(0, level - 3)
        second.check_map(f"aligned1_{level}", functional.interpolate(features, scale_factor=times))
        if level:
            x = check_stage(second, level - 1, x, features)


def check_stage(case: Case, stage: int, x: Tensor, features: Tensor) -> Tensor:
    """Return a stage's map, its parts checked."""
    synthesis = case.model.renderer.synthesis
    x = synthesis.up[stage](x)
    case.check_map(f"dec1_up{stage}", x)
    x = synthesis.joint[stage](x, features)
    case.check_map(f"dec1_res{stage}", x)
    x = synthesis.attention[stage](x)
    case.check_map(f"dec1_attn{stage}", x)
    return x


def check_foremost(first: Tensor, case: Case) -> None:
    """Assert that the key that each pixel attends to most is the reference's, but for near ties."""
    differs = first.numpy() != case.values["argmax64.1"]
    assert not (differs & (case.values["argmax64_margin.1"] > NEAR_TIE)).any()


@pytest.mark.parametrize("index", [0, 1])
def test_a_frame_is_the_references(second: Case, index: int) -> None:
    """The whole way from a motion row to pixels agrees."""
    frame = second.model.render(second.identity, second.tensor("in.latents")[index : index + 1])[0]
    error = frame.double().numpy() - second.values[f"frame{index}.u16"].astype(np.float64) / 65535
    assert -10 * np.log10(np.square(error).mean()) > DECIBEL
    assert np.abs(error).mean() < MEAN


def test_a_frame_of_generation_1_is_the_references(first: Case) -> None:
    """Of this generation a part of a frame, and the means of its rows and columns, are known."""
    frame = first.model.render(first.identity, first.tensor("in.latents")[1:2])[0].double()
    error = frame[:, 224:288, 224:288] - first.tensor("frame1.crop_f32")
    assert -10 * torch.log10(error.square().mean()) > DECIBEL
    assert float(error.abs().mean()) < MEAN
    near(frame.mean(2), first.tensor("frame1.rowmean"), MEAN)
    near(frame.mean(1), first.tensor("frame1.colmean"), MEAN)


@pytest.fixture(scope="module")
def judge(second: Case, parts: dict[str, dict[str, Tensor]]) -> Judge:
    """Who says what half precision costs."""
    checkpoint = Checkpoint(2, parts["drawn 2"], parts["moved 2"], "renderer", "generator")
    return Judge(second.model, checkpoint, second.values)


HALVED = [part.name for part in fields(ON_GPU) if getattr(ON_GPU, part.name) != torch.float32]


@pytest.mark.parametrize("part", HALVED)
def test_what_a_gpu_computes_in_half_precision_bears_it(judge: Judge, part: str) -> None:
    """Given the reference's inputs, the relative error of each part is within the limit of its default dtype."""
    dtype = getattr(ON_GPU, part)
    assert 0 < judge.error(part, dtype) < LIMITS[dtype]


def test_the_flow_bears_brain_floats(judge: Judge) -> None:
    """With the reference's inputs, the velocity's relative error is within the limit."""
    assert 0 < judge.error("flow", torch.bfloat16) < LIMITS[torch.bfloat16]
