"""Layers, gates, residual blocks, networks, losses and Adam."""

from .gates import HardConcrete
from .inference import predict
from .layers import BatchNorm2d, Conv2d, Linear, kaiming_normal
from .losses import accuracy, distillation_loss
from .module import Module, Parameter
from .networks import MODELS, build, compact_network
from .networks.blocks import MixedBlock, PreActivationBlock
from .networks.residual import CompactNetwork, ResidualNetwork, count_parameters
from .networks.resnet import CompactPostResNet, PostActivationBlock, ResNet, resnet50, small_resnet
from .networks.wide_resnet import CompactResNet, WideResNet, wide_resnet
from .optim import Adam
