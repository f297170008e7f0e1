"""Layers, gates, residual networks, losses and Adam."""

from .gates import Gate, HardConcrete
from .gaussian import Gaussian
from .inference import accuracy, predict
from .initial import kaiming_normal
from .layers import BatchNorm2d, Conv2d, Linear
from .losses import distillation_loss
from .module import Module, Parameter
from .networks import MODELS, build, compact_network
from .networks.live import LIVE
from .networks.postactivation import MixedPostActivationBlock, PostActivationBlock
from .networks.preactivation import MixedPreActivationBlock, PreActivationBlock
from .networks.residual import CompactNetwork, ResidualNetwork, count_parameters, gates_of
from .networks.resnet import CompactResNet, ResNet, resnet50, small_resnet
from .networks.wide_resnet import CompactWideResNet, WideResNet, wide_resnet
from .optim import Adam
from .skipping import skip_closed
from .statistics import recompute_statistics, statistics_of

__all__ = [
    "LIVE",
    "MODELS",
    "Adam",
    "BatchNorm2d",
    "CompactNetwork",
    "CompactResNet",
    "CompactWideResNet",
    "Conv2d",
    "Gate",
    "Gaussian",
    "HardConcrete",
    "Linear",
    "MixedPostActivationBlock",
    "MixedPreActivationBlock",
    "Module",
    "Parameter",
    "PostActivationBlock",
    "PreActivationBlock",
    "ResNet",
    "ResidualNetwork",
    "WideResNet",
    "accuracy",
    "build",
    "compact_network",
    "count_parameters",
    "distillation_loss",
    "gates_of",
    "kaiming_normal",
    "predict",
    "recompute_statistics",
    "resnet50",
    "skip_closed",
    "small_resnet",
    "statistics_of",
    "wide_resnet",
]
