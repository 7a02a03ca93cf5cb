"""Networks as people have them, which the tests of ``explain`` put into a module of the current folder."""

import warnings

import torch
from torch import nn
from torch.nn import functional


def body(channels, outputs, bias=0.0):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = nn.Sequential(
            nn.Conv2d(channels, 8, 3, 2, 1),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(4),
            nn.Flatten(),
            nn.Linear(128, outputs),
        )
    nn.init.constant_(net[-1].bias, bias)
    return net


class Calls(nn.Module):
    """A network and what is done to its outputs."""

    def __init__(self, net, function):
        super().__init__()
        self.net, self.function = net, function

    def forward(self, images):
        return self.function(self.net(images))


def plain():
    return body(3, 3)


def gray():
    return body(1, 3)


def four():
    return body(4, 3)


def multi_label():
    return nn.Sequential(body(3, 3, 2.0), nn.Sigmoid())


def log_softmax():
    return nn.Sequential(body(3, 3), nn.LogSoftmax(1))


def binary():
    return nn.Sequential(body(3, 1, -4.0), nn.Sigmoid())


def logit():
    return body(3, 1, -4.0)


def flat():
    return Calls(body(3, 1, -4.0), lambda outputs: outputs.sigmoid().squeeze(1))


def squeezed():
    return Calls(body(3, 1, -4.0), lambda outputs: outputs.squeeze())


def answers():
    return Calls(body(3, 3), lambda outputs: {"loss": None, "logits": outputs})


def black_box():
    return Calls(body(3, 3).eval(), lambda outputs: torch.from_numpy(outputs.detach().numpy()))


class Numpy(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = body(3, 3).eval()

    def forward(self, images):
        return self.net(torch.from_numpy(images.numpy().copy())).detach()


def function():
    net = body(3, 3).eval()

    def predict(images):
        with torch.no_grad():
            return net(images)

    return predict


def script():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return torch.jit.script(body(3, 3).eval())


def trace():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return torch.jit.trace(body(3, 3).eval(), torch.rand(1, 3, 16, 16))


def program():
    return torch.export.export(body(3, 3).eval(), (torch.rand(1, 3, 16, 16),))


def module():
    return program().module()


def gray_program():
    return torch.export.export(body(1, 3).eval(), (torch.rand(1, 1, 16, 16),))


class Holds(nn.Module):
    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, images):
        return self.net(images)


def holds_program():
    return Holds(module())


def holds_script():
    return Holds(script())


class Restless(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Dropout(0.5), body(3, 3))

    def forward(self, images):
        return self.net(images)

    def eval(self):
        raise RuntimeError("never")

    def train(self, mode=True):
        raise RuntimeError("never")


class Stubborn(Restless):
    def eval(self):
        return self

    def train(self, mode=True):
        return self


def random():
    return Calls(body(3, 3), lambda outputs: functional.dropout(outputs, 0.5))


class Refuses(nn.Module):
    """A network that raises wherever it is asked to."""

    def __init__(self, what):
        super().__init__()
        self.net, self.what = body(3, 3), what

    def forward(self, images):
        return self.net(images)

    def modules(self, *_):
        if self.what == "modules":
            raise RuntimeError("no modules\ntoday")
        return super().modules()

    def requires_grad_(self, *_):
        if self.what == "requires_grad_":
            raise RuntimeError("no gradients\ntoday")
        return super().requires_grad_(*_)

    def to(self, *args, **kwargs):
        if self.what == "to":
            raise NotImplementedError("no moving\ntoday")
        return super().to(*args, **kwargs)

    def named_modules(self, *args, **kwargs):
        if self.what == "named_modules":
            raise RuntimeError("no names\ntoday")
        return super().named_modules(*args, **kwargs)

    @property
    def labels(self):
        if self.what == "labels":
            raise RuntimeError("no labels\ntoday")
        return None

    @property
    def preprocessing(self):
        if self.what == "preprocessing":
            raise RuntimeError("no preprocessing\ntoday")
        return None

    def state_dict(self, *args, **kwargs):
        if self.what == "state_dict":
            raise RuntimeError("no state\ntoday")
        return super().state_dict(*args, **kwargs)


def refuses_modules():
    return Refuses("modules")


def refuses_requires_grad_():
    return Refuses("requires_grad_")


def refuses_to():
    return Refuses("to")


def refuses_named_modules():
    return Refuses("named_modules")


def refuses_labels():
    return Refuses("labels")


def refuses_preprocessing():
    return Refuses("preprocessing")


def refuses_state_dict():
    return Refuses("state_dict")
