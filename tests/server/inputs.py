"""A job to be done, for tests that do not care what it is."""

from server.jobs.inputs import EditLayerInput

EDIT = EditLayerInput(
    image="",
    instruction="make it blue",
    num_inference_steps=50,
    cfg_scale=4.0,
    seed=1,
    negative_prompt=" ",
    shape="keep",
    output_size="layer",
)
