"""What open_clip's `image_transform(is_train=False)` and openai/CLIP's `_transform` do, written out without torchvision."""

import numpy as np
from PIL import Image


def resized(picture, size, filter_):
    """torchvision.transforms.Resize of one number: the shorter side."""
    width, height = picture.size
    short, long = min(width, height), max(width, height)
    new_long = int(size * long / short)
    return picture.resize((size, new_long) if width <= height else (new_long, size), filter_)


def center_cropped(picture, size):
    """torchvision.transforms.CenterCrop."""
    width, height = picture.size
    top, left = round((height - size) / 2.0), round((width - size) / 2.0)
    return picture.crop((left, top, left + size, top + size))


def fitted(picture, size, filter_, fill):
    """open_clip's ResizeKeepRatio(longest=1) and CenterCropOrPad."""
    source = (picture.height, picture.width)
    ratio = max(x / size for x in source)
    height, width = (round(x * 1.0 / ratio) for x in source)
    small = picture.resize((width, height), filter_)
    framed = Image.new("RGB", (size, size), (fill, fill, fill))
    framed.paste(small, ((size - width) // 2, (size - height) // 2))
    return framed


def transform(picture, size, *, mode="shortest", filter_=Image.Resampling.BICUBIC, fill=0):
    """RGB picture to uint8 [size, size, 3], before ToTensor and Normalize."""
    match mode:
        case "shortest":
            done = center_cropped(resized(picture, size, filter_), size)
        case "longest":
            done = fitted(picture, size, filter_, fill)
        case "squash":
            done = picture.resize((size, size), filter_)
    return np.asarray(done)


def normalised(square, mean, std):
    """ToTensor and Normalize, in float32 throughout."""
    unit = square.astype(np.float32) / np.float32(255)
    return ((unit - np.array(mean, np.float32)) / np.array(std, np.float32)).transpose(2, 0, 1)
