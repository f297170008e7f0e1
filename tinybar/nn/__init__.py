"""Layers, gates, residual networks, losses and Adam."""

from .gates import Gate, HardConcrete
from .inference import predict
from .layers import BatchNorm2d, Conv2d, Linear, kaiming_normal
from .losses import accuracy, distillation_loss
from .module import Module, Parameter
from .networks import MODELS, build, compact_network
from .networks.postactivation import (
    CompactResNet,
    MixedPostActivationBlock,
    PostActivationBlock,
    ResNet,
    resnet50,
    small_resnet,
)
from .networks.preactivation import (
    CompactWideResNet,
    MixedPreActivationBlock,
    PreActivationBlock,
    WideResNet,
    wide_resnet,
)
from .networks.residual import CompactNetwork, ResidualNetwork, count_parameters, gates_of
from .optim import Adam
from .skipping import skip_closed
