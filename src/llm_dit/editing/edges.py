"""Where edges run in a picture, said so that no change of colour, contrast or light alters it."""

import cv2
import numpy as np

from llm_dit.editing.planes import Plane


def edge_field(picture: Plane, weight: Plane, blur: float = 1.0) -> Plane:
    """Return the direction of the edges as a (height, width, 2) field of vectors of length 0 (flat) to 1 (edge).

    `picture` is (height, width, channels); `weight` (height, width) says where its contrast is measured. The vectors
    are the double-angle form of the structure tensor of all channels (Di Zenzo, "A note on the gradient of a
    multi-image", 1986; Knutsson's double angle), divided by its trace: an edge keeps its vector when its colours
    change or trade places. Two pictures compared in it are compared by normalised gradient fields (Haber and
    Modersitzki, "Intensity gradient based registration and fusion of multi-modal images", MICCAI 2006).
    """
    smooth = cv2.GaussianBlur(picture, (0, 0), blur).reshape(picture.shape)
    across = cv2.Scharr(smooth, cv2.CV_32F, 1, 0, scale=1 / 32).reshape(picture.shape)
    down = cv2.Scharr(smooth, cv2.CV_32F, 0, 1, scale=1 / 32).reshape(picture.shape)
    tensor = np.stack([(across**2 - down**2).sum(-1), 2 * (across * down).sum(-1), (across**2 + down**2).sum(-1)], -1)
    tensor = cv2.GaussianBlur(tensor, (0, 0), blur)
    # Below the mean contrast of the picture an edge counts less and less: that is where noise is.
    floor = float((tensor[..., 2] * weight).sum() / max(float(weight.sum()), 1e-6)) * 0.5 + 1e-7
    return tensor[..., :2] / (tensor[..., 2:] + floor)
