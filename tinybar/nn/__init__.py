"""Layers, gates, residual blocks, networks, losses and Adam."""

from .blocks import MixedBlock, PreActivationBlock
from .gates import HardConcrete
from .inference import predict
from .layers import BatchNorm2d, Conv2d, Linear, kaiming_normal
from .losses import accuracy, distillation_loss
from .module import Module, Parameter
from .optim import Adam
from .resnet import CompactResNet, WideResNet, build, count_parameters, wide_resnet
